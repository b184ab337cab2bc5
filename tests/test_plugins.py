"""A broken plugin hurts itself and nobody else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from reprozoo.base import paths
from reprozoo.base.errors import PluginError, UsageError
from reprozoo.diffusion.sampler_specs import BUILT_IN
from reprozoo.measures import library
from reprozoo.zoo.plugins import (
    API_VERSION,
    DISABLE_VARIABLE,
    Plugins,
    ReprozooDeprecationWarning,
    deprecation,
    import_object,
    loading,
    plugin_cards,
    switch,
    switched_off,
)
from reprozoo.zoo.plugins.specs import Hooks, hookspec

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
    "panics": (
        """
        class PanicException(BaseException):
            pass

        raise PanicException("what an extension in Rust raises")
        """,
        "PanicException: what an extension in Rust raises",
    ),
    "endless_error": ("raise ValueError('no ' * 10_000)", "ValueError: no no no"),
    "no_range": (
        """
        REPROZOO_API = "the newest"
        """,
        """REPROZOO_API = 'the newest' is no range of versions; write e.g. ">=2,<3\"""",
    ),
    "range_of_a_number": ("REPROZOO_API = 1", "REPROZOO_API = 1 is no range of versions"),
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
    assert len(records[name].error) < 600
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
        "import sys, reprozoo.zoo.plugins as p; r = p.Plugins(disabled=()).records; "
        "print([x for x in r if x.status != 'ok' and x.distribution == 'reprozoo'], "
        "[m for m in ('torch', 'numpy', 'diffusers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] []"


def test_what_a_plugin_prints_does_not_reach_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Plugins([point(folder, "chatty", "print('hello')\n" + textwrap.dedent(GOOD.format(name="chatty", family="f")))])
    assert capsys.readouterr() == ("", "hello\n")


def test_ctrl_c_is_not_a_plugins_fault(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Plugins([point(folder, "interrupted", "raise KeyboardInterrupt")])


OF_THE_FUTURE = """
    from reprozoo import hookimpl

    REPROZOO_API = "{wanted}"

    @hookimpl
    def reprozoo_register_something_new(register):
        pass
"""


def test_a_plugin_for_another_api_is_incompatible_whatever_else_is_wrong_with_it(folder: Path) -> None:
    plugins = Plugins([point(folder, "newer", OF_THE_FUTURE.format(wanted=">=3,<4")), good(folder, "other", "fine")])
    newer, other = plugins.records
    assert (newer.status, other.status) == ("incompatible", "ok")
    assert newer.error == (
        f"it wants plugin API >=3,<4, and this reprozoo has {API_VERSION}; update whichever of the two is older"
    )
    with pytest.raises(PluginError, match="plugin newer is incompatible"):
        plugins.family("new")


@pytest.mark.parametrize("wanted", [">=2,<3", "==2.*", "~=2.0", ""])
def test_a_plugin_for_this_api_is_asked_for_its_hooks(folder: Path, wanted: str) -> None:
    (record,) = Plugins([point(folder, "fits", OF_THE_FUTURE.format(wanted=wanted))]).records
    assert record.status == "broken"
    assert "unknown hook reprozoo_register_something_new" in record.error


class RenamedArgument(Hooks):
    """The hooks as they would be one minor release after ``add`` became ``register``."""

    @hookspec(warn_on_impl_args={"add": deprecation("the argument `add`", instead="`register`", since="0.7")})
    def reprozoo_register_families(self, register: object, add: object) -> None: ...


def test_an_argument_that_was_renamed_works_for_one_release_with_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "Hooks", RenamedArgument)
    old = GOOD.replace("register)", "add)").replace("register(F", "add(F")
    sentence = "the argument `add` is deprecated since reprozoo 0.7 and ends with 0.8; use `register`"
    with pytest.warns(ReprozooDeprecationWarning, match=sentence):
        plugins = Plugins([point(folder, "older", old.format(name="older", family="a"))])
    (record,) = plugins.records
    assert (record.status, record.warnings, list(plugins.families)) == ("ok", [sentence], ["a"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (record,) = Plugins([good(folder, "newer", "b")]).records
    assert (record.status, record.warnings) == ("ok", [])


def test_warnings_of_a_plugin_that_are_no_deprecations_come_through(folder: Path) -> None:
    source = "import warnings\nwarnings.warn('of its own', UserWarning)\n" + textwrap.dedent(GOOD)
    with pytest.warns(UserWarning, match="of its own"):
        (record,) = Plugins([point(folder, "warns", source.format(name="warns", family="a"))]).records
    assert record.warnings == []


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    return paths.disabled_plugins()


@pytest.mark.usefixtures("configuration")
def test_a_switch_is_remembered_until_it_is_turned(folder: Path) -> None:
    points = [good(folder, name, name) for name in ("one", "two")]
    switch(["one"], on=False)
    first, second = Plugins(points).records
    assert (first.status, second.status) == ("disabled", "ok")
    assert first.error == "switched off; `reprozoo plugins enable one` switches it on"
    switch(["one"], on=True)
    assert [record.status for record in Plugins(points).records] == ["ok", "ok"]


def test_switches_are_lines_that_a_person_may_write(configuration: Path) -> None:
    configuration.parent.mkdir(parents=True)
    configuration.write_text("\n two \none\n\n")
    assert switched_off() == {"one", "two"}
    switch(["three", "one"], on=False)
    assert configuration.read_text() == "one\nthree\ntwo\n"


def test_a_file_of_switches_that_cannot_be_read_or_written_is_a_sentence(configuration: Path) -> None:
    configuration.mkdir(parents=True)
    with pytest.raises(UsageError, match="which names the plugins that are switched off"):
        Plugins([])
    configuration.rmdir()
    configuration.parent.rmdir()
    configuration.parent.write_text("in the way")
    with pytest.raises(UsageError, match="XDG_CONFIG_HOME"):
        switch(["one"], on=False)


CARDS = """
    from pathlib import Path
    from reprozoo import Family, hookimpl

    @hookimpl
    def reprozoo_register_families(register):
        register(Family("{name}", "a family", "{name}:load"))

    @hookimpl
    def reprozoo_register_cards(register):
        register(Path(__file__).parent / "{name}")
"""
CARD = """
    kind = "model"
    id = "{id}"
    title = "a model"
    family = "{family}"
    package = "their-package"
    licence = "MIT"
    paper = "unknown"
    noise_shape = [3, 4, 4]
    image_shape = [3, 4, 4]
    training = {{}}
    weights = []
"""


def with_card(folder: Path, name: str, card: str) -> EntryPoint:
    (folder / name).mkdir()
    (folder / name / "card.toml").write_text(textwrap.dedent(card))
    return point(folder, f"{name}_hooks", CARDS.format(name=name))


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (CARD.format(id="m", family="bad") + "    colour = 3\n", 'there is no key "colour" here'),
        (CARD.format(id="taken", family="bad"), 'the name "taken" belongs to two model cards'),
        ("kind = model", "is not TOML"),
    ],
)
def test_a_plugin_with_a_bad_card_is_broken_and_alone(folder: Path, card: str, sentence: str) -> None:
    first = with_card(folder, "fine", CARD.format(id="taken", family="fine"))
    second = with_card(folder, "x_bad", card)
    plugins = Plugins([first, second])
    registry = plugin_cards(plugins)
    assert list(registry.models) == ["taken"]
    assert [record.status for record in plugins.records] == ["ok", "broken"]
    assert sentence in plugins.records[1].error
    assert list(plugins.families) == ["fine"]
    assert plugins.giver_of(registry.model("taken").home) is plugins.records[0]
    assert plugins.giver_of(folder) is None


