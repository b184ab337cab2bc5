"""Recipes: what a file may say, and that every one that ships makes the very network of its card."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from reprozoo_plugins.lab.checkpoint import export_weights, save_checkpoint
from reprozoo_plugins.lab.networks import Classes, build_network
from reprozoo_plugins.lab.objectives import DenoisingObjective, objective
from reprozoo_plugins.lab.objectives.consistency import ConsistencyObjective
from reprozoo_plugins.lab.objectives.progressive import ProgressiveDistillation
from reprozoo_plugins.lab.others import other_models
from reprozoo_plugins.lab.recipe import Recipe, find_recipe
from safetensors.torch import load_file
from torch import Tensor

from reprozoo import Condition, NoiseBank, UsageError
from reprozoo.diffusion.denoisers import DenoiserMap
from reprozoo.maps.images import to_uint8
from reprozoo.zoo.cards import BundledSource, UntrainedSource
from reprozoo.zoo.plugins import installed_registry
from tests.families import load_family
from tests.plugins.lab.runs import UNET, randomised, recipe

ROOT = Path(__file__).parents[3]
SHIPPED = {path.stem: path for path in sorted((ROOT / "registry" / "recipes").glob("*.toml"))}
# The members of the tiny zoo; tiny-edm is also tiny-edm-vp. tiny-progressive-teacher is what the students come from.
MEMBERS = """
tiny-ddpm tiny-ddpmpp-subvp tiny-edm tiny-edm-ve tiny-multistage tiny-uvit tiny-dit tiny-cd tiny-ct
tiny-progressive-teacher tiny-progressive-1 tiny-progressive-4 tiny-progressive-16 tiny-flow
tiny-edm-cond tiny-uvit-cond tiny-multistage-cond tiny-gan-a tiny-gan-b tiny-vae-a tiny-vae-b
tiny-w32-n64 tiny-w32-n512 tiny-w32-n4096 tiny-w32-n32768 tiny-w64-n64 tiny-w64-n512 tiny-w64-n4096 tiny-w64-n32768
tiny-edm-half-a tiny-edm-half-b tiny-parent tiny-child-same tiny-child-other tiny-child-attention
"""
LARGEST = 2_500_000  # parameters
LARGEST_BYTES = 5_000_000
LARGEST_TOGETHER = 80_000_000
SIGMAS = (0.05, 0.8, 6.0, 60.0)


def shipped(name: str) -> Recipe:
    return Recipe.read(SHIPPED[name])


def test_every_member_has_a_recipe_and_a_card() -> None:
    tiny = {card.id for card in installed_registry().models.values() if card.id.startswith("tiny-")}
    assert set(MEMBERS.split()) == set(SHIPPED) == tiny
    assert installed_registry().model("tiny-edm-vp").id == "tiny-edm"


def test_trained_members_are_small_together_and_their_samples_are_in_the_docs() -> None:
    trained = [path for path in sorted((ROOT / "registry" / "weights").glob("*.safetensors")) if path.stem in SHIPPED]
    assert 0 < sum(path.stat().st_size for path in trained) <= LARGEST_TOGETHER
    page = (ROOT / "docs" / "tiny-zoo.md").read_text()
    for path in trained:
        assert f"](sheets/{path.stem}.png)" in page
        assert (ROOT / "docs" / "sheets" / f"{path.stem}.png").exists()


@pytest.mark.parametrize("name", SHIPPED)
def test_recipe_is_read_and_its_network_is_small(name: str) -> None:
    read = shipped(name)
    assert read.id == name
    assert not read.training.flip
    assert Recipe.from_json(read.to_json()) == read
    with torch.device("meta"):
        network = build_network(read.network)
    assert sum(parameter.numel() for parameter in network.parameters()) <= LARGEST
    Classes(read.network).check(torch.arange(10), dropout=read.training.label_dropout)
    chosen = objective(read.objective.name, read.objective.options)
    assert not chosen.needs_teacher or read.teacher is not None
    assert not chosen.beside or getattr(read, chosen.beside) is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_card_says_what_the_recipe_does(name: str) -> None:
    card, read = installed_registry().model(name), shipped(name)
    assert card.training["recipe"] == f"recipes/{name}.toml"
    (source,) = card.weights
    assert isinstance(source, (UntrainedSource, BundledSource))
    if isinstance(source, UntrainedSource):
        assert source.recipe == name
    else:
        assert source.file == f"weights/{name}.safetensors"
        assert (card.home / source.file).stat().st_size <= LARGEST_BYTES
    assert (card.num_classes or 0) == (10 if read.data.labels_sha256 else 0)
    whole = read.made_by is None and read.data.part is None and read.data.classes is None
    trained_on = ("cifar10", "train") if whole else ("recipe-data", name)
    assert (card.training["dataset"], card.training["split"]) == trained_on
    chosen = objective(read.objective.name, read.objective.options)
    family_keys = {"architecture", "sigma_data", "stages", "student_steps"}
    trainer_keys = {"stage_starts", "shared_middle"}
    assert {key: value for key, value in card.network.items() if key not in family_keys} == {
        key: value for key, value in read.network.options.items() if key not in trainer_keys
    }
    assert card.network.get("sigma_data", 0.5) == getattr(chosen, "sigma_data", 0.5)
    if isinstance(chosen, ProgressiveDistillation):
        assert chosen.student_steps == card.sampler["steps"] == card.network.get("student_steps", chosen.student_steps)
    if isinstance(chosen, DenoisingObjective):
        assert chosen.kernel.config() == card.kernel
    assert chosen.noise_shape(card.image_shape) == card.noise_shape


def different() -> list[str]:
    """One recipe of each network and objective."""
    kinds = {(r.network.name, str(r.network.options), r.objective.name): r.id for r in map(shipped, SHIPPED)}
    return sorted(kinds.values())


@pytest.mark.parametrize("name", different())
def test_what_a_run_exports_is_what_its_family_loads(name: str, tmp_path: Path) -> None:
    """The trainer's network and the card's family give the same images of the same weights, rounded to float16."""
    card, read = installed_registry().model(name), shipped(name)
    network = randomised(read)
    parameters = {parameter for parameter, _ in network.named_parameters()}
    state = network.state_dict()
    save_checkpoint(
        tmp_path / "checkpoint.pt",
        {"recipe": read.to_json(), "step": 1, "images_seen": 64, "loss": 0.0, "network": state,
         "average": {key: value for key, value in state.items() if key in parameters}},
    )  # fmt: skip
    file = tmp_path / "weights.safetensors"
    export_weights(tmp_path / "checkpoint.pt", file)
    assert file.stat().st_size <= LARGEST_BYTES
    network.load_state_dict(load_file(file))
    facts = {key: getattr(card, key) for key in ("family", "network", "noise_shape", "image_shape", "num_classes")}
    facts |= {"kernel": card.kernel, "sampler": card.sampler} if card.kernel else {}
    loaded: Any = load_family(facts, {"weights": file})
    noise = NoiseBank(0).noise(range(len(SIGMAS)), card.noise_shape)
    conditions = [Condition(class_label=i if card.num_classes else None) for i in range(len(noise))]
    chosen = objective(read.objective.name, read.objective.options)
    classes = Classes(read.network).encode(torch.arange(len(noise))) if card.num_classes else None

    def called(x: Tensor, *time: Tensor) -> Tensor:
        return network(x, *time) if classes is None else network(x, *time, classes)

    with torch.no_grad():
        if isinstance(loaded, DenoiserMap):
            assert isinstance(chosen, DenoisingObjective)
            sigma = torch.tensor(SIGMAS)
            x = 0.3 + sigma[:, None, None, None] * noise
            found = loaded.denoise(x.double(), sigma.double(), conditions).float()
            expected = chosen.denoise(called, x, sigma)
        else:
            found = loaded(noise, conditions)
            expected = chosen.sample(called, noise, steps=1).clamp(-1, 1)
    # The trainer's state is float32, and what a network says of the noise is multiplied by up to sigma = 60: 2.3e-4.
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)
    assert isinstance(chosen, (DenoisingObjective, ConsistencyObjective)) or len(to_uint8(found).unique()) > 10


def test_models_that_recipes_need_are_members_and_come_first() -> None:
    needed = {
        name: {spec.model for spec in (read.start, read.teacher) if spec} | ({read.made_by} if read.made_by else set())
        for name, read in ((name, shipped(name)) for name in SHIPPED)
    }
    done: set[str] = set()
    while ready := {name for name, others in needed.items() if others <= done and name not in done}:
        done |= ready
    assert done == set(SHIPPED)
    for name, read in ((name, shipped(name)) for name in SHIPPED):
        for spec in filter(None, (read.start, read.teacher)):
            assert shipped(spec.model).network == read.network, name


def test_regimes_are_beginnings_of_one_set_of_noises_that_nothing_else_uses() -> None:
    regimes = [shipped(name) for name in SHIPPED if name.startswith("tiny-w")]
    assert {read.data.limit for read in regimes} == {64, 512, 4096, 32768}
    assert {read.data.first_noise for read in regimes} == {2**40}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("training", "lrr", 1e-3), "the recipe: [training]: there is no key \"lrr\" here (did you mean 'lr'?)"),
        (("training", "zzz", 1), 'the recipe: [training]: there is no key "zzz" here; known are seed, images'),
        ((None, "tranining", {}), "the recipe: there is no key \"tranining\" here (did you mean 'training'?)"),
        (("training", "seed", None), "the recipe: [training] seed: expected a whole number, got null"),
        (("training", "seed", "one"), 'the recipe: [training] seed: expected a whole number, got "one"'),
        (("training", "flip", 1), "[training] flip: expected true or false, got 1"),
        (("training", "adam_betas", [0.9]), "[training] adam_betas: expected a list of 2 numbers, got [0.9]"),
        (("training", "trainable", "all"), '[training] trainable: expected a list of texts, got "all"'),
        (("training", "trainable", [1]), "[training] trainable: expected a list of texts, got [1]"),
        (("data", "limit", "all"), '[data] limit: expected a whole number, got "all"'),
        (("data", "classes", 3), "[data] classes: expected a list of whole numbers, got 3"),
        ((None, "data", 3), "the recipe: data: expected a table, got 3"),
        (
            (None, "teacher", {"modell": "tiny-edm"}),
            "[teacher]: there is no key \"modell\" here (did you mean 'model'?)",
        ),
    ],
)
def test_wrong_recipe_is_a_sentence(change: tuple[str | None, str, Any], sentence: str) -> None:
    table = json.loads(recipe().to_json())
    section, key, value = change
    (table if section is None else table[section])[key] = value
    with pytest.raises(UsageError, match=re.escape(sentence)):
        Recipe.from_table(table)
    if value is None:
        del table[section][key]
        with pytest.raises(UsageError, match=rf'\[{section}\]: the key "{key}" is missing'):
            Recipe.from_table(table)


@pytest.mark.parametrize(("name", "option"), [("unet", {}), ("uvit", {"widht": 3})])
def test_unknown_network_or_option_is_a_sentence(name: str, option: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"unknown network 'unet'|network 'uvit': .*widht"):
        build_network(recipe(network={"name": name, **option}).network)


def test_toml_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("id = ")
    with pytest.raises(UsageError, match=r"broken\.toml is not a TOML file"):
        Recipe.read(path)


def test_recipes_are_found_by_id() -> None:
    assert find_recipe("tiny-edm").name == "tiny-edm.toml"
    with pytest.raises(UsageError, match=r"there is no recipe 'tiny-emd' .did you mean 'tiny-edm'"):
        find_recipe("tiny-emd")


def test_another_model_takes_the_place_of_the_one_that_is_named() -> None:
    changed = shipped("tiny-cd").with_model("tiny-edm-ve+steps=9")
    assert changed.start is not None
    assert changed.teacher is not None
    assert changed.start.model == changed.teacher.model == "tiny-edm-ve+steps=9"
    assert changed.differences(shipped("tiny-cd")) == ["start.model", "teacher.model"]
    assert shipped("tiny-w32-n64").with_model("tiny-flow").made_by == "tiny-flow"
    with pytest.raises(UsageError, match="the recipe tiny-ddpm needs no other model; leave out --teacher"):
        shipped("tiny-ddpm").with_model("tiny-edm")


def test_recipe_writes_its_defaults_out() -> None:
    assert json.loads(recipe(network=UNET).to_json())["training"]["ema_halflife_images"] == 100_000


@pytest.mark.parametrize(
    ("name", "roles"), [("tiny-cd", {"start", "teacher"}), ("tiny-w32-n64", {"maker"}), ("tiny-edm", set())]
)
def test_other_models_are_known_by_their_files(name: str, roles: set[str]) -> None:
    """As the facts of a training name them; the sha256 is that on the card of tiny-edm."""
    others = other_models(shipped(name), offline=True)
    (source,) = installed_registry().model("tiny-edm").weights
    assert isinstance(source, BundledSource)
    assert set(others.digests) == roles
    assert dict(others.files) == dict.fromkeys(roles, source.sha256)
    assert (others.start is not None, others.teacher is not None) == ("start" in roles, "teacher" in roles)
