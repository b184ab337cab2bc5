"""One pass over the images of all sides: digests, pixel measures and features, each image read once.

Memory holds one block of each side, the blocks that mismatched pairs come back to, one feature vector an image, and the
values. Measures that read features, and searches, follow from the features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.features import FeatureWriter, Wanted, read_features
from reprozoo.engine.pairings import NEAREST, NEAREST_OTHER, REPEAT, SHUFFLED, Groups
from reprozoo.engine.plan import BLOCK_ROWS, Features, Found, Planned, Taken
from reprozoo.engine.progress import Meter, Progress
from reprozoo.engine.sides import BlockCache, ImageRows, Side
from reprozoo.engine.store import SHARD_ROWS, Store
from reprozoo.measures.base import Nearest
from reprozoo.measures.descriptors import Descriptor, Mirrored

OWN_SUBSET = 1000  # images of a data set that are compared with the rest of it


@dataclass
class Pass:
    """What the pass over all images found.

    Attributes:
        digests: sha256 of each side's images, in the order of the noises; "" for sides without images by noise.
        found: values, in the order of the plan.
        notes: a sentence for each measure that could not be taken.
    """

    digests: list[str] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say something once, however many pairs it is about."""
        sentence = text[0].upper() + text[1:]
        self.notes += [sentence] if sentence not in self.notes else []


def measure_all(
    sides: Sequence[Side],
    plan: Sequence[Planned],
    indices: Sequence[int],
    groups: Groups,
    store: Store,
    progress: Progress | None = None,
) -> Pass:
    """Read every image once and take every measure of the plan.

    Raises:
        IntegrityError: stored images or features are damaged. PartialError: the disk is full.
    """
    result = Pass()
    pixels = _PixelPass(sides, plan, indices, groups, result)
    with FeatureWriter(_described(sides, plan, indices), store, progress) as writer:
        pixels.run(writer, progress)
    with FeatureWriter(_changed(sides, plan, indices, pixels.changed), store, progress, stage="repeats") as writer:
        writer.finish()
    features = _FeatureValues(sides, indices, groups, store, pixels, progress)
    for planned in plan:
        for taken in planned.measures:
            if (planned, taken.id) in pixels.values:
                result.found.append(pixels.found(planned, taken))
            elif found := _noted(result, lambda p=planned, t=taken: features.found(p, t)):
                result.found.append(found)
    return result


def _wanted_again(sides: Sequence[Side], plan: Sequence[Planned]) -> set[str]:
    """Keys of the images that are wanted at other times too: mismatched ones, and those searched for."""
    shuffled = {sides[planned.b].images.key for planned in plan if planned.pairing == SHUFFLED}
    return shuffled | {sides[planned.a].images.key for planned in plan if planned.pairing == NEAREST}


def _noted(result: Pass, take: Any) -> Found | None:
    """A search or feature measure, or a note that says why it could not be taken."""
    try:
        found: Found = take()
        return found
    except UsageError as error:
        result.note(f"{error}.")
        return None


