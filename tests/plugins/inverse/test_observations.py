"""Observations: what identifies them, where they come from, and which noise gets which."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from reprozoo_plugins.inverse.catalogue import make_operator
from reprozoo_plugins.inverse.masks import Mask, centre_box
from reprozoo_plugins.inverse.sources import observe

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.observations import Observation, ObservedBatch, observations_of
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import InTurn, RandomClasses
from reprozoo.maps.images import from_uint8
from reprozoo.maps.noise.bank import NoiseBank

SHAPE = (3, 8, 8)
BOX = centre_box(SHAPE, width=4)


def pixels(count: int = 5) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(pixels(1)[0].transpose(1, 2, 0)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    np.savez(tmp_path / "images.npz", images=pixels())
    return tmp_path / "images.npz"


def test_equal_numbers_are_equal_observations() -> None:
    measurement = BOX.forward(NoiseBank(0).noise([0], SHAPE))[0]
    first = Observation(measurement, BOX)
    same = Observation(measurement.clone(), make_operator("inpaint+width=4", SHAPE))
    assert first == same
    assert len({first, same}) == 1
    nudged = measurement.clone()
    nudged[0, 0] += 1e-6
    others = [
        Observation(nudged, BOX),
        Observation(measurement, BOX, noise_std=0.1),
        Observation(measurement, Mask(BOX.seen.roll(1, 0), SHAPE)),
    ]
    assert all(other != first and other.digest != first.digest for other in others)
    assert first != "an observation"
    assert Condition(observation=first).to_json() == {"observation": first.digest}


@pytest.mark.parametrize(
    ("measurement", "sentence"),
    [
        (torch.zeros(3, 47), r"has shape \(3, 48\), got \(3, 47\)"),
        (torch.full((3, 48), torch.nan), "float32 and finite"),
        (torch.zeros(3, 48, dtype=torch.float64), "float32 and finite"),
    ],
)
def test_measurements_that_are_none(measurement: torch.Tensor, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Observation(measurement, BOX)


def test_a_batch_of_several_operators_is_each_row_by_itself() -> None:
    names = ("inpaint-4", "grayscale", "inpaint-4", "gaussian-blur")
    truths, images = NoiseBank(0).noise(range(4), SHAPE), NoiseBank(1).noise(range(4), SHAPE).double()
    observations = [
        Observation(operator.forward(truth[None])[0], operator, noise_std=0.1 * row)
        for row, (truth, operator) in enumerate(zip(truths, (make_operator(n, SHAPE) for n in names), strict=True))
    ]
    together = ObservedBatch(observations, SHAPE, torch.device("cpu"))
    alone = [
        ObservedBatch([o], SHAPE, torch.device("cpu")).misfits(images[i : i + 1]) for i, o in enumerate(observations)
    ]
    torch.testing.assert_close(together.misfits(images), torch.cat(alone))
    assert together.noise_std.tolist() == [0.0, 0.1, 0.2, pytest.approx(0.3)]
    assert len(together.groups) == 4  # the two boxes have different noise
    assert together.gram.tolist() == [1.0, pytest.approx(0.447, abs=1e-3), 1.0, 1.0]


def test_one_image_is_observed_for_all_noises(photo: Path) -> None:
    observed = observe(photo, BOX)
    conditions = [observed.at(i) for i in (0, 1, 1000)]
    assert len({condition.observation.digest for condition in conditions}) == 1
    expected = BOX.forward(from_uint8(torch.from_numpy(pixels(1))))[0]
    assert torch.equal(conditions[0].observation.measurement, expected)
    assert np.array_equal(observed.truths([3, 4]), np.concatenate([pixels(1)] * 2))
    assert observed.groups([0, 5]).tolist() == [0, 0]


def test_each_noise_has_an_image_of_a_set(archive: Path) -> None:
    observed = observe(archive, BOX)
    assert np.array_equal(observed.truths([0, 4, 5, 11]), pixels()[[0, 4, 0, 1]])
    digests = [observed.at(i).observation.digest for i in range(6)]
    assert len(set(digests)) == 5
    assert digests[5] == digests[0]
    assert len(set(observed.groups(range(10)).tolist())) == 5
    assert [observed.name(int(group)) for group in observed.groups([2])] == ["image 2"]
    pictures = observed.pictures([1])
    assert pictures.shape == (1, *SHAPE)
    assert (pictures[0, :, 2:6, 2:6] == 0).all()


def test_identity_is_content_and_problem(archive: Path, photo: Path, tmp_path: Path) -> None:
    """The noise says nothing where there is none; where the file lies never does."""
    np.savez(tmp_path / "elsewhere.npz", images=pixels())
    first = observe(archive, BOX).to_json()
    assert first == observe(tmp_path / "elsewhere.npz", BOX, seed=5).to_json()
    others = [
        observe(photo, BOX).to_json(),
        observe(archive, make_operator("inpaint-2", SHAPE)).to_json(),
        observe(archive, BOX, noise_std=0.1, seed=0).to_json(),
        observe(archive, BOX, noise_std=0.1, seed=1).to_json(),
        observe(archive, BOX, noise_std=0.2, seed=1).to_json(),
        observe(archive, BOX, beside=InTurn((Condition(class_label=1),))).to_json(),
    ]
    assert all(other != first for other in others)
    assert all(one != two for i, one in enumerate(others) for two in others[:i])


def test_noise_is_the_cores_by_seed_and_image(archive: Path) -> None:
    clean, noisy = observe(archive, BOX), observe(archive, BOX, noise_std=0.5).bound(NoiseBank(3), [])
    assert noisy.seed == 3
    again = observe(archive, BOX, noise_std=0.5, seed=3)
    assert noisy.at(7).observation == again.at(2).observation
    eps = torch.stack(
        [(noisy.at(i).observation.measurement - clean.at(i).observation.measurement) / 0.5 for i in range(5)]
    )
    assert abs(float(eps.std()) - 1) < 4 / (2 * eps.numel()) ** 0.5
    assert not torch.allclose(eps[0], eps[1])
    own = NoiseBank(3).noise([0], tuple(eps[0].shape))[0]
    assert abs(float((eps[0] * own).mean())) < 4 / own.numel() ** 0.5  # nothing to do with the noise of the images
    assert observe(archive, BOX, noise_std=0.5, seed=2**64 - 1).at(0).observation.noise_std == 0.5


def test_classes_beside_observations(archive: Path) -> None:
    observed = observe(archive, BOX, beside=InTurn((Condition(class_label=2), Condition(class_label=7))))
    assert [(c.class_label, c.observation == observed.at(0).observation) for c in map(observed.at, (0, 1, 10))] == [
        (2, True), (7, False), (2, True),
    ]  # fmt: skip
    assert [condition.class_label for condition in observed.every()] == [2, 7]
    groups = observed.groups(range(20)).tolist()
    assert len(set(groups)) == 10
    assert observed.name(groups[1]) == "image 1, class 7"
    random = observe(archive, BOX, beside=RandomClasses()).bound(NoiseBank(4), [10])
    assert random.at(3).class_label == RandomClasses(4, 10).at(3).class_label


def test_observations_travel_to_other_processes(archive: Path) -> None:
    observed = observe(archive, make_operator("motion-blur+length=3", SHAPE), noise_std=0.1, seed=1)
    sent = pickle.loads(pickle.dumps(observed))
    assert sent.at(3) == observed.at(3)
    assert sent.to_json() == observed.to_json()


def test_one_image_of_a_named_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from reprozoo_plugins.inverse import sources

    from reprozoo.zoo.datasets import ImageDataset

    asked = []

    def load(name: str, split: str | None = None, offline: bool = False) -> ImageDataset:
        asked.append((name, split, offline))
        return ImageDataset(name, pixels())

    monkeypatch.setattr(sources, "load_dataset", load)
    assert len(observe("cifar10", BOX).images_u8) == 5
    assert np.array_equal(observe("cifar10:test:3", BOX, offline=True).images_u8, pixels()[3:4])
    assert asked == [("cifar10", None, False), ("cifar10", "test", True)]
    for wrong in ("cifar10:test:5", "cifar10:test:-1", "cifar10:test:x"):
        with pytest.raises(UsageError, match="number of an image from 0 to 4"):
            observe(wrong, BOX)


def test_what_cannot_be_observed(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "notes.txt").write_text("not an image")
    Image.new("RGB", (9, 8)).save(tmp_path / "wide.png")
    np.save(tmp_path / "single.npy", pixels(1)[0])
    for what, sentence in (
        ("nope.png", "cannot read the image nope.png"),
        (tmp_path / "text.png", "cannot read the image"),
        (tmp_path / "notes.txt", "expected a folder or one of"),
        (tmp_path / "wide.png", "are 9×8 with 3 channels and the models make 8×8 with 3; nothing is resized"),
        (tmp_path / "single.npy", "expected images of shape"),
        ("cifar11", "no data set is called 'cifar11' .did you mean 'cifar10'"),
    ):
        with pytest.raises(UsageError, match=sentence):
            observe(what, BOX)
    for noise_std in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="a std of at least 0"):
            observe(photo, BOX, noise_std=noise_std)
    with pytest.raises(UsageError, match="expected an observation"):
        observations_of([Condition()])


def test_an_image_has_the_same_noise_alone_and_in_its_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    images = SimpleNamespace(images_u8=pixels())
    monkeypatch.setattr("reprozoo_plugins.inverse.sources.load_dataset", lambda *_, **__: images)
    whole, alone = (observe(what, BOX, noise_std=0.1, seed=3) for what in ("set:test", "set:test:3"))
    assert whole.at(3).observation == alone.at(0).observation
    assert alone.to_json() != observe("set:test:2", BOX, noise_std=0.1, seed=3).to_json()
