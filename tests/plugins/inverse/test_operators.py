"""Operators: adjoints by the dot-product test, known cases, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reprozoo_plugins.inverse.catalogue import make_operator
from reprozoo_plugins.inverse.operator_specs import OPERATORS
from reprozoo_plugins.inverse.separable import apply_separable, reflection
from torch import Tensor
from torch.nn import functional

from reprozoo.base.errors import ContractError, PluginError, UsageError
from reprozoo.diffusion.observations import LinearOperator
from reprozoo.maps.images import save_png
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo.plugins import OperatorSpec, PluginRecord, Registered, installed_plugins

SHAPE = (3, 12, 16)
SPECS = (
    "inpaint-4", "inpaint+width=5", "random-mask", "random-mask+keep=0.7+seed=3", "super-resolution-4",
    "super-resolution+factor=2+kernel=bicubic", "gaussian-blur", "gaussian-blur+std=5", "motion-blur",
    "motion-blur+length=3+angle=-20", "grayscale",
)  # fmt: skip


def batch(shape: tuple[int, ...], *, seed: int = 0, count: int = 3) -> Tensor:
    return NoiseBank(seed).noise(range(count), shape).double()


def adjoint_error(operator: LinearOperator) -> float:
    """|<A x, y> - <x, A^T y>| over |A x| |y|, of the worst of three samples."""
    x, y = batch(operator.image_shape), batch(operator.measurement_shape, seed=1)
    seen, back = operator.forward(x), operator.adjoint(y)
    difference = (seen * y).flatten(1).sum(1) - (x * back).flatten(1).sum(1)
    return float((difference.abs() / (seen.flatten(1).norm(dim=1) * y.flatten(1).norm(dim=1))).max())


@pytest.mark.parametrize("text", SPECS)
def test_adjoints_are_exact(text: str) -> None:
    assert adjoint_error(make_operator(text, SHAPE)) < 1e-14  # float64 rounding of sums of a few hundred products


def test_the_dot_product_test_sees_a_wrong_adjoint() -> None:
    operator = make_operator("gaussian-blur", SHAPE)
    operator.rows = operator.rows.T.clone()  # type: ignore[attr-defined]  # at the edges the matrix is not symmetric
    operator.adjoint = operator.forward  # type: ignore[method-assign]
    assert adjoint_error(operator) > 1e-3


@pytest.mark.parametrize("text", SPECS)
def test_linear_per_sample_differentiable_in_any_precision(text: str) -> None:
    operator = make_operator(text, SHAPE)
    x = batch(SHAPE)
    seen = operator.forward(x)
    assert seen.shape == (3, *operator.measurement_shape)
    torch.testing.assert_close(operator.forward(2 * x[:1] - x[1:2]), 2 * seen[:1] - seen[1:2])
    torch.testing.assert_close(operator.forward(x[1:2]), seen[1:2])
    single = operator.forward(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, seen.float(), rtol=1e-5, atol=1e-5)
    wanted = batch(operator.measurement_shape, seed=1)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad((operator.forward(x) * wanted).sum(), x)
    torch.testing.assert_close(gradient, operator.adjoint(wanted))


@pytest.mark.parametrize("text", SPECS)
def test_gram_is_what_it_says(text: str) -> None:
    operator = make_operator(text, SHAPE)
    y = batch(operator.measurement_shape, seed=1)
    again = operator.forward(operator.adjoint(y))
    if operator.gram is None:
        assert not torch.allclose(again / again.norm(), y / y.norm(), atol=1e-3)
    else:
        torch.testing.assert_close(again, operator.gram * y)


@pytest.mark.parametrize("text", SPECS)
def test_pictures_are_images(text: str) -> None:
    operator = make_operator(text, SHAPE)
    flat = torch.full((1, *SHAPE), 0.25)
    picture = operator.picture(operator.forward(flat))
    assert picture.shape == flat.shape
    levels = set(picture.mul(1000).round().unique().tolist())
    assert levels == ({0.0, 250.0} if "mask" in text or "inpaint" in text else {250.0})


def test_config_is_all_that_counts(tmp_path: Path) -> None:
    configs = [make_operator(text, SHAPE).config() for text in SPECS]
    assert all(first != second for i, first in enumerate(configs) for second in configs[:i])
    assert make_operator("inpaint-4", SHAPE).config() == make_operator("inpaint+width=4", SHAPE).config()
    seen = make_operator("inpaint-4", SHAPE).seen  # type: ignore[attr-defined]
    for name in ("a.png", "b.png"):
        save_png((255 * seen[None]).to(torch.uint8), tmp_path / name)
        assert make_operator(f"mask+file={tmp_path / name}", SHAPE).config() == configs[0]


def test_boxes_of_the_paper_hide_what_it_says() -> None:
    for width, share in ((16, 0.25), (25, 0.61)):
        operator = make_operator(f"inpaint-{width}", (3, 32, 32))
        hidden = ~operator.seen  # type: ignore[attr-defined]
        assert float(hidden.double().mean()) == pytest.approx(share, abs=0.005)
        rows = hidden.any(1).nonzero().flatten()
        assert (int(rows[0]), int(rows[-1])) == ((32 - width) // 2, (32 - width) // 2 + width - 1)
        assert torch.equal(hidden, hidden.T)


def test_a_random_mask_is_a_function_of_its_seed() -> None:
    first, again, other = (make_operator(f"random-mask+seed={seed}", (3, 32, 32)) for seed in (0, 0, 1))
    assert first.config() == again.config() != other.config()
    assert int(first.seen.sum()) == round(0.3 * 1024)  # type: ignore[attr-defined]
    # By the core's noise bits: the same on every machine.
    assert first.seen[0].nonzero().flatten().tolist() == [4, 6, 8, 9, 14, 17, 20, 24, 29, 30]  # type: ignore[attr-defined]


def test_super_resolution_is_what_libraries_compute() -> None:
    x = batch((3, 16, 16))
    average = make_operator("super-resolution-4", (3, 16, 16))
    torch.testing.assert_close(average.forward(x), functional.avg_pool2d(x, 4))
    bicubic = make_operator("super-resolution-4+kernel=bicubic", (3, 16, 16))
    expected = functional.interpolate(x, scale_factor=0.25, mode="bicubic", antialias=True)
    torch.testing.assert_close(bicubic.forward(x), expected)


def test_blurs_are_convolutions_of_the_reflected_image() -> None:
    x = batch((3, 16, 16))
    offsets = torch.arange(-4, 5).double()
    weights = torch.exp(-offsets.square() / 2)
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    padded = functional.pad(x, (4, 4, 4, 4), mode="reflect")
    expected = functional.conv2d(padded, kernel.expand(3, 1, 9, 9), groups=3)
    torch.testing.assert_close(make_operator("gaussian-blur+std=1", (3, 16, 16)).forward(x), expected)
    torch.testing.assert_close(
        apply_separable(x, reflection(16, 5), reflection(16, 5)), functional.pad(x, (5, 5, 5, 5), mode="reflect")
    )
    horizontal = make_operator("motion-blur+length=3+angle=0", (3, 16, 16)).forward(x)
    torch.testing.assert_close(horizontal[..., 1:-1], (x[..., :-2] + x[..., 1:-1] + x[..., 2:]) / 3)
    rising = make_operator("motion-blur+length=5+angle=45", (3, 16, 16)).kernel  # type: ignore[attr-defined]
    torch.testing.assert_close(rising.fliplr(), rising.fliplr().T)  # along the rising diagonal
    assert rising[1, -2] > rising[1, 1]
    assert make_operator("motion-blur+length=1", (3, 16, 16)).forward(x).equal(x)


def test_grayscale_is_pillows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    expected = torch.from_numpy(np.array(Image.fromarray(pixels).convert("L")))
    assert (make_operator("grayscale", SHAPE).forward(x)[0, 0] - expected).abs().max() <= 0.51  # Pillow rounds


# --- names and files that do not fit ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("inpant-16", "no operator is called 'inpant-16' .did you mean 'inpaint'"),
        ("inpaint-12", "from 1 to 11 pixels wide on images of 16×12"),
        ("inpaint-0", "from 1 to 11 pixels wide"),
        ("inpaint-4+width=4", "gives the option 'width' twice"),
        ("inpaint+with=4", "no option 'with' .did you mean 'width'"),
        ("grayscale-3", "no operator is called 'grayscale-3'"),
        ("grayscale+x=3", "it has no options"),
        ("random-mask+keep=0", "expected a share of the pixels"),
        ("random-mask+keep=0.999999", "expected a share of the pixels"),
        ("random-mask+seed=-1", "expected a seed"),
        ("super-resolution-5", "divides the 16×12 pixels"),
        ("super-resolution-1", "a factor of at least 2"),
        ("super-resolution+kernel=nearest", "expected one of average, bicubic"),
        ("gaussian-blur+std=0", "expected a std above 0"),
        ("gaussian-blur+std=nan", "std=nan: expected a number"),
        ("motion-blur+length=0.5", "expected a length from 1 to the 12 pixels"),
        ("motion-blur+angle=inf", "angle=inf: expected a number"),
        ("mask", "mask needs an image"),
        ("mask+file=nope.png", "cannot read the image nope.png"),
    ],
)
def test_operators_that_do_not_fit(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_operator(text, SHAPE)


def test_grayscale_of_grey_images() -> None:
    with pytest.raises(UsageError, match="needs images of 3 channels, and these have 1"):
        make_operator("grayscale", (1, 8, 8))


def test_masks_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    Image.new("L", (8, 8), 255).save(tmp_path / "small.png")
    Image.new("L", (16, 12), 128).save(tmp_path / "grey.png")
    Image.new("L", (16, 12), 0).save(tmp_path / "black.png")
    Image.new("L", (16, 12), 255).save(tmp_path / "white.png")
    for name, sentence in (
        ("text", "cannot read the image"),
        ("small", "is 8×8 and the models make images of 16×12; nothing is resized"),
        ("grey", r"has grey pixels \(128 of 255, for one\)"),
        ("black", "black everywhere: nothing of the image would be seen"),
        ("white", "white everywhere: nothing would be left to find"),
    ):
        with pytest.raises(UsageError, match=sentence):
            make_operator(f"mask+file={tmp_path / name}.png", SHAPE)


def wrong_shape(image_shape: tuple[int, int, int]) -> LinearOperator:
    return make_operator("inpaint-4", (1, 8, 8))


def broken(image_shape: tuple[int, int, int]) -> LinearOperator:
    raise RuntimeError("no luck")


class PluginsWith:
    """Plugins that register operators."""

    def __init__(self, *functions: str) -> None:
        giver = PluginRecord("theirs", "", "theirs", "1")
        specs = [OperatorSpec(name, "", f"{__name__}:{name}") for name in functions]
        self.operators = {spec.name: Registered(spec, giver) for spec in specs}


def test_operators_are_those_of_plugins() -> None:
    assert {spec.name for spec in OPERATORS} <= set(installed_plugins().operators)
    plugins = PluginsWith("wrong_shape", "broken")
    with pytest.raises(UsageError, match="no operator is called 'inpaint'; there are: wrong_shape, broken"):
        make_operator("inpaint", SHAPE, plugins=plugins)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=r"is of images \(1, 8, 8\)"):
        make_operator("wrong_shape", SHAPE, plugins=plugins)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="could not be made: RuntimeError: no luck"):
        make_operator("broken", SHAPE, plugins=plugins)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="no plugin provides an operator of inverse problems"):
        make_operator("inpaint", SHAPE, plugins=PluginsWith())  # type: ignore[arg-type]
