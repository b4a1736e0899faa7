"""From a file to predictions: fit, resume, predict and evaluate, for every shape of data, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rondeau.cli.fitted import JOBS
from rondeau.cli.jobs import CLASSIFY, REGRESS, TAG, make
from rondeau.cli.series_job import FORECAST
from rondeau.estimators import SequenceClassifier, load

SMALL = ["--epochs", "2", "--hidden", "4", "--members", "1"]
QUICK = {"epochs": 3, "hidden": 4, "members": 1, "random_state": 3}
DRAW = np.random.default_rng(0)


def texts() -> str:
    """Short reviews, good and bad by their words."""
    rows = [f'"{draw} phone, {word} {number}",{label}' for number in range(12) for draw, word, label in WORDS]
    return "\n".join(["text,label", *rows]) + "\n"


WORDS = [("my", "very good", "pos"), ("this", "so bad", "neg"), ("a", "quite fine", "pos")]


def long_table(goal: str) -> str:
    """Sequences that rise or fall, a step in each row."""
    lines = [f"id,time,speed,slope,{goal}"]
    for number in range(14):
        sign = 1 if number % 2 else -1
        what = {"label": "up" if number % 2 else "down", "target": str(10.0 * sign + number / 10)}[goal]
        for step in range(3 + number % 4):
            lines.append(f"s{number},{step},{sign * step + DRAW.normal() / 9:.3f},{'' if step == 1 else 0.5},{what}")
    return "\n".join(lines) + "\n"


def wide() -> str:
    lines = ["label,x1,x2,x3,x4"]
    lines += [f"{'a' if n % 2 else 'b'},{n % 2},{n % 2 + 0.1 * n},{n}," for n in range(12)]
    return "\n".join(lines) + "\n"


def lists() -> str:
    rows = [{"x": [[n % 2, 0.1 * step] for step in range(2 + n % 3)], "kind": "walk" if n % 2 else "rest"} for n in range(12)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def sktime() -> str:
    head = ["@problemName tiny", "@timeStamps false", "@classLabel true a b", "@data"]
    rows = [f"{n % 2},{n % 2 + 0.5},1:0.4,0.5,{n}:{'ab'[n % 2]}" for n in range(12)]
    return "\n".join([*head, *rows]) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "texts.csv": texts,
    "long.csv": lambda: long_table("label"),
    "numbers.csv": lambda: long_table("target"),
    "wide.csv": wide,
    "lists.jsonl": lists,
    "tiny.ts": sktime,
}


@pytest.fixture(scope="module")
def files(place: Path) -> Path:
    """A folder with a file of every shape."""
    for name, text in FILES.items():
        (place / name).write_text(text())
    return place


SHAPES = [
    ("classify", "texts.csv", []),
    ("classify", "long.csv", []),
    ("classify", "wide.csv", []),
    ("classify", "lists.jsonl", ["--text", "x", "--label", "kind"]),
    ("classify", "tiny.ts", []),
    ("regress", "numbers.csv", ["--features", "speed, slope"]),
]


@pytest.mark.parametrize(("what", "file", "options"), SHAPES, ids=[file for _, file, _ in SHAPES])
def test_from_a_file_to_predictions(rondeau, files: Path, tmp_path: Path, what: str, file: str, options: list[str]) -> None:
    run = str(tmp_path / "run")
    done = rondeau("fit", what, file, *options, "--run", run, *SMALL)
    assert done.status == 0, done.err
    assert f"{file}: " in done.out and " to train on, " in done.out and "held out" in done.out
    floor, model = ("most frequent class", "SequenceClassifier") if what == "classify" else ("mean ", "SequenceRegressor")
    assert floor in done.out and f"\n{model}" in done.out and f"rondeau predict {run} FILE" in done.out
    out = tmp_path / "said.csv"
    assert rondeau("predict", run, file, "--out", str(out)).out == f"{len(rows_of(out))} rows in {out}\n"
    rows, estimator = rows_of(out), load(run)
    assert len(rows) == {"texts.csv": 36, "long.csv": 14, "numbers.csv": 14}.get(file, 12)
    assert list(rows[0]) == (["id"] if file in ("long.csv", "numbers.csv") else ["row"]) + (
        ["label", "probability"] if what == "classify" else ["target"]
    )
    if what == "classify":
        assert {row["label"] for row in rows} <= set(estimator.classes_)
    figures = json.loads(rondeau("evaluate", run, file, "--json").out)
    assert figures["sequences"] == len(rows) and ("accuracy" in figures) == (what == "classify")
    again = rondeau("resume", run)
    assert "this run has ended" in again.out and again.out.split("\n\n")[1] == done.out.split("\n\n")[1]


CONLL = "".join(f"{who} N\n{does} V\n\n" for who in ("cats", "dogs", "birds", "we", "they") for does in ("sing", "run"))
STEPS = "id,time,x,y\n" + "".join(f"s{n},{t},{n % 3 + t},{2 * (n % 3 + t)}\n" for n in range(10) for t in range(4))


def test_tags_and_numbers_of_steps(rondeau, files: Path, tmp_path: Path) -> None:
    (files / "tags.conll").write_text(CONLL)
    (files / "steps.csv").write_text(STEPS)
    small = SMALL[:4]
    done = rondeau("fit", "tag", "tags.conll", "--run", str(tmp_path / "tags"), *small)
    assert "8 to train on, 2 held out, the last ones" in done.out and "most frequent class of the word" in done.out
    rondeau("predict", str(tmp_path / "tags"), "tags.conll", "--out", str(tmp_path / "tags.csv"))
    rows = rows_of(tmp_path / "tags.csv")
    assert len(rows) == 20 and rows[1] | {"label": ""} == {"row": "1", "step": "2", "token": "sing", "label": ""}
    assert json.loads(rondeau("evaluate", str(tmp_path / "tags"), "tags.conll", "--json").out)["sequences"] == 10
    done = rondeau("fit", "tag", "steps.csv", "--target", "y", "--run", str(tmp_path / "steps"), *small)
    assert "ridge on the step" in done.out and "targets of steps: y" in done.out
    rondeau("predict", str(tmp_path / "steps"), "steps.csv", "--out", str(tmp_path / "steps.csv"))
    assert list(rows_of(tmp_path / "steps.csv")[0]) == ["id", "step", "y"]
    assert "R2" in rondeau("evaluate", str(tmp_path / "steps"), "steps.csv").out
    assert "this run has ended" in rondeau("resume", str(tmp_path / "steps")).out


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


@pytest.fixture(scope="module")
def reviews(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a classifier of texts."""
    from rondeau.cli.dataset import DataSet
    from rondeau.cli.fitting import begin

    data = DataSet(str(files / "texts.csv"), seed=3)
    place = tmp_path_factory.mktemp("fitted") / "reviews"
    begin(CLASSIFY, QUICK, data, CLASSIFY.parts(data, QUICK), place, overwrite=False, as_json=True)
    return place


