"""Fresh environments with reprozoo's own wheel in them, offline: third-party packages are lent by the test's Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "reprozoo", "plugins", "registry")
BUILD = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"
PIP = """\
#!/bin/sh
command=$1
shift
case $command in install | wheel) set -- --no-index --no-build-isolation "$@" ;; esac
exec "{host}" -m pip --python "{python}" "$command" --quiet --disable-pip-version-check "$@"
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment without reprozoo, into which ``pip`` installs what it is given and fetches nothing.

    Attributes:
        folder: of the environment; caches, configuration and home are in it.
        work: where commands run.
    """

    folder: Path
    work: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """A new one below ``folder``, which is made."""
        made = cls(folder / "env", folder / "work")
        made.work.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.folder], check=True)
        _lend_packages(made.folder)
        pip = made.folder / "bin" / "pip"
        pip.write_text(PIP.format(host=sys.executable, python=made.folder / "bin" / "python"))
        pip.chmod(0o755)
        return made

    def shell(self, script: str) -> str:
        """Run lines of a shell with this environment first on its path; standard output.

        Raises:
            AssertionError: a line failed; both outputs are in the message.
        """
        done = self.run("bash", "-euo", "pipefail", "-c", script)
        assert done.returncode == 0, f"{script}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """One command, whatever becomes of it."""
        return subprocess.run(
            [str(word) for word in words],
            cwd=self.work,
            env=self._variables(),
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, command: str) -> Any:
        """The document that a command prints."""
        return json.loads(self.shell(command))

    def _variables(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("REPROZOO", "PYTHON", "XDG", "HF_", "PIP_", "COV_", "PYTEST", "VIRTUAL_ENV"))
        }
        places = {name: str(self.folder / name.lower()) for name in ("HOME", "XDG_CONFIG_HOME", "REPROZOO_HOME")}
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return kept | places | {"PATH": path, "REPROZOO_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _lend_packages(environment: Path) -> None:
    """Put the packages of this Python on the environment's path, but for reprozoo and its plugins."""
    lent = environment / "lent"
    lent.mkdir()
    for place in dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")):
        for entry in Path(place).iterdir():
            if entry.suffix != ".pth" and not entry.name.lower().startswith(("reprozoo", "__editable__")):
                (lent / entry.name).symlink_to(entry)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(f"{lent}\n")


def copy_of_tree(folder: Path) -> Path:
    """What a distribution of reprozoo is built from, without anything that an earlier build left."""
    folder.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def build(folder: Path, kind: str, output: Path) -> Path:
    """The "wheel" or "sdist" of a package's folder, built by its own backend without a network."""
    output.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", BUILD, f"build_{kind}", str(output)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output / done.stdout.split()[-1]
