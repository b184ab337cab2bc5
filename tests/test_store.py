"""The store: keys, shards that are whole or absent, damage that is noticed, writers that do not meet."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprozoo.base import files
from reprozoo.base.errors import IntegrityError, PartialError, UsageError
from reprozoo.engine.store import SHARD_ROWS, Entry, Store, runs_of
from reprozoo.engine.store.lease import STALE_AFTER_S, Lease


def rows(start: int, stop: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Rows that say which they are."""
    return np.arange(start, stop, dtype=np.uint8)[:, None].repeat(5, axis=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store: Store) -> Entry:
    entry = store.entry("images", {"model": "a"})
    entry.put(0, rows(0, 64))
    entry.put(64, rows(64, 100))
    return entry


def data_files(entry: Entry) -> list[Path]:
    return sorted(entry.folder.glob("*.safetensors"))


# --- rows and shards -------------------------------------------------------------------------------------------------


def test_rows_come_back_in_any_order(entry: Entry) -> None:
    wanted = [99, 0, 63, 64, 0]
    assert entry.rows(wanted)[:, 0].tolist() == wanted
    assert entry.rows(range(100)).tobytes() == rows(0, 100).tobytes()


def test_only_what_is_missing_is_missing(entry: Entry) -> None:
    assert entry.missing(range(100), block=SHARD_ROWS) == []
    assert entry.missing(range(130), block=SHARD_ROWS) == [(100, 128), (128, 130)]
    assert entry.missing([3, 200, 201, 300], block=SHARD_ROWS) == [(200, 202), (300, 301)]


def test_shards_of_some_rows(entry: Entry) -> None:
    assert [(shard.start, shard.stop) for shard in entry.shards()] == [(0, 64), (64, 100)]
    assert [shard.start for shard in entry.shards(10, 64)] == [0]
    assert [shard.start for shard in entry.shards(64, 65)] == [64]
    assert entry.shards(100, 200) == []


def test_what_is_there_is_not_written_again(entry: Entry) -> None:
    entry.put(0, rows(64, 128), facts={"writer": "second"})
    assert (entry.rows([0]) == rows(0, 1)).all()
    assert entry.shards(0, 64)[0].facts == {}


def test_runs_are_cut_at_the_block() -> None:
    assert runs_of(range(60, 70), block=64) == [(60, 64), (64, 70)]
    assert runs_of([5, 4, 9, 4]) == [(4, 6), (9, 10)]
    assert runs_of([]) == []


def test_a_row_that_is_not_there_is_a_sentence(entry: Entry) -> None:
    with pytest.raises(UsageError, match="row 100 is not in the store"):
        entry.rows([1, 100])


def test_rows_written_later_are_found(entry: Entry) -> None:
    entry.rows([0])
    entry.put(100, rows(100, 128))
    assert entry.rows([127])[0, 0] == 127


def test_the_manifest_says_what_the_writer_noted(entry: Entry) -> None:
    entry.put(128, rows(128, 130), facts={"batch_size": 2})
    assert [(s.start, s.stop, dict(s.facts)) for s in entry.shards()][-1] == (128, 130, {"batch_size": 2})


# --- keys ------------------------------------------------------------------------------------------------------------


DOCUMENT = {
    "schema": 1,
    "map": {"weights": "ab", "options": {"steps": 18}, "dtype": "float32", "device": "cpu", "torch": "2.13"},
    "noise": {"kind": "bank", "seed": 0},
    "conditions": [{"class_label": 3}],
    "rounding": "floor",
    "batch_size": 64,
}


def changes(value: Any) -> list[Any]:
    """Every copy of a JSON value with one leaf changed."""
    if isinstance(value, dict):
        return [{**value, key: changed} for key in value for changed in changes(value[key])]
    if isinstance(value, list):
        return [[*value[:i], changed, *value[i + 1 :]] for i in range(len(value)) for changed in changes(value[i])]
    return [value + 1 if isinstance(value, int) else value + "x"]


@pytest.mark.parametrize("changed", changes(DOCUMENT), ids=lambda document: json.dumps(document)[-40:])
def test_each_field_of_the_key_alone_is_a_miss(store: Store, changed: dict[str, Any]) -> None:
    store.entry("images", DOCUMENT).put(0, rows(0, 64))
    assert store.entry("images", changed).missing(range(64), block=64) == [(0, 64)]
    assert store.entry("images", DOCUMENT).missing(range(64), block=64) == []


def test_the_order_of_fields_does_not_matter(store: Store) -> None:
    assert store.entry("images", dict(reversed(DOCUMENT.items()))).key == store.entry("images", DOCUMENT).key


