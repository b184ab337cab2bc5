"""What one training run is: a TOML file read into a frozen dataclass. No torch, no defaults that a file can miss.

Every key of a recipe must be known and every key without a default must be there, so that a misspelt one is an error
and not a silently different training.
"""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from reprozoo import UsageError
from reprozoo.base.errors import did_you_mean
from reprozoo.base.records import read_record
from reprozoo.zoo.plugins import installed_plugins

MADE = "model:"


@dataclass(frozen=True, kw_only=True)
class NamedSpec:
    """A name and the arguments of what it names; in a file they stand beside the name."""

    name: str
    options: Mapping[str, Any]

    @classmethod
    def read_as(cls, table: Mapping[str, Any]) -> tuple[type, Mapping[str, Any]]:
        """The table with its options apart, for `read_record`."""
        if "options" in table:
            return cls, table
        named = {key: value for key, value in table.items() if key == "name"}
        return cls, {**named, "options": {key: value for key, value in table.items() if key != "name"}}


class NetworkSpec(NamedSpec):
    """Which of `networks.NETWORKS`, and its arguments."""


class ObjectiveSpec(NamedSpec):
    """Which class of `objectives.OBJECTIVES`, and its arguments."""


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The training images.

    Attributes:
        name: of a data set, or "model:SPEC" for the images that a map makes of noises `first_noise`, `first_noise` + 1,
            ... of seed 0: noises that no evaluation begins with.
        images_sha256: of the decoded uint8 array of the whole data set; of the images that are made, "unknown".
        labels_sha256: of the labels as uint8, for a network with classes.
        classes: only images of these classes.
        part: "even" or "odd" takes every other image, by its place in what is left.
        limit: only the first ones of what is left.
    """

    name: str
    images_sha256: str
    labels_sha256: str | None = None
    classes: tuple[int, ...] | None = None
    part: str | None = None
    limit: int | None = None
    first_noise: int = 2**40

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a data set."""
        return self.classes is None and self.part is None and self.limit is None


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """How the weights are fitted. Lengths are in images seen, so that they survive a change of batch size.

    Attributes:
        seed: of the initial weights and of every batch, noise and time.
        images: when training ends.
        lr: Adam's step size after the warm-up.
        warmup_images: over which the step size grows linearly from zero.
        decay_images: over which it falls linearly to zero at the end; 0 keeps it.
        ema_halflife_images: of the averaged weights, which are what is exported.
        ema_rampup_ratio: caps the half-life at this share of the images seen so far.
        autocast: "bfloat16" or "off".
        grad_clip: largest norm of the whole gradient; 0 for no limit.
        label_dropout: share of the labels that are hidden, for guidance.
        trainable: patterns of the names of the parameters that are fitted; none for all.
        flip: mirror half of the images. Off, a model learns exactly its training set, which memorization scores need.
    """

    seed: int
    images: int
    batch_size: int
    lr: float
    warmup_images: int = 0
    decay_images: int = 0
    adam_betas: tuple[float, float] = (0.9, 0.999)
    grad_clip: float = 0.0
    ema_halflife_images: int = 100_000
    ema_rampup_ratio: float = 0.05
    autocast: str = "off"
    channels_last: bool = False
    compile: bool = False
    flip: bool = False
    label_dropout: float = 0.0
    trainable: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """How often a run leaves something behind."""

    log_images: int = 10_000
    checkpoint_minutes: float = 5.0
    sheet_images: int = 100_000
    sheet_steps: int = 18


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Another model that the training needs, by map spec."""

    model: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training run.

    Attributes:
        start: the model whose weights it begins with; fresh weights without it.
        teacher: the model that is distilled.
        critic, encoder: the network that is trained beside a GAN's generator, or before a VAE's decoder.
    """

    id: str
    about: str
    network: NetworkSpec
    objective: ObjectiveSpec
    data: DataSpec
    training: TrainingSpec
    output: OutputSpec = OutputSpec()
    start: ModelSpec | None = None
    teacher: ModelSpec | None = None
    critic: NetworkSpec | None = None
    encoder: NetworkSpec | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file.

        Raises:
            UsageError: the file is not TOML, or a key is unknown, missing or of the wrong type.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path} is not a TOML file: {error}") from error
        return cls.from_table(table, str(path))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str = "the recipe") -> Self:
        """Check and convert what `tomllib` or `to_json` gave."""
        return read_record(cls, table, where)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        return cls.from_table(json.loads(text))

    @property
    def made_by(self) -> str | None:
        """The map spec of the model that makes the training images; None for a data set."""
        return self.data.name.removeprefix(MADE) if self.data.name.startswith(MADE) else None

    def with_model(self, spec: str) -> "Recipe":
        """The same with another model in place of the one it starts from, distils, or has its images from."""
        changes: dict[str, Any] = {
            name: ModelSpec(model=spec) for name in ("start", "teacher") if getattr(self, name) is not None
        }
        if self.made_by is not None:
            changes["data"] = dataclasses.replace(self.data, name=MADE + spec)
        if not changes:
            raise UsageError(f"the recipe {self.id} needs no other model; leave out --teacher")
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        """The whole recipe, defaults written out, as canonical JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def differences(self, other: "Recipe") -> list[str]:
        """Names of the settings that differ and would change the course of the training so far.

        Its length, final decay and outputs may differ: a run can be prolonged, or ended early.
        """
        harmless = {"training.images", "training.decay_images"}
        mine, theirs = _flatten(json.loads(self.to_json())), _flatten(json.loads(other.to_json()))
        differing = {key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)}
        return sorted(key for key in differing - harmless if not key.startswith(("output.", "about")))


def find_recipe(name: str) -> Path:
    """A TOML file, or the recipe of that id in a registry.

    Raises:
        UsageError: there is neither.
    """
    if Path(name).is_file():
        return Path(name)
    folders = map(Path, installed_plugins().card_directories)
    shipped = {path.stem: path for folder in folders for path in folder.glob("recipes/*.toml")}
    if name not in shipped:
        known = ", ".join(sorted(shipped)) or "none"
        raise UsageError(
            f"there is no recipe {name!r}{did_you_mean(name, shipped)}; expected a TOML file or one of: {known}"
        )
    return shipped[name]


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
