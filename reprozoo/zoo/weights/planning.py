"""What fetching would do: sizes, what is here already, and whether the disk has room."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reprozoo.base import paths
from reprozoo.base.files import bytes_on_disk
from reprozoo.zoo.cards import UNKNOWN, BundledSource, HubSource, LocalSource, UrlSource, WeightsSource
from reprozoo.zoo.weights.cache import FileCache, require_room
from reprozoo.zoo.weights.fetching import cached_name, stated_sha256, status
from reprozoo.zoo.weights.hub import VARIABLE, HubRecord, hub_is_offline, list_repository, local_folder, snapshot_folder


@dataclass(frozen=True)
class PlannedFile:
    """One file of a source.

    Attributes:
        name: as its source calls it.
        bytes: its size; None where nobody knows before it was fetched.
        status: "bundled", "cached", "downloadable", "gated", "manual" or "untrained".
    """

    name: str
    bytes: int | None
    status: str

    @property
    def to_fetch(self) -> int:
        """Bytes still to come, as far as they are known."""
        return self.bytes or 0 if self.status in ("downloadable", "gated") else 0


def plan(source: WeightsSource, *, card_dir: Path, offline: bool = False) -> list[PlannedFile]:
    """The files that ``fetch`` would hand out; servers are asked for sizes, nothing is fetched.

    Raises:
        UnavailableError: as ``fetch``, where a server has to be asked.
    """
    state = status(source)
    if isinstance(source, HubSource):
        if state == "cached" or offline or hub_is_offline():
            return _local_plan(source, state)
        listing = list_repository(source)
        folder = snapshot_folder(source.repo, listing.commit)
        here = {name for name in source.files if (folder / name).is_file()}
        return [
            PlannedFile(name, listing.files[name].bytes, "cached" if name in here else state) for name in source.files
        ]
    size = size_of(source, card_dir=card_dir)
    if size is None and state == "downloadable" and isinstance(source, UrlSource) and not offline:
        from reprozoo.zoo.weights.http import remote_size

        size = remote_size(source.url)
    return [PlannedFile(cached_name(source), size, state)]


def size_of(source: WeightsSource, *, card_dir: Path) -> int | None:
    """Bytes of all files of a source as far as this machine knows; quick, no server is asked."""
    if isinstance(source, BundledSource):
        return _file_size(card_dir / source.file)
    if isinstance(source, LocalSource):
        return bytes_on_disk(source.path)
    if isinstance(source, HubSource):
        sizes = [file.bytes for file in _local_plan(source, "")]
        if all(size is not None for size in sizes):
            return sum(size or 0 for size in sizes)
    else:
        cache = FileCache()
        digest = cache.expected(source, stated_sha256(source))
        if cache.holds(digest, cached_name(source)):
            return _file_size(cache.root / "files" / (digest or UNKNOWN) / cached_name(source))
    stated = getattr(source, "bytes", UNKNOWN)
    return stated if isinstance(stated, int) else None


def check_room(planned: Iterable[tuple[WeightsSource, PlannedFile]]) -> None:
    """Check that everything still to be fetched fits on its disk, before the first byte of it.

    Raises:
        PartialError: it does not.
    """
    needed: dict[int, int] = {}
    places: dict[int, tuple[Path, str]] = {}
    for source, file in planned:
        place = (
            (paths.hub_cache(), VARIABLE) if isinstance(source, HubSource) else (paths.weights_home(), "REPROZOO_HOME")
        )
        disk = _disk(place[0])
        places.setdefault(disk, place)
        needed[disk] = needed.get(disk, 0) + file.to_fetch
    for disk, total in needed.items():
        if total:
            require_room(places[disk][0], total, places[disk][1])


def _local_plan(source: HubSource, state: str) -> list[PlannedFile]:
    record = HubRecord(source.repo)
    commit = record.commit(source.revision)
    folder = local_folder(source) or (snapshot_folder(source.repo, commit) if commit else None)
    seen = record.files(commit) if commit else {}
    found = []
    for name in source.files:
        size = _file_size(folder / name) if folder else None
        remembered = seen.get(name, {}).get("bytes")
        here = "cached" if size is not None else state
        found.append(PlannedFile(name, size if size is not None else remembered, here))
    return found


def _file_size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _disk(place: Path) -> int:
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    return os.stat(there).st_dev
