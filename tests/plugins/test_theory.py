"""The closed-form denoisers against finite differences of their log densities, brute force, and the exact flow."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from reprozoo_plugins.theory.adapter import GaussianFlowMap, TheoryMap
from reprozoo_plugins.theory.empirical import CHUNK_IMAGES, EmpiricalDenoiser
from reprozoo_plugins.theory.gaussian import Gaussian
from reprozoo_plugins.theory.mixture import Mixture, orthogonal_subspaces
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.kernels import EDM
from reprozoo.diffusion.samplers import make_sampler
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo.resolving import load

DIM = 12


def random_gaussian(seed: int, *, rank: int = 5, rest: float = 0.3) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    vectors, _ = torch.linalg.qr(torch.randn(DIM, rank, generator=generator, dtype=torch.float64))
    values = torch.rand(rank, generator=generator, dtype=torch.float64) + 0.5
    return Gaussian(torch.randn(DIM, generator=generator, dtype=torch.float64), vectors, values, rest)


def random_mixture() -> Mixture:
    components = tuple(random_gaussian(seed, rank=2 + seed, rest=0.1 * (seed + 1)) for seed in range(3))
    return Mixture(components, torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log())


def rows(count: int = 4, *, scale: float = 1.5) -> Tensor:
    return NoiseBank(3).noise(range(count), (DIM,)).double() * scale


def score_by_differences(log_density: Callable[[Tensor, Tensor], Tensor], x: Tensor, sigma: Tensor) -> Tensor:
    step = 1e-5  # balances the truncation (step^2) and the rounding (1e-16 / step) of a central difference
    score = torch.empty_like(x)
    for d in range(x.shape[1]):
        shift = torch.zeros(x.shape[1], dtype=torch.float64)
        shift[d] = step
        score[:, d] = (log_density(x + shift, sigma) - log_density(x - shift, sigma)) / (2 * step)
    return score


@pytest.mark.parametrize("sigma", [0.05, 0.7, 20.0])
@pytest.mark.parametrize("model", [random_gaussian(0), random_gaussian(1, rest=0.0), random_mixture()])
def test_denoisers_are_tweedie_of_their_density(model: Gaussian | Mixture, sigma: float) -> None:
    x, sigmas = rows(), torch.full((4,), sigma, dtype=torch.float64)
    expected = x + sigma**2 * score_by_differences(model.log_density, x, sigmas)
    torch.testing.assert_close(model.denoise(x, sigmas), expected, rtol=1e-6, atol=1e-6)


def test_gaussian_density_is_the_multivariate_normal() -> None:
    gaussian, x, sigma = random_gaussian(0), rows(), 0.7
    projector = gaussian.vectors @ gaussian.vectors.T
    covariance = gaussian.vectors @ torch.diag(gaussian.values) @ gaussian.vectors.T
    covariance = covariance + gaussian.rest * (torch.eye(DIM, dtype=torch.float64) - projector)
    covariance = covariance + sigma**2 * torch.eye(DIM, dtype=torch.float64)
    expected = torch.distributions.MultivariateNormal(gaussian.mean, covariance).log_prob(x)
    torch.testing.assert_close(gaussian.log_density(x, torch.full((4,), sigma, dtype=torch.float64)), expected)


def test_proposition_2_as_the_paper_writes_it() -> None:
    """Equal dimensions and weights: the responsibilities are a softmax of the projected squared norms."""
    mixture, sigma = orthogonal_subspaces(DIM, components=3, rank=4, seed=5), 0.6
    x = rows()
    logits = torch.stack([(x @ g.vectors).square().sum(1) for g in mixture.components], 1)
    weights = torch.softmax(logits / (2 * sigma**2 * (1 + sigma**2)), dim=1)
    expected = sum(weights[:, k, None] * (x @ g.vectors @ g.vectors.T) for k, g in enumerate(mixture.components))
    answer = mixture.denoise(x, torch.full((4,), sigma, dtype=torch.float64))
    torch.testing.assert_close(answer, expected / (1 + sigma**2))


def test_orthogonal_subspaces_are_orthonormal_and_seeded() -> None:
    first, again, other = (orthogonal_subspaces(DIM, components=3, rank=4, seed=seed) for seed in (5, 5, 6))
    basis = torch.cat([g.vectors for g in first.components], 1)
    torch.testing.assert_close(basis.T @ basis, torch.eye(12, dtype=torch.float64))
    assert torch.equal(first.components[0].vectors, again.components[0].vectors)
    assert not torch.allclose(first.components[0].vectors, other.components[0].vectors)
    with pytest.raises(UsageError, match="do not fit into dimension 12"):
        orthogonal_subspaces(DIM, components=4, rank=4, seed=0)


def test_mixture_images_have_the_mixture_size_on_the_seed_people_use() -> None:
    """Each image lies in one subspace: its squared norm is chi-square with ``rank`` degrees of freedom."""
    mixture = orthogonal_subspaces(192, components=4, rank=16, seed=0)
    shape = (3, 8, 8)
    settings = gaussian_settings(36) | {"noise_shape": shape, "image_shape": shape}
    images = TheoryMap(mixture.denoise, **settings)(NoiseBank(0).noise(range(64), shape)).double().flatten(1)
    assert abs(float(images.square().sum(1).mean()) - 16) < 3  # 4 standard errors: 4 * sqrt(2 * 16 / 64)
    inside = torch.stack([(images @ g.vectors).square().sum(1) for g in mixture.components], 1)
    assert float((inside.amax(1) / images.square().sum(1)).median()) > 0.9


def brute_force(images: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    distances = torch.cdist(x, images, compute_mode="donot_use_mm_for_euclid_dist").square()
    return torch.softmax(-distances / (2 * sigma[:, None] ** 2), dim=1) @ images


@pytest.mark.parametrize("sigma", [0.002, 0.05, 0.4, 2.0, 80.0])
def test_empirical_denoiser_is_proposition_1(sigma: float) -> None:
    """Over several chunks, from a training image's neighbourhood (sharp weights) to far away (flat weights)."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2 * CHUNK_IMAGES + 17, 48), generator=generator, dtype=torch.uint8)
    pixels = images.double() / 127.5 - 1
    noise = NoiseBank(1).noise(range(6), (48,)).double()
    x, sigmas = pixels[::1600][:6] + sigma * noise, torch.full((6,), sigma, dtype=torch.float64)
    answer = EmpiricalDenoiser(images, torch.device("cpu")).denoise(x, sigmas)
    # float32 products: squared distances near 50 are off by about 1e-5, logits by 1e-5 / (2 sigma^2)
    torch.testing.assert_close(answer, brute_force(pixels, x, sigmas), rtol=0, atol=2e-5)


