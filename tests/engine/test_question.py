"""Whatever is asked survives: command line, Python, TOML, JSON, the printed command, a saved file."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reprozoo
from reprozoo import Question, cli
from reprozoo.base.errors import UsageError
from reprozoo.cli import asking
from reprozoo.engine import presets
from reprozoo.engine.question import COMPARE, GENERALIZE, SAMPLE, SCORE, asks, asks_of, default_of

HARD_TEXTS = (
    'a "quoted" cat,\nand a \\dog\\',
    "naïve 猫 😀 'x' $HOME `ls`",
    "-n",
    "--prompt",
    " ",
    "tab\there",
    "\x7f",
)
SIDES = {COMPARE: ("a", "b"), GENERALIZE: ("a",), SCORE: ("./a", "b.npz"), SAMPLE: ("a",)}

# A value away from the default for every field, and the command that asks it. A new field needs one here.
SAMPLES: Mapping[str, tuple[str, Any]] = {
    "sides": (COMPARE, ("tiny-edm+steps=50+sampler=dpm-solver++", "samples:my images", "./it's here", "a", "a")),
    "task": (GENERALIZE, GENERALIZE),
    "num_samples": (COMPARE, 7),
    "first": (SAMPLE, 12),
    "seed": (COMPARE, 2**64 - 1),
    "noise": (COMPARE, "my noise.safetensors"),
    "classes": (SAMPLE, "1,5,7-9"),
    "prompts": (COMPARE, HARD_TEXTS),
    "prompts_file": (COMPARE, "prompts.json"),
    "inverse": (COMPARE, "mask+file=a b.png"),
    "observation": (SAMPLE, "cifar10:test"),
    "observation_noise": (COMPARE, 0.123456789),
    "solver": (COMPARE, "dps+steps=200+zeta=0.25"),
    "data": (GENERALIZE, "./my data"),
    "split": (GENERALIZE, "test"),
    "measures": (SCORE, ("lpips", "psnr")),
    "descriptor": (COMPARE, ("pixels", "sscd")),
    "threshold": (SCORE, {"similarity": 0.7, "mae": 1e-07, "odd=name": -0.25}),
    "mirror": (SCORE, True),
    "baselines": (COMPARE, ("theory-gaussian", "theory-mog")),
    "noise_floor": (COMPARE, 0),
    "batch_size": (GENERALIZE, 3),
    "device": (COMPARE, "cuda:1"),
    "dtype": (COMPARE, "bfloat16"),
}


def sample_of(name: str) -> Question:
    """The question that differs from the default in one field."""
    task, value = SAMPLES[name]
    if name in ("sides", "task"):
        return Question(value if name == "sides" else SIDES[task], task)
    return Question(SIDES[task], task, **{name: value})


def together(*names: str) -> Question:
    return Question(SIDES[COMPARE], **{name: SAMPLES[name][1] for name in names})


EVERYWHERE = ("num_samples", "first", "measures", "descriptor", "threshold", "mirror", "noise_floor", "batch_size",
              "device", "dtype", "inverse", "observation", "observation_noise", "solver", "baselines")  # fmt: skip
QUESTIONS = {
    **{name: sample_of(name) for name in SAMPLES},
    "defaults": Question(SIDES[COMPARE]),
    "no baseline": Question(SIDES[COMPARE], baselines=()),
    "all with a seed": together(*EVERYWHERE, "seed", "prompts"),
    "all with a file of noise": together(*EVERYWHERE, "noise", "classes"),
}


def test_every_field_has_a_sample_away_from_its_default() -> None:
    assert set(SAMPLES) == {item.name for item in fields(Question)}
    for name in asks():
        question = sample_of(name)
        assert list(question.changed()) == [name]
        assert getattr(question, name) == SAMPLES[name][1] != default_of(name)


# --- routes ----------------------------------------------------------------------------------------------------------


class Asked(Exception):
    """Carries a question out of the middle of a run."""

    def __init__(self, question: Question) -> None:
        self.question = question


def stop(question: Question, *_: Any, **__: Any) -> Any:
    raise Asked(question)


def parsed(words: Sequence[str]) -> Question:
    """What the commands make of a command line."""
    with pytest.raises(Asked) as asked:
        cli.app.main(list(words), standalone_mode=False)
    return asked.value.question


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Commands and presets stop as soon as they have a question; an empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("reprozoo.engine.checking.check_question", stop)
        patch.setattr(presets, "check_question", stop)
        yield tmp_path


def by_command_line(question: Question) -> Question:
    where = ["-o", "x.png"] if question.task == SAMPLE else []
    return parsed([*question.words(), *where])


def by_printed_command(question: Question) -> Question:
    program, *words = shlex.split(question.command())
    assert program == "reprozoo"
    return parsed([*words, *(["-o", "x.png"] if question.task == SAMPLE else [])])


def by_python(question: Question) -> Question:
    function = {COMPARE: reprozoo.compare, GENERALIZE: reprozoo.generalize, SCORE: reprozoo.score,
                SAMPLE: reprozoo.images_of}[question.task]  # fmt: skip
    with pytest.raises(Asked) as asked:
        function(*question.sides, **question.changed())
    return asked.value.question


def by_toml(question: Question) -> Question:
    Path("question.toml").write_text(question.to_toml(), encoding="utf-8")
    return Question.read(Path("question.toml"))


def by_json(question: Question) -> Question:
    return Question.from_json(json.loads(json.dumps(question.to_json(), allow_nan=False)))


ROUTES: Mapping[str, Callable[[Question], Question]] = {
    "command line": by_command_line,
    "printed command": by_printed_command,
    "python": by_python,
    "toml": by_toml,
    "json": by_json,
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("route", ROUTES)
def test_every_field_comes_back(stopped: Path, route: str, name: str) -> None:
    question = QUESTIONS[name]
    again = ROUTES[route](question)
    assert again == question
    assert again.to_json() == question.to_json()
    assert again.folder_name() == question.folder_name()


@pytest.mark.parametrize("name", [name for name, question in QUESTIONS.items() if question.task != SAMPLE])
def test_every_field_comes_back_from_a_saved_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    asked: list[Question] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reprozoo.engine.checking.check_question", lambda *_: None)
    monkeypatch.setattr(asking, "asked", lambda question, *_, **__: asked.append(question))
    monkeypatch.setattr(asking, "_show", lambda *_, **__: 0)
    assert cli.run([*QUESTIONS[name].words(), "--save-question", "question.toml"]) == 0, capsys.readouterr().err
    assert cli.run(["run", "question.toml"]) == 0, capsys.readouterr().err
    assert asked == [QUESTIONS[name]] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["question.toml"]


def test_the_check_sees_a_field_that_is_lost(monkeypatch: pytest.MonkeyPatch, stopped: Path) -> None:
    monkeypatch.setattr("reprozoo.engine.question.option_words", lambda name, value: [])
    with pytest.raises(AssertionError):
        test_every_field_comes_back(stopped, "command line", "seed")


def test_a_file_of_images_alone_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "question.toml").write_text(Question(("a",), SAMPLE).to_toml())
    assert cli.run(["run", str(tmp_path / "question.toml")]) == 2
    assert "`reprozoo sample` says where they go" in capsys.readouterr().err


# --- names -----------------------------------------------------------------------------------------------------------


def test_every_field_is_part_of_the_folders_name() -> None:
    names = [question.folder_name() for question in QUESTIONS.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._+=@-]{1,89}", name) for name in names)
    assert QUESTIONS["defaults"].folder_name().startswith("a--b-")
    assert QUESTIONS["data"].folder_name().startswith("generalize--a-")
    assert Question(("x" * 300, "..")).folder_name().startswith("x" * 80 + "-")


def test_what_is_left_out_is_not_written() -> None:
    question = QUESTIONS["defaults"]
    assert question.words() == ["compare", "a", "b"]
    assert question.to_toml() == 'task = "compare"\nsides = ["a", "b"]\n'
    assert QUESTIONS["no baseline"].words() == ["compare", "a", "b", "--no-baseline"]


@pytest.mark.parametrize("task", [COMPARE, GENERALIZE, SCORE, SAMPLE])
def test_python_documents_what_the_command_line_does(task: str) -> None:
    function = {COMPARE: reprozoo.compare, GENERALIZE: reprozoo.generalize, SCORE: reprozoo.score,
                SAMPLE: reprozoo.images_of}[task]  # fmt: skip
    signature = inspect.signature(function)
    for name, ask in asks_of(task).items():
        assert signature.parameters[name].default == default_of(name)
        assert f"    {name}: {ask.help}" in (function.__doc__ or "")
    assert {"zoo", "store", "executor", "progress", "offline"} <= set(signature.parameters)
    assert ("conditions" in signature.parameters) == (task != SCORE)
    assert set(asks()) & set(signature.parameters) == set(asks_of(task))


def test_values_have_the_types_of_their_fields() -> None:
    question = Question(
        [Path("a"), "b"], classes=np.arange(3), threshold=np.float32(0.5), num_samples=np.int64(5), dtype="fp16",
        descriptor="pixels", baselines=["c"], noise=Path("n.npy"), observation_noise=1,
    )  # fmt: skip
    assert question.sides == ("a", "b")
    assert (question.classes, question.threshold, question.num_samples) == ("0,1,2", {"similarity": 0.5}, 5)
    assert (question.dtype, question.descriptor, question.baselines) == ("float16", ("pixels",), ("c",))
    assert (question.noise, question.observation_noise) == ("n.npy", 1.0)
    assert Question(SIDES[COMPARE], threshold=["0.5", "mae=3"]).threshold == {"similarity": 0.5, "mae": 3.0}
    assert [Question(("a", "b"), classes=given).classes for given in (3, [1, 5], range(3), "random")] == [
        "3", "1,5", "0,1,2", "random",
    ]  # fmt: skip


def test_sides_of_a_score_are_always_places() -> None:
    document = {"task": SCORE, "sides": ["images", "other.npz"]}
    assert Question.from_json(document).sides == ("./images", "other.npz")


# --- refusals --------------------------------------------------------------------------------------------------------

TWO = ["a", "b"]
NAN, INF = float("nan"), float("inf")
OF_TWO: Mapping[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"num_sample": 3}, r"'num_sample' \(did you mean 'num_samples'\?\); there are: sides,"),
    "unknown task": ({"task": "comprae"}, "task: expected one of compare, .*got 'comprae'"),
    "task that is a list": ({"task": ["compare"]}, "task: expected one of"),
    "two models to generalize": ({"task": "generalize"}, "generalize takes one model, got 2"),
    "two models to sample": ({"task": "sample"}, "sample takes one model, got 2"),
    "n as text": ({"num_samples": "5"}, "num_samples: expected a whole number from 1 to 10,000,000, got '5'"),
    "n = 0": ({"num_samples": 0}, "num_samples: expected a whole number from 1 to 10,000,000, got 0"),
    "n too large": ({"num_samples": 10**9}, "got 1,000,000,000"),
    "n = true": ({"num_samples": True}, "num_samples: .*got True"),
    "n = 1.5": ({"num_samples": 1.5}, r"num_samples: .*got 1\.5"),
    "n = nothing": ({"num_samples": None}, "num_samples: .*got nothing"),
    "negative first": ({"first": -1}, "first: expected a whole number from 0 to .*, got -1"),
    "seed beyond floats": ({"seed": 10**400}, "seed: expected a whole number from 0 to 18,446"),
    "first too large": ({"first": 2**63}, "first: expected a whole number from 0 to 4,611"),
    "seed too large": ({"seed": 2**64}, "seed: expected a whole number from 0 to 18,446"),
    "batch of none": ({"batch_size": 0}, "batch_size: expected a whole number of at least 1"),
    "negative floor": ({"noise_floor": -1}, "noise_floor: expected a whole number of at least 0"),
    "noise that is a number": ({"noise": 3}, "noise: expected a text, got 3"),
    "noise and seed": ({"noise": "x.npy", "seed": 1}, "seed and noise file .* exclude each other"),
    "no class label": ({"classes": "cat"}, "'cat' is no class label"),
    "no class labels": ({"classes": []}, "'' is no class label"),
    "range that falls": ({"classes": "9-0"}, "'9-0' is no range of class labels"),
    "classes and prompts": ({"classes": 3, "prompts": ["a"]}, "a noise gets one condition"),
    "prompts twice": ({"prompts_file": "x", "prompts": ["a"]}, "exclude each other"),
    "prompts that are numbers": ({"prompts": [1]}, "prompts: expected a list of texts"),
    "noise of -1": ({"observation_noise": -1}, "observation_noise: expected a number of at least 0, got -1"),
    "noise of nan": ({"observation_noise": NAN}, "observation_noise: .*got nan"),
    "no descriptor": ({"descriptor": []}, "descriptor: expected at least one, got none"),
    "threshold that is none": ({"threshold": "high"}, "threshold: expected a number or NAME=NUMBER, got 'high'"),
    "threshold of text": ({"threshold": {"mae": "10"}}, "threshold: expected a number for mae, got '10'"),
    "threshold of true": ({"threshold": {"mae": True}}, "threshold: expected a number for mae, got True"),
    "true as threshold": ({"threshold": True}, "threshold: expected a number for similarity, got True"),
    "threshold nan": ({"threshold": NAN}, "threshold: expected a number for similarity, got nan"),
    "endless threshold": ({"threshold": "mae=inf"}, "threshold: expected a number for mae, got inf"),
    "mirror of 1": ({"mirror": 1}, "mirror: expected true or false, got 1"),
    "unknown dtype": ({"dtype": "flaot16"}, r"dtype: expected one of float32, .*\(did you mean 'float16'\?\)"),
    "device that is a number": ({"device": 0}, "device: expected a text, got 0"),
    "data of compare": ({"data": "x"}, "compare does not ask for data; generalize does"),
}
REFUSALS: Mapping[str, tuple[dict[str, Any], str]] = {
    **{name: ({"sides": TWO, **given}, sentence) for name, (given, sentence) in OF_TWO.items()},
    "no sides": ({"seed": 3}, "names no sides: write sides = "),
    "sides that are one text": ({"sides": "a"}, "expected a list of sides, got the one text 'a'"),
    "sides that are a number": ({"sides": 3}, "sides: expected a list of texts, got 3"),
    "sides that are numbers": ({"sides": [3, 4]}, "sides: expected a list of texts"),
    "empty sides": ({"sides": []}, "at least one side"),
    "blank side": ({"sides": ["a", " "]}, "at least one side"),
    "one side": ({"sides": ["a"]}, "compare takes two or more models; .*: generalize, got 1"),
    "three folders": ({"sides": ["a", "b", "c"], "task": "score"}, "two folders or archives of images, got 3"),
    "baseline of generalize": (
        {"sides": ["a"], "task": "generalize", "baselines": []}, "generalize does not ask for baselines; compare does",
    ),
    "mirror of sample": (
        {"sides": ["a"], "task": "sample", "mirror": True}, "sample does not ask for mirror; compare and score do",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("document", "sentence"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_asked_is_a_sentence(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Question.from_json(document)


def test_the_file_is_named_in_what_it_gets_wrong(tmp_path: Path) -> None:
    path = tmp_path / "question.toml"
    for text, sentence in (
        ("sides = [", "cannot be read as a question"),
        ('sides = ["a", "b"]\n[noise]\n', "noise: expected a text"),
        ('sides = ["a", "b"]\nnum_sampels = 3\n', "question.toml: there is no field 'num_sampels' .did you mean"),
        ("seed = 1\n", "question.toml names no sides"),
        ("\x00", "cannot be read as a question"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=sentence):
            Question.read(path)
    path.write_bytes(b'sides = ["\xff"]')
    with pytest.raises(UsageError, match="cannot be read as a question"):
        Question.read(path)
    with pytest.raises(UsageError, match=r"nowhere\.toml cannot be read as a question"):
        Question.read(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("function", "sides", "options", "sentence"),
    [
        (reprozoo.compare, ["tiny-edm"], {}, "compare takes two or more models; .*: generalize, got 1"),
        (reprozoo.compare, [["tiny-edm"]], {}, "compare takes two or more models"),
        (reprozoo.compare, [], {}, "at least one side"),
        (reprozoo.compare, TWO, {"num_sample": 3}, r"compare has no argument 'num_sample' \(did you mean"),
        (reprozoo.generalize, ["a"], {"baselines": []}, "generalize has no argument 'baselines'"),
        (reprozoo.score, ["a"], {}, "two folders or archives of images, got 1"),
        (reprozoo.images_of, ["tiny-edm"], {"threshold": 1}, "sample has no argument 'threshold'"),
        (reprozoo.images_of, ["tiny-edm"], {"descriptor": "sscd"}, "sample has no argument 'descriptor'"),
        (reprozoo.score, ["a", "b"], {"noise": "x.npy"}, "score has no argument 'noise'"),
        (reprozoo.images_of, [TWO], {}, "sample takes one model, got 2"),
        (reprozoo.compare, ["tiny-edn", "tiny-uvit"], {}, "did you mean 'tiny-edm'"),
        (reprozoo.compare, [{"x": "tiny-edn", "y": "tiny-uvit"}], {}, "did you mean 'tiny-edm'"),
        (reprozoo.compare, ["tiny-edm", "dit-xl-2-256"], {}, "the noise shape of one is 3×32×32, of the other 4×32×32"),
        (reprozoo.score, ["nowhere", "neither"], {}, "there is no file or folder ./nowhere"),
    ],
)  # fmt: skip
def test_python_calls_that_cannot_be_answered_are_sentences(
    function: Callable[..., Any], sides: list[Any], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        function(*sides, **options)
