"""A file is there wholly or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from reprozoo.base.errors import PartialError, UsageError
from reprozoo.base.files import check_folder, prepare_folder, whole_file, write_whole


def torn(path: Path, error: BaseException) -> None:
    """A write that ends half way."""
    with whole_file(path, remedy="") as temporary:
        temporary.write_bytes(b"ne")
        raise error


def test_a_torn_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old", remedy="")
    with pytest.raises(KeyboardInterrupt):
        torn(path, KeyboardInterrupt())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PartialError, match="the disk is full"):
        torn(tmp_path / "file", OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*missing.*; choose another place with -o"):
        write_whole(tmp_path / "missing" / "file", b"", remedy="choose another place with -o")


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="choose another place with -o"):
        prepare_folder(tmp_path / "file" / "folder")


def test_a_place_that_is_only_looked_at_stays_as_it_was(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    check_folder(tmp_path / "old")
    assert (tmp_path / "old" / "file").exists()
    with pytest.raises(UsageError, match="choose another place with -o"):
        check_folder(tmp_path / "old" / "file" / "folder")
