"""fetch: a verified file or none, whatever happens on the way; the same file for two processes at once."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from reprozoo.base.errors import IntegrityError, PartialError, UnavailableError, UsageError
from reprozoo.base.files import bytes_on_disk
from reprozoo.zoo.cards import BundledSource, HubSource, ManualSource, UrlSource
from reprozoo.zoo.weights import cache, content_digest, fetch, http, sha256_of, status

FETCH = """
import sys
from pathlib import Path
from reprozoo.zoo.cards import UrlSource
from reprozoo.zoo.weights import fetch
print(fetch(UrlSource(url=sys.argv[1], sha256=sys.argv[2], bytes="unknown"), card_dir=Path()).path)
"""


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setattr(http, "PATIENCE", http.Patience(timeout_s=1, attempts=2, backoff_s=0.01))


@pytest.fixture
def url_source(server, content, home):
    return UrlSource(url=server.url, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def files_in(home: Path) -> list[Path]:
    return [p for p in (home / "weights" / "files").rglob("*") if p.is_file()]


def get(source, **options):
    return fetch(source, card_dir=Path(), **options)


def test_fetched_once_then_cached_and_offline(url_source, server, content):
    first = get(url_source)
    assert (first.path.read_bytes(), first.path.name, first.origin) == (content, "model.bin", "url")
    assert status(url_source) == "cached"
    second = get(url_source, offline=True)
    assert (second.path, second.sha256, second.origin) == (first.path, url_source.sha256, "cached")
    assert len(server.ranges) == 1


def test_offline_names_what_is_missing(url_source, home):
    assert status(url_source) == "downloadable"
    with pytest.raises(UnavailableError, match=r"model\.bin is not on this machine, and --offline"):
        get(url_source, offline=True)
    assert not home.exists()


def test_wrong_hash_keeps_nothing_and_a_second_try_works(url_source, server, content, home):
    server.content = content[:-1] + b"!"
    other = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(IntegrityError, match=rf"(?s){other}.*{url_source.sha256}"):
        get(url_source)
    assert files_in(home) == []
    server.content = content
    assert get(url_source).path.read_bytes() == content


def test_an_unknown_digest_is_recorded_and_held_to(server, content, home):
    source = UrlSource(url=server.url, sha256="unknown", bytes="unknown")
    first = get(source)
    assert first.sha256 == hashlib.sha256(content).hexdigest()
    assert get(source, offline=True).path == first.path
    first.path.unlink()
    server.content = content[::-1]
    changed = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(IntegrityError, match=rf"(?s){changed}.*{first.sha256}"):
        get(source)
    assert files_in(home) == []
    server.content = content
    assert get(source).sha256 == first.sha256


def test_a_flipped_bit_on_disk_is_noticed_and_healed(url_source, content):
    path = get(url_source).path
    damaged = bytearray(content)
    damaged[1000] ^= 1
    path.write_bytes(damaged)
    assert get(url_source).path.read_bytes() == content
    path.write_bytes(damaged)
    with pytest.raises(UnavailableError):
        get(url_source, offline=True)


@pytest.mark.parametrize("hub", [True, False])
def test_a_disk_too_full_for_a_lock(url_source, monkeypatch, hub):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(filelock.FileLock, "acquire", full)
    source = HubSource(repo="a/b", revision="a" * 40, files=("x",), sha256={}) if hub else url_source
    with pytest.raises(PartialError, match=r"is full.*REPROZOO_HOME"):
        get(source)


def test_a_full_disk_then_room_again(url_source, server, content, home, monkeypatch):
    real_open = Path.open

    def full(self, mode="r", *args, **kwargs):
        stream = real_open(self, mode, *args, **kwargs)
        return Full(stream) if self.suffix == ".part" else stream

    class Full:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.stream.close()

        def __getattr__(self, name):
            return getattr(self.stream, name)

        def write(self, chunk):
            self.stream.write(chunk[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(PartialError, match="is full"):
        get(url_source)
    assert files_in(home) == []
    monkeypatch.undo()
    os.environ["REPROZOO_HOME"] = str(home)
    try:
        assert get(url_source).path.read_bytes() == content
    finally:
        del os.environ["REPROZOO_HOME"]
    assert server.ranges[-1] == "bytes=1000-"


def test_a_cache_that_cannot_be_written(url_source, home):
    home.write_text("a file where the directory should be")
    with pytest.raises(UsageError, match="REPROZOO_HOME"):
        get(url_source)


def run_fetch(source: UrlSource, home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "REPROZOO_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FETCH, source.url, source.sha256]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_fetch_it_once(url_source, server, content, home):
    server.script = [lambda handler: server.serve(handler, pause_s=0.1)] * 2
    processes = [run_fetch(url_source, home) for _ in range(2)]
    paths = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert paths[0] == paths[1]
    assert Path(paths[0]).read_bytes() == content
    assert len(server.ranges) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in another way there")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_interrupted_half_way_then_run_again(url_source, server, content, home, how):
    server.script = [lambda handler: server.serve(handler, pause_s=0.3)]
    process = run_fetch(url_source, home)
    while server.bytes_sent < 2 * 65536:
        time.sleep(0.01)
    process.send_signal(getattr(signal, how))
    process.communicate()
    assert process.returncode != 0
    assert files_in(home) == []
    assert get(url_source).path.read_bytes() == content


def test_bundled(tmp_path, home):
    file = tmp_path / "weights" / "tiny.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"tiny")
    source = BundledSource(file="weights/tiny.safetensors", sha256=hashlib.sha256(b"tiny").hexdigest())
    assert status(source) == "bundled"
    assert fetch(source, card_dir=tmp_path, offline=True).path == file
    file.write_bytes(b"tinY")
    with pytest.raises(IntegrityError, match=source.sha256):
        fetch(source, card_dir=tmp_path)
    file.unlink()
    with pytest.raises(UnavailableError, match="is missing"):
        fetch(source, card_dir=tmp_path)


def test_manual_says_where_and_what(home):
    source = ManualSource(page="https://example.org/weights", instructions="take checkpoint_8.pth")
    assert status(source) == "manual"
    with pytest.raises(UnavailableError, match=r"(?s)example\.org/weights.*checkpoint_8\.pth.*reprozoo import"):
        get(source)


def test_digests_of_big_files_are_remembered_until_they_change(tmp_path, home, monkeypatch):
    monkeypatch.setattr(cache, "REMEMBER_BYTES", 1)
    path = tmp_path / "big"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    first = sha256_of(path)
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert sha256_of(path) == first  # size, time and inode are the same: it was not read again
    os.utime(path, (2, 2))
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_may_still_change_is_not_remembered(tmp_path, home, monkeypatch):
    monkeypatch.setattr(cache, "REMEMBER_BYTES", 1)
    path = tmp_path / "big"
    path.write_bytes(b"one")
    sha256_of(path)
    assert not (home / "weights" / "digests").exists()


def test_content_digest_of_a_folder(tmp_path, home):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"1")
    first = content_digest(tmp_path / "a")
    assert content_digest(tmp_path / "a") == first
    (tmp_path / "a" / "1.png").rename(tmp_path / "a" / "2.png")
    assert content_digest(tmp_path / "a") != first
    with pytest.raises(UsageError, match="cannot read"):
        content_digest(tmp_path / "nothing")


def test_content_digest_enters_linked_folders(tmp_path, home):
    """A pipeline folder may share its U-Net by a link."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(name)
        (tmp_path / f"pipeline-{name}").mkdir()
        (tmp_path / f"pipeline-{name}" / "unet").symlink_to(tmp_path / name)
    assert content_digest(tmp_path / "pipeline-one") != content_digest(tmp_path / "pipeline-two")
    assert bytes_on_disk(tmp_path / "pipeline-one") == 3
    (tmp_path / "pipeline-two" / "unet2").symlink_to(tmp_path / "two")
    assert bytes_on_disk(tmp_path / "pipeline-two") == 6  # read twice, under two names
    (tmp_path / "one" / "back").symlink_to(tmp_path / "pipeline-one")
    assert bytes_on_disk(tmp_path / "pipeline-one") == 3  # a link back is not followed for ever
