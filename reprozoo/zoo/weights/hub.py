"""Files of the Hugging Face Hub: in its own cache, at one commit, verified; its client is imported only to fetch.

The Hub's client compares sizes; here every file is compared with a digest: the card's, the one seen first, and the
Hub's own (sha256 of large files, git's sha1 of small ones). What does not agree is removed and nothing is handed out.
This is not left to the client's ``verify_repo_checksums``, which asks the Hub each time, hashes large files each time,
and knows neither cards nor what was seen first; nor is the look into the cache left to ``try_to_load_from_cache``: a
list of models would have to load the client for it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reprozoo.base import paths
from reprozoo.base.errors import IntegrityError, UnavailableError
from reprozoo.zoo.cards import UNKNOWN, HubSource, canonical_digest
from reprozoo.zoo.weights.cache import Progress, explained, locked, read_json, require_room, sha256_of, write_json
from reprozoo.zoo.weights.hub_client import HubFile, Listing, download, listing_of

COMMIT = re.compile(r"[0-9a-f]{40}")
VARIABLE = "HF_HOME"  # moves the Hub's cache
TRUE = frozenset({"1", "ON", "YES", "TRUE"})


@dataclass(frozen=True)
class HubFetched:
    """The snapshot's folder, or its one file; the digest of the needed files; whether any of them was fetched."""

    path: Path
    commit: str
    sha256: str
    fetched: bool


class HubRecord:
    """What is remembered about a repository: commits of branches, digests seen first, whether it is gated."""

    def __init__(self, repo: str) -> None:
        self.repo = repo
        self.path = paths.weights_home() / "hub" / f"{repo.replace('/', '--')}.json"
        self.known = read_json(self.path)

    def commit(self, revision: str) -> str | None:
        """The commit of a revision: itself, or what the branch was resolved to the first time."""
        if COMMIT.fullmatch(revision):
            return revision
        found = self.known.get("resolved", {}).get(revision)
        return str(found) if found else None

    @property
    def gated(self) -> bool:
        return bool(self.known.get("gated"))

    def files(self, commit: str) -> dict[str, dict[str, Any]]:
        """name -> {"sha256", "bytes"} of the files seen at a commit."""
        found = self.known.get("commits", {}).get(commit)
        return found if isinstance(found, dict) else {}

    def listed(self, commit: str) -> frozenset[str]:
        """Names of all files at a commit, where the Hub was asked for them."""
        return frozenset(self.known.get("listings", {}).get(commit, ()))

    def update(self, **news: Any) -> None:
        """Remember; ``resolved``, ``listings`` and ``commits`` are joined with what is known."""
        self.known = read_json(self.path)
        for key, value in news.items():
            if isinstance(value, dict):
                inner = self.known.setdefault(key, {})
                for name, item in value.items():
                    inner[name] = {**inner.get(name, {}), **item} if isinstance(item, dict) else item
            else:
                self.known[key] = value
        with explained(self.path):
            write_json(self.path, {"repo": self.repo, **self.known})


def hub_is_offline() -> bool:
    """Whether the environment forbids to ask the Hub, as its client reads it."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in TRUE


def snapshot_folder(repo: str, commit: str) -> Path:
    """Where the Hub's client keeps the files of a commit."""
    return paths.hub_cache() / f"models--{repo.replace('/', '--')}" / "snapshots" / commit


def local_folder(source: HubSource) -> Path | None:
    """The snapshot that holds all the files of a source, unverified; None where one is missing."""
    commit = HubRecord(source.repo).commit(source.revision)
    folder = snapshot_folder(source.repo, commit) if commit else None
    return folder if folder and all((folder / name).is_file() for name in source.files) else None


def fetch_from_hub(source: HubSource, *, offline: bool, progress: Progress | None) -> HubFetched:
    """The files of a source, fetched where they are missing, each verified.

    Raises:
        UnavailableError: offline, gated, gone, or the Hub cannot be reached.
        IntegrityError: a file has another digest than the card, the Hub or the first time.
        PartialError: the disk has no room.
    """
    if folder := local_folder(source):
        return _verified(source, folder, {}, fetched=False)
    if offline or hub_is_offline():
        forbids = "--offline" if offline else "HF_HUB_OFFLINE"
        raise UnavailableError(f"{_missing(source)}, and {forbids} forbids to fetch it")
    with locked(paths.weights_home(), f"hub-{source.repo.replace('/', '--')}"), _noting_gates(source.repo):
        if folder := local_folder(source):  # another process was quicker
            return _verified(source, folder, {}, fetched=False)
        listing = list_repository(source)
        folder = snapshot_folder(source.repo, listing.commit)
        _fetch_missing(source, listing, folder, progress)
        return _verified(source, folder, listing.files, fetched=True)


def list_repository(source: HubSource) -> Listing:
    """What the Hub says about a repository now, at the source's revision; remembered.

    Raises:
        UnavailableError: it cannot be had, or lacks a file that the card needs.
    """
    record = HubRecord(source.repo)
    revision = record.commit(source.revision) or (None if source.revision == UNKNOWN else source.revision)
    listing = listing_of(source.repo, revision)
    if absent := [name for name in source.files if name not in listing.files]:
        raise UnavailableError(
            f"{source.repo} on the Hugging Face Hub has no {', '.join(absent)} at commit {listing.commit}; the card "
            "that names it needs another revision"
        )
    resolved = {} if COMMIT.fullmatch(source.revision) else {source.revision: listing.commit}
    record.update(resolved=resolved, listings={listing.commit: sorted(listing.files)})
    return listing


