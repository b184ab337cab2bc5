"""``measures``: every measure that is installed, with its scores."""

from __future__ import annotations

import json

from reprozoo.zoo.plugins import import_object, installed_plugins
from tests.cli.conftest import Cli


def test_every_measure_and_score_is_listed(cli: Cli) -> None:
    lines = cli("measures").out.splitlines()
    listed = {line.split()[0] for line in lines}
    for found in installed_plugins().measures.values():
        kind = import_object(found.value.load)
        assert {kind.name, *(score.name for score in kind.scores)} <= listed
        assert any(kind.meaning in line for line in lines)


def test_json_is_one_document(cli: Cli) -> None:
    found = json.loads(cli("measures", "--json").out)
    assert set(found) == set(installed_plugins().measures)
    assert found["similarity"]["scores"]["rp"].startswith("Share of noises from which two models make the same image")
    assert {found[name]["closer"] for name in ("similarity", "psnr")} == {"higher"}
    assert {entry["plugin"] for entry in found.values() if entry["usual"]} == {"builtin"}
