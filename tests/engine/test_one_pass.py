"""Each stored image is read once, whatever is measured; several descriptors, and measures that cannot be taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo import compare, generalize
from reprozoo.base.errors import ContractError, UsageError
from reprozoo.engine import measuring
from reprozoo.engine.progress import ProgressEvent
from reprozoo.engine.sides import ArrayRows, BlockCache
from reprozoo.engine.store import Entry, Store
from reprozoo.measures.base import Measure, ScoreSpec, Values
from reprozoo.measures.descriptors import Descriptor
from reprozoo.zoo.plugins import MeasureSpec, installed_plugins
from tests.fakes import FakeRecipe, FakeZoo, found, run, some_images, two

Reads = Counter[tuple[str, int]]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """How often each row of images was read, by key of its entry."""
    counted: Reads = Counter()
    real = Entry.rows

    def counting(self: Entry, rows: Sequence[int]) -> NDArray[Any]:
        if self.folder.parents[1].name == "images":
            counted.update((self.key, row) for row in rows)
        return real(self, rows)

    monkeypatch.setattr(Entry, "rows", counting)
    return counted


class Grey(Descriptor):
    """Mean and spread of an image."""

    id, dim, threshold = "grey", 2, 0.99

    def identity(self) -> dict[str, Any]:
        return {"id": self.id}

    def describe(self, images_u8: Tensor) -> Tensor:
        flat = images_u8.flatten(1).double()
        vectors = torch.stack([flat.mean(1), flat.std(1)], 1)
        return (vectors / vectors.norm(dim=1, keepdim=True)).float()


# --- reads -----------------------------------------------------------------------------------------------------------


def test_each_image_is_read_once_for_digests_pixels_and_features(store: Store, reads: Reads) -> None:
    zoo = FakeZoo(*(FakeRecipe(name, weights=i) for i, name in enumerate("abc")))
    options = {"num_samples": 150, "noise_floor": 70, "baselines": ["c"], "descriptor": ["pixels", Grey()]}
    for _ in range(2):  # sampled and described now, and then read from the store
        reads.clear()
        result = compare(["a", "b"], zoo=zoo, store=store, device="cpu", mirror=True, **options)
        assert {m.pairing for m in result.measurements} == {"same", "shuffled", "repeat"}
        assert set(reads.values()) == {1}
        assert len(reads) == 3 * 150 + 2 * 70


def test_a_model_that_is_given_twice_is_read_once(store: Store, reads: Reads) -> None:
    compare(["a", "a"], zoo=two(), store=store, num_samples=70, descriptor="pixels", device="cpu", noise_floor=0)
    assert set(reads.values()) == {1}
    assert len(reads) == 70


def test_images_that_are_searched_for_are_read_once(store: Store, tmp_path: Path, reads: Reads) -> None:
    np.savez(tmp_path / "train.npz", images=some_images(20))
    options = {"zoo": two(), "store": store, "num_samples": 300, "descriptor": "pixels", "device": "cpu"}
    result = generalize("a", data=tmp_path / "train.npz", **options)
    assert {m.measure for m in result.measurements} == {"similarity[pixels@32]", "distance_ratio"}
    assert set(reads.values()) == {1}
    assert len(reads) == 300


def test_what_does_not_fit_into_memory_is_read_again_and_says_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    whole = run(two(), store, num_samples=200, noise_floor=64)
    monkeypatch.setattr(measuring, "BlockCache", partial(BlockCache, budget_bytes=1))
    reads.clear()
    again = run(two(), store, num_samples=200, noise_floor=64)
    assert again.measurements == whole.measurements
    assert all(np.array_equal(m.values, n.values) for m, n in zip(again.measurements, whole.measurements, strict=True))
    assert max(reads.values()) > 1


@pytest.mark.parametrize("budget", [1, 10**9])
def test_the_cache_gives_the_rows_that_were_asked_for(budget: int) -> None:
    images, indices = some_images(200), [*range(10, 90), *range(100, 200)]
    cache = BlockCache(indices, budget_bytes=budget)
    rows = ArrayRows(images, "images")
    for positions in (range(64), range(64, 128), range(128, 180), [3, 170, 3, 64], range(5, 100)):
        assert np.array_equal(cache.rows(rows, positions), images[[indices[p] for p in positions]])
    short = ArrayRows(images[10:20], "short", range(10, 20))
    assert np.array_equal(cache.rows(short, range(10), limit=10), images[10:20])


class Counted(ArrayRows):
    """Notes the first index of every read."""

    def rows(self, indices: Sequence[int]) -> Any:
        self.asked = [*getattr(self, "asked", []), indices[0]]
        return super().rows(indices)


def test_a_block_that_was_let_go_leaves_its_place_to_others_and_is_read_again() -> None:
    images = some_images(192)
    rows, (first, second, third) = Counted(images, "images"), (range(64), range(64, 128), range(128, 192))
    cache = BlockCache(range(192), budget_bytes=images[:128].nbytes)  # two blocks
    for positions in (first, second):
        cache.rows(rows, positions)
    cache.drop(rows, second)
    for positions in (third, first):  # the third takes the place of the second, not of the first, which is older
        assert np.array_equal(cache.rows(rows, positions), images[positions.start : positions.stop])
    assert rows.asked == [0, 64, 128]
    assert np.array_equal(cache.rows(rows, second), images[64:128])
    assert rows.asked == [0, 64, 128, 64]


# --- several descriptors ---------------------------------------------------------------------------------------------


def test_every_descriptor_has_its_scores_and_pixels_are_measured_once(store: Store) -> None:
    result = run(two(), store, descriptor=["pixels", Grey()])
    assert [d["id"] for d in result.descriptors] == ["pixels@32", "grey"]
    assert [m.measure for m in result.select(measure="similarity", pairing="same")] == [
        "similarity[pixels@32]", "similarity[grey]",
    ]  # fmt: skip
    assert len(result.select(measure="mean_abs", pairing="same")) == 1
    for name, descriptor in (("pixels@32", "pixels"), ("grey", Grey())):
        alone = run(two(), store, descriptor=descriptor)
        assert found(result, f"similarity[{name}]") == found(alone)
    assert found(result, "similarity[grey]").scores[0].label == "rp[grey, >0.99]"
    assert result.score("rp", measure="similarity[grey]").label == "rp[grey, >0.99]"
    assert result.matrix("rp", measure="similarity[grey]")[0][1] == result.score("rp", measure="similarity[grey]").value
    with pytest.raises(UsageError, match=r"'rp' was computed 2 times: name the measure; a × b \(similarity\[pixels@32"):
        result.score("rp")
    assert result.question["descriptor"] == ["pixels", "grey"]


def test_a_descriptor_that_is_named_twice_is_taken_once(store: Store) -> None:
    assert len(run(two(), store, descriptor=["pixels", "pixels"]).select(measure="similarity", pairing="same")) == 1


# --- measures of others ----------------------------------------------------------------------------------------------


class OnlyLarge(Measure):
    """Cannot be taken of small images."""

    name, title, meaning = "only_large", "large images", "Difference of large images."
    closer, edges = "lower", (0.0, 1.0)
    scores = (ScoreSpec("only_large", "mean", "Mean difference of large images."),)

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        raise UsageError(f"images of at least 16 pixels are needed, and these have {a.shape[-1]}")


def zoo_with(*kinds: type[Measure]) -> FakeZoo:
    """Two models, and the installed measures with these beside them."""
    zoo, installed = two(), installed_plugins()
    plugin = next(iter(installed.measures.values())).plugin
    specs = [MeasureSpec(kind.name, kind.meaning, f"tests.engine.test_one_pass:{kind.__name__}") for kind in kinds]
    measures = dict(installed.measures) | {
        spec.name: SimpleNamespace(value=spec, plugin=plugin) for spec in specs
    }  # fmt: skip
    zoo.plugins = SimpleNamespace(measures=measures, descriptors=installed.descriptors)  # type: ignore[attr-defined]
    return zoo


def test_a_measure_that_cannot_be_taken_is_a_note_and_the_others_are_reported(store: Store) -> None:
    usual = run(two(), store)
    result = run(zoo_with(OnlyLarge), store, measures=["only_large"])
    notes = [warning for warning in result.warnings if "is not reported" in warning]
    assert notes == ["Large images is not reported: images of at least 16 pixels are needed, and these have 8."]
    assert result.measurements == usual.measurements


class Hostile(OnlyLarge):
    """Does what ``deed`` says."""

    name, title = "hostile", "hostility"
    scores = (ScoreSpec("hostile", "mean", "Mean hostility."),)
    deed = "raises"

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        print("a word of the measure")
        if self.deed == "raises":
            raise KeyError("no\nluck")
        if self.deed == "exits":
            raise SystemExit(0)
        if self.deed == "changes its input":
            a[:] = 0
        flat = np.ones(len(a))
        given: Any = {"a list": flat.tolist(), "whole numbers": flat.astype(int), "too few": flat[:-1], "NaN": flat / 0}
        return given[self.deed]


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    ("deed", "sentence"),
    [
        ("raises", "the measure hostile failed: KeyError: 'no.*luck'"),
        ("exits", "the measure hostile failed: SystemExit: 0"),
        ("changes its input", "the measure hostile failed: ValueError: .*read-only"),
        ("a list", r"the measure hostile gave list, expected a floating array of shape \(\d+,\)"),
        ("whole numbers", "the measure hostile gave int64 values, expected a floating array"),
        ("too few", r"the measure hostile gave values of shape \(\d+,\), expected \(\d+,\)"),
        ("NaN", r"the measure hostile gave \d+ of \d+ values that are NaN or infinite"),
    ],
)
def test_a_measure_that_breaks_its_contract_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], deed: str, sentence: str
) -> None:
    monkeypatch.setattr(Hostile, "deed", deed)
    with pytest.raises(ContractError, match=sentence):
        run(zoo_with(Hostile), store, measures=["hostile"])
    assert capsys.readouterr().out == ""


# --- progress --------------------------------------------------------------------------------------------------------


def ends(events: list[ProgressEvent]) -> dict[str, tuple[int, int, int]]:
    """By stage: done at its first and last event, and its total."""
    by_stage: dict[str, list[ProgressEvent]] = {}
    for event in events:
        by_stage.setdefault(event.stage, []).append(event)
    for own in by_stage.values():
        assert [event.done for event in own] == sorted(event.done for event in own)
        assert len({event.total for event in own}) == 1
    return {stage: (own[0].done, own[-1].done, own[-1].total) for stage, own in by_stage.items()}


def test_every_stage_of_a_search_reaches_its_total(store: Store, tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", images=some_images(20))
    events: list[ProgressEvent] = []
    options = {"zoo": two(), "store": store, "num_samples": 70, "descriptor": ["pixels", Grey()], "device": "cpu"}
    generalize("a", data=tmp_path / "train.npz", progress=events.append, **options)
    assert ends(events) == {
        "sampling": (0, 70, 70), "describing": (0, 180, 180), "scoring": (0, 70, 70), "searching": (0, 70, 70),
    }  # fmt: skip


def test_every_stage_of_a_run_with_a_noise_floor_reaches_its_total(store: Store) -> None:
    run(two(drift=1e-4), store, num_samples=40)
    events: list[ProgressEvent] = []
    result = run(two(drift=1e-4), store, num_samples=130, noise_floor=70, progress=events.append)
    changed = sum(m.count - m.equal for m in result.select(measure="max_abs", pairing="repeat"))
    assert ends(events) == {
        "sampling": (0, 320, 320), "describing": (0, 180, 180), "scoring": (0, 130, 130),
        "repeats": (0, changed, changed),
    }  # fmt: skip
