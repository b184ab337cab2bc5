"""The rounding, the grid and the PNG round trip."""

import numpy as np
import pytest
import torch
from PIL import Image

from reprozoo.base.errors import ContractError, UsageError
from reprozoo.maps.images import from_uint8, grid, png_bytes, read_image, save_png, to_uint8

ALL_PIXELS = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


def test_every_pixel_survives():
    assert torch.equal(to_uint8(from_uint8(ALL_PIXELS)), ALL_PIXELS)
    assert torch.equal(from_uint8(ALL_PIXELS).aminmax().max, torch.tensor(1.0))


def test_ends_and_halves():
    half = 1 / 127.5 / 2  # half a step of the 255: exactly between 127 and 128 is 0, between 128 and 129 is 2 * half
    images = torch.tensor([-1, -1 + half, -1 + 0.99 * half, 0, 2 * half, 1 - half, 1, 1 + 1e-7]).reshape(1, 1, 2, 4)
    assert to_uint8(images).flatten().tolist() == [0, 1, 0, 128, 129, 255, 255, 255]


def test_rounding_is_the_truncation_of_edm():
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(to_uint8(images), (images * 127.5 + 128).clip(0, 255).to(torch.uint8))


def test_rounding_leaves_its_input_alone():
    for dtype in (torch.float32, torch.float64):
        images = torch.zeros(1, 1, 2, 2, dtype=dtype)
        to_uint8(images)
        assert torch.equal(images, torch.zeros(1, 1, 2, 2, dtype=dtype))


@pytest.mark.parametrize("value", [1.01, -1.01, 255.0, float("nan"), float("inf")])
def test_out_of_range(value):
    images = torch.zeros(1, 1, 2, 2)
    images[0, 0, 1, 1] = value
    with pytest.raises(ContractError, match=r"expected images in \[-1, 1\]"):
        to_uint8(images)


def test_wrong_types():
    with pytest.raises(ContractError, match="floating-point"):
        to_uint8(ALL_PIXELS)
    with pytest.raises(ContractError, match="uint8"):
        from_uint8(ALL_PIXELS.float())


def test_grid_places_images_in_reading_order():
    images = torch.arange(1, 6, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 2, 4)
    sheet = grid(images, columns=3, pad=1, background=9)
    assert sheet.shape == (3, 7, 16)
    assert sheet[0, 1::3, 1::5].tolist() == [[1, 2, 3], [4, 5, 9]]
    assert sheet[0, 0].unique().tolist() == [9]
    assert int((sheet == 9).sum()) == 3 * (7 * 16 - 5 * 8)


def test_grid_of_few_images():
    assert grid(ALL_PIXELS, columns=8, pad=0).tolist() == ALL_PIXELS[0].tolist()


@pytest.mark.parametrize(
    ("images", "columns"), [(ALL_PIXELS[:0], 2), (ALL_PIXELS[0], 2), (ALL_PIXELS.float(), 2), (ALL_PIXELS, 0)]
)
def test_grid_refuses(images, columns):
    with pytest.raises(ContractError):
        grid(images, columns=columns)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(tmp_path, channels):
    image = torch.randint(256, (channels, 5, 7), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    save_png(image, tmp_path / "image.png")
    assert torch.equal(read_image(tmp_path / "image.png", channels=channels), image)
    assert (tmp_path / "image.png").read_bytes() == png_bytes(image)
    assert len(list(tmp_path.iterdir())) == 1


def test_png_of_a_view(tmp_path):
    image = torch.randint(256, (7, 5, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8).permute(2, 1, 0)
    save_png(image, tmp_path / "image.png")
    assert torch.equal(read_image(tmp_path / "image.png"), image)


def test_grey_is_read_as_colour_and_back(tmp_path):
    save_png(ALL_PIXELS[0], tmp_path / "grey.png")
    colour = read_image(tmp_path / "grey.png")
    assert torch.equal(colour, ALL_PIXELS[0].expand(3, 16, 16))
    save_png(colour, tmp_path / "colour.png")
    assert torch.equal(read_image(tmp_path / "colour.png", channels=1), ALL_PIXELS[0])


@pytest.mark.parametrize("image", [ALL_PIXELS, ALL_PIXELS[0].float(), ALL_PIXELS[0].expand(2, 16, 16)])
def test_png_refuses(image):
    with pytest.raises(ContractError, match="a PNG is made of one"):
        png_bytes(image)


def test_png_to_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        save_png(ALL_PIXELS[0], tmp_path / "missing" / "image.png")


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path):
    pixels = np.full((2, 2, 4), 255, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "opaque.png")
    assert read_image(tmp_path / "opaque.png").shape == (3, 2, 2)
    pixels[0, 0, 3] = 254
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    with pytest.raises(UsageError, match="partly transparent"):
        read_image(tmp_path / "clear.png")


def test_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.full((2, 2), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UsageError, match="more than 8 bits"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_unreadable_images(tmp_path, content):
    path = tmp_path / "image.png"
    save_png(torch.randint(256, (3, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8), path)
    path.write_bytes(path.read_bytes()[:400] if content is None else content)
    with pytest.raises(UsageError, match="cannot read the image"):
        read_image(path)
    with pytest.raises(UsageError, match="cannot read the image"):
        read_image(tmp_path / "missing.png")