def test_the_command_fits_what_python_fits(files: Path, reviews: Path, capsys) -> None:
    from rondeau.cli.dataset import DataSet

    parts = CLASSIFY.parts(DataSet(str(files / "texts.csv"), seed=3), QUICK)
    model = SequenceClassifier(**QUICK).fit(parts.train)
    assert np.array_equal(model.predict_proba(parts.whole), load(reviews).predict_proba(parts.whole))


def test_predictions_in_every_form(rondeau, files: Path, reviews: Path, tmp_path: Path, monkeypatch) -> None:
    for name in ("a.csv", "a.tsv", "a.jsonl"):
        rondeau("predict", str(reviews), "texts.csv", "--out", str(tmp_path / name), "--all-classes")
    comma, tab = rows_of(tmp_path / "a.csv"), list(csv.DictReader((tmp_path / "a.tsv").open(), delimiter="\t"))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert comma == tab and [row["label"] for row in comma] == [row["label"] for row in lines]
    assert list(lines[0]) == ["row", "label", "probability", "probability of neg", "probability of pos"]
    assert lines[0]["probability of neg"] + lines[0]["probability of pos"] == pytest.approx(1)
    shown = rondeau("predict", str(reviews), "texts.csv", "--all-classes").out
    assert list(csv.DictReader(io.StringIO(shown))) == comma

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"number,text\n1,so bad\n")))
    only = list(csv.DictReader(io.StringIO(rondeau("predict", str(reviews), "-").out)))
    assert [row["row"] for row in only] == ["1"]  # without answers


