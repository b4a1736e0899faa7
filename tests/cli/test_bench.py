"""``rondeau bench`` as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rondeau.benchmark.measure import Shape, operations
from rondeau.cells import get

SMALL = ["--shape", "6,2,3,4", "--repeats", "2"]


def bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from rondeau.cli import main; main()", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def test_figures_of_all_that_can_run_the_cell(tmp_path: Path) -> None:
    done = bench("gru", *SMALL, "--dtype", "float64", "--json", "figures.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert [line["on"] for line in lines] == ["compiled", "torch", "reference", "nn.LSTM"]
    rows = [row.split() for row in done.stdout.splitlines() if row.split()[:1] and row.split()[0] in {x["on"] for x in lines}]
    assert [row[0] for row in rows] == [line["on"] for line in lines] and all(len(row) == 9 for row in rows)
    assert "gru, float64, time 6, batch 2, input 3, hidden 4" in done.stdout
    for line, row in zip(lines, rows):
        assert (line["cell"], line["shape"], line["dtype"]) == ("gru", [6, 2, 3, 4], "float64")
        counted = operations(get("lstm" if line["on"] == "nn.LSTM" else "gru"), Shape(6, 2, 3, 4))
        for kind, flops, fields in (("train", 3 * counted, row[1:5]), ("infer", counted, row[5:])):
            figures = line[kind]
            assert 0 < figures["least_ms"] <= figures["median_ms"]
            assert figures["ratio"] == figures["least_ms"] / lines[0][kind]["least_ms"]
            assert figures["gflops"] == pytest.approx(flops / figures["least_ms"] / 1e6)
            assert fields[:3] == [f"{figures[name]:.2f}" for name in ("least_ms", "median_ms", "ratio")]


def test_the_choice_of_competitors_and_appending(tmp_path: Path) -> None:
    for against in (["nn.LSTM", "reference"], ["compiled"]):
        options = [word for name in against for word in ("--against", name)]
        done = bench("zoneout_lstm", *SMALL, *options, "--json", "figures.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    lines = [json.loads(line)["on"] for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert lines == ["reference", "nn.LSTM", "compiled"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lsmt"], "did you mean"),
        (["--shape", "1,2,3"], "four positive whole numbers"),
        (["--shape", "1,2,3,0"], "four positive whole numbers"),
        (["--shape", "1,2,3,-4"], "four positive whole numbers"),
        (["--shape", "1,2,3,four"], "four positive whole numbers"),
        (["hierarchical_rnn", "--shape", "2,2,3,4"], "choose a size that divides"),
        ([*SMALL, "--dtype", "float16"], "float32 or float64, not 'float16'"),
        ([*SMALL, "--repeats", "0"], "at least 1, not 0"),
        ([*SMALL, "--against", "cuda"], "one of compiled, torch, reference, nn.LSTM, not 'cuda'"),
        (["min_gru", *SMALL, "--against", "torch"], "min_gru is not one of PyTorch's"),
        ([*SMALL, "--against", "nn.LSTM"], "name a backend too"),
        ([*SMALL, "--json", "nowhere/figures.jsonl"], "cannot be written"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = bench(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not done.stdout
