"""Map specs resolve to recipes; recipes say everything that can change an image."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reprozoo_plugins.inverse.solving import SolvingZoo
from safetensors.torch import load_file, save_file

from reprozoo.base.errors import ContractError, IntegrityError, PluginError, UnavailableError, UsageError
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo.cards import WeightsSource
from reprozoo.zoo.plugins import Option
from reprozoo.zoo.recipes import MapRecipe
from reprozoo.zoo.resolving import Fetched, content_digests, default_zoo, resolve
from reprozoo.zoo.specs import MapSpec
from reprozoo.zoo.weights import fetching, sha256_of


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("edmv1", MapSpec("edmv1")),
        ("sd-v1-4@b95be7d", MapSpec("sd-v1-4", "b95be7d")),
        ("edmv1+steps=50+sampler=heun", MapSpec("edmv1", None, {"steps": "50", "sampler": "heun"})),
        ("hf:owner/repo@abc+dtype=x", MapSpec("hf:owner/repo", "abc", {"dtype": "x"})),
        ("uvit+sampler=dpm-solver+++steps=9", MapSpec("uvit", None, {"sampler": "dpm-solver++", "steps": "9"})),
        ("sd-v1-4+compile", MapSpec("sd-v1-4", None, {"compile": "true"})),
        ("sd-v1-4@b9+compile+steps=5", MapSpec("sd-v1-4", "b9", {"compile": "true", "steps": "5"})),
        ("uvit+sampler=dpm-solver+++compile", MapSpec("uvit", None, {"sampler": "dpm-solver++", "compile": "true"})),
        ("sd-v1-4+lora=./a+b.safetensors", MapSpec("sd-v1-4", None, {"lora": "./a+b.safetensors"})),
        ("samples:./a@b/c", MapSpec("samples:./a@b/c")),
        ("samples:./a+b+split=test", MapSpec("samples:./a+b", None, {"split": "test"})),
    ],
)
def test_specs_parse(text: str, parsed: MapSpec) -> None:
    assert MapSpec.parse(text) == parsed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no model"),
        ("+steps=3", "names no model"),
        ("theory-gaussian+steps", "steps=true: expected a whole number"),
        ("theory-gaussian+", r"expected \+option=value, got \+"),
        ("theory-gaussian+sampler=heun+steps", "steps=true: expected a whole number"),
        ("theory-gaussian+compile", "has no option 'compile'"),
        ("theory-gaussian+steps=5+steps=6", "gives the option 'steps' twice"),
        ("theory-gausian", "did you mean 'theory-gaussian'"),
        ("theory-gaussian+stepz=5", "has no option 'stepz' .did you mean 'steps'"),
        ("theory-gaussian+order=3", "with sampler heun has no option 'order'"),
        ("theory-gaussian+steps=0", "expected steps to be at least 1"),
        ("theory-gaussian+steps=five", "steps=five: expected a whole number"),
        ("theory-gaussian+sampler=hun", "unknown sampler 'hun' .did you mean 'heun'"),
        ("theory-gaussian+flow=upwards", "flow=upwards: expected one of closed-form, sampler"),
        ("nowhere:x", "no plugin reads nowhere: specs"),
    ],
)
def test_bad_specs_get_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        resolve(text)


def test_a_model_may_have_a_precision_of_its_own() -> None:
    half = resolve("tiny-edm+dtype=bf16")
    assert (half.dtype, half.options) == ("bfloat16", resolve("tiny-edm").options)
    assert resolve("tiny-edm+dtype=float32", dtype="float16").identity() == resolve("tiny-edm").identity()
    with pytest.raises(UsageError, match="dtype=int4: expected one of float32"):
        resolve("tiny-edm+dtype=int4")
    with pytest.raises(UsageError, match="has no option 'dtype'"):
        resolve("theory-gaussian+dtype=bf16")


TINY_EDM = Path(__file__).parents[1] / "registry/weights/tiny-edm.safetensors"


def test_other_weights_take_the_place_of_the_cards(tmp_path: Path) -> None:
    """A copy is the same map; halved weights in another format are another one, of the same data."""
    copy, halved = tmp_path / "copy.safetensors", tmp_path / "halved.pt"
    shutil.copy(TINY_EDM, copy)
    torch.save({name: tensor / 2 for name, tensor in load_file(TINY_EDM).items()}, halved)
    own, same, other = resolve("tiny-edm"), resolve(f"tiny-edm+weights={copy}"), resolve(f"tiny-edm+weights={halved}")
    assert same.identity() == own.identity()
    assert other.identity() != own.identity()
    noise = NoiseBank(0).noise(range(1), (3, 32, 32))
    assert torch.equal(same.load()(noise), own.load()(noise))
    assert not torch.equal(other.load()(noise), own.load()(noise))
    assert (other.card.training["dataset"], "images_seen" in other.card.training) == ("cifar10", False)
    assert other.facts()["card"]["weights"][0]["path"] == str(halved)
    by_solver = SolvingZoo(default_zoo()).resolve(f"tiny-edm+weights={halved}")
    assert by_solver.weights_digest == other.weights_digest


def test_weights_of_an_untrained_model_need_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo, trained = default_zoo(), resolve("tiny-edm")
    nobodys = zoo.registry.model("tiny-edm-ve").weights
    untrained = dataclasses.replace(zoo.registry.model("tiny-edm"), weights=nobodys)
    monkeypatch.setattr(zoo.registry, "model", lambda name: untrained)
    with pytest.raises(UnavailableError, match="nobody has trained it yet"):
        zoo.resolve("tiny-edm", offline=True)
    assert zoo.resolve(f"tiny-edm+weights={TINY_EDM}", offline=True).weights_digest == trained.weights_digest


@pytest.mark.parametrize(
    ("spec", "error", "sentence"),
    [
        ("tiny-edm+weights={}/nothing.pt", UsageError, "there is no such file or folder"),
        ("tiny-edm+weights={}/text.txt", UsageError, "neither a safetensors nor a torch file"),
        ("theory-gaussian+weights={}/text.txt", UsageError, "has no option 'weights'"),
        (f"tiny-uvit+weights={TINY_EDM}", IntegrityError, "tiny-uvit"),
    ],
)
def test_weights_that_do_not_fit_get_a_sentence(
    tmp_path: Path, spec: str, error: type[Exception], sentence: str
) -> None:
    (tmp_path / "text.txt").write_text("these are no weights")
    with pytest.raises(error, match=sentence):
        resolve(spec.format(tmp_path)).load()


def test_unknown_dtype_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown dtype 'int8'; expected one of float32, float16, bfloat16"):
        resolve("theory-gaussian", dtype="int8")


def test_option_over_card_over_default() -> None:
    card = resolve("theory-gaussian")
    assert card.sampler["steps"] == 18  # the card's
    assert card.sampler["rho"] == 7.0  # the sampler's default
    assert card.options["flow"] == "closed-form"  # the family's default
    chosen = resolve("theory-gaussian+steps=5+flow=sampler")
    assert (chosen.sampler["steps"], chosen.options["flow"]) == (5, "sampler")


def test_another_sampler_starts_from_its_own_defaults() -> None:
    recipe = resolve("theory-gaussian+sampler=dpm-solver")
    assert recipe.sampler["name"] == "dpm-solver"
    assert "rho" not in recipe.sampler or recipe.sampler["spacing"] == "karras"


def test_another_spacing_drops_what_the_card_says_of_its_own() -> None:
    """tiny-edm's card sets rho, which only the Karras spacing has."""
    recipe = resolve("theory-gaussian+spacing=logsnr+steps=7")
    assert (recipe.sampler["spacing"], recipe.sampler["steps"]) == ("logsnr", 7)
    assert "rho" not in recipe.sampler


