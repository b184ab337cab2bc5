"""A file that a person fetched, brought into the cache under the source that asks for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.zoo.cards import BundledSource, HubSource, ManualSource, ModelCard, UntrainedSource, WeightsSource
from reprozoo.zoo.weights.cache import FileCache, require_room, sha256_of
from reprozoo.zoo.weights.fetching import FetchedFile, cached_name, stated_sha256


def importable(card: ModelCard, name: str | None = None) -> WeightsSource:
    """The source of ``card`` that a file can be imported for: the one called ``name``, or the only one there is.

    Raises:
        UsageError: there is none, or several and no name.
    """
    candidates = {s.name: s for s in card.weights if not isinstance(s, (BundledSource, HubSource))}
    if name is not None and name in candidates:
        return candidates[name]
    manual = [source for source in candidates.values() if isinstance(source, ManualSource)]
    chosen = manual if len(manual) == 1 else list(candidates.values())
    if name is None and len(chosen) == 1:
        return chosen[0]
    if not candidates:
        raise UsageError(
            f"{card.id} needs no file from outside: its weights are bundled, on the Hub, or a formula. Files of the "
            "Hub live in the Hub's own cache; fetch them with `reprozoo pull`"
        )
    which = f"none is called {name!r}" if name else "it has several"
    raise UsageError(f"{card.id}: {which}; choose one with --name: {', '.join(candidates)}")


def import_file(source: WeightsSource, path: Path) -> FetchedFile:
    """Copy ``path`` into the cache as the file of ``source``; the first digest of all is recorded and held to.

    Where the source says that nobody has trained it, the latest file is the model: a longer training replaces it.

    Raises:
        UsageError: the file cannot be read.
        IntegrityError: it has another digest than the card says, or than the first time.
        PartialError: the disk has no room.
    """
    try:
        digest = sha256_of(path)
        size = path.stat().st_size
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    cache = FileCache()
    expected, name = cache.expected(source, stated_sha256(source)), cached_name(source)
    if isinstance(source, UntrainedSource):
        expected = None
    if expected is not None and digest != expected:
        raise IntegrityError(
            f"{path} has sha256 {digest}, expected {expected}, which the card says or which was seen first: it is "
            "another file, or damaged; it was not imported"
        )
    if found := cache.find(expected, name):
        return FetchedFile(found, digest, "cached")
    with cache.lock(source) as partial:
        undo = (not cache.holds(digest, name), cache.seen(source))
        require_room(partial, size)
        copy = partial / f"import-{os.getpid()}"
        shutil.copyfile(path, copy)
        kept, digest = cache.accept(source, expected, copy, name)
    return FetchedFile(kept, digest, "import", undo=undo)


def forget(source: WeightsSource, file: FetchedFile) -> None:
    """Undo ``import_file``: for a file that turned out not to be the model's. What was imported before stays."""
    if file.origin == "import":
        is_new, before = file.undo
        FileCache().forget(source, file.sha256, file.path if is_new else None, before)
