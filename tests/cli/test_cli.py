"""The commands, one after another, as a person uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

QUICK = ["--steps", "8", "--hidden", "12", "--embedding", "6", "--batch", "3", "--window", "8"]


def test_train(rondeau) -> None:
    done = rondeau("train", "text.txt", *QUICK, "--run", "trained")
    assert done.status == 0 and "10-gram" in done.out and "rondeau sample trained" in done.out and "lstm " in done.out


def test_sample(rondeau) -> None:
    call = ["sample", "run", "--prompt", "to be", "--length", "30", "--seed", "1", "--count", "2"]
    done = rondeau(*call)
    assert done.status == 0 and done.out.startswith("to be") and "-----" in done.out
    assert rondeau(*call).out == done.out


def test_evaluate(rondeau, place: Path) -> None:
    figures = json.loads(rondeau("evaluate", "run", "text.txt", "--json").out)
    assert figures["tokens"] == len((place / "text.txt").read_text()) and figures["unknowns"] == 0
    assert figures["bits_per_byte"] == pytest.approx(figures["bits_per_token"])
    assert "perplexity" in rondeau("evaluate", "run", "text.txt").out


def test_json_config_and_overwriting(rondeau, place: Path) -> None:
    (place / "c.toml").write_text('hidden = 10\ncell = "gru"\nsteps = 4\nbatch = 3\nwindow = 8\n')
    call = ["train", "text.txt", "--config", "c.toml", "--cell", "min_gru", "--run", "configured", "--json", "--no-baselines"]
    done = rondeau(*call)
    assert done.status == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert any("held_out" in row for row in rows)
    assert 'cell = "min_gru"' in (place / "configured" / "config.toml").read_text()
    assert "exists already" in rondeau(*call).line
    assert rondeau(*call, "--overwrite").status == 0


def test_temperature_zero_is_greedy(rondeau) -> None:
    calls = [rondeau("sample", "run", "--temperature", "0", "--length", "20").out for _ in range(2)]
    assert calls[0] == calls[1] and len(calls[0]) > 20


HEARD = "import signal; signal.signal(2, signal.default_int_handler); from rondeau.cli import main; main()"


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("options", [[], ["--patience", "2"]])
@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_saves_and_says_how_to_go_on(place: Path, number: int, options: list[str]) -> None:
    folder = f"cut{number}{len(options)}"
    run = ["train", "text.txt", *QUICK[2:], *options, "--minutes", "5", "--run", folder]
    call = [sys.executable, "-c", HEARD, *run]  # these tests themselves may run where Ctrl-C is ignored
    process = subprocess.Popen(call, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 60
    record = place / folder / "metrics.jsonl"
    while time.time() < deadline and not (record.is_file() and record.stat().st_size):
        time.sleep(0.1)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number and error == f"stopped and saved; go on with: rondeau resume {folder}\n"
    assert json.loads((place / folder / "manifest.json").read_text())["step"] > 0


def test_a_damaged_record_is_one_line(rondeau, place: Path) -> None:
    assert rondeau("train", "text.txt", *QUICK, "--run", "damaged", "--no-baselines").status == 0
    (place / "damaged" / "metrics.jsonl").write_text("oops\n")
    call = [sys.executable, "-m", "rondeau", "resume", "damaged", "--no-baselines"]  # pytest would catch the warning here
    done = subprocess.run(call, capture_output=True, text=True, cwd=place, timeout=120)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1) and done.stderr.startswith("rondeau: damaged/metrics.jsonl is")
    assert "this run has ended, at step 8; nothing is added to it" in done.stdout


def test_cells_and_show(rondeau) -> None:
    listed = rondeau("cells").out
    assert "peephole_lstm" in listed and "Gers" in listed
    assert json.loads(rondeau("cells", "--json").out.splitlines()[0])["name"] == "elman"
    for form, expected in (("text", "h[t] ="), ("latex", r"\begin{aligned}"), ("table", "total"), ("bibtex", "@misc")):
        assert expected in rondeau("show", "gru", "--as", form).out
    assert rondeau("--version").out.strip()