CHANGES: dict[str, Callable[[MapRecipe], MapRecipe]] = {
    "options": lambda r: dataclasses.replace(r, options={"flow": "sampler"}),
    "sampler": lambda r: dataclasses.replace(r, sampler={**r.sampler, "steps": 19}),
    "digests": lambda r: dataclasses.replace(r, digests={"statistics": "0" * 64}),
    "parts": lambda r: dataclasses.replace(r, card=dataclasses.replace(r.card, weights=(_read_as(r, "torch:ema"),))),
    "libraries": lambda r: dataclasses.replace(r, libraries={"diffusers": "0.1"}),
    "dtype": lambda r: dataclasses.replace(r, dtype="bfloat16"),
    "device": lambda r: dataclasses.replace(r, device="cuda"),
    "output_version": lambda r: dataclasses.replace(r, output_version=2),
    "network": lambda r: dataclasses.replace(r, card=dataclasses.replace(r.card, network={"width": 1})),
    "kernel": lambda r: dataclasses.replace(r, card=dataclasses.replace(r.card, kernel={"name": "vp"})),
    "family": lambda r: dataclasses.replace(r, card=dataclasses.replace(r.card, family="edm")),
    "image_shape": lambda r: dataclasses.replace(r, card=dataclasses.replace(r.card, image_shape=(3, 8, 8))),
    "noise_shape": lambda r: dataclasses.replace(r, card=dataclasses.replace(r.card, noise_shape=(3, 8, 8))),
    "num_classes": lambda r: dataclasses.replace(r, card=dataclasses.replace(r.card, num_classes=10)),
}


