"""``new-plugin``: a package that adds a family, ready to be installed and tested, for its author to change."""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import click

from reprozoo import __version__
from reprozoo.base.errors import UsageError
from reprozoo.base.files import write_error
from reprozoo.cli.common import debug_option, note
from reprozoo.zoo.plugins import API_VERSION, installed_names, installed_plugins

TEMPLATES = Path(__file__).parent / "templates"
FILES = {
    "pyproject.toml.tmpl": "pyproject.toml",
    "README.md.tmpl": "README.md",
    "gitignore.tmpl": ".gitignore",
    "workflow.yml.tmpl": ".github/workflows/test.yml",
    "make_weights.py.tmpl": "make_weights.py",
    "init.py.tmpl": "src/@module@/__init__.py",
    "adapter.py.tmpl": "src/@module@/adapter.py",
    "network.py.tmpl": "src/@module@/network.py",
    "card.toml.tmpl": "src/@module@/cards/@id@.toml",
    "untrained.safetensors": "src/@module@/cards/weights/@id@.safetensors",
    "test_contract.py.tmpl": "tests/test_contract.py",
}
PREFIX = "reprozoo-"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command(short_help="Write a package that adds a family of models.")
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="The folder to make; ./reprozoo-NAME when left out.",
)
@debug_option
def new_plugin(*, name: str, output: Path | None) -> None:
    """Write a package that adds a family of models: it installs and passes its tests at once.

    NAME is that of the plugin and its family, e.g. my-flow: lower-case letters, digits and dashes.
    """
    name = name.removeprefix(PREFIX)
    check_name(name)
    folder = output or Path(PREFIX + name)
    try:
        taken = folder.exists() and any(folder.iterdir())
    except OSError as error:
        raise write_error(folder, error, remedy="choose another folder with -o") from error
    if taken:
        raise UsageError(f"{folder} is there already and is not empty; choose another folder with -o")
    write_package(name, folder)
    click.echo(folder)
    note(f"next: cd {folder} && pip install -e . && pytest && reprozoo check {words_of(name)['id']}")


def check_name(name: str) -> None:
    """Refuse a name that would not work, or that a plugin, a family or a module has.

    Raises:
        UsageError: with what was expected or who has it.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a plugin; expected lower-case letters, digits and dashes, e.g. my-flow")
    if name in installed_names():
        raise UsageError(f"a plugin called {name!r} is installed already; choose another name")
    if found := installed_plugins().families.get(name):
        raise UsageError(f"the plugin {found.plugin.name} has a family {name!r} already; choose another name")
    module = words_of(name)["module"]
    if module in sys.modules or find_spec(module):
        raise UsageError(f"a module called {module} is installed already; choose another name than {name!r}")


def write_package(name: str, folder: Path) -> None:
    """Write every file of the package.

    Raises:
        UsageError: the folder cannot be written.
    """
    words = words_of(name)
    for template, place in FILES.items():
        path = folder / filled(place, words)
        content = (TEMPLATES / template).read_bytes()
        if template.endswith(".tmpl"):
            content = filled(content.decode(), words).encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise write_error(path, error, remedy="choose another folder with -o") from error


def words_of(name: str) -> dict[str, str]:
    """What stands in the templates between two @.

    >>> words_of("my-flow")["distribution"], words_of("my-flow")["module"], words_of("my-flow")["class"]
    ('reprozoo-my-flow', 'reprozoo_my_flow', 'MyFlow')
    """
    major = int(API_VERSION.split(".")[0])
    return {
        "name": name,
        "distribution": PREFIX + name,
        "module": (PREFIX + name).replace("-", "_"),
        "class": "".join(part.capitalize() for part in name.split("-")),
        "id": f"{name}-untrained",
        "version": __version__,
        "api": f">={major},<{major + 1}",
        "sha256": sha256((TEMPLATES / "untrained.safetensors").read_bytes()).hexdigest(),
    }


def filled(template: str, words: dict[str, str]) -> str:
    """The template with its words put in; other text between two @ stays."""
    return re.sub(rf"@({'|'.join(words)})@", lambda match: words[match[1]], template)
