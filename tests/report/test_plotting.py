"""Figures for notebooks, of results that the engine made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reprozoo.base.errors import UsageError
from reprozoo.engine.result import Comparison
from reprozoo.engine.store import Store
from tests.fakes import FakeRecipe, FakeZoo, run

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    zoo = FakeZoo(*(FakeRecipe(name, weights=i, same=0.5 + 0.2 * i) for i, name in enumerate("abc")))
    return run(zoo, Store(tmp_path_factory.mktemp("store")))


def test_a_histogram_has_a_panel_for_each_pair(three: Comparison, tmp_path: Path) -> None:
    drawn = three.plot()
    assert [axes.get_title() for axes in drawn.axes] == ["a × b", "a × c", "b × c"]
    drawn.savefig(tmp_path / "histogram.pdf")
    assert (tmp_path / "histogram.pdf").read_bytes().startswith(b"%PDF")
    assert "of 255" in three.plot(score="mean_abs").axes[-1].get_xlabel()


def test_a_matrix_has_the_score_of_each_pair(three: Comparison) -> None:
    axes = three.plot("matrix", score="psnr").axes[0]
    assert axes.get_title() == "psnr"
    value = three.score("psnr", "a", "b").value
    assert [text.get_text() for text in axes.texts].count(f"{value:.1f}") >= 2
    assert len(axes.texts) == 6


def test_a_grid_has_the_same_noises_through_each_model(three: Comparison) -> None:
    drawn = three.plot("grid", count=4)
    assert len(drawn.axes) == 12
    assert [axes.get_title() for axes in drawn.axes[:4]] == ["#0", "#1", "#2", "#3"]
    shown = drawn.axes[4].images[0].get_array()
    assert (shown.transpose(2, 0, 1) == three.images("b", [0])[0]).all()


def test_what_cannot_be_drawn_is_a_sentence(three: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no figure is called 'histgram' .did you mean 'histogram'"):
        three.plot("histgram")
    with pytest.raises(UsageError, match="no score 'fid' in this result; it has: rp"):
        three.plot(score="fid")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"pip install 'reprozoo.plot.'"):
        three.plot()