def test_a_folder_of_cards_that_is_not_there_breaks_its_plugin(folder: Path) -> None:
    plugins = Plugins([point(folder, "nowhere_hooks", CARDS.format(name="nowhere"))])
    assert dict(plugin_cards(plugins).models) == {}
    assert "is not a directory" in plugins.records[0].error


def of_package(name: str, package: str, source: str, folder: Path) -> EntryPoint:
    """An entry point of a package of its own."""
    made = point(folder, name, source)
    vars(made).update(dist=SimpleNamespace(name=package, version="1.2"))
    return made


@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        ({}, "it comes with the package their-package, which is not installed; install it"),
        ({"their-package": "raise ImportError('no')"}, "plugin p0 is broken (ImportError: no)"),
        ({"Their_Package": "raise ImportError('no')", "a": "import nothing"}, "plugin p0 is broken (ImportError: no)"),
        ({"their-package": GOOD.format(name="p0", family="y")}, "their-package 1.2 is installed and does not have it"),
        ({"other": "raise ImportError('no')"}, "it comes with the package their-package, which is not installed"),
    ],
)
def test_a_card_names_the_package_that_is_missing(folder: Path, installed: dict[str, str], reason: str) -> None:
    points = [of_package(f"p{i}", name, source, folder) for i, (name, source) in enumerate(installed.items())]
    with pytest.raises(PluginError) as caught:
        Plugins(points).family("x", package="their-package")
    assert str(caught.value).startswith(f"no plugin provides the family 'x': {reason}")
    assert "plugin p1" not in str(caught.value)


def test_import_object_says_what_failed() -> None:
    with pytest.raises(PluginError, match=r"cannot load reprozoo\.nowhere:thing: ModuleNotFoundError"):
        import_object("reprozoo.nowhere:thing")
    with pytest.raises(PluginError, match="AttributeError"):
        import_object("reprozoo.base.errors:Nothing")


def test_what_comes_with_reprozoo_is_registered_like_a_strangers() -> None:
    plugins = Plugins(disabled=())
    (record,) = (record for record in plugins.records if record.name == "builtin")
    assert (record.status, record.error) == ("ok", None)
    assert {spec.name: spec for spec in BUILT_IN.values()}.items() <= {
        name: found.value for name, found in plugins.samplers.items()
    }.items()
    assert {"sscd", "pixels"} <= set(plugins.descriptors)
    for spec in library.specs():  # these import what ``builtin`` only reads
        assert plugins.measures[spec.name].value == spec
        assert plugins.measures[spec.name].plugin is record


@pytest.mark.parametrize("kind", ["samplers", "measures", "problems"])
def test_a_kind_of_registration_has_a_table(folder: Path, kind: str) -> None:
    name = f"{kind.title()[:-1]}Spec"
    source = f"""
        from reprozoo import {name}, hookimpl

        @hookimpl
        def reprozoo_register_{kind}(register):
            register({name}("mine", "a line", "x:y"))
        """
    wrong = source.replace(f'{name}("mine", "a line", "x:y")', '"mine"')
    plugins = Plugins([point(folder, "gives", source), point(folder, "gives_wrong", wrong)], disabled=())
    assert {name: found.plugin.name for name, found in getattr(plugins, kind).items()} == {"mine": "gives"}
    assert plugins.records[1].status == "broken"
    assert f"reprozoo_register_{kind} expects {name}, got str" in str(plugins.records[1].error)


def test_an_old_plugin_is_told_which_api_there_is(folder: Path) -> None:
    (record,) = Plugins([point(folder, "older", OF_THE_FUTURE.format(wanted=">=1,<2"))]).records
    assert (record.status, API_VERSION) == ("incompatible", "2.0")
    assert record.error == (
        "it wants plugin API >=1,<2, and this reprozoo has 2.0; update whichever of the two is older"
    )
