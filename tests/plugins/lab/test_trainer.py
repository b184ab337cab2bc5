"""Training: what is promised about resuming, stopping, averaging, recipes and objectives."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reprozoo_plugins.lab.checkpoint import export_weights, load_checkpoint
from reprozoo_plugins.lab.command import find_recipe, training_images
from reprozoo_plugins.lab.ema import ema_decay, update_ema
from reprozoo_plugins.lab.objectives import OBJECTIVES, EDMObjective, Objective, VPEpsObjective, objective
from reprozoo_plugins.lab.recipe import Recipe
from reprozoo_plugins.lab.trainer import Trainer, build_network, learning_rate, step_seed
from torch import Tensor

from reprozoo import IntegrityError, NoiseBank, UsageError
from reprozoo.kernels import per_sample

RECIPES = sorted((Path(__file__).parents[3] / "registry" / "recipes").glob("*.toml"))

UNET = {"name": "song_unet", "img_resolution": 8, "model_channels": 8, "channel_mult": [1, 1], "num_blocks": 1}
UVIT = {"name": "uvit", "img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}


def recipe(objective: str = "edm", network: dict[str, Any] | None = None, **training: Any) -> Recipe:
    table = {
        "id": "tiny",
        "about": "test",
        "network": network or {**UNET, "dropout": 0.1},
        "objective": {"name": objective},
        "data": {"name": "random", "images_sha256": "none"},
        "training": {"seed": 3, "images": 32, "batch_size": 4, "lr": 1e-2, "warmup_images": 8} | training,
        "output": {"log_images": 8, "checkpoint_minutes": 60, "sheet_images": 16, "sheet_steps": 3},
    }
    return Recipe.from_table(table)


def pictures() -> Tensor:
    return torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def trained(recipe: Recipe, folder: Path, *, resume: bool = False, stop_after: int | None = None) -> dict[str, Any]:
    trainer = Trainer(recipe, pictures(), folder, resume=resume, report=lambda line: None)
    if stop_after is not None:
        trainer.optimizer.register_step_post_hook(lambda *_: trainer.step == stop_after and trainer.request_stop())
    trainer.run()
    return load_checkpoint(folder / "checkpoint.pt")


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in sorted(value, key=str) for leaf in leaves(value[key])]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list | tuple) else [value]


def same_bits(left: Any, right: Any) -> bool:
    pairs = list(zip(leaves(left), leaves(right), strict=True))
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)


@pytest.mark.parametrize(
    "configured",
    [
        recipe(),
        recipe("vp_eps", UVIT, autocast="bfloat16", grad_clip=1.0, flip=True),
        recipe(decay_images=16, channels_last=True),
    ],
)
def test_resumed_training_has_the_same_bits(configured: Recipe, tmp_path: Path) -> None:
    whole = trained(configured, tmp_path / "whole")
    part = trained(configured, tmp_path / "parts", stop_after=3)
    resumed = trained(configured, tmp_path / "parts", resume=True)
    assert (part["step"], whole["step"], resumed["step"]) == (3, 8, 8)
    for key in ("network", "average", "optimizer"):
        assert not same_bits(part[key], whole[key])
        assert same_bits(resumed[key], whole[key]), key


def test_another_seed_is_another_training(tmp_path: Path) -> None:
    first, second = (trained(recipe(seed=seed), tmp_path / str(seed)) for seed in (3, 4))
    assert not same_bits(first["average"], second["average"])


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    """On one image, prediction is easy."""
    configured = recipe(images=1600, batch_size=16, network=UNET)
    trainer = Trainer(configured, pictures()[:1], tmp_path, report=lambda line: None)
    losses = [float(trainer._train_step()) for _ in range(100)]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_sheet_leaves_the_weights_and_the_course_alone(tmp_path: Path) -> None:
    trainer = Trainer(recipe(), pictures(), tmp_path, report=lambda line: None)
    trainer._train_step()
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    path = trainer.save_sheet()
    assert path.stat().st_size > 0
    assert trainer.network.training
    assert same_bits(before, dict(trainer.network.state_dict()))


def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    good = trained(recipe(), tmp_path, stop_after=2)
    trainer = Trainer(recipe(), pictures(), tmp_path, resume=True, report=lambda line: None)
    next(trainer.network.parameters()).data.fill_(math.nan)
    with pytest.raises(IntegrityError, match=r"the loss is nan after 16 images; checkpoint\.pt is from before"):
        trainer.run()
    assert same_bits(load_checkpoint(tmp_path / "checkpoint.pt"), good)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    good = trained(recipe(), tmp_path, stop_after=2)
    trainer = Trainer(recipe(), pictures(), tmp_path, resume=True, report=lambda line: None)
    next(trainer.network.parameters()).data.view(-1)[0] = math.inf
    with pytest.raises(IntegrityError, match="a weight is not finite after 8 images"):
        trainer.save()
    assert same_bits(load_checkpoint(tmp_path / "checkpoint.pt"), good)


def test_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    trained(recipe(), tmp_path, stop_after=1)
    with pytest.raises(UsageError, match="holds a run already; resume it"):
        Trainer(recipe(), pictures(), tmp_path)


def test_resuming_nothing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no checkpoint"):
        Trainer(recipe(), pictures(), tmp_path, resume=True)


def test_resuming_with_another_recipe_is_an_error_but_a_longer_one_is_not(tmp_path: Path) -> None:
    trained(recipe(), tmp_path, stop_after=1)
    with pytest.raises(UsageError, match=r"another training\.lr; start a new run"):
        Trainer(recipe(lr=2e-2), pictures(), tmp_path, resume=True)
    longer = trained(recipe(images=40, decay_images=8), tmp_path, resume=True)
    assert longer["images_seen"] == 40


def test_export_is_the_average_in_float16(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    fourier = {**UNET, "embedding_type": "fourier", "resample_filter": [1, 3, 3, 1]}
    state = trained(recipe(network=fourier), tmp_path)
    output = tmp_path / "tiny.safetensors"
    training = export_weights(tmp_path / "checkpoint.pt", output)
    export_weights(tmp_path / "checkpoint.pt", tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == output.read_bytes()
    tensors = load_file(output)
    assert tensors.keys() == state["network"].keys()
    assert all(torch.equal(tensors[name], value.half()) for name, value in state["average"].items())
    assert torch.equal(tensors["map_noise.freqs"], state["network"]["map_noise.freqs"])
    with safe_open(output, framework="pt") as file:
        assert json.loads(file.metadata()["training"]) == training
    assert training["images_seen"] == 32
    assert training["recipe"]["id"] == "tiny"
    build_network(recipe(network=fourier).network).load_state_dict(tensors, strict=True)


def test_ema_formula() -> None:
    def decay(seen: int) -> float:
        return ema_decay(seen, 50, halflife_images=100, rampup_ratio=0.1)

    assert decay(0) == 0.0
    assert decay(500) == pytest.approx(0.5)  # the half-life is still 50 images, one batch
    assert decay(10**9) == pytest.approx(0.5**0.5)
    average, weights = [torch.zeros(3)], [torch.ones(3)]
    for _ in range(2):  # one half-life of constant weights covers half of the way
        update_ema(average, weights, decay(10**9))
    torch.testing.assert_close(average[0], torch.full((3,), 0.5))


def test_learning_rate_rises_stays_and_falls() -> None:
    configured = recipe(images=100, warmup_images=10, decay_images=20, lr=1.0)
    rates = [learning_rate(seen, configured) for seen in (0, 5, 10, 80, 90, 100)]
    assert rates == pytest.approx([0, 0.5, 1, 1, 0.5, 0])


def test_seeds_of_steps_do_not_collide() -> None:
    seeds = {step_seed(seed, step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_read_and_fit(path: Path) -> None:
    shipped = Recipe.read(path)
    assert shipped.id == path.stem
    assert not shipped.training.flip
    objective(shipped.objective.name, shipped.objective.options)
    network = build_network(shipped.network)
    assert sum(parameter.numel() for parameter in network.parameters()) <= 2_500_000
    assert Recipe.from_table(json.loads(shipped.to_json())) == shipped


def test_there_are_shipped_recipes() -> None:
    assert {"tiny-edm", "tiny-uvit"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("training", "lrr", 1e-3), r"unknown key 'lrr' in \[training\]; known are seed, images"),
        ((None, "tranining", {}), r"unknown key 'tranining' in \[recipe\]"),
        (("training", "seed", None), r"\[training\] lacks 'seed'"),
        (("training", "seed", "one"), r"training\.seed is 'one'; it must be of type int"),
        (("training", "flip", 1), r"training\.flip is 1; it must be of type bool"),
        (("training", "adam_betas", [0.9]), r"training\.adam_betas is \[0\.9\]; it must be 2 numbers"),
        (("data", "limit", "all"), r"data\.limit is 'all'; it must be of type int"),
        ((None, "data", 3), r"\[data\] must be a table, not 3"),
    ],
)
def test_wrong_recipe_is_a_sentence(change: tuple[str | None, str, Any], sentence: str) -> None:
    table = json.loads(recipe().to_json())
    section, key, value = change
    (table if section is None else table[section])[key] = value
    with pytest.raises(UsageError, match=sentence):
        Recipe.from_table(table)


@pytest.mark.parametrize(("name", "option"), [("unet", {}), ("uvit", {"widht": 3})])
def test_unknown_network_or_option_is_a_sentence(name: str, option: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"unknown network 'unet'|network 'uvit': .*widht"):
        build_network(recipe(network={"name": name, **option}).network)


def test_unknown_objective_or_option_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="unknown objective 'score'; there are: edm, vp_eps"):
        objective("score", {})
    with pytest.raises(UsageError, match=r"objective 'edm': .*p_meen"):
        objective("edm", {"p_meen": 1})


def test_toml_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("id = ")
    with pytest.raises(UsageError, match=r"broken\.toml is not a TOML file"):
        Recipe.read(path)


def test_other_images_are_refused(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=array)
    place = str(tmp_path / "set.npz")
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    plain = recipe()
    named = replace(plain, data=replace(plain.data, images_sha256=digest, limit=4))
    assert torch.equal(training_images(named, place), torch.from_numpy(array[:4]).permute(0, 3, 1, 2))
    with pytest.raises(IntegrityError, match="holds other images than the recipe's"):
        training_images(plain, place)


def test_recipes_are_found_by_id() -> None:
    assert find_recipe("tiny-edm").name == "tiny-edm.toml"
    with pytest.raises(UsageError, match=r"there is no recipe 'tiny-emd' .did you mean 'tiny-edm'"):
        find_recipe("tiny-emd")


class Gaussian:
    """The best network for data N(mean, std²): whatever the objective asks for, in closed form."""

    def __init__(self, objective: Objective, mean: float, std: float) -> None:
        self.objective, self.mean, self.std = objective, mean, std

    def x0(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x0 + sigma noise = x]."""
        return (self.std**2 * x + sigma**2 * self.mean) / (self.std**2 + sigma**2)

    def __call__(self, scaled: Tensor, label: Tensor) -> Tensor:
        if isinstance(self.objective, EDMObjective):
            sigma = (4 * label).exp()
            x = scaled * per_sample((sigma**2 + self.objective.sigma_data**2).sqrt(), scaled)
            x0 = self.x0(x, per_sample(sigma, x))
            return self.objective.target(x0, torch.zeros_like(x), x, sigma)
        assert isinstance(self.objective, VPEpsObjective)
        t = label.double() / self.objective.time_scale
        alpha = per_sample(self.objective.kernel.alpha(t), scaled).to(scaled.dtype)
        sigma = per_sample(self.objective.kernel.sigma(t), scaled).to(scaled.dtype)
        return (scaled / alpha - self.x0(scaled / alpha, sigma)) / sigma