def test_empirical_denoiser_separates_near_duplicates_at_small_noise() -> None:
    """Two images that differ by one step of one pixel: float32 distances alone would choose at random."""
    images = torch.randint(0, 256, (50, 3072), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[1] = images[0]
    images[1, 7] = (int(images[0, 7]) + 128) % 256
    images[2] = images[0]
    images[2, 7] += 1
    x = images[:3].double() / 127.5 - 1
    answer = EmpiricalDenoiser(images, torch.device("cpu")).denoise(x, torch.full((3,), 0.0005, dtype=torch.float64))
    assert torch.equal(((answer + 1) * 127.5).round(), images[:3].double())


def test_empirical_rows_do_not_depend_on_each_other() -> None:
    images = torch.randint(0, 256, (300, 48), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    denoiser = EmpiricalDenoiser(images, torch.device("cpu"))
    x = NoiseBank(1).noise(range(5), (48,)).double()
    sigma = torch.tensor([0.01, 0.1, 1.0, 3.0, 50.0], dtype=torch.float64)
    together = denoiser.denoise(x, sigma)
    alone = torch.cat([denoiser.denoise(x[i : i + 1], sigma[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def gaussian_settings(steps: int = 18) -> dict[str, object]:
    kernel = EDM()
    shape = (3, 2, 2)
    sampler = make_sampler("heun", kernel, steps=steps)
    return {"noise_shape": shape, "image_shape": shape, "kernel": kernel, "sampler": sampler}


def test_closed_form_flow_is_what_the_sampler_converges_to() -> None:
    """Sixteen times the steps divide the error of a second-order method by about 256."""
    generator = torch.Generator().manual_seed(2)
    vectors, _ = torch.linalg.qr(torch.randn(DIM, 5, generator=generator, dtype=torch.float64))
    gaussian = Gaussian(torch.full((DIM,), 0.1, dtype=torch.float64), vectors, torch.full((5,), 0.02).double(), 0.004)
    noise = NoiseBank(0).noise(range(8), (3, 2, 2))
    exact = GaussianFlowMap(gaussian, **gaussian_settings())(noise)
    gaps = [float((TheoryMap(gaussian.denoise, **gaussian_settings(n))(noise) - exact).abs().max()) for n in (18, 288)]
    assert exact.abs().max() < 1, "a clamped image would hide the error"
    assert gaps[1] < gaps[0] / 150


def test_gaussian_flow_reaches_the_data_covariance() -> None:
    gaussian = random_gaussian(0)
    x = NoiseBank(0).noise(range(20_000), (DIM,)).double() * 80
    images = gaussian.flow(x, torch.full((20_000,), 80.0, dtype=torch.float64))
    centred = images - gaussian.mean
    along = (centred @ gaussian.vectors).var(0)
    torch.testing.assert_close(along, gaussian.values, rtol=0.05, atol=0)  # 3 standard errors of a variance: 3 %
    outside = centred - centred @ gaussian.vectors @ gaussian.vectors.T
    assert math.isclose(float(outside.square().sum(1).mean()) / 7, gaussian.rest, rel_tol=0.03)


def test_the_closed_form_takes_no_choice_of_sampler() -> None:
    with pytest.raises(UsageError, match=r"computes its flow in closed form, in which steps=5 has no part"):
        load("theory-gaussian+steps=5")
    assert load("theory-gaussian+steps=5+flow=sampler").nfe == 9