def test_two_models_and_two_kinds_in_one_store_do_not_meet(store: Store) -> None:
    first, second = store.entry("images", {"model": "a"}), store.entry("images", {"model": "b"})
    first.put(0, rows(0, 8))
    second.put(0, rows(100, 108))
    store.entry("features", {"model": "a"}).put(0, rows(50, 58))
    assert first.rows([0])[0, 0] == 0
    assert second.rows([0])[0, 0] == 100
    assert store.entry("features", {"model": "a"}).rows([0])[0, 0] == 50


# --- damage ----------------------------------------------------------------------------------------------------------


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, empty, remove])
def test_a_damaged_shard_is_found_on_use_and_by_verify_and_can_be_made_again(
    store: Store, entry: Entry, damage: Any
) -> None:
    assert list(store.verify()) == []
    damage(data_files(entry)[1])
    fresh = store.entry("images", {"model": "a"})
    assert fresh.rows(range(64)).tobytes() == rows(0, 64).tobytes()
    with pytest.raises(IntegrityError, match=r"000000000064-000000000100.*is damaged.*cache prune --broken"):
        fresh.rows(range(100))
    (problem,) = store.verify()
    assert "is damaged" in problem.message
    store.prune(broken=True)
    assert list(store.verify()) == []
    fresh = store.entry("images", {"model": "a"})
    assert fresh.missing(range(100), block=64) == [(64, 100)]
    fresh.put(64, rows(64, 100))
    assert fresh.rows(range(100)).tobytes() == rows(0, 100).tobytes()


def test_a_shard_under_another_name_is_damage(store: Store, entry: Entry) -> None:
    for path in entry.folder.glob("000000000000-*"):
        path.rename(path.with_name(path.name.replace("000000000000-000000000064", "000000000128-000000000192")))
    with pytest.raises(IntegrityError, match="other rows than its name says"):
        store.entry("images", {"model": "a"}).rows([128])
    assert len(list(store.verify())) == 1


def test_a_damaged_manifest_is_found_and_pruned(store: Store, entry: Entry) -> None:
    truncate(entry.folder / "000000000000-000000000064.json")
    with pytest.raises(IntegrityError, match="cannot be read"):
        store.entry("images", {"model": "a"}).missing(range(10), block=64)
    assert len(list(store.verify())) == 1
    store.prune(broken=True)
    assert store.entry("images", {"model": "a"}).missing(range(100), block=64) == [(0, 64)]


def test_a_document_that_is_not_of_its_key_is_found(store: Store, entry: Entry) -> None:
    (entry.folder / "entry.json").write_text('{"model": "b"}')
    assert [problem.path.name for problem in store.verify()] == ["entry.json"]
    store.prune(broken=True)
    assert store.entry("images", {"model": "a"}).missing(range(1), block=64) == [(0, 1)]


def test_data_without_a_manifest_does_not_count(store: Store, entry: Entry) -> None:
    entry.folder.joinpath("000000000064-000000000100.json").unlink()
    assert entry.missing(range(100), block=64) == [(64, 100)]
    assert list(store.verify()) == []


# --- torn writes and full disks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "survives"), [*(("fsync", i) for i in range(6)), *(("replace", i) for i in range(3))])
def test_a_write_that_stops_anywhere_leaves_a_whole_shard_or_none(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, survives: int
) -> None:
    """The document, the data and the manifest: each is flushed, renamed, and its directory flushed."""
    left = [survives]
    real = getattr(os, call)

    def failing(*arguments: Any) -> Any:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return real(*arguments)

    entry = store.entry("images", {"model": "a"})
    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, failing)
        with pytest.raises(PartialError, match=r"is full.*same command"):
            entry.put(0, rows(0, 64))
    assert not list(store.root.rglob("*.tmp"))
    assert list(store.verify()) == []
    if entry.missing(range(64), block=64):
        entry.put(0, rows(0, 64))
    assert store.entry("images", {"model": "a"}).rows(range(64)).tobytes() == rows(0, 64).tobytes()


def test_a_full_disk_under_a_lease_is_the_same_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    entry = store.entry("images", {"model": "a"})
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(PartialError, match="is full"):
            entry.lease(0, 64)
    assert entry.lease(0, 64) is not None


def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write"):
        Store(tmp_path / "file").entry("images", {}).put(0, rows(0, 1))


# --- leases ----------------------------------------------------------------------------------------------------------


def test_one_writer_a_shard(store: Store) -> None:
    entry = store.entry("images", {"model": "a"})
    first = entry.lease(0, 64)
    assert first is not None
    assert entry.lease(0, 64) is None
    assert entry.lease(64, 128) is not None
    first.release()
    assert entry.lease(0, 64) is not None


