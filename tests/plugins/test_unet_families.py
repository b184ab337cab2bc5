"""score-SDE, EDM, multistage, consistency and ADM: files in the originals' formats give the originals' numbers.

The weights of each golden file are made again by formula, written in the format of the original, loaded by the family,
and its network and sampler held against what the original code computed (docs/fidelity.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from reprozoo import Condition, IntegrityError, LoadContext, ModelCard, NoiseBank, UsageError
from reprozoo.diffusion.kernels import at, kernel_from_config
from reprozoo.diffusion.samplers import RK45, ddim, make_sampler
from reprozoo.testing import assert_map_contract
from reprozoo.zoo.cards import UNKNOWN
from reprozoo.zoo.plugins import import_object, installed_plugins, installed_registry
from tests.families import load_family, relative
from tests.originals import few_steps, original_weights, written
from tests.seeded import Golden

NAMES = (
    "score-sde-ddpm", "score-sde-ddpmpp", "score-sde-ddpm-ode", "edm-ve", "edm-adm", "multistage-edm", "multistage-vp",
    "consistency-flax", "consistency-torch", "adm",
)  # fmt: skip
NETWORK_TOLERANCE = 1e-5  # relative, in norm: measured below 5e-6, another order of float32 sums
SAMPLE_TOLERANCE = 1e-4  # measured below 6e-5: the originals' float32 state, amplified by random networks


def load(golden: Golden, path: Path, *, weights: dict[str, Tensor] | None = None, **changes: Any) -> Any:
    file, form = written(path, golden.facts["format"], original_weights(golden) if weights is None else weights)
    return load_family(golden.facts["card"] | changes, {"weights": file}, formats={"weights": form})


def conditions(golden: Golden) -> list[Condition]:
    return [Condition(class_label=golden.facts.get("label"))]


@pytest.mark.parametrize("name", NAMES)
def test_network_is_the_originals(name: str, tmp_path: Path) -> None:
    golden = Golden.read(name)
    loaded = load(golden, tmp_path / "file", **few_steps(golden))
    classes = golden.facts["card"].get("num_classes")
    arguments = [torch.eye(classes)[[golden.facts["label"]]]] if classes else []
    x = NoiseBank(2).noise([0], loaded.noise_shape)
    for time, expected in zip(golden.facts["times"], golden.tensors["outputs"], strict=True):
        with torch.no_grad():
            output = loaded.network(x, torch.full((1,), time), *arguments)
        assert relative(output, expected) < NETWORK_TOLERANCE
    assert_map_contract(loaded)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("consistency", "adm"))])
def test_sampled_state_is_the_originals(name: str, tmp_path: Path) -> None:
    golden = Golden.read(name)
    loaded = load(golden, tmp_path / "file")
    x = loaded.kernel.initial_state(NoiseBank(1).noise([0], loaded.noise_shape).double())
    nfe = loaded.nfe
    with torch.no_grad():
        if isinstance(loaded.sampler, RK45):
            solution = loaded.sampler.solve(loaded.denoiser(conditions(golden)), x)
            state, nfe = solution.x, int(solution.nfe)
        else:
            state = loaded.sampler(loaded.denoiser(conditions(golden)), x)
    end = loaded.sampler.config().get("t_end")
    state = state * (at(loaded.kernel.alpha, end) if end else 1)  # the original's x_t of our state in data units
    assert relative(state, golden.tensors["sample"]) < SAMPLE_TOLERANCE
    assert nfe == golden.facts["nfe"]


@pytest.mark.parametrize("name", ["consistency-flax", "consistency-torch"])
def test_consistency_function_is_the_originals(name: str, tmp_path: Path) -> None:
    golden = Golden.read(name)
    loaded = load(golden, tmp_path / "file")
    noise = NoiseBank(1).noise([0], loaded.noise_shape)
    sigma = torch.full((1,), 80.0, dtype=torch.float64)
    with torch.no_grad():
        value = loaded.consistency(80 * noise.double(), sigma, conditions(golden))
        start = loaded.consistency(noise.double(), torch.full_like(sigma, 0.002), conditions(golden))
    assert relative(value, golden.tensors["sample"]) < NETWORK_TOLERANCE
    assert torch.equal(start, noise.double())  # the boundary condition
    assert torch.equal(loaded(noise, conditions(golden)).double(), value.clamp(-1, 1).float().double())


def test_adm_on_the_originals_levels(tmp_path: Path) -> None:
    """guided-diffusion's 25 levels of DDIM, which are not quite ours: there the same state."""
    golden = Golden.read("adm")
    loaded = load(golden, tmp_path / "file")
    alphas = torch.tensor(golden.facts["alphas"][::-1], dtype=torch.float64)
    sigmas = torch.cat([((1 - alphas) / alphas).sqrt(), torch.zeros(1, dtype=torch.float64)])
    x = NoiseBank(1).noise([0], loaded.noise_shape).double() / alphas[0].sqrt()
    with torch.no_grad():
        state = ddim(loaded.denoiser(conditions(golden)), x, sigmas)
    assert relative(state, golden.tensors["sample"]) < SAMPLE_TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_another_network_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    golden = Golden.read(name)
    deeper = golden.facts["card"]["network"] | {"num_blocks": 2}
    with pytest.raises(IntegrityError, match=r"another network|which its card's network needs"):
        load(golden, tmp_path / "deeper", network=deeper)
    changed = original_weights(golden)
    last = list(golden.weights())[-1]
    changed[last] = changed[last].repeat(2)
    with pytest.raises(IntegrityError, match="another network"):
        load(golden, tmp_path / "longer", weights=changed)