@pytest.mark.parametrize("name", OBJECTIVES)
def test_denoise_undoes_the_target(name: str) -> None:
    chosen = OBJECTIVES[name]()
    network = Gaussian(chosen, 0.3, 0.4)
    x = torch.randn(6, 3, 2, 2, dtype=torch.float64)
    sigma = torch.tensor([0.02, 0.1, 0.5, 2.0, 10.0, 70.0], dtype=torch.float64)
    expected = network.x0(x, sigma.reshape(-1, 1, 1, 1))
    torch.testing.assert_close(chosen.denoise(network, x, sigma), expected)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_best_network_has_the_least_loss(name: str) -> None:
    chosen = OBJECTIVES[name]()
    generator = torch.Generator().manual_seed(0)
    x0 = 0.3 + 0.4 * torch.randn(4000, 1, 2, 2, generator=generator)
    noise, t = torch.randn(x0.shape, generator=generator), chosen.draw_times(4000, generator)

    def loss(mean: float, std: float) -> float:
        return float(chosen.loss(Gaussian(chosen, mean, std), x0, noise, t).mean())

    best = loss(0.3, 0.4)
    assert all(loss(*other) > best for other in ((0.2, 0.4), (0.4, 0.4), (0.3, 0.3), (0.3, 0.5)))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_sampling_a_gaussian_gives_the_exact_images(name: str) -> None:
    """The probability-flow ODE is linear on Gaussian data: its solution is known. Heun's error is of second order."""
    chosen = OBJECTIVES[name]()
    noise = NoiseBank(0).noise(range(500), (1, 2, 2))
    kernel = chosen.kernel
    start, high = kernel.initial_state(noise.double()), float(kernel.sigma(torch.tensor(kernel.t_max).double()))
    exact = 0.3 + (start - 0.3) * 0.4 / math.sqrt(0.4**2 + high**2)

    def error(steps: int) -> float:
        return float((chosen.sample(Gaussian(chosen, 0.3, 0.4), noise, steps=steps) - exact).abs().mean())

    # 5.5: the network's input and output are float32, and at 40 steps the error is still a little above second order
    assert 3 < error(20) / error(40) < 5.5


def test_vp_weight_is_a_power_of_sigma_from_one_up() -> None:
    chosen = VPEpsObjective(weight_power=2.0)
    sigma = torch.tensor([0.1, 1.0, 3.0, 100.0], dtype=torch.float64)
    expected = torch.tensor([1.0, 1.0, 9.0, 10_000.0], dtype=torch.float64)
    torch.testing.assert_close(chosen.weight(sigma), expected)
    assert torch.equal(VPEpsObjective().weight(torch.linspace(1e-3, 100, 9)), torch.ones(9))


def test_edm_target_has_unit_variance() -> None:
    """The point of the preconditioning: for data of std sigma_data, at every noise level."""
    chosen = EDMObjective()
    for sigma in (0.01, 0.5, 40.0):
        x0, noise = 0.5 * torch.randn(20_000, 1, 1, 1), torch.randn(20_000, 1, 1, 1)
        x = x0 + sigma * noise
        target = chosen.target(x0, noise, x, torch.full((20_000,), sigma))
        assert float(target.std()) == pytest.approx(1.0, abs=0.03)


def test_recipe_writes_its_defaults_out() -> None:
    assert json.loads(recipe().to_json())["training"]["ema_halflife_images"] == 100_000
