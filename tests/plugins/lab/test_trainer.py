"""The training loop: what is promised about resuming, stopping, averaging, and starting from another model."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from reprozoo_plugins.lab.checkpoint import export_weights, load_checkpoint
from reprozoo_plugins.lab.ema import ema_decay, update_ema
from reprozoo_plugins.lab.networks import HIDDEN, Classes, build_network
from reprozoo_plugins.lab.others import Others
from reprozoo_plugins.lab.recipe import Recipe
from reprozoo_plugins.lab.trainer import learning_rate, step_seed

from reprozoo import IntegrityError, UsageError
from tests.plugins.lab.runs import KINDS, UNET, UVIT, others, pictures, randomised, recipe, same_bits, trained, trainer

PARTS = ("network", "average", "optimizer", "companions", "rivals")
VARIANTS = {
    "autocast": recipe("vp_eps", autocast="bfloat16", grad_clip=1.0, flip=True),
    "channels-last": recipe(decay_images=16, channels_last=True),
    "classes": recipe(network={**UNET, "label_dim": 4}, label_dropout=0.3),
    "class-numbers": recipe("vp_eps", {**UVIT, "num_classes": 5}, label_dropout=0.3),
    "some-parameters": recipe(network=UNET, trainable=["*.conv0.*"]),
}


@pytest.mark.parametrize("configured", [*map(recipe, KINDS), *VARIANTS.values()], ids=[*KINDS, *VARIANTS])
def test_resumed_training_has_the_same_bits(configured: Recipe, tmp_path: Path) -> None:
    data = pictures(classes=4)
    whole = trained(configured, tmp_path / "whole", data=data)
    part = trained(configured, tmp_path / "parts", data=data, stop_after=3)
    resumed = trained(configured, tmp_path / "parts", data=data, resume=True)
    assert (part["step"], whole["step"], resumed["step"]) == (3, 8, 8)
    for key in PARTS:
        assert same_bits(resumed[key], whole[key]), key
    for key in ("network", "average", "optimizer"):
        assert not same_bits(part[key], whole[key]), key


def test_another_seed_is_another_training(tmp_path: Path) -> None:
    first, second = (trained(recipe(seed=seed), tmp_path / str(seed)) for seed in (3, 4))
    assert not same_bits(first["average"], second["average"])


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    """On one picture, prediction is easy."""
    run = trainer(recipe(network=UNET, images=640, batch_size=16), tmp_path, pictures(1))
    losses = [float(run._train_step()) for _ in range(40)]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_sheet_leaves_the_weights_and_the_course_alone(tmp_path: Path) -> None:
    run = trainer(recipe(), tmp_path)
    run._train_step()
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    run.save_sheet()
    assert (tmp_path / "sheet-000000004.png").stat().st_size > 0
    assert run.network.training
    assert same_bits(before, dict(run.network.state_dict()))


def test_losses_are_recorded_and_drawn(tmp_path: Path) -> None:
    trained(recipe(), tmp_path)
    lines = (tmp_path / "loss.csv").read_text().splitlines()
    assert lines[0] == "images_seen,loss,lr,images_per_s"
    assert [line.split(",")[0] for line in lines[1:]] == ["8", "16", "24", "32"]
    curve = (tmp_path / "loss.svg").read_text()
    assert curve.count(" ", curve.index('points="'), curve.index('" fill', curve.index('points="'))) == 3
    assert "32 images" in curve


def test_rows_of_lost_steps_are_forgotten(tmp_path: Path) -> None:
    """After a crash a run begins again at its checkpoint, not where its table of losses ends."""
    trained(recipe(), tmp_path, stop_after=2)
    with (tmp_path / "loss.csv").open("a") as file:
        file.write("16,lost,1e-2,1.0\n24,lost,1e-2,1.0\n")
    trained(recipe(), tmp_path, resume=True)
    lines = (tmp_path / "loss.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["8", "16", "24", "32"]
    assert "lost" not in "".join(lines)


def test_where_a_run_ends_is_not_in_what_it_exports(tmp_path: Path) -> None:
    trained(recipe(), tmp_path / "whole")
    trained(recipe(images=4000), tmp_path / "ended", end_images=32)
    again = trainer(recipe(images=4000), tmp_path / "ended", end_images=1, resume=True)
    assert again.finished
    before = (tmp_path / "ended" / "weights.safetensors").read_bytes()
    again.run()
    assert (tmp_path / "ended" / "weights.safetensors").read_bytes() == before
    whole, ended = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "ended"))
    assert same_bits(whole["average"], ended["average"])


def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    good = trained(recipe(), tmp_path, stop_after=2)
    run = trainer(recipe(), tmp_path, resume=True)
    next(run.network.parameters()).data.fill_(math.nan)
    with pytest.raises(IntegrityError, match=r"the loss is nan after 16 images; checkpoint\.pt is from before"):
        run.run()
    assert same_bits(load_checkpoint(tmp_path / "checkpoint.pt"), good)


@pytest.mark.parametrize("module", ["network", "critic"])
def test_weights_that_are_not_finite_are_not_saved(module: str, tmp_path: Path) -> None:
    good = trained(recipe("gan"), tmp_path, stop_after=2)
    run = trainer(recipe("gan"), tmp_path, resume=True)
    next(run.modules[module].parameters()).data.view(-1)[0] = math.inf
    with pytest.raises(IntegrityError, match="a weight is not finite after 8 images"):
        run.save()
    assert same_bits(load_checkpoint(tmp_path / "checkpoint.pt"), good)


def test_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    trained(recipe(), tmp_path, stop_after=1)
    with pytest.raises(UsageError, match="holds a run already; resume it"):
        trainer(recipe(), tmp_path)


def test_resuming_nothing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no checkpoint"):
        trainer(recipe(), tmp_path, resume=True)


def test_resuming_with_another_recipe_is_an_error_but_a_longer_one_is_not(tmp_path: Path) -> None:
    trained(recipe(), tmp_path, stop_after=1)
    with pytest.raises(UsageError, match=r"another training\.lr; start a new run"):
        trainer(recipe(lr=2e-2), tmp_path, resume=True)
    longer = trained(recipe(images=40, decay_images=8), tmp_path, resume=True)
    assert longer["images_seen"] == 40


def test_resuming_with_other_data_or_another_teacher_is_an_error(tmp_path: Path) -> None:
    configured = recipe("progressive")
    trained(configured, tmp_path, stop_after=1)
    with pytest.raises(IntegrityError, match="trained with another data: sha256"):
        trainer(configured, tmp_path, pictures(19), resume=True)
    stranger = replace(others(configured), digests={"teacher": "another"})
    with pytest.raises(IntegrityError, match="trained with another teacher: sha256"):
        trainer(configured, tmp_path, others=stranger, resume=True)


def test_checkpoints_of_the_first_version_are_resumed(tmp_path: Path) -> None:
    """They say nothing of data, companions and time, and their recipes lack the keys that came later."""
    whole = trained(recipe(), tmp_path / "whole")
    old = trained(recipe(), tmp_path / "old", stop_after=3)
    table = json.loads(old["recipe"])
    table = {key: value for key, value in table.items() if key not in ("start", "teacher", "critic", "encoder")}
    later = {"data": ("labels_sha256", "classes", "part", "first_noise"), "training": ("label_dropout", "trainable")}
    for section, keys in later.items():
        table[section] = {key: value for key, value in table[section].items() if key not in keys}
    first = {key: old[key] for key in ("step", "images_seen", "loss", "network", "average", "optimizer")}
    torch.save({**first, "recipe": json.dumps(table)}, tmp_path / "old" / "checkpoint.pt")
    resumed = trained(recipe(), tmp_path / "old", resume=True)
    assert same_bits(resumed["average"], whole["average"])


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


def test_running_averages_of_batch_norms_are_averaged_and_exported_as_they_are(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = trained(recipe("gan"), tmp_path)
    name = "last_conv.0.running_mean"
    exported = load_file(tmp_path / "weights.safetensors")[name]
    assert torch.equal(exported, state["average"][name])
    assert not torch.equal(exported, state["network"][name])


def test_training_starts_from_another_models_weights(tmp_path: Path) -> None:
    configured = recipe(network=UNET, lr=0.0)
    start = randomised(configured).state_dict()
    state = trained(configured, tmp_path, others=Others(start=start), stop_after=1)
    assert same_bits(state["network"], dict(start))
    narrower = recipe(network={**UNET, "model_channels": 4})
    with pytest.raises(UsageError, match="starts from has another network"):
        trainer(narrower, tmp_path / "other", others=Others(start=start))


def test_only_the_parameters_that_patterns_name_are_trained(tmp_path: Path) -> None:
    network = {**UNET, "attn_resolutions": [8]}
    configured = recipe(network=network, trainable=["*.qkv.*", "*.proj.*"])
    start = randomised(configured).state_dict()
    state = trained(configured, tmp_path, others=Others(start=start))
    changed = {name for name, value in state["network"].items() if not torch.equal(value, start[name])}
    assert changed
    assert all(".qkv." in name or ".proj." in name for name in changed)
    with pytest.raises(UsageError, match=r"trainable names no parameter of the network: \*\.attention"):
        trainer(recipe(trainable=["*.attention"]), tmp_path / "none")


@pytest.mark.parametrize(("kind", "missing"), [("progressive", "teacher"), ("gan", "critic"), ("vae", "encoder")])
def test_an_objective_says_what_the_recipe_lacks(kind: str, missing: str, tmp_path: Path) -> None:
    table = json.loads(recipe(kind).to_json())
    table[missing] = None
    with pytest.raises(UsageError, match=rf"{kind} needs a (teacher|network beside it).*\[{missing}\]"):
        trainer(Recipe.from_table(table), tmp_path)


def test_classes_are_told_and_hidden() -> None:
    labels = torch.tensor([0, 2, HIDDEN])
    rows = Classes(recipe(network={**UNET, "label_dim": 3}).network).encode(labels)
    assert rows is not None
    assert rows.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    numbers = Classes(recipe(network={**UVIT, "num_classes": 4}).network)
    encoded = numbers.encode(labels)
    assert encoded is not None
    assert encoded.tolist() == [0, 2, 3]
    assert Classes(recipe().network).encode(labels) is None
    with pytest.raises(UsageError, match="the data no labels"):
        numbers.check(None, dropout=0)
    numbers.check(torch.tensor([3]), dropout=0)
    with pytest.raises(UsageError, match="has 4 classes; the labels and label_dropout need 5"):
        numbers.check(torch.tensor([3]), dropout=0.1)


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
    rates = [learning_rate(seen, configured.training, 100) for seen in (0, 5, 10, 80, 90, 100)]
    assert rates == pytest.approx([0, 0.5, 1, 1, 0.5, 0])
    assert learning_rate(90, configured.training, 200) == 1


def test_the_critic_has_its_own_learning_rate(tmp_path: Path) -> None:
    table: dict[str, Any] = json.loads(recipe("gan", warmup_images=0).to_json())
    table["objective"]["options"]["critic_lr_ratio"] = 4.0
    run = trainer(Recipe.from_table(table), tmp_path)
    run._train_step()
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in run.optimizers.items()}
    assert rates == {"network": 1e-2, "critic": 4e-2}


def test_what_r1_differentiates_twice_is_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    run = trainer(recipe("gan", compile=True), tmp_path)
    assert compiled == [run.modules["network"]]
    run.run()


def test_seeds_of_steps_do_not_collide() -> None:
    seeds = {step_seed(seed, step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000
