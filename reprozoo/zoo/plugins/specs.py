"""What plugins register, and the hooks they register it through.

A registered ``Family`` is a cheap description; its ``load`` is a string that is imported when a model is really loaded,
so listing models imports no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from reprozoo.base.errors import UsageError
from reprozoo.base.options import Option
from reprozoo.diffusion.sampler_specs import SamplerSpec

if TYPE_CHECKING:
    from torch import Tensor

    from reprozoo.diffusion.kernels import Kernel
    from reprozoo.diffusion.sampling import Sampler
    from reprozoo.zoo.cards import ModelCard
    from reprozoo.zoo.weights.checkpoint import Checkpoint

GROUP = "reprozoo"

hookspec = pluggy.HookspecMarker(GROUP)


@dataclass(frozen=True)
class LoadContext:
    """Everything a family needs to build one map: checked, resolved, on disk.

    Attributes:
        card: the model's card.
        options: the family's options after option > card > default.
        files: verified local files by name; "weights" where there is one.
        device: torch device string.
        dtype: "float32", "float16" or "bfloat16".
        kernel, sampler: built from card and options for families of denoisers, None for others.
    """

    card: ModelCard
    options: Mapping[str, Any]
    files: Mapping[str, Path]
    device: str = "cpu"
    dtype: str = "float32"
    kernel: Kernel | None = None
    sampler: Sampler | None = None

    def checkpoint(self, name: str = "weights", *, parameter_names: Sequence[str] | None = None) -> Checkpoint:
        """What file ``name`` holds, in the format its card says, read without executing anything, on the CPU.

        Args:
            parameter_names: of the network's trained parameters, in order, for formats whose averages are positional.
        """
        from reprozoo.zoo.weights import read_checkpoint

        if name not in self.files:
            raise UsageError(
                f"the card of {self.card.id} names no file {name!r}; it has: {', '.join(self.files) or 'none'}"
            )
        form = self.card.source(name).format
        return read_checkpoint(self.files[name], format=form, parameter_names=parameter_names)

    def tensors(self, name: str = "weights", *, parameter_names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """The tensors of ``checkpoint`` alone: the state dict in file ``name``."""
        return dict(self.checkpoint(name, parameter_names=parameter_names).tensors)

    def architecture(self, known: Iterable[str], default: str | None = None) -> tuple[str, dict[str, Any]]:
        """Which of a family's networks the card wants, and the rest of its network table.

        Args:
            known: the family's names for them.
            default: where the card does not say.

        Raises:
            UsageError: ``network.architecture`` is none of ``known``.
        """
        config = dict(self.card.network)
        name = config.pop("architecture", default)
        if name not in (names := list(known)):
            raise UsageError(f"{self.card.id}: no architecture {name!r}; expected one of {', '.join(names)}")
        return name, config

    def map_settings(self) -> dict[str, Any]:
        """Keyword arguments that every map needs: shapes and device."""
        return {"noise_shape": self.card.noise_shape, "image_shape": self.card.image_shape, "device": self.device}

    def denoiser_settings(self) -> dict[str, Any]:
        """Those of ``map_settings`` with kernel, sampler and classes: what every ``DenoiserMap`` takes."""
        own = {"num_classes": self.card.num_classes, "kernel": self.kernel, "sampler": self.sampler}
        return {**self.map_settings(), **own}

    def network_settings(self) -> dict[str, Any]:
        """Those of ``denoiser_settings`` and the precision: what ``NetworkDenoiserMap`` takes."""
        return {**self.denoiser_settings(), "dtype": self.dtype}


@dataclass(frozen=True)
class Family:
    """A kind of model: how its cards become maps.

    Args:
        name: as cards name it.
        summary: one line.
        load: "package.module:function", called with a ``LoadContext``, returns a ``NoiseToImageMap``.
        options: the family's own options; families of denoisers also take ``sampler`` and its options.
        denoiser: whether its maps are ``DenoiserMap`` with a kernel and a sampler.
        schemes: "prefix" -> "package.module:function" for specs such as ``samples:PATH``; the function makes a
            ``ModelCard`` from (target, revision, options of the spec, offline).
        adjust: "package.module:function" of (card, options of the spec, offline), which returns the card as these
            options change it: its shapes, or sources of weights that join its own.
        output_version: raise it when the images of unchanged weights and options change; it invalidates the store.
        libraries: packages beside torch whose code makes the images; another version of one is another map.
    """

    name: str
    summary: str
    load: str
    options: Mapping[str, Option] = field(default_factory=dict)
    denoiser: bool = False
    schemes: Mapping[str, str] = field(default_factory=dict)
    adjust: str = ""
    output_version: int = 1
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class DescriptorSpec:
    """A descriptor by name: "package.module:function" builds it when it is first used."""

    id: str
    summary: str
    load: str


@dataclass(frozen=True)
class MeasureSpec:
    """A measure by name: "package.module:Class" is imported when it is first used.

    Args:
        name: as options and results call it.
        summary: one line.
        load: names a ``Measure``: what it reads, its values, its unit, its direction.
        usual: whether it is taken in every comparison; others are taken when a question names them.
    """

    name: str
    summary: str
    load: str
    usual: bool = False


@dataclass(frozen=True)
class ProblemSpec:
    """A kind of problem to which models make an image of something observed; see the plugin that brings problems.

    Args:
        name: as specs write it.
        summary: one line.
        check: "package.module:function", which refuses a question without torch and before anything is fetched.
        load: "package.module:function".
    """

    name: str
    summary: str
    load: str
    check: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """A data set by name that is not described by a card: "package.module:function" of (split) loads it.

    A function that may fetch has a second parameter, ``offline``: whether to use only what is on this machine.
    """

    id: str
    summary: str
    load: str


@dataclass(frozen=True)
class OperatorSpec:
    """A linear operator of inverse problems, as ``--inverse`` names it: ``NAME+option=value``.

    Args:
        name: as specs write it.
        summary: one line.
        load: "package.module:function", called with (image_shape, **options), returns an ``inverse.LinearOperator``.
        options: settable as ``+name=value``.
        number: the option that ``NAME-16`` sets to 16; "" for none.
    """

    name: str
    summary: str
    load: str
    options: Mapping[str, Option] = field(default_factory=dict)
    number: str = ""


@dataclass(frozen=True)
class SolverSpec:
    """A way to make a map of observed images from any denoiser, as ``--solver`` names it: ``NAME+option=value``.

    Args:
        name: as specs write it.
        summary: one line.
        load: "package.module:function", called with (a loaded ``DenoiserMap``, the resolved options); returns a
            ``NoiseToImageMap`` of the same shapes that accepts and requires an ``observation`` besides what the
            denoiser's map does.
        options: settable as ``+name=value``.
        memory: how many times the memory of plain sampling an image takes; default batches are smaller by that.
        output_version: raise it when the images of unchanged models and options change; it invalidates the store.
    """

    name: str
    summary: str
    load: str
    options: Mapping[str, Option] = field(default_factory=dict)
    memory: int = 1
    output_version: int = 1


class Hooks:
    """What a plugin may implement; each gets a ``register`` to call as often as it likes."""

    @hookspec
    def reprozoo_register_families(self, register: Callable[[Family], None]) -> None:
        """Add families of models."""

    @hookspec
    def reprozoo_register_cards(self, register: Callable[[Path], None]) -> None:
        """Add directories of TOML cards."""

    @hookspec
    def reprozoo_register_samplers(self, register: Callable[[SamplerSpec], None]) -> None:
        """Add samplers of diffusion models."""

    @hookspec
    def reprozoo_register_measures(self, register: Callable[[MeasureSpec], None]) -> None:
        """Add measures of pairs of images."""

    @hookspec
    def reprozoo_register_descriptors(self, register: Callable[[DescriptorSpec], None]) -> None:
        """Add image descriptors."""

    @hookspec
    def reprozoo_register_datasets(self, register: Callable[[DatasetSpec], None]) -> None:
        """Add data sets."""

    @hookspec
    def reprozoo_register_problems(self, register: Callable[[ProblemSpec], None]) -> None:
        """Add kinds of problems that are solved with models."""

    @hookspec
    def reprozoo_register_operators(self, register: Callable[[OperatorSpec], None]) -> None:
        """Add linear operators of inverse problems."""

    @hookspec
    def reprozoo_register_solvers(self, register: Callable[[SolverSpec], None]) -> None:
        """Add solvers of inverse problems."""

    @hookspec
    def reprozoo_register_commands(self, register: Callable[[str, str, str], None]) -> None:
        """Add commands: register(name, "package.module:click_command", "one line of help")."""
