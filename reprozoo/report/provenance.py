"""How a result came about, as rows of text: settings, cards, digests, environment, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from reprozoo.engine.results import Comparison, Generalization, ModelRun
from reprozoo.report.plain import Rows, rows_of
from reprozoo.report.words import spread

OPTION_FLAGS = {
    "dataset": "--data",
    "split": "--split",
    "num_samples": "-n",
    "seed": "--seed",
    "noise_file": "--noise",
    "descriptor": "--descriptor",
    "threshold": "--threshold",
    "mae_threshold": "--mae-threshold",
    "device": "--device",
    "dtype": "--dtype",
    "batch_size": "--batch-size",
    "noise_floor": "--noise-floor",
    "inverse": "--inverse",
    "observation": "--observation",
    "observation_noise": "--observation-noise",
    "solver": "--solver",
}
SCORE_OPTIONS = ("descriptor", "threshold", "mae_threshold")
CARD_ROWS = (
    "title",
    "family",
    "licence",
    "paper",
    "table_row",
    "status_note",
    "training",
    "kernel",
    "network",
    "weights",
)


def command_of(result: Comparison | Generalization) -> str:
    """The command line that makes the result again, with every choice written out, quoted for a shell.

    Empty where no option can say what was chosen from Python.
    """
    settings = result.settings
    if _only_from_python(result):
        return ""
    specs = list(map(str, settings.get("specs") or []))
    if isinstance(result, Generalization):
        verb, specs = "generalize", specs or [result.model.spec]
    else:
        verb, specs = "compare" if result.noise else "score", specs or [run.spec for run in result.models]
    words = ["reprozoo", verb, *specs]
    for name, flag in OPTION_FLAGS.items():
        value = settings.get(name)
        if value is not None and not (verb == "score" and name not in SCORE_OPTIONS):
            words += [flag, _number(value) if isinstance(value, float) else str(value)]
    words += ["--mirror"] if settings.get("mirror") else []
    words += _condition_words(result.conditions)
    return shlex.join([*words, *_baseline_words(result)])


def _only_from_python(result: Comparison | Generalization) -> bool:
    """Whether the noise was no bank's and no file's, or random classes were drawn from another seed than the noise."""
    seed, file = result.settings.get("seed"), result.settings.get("noise_file")
    if result.noise and seed is None and file is None:
        return True
    return file is None and result.conditions.get("random_class", {}).get("seed", seed) != seed


def _number(value: float) -> str:
    """Short where that is the number, exact otherwise."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _condition_words(conditions: Mapping[str, Any]) -> list[str]:
    if "random_class" in conditions:
        return ["--class", "random"]
    turns = conditions.get("in_turn", ())
    labels = [str(condition["class_label"]) for condition in turns if "class_label" in condition]
    prompts = [word for condition in turns if "prompt" in condition for word in ("--prompt", condition["prompt"])]
    return [*(["--class", ",".join(labels)] if labels else []), *prompts]


def _baseline_words(result: Comparison | Generalization) -> list[str]:
    """Nothing where they were found by themselves, as they will be again."""
    if not isinstance(result, Comparison) or result.settings.get("automatic_baselines", True):
        return []
    if not result.baselines:
        return ["--no-baseline"]
    return [word for baseline in result.baselines for word in ("--baseline", baseline.run.spec)]


def sections(result: Comparison | Generalization) -> list[tuple[str, Rows]]:
    """Titled rows: one section a model, then settings, noise, descriptor and environment."""
    if isinstance(result, Comparison):
        runs = [*result.models, *(baseline.run for baseline in result.baselines)]
    else:
        runs = [result.model]
    sections: list[tuple[str, Any]] = [
        ("Settings", {name: value for name, value in result.settings.items() if name != "specs"}),
        ("Noise", result.noise),
        ("Conditions", result.conditions),
        ("Descriptor", result.descriptor),
        ("Data set", result.dataset if isinstance(result, Generalization) else {}),
        ("Environment", result.environment | {"seconds": round(result.elapsed_s, 1)}),
        ("Plugins", {plugin["name"]: _origin(plugin) for plugin in result.plugins}),
    ]
    tests = _tests(result) if isinstance(result, Comparison) else []
    return [
        *((run.label, model_rows(run)) for run in runs),
        *([("Do pairs differ? McNemar's exact test", tests)] if tests else []),
        *((title, rows_of(values)) for title, values in sections if values),
    ]


def _origin(plugin: Mapping[str, Any]) -> str:
    gave = ", ".join(plugin.get("gave", ()))
    return f"{plugin.get('distribution')} {plugin.get('version')}" + (f": {gave}" if gave else "")


def _tests(comparison: Comparison) -> Rows:
    return [
        (
            f"{' × '.join(test.first)} against {' × '.join(test.second)}",
            f"p = {test.p_value:.3g} ({test.only_first:,} noises reproduced by the first pair alone, "
            f"{test.only_second:,} by the second alone)",
        )
        for test in comparison.tests
    ]


def model_rows(run: ModelRun) -> Rows:
    """Everything that decided the images of one model, for a list of terms."""
    known = dict(run.description)
    card = known.pop("card", {})
    card_rows = {name: card[name] for name in CARD_ROWS if card.get(name) not in (None, "", [], {})}
    made = {
        "images": f"{run.sampled:,} made in {run.sampling_s:.1f} s, {run.reused:,} from the store",
        "batch size": run.batch_size if run.batch_size == run.smallest_batch_size or not run.smallest_batch_size
        else f"{run.batch_size}, down to {run.smallest_batch_size} where memory ran out",
        "images sha256": run.images_sha256,
        "store key": run.images_key,
    }  # fmt: skip
    if (found := run.reconstruction) is not None:
        made["reconstruction"] = f"{spread(found.psnr)} dB to the truth, misfit {spread(found.misfit)}/255"
    if (floor := run.noise_floor) is not None:
        made["noise floor"] = (
            f"RP {floor.rp.value:.3f} at batch sizes {floor.batch_size} and {floor.other_batch_size}: "
            f"{floor.identical:,} of {floor.count:,} images bit-equal, largest difference {floor.max_difference}/255"
        )
    return rows_of(card_rows | known | made)