class _PixelPass:
    """The pass itself: blocks of noises through all sides."""

    def __init__(
        self, sides: Sequence[Side], plan: Sequence[Planned], indices: Sequence[int], groups: Groups, result: Pass
    ) -> None:
        self.sides, self.indices, self.groups, self.result = sides, indices, groups, result
        self.work = [
            (planned, [taken for taken in planned.measures if taken.descriptor is None])
            for planned in plan
            if planned.pairing not in (NEAREST, NEAREST_OTHER)
        ]
        self.repeated = [planned for planned in plan if planned.pairing == REPEAT]
        self.again = _wanted_again(sides, plan)
        self.values: dict[tuple[Planned, str], list[NDArray[Any]]] = {}
        self.changed: dict[int, list[int]] = {planned.a: [] for planned in self.repeated}
        self.skipped: set[tuple[Planned, str]] = set()
        self.cache = BlockCache(indices)

    def run(self, writer: FeatureWriter, progress: Progress | None) -> None:
        count = len(self.indices)
        digests = [None if side.length else hashlib.sha256() for side in self.sides]
        meter = Meter(progress, "scoring", count)
        for start in range(0, count, SHARD_ROWS):
            places = range(start, min(start + SHARD_ROWS, count))
            for side, digest in zip(self.sides, digests, strict=True):
                if digest is not None:
                    block = self.cache.rows(side.images, places)
                    digest.update(np.ascontiguousarray(block).data)
                    writer.add(side.images, self.indices[places.start : places.stop], block)
            for planned in self.repeated:
                self._note_changes(planned, places)
            for planned, measures in self.work:
                self._take(planned, measures, places)
            for side in self.sides:
                if side.images.key not in self.again:
                    self.cache.drop(side.images, places)
            meter.add(len(places))
        self.result.digests = ["" if digest is None else digest.hexdigest() for digest in digests]

    def found(self, planned: Planned, taken: Taken) -> Found:
        values = np.concatenate(self.values[planned, taken.id])
        partners = None
        if planned.pairing == SHUFFLED:
            partners = np.array(self.indices)[self.groups.partners[:1]]
        return Found(planned, taken, values[None], partners)

    def _take(self, planned: Planned, measures: Sequence[Taken], places: range) -> None:
        own = self._own(planned, places)
        wanted = [taken for taken in measures if (planned, taken.id) not in self.skipped]
        if not own or not wanted:
            return
        first, second = self.cache.rows(self.sides[planned.a].images, own), self._partner(planned, own)
        for taken in wanted:
            self._take_one(planned, taken, first, second)

    def _take_one(self, planned: Planned, taken: Taken, first: NDArray[Any], second: NDArray[Any]) -> None:
        key = (planned, taken.id)
        try:
            values = taken.of(first, second)
        except UsageError as error:  # e.g. images too small for it: the others are still taken
            self.skipped.add(key)
            self.values.pop(key, None)
            self.result.note(f"{taken.measure.title} is not reported: {error}.")
            return
        self.values.setdefault(key, []).append(values)

    def _own(self, planned: Planned, places: range) -> range:
        if planned.pairing != REPEAT:
            return places
        return range(places.start, min(places.stop, self.sides[planned.a].repeats))

    def _partner(self, planned: Planned, own: range) -> NDArray[Any]:
        if planned.pairing == REPEAT:
            side = self.sides[planned.a]
            return self.cache.rows(_repetition(side), own, limit=side.repeats)
        images = self.sides[planned.b].images
        if planned.pairing == SHUFFLED:
            return self.cache.rows(images, self.groups.partners[0][own.start : own.stop].tolist())
        return self.cache.rows(images, own)

    def _note_changes(self, planned: Planned, places: range) -> None:
        """Which images of a repetition differ from the first: only these have to be described."""
        if own := self._own(planned, places):
            first, second = self.cache.rows(self.sides[planned.a].images, own), self._partner(planned, own)
            differs = (first != second).any(axis=tuple(range(1, first.ndim)))
            self.changed[planned.a] += [own.start + int(i) for i in np.flatnonzero(differs)]