def test_fitting_from_the_standard_input(rondeau, files: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(texts().encode())))
    run = str(tmp_path / "run")
    assert "the input: CSV" in rondeau("fit", "classify", "-", "--run", run, *SMALL).out
    assert "does not say where its data lie; give the file with --data" in rondeau("resume", run).line
    assert rondeau("resume", run, "--data", "texts.csv", "--steps", "2").status == 0
    (files / "fewer.csv").write_text("\n".join(texts().splitlines()[:-1]))
    assert "the data are not those that" in rondeau("resume", run, "--data", "fewer.csv").line


def test_json_lines_say_the_record_and_the_scores(rondeau, files: Path, tmp_path: Path) -> None:
    done = rondeau("fit", "classify", "wide.csv", "--run", str(tmp_path / "run"), *SMALL, "--json", "--no-floors")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert "loss" in rows[0] and rows[-1]["scored"] == "SequenceClassifier" and 0 <= rows[-1]["accuracy"] <= 1
    assert sum("scored" in row for row in rows) == 1


def test_a_file_of_its_own_to_score_by_and_none(rondeau, files: Path, tmp_path: Path) -> None:
    head, *rows = texts().splitlines()
    (files / "train.csv").write_text("\n".join([head, *rows[:24]]))
    (files / "test.csv").write_text("\n".join([head, *rows[24:]]))
    done = rondeau("fit", "classify", "train.csv", "--test", "test.csv", "--run", str(tmp_path / "a"), *SMALL)
    assert "all of it to train on, 12 of test.csv held out" in done.out
    done = rondeau("fit", "classify", "train.csv", "--held-out", "0", "--run", str(tmp_path / "b"), *SMALL)
    assert "all of it to train on" in done.out and "held out" not in done.out and done.status == 0
    (files / "test.csv").write_text("text,label\nfine,great\n")
    told = rondeau("fit", "classify", "train.csv", "--test", "test.csv", "--run", str(tmp_path / "c"), *SMALL).line
    assert "test.csv, line 2: class 'great' was never seen in training" in told and not (tmp_path / "c").exists()