def repository_files(repo: str, revision: str | None, *, offline: bool) -> tuple[str, frozenset[str]]:
    """The commit that a revision (main) means, and the names of all files there; the Hub is asked once for a commit.

    Raises:
        UnavailableError: they are not known here, and the Hub may not be asked or does not have them.
    """
    record = HubRecord(repo)
    commit = record.commit(revision or UNKNOWN)
    if commit and (names := record.listed(commit)):
        return commit, names
    if offline or hub_is_offline():
        forbids = "--offline" if offline else "HF_HUB_OFFLINE"
        raise UnavailableError(
            f"what is in {repo} on the Hugging Face Hub is not known on this machine, and {forbids} forbids to ask"
        )
    with _noting_gates(repo):
        listing = list_repository(HubSource(repo=repo, revision=revision or UNKNOWN, files=(), sha256={}))
    return listing.commit, frozenset(listing.files)


def _fetch_missing(source: HubSource, listing: Listing, folder: Path, progress: Progress | None) -> None:
    cache = paths.hub_cache()
    missing = [name for name in source.files if not (folder / name).is_file()]
    require_room(cache, sum(listing.files[name].bytes for name in missing), VARIABLE)
    for name in missing:
        with explained(cache, VARIABLE):
            found = download(source.repo, listing.commit, name, cache, progress, size=listing.files[name].bytes)
        if found != folder / name:
            other = found.relative_to(folder.parent).parts[0]
            raise IntegrityError(
                f"the Hub answered for {name} of {source.repo} with another commit ({other}) than {listing.commit}, "
                "which was asked for; nothing was kept under that name. Run the same command again"
            )


def _verified(source: HubSource, folder: Path, listed: Mapping[str, HubFile], *, fetched: bool) -> HubFetched:
    """Compare every file with every digest that is known for it, and remember what was seen."""
    record = HubRecord(source.repo)
    seen = record.files(folder.name)
    digests: dict[str, str] = {}
    for name in source.files:
        digests[name] = _verify(
            source, folder / name, name, listed.get(name), str(seen.get(name, {}).get("sha256", ""))
        )
    if any(seen.get(name, {}).get("sha256") != digest for name, digest in digests.items()):
        facts = {name: {"sha256": digest, "bytes": (folder / name).stat().st_size} for name, digest in digests.items()}
        record.update(commits={folder.name: facts}, gated=False)
    if len(source.files) == 1 and not source.format.startswith("diffusers"):
        return HubFetched(folder / source.files[0], folder.name, digests[source.files[0]], fetched)
    return HubFetched(folder, folder.name, canonical_digest(sorted(digests.items())), fetched)


def _verify(source: HubSource, path: Path, name: str, listed: HubFile | None, seen: str) -> str:
    """The sha256 of one file, after it was compared with everything that is known about it."""
    digest = sha256_of(path)
    known = [(source.sha256.get(name, UNKNOWN), "the card"), (seen, "the first time it was seen")]
    known += [(_blob_name(path), "the Hub"), (listed.digest if listed else "", "the Hub")]
    for expected, whose in known:
        if len(expected) not in (40, 64):
            continue  # not known
        if (found := digest if len(expected) == 64 else _git_sha1(path)) != expected:
            raise _damaged(source, path, name, found, expected, whose)
    return digest


def _damaged(source: HubSource, path: Path, name: str, found: str, expected: str, whose: str) -> IntegrityError:
    _remove(path)
    return IntegrityError(
        f"{name} of {source.repo} has the digest {found}, expected {expected} ({whose}): it was damaged or changed on "
        "its way or on the disk; it was removed. Run the same command again, and if the change is meant, correct the "
        f"card or delete {HubRecord(source.repo).path}"
    )


def _blob_name(path: Path) -> str:
    """What the Hub's cache calls the content: its sha256, or git's sha1; "" where there are no links."""
    try:
        name = Path(os.readlink(path)).name
    except OSError:
        return ""
    return name if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name) else ""


def _git_sha1(path: Path) -> str:
    """The digest that git knows a file's content by."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _remove(path: Path) -> None:
    """The name in the snapshot and the content it leads to."""
    blob = path.parent / os.readlink(path) if path.is_symlink() else path
    blob.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _missing(source: HubSource) -> str:
    commit = HubRecord(source.repo).commit(source.revision)
    folder = snapshot_folder(source.repo, commit) if commit else None
    absent = [name for name in source.files if folder is None or not (folder / name).is_file()]
    some = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
    return f"{some} of {source.repo} on the Hugging Face Hub is not on this machine"


@contextmanager
def _noting_gates(repo: str) -> Iterator[None]:
    """Remember that a repository is gated, where that was the answer."""
    try:
        yield
    except UnavailableError as error:
        if getattr(error, "gated", False):
            HubRecord(repo).update(gated=True)
        raise
