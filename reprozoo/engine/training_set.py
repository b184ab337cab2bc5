"""What a model's images are searched in: the data set that was asked for, or that of the model's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reprozoo.base.errors import UsageError
from reprozoo.engine.question import Question
from reprozoo.engine.result import SideRecord
from reprozoo.engine.sides import ArrayRows, Side
from reprozoo.zoo.datasets import ImageDataset, dataset_giver, load_dataset


@dataclass(frozen=True)
class TrainingSet:
    """A data set and what it is to the model.

    Attributes:
        name, split: as it was asked for, or as the model's card says.
        plugins: those that gave it.
        warnings: sentences about it that a reader must see.
        is_training_set: whether these are the images that the model's card names; a digest that the card records
            counts more than a name.
    """

    name: str
    split: str | None
    images: ImageDataset
    plugins: Sequence[Mapping[str, str]]
    warnings: list[str]
    is_training_set: bool
    trained_on: str

    @property
    def record(self) -> dict[str, Any]:
        """What a result says of it."""
        return {
            "id": self.name,
            "name": self.images.name,
            "split": self.split or "train",
            "count": len(self.images),
            "images_sha256": self.images.digest,
            "is_training_set": self.is_training_set,
            "trained_on": self.trained_on,
        }


def training_set(side: Side, question: Question, *, registry: Any, offline: bool) -> TrainingSet:
    """The data set of a question about one model.

    Raises:
        UsageError: none was named, and the card does not say what the model was trained on.
        UnavailableError, IntegrityError: it cannot be had.
    """
    training = side.record.card.get("training", {})
    named = question.data is not None
    name, split = (question.data, question.split) if named else _named_by(training, question.split, side.label)
    assert name is not None
    images = load_dataset(name, split, registry=registry, offline=offline)
    giver = dataset_giver(name, registry=registry)
    plugins = [giver.provenance(f"data set {name}")] if giver else []
    own = _is_own(training, name, split, images)
    trained_on = " ".join(str(training[key]) for key in ("dataset", "split") if training.get(key))
    return TrainingSet(
        str(name), split, images, plugins, [] if named else _other_images(training, split, images), own, trained_on
    )  # fmt: skip


def data_side(data: TrainingSet) -> Side:
    """The side of all images of a data set."""
    images, rows = data.images, data_rows(data.images)
    record = SideRecord(
        label=f"{data.name} {data.split}" if data.split else data.name,
        spec=data.name,
        role="data",
        facts={"card": {"title": images.name}, "digests": {"images": images.digest}},
        image_shape=list(images.images_u8.shape[1:]),
        images_key=rows.key,
        images_sha256=images.digest,
    )
    return Side(record, rows, length=len(images))


def data_rows(images: ImageDataset) -> ArrayRows:
    """The images of a data set by number, under a key of exactly these pixels."""
    return ArrayRows(images.images_u8, f"data set {list(images.images_u8.shape)} {images.digest}")


def _is_own(training: Mapping[str, Any], name: Any, split: str | None, images: ImageDataset) -> bool:
    """Whether the images are those that the card says: by digest where it has one, otherwise by name and split."""
    recorded = training.get("images_sha256")
    if recorded is not None:
        return bool(recorded == images.digest)
    return str(name) == training.get("dataset") and (split or "train") == training.get("split", "train")


def _other_images(training: Mapping[str, Any], split: str | None, train: ImageDataset) -> list[str]:
    """A set that a model made is made again where it is missing: by another version of that model, they are others."""
    recorded = training.get("images_sha256")
    if recorded in (None, train.digest) or split != training.get("split"):
        return []
    return [
        f"The card's training images have sha256 {recorded[:16]}…, those that were searched {train.digest[:16]}…: a "
        "copy may not be recognised. Was the model that made them replaced, or were they made on another device?"
    ]


def _named_by(training: Mapping[str, Any], split: str | None, model: str) -> tuple[str, str | None]:
    dataset = training.get("dataset", "unknown")
    if dataset == "unknown":
        raise UsageError(
            f"the card of {model} does not say what it was trained on; "
            "name the data set: --data NAME, or a folder or file of images"
        )
    return str(dataset), split or training.get("split")
