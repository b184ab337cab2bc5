"""Python takes what Python has: maps, functions, networks, folders, arrays; noise, classes and prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import reprozoo
from reprozoo import CallableMap, Comparison, Condition, NoiseBank, NoiseToImageMap, compare, images_of
from reprozoo.base.errors import ContractError, UsageError
from reprozoo.engine.store import Store
from reprozoo.maps.images import to_uint8
from reprozoo.report.provenance import command_of
from tests.fakes import SHAPE, FakeMap, FakeRecipe, FakeZoo, found, logged, run, some_images, two

FEW: dict[str, Any] = {"num_samples": 9, "descriptor": "pixels", "device": "cpu", "noise_floor": 4, "baselines": []}
FEW_NOISES: dict[str, Any] = {name: value for name, value in FEW.items() if name != "num_samples"}
PIXELS: dict[str, Any] = {"descriptor": "pixels", "device": "cpu"}
NOISES = NoiseBank(0).noise(range(4), SHAPE)


def halved(noise: Tensor) -> Tensor:
    """A function of noise alone."""
    return (noise / 2).clamp(-1, 1)


def shaded(noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """A function of noise and class."""
    labels = torch.tensor([float(condition.class_label) for condition in conditions])  # type: ignore[arg-type]
    return (noise / 4 + labels.reshape(-1, 1, 1, 1) / 20).clamp(-1, 1)


def spoken(noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """A function of noise and prompt."""
    lengths = torch.tensor([float(len(condition.prompt or "")) for condition in conditions])
    return (noise / 4 + lengths.reshape(-1, 1, 1, 1) / 40).clamp(-1, 1)


class Network(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x / 2).clamp(-1, 1)


def expected(function: Any, indices: Sequence[int], *conditions: Any) -> np.ndarray[Any, Any]:
    return to_uint8(function(NoiseBank(0).noise(indices, SHAPE), *conditions)).numpy()


# --- sides -----------------------------------------------------------------------------------------------------------


def test_a_function_a_map_and_a_network_are_sides(store: Store) -> None:
    sides = {"function": halved, "map": FakeMap(FakeRecipe(weights=1)), "network": Network(), "spec": "a"}
    result = compare(sides, zoo=two(), store=store, **FEW)
    assert [side.label for side in result.models] == list(sides)
    assert np.array_equal(result.images("function", range(9)), expected(halved, range(9)))
    assert result.score("max_abs", "function", "network").value == 0
    assert result.score("max_abs", "map", "spec").value == 0
    assert result.side("function").spec == "function"
    assert result.side("function").facts["object"].endswith("test_objects.halved")


def test_objects_are_named_by_their_own_names(store: Store) -> None:
    result = compare(halved, halved, Network(), zoo=two(), store=store, noise=NOISES, **PIXELS)
    assert [side.label for side in result.models] == ["halved", "halved #2", "side 3"]
    assert result.score("max_abs", "halved", "halved #2").value == 0


def test_sides_of_one_name_are_told_apart(store: Store, tmp_path: Path) -> None:
    def a(noise: Tensor) -> Tensor:
        return halved(noise)

    result = compare(a, "a", a, zoo=two(), store=store, **FEW)
    assert [side.label for side in result.models] == ["a #2", "a", "a #3"]
    assert result.score("max_abs", "a #2", "a #3").value == 0
    assert result.score("max_abs", "a", "a #2").value > 0
    np.savez(tmp_path / "train.npz", images=some_images(20))
    data = str(tmp_path / "train.npz")
    searched = reprozoo.generalize(
        {data: FakeMap(FakeRecipe())}, data=data, zoo=two(), store=store, num_samples=2, **PIXELS
    )
    assert [side.label for side in searched.sides] == [data, f"{data} #2"]
    baseline = compare({"b": "a", "x": halved}, zoo=two(), store=store, **FEW | {"baselines": ["b"]})
    assert [(side.label, side.role) for side in baseline.sides] == [
        ("b", "model"),
        ("x", "model"),
        ("b #2", "baseline"),
    ]
    assert baseline.score("max_abs", "b", "b #2").value > 0


def test_images_of_objects_are_not_kept_beyond_the_process_and_the_result_says_so(store: Store, log: Path) -> None:
    def logging(noise: Tensor) -> Tensor:
        with open(log, "a") as file:
            file.write(f"{len(noise)}\n")
        return halved(noise)

    def once() -> Comparison:
        return compare({"mine": logging, "theirs": "a"}, zoo=two(), store=store, **FEW | {"noise_floor": 0})

    first, made = once(), logged(log)
    assert not first.side("mine").kept
    assert first.side("theirs").kept
    said = [warning for warning in first.warnings if "Python object" in warning]
    assert said == [
        "mine is a Python object: nothing proves what it is, so its images are not kept beyond this process."
    ]
    assert {path.name for path in (store.root / "images").glob("*/*")} == {first.side("theirs").images_key}
    again = once()
    assert (again.side("mine").sampled, again.side("theirs").sampled) == (9, 0)
    assert logged(log) > made
    assert again.measurements == first.measurements


def test_a_question_about_objects_cannot_be_asked_from_the_command_line(store: Store) -> None:
    result = compare({"mine": halved, "theirs": "a"}, zoo=two(), store=store, noise=np.ones((2, *SHAPE)), **FEW_NOISES)
    assert result.question["objects"] == ["noise", "sides"]
    assert command_of(result) == ("", True)
    with pytest.raises(UsageError, match="there is no field 'objects'"):
        reprozoo.Question.from_json(result.question)
    plain = run(two(), store, num_samples=2)
    assert command_of(plain)[0].startswith("reprozoo compare a b -n 2")
    assert reprozoo.Question.from_json(plain.question).sides == ("a", "b")


def test_two_objects_whose_images_are_equal_are_said_to_be(store: Store) -> None:
    result = compare({"x": halved, "y": Network()}, zoo=two(), store=store, noise=NOISES, **PIXELS)
    assert any(warning.startswith("x and y made bit-identical images") for warning in result.warnings)


def test_folders_arrays_and_tensors_are_sides(store: Store, tmp_path: Path) -> None:
    images = images_of("a", zoo=two(), store=store, num_samples=9, device="cpu")
    np.savez(tmp_path / "images.npz", images=images, indices=np.arange(9))
    sides = {"model": "a", "file": tmp_path / "images.npz", "array": images, "tensor": torch.from_numpy(images)}
    result = compare(sides, zoo=two(), store=store, **FEW)
    assert [result.score("max_abs", "model", other).value for other in ("file", "array", "tensor")] == [0, 0, 0]
    assert [side.label for side in result.models] == list(sides)
    by_path = compare("a", tmp_path / "images.npz", zoo=two(), store=store, **FEW)
    assert by_path.models[1].label == str(tmp_path / "images.npz")


def test_a_models_images_can_be_searched_in_an_array_of_ones_own(store: Store, tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", images=some_images(20))
    result = reprozoo.generalize({"mine": FakeMap(FakeRecipe())}, data=tmp_path / "train.npz", zoo=two(), store=store,
                                 num_samples=5, descriptor="pixels", device="cpu")  # fmt: skip
    assert result.score("gl", "mine").value == 1.0


@pytest.mark.parametrize(
    ("sides", "sentence"),
    [
        ({"a": 3, "b": "a"}, "a: expected a map spec, a NoiseToImageMap, a function of noise, or a folder or array"),
        ({"x": halved, "y": halved}, "x is a function, and nothing says the shape of its noise"),
        ({"x": lambda noise: noise[0], "y": "a"}, r"expected a function that makes \(batch, channels, height, width\)"),
        ({"x": lambda noise: noise[:, :, :4], "y": "a"}, "x and a cannot be compared|a and x cannot be compared"),
        ({"x": "nobody", "y": halved}, "no model is called 'nobody'"),
    ],
)  # fmt: skip
def test_what_is_no_side_is_a_sentence(store: Store, sides: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        compare(sides, zoo=two(), store=store, **FEW)


def test_a_function_keeps_the_contract_of_maps(store: Store) -> None:
    with pytest.raises(ContractError, match="x"):
        compare({"x": lambda noise: noise * 100, "y": "a"}, zoo=two(), store=store, **FEW)


def test_a_function_that_says_the_shape_of_its_noise_needs_no_other(store: Store) -> None:
    sides = {"x": CallableMap(halved, SHAPE), "y": halved}
    assert compare(sides, zoo=FakeZoo(), store=store, **FEW).score("max_abs").value == 0
    backward = dict(reversed(sides.items()))
    assert [side.label for side in compare(backward, zoo=FakeZoo(), store=store, **FEW).models] == ["y", "x"]


# --- noise -----------------------------------------------------------------------------------------------------------


def test_noise_of_ones_own_is_an_array_of_numpy_or_torch(store: Store) -> None:
    drawn = NoiseBank(0).noise(range(5), SHAPE)
    by_seed = run(two(), store, num_samples=5)
    for noise in (drawn, drawn.numpy(), drawn.double().numpy()):
        result = run(two(), store, noise=noise, num_samples=5)
        assert result.noise["sha256"] == by_seed.noise["sha256"]
        assert [side.images_sha256 for side in result.models] == [side.images_sha256 for side in by_seed.models]
        assert result.question["objects"] == ["noise"]
    whole = compare("a", "b", zoo=two(), store=store, noise=drawn, descriptor="pixels", device="cpu")
    assert whole.num_samples == 5  # all of them
    assert compare("a", "b", zoo=two(), store=store, noise=drawn, num_samples=2, **PIXELS).noise_indices == [0, 1]
    assert compare("a", "b", zoo=two(), store=store, noise=drawn, first=3, num_samples=2, **PIXELS).noise_indices == [
        3,
        4,
    ]


@pytest.mark.parametrize(
    ("noise", "options", "sentence"),
    [
        (np.zeros((5, *SHAPE), int), {}, "expected noise as a floating array"),
        (np.zeros((5, 3, 9, 9)), {}, r"the noise given has shape \(3, 9, 9\)"),
        (np.zeros((5, *SHAPE)), {"num_samples": 6}, "holds 5 noises, and 6 are asked for"),
        (np.zeros((5, *SHAPE)), {"first": 4, "num_samples": 2}, "holds 1 noises, and 2 are asked for"),
        (np.zeros((5, *SHAPE)), {"first": 5}, "holds 0 noises"),
        (np.zeros((5, *SHAPE)), {"seed": 3}, "seed and noise exclude each other"),
        (
            np.zeros((5, *SHAPE)),
            {"conditions": Condition(class_label=1), "classes": 1},
            "conditions and classes exclude",
        ),
    ],
)
def test_noise_that_does_not_do_is_a_sentence(store: Store, noise: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        compare("a", "b", zoo=two(), store=store, noise=noise, **options, **PIXELS)


def test_the_first_noise_may_be_another_than_0(store: Store, log: Path) -> None:
    whole = run(two(log), store, num_samples=100)
    part = run(two(log), store, first=70, num_samples=20)
    assert part.noise_indices == list(range(70, 90))
    assert logged(log) == 200  # they were there already
    assert np.array_equal(found(part).values[0], found(whole).values[0, 70:90])
    assert np.array_equal(part.images("a", [75]), whole.images("a", [75]))
    assert part.question["first"] == 70


# --- conditions ------------------------------------------------------------------------------------------------------


def test_classes_are_numbers_or_a_text(store: Store) -> None:
    asked = [run(two(), store, num_samples=6, classes=classes) for classes in ([1, 5], "1,5", np.array([1, 5]))]
    by_conditions = run(two(), store, num_samples=6, conditions=[Condition(class_label=label) for label in (1, 5)])
    assert {result.side("a").images_sha256 for result in [*asked, by_conditions]} == {asked[0].side("a").images_sha256}
    assert asked[0].condition_names == ["class 1", "class 5"] * 3
    assert "objects" not in asked[0].question
    assert asked[0].question["classes"] == "1,5"


def test_functions_get_classes_and_prompts(store: Store) -> None:
    classes = [Condition(class_label=label) for label in (3, 7)]
    result = compare(
        {"x": shaded, "y": CallableMap(shaded, SHAPE, SHAPE)}, zoo=FakeZoo(), store=store, classes=[3, 7], **FEW
    )
    assert np.array_equal(result.images("x", range(2)), expected(shaded, range(2), classes))
    assert result.score("max_abs").value == 0
    prompts = ["a cat", 'a "large"\ndog']
    spoke = compare({"x": spoken, "y": spoken}, zoo=FakeZoo(), store=store, prompts=prompts, noise=NOISES, **PIXELS)
    conditions = [Condition(prompt=prompt) for prompt in prompts]
    assert np.array_equal(spoke.images("x", range(2)), to_uint8(spoken(NOISES[:2], conditions)).numpy())
    assert spoke.condition_names[:2] == prompts


def test_a_condition_that_a_function_would_ignore_is_refused(store: Store) -> None:
    for options in ({"classes": 3}, {"prompts": "a cat"}):
        with pytest.raises(UsageError, match="would ignore"):
            compare({"x": halved, "y": halved}, zoo=FakeZoo(), store=store, noise=NOISES, **options, **PIXELS)


# --- images ----------------------------------------------------------------------------------------------------------


def test_images_of_are_those_of_the_map_rounded(tmp_path: Path) -> None:
    loaded = reprozoo.load("theory-gaussian")
    noise = NoiseBank(4).noise(range(3, 8), loaded.noise_shape)
    images = images_of("theory-gaussian", num_samples=5, first=3, seed=4, store=Store(tmp_path), device="cpu")
    assert images.dtype == np.uint8
    assert np.array_equal(images, to_uint8(loaded(noise)).numpy())


def test_images_of_objects_and_of_folders(store: Store, tmp_path: Path) -> None:
    assert np.array_equal(images_of(halved, noise=NOISES, store=store), to_uint8(halved(NOISES)).numpy())
    mine = FakeMap(FakeRecipe())
    assert isinstance(mine, NoiseToImageMap)
    assert np.array_equal(images_of({"mine": mine}, noise=NOISES, store=store), to_uint8(mine(NOISES)).numpy())
    np.save(tmp_path / "images.npy", some_images(5))
    assert np.array_equal(images_of(tmp_path / "images.npy", store=store), some_images(5))


def test_tables_need_pandas_and_say_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(two(), store, num_samples=2)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(UsageError, match="to_pandas needs pandas: pip install pandas; `rows` gives the same"):
        result.to_pandas()
    rows = [row for row in result.rows() if row[0] == "mean_abs"]
    assert [row[1:7] for row in rows] == [
        ("same", "a", "b", 0, "", 0), ("same", "a", "b", 1, "", 1),
        ("shuffled", "a", "b", 0, "", 1), ("shuffled", "a", "b", 1, "", 0),
    ]  # fmt: skip
    assert [row[7] for row in rows[:2]] == found(result, "mean_abs").values[0].tolist()


def test_progress_is_shown_where_somebody_sees_it_and_its_display_is_closed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reprozoo.engine import display

    seen: list[str] = []

    class Shown(display.ProgressDisplay):
        def __init__(self, **_: Any) -> None:
            super().__init__(interactive=False)

        def stage(self, event: Any) -> None:
            seen.append(event.stage)

        def __exit__(self, *_: Any) -> None:
            seen.append("closed")

    monkeypatch.setattr(display, "ProgressDisplay", Shown)
    run(two(), store, num_samples=2)
    assert seen == []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    run(two(), store, num_samples=2, progress=False)
    assert seen == []
    with pytest.raises(UsageError):
        run(two(), store, num_samples=2, device="abacus")
    run(two(), store, num_samples=3)
    assert seen.count("closed") == 2
    assert seen[-1] == "closed"


@pytest.mark.parametrize("side", [None, 2.5, b"a"])
def test_what_has_no_name_and_is_no_side_is_a_sentence(store: Store, side: Any) -> None:
    with pytest.raises(UsageError, match=f"side 2: expected a map spec, .*got {type(side).__name__}"):
        compare("a", side, zoo=two(), store=store, **FEW)


def test_of_a_folder_all_images_are_taken_or_as_many_as_are_asked_for(store: Store) -> None:
    own = {name: value for name, value in FEW.items() if name != "num_samples"}
    sides = {"a": "a", "mine": some_images(7)}
    assert compare(sides, zoo=two(), store=store, **own).num_samples == 7
    assert compare(sides, zoo=two(), store=store, num_samples=5, **own).num_samples == 5
    with pytest.raises(UsageError, match="mine has 7 of the images asked for, and 8 are asked for; lower -n"):
        compare(sides, zoo=two(), store=store, num_samples=8, **own)


@pytest.mark.parametrize("index", [-1, 2**63])
def test_an_index_that_no_noise_has_is_a_sentence(tmp_path: Path, index: int) -> None:
    np.savez(tmp_path / "a.npz", images=some_images(1), indices=np.array([index], np.uint64 if index > 0 else np.int64))
    with pytest.raises(UsageError, match="indices"):
        reprozoo.score(tmp_path / "a.npz", some_images(1), descriptor="pixels")


def test_a_comparison_prints_as_one_line(store: Store) -> None:
    result = run(two(), store)
    assert repr(result).startswith(f"<Comparison of a, b on {result.num_samples} noises: rp ")
    assert "\n" not in repr(result)