def test_waiting_for_a_lease_takes_it_when_it_is_free(entry: Entry) -> None:
    held = entry.lease(100, 164)
    assert held is not None
    release = threading.Timer(0.3, held.release)
    release.start()
    with entry.wait_for_lease(100, 164):
        assert release.finished.is_set()
        assert entry.lease(100, 164) is None


def test_the_lease_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "x.lease"
    holder = "import os, pathlib; from reprozoo.engine.store.lease import Lease; "
    holder += "Lease.take(pathlib.Path(os.sys.argv[1]))"
    subprocess.run([sys.executable, "-c", holder, str(path)], check=True)
    assert path.exists()
    lease = Lease.take(path)
    assert lease is not None
    assert Lease.take(path) is None


CONTEND = """
import pathlib, sys
from reprozoo.engine.store import lease
lease_path, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
lease.WAIT_S = 0
for _ in range(100):
    with lease.Lease.wait(lease_path):
        found = int(count.read_text())
        count.write_text(str(found + 1))
"""


def test_processes_that_contend_hold_it_one_at_a_time(tmp_path: Path) -> None:
    """Each release removes the file, so that every take races with a file that is about to vanish."""
    path, count = tmp_path / "x.lease", tmp_path / "count"
    count.write_text("0")
    command = [sys.executable, "-c", CONTEND, str(path), str(count)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert count.read_text() == "300"
    assert not path.exists()


def test_the_lease_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.lease"
    holder = "import pathlib, sys, time; from reprozoo.engine.store.lease import Lease; "
    holder += "lease = Lease.take(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert Lease.take(path) is None
    process.kill()
    process.wait()
    assert Lease.take(path) is not None


@pytest.mark.parametrize("content", ['{"host": "elsewhere", "pid": 1, "started": "1"}', '{"host": ', ""])
def test_a_file_that_nobody_holds_is_no_lease(tmp_path: Path, content: str) -> None:
    """Of an older version, or left by a process that died."""
    path = tmp_path / "x.lease"
    path.write_text(content)
    os.utime(path, (0, 0))
    lease = Lease.take(path)
    assert lease is not None
    assert time.time() - path.stat().st_mtime < STALE_AFTER_S  # or pruning would take it away
    lease.release()
    assert not path.exists()


def test_renewing_keeps_a_lease_young(tmp_path: Path) -> None:
    path = tmp_path / "x.lease"
    lease = Lease.take(path)
    assert lease is not None
    os.utime(path, (0, 0))
    lease.renew()
    assert time.time() - path.stat().st_mtime < 60


# --- the store as a whole --------------------------------------------------------------------------------------------


def test_entries_are_listed_with_their_documents(store: Store, entry: Entry) -> None:
    store.entry("features", {"of": "a"}).put(0, rows(0, 7))
    infos = store.entries()
    assert [(info.kind, info.rows, dict(info.document)) for info in infos] == [
        ("features", 7, {"of": "a"}),
        ("images", 100, {"model": "a"}),
    ]
    assert all(info.bytes > 0 for info in infos)


def test_pruning_by_age_key_and_everything(store: Store, entry: Entry) -> None:
    other = store.entry("images", {"model": "b"})
    other.put(0, rows(0, 8))
    os.utime(entry.folder / "entry.json", (0, 0))
    removed = store.prune(unused_for_s=3600)
    assert removed.paths == [entry.folder]
    assert removed.bytes > 500
    with pytest.raises(UsageError, match="no entry"):
        store.prune(key="zz")
    assert store.prune(key=other.key[:8]).paths == [other.folder]
    entry.put(0, rows(0, 8))
    assert store.prune(everything=True).paths == [entry.folder]
    assert store.entries() == []


def test_an_entry_that_was_chosen_twice_is_pruned_once(store: Store, entry: Entry) -> None:
    assert store.prune(everything=True, unused_for_s=0, key=entry.key[:8]).paths == [entry.folder]


def test_files_that_vanish_meanwhile_are_no_error(store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.iterdir

    def with_a_ghost(folder: Path) -> Iterator[Path]:
        yield from real(folder)
        yield folder / ".vanished.tmp"

    monkeypatch.setattr(Path, "iterdir", with_a_ghost)
    (info,) = store.entries()
    assert info.rows == 100
    assert store.prune(key=entry.key).paths == [entry.folder]


def test_using_an_entry_keeps_it_from_being_pruned_by_age(store: Store, entry: Entry) -> None:
    os.utime(entry.folder / "entry.json", (0, 0))
    entry.touch()
    assert store.prune(unused_for_s=3600).paths == []


def test_pruning_clears_what_dead_writers_left_and_spares_living_ones(store: Store, entry: Entry) -> None:
    old, young = entry.folder / ".a.1.tmp", entry.folder / ".b.2.tmp"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (0, 0))
    assert store.prune().paths == [old]
    assert young.exists()
