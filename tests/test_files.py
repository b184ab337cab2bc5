"""A file is there wholly or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.numpy import save

from reprozoo.base.errors import IntegrityError, PartialError, UsageError
from reprozoo.base.files import check_folder, prepare_folder, whole_file, write_whole, writing


def torn(path: Path, error: BaseException, remedy: str = "") -> None:
    """A write that ends half way."""
    with whole_file(path, remedy=remedy) as temporary:
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


FULL = OSError(errno.ENOSPC, "No space left on device")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("write(): fd 3 failed with No space left on device"),  # torch, the old format
        caused(RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"), FULL),
        RuntimeError("Data processing error: I/O error: Disk quota exceeded (os error 122)"),  # the Hub's client
    ],
)
def test_writers_say_in_their_own_words_that_the_disk_is_full(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(PartialError, match=r"the disk is full.*Make room, or look elsewhere, and run"):
        torn(tmp_path / "file", error, "look elsewhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(
    "error", [OSError("200000 requested and 76768 written"), RuntimeError("unexpected pos 9 vs 8")]
)
def test_where_a_writer_gives_no_reason_the_system_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, full: bool
) -> None:
    """What NumPy's and torch's writers raise on a disk that is full (RuntimeError, no cause, no errno)."""
    if full:
        real = Path.open
        monkeypatch.setattr(Path, "open", lambda path, mode: real("/dev/full" if mode == "ab" else path, mode))
    expected = PartialError if full else UsageError if isinstance(error, OSError) else RuntimeError
    with pytest.raises(expected):
        torn(tmp_path / "file", error)
    assert list(tmp_path.iterdir()) == []


def save_legacy(value: np.ndarray[Any, Any], file: IO[bytes]) -> None:
    torch.save(torch.from_numpy(value), file, _use_new_zipfile_serialization=False)


WRITERS: list[Callable[[np.ndarray[Any, Any], IO[bytes]], object]] = [
    lambda value, file: torch.save(torch.from_numpy(value), file),
    save_legacy,
    lambda value, file: np.savez(file, value=value),
    lambda value, file: file.write(save({"value": value})),
]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no device that is always full")
@pytest.mark.parametrize("write", WRITERS, ids=["torch", "torch before 1.6", "numpy", "safetensors"])
def test_real_writers_on_a_device_that_is_full(write: Callable[[np.ndarray[Any, Any], IO[bytes]], object]) -> None:
    with (
        pytest.raises(PartialError, match="the disk is full"),
        writing(Path("f"), remedy=""),
        open("/dev/full", "wb") as file,
    ):
        write(np.zeros(100_000, "float32"), file)


@pytest.mark.parametrize("error", [KeyError("a bug"), RuntimeError("another"), IntegrityError("NaN")])
def test_what_is_no_failure_to_write_stays_what_it_is(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        torn(tmp_path / "file", error)
    assert caught.value is error
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


def test_what_a_link_leads_to_is_written_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real" / "file")
    write_whole(link, b"new", remedy="")
    assert link.is_symlink()
    assert (tmp_path / "real" / "file").read_bytes() == b"new"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=f"cannot write {pipe}: it is not a regular file; elsewhere"):
        write_whole(pipe, b"new", remedy="elsewhere")
    assert pipe.is_fifo()


def test_a_name_too_long_for_a_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name too long"):
        check_folder(tmp_path / ("x" * 300))