class _FeatureValues:
    """Measures of features, and searches, after the pass."""

    def __init__(
        self,
        sides: Sequence[Side],
        indices: Sequence[int],
        groups: Groups,
        store: Store,
        pixels: _PixelPass,
        progress: Progress | None,
    ) -> None:
        self.sides, self.indices, self.groups, self.store = sides, indices, groups, store
        self.changed, self.cache, self.progress = pixels.changed, pixels.cache, progress
        self._read: dict[tuple[int, str, bool], Features] = {}

    def found(self, planned: Planned, taken: Taken) -> Found | None:
        if planned.pairing in (NEAREST, NEAREST_OTHER):
            return self._search(planned, taken)
        if taken.descriptor is None:
            return None  # it could not be taken in the pass
        a = self.features(planned.a, taken)
        if planned.pairing == REPEAT:
            return Found(planned, taken, taken.values(*self._repeated(planned.a, taken))[None])
        b = self.features(planned.b, taken)
        if planned.pairing == SHUFFLED:
            values = np.stack([taken.values(a, b, others) for others in self.groups.partners])
            return Found(planned, taken, values, np.array(self.indices)[self.groups.partners])
        return Found(planned, taken, taken.values(a, b)[None])

    def features(self, side: int, taken: Taken) -> Features:
        """Those of a side's images, or of all that it has to search in."""
        descriptor = _descriptor(taken)
        key = (side, descriptor.id, taken.mirror)
        if key not in self._read:
            images, rows = self.sides[side].images, _wanted_rows(self.sides[side], self.indices)
            own = read_features(self.store, images, descriptor, rows)
            mirrored = read_features(self.store, images, Mirrored(descriptor), rows) if taken.mirror else None
            self._read[key] = Features(own, mirrored)
        return self._read[key]

    def _repeated(self, side: int, taken: Taken) -> tuple[Features, Features]:
        """Features of the repeated noises, of the first run and of the repetition."""
        count = self.sides[side].repeats
        whole = self.features(side, taken)
        first = Features(whole.own[:count], None if whole.mirrored is None else whole.mirrored[:count])
        second = first.own.copy()
        if changed := self.changed.get(side, ()):
            rows = [self.indices[i] for i in changed]
            second[changed] = read_features(self.store, _repetition(self.sides[side]), _descriptor(taken), rows)
        return first, Features(second, first.mirrored)

    def _search(self, planned: Planned, taken: Taken) -> Found | None:
        within = planned.pairing == NEAREST_OTHER
        if within and self.sides[planned.b].length < 2:
            return None
        count = self.sides[planned.b].length
        chosen = np.linspace(0, count - 1, min(OWN_SUBSET, count)).round().astype(np.int64) if within else None
        search = self._nearest_features if taken.descriptor else self._nearest_images
        best = search(planned, taken, chosen)
        return Found(planned, taken, best.values[None], best.rows[None], chosen)

    def _nearest_features(self, planned: Planned, taken: Taken, chosen: NDArray[np.int64] | None) -> Nearest:
        among = self.features(planned.b, taken).own
        if chosen is not None:
            return taken.nearest(among[chosen], among, own=chosen)
        return taken.nearest(self.features(planned.a, taken).own, among)

    def _nearest_images(self, planned: Planned, taken: Taken, chosen: NDArray[np.int64] | None) -> Nearest:
        """Block by block, so that memory does not grow."""
        side, among = self.sides[planned.a], self.sides[planned.b]
        train = among.images.rows(range(among.length))
        if chosen is not None:
            return taken.nearest(train[chosen], train, own=chosen)
        meter = Meter(self.progress, "searching", len(self.indices))
        found = []
        for start in range(0, len(self.indices), BLOCK_ROWS):
            places = range(start, min(start + BLOCK_ROWS, len(self.indices)))
            found.append(taken.nearest(self.cache.rows(side.images, places), train))
            meter.add(len(places))
        return Nearest(np.concatenate([f.values for f in found]), np.concatenate([f.rows for f in found]))


def _described(sides: Sequence[Side], plan: Sequence[Planned], indices: Sequence[int]) -> list[Wanted]:
    """What has to be described for the plan."""
    wanted: dict[tuple[int, str, bool], Descriptor] = {}
    for planned in plan:
        for taken in planned.measures:
            if taken.descriptor is not None:
                for number in (planned.a, planned.b):
                    wanted[number, taken.descriptor.id, False] = taken.descriptor
                    if taken.mirror:
                        wanted[number, taken.descriptor.id, True] = Mirrored(taken.descriptor)
    return [
        (sides[number].label, sides[number].images, _wanted_rows(sides[number], indices), descriptor)
        for (number, _, _), descriptor in sorted(wanted.items(), key=lambda item: item[0])
    ]


def _changed(
    sides: Sequence[Side], plan: Sequence[Planned], indices: Sequence[int], changed: Mapping[int, Sequence[int]]
) -> list[Wanted]:
    """The images of repetitions that differ from the first run's."""
    wanted = {
        (planned.a, taken.descriptor.id): taken.descriptor
        for planned in plan
        if planned.pairing == REPEAT
        for taken in planned.measures
        if taken.descriptor is not None and changed[planned.a]
    }
    return [
        (sides[number].label, _repetition(sides[number]), [indices[i] for i in changed[number]], descriptor)
        for (number, _), descriptor in wanted.items()
    ]


def _wanted_rows(side: Side, indices: Sequence[int]) -> Sequence[int]:
    return range(side.length) if side.length else indices


def _descriptor(taken: Taken) -> Descriptor:
    assert taken.descriptor is not None, f"{taken.id} reads no features"
    return taken.descriptor


def _repetition(side: Side) -> ImageRows:
    assert side.repeated is not None, f"{side.label} was not repeated"
    return side.repeated