@pytest.mark.parametrize("field", CHANGES)
def test_everything_that_can_change_an_image_changes_the_identity(field: str) -> None:
    recipe = resolve("theory-gaussian")
    changed = CHANGES[field](recipe).identity()
    assert changed != recipe.identity()
    assert changed[field] != recipe.identity().get(field)


def _read_as(recipe: MapRecipe, format: str) -> WeightsSource:
    return dataclasses.replace(recipe.card.weights[0], format=format)


def test_two_parts_of_one_file_are_two_models() -> None:
    recipe = resolve("theory-gaussian")
    parts = [dataclasses.replace(recipe, card=dataclasses.replace(recipe.card, weights=(_read_as(recipe, format),)))
             for format in ("torch:ema", "torch:model", "torch")]  # fmt: skip
    assert len({recipe.weights_digest for recipe in parts}) == 3


def test_a_file_that_changes_while_it_is_used_is_noticed(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    shutil.copy(TINY_EDM, weights)
    recipe = resolve(f"tiny-edm+weights={weights}")
    recipe.load()
    save_file({name: tensor / 2 for name, tensor in load_file(TINY_EDM).items()}, weights)
    with pytest.raises(IntegrityError, match="was changed while tiny-edm"):
        recipe.load()


def test_a_card_without_a_sampler_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = default_zoo()
    bare = dataclasses.replace(zoo.registry.model("tiny-edm"), sampler={})
    monkeypatch.setattr(zoo.registry, "model", lambda name: bare)
    with pytest.raises(UsageError, match="the card of tiny-edm names no sampler"):
        zoo.check("tiny-edm")
    zoo.check("tiny-edm+sampler=euler")


def test_pipelines_are_known_by_the_versions_of_their_libraries() -> None:
    assert set(default_zoo().plugins.families["diffusers"].value.libraries) == {"diffusers", "transformers"}


def test_what_cannot_change_an_image_does_not() -> None:
    recipe = resolve("theory-gaussian")
    moved = dataclasses.replace(recipe, files={"statistics": Path("/elsewhere")}, device="cpu:0", spec="other")
    retitled = dataclasses.replace(recipe, card=dataclasses.replace(recipe.card, title="another title"))
    assert moved.identity() == retitled.identity() == recipe.identity()


def test_class_labels_are_checked_before_anything_is_loaded() -> None:
    from reprozoo.maps.condition import Condition

    plain = resolve("theory-gaussian")
    plain.check_conditions([])
    plain.check_conditions([Condition(prompt="the map itself refuses this")])
    with pytest.raises(UsageError, match="theory-gaussian would ignore the class label"):
        plain.check_conditions([Condition(class_label=1)])
    classes = dataclasses.replace(plain, card=dataclasses.replace(plain.card, num_classes=10))
    classes.check_conditions([Condition(class_label=9)])
    with pytest.raises(UsageError, match="needs a class label"):
        classes.check_conditions([])
    with pytest.raises(UsageError, match="class label 10 is out of range"):
        classes.check_conditions([Condition(class_label=10)])


def test_alias_is_the_same_map() -> None:
    assert resolve("gaussian-cifar10").identity() == resolve("theory-gaussian").identity()


def test_recipes_survive_a_process_boundary() -> None:
    recipe = resolve("theory-gaussian+steps=5")
    assert pickle.loads(pickle.dumps(recipe)).identity() == recipe.identity()


def test_shapes_other_than_the_card_says_are_an_error() -> None:
    recipe = resolve("theory-mog+components=2+rank=3")
    wrong = dataclasses.replace(recipe, card=dataclasses.replace(recipe.card, noise_shape=(7,)))
    assert recipe.load().noise_shape == (3, 32, 32)
    with pytest.raises(ContractError, match=r"image_shape|noise_shape"):
        _with_noise_shape_of_loader(wrong).load()


def _with_noise_shape_of_loader(recipe: MapRecipe) -> MapRecipe:
    """The same recipe for a family whose loader does not look at the card's shapes."""
    return dataclasses.replace(recipe, card=dataclasses.replace(recipe.card, family="test-fixed-shape"))


@pytest.fixture(autouse=True)
def fixed_shape_family(monkeypatch: pytest.MonkeyPatch) -> None:
    from reprozoo.zoo.plugins import Family, PluginRecord, Registered, installed_plugins

    record = PluginRecord("tests", "tests", "tests", "0")
    families = {
        "test-fixed-shape": Family("test-fixed-shape", "a toy", "tests.test_zoo:load_toy"),
        "test-raises": Family("test-raises", "a toy that cannot be loaded", "tests.test_zoo:load_nothing"),
    }
    for name, family in families.items():
        monkeypatch.setitem(installed_plugins().families, name, Registered(family, record))


def load_toy(context: object) -> object:
    from tests.toys import Toy

    return Toy()


def load_nothing(context: object) -> object:
    raise KeyError("weights")


def test_a_loader_that_raises_is_named() -> None:
    recipe = resolve("theory-mog")
    broken = dataclasses.replace(recipe, card=dataclasses.replace(recipe.card, family="test-raises"))
    with pytest.raises(ContractError, match="the family 'test-raises' could not load theory-mog: KeyError: 'weights'"):
        broken.load()
    missing = dataclasses.replace(recipe, card=dataclasses.replace(recipe.card, family="not-there"))
    with pytest.raises(PluginError, match="no plugin provides the family 'not-there'"):
        missing.load()


CHECKED_WITHOUT_TORCH = """
import sys, time
started = time.perf_counter()
from reprozoo import UsageError
from reprozoo.zoo.resolving import Zoo

zoo = Zoo()
zoo.check("tiny-edm+steps=9+sampler=euler")
print(f"{time.perf_counter() - started:.2f} s", file=sys.stderr)
for wrong in ("tiny-edn", "tiny-edm+stepz=9", "tiny-edm+sampler=eular", "tiny-edm+steps=0", "theory-gaussian+flow=up"):
    try:
        Zoo().check(wrong)
    except UsageError as error:
        print(error)
    else:
        raise SystemExit(f"{wrong} was taken")
for name in zoo.registry.models:
    zoo.check(name, offline=True)
print([name for name in ("torch", "numpy", "huggingface_hub", "urllib.request") if name in sys.modules])
zoo.check(f"samples:{sys.argv[1]}")  # needs NumPy to look at the images
print("torch" in sys.modules)
"""


def test_a_spec_is_checked_without_a_framework_or_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", CHECKED_WITHOUT_TORCH, str(TINY_EDM.parents[2] / "docs" / "sheets")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *sentences, loaded, torch_in_the_end = done.stdout.splitlines()
    assert (len(sentences), loaded, torch_in_the_end) == (5, "[]", "False")
    with capsys.disabled():
        print(f" [checking a spec, from the first import on: {done.stderr.strip()}]", end="")


def test_a_spec_is_parsed_once_and_a_file_hashed_once_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    hashed: list[Path] = []
    parse = MapSpec.parse
    monkeypatch.setattr(MapSpec, "parse", lambda text: parsed.append(text) or parse(text))
    monkeypatch.setattr(fetching, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    zoo, fetched, specs = default_zoo(), Fetched(), ["tiny-edm", "tiny-edm+steps=9", "tiny-uvit"]
    chosen = [zoo.choose(spec) for spec in specs]
    assert (parsed, hashed) == (specs, [])
    recipes = [zoo.recipe(each, fetched=fetched) for each in chosen]
    assert parsed == specs
    assert sorted(path.stem for path in hashed) == ["tiny-edm", "tiny-uvit"]
    assert [recipe.identity() for recipe in recipes] == [resolve(spec).identity() for spec in specs]


def test_files_and_data_sets_that_options_name_are_hashed_once_a_run(tmp_path: Path) -> None:
    file = tmp_path / "mask.png"
    file.write_bytes(b"one")
    known, fetched = {"file": Option("file", "an image")}, Fetched()
    first = content_digests(known, {"file": file}, {}, fetched=fetched)
    file.write_bytes(b"two")
    assert content_digests(known, {"file": file}, {}, fetched=fetched) == first
    assert content_digests(known, {"file": file}, {}) != first


def test_a_card_with_a_wrong_option_of_its_sampler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = default_zoo()
    wrong = dataclasses.replace(zoo.registry.model("tiny-edm"), sampler={"name": "heun", "steps": "many"})
    monkeypatch.setattr(zoo.registry, "model", lambda name: wrong)
    with pytest.raises(UsageError, match="the card of tiny-edm: sampler heun: expected int for steps, got 'many'"):
        zoo.check("tiny-edm")