BAD = {
    "nan.csv": ("id,time,x,label\na,0,1,p\na,1,inf,p\nb,0,1,q\nb,1,2,q\n", "line 3, column 'x' is infinite; leave it empty"),
    "one.csv": ("text,label\nfine,pos\ngood,pos\n", "every label is 'pos'; give examples of at least two classes"),
    "empty.csv": ("", "is empty; give a file with data in it"),
    "head.csv": ("text,label\n", "has no rows below its head"),
    "nothing.csv": ("text,label\nfine,pos\n,neg\n", "line 3"),
    "ragged.jsonl": ('{"x": [[1, 2]], "label": "a"}\n{"x": [[1]], "label": "b"}\n', "line 2"),
    "times.csv": ("id,time,x,label\na,1,1,p\na,1,2,p\nb,0,1,q\n", "time"),
    "latin.csv": ("text,label\ncafé,pos\nno,neg\n", "line 2"),
    "words.csv": ("id,time,x,label\na,0,1,p\na,1,many,p\nb,0,1,q\n", "line 3, column 'x': 'many' is no number"),
    "columns.csv": ("a,b,c\nfine day,pos,1\nbad day,neg,2\n", "columns"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_nothing_is_left(rondeau, files: Path, tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    (files / name).write_bytes(text.encode("latin-1"))
    line = rondeau("fit", "classify", name, "--run", str(tmp_path / "run"), *SMALL).line
    assert message in line and (name in line or name == "one.csv")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere.csv"], "nowhere.csv"),
        ([""], "DATA is empty"),
        (["texts.csv", "--text", "reviw"], "texts.csv has no column 'reviw'"),
        (["texts.csv", "--label", "text"], "every class has one sequence, so none can be held out; name the column"),
        (["texts.csv", "--features", ",x"], "--features is names of columns with commas between"),
        (["texts.csv", "--hidden", "0"], "--hidden is at least 1, not 0"),
        (["texts.csv", "--optimizer", "lion"], "--optimizer is adamw, adam"),
        (["texts.csv", "--held-out", "1"], "--held-out lies from 0"),
        (["texts.csv", "--held-out", "nan"], "--held-out lies from 0"),
        (["texts.csv", "--seed", "-1"], "--seed is a whole number from 0"),
        (["texts.csv", "--cell", "lsmt"], "--cell"),
        (["texts.csv", "--format", "xls"], "--format is csv"),
        (["texts.csv", "--pooling", "sum"], "pooling"),
        (["texts.csv", "--epochs", "many"], "--epochs is a whole number, not 'many'"),
        (["texts.csv", "--test", "nowhere.csv"], "nowhere.csv"),
        (["texts.csv", "--run", "folder"], "folder exists"),
    ],
)
def test_options_that_do_not_fit(rondeau, files: Path, tmp_path: Path, options: list[str], message: str) -> None:
    (files / "folder").mkdir(exist_ok=True)
    (files / "folder" / "precious").write_text("not to be overwritten")
    place = [] if "--run" in options else ["--run", str(tmp_path / "run")]
    assert message in rondeau("fit", "classify", *options, *place).line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "run", "texts.csv"], "holds a 'language model', and what is asked for needs a sequence classifier"),
        (["predict", "nowhere", "texts.csv"], "there is no run folder"),
        (["predict", "REVIEWS", "nowhere.csv"], "nowhere.csv"),
        (["predict", "REVIEWS", "long.csv"], "long.csv has no column 'text'"),
        (["predict", "REVIEWS", "texts.csv", "--out", "said.txt"], "let it end in .csv, .tsv, .jsonl or .ndjson"),
        (["predict", "REVIEWS", "texts.csv", "--out", "nowhere/said.csv"], "lies in a folder that is not there"),
        (["predict", "REVIEWS", "texts.csv", "--out", "texts.csv"], "is the file that is read"),
        (["predict", "REVIEWS", "./texts.csv", "--out", "texts.csv", "--overwrite"], "is the file that is read"),
        (["predict", "REVIEWS", "texts.csv", "--out", "wide.csv"], "exists already; choose another file, or add --overwrite"),
        (["evaluate", "REVIEWS", "unseen.csv"], "class 'odd' was never seen in training"),
        (["sample", "REVIEWS"], "holds a 'sequence classifier', but what is asked for needs a 'language model'"),
        (["evaluate", "run", ""], "TEXT is empty"),
    ],
)
def test_using_a_run_wrongly_is_one_line(rondeau, files: Path, reviews: Path, arguments: list[str], message: str) -> None:
    (files / "unseen.csv").write_text("text,label\nfine,pos\nbad,odd\n")
    before = (files / "wide.csv").read_text()
    assert message in rondeau(*(str(reviews) if each == "REVIEWS" else each for each in arguments)).line
    assert (files / "wide.csv").read_text() == before


def test_nothing_half_written_is_left_when_a_file_turns_bad(rondeau, files: Path, reviews: Path, tmp_path: Path) -> None:
    rows = ["text,label", *["fine,pos"] * 2500, '"never closed']
    (files / "bad_end.csv").write_text("\n".join(rows))
    out = tmp_path / "said.csv"
    assert "bad_end.csv" in rondeau("predict", str(reviews), "bad_end.csv", "--out", str(out)).line
    assert list(tmp_path.iterdir()) == []
    done = rondeau("predict", str(reviews), "bad_end.csv")
    assert done.status == 2 and done.out == ""
    out.write_text("old")
    assert rondeau("predict", str(reviews), "texts.csv", "--out", str(out), "--overwrite").status == 0
    assert len(rows_of(out)) == 36


def test_every_option_of_the_model_is_a_parameter_of_its_estimator() -> None:
    from rondeau.cli.fit_options import Classify, Forecast, Regress, Tag

    for job, options in ((CLASSIFY, Classify), (REGRESS, Regress), (TAG, Tag), (FORECAST, Forecast)):
        known = make(job, {}).get_params()
        names = [name for part in ("model", "training") for name in options.sections[part].declared()]
        assert set(names) <= set(known), set(names) - set(known)
    assert set(JOBS) == {"sequence classifier", "sequence regressor", "sequence tagger", "forecaster"}