@pytest.mark.parametrize("name", ["score-sde-ddpm", "edm-ve", "multistage-vp", "consistency-torch"])
def test_unknown_architecture_is_a_sentence(name: str, tmp_path: Path) -> None:
    golden = Golden.read(name)
    with pytest.raises(UsageError, match="no architecture 'transformer'; expected"):
        load(golden, tmp_path / "file", network={"architecture": "transformer"})


def test_what_nobody_published_is_a_sentence(tmp_path: Path) -> None:
    golden = Golden.read("multistage-vp")
    network = golden.facts["card"]["network"] | {"stages": "unknown"}
    with pytest.raises(UsageError, match="nobody has published its stages"):
        load(golden, tmp_path / "file", network=network)


def test_nvidias_copy_of_a_score_sde_network(tmp_path: Path) -> None:
    """``baseline-cifar10-32x32-uncond-vp.pkl``: the same weights under EDM's names give the same network."""
    golden = Golden.read("score-sde-ddpmpp")
    original = load(golden, tmp_path / "original")
    save_file({f"model.{name}": t.contiguous() for name, t in original.network.state_dict().items()}, tmp_path / "copy")
    copy = load_family(golden.facts["card"], {"weights": tmp_path / "copy"})
    x, time = NoiseBank(2).noise([0], copy.noise_shape), torch.full((1,), 500.0)
    assert torch.equal(copy.network(x, time), original.network(x, time))


def test_stage_is_chosen_for_each_sample(tmp_path: Path) -> None:
    """The original asks the first of the batch alone; two samples in different stages are then wrong together."""
    golden = Golden.read("multistage-edm")
    loaded = load(golden, tmp_path / "file")
    x = NoiseBank(2).noise(range(4), loaded.noise_shape).double()
    sigma = torch.tensor([0.01, 5.0, 80.0, 2.5], dtype=torch.float64)
    assert loaded.network.stages(sigma.log() / 4).tolist() == [0, 1, 2, 0]
    together = loaded.denoise(x, sigma, [Condition()] * 4)
    alone = torch.cat([loaded.denoise(x[i : i + 1], sigma[i : i + 1], [Condition()]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)  # float32 sums in another order
    loaded.network.decs[1].requires_grad_(False)["16x16_aux_conv"].bias += 1
    changed = (loaded.denoise(x, sigma, [Condition()] * 4) - together).abs().amax((1, 2, 3)) > 1e-3
    assert changed.tolist() == [False, True, False, False]


class Built(Exception):
    """The network of a card was made, and its weights were asked for."""


class WithoutFiles(LoadContext):
    def checkpoint(self, name: str = "weights", *, parameter_names: Any = None) -> Any:
        raise Built


FAMILIES = ("score_sde", "edm", "multistage", "consistency", "adm")
CARDS = [card for card in installed_registry().models.values() if card.family in FAMILIES]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_every_card_describes_a_network(card: ModelCard) -> None:
    """Its table is arguments that the network takes, and its kernel and sampler go with each other."""
    kernel = kernel_from_config(card.kernel) if card.kernel else None
    options = dict(card.sampler)
    sampler = make_sampler(options.pop("name"), kernel, **options) if kernel else None
    context = WithoutFiles(card, {}, {"weights": Path()}, kernel=kernel, sampler=sampler)
    family = installed_plugins().family(card.family).value
    unpublished = UNKNOWN in card.network.values()
    with torch.device("meta"), pytest.raises(UsageError if unpublished else Built):
        import_object(family.load)(context)
