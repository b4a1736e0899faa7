"""Cells from the user's own file, and the sizes of a cell."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rondeau.cli import chosen
from rondeau.train import load

QUICK = ["--hidden", "6", "--embedding", "4", "--batch", "2", "--window", "5", "--steps", "2", "--no-baselines"]


def test_show_train_and_bench_take_a_cell_from_a_file(rondeau, place: Path) -> None:
    shown = rondeau("show", "my_cells.py:cautious")
    assert shown.status == 0 and "cautious: mine\nz = sigmoid" in shown.out
    assert "narrow" in rondeau("bench", "my_cells.py:narrow", "--shape", "4,2,3,5", "--repeats", "1", "--size", "small=2").out
    done = rondeau("train", "text.txt", "--cell", "my_cells.py:narrow", "--size", "small=3", *QUICK, "--run", "own")
    assert done.status == 0, done.err
    assert load(place / "own").model.head.in_features == 3
    (place / "elsewhere").mkdir()
    (place / "my_cells.py").rename(place / "elsewhere" / "my_cells.py")
    try:
        assert rondeau("sample", "own", "--length", "5").status == 0  # the run keeps its cell: no code runs
    finally:
        (place / "elsewhere" / "my_cells.py").rename(place / "my_cells.py")


def test_the_help_says_that_the_code_runs(rondeau) -> None:
    for command in ("train", "show", "bench"):
        assert "code runs" in " ".join(rondeau(command, "-h").out.replace("│", " ").split())


@pytest.mark.parametrize("arguments", [["show"], ["train", "text.txt", "--cell"], ["bench"]])
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("none.py:x", "there is no file none.py"),
        ("my_cells.py", "my_cells.py:cautious; the cells in it are cautious, narrow"),
        ("my_cells.py:", "my_cells.py:cautious; the cells in it are cautious, narrow"),
        ("my_cells.py:nope", "there is no 'nope' in my_cells.py; the cells in it are cautious, narrow"),
        ("my_cells.py:variant", "variant in my_cells.py is a function, not a cell"),
        ("my_cells.py:number", "number in my_cells.py is no cell but of the type int; the cells in it are cautious, narrow"),
        (".:x", ". is not a file"),
        ("empty.py:x", "there is no cell in it; make one with @rondeau.cell"),
        ("fifo.py:x", "fifo.py is not a file"),
    ],
)
def test_a_cell_that_is_not_there(rondeau, place: Path, arguments: list[str], cell: str, message: str) -> None:
    import os

    (place / "empty.py").write_text("")
    if not (place / "fifo.py").exists() and hasattr(os, "mkfifo"):
        os.mkfifo(place / "fifo.py")
    line = rondeau(*arguments, cell).line
    assert message in line
    assert line.startswith("rondeau: --cell: ") or arguments[0] != "train"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\n\ndef f():\n    return nothing\n\nf()\n", "wrong.py, line 4: NameError: name 'nothing' is not defined"),
        ("x = (\n", "wrong.py, line 1: '(' was never closed"),
        ("import sys\nsys.exit(3)\n", "wrong.py, line 2: SystemExit: 3"),
        ("import json\njson.loads('{')\n", "wrong.py, line 2: JSONDecodeError"),
        ("raise ValueError('two\\nlines')\n", "wrong.py, line 1: ValueError: two; lines"),
        ("x = 1\0\n", "wrong.py"),
        (
            "import rondeau as rd\n@rd.cell\ndef wrong(x=rd.input(), h=rd.state()):\n    h = h + x\n    return h\n",
            "wrong.py, line 4: h = h + x",
        ),
    ],
)
def test_what_the_code_raises_is_one_line(rondeau, place: Path, code: str, message: str) -> None:
    if "never closed" in message and sys.version_info < (3, 11):
        message = "wrong.py, line"
    (place / "wrong.py").write_text(code)
    assert message in rondeau("show", "wrong.py:x").line


def test_a_file_may_import_what_lies_beside_it(rondeau, place: Path) -> None:
    (place / "sub").mkdir()
    (place / "sub" / "beside.py").write_text("import rondeau as rd\nfound = rd.cells.gru()\n")
    (place / "sub" / "mine.py").write_text("from beside import found\nimport __main__\n")
    before = list(sys.path)
    assert "gru: " in rondeau("show", "sub/mine.py:found").out
    assert sys.path == before


def test_the_zoo_is_not_sought_in_files() -> None:
    assert not chosen.in_file("gru") and all(map(chosen.in_file, ("a.py:b", "a.py", "/x/y:z", "C:\\x.py:y")))


def test_a_configuration_makes_no_code_run(rondeau, place: Path) -> None:
    (place / "touching.py").write_text("from pathlib import Path\nPath('ran').touch()\nfrom my_cells import cautious\n")
    call = ["train", "text.txt", "--cell", "touching.py:cautious", *QUICK]
    assert rondeau(*call, "--run", "first").status == 0
    (place / "ran").unlink()
    line = rondeau("train", "--config", "first/config.toml", "--run", "second").line
    assert "add --cell touching.py:cautious" in line and not (place / "ran").exists()
    again = rondeau("train", "--config", "first/config.toml", "--run", "second", "--cell", "touching.py:cautious")
    assert again.status == 0 and (place / "ran").exists()


def test_sizes_stand_in_the_configuration(rondeau, place: Path) -> None:
    assert rondeau("train", "text.txt", "--cell", "projected_lstm", "--size", "projection=3", *QUICK, "--run", "p").status == 0
    assert rondeau("train", "--config", "p/config.toml", "--run", "p2").status == 0
    assert load(place / "p2").model.head.in_features == 3
    assert rondeau("train", "--config", "p/config.toml", "--cell", "gru", "--run", "p3").status == 0


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("projection", "--size is a name and a positive whole number, such as projection=64; not 'projection'"),
        ("projection=0", "--size is a name and a positive"),
        ("projection=-1", "--size is a name and a positive"),
        ("projection=1e3", "--size is a name and a positive"),
        ("=3", "--size is a name and a positive"),
        ("projection=99999999999", "--size is a name and a positive"),
        ("other=3", "--size: projected_lstm has no size 'other'; beside input and hidden it has projection"),
        ("hidden=3", "--size: projected_lstm has no size 'hidden'"),
    ],
)
@pytest.mark.parametrize(
    "arguments", [["show", "projected_lstm"], ["bench", "projected_lstm"], ["train", "text.txt", "--cell", "projected_lstm"]]
)
def test_wrong_sizes(rondeau, arguments: list[str], size: str, message: str) -> None:
    assert message in rondeau(*arguments, "--size", size).line


def test_a_size_is_given_once(rondeau) -> None:
    line = rondeau("show", "projected_lstm", "--size", "projection=3", "--size", "projection=4").line
    assert "--size gives projection twice" in line


def test_the_table_and_the_figures_know_the_sizes(rondeau, place: Path) -> None:
    table = rondeau("show", "projected_lstm", "--as", "table", "--hidden", "5", "--size", "projection=7").out
    assert "7 x 5" in table
    call = ["bench", "projected_lstm", "--shape", "4,2,3,5", "--repeats", "1", "--size", "projection=2"]
    assert "hidden 5, projection 2" in rondeau(*call, "--json", "figures.jsonl").out
    assert json.loads((place / "figures.jsonl").read_text().splitlines()[0])["sizes"] == {"projection": 2}


def test_settings_of_a_method_stand_in_the_configuration(rondeau, place: Path) -> None:
    method = [
        "--optimizer",
        "sgd",
        "--optimizer-option",
        "momentum=0.5",
        "--schedule",
        "plateau",
        "--schedule-option",
        "factor=0.3",
    ]
    assert rondeau("train", "text.txt", *method, *QUICK, "--run", "m").status == 0
    settings = load(place / "m").settings
    assert (settings.optimizer, settings.optimizer_options, settings.schedule_options) == (
        "sgd",
        {"momentum": 0.5},
        {"factor": 0.3},
    )
    assert rondeau("train", "--config", "m/config.toml", "--optimizer", "adam", "--run", "m2").status == 0
    again = load(place / "m2").settings
    assert (again.optimizer, again.optimizer_options, again.schedule_options) == ("adam", {}, {"factor": 0.3})
    assert rondeau("resume", "m", "--steps", "2", "--no-baselines").status == 0
