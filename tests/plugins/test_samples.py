"""Images made elsewhere are handed out for exactly the noise they were made from, and never by file order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reprozoo import NoiseBank, UsageError, load, resolve
from reprozoo.maps.noise.files import export_noise

SHAPE = (3, 8, 8)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, numbered from 10 in an order that sorting would not give."""
    for row, image in enumerate(pictures(6)):
        Image.fromarray(image).save(tmp_path / f"img_{[12, 10, 15, 11, 14, 13][row]}.png")
    return tmp_path


def shown(images: torch.Tensor) -> np.ndarray:
    return ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def test_images_are_found_by_their_noise(folder: Path) -> None:
    noise = NoiseBank(0).noise([12, 10, 15, 11, 14, 13], SHAPE)
    assert np.array_equal(shown(load(f"samples:{folder}")(noise)), pictures(6))


def test_noise_of_another_seed_has_no_images(folder: Path) -> None:
    with pytest.raises(UsageError, match="has no image for some of the noises"):
        load(f"samples:{folder}")(NoiseBank(1).noise([10, 11], SHAPE))
    assert load(f"samples:{folder}+seed=1")(NoiseBank(1).noise([10, 11], SHAPE)).shape == (2, 3, 8, 8)


def test_index_outside_the_set_is_an_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="has no image for some of the noises"):
        load(f"samples:{folder}")(NoiseBank(0).noise([15, 16], SHAPE))


def test_arrays_carry_their_indices(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=pictures(3), indices=np.array([7, 5, 6]))
    images = load(f"samples:{tmp_path / 'a.npz'}")(NoiseBank(0).noise([5, 6, 7], SHAPE))
    assert np.array_equal(shown(images), pictures(3)[[1, 2, 0]])
    np.savez(tmp_path / "b.npz", images=pictures(3))  # without them an image's index is its row, as everywhere
    images = load(f"samples:{tmp_path / 'b.npz'}")(NoiseBank(0).noise([2, 0], SHAPE))
    assert np.array_equal(shown(images), pictures(3)[[2, 0]])


def test_exported_noise_pairs_like_its_seed(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "noise.safetensors"
    export_noise(NoiseBank(4), range(20), SHAPE, file)
    images = load(f"samples:{folder}+noise={file}")(NoiseBank(4).noise([12], SHAPE))
    assert np.array_equal(shown(images), pictures(1))


def test_names_without_a_number_or_twice_are_errors(folder: Path) -> None:
    Image.fromarray(pictures(1)[0]).save(folder / "other_10.png")
    with pytest.raises(UsageError, match="two images of index 10"):
        load(f"samples:{folder}")
    Image.fromarray(pictures(1)[0]).save(folder / "nameless.png")
    with pytest.raises(UsageError, match=r"nameless\.png has no number"):
        load(f"samples:{folder}")
    with pytest.raises(UsageError, match="no such file or folder"):
        resolve(f"samples:{folder / 'missing'}")


def test_identity_follows_the_content_not_the_place(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("copy")
    for file in folder.iterdir():
        (elsewhere / file.name).write_bytes(file.read_bytes())
    first, second = resolve(f"samples:{folder}"), resolve(f"samples:{elsewhere}")
    assert first.identity() == second.identity()
    Image.fromarray(255 - pictures(1)[0]).save(elsewhere / "img_12.png")
    assert resolve(f"samples:{elsewhere}").identity() != first.identity()
