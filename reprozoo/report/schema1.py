"""Results of the first version: its documents, read as the records of today.

The first version had two fixed scores of two measures, and knew them by name; so does this module, and no other here.
Scores that it did not record (the median and the mean, without intervals) come from its distributions.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.engine.result import (
    Comparison,
    ConditionScores,
    Curve,
    Distribution,
    Measurement,
    PairedTest,
    Role,
    Score,
    SideRecord,
)
from reprozoo.measures.base import Closer, Kind, MeasureFacts, ScoreFacts

PAIRS_FILE = "pairs.csv"
OBSERVATION, TRUTH = "observation", "truth"
MEASURES: dict[str, tuple[str, str, Closer, str, int, Kind | None]] = {
    # name -> title, unit, closer, meaning, decimals, kind of its summary
    "similarity": ("similarity", "", "higher", "Cosine of the two images' features. 1: the same image.", 3, "median"),
    "mean_abs": ("mean |Δ|", "of 255", "lower", "Mean absolute difference of the two images.", 2, "mean"),
    "distance_ratio": ("distance ratio", "", "lower", "Distance to the nearest over the second nearest.", 3, None),
    "psnr": ("PSNR", "dB", "higher", "Peak signal-to-noise ratio of the two images.", 1, "median"),
    "misfit": ("misfit", "of 255", "lower", "What differs between the measurement and the observation.", 1, "median"),
}
SHARES: dict[str, tuple[str, str, Kind, str]] = {  # name -> measure, title, kind, meaning
    "rp": ("similarity", "RP", "share_above", "Share of noises from which two models make the same image."),
    "gl": ("similarity", "GL", "share_not_above", "Share of images that are not near-copies."),
    "mae": ("mean_abs", "MAE", "share_below", "Share of noises whose two images differ by less than the threshold."),
    "memorization": ("distance_ratio", "memorization", "share_below", "Share of images that are memorized."),
}
RATIO = 1 / 3

Document = Mapping[str, Any]


def read_schema1(document: Document, path: Path) -> Comparison:
    """A "comparison" or "generalization" of the first version.

    Args:
        document: of its ``result.json``.
        path: of that file; the values of single noises lie beside it.

    Raises:
        UsageError: a kind of document that it did not write.
        IntegrityError: it is damaged.
    """
    readers = {"comparison": _Compared, "generalization": _Generalized}
    reader = readers.get(str(document.get("kind")))
    if reader is None:
        raise UsageError(f"{path}: expected a comparison or a generalization, got {document.get('kind')!r}")
    try:
        return reader(document, path).result()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise IntegrityError(f"{path} is damaged: {what}; run it again") from error


class _Document:
    """What both kinds of document have."""

    def __init__(self, document: Document, path: Path) -> None:
        self.document, self.path = document, path
        self.settings = document["settings"]
        descriptor = document["descriptor"].get("id", "unknown")
        self.ids = {name: name for name in MEASURES} | {"similarity": f"similarity[{descriptor}]"}
        self.thresholds = {
            "rp": float(self.settings["threshold"]),
            "gl": float(self.settings["threshold"]),
            "mae": float(self.settings.get("mae_threshold", 15.0)),
            "memorization": RATIO,
        }
        self.labels = {name: document["score_names"].get(name, name) for name in SHARES}

    def result(self) -> Comparison:
        measurements = list(self.measurements())
        document = self.document
        return Comparison(
            question=self.question(),
            sides=list(self.sides()),
            measures=self.facts(measurements),
            measurements=measurements,
            tests=[PairedTest("rp", t["first"], t["second"], t["only_first"], t["only_second"], t["p_value"])
                   for t in document.get("tests", ())],
            indices=self.indices(),
            noise=dict(document["noise"]),
            conditions=dict(document["conditions"]),
            condition_names=[],
            descriptors=[dict(document["descriptor"])],
            data=self.data(),
            problem=self.problem(),
            environment=dict(document["environment"]),
            plugins=list(document["plugins"]),
            warnings=list(document["warnings"]),
            created=str(document["created"]),
            elapsed_s=float(document["elapsed_s"]),
        )  # fmt: skip

    def measurements(self) -> Iterator[Measurement]:
        raise NotImplementedError

    def sides(self) -> Iterator[SideRecord]:
        raise NotImplementedError

    def indices(self) -> list[list[int]]:
        raise NotImplementedError

    def data(self) -> dict[str, Any]:
        return {}

    def problem(self) -> str:
        return ""

    def question(self) -> dict[str, Any]:
        """As the first version recorded it; no command of today is promised to ask it again."""
        return {"first_version": dict(self.settings)}

    def facts(self, measurements: Sequence[Measurement]) -> list[MeasureFacts]:
        """Of the measures that occur, with the scores that occur of them."""
        found = []
        for name, (title, unit, closer, meaning, decimals, _) in MEASURES.items():
            own = [m for m in measurements if m.measure == self.ids[name]]
            scores = list({score.name: score for m in own for score in m.scores}.values())
            if own:
                descriptor = self.document["descriptor"].get("id") if name == "similarity" else None
                threshold = next((s.threshold for s in scores if s.threshold is not None), None)
                specs = [self.spec(name, score) for score in scores]
                found.append(
                    MeasureFacts(
                        self.ids[name],
                        name,
                        title,
                        meaning,
                        unit,
                        closer,
                        decimals,
                        descriptor,
                        threshold,
                        scores=specs,
                    )
                )
        return found

    def spec(self, measure: str, score: Score) -> ScoreFacts:
        share = SHARES.get(score.name)
        meaning = share[3] if share else MEASURES[measure][3]
        return ScoreFacts(
            score.name, score.title, score.label, score.kind, meaning, score.higher_is_closer, score.threshold
        )

    def measurement(
        self,
        name: str,
        pairing: str,
        pair: tuple[str, str],
        shares: Mapping[str, Document | None],
        spread: Document,
        *,
        rounds: int = 1,
        **others: Any,
    ) -> Measurement:
        """What was recorded of one measure of one pair."""
        distribution = Distribution(**spread)
        scores = [self.share(score, shown, rounds) for score, shown in shares.items() if shown is not None]
        count = scores[0].count if scores else sum(distribution.histogram) // rounds
        if summary := self.summary(name, distribution, count):
            scores.append(summary)
        equal = others.pop("equal", 0)
        return Measurement(self.ids[name], pairing, *pair, count, rounds, equal, scores, distribution, **others)

    def share(self, name: str, recorded: Document, rounds: int = 1) -> Score:
        """A share; the first version counted every round of mismatched noise."""
        return Score(
            name=name, label=self.labels[name], title=SHARES[name][1], value=float(recorded["value"]),
            low=float(recorded["low"]), high=float(recorded["high"]), count=int(recorded["count"]) // rounds,
            successes=int(recorded["successes"]), kind=SHARES[name][2], threshold=self.thresholds[name],
            higher_is_closer=name != "gl",
        )  # fmt: skip

    def summary(self, name: str, values: Distribution, count: int) -> Score | None:
        """The median or mean, which the first version recorded without an interval."""
        title, _, closer, _, _, kind = MEASURES[name]
        if kind is None:
            return None
        shown = title if kind == "mean" or name != "similarity" else f"{kind} {title}"
        value = values.mean if kind == "mean" else values.median
        higher = closer == "higher"
        return Score(name, self.ids[name], shown, value, None, None, count, kind=kind, higher_is_closer=higher)

    def side(self, run: Document, role: Role) -> SideRecord:
        floor = run.get("noise_floor")
        return SideRecord(
            label=run["label"], spec=run["spec"], role=role, facts=dict(run["description"]),
            image_shape=list(run["image_shape"]), images_key=run["images_key"], images_sha256=run["images_sha256"],
            weights_digest=run.get("weights_digest"), sampled=run["sampled"], reused=run["reused"],
            sampling_s=float(run["sampling_s"]), batch_size=run["batch_size"],
            smallest_batch_size=run["smallest_batch_size"], other_batch_size=floor["other_batch_size"] if floor else 0,
        )  # fmt: skip


class _Compared(_Document):
    """The document of ``compare`` and ``score``."""

    def sides(self) -> Iterator[SideRecord]:
        yield from (self.side(run, "model") for run in self.document["models"])
        yield from (self.side(baseline["run"], "baseline") for baseline in self.document["baselines"])
        shape = list(self.document["models"][0]["image_shape"])
        if any(run.get("reconstruction") for run in self.document["models"]):
            yield from (SideRecord(label, label, "reference", {}, shape) for label in (TRUTH, OBSERVATION))

    def indices(self) -> list[list[int]]:
        return [list(run) for run in self.document["indices"]]

    def problem(self) -> str:
        asked = self.settings
        noise = f", noise {asked['observation_noise']:g}" if asked.get("observation_noise") else ""
        return (
            f"{asked['inverse']} of {asked['observation']}{noise}, by {asked['solver']}" if asked.get("inverse") else ""
        )

    def measurements(self) -> Iterator[Measurement]:
        values = _pair_values(self.path.with_name(PAIRS_FILE))
        pairs = [*self.document["pairs"], *(pair for b in self.document["baselines"] for pair in b["pairs"])]
        for pair in pairs:
            yield from self.of_pair(pair, values.get((pair["model_a"], pair["model_b"])))
        for run in self.document["models"]:
            if (floor := run.get("noise_floor")) is not None:
                yield from self.of_floor(run["label"], floor)
        for run in [*self.document["models"], *(b["run"] for b in self.document["baselines"])]:
            if (found := run.get("reconstruction")) is not None:
                yield self.measurement("psnr", "same", (run["label"], TRUTH), {}, found["psnr"])
                yield self.measurement("misfit", "same", (run["label"], OBSERVATION), {}, found["misfit"])

    def of_pair(self, pair: Document, values: NDArray[np.float32] | None) -> Iterator[Measurement]:
        labels = (pair["model_a"], pair["model_b"])
        similar, errors = (None, None) if values is None else (values[None, :, 0], values[None, :, 1])
        yield self.measurement(
            "similarity", "same", labels, {"rp": pair["rp"]}, pair["similarity"], curve=Curve(**pair["curve"]),
            conditions=self.conditions(pair, "rp"), values=similar, equal=0,
        )  # fmt: skip
        yield self.measurement(
            "mean_abs", "same", labels, {"mae": pair["mae"]}, pair["mean_absolute_error"],
            conditions=self.conditions(pair, "mae"), values=errors, equal=int(pair["identical"]),
        )  # fmt: skip
        if (other := pair.get("shuffled")) is not None:
            yield self.measurement(
                "similarity", "shuffled", labels, {"rp": other["rp"]}, other["similarity"],
                curve=Curve(**other["curve"]), rounds=int(other["rounds"]),
            )  # fmt: skip

    def of_floor(self, label: str, floor: Document) -> Iterator[Measurement]:
        pair = (label, label)
        yield self.measurement("similarity", "repeat", pair, {"rp": floor["rp"]}, floor["similarity"])
        yield self.measurement(
            "mean_abs", "repeat", pair, {"mae": floor["mae"]}, floor["mean_absolute_error"],
            equal=int(floor["identical"]),
        )  # fmt: skip

    def conditions(self, pair: Document, score: str) -> list[ConditionScores]:
        return [
            ConditionScores(
                name=recorded["name"],
                count=int(recorded[score]["count"]),
                median=float(recorded["median_similarity"]),
                scores=[self.share(score, recorded[score])],
            )
            for recorded in pair["by_condition"]
        ]


class _Generalized(_Document):
    """The document of ``generalize``."""

    def sides(self) -> Iterator[SideRecord]:
        yield self.side(self.document["model"], "model")
        shape = list(self.document["model"]["image_shape"])
        yield SideRecord(self.label(), str(self.document["dataset"].get("id", "")), "data", {}, shape)

    def label(self) -> str:
        data = self.document["dataset"]
        return " ".join(str(data[key]) for key in ("id", "split") if data.get(key)) or "data set"

    def data(self) -> dict[str, Any]:
        """Whether the images are those of the card was not recorded: the digests say so where both are there."""
        data, training = dict(self.document["dataset"]), self._training()
        data.setdefault("count", self.document["train_count"])
        own: bool | None = None
        if training.get("images_sha256") and data.get("images_sha256"):
            own = training["images_sha256"] == data["images_sha256"]
        elif training.get("dataset") and data.get("id"):
            split = data.get("split", "train"), training.get("split", "train")
            own = training["dataset"] == data["id"] and split[0] == split[1]
        trained_on = " ".join(str(training[key]) for key in ("dataset", "split") if training.get(key))
        return data | {"is_training_set": own, "trained_on": trained_on}

    def _training(self) -> Document:
        training: Document = self.document["model"]["description"].get("card", {}).get("training", {})
        return training

    def indices(self) -> list[list[int]]:
        runs: list[list[int]] = []
        for index in sorted(n["index"] for n in self.document["neighbours"]):
            if runs and runs[-1][1] == index:
                runs[-1][1] = index + 1
            else:
                runs.append([index, index + 1])
        return runs

    def measurements(self) -> Iterator[Measurement]:
        label, data = self.document["model"]["label"], self.label()
        found = sorted(self.document["neighbours"], key=lambda neighbour: int(neighbour["index"]))
        yield self.measurement(
            "similarity", "nearest", (label, data), {"gl": self.document["gl"]}, self.document["similarity"],
            values=np.array([[n["similarity"] for n in found]], np.float32),
            partners=np.array([[n["train_index"] for n in found]], np.int64),
        )  # fmt: skip
        if self.document.get("train") is not None:
            own = {"gl": self.document.get("train_gl")}
            yield self.measurement("similarity", "nearest-other", (data, data), own, self.document["train"])
        if self.document.get("distance_ratio") is not None:
            shares = {"memorization": self.document.get("memorization")}
            yield self.measurement("distance_ratio", "nearest", (label, data), shares, self.document["distance_ratio"])


def _pair_values(path: Path) -> dict[tuple[str, str], NDArray[np.float32]]:
    """(n, 2) of each pair: likeness and difference of each noise; empty where the file is not there."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        pair = values.setdefault((row["model_a"], row["model_b"]), [])
        pair.append((float(row["similarity"]), float(row["mean_absolute_error"])))
    return {pair: np.array(rows, np.float32) for pair, rows in values.items()}
