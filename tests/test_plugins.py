"""A broken plugin hurts itself and nobody else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from reprozoo.errors import PluginError, UsageError
from reprozoo.plugins import DISABLE_VARIABLE, Option, Plugins, import_object

GOOD = """
    from reprozoo import Family, hookimpl

    @hookimpl
    def reprozoo_register_families(register):
        register(Family("{family}", "a family", "{name}:load"))
"""

HOSTILE = {
    "raises_at_import": ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    "exits_at_import": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "raises_at_registration": (
        """
        from reprozoo import Family, hookimpl

        @hookimpl
        def reprozoo_register_families(register):
            register(Family("half", "registered before the failure", "x:y"))
            raise RuntimeError("no luck")
        """,
        "RuntimeError: no luck",
    ),
    "misspells_a_hook": (
        """
        from reprozoo import hookimpl

        @hookimpl
        def reprozoo_register_famillies(register):
            pass
        """,
        "unknown hook reprozoo_register_famillies; the hooks are reprozoo_register_families",
    ),
    "wrong_arguments": (
        """
        from reprozoo import hookimpl

        @hookimpl
        def reprozoo_register_families(add):
            pass
        """,
        "PluginValidationError",
    ),
    "not_a_family": (
        """
        from reprozoo import hookimpl

        @hookimpl
        def reprozoo_register_families(register):
            register("edm")
        """,
        "reprozoo_register_families expects Family, got str",
    ),
    "no_hook": ("x = 1", "it implements no hook"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def point(folder: Path, name: str, source: str) -> EntryPoint:
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    sys.modules.pop(name, None)
    return EntryPoint(name, name, "reprozoo")


def good(folder: Path, name: str, family: str) -> EntryPoint:
    return point(folder, name, GOOD.format(name=name, family=family))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_plugin_is_listed_and_alone(folder: Path, name: str) -> None:
    source, sentence = HOSTILE[name]
    plugins = Plugins([point(folder, name, source), good(folder, "a_good_one", "fine")], disabled=())
    records = {record.name: record for record in plugins.records}
    assert records[name].status == "broken"
    assert sentence in records[name].error
    assert "\n" not in records[name].error
    assert records[name].provides == {}
    assert records["a_good_one"].status == "ok"
    assert list(plugins.families) == ["fine"]


def test_a_family_of_a_broken_plugin_is_missed_by_name(folder: Path) -> None:
    plugins = Plugins([point(folder, "raises_at_import", HOSTILE["raises_at_import"][0])], disabled=())
    with pytest.raises(PluginError, match="no plugin provides the family 'edm': plugin raises_at_import is broken"):
        plugins.family("edm")


def test_the_second_of_two_equal_names_is_broken(folder: Path) -> None:
    plugins = Plugins([good(folder, "plugin_b", "same"), good(folder, "plugin_a", "same")], disabled=())
    first, second = plugins.records
    assert (first.name, first.status) == ("plugin_a", "ok")
    assert (second.name, second.status) == ("plugin_b", "broken")
    assert "family 'same', which plugin plugin_a" in second.error
    assert plugins.family("same").plugin is first


def test_a_disabled_plugin_is_not_imported(folder: Path) -> None:
    source = "raise SystemExit('imported after all')"
    plugins = Plugins([point(folder, "switched_off", source), good(folder, "other", "fine")], disabled=["switched_off"])
    assert [record.status for record in plugins.records] == ["ok", "disabled"]
    assert "switched_off" not in sys.modules


def test_the_environment_disables_plugins_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE_VARIABLE, "one, two")
    plugins = Plugins([good(folder, name, name) for name in ("one", "two", "three")])
    assert list(plugins.families) == ["three"]


def test_bundled_plugins_work_and_import_no_framework() -> None:
    code = (
        "import sys, reprozoo.plugins as p; r = p.Plugins(disabled=()).records; "
        "print([x for x in r if x.status != 'ok' and x.distribution == 'reprozoo'], "
        "[m for m in ('torch', 'numpy', 'diffusers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] []"


def test_import_object_says_what_failed() -> None:
    with pytest.raises(PluginError, match=r"cannot load reprozoo\.nowhere:thing: ModuleNotFoundError"):
        import_object("reprozoo.nowhere:thing")
    with pytest.raises(PluginError, match="AttributeError"):
        import_object("reprozoo.errors:Nothing")


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (Option(int, ""), "50", 50),
        (Option(float, ""), "1e-3", 1e-3),
        (Option(bool, ""), "true", True),
        (Option(bool, ""), "Off", False),
        (Option(str, "", choices=("a", "b")), "b", "b"),
    ],
)
def test_options_parse(option: Option, text: str, value: object) -> None:
    assert option.parse("x", text) == value


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        (Option(int, ""), "5.5", "x=5.5: expected a whole number"),
        (Option(float, ""), "many", "x=many: expected a number"),
        (Option(bool, ""), "maybe", "x=maybe: expected true or false"),
        (Option(str, "", choices=("a", "b")), "c", "x=c: expected one of a, b"),
    ],
)
def test_options_refuse(option: Option, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        option.parse("x", text)
