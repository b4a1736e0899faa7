"""The command as a person meets it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TEXT = "to be or not to be, that is the question. " * 60
QUICK = ["--steps", "8", "--hidden", "12", "--embedding", "6", "--batch", "3", "--window", "8"]


def rondeau(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from rondeau.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "text.txt").write_text(TEXT)
    done = rondeau("train", "text.txt", *QUICK, "--run", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "10-gram" in done.stdout and "rondeau sample run" in done.stdout and "lstm " in done.stdout
    return folder


def test_sample(place: Path) -> None:
    done = rondeau("sample", "run", "--prompt", "to be", "--length", "30", "--seed", "1", "--count", "2", cwd=place)
    assert done.returncode == 0 and done.stdout.startswith("to be") and "-----" in done.stdout
    again = rondeau("sample", "run", "--prompt", "to be", "--length", "30", "--seed", "1", "--count", "2", cwd=place)
    assert again.stdout == done.stdout


def test_evaluate(place: Path) -> None:
    done = rondeau("evaluate", "run", "text.txt", "--json", cwd=place)
    figures = json.loads(done.stdout)
    assert figures["tokens"] == len(TEXT) and figures["unknowns"] == 0
    assert figures["bits_per_byte"] == pytest.approx(figures["bits_per_token"])
    assert "perplexity" in rondeau("evaluate", "run", "text.txt", cwd=place).stdout


def test_json_config_and_overwriting(place: Path) -> None:
    (place / "c.toml").write_text('hidden = 10\ncell = "gru"\nsteps = 4\nbatch = 3\nwindow = 8\n')
    call = ["train", "text.txt", "--config", "c.toml", "--cell", "min_gru", "--run", "second", "--json", "--no-baselines"]
    done = rondeau(*call, cwd=place)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert any("held_out" in row for row in rows)
    assert 'cell = "min_gru"' in (place / "second" / "config.toml").read_text()
    refused = rondeau(*call, cwd=place)
    assert refused.returncode == 2 and "exists already" in refused.stderr and refused.stderr.count("\n") == 1
    assert rondeau(*call, "--overwrite", cwd=place).returncode == 0


def test_temperature_zero_is_greedy(place: Path) -> None:
    calls = [rondeau("sample", "run", "--temperature", "0", "--length", "20", cwd=place).stdout for _ in range(2)]
    assert calls[0] == calls[1]


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


def test_a_damaged_record_is_one_line(place: Path) -> None:
    assert rondeau("train", "text.txt", *QUICK, "--run", "damaged", "--no-baselines", cwd=place).returncode == 0
    (place / "damaged" / "metrics.jsonl").write_text("oops\n")
    done = rondeau("resume", "damaged", "--no-baselines", cwd=place)
    assert done.returncode == 0 and done.stderr.count("\n") == 1 and done.stderr.startswith("rondeau: damaged/metrics.jsonl is")
    assert "this run has ended, at step 8; nothing is added to it" in done.stdout


def test_cells_and_show(place: Path) -> None:
    listed = rondeau("cells", cwd=place).stdout
    assert "peephole_lstm" in listed and "Gers" in listed
    assert json.loads(rondeau("cells", "--json", cwd=place).stdout.splitlines()[0])["name"] == "elman"
    for form, expected in (("text", "h[t] ="), ("latex", r"\begin{aligned}"), ("table", "total"), ("bibtex", "@misc")):
        assert expected in rondeau("show", "gru", "--as", form, cwd=place).stdout
    assert rondeau("--version", cwd=place).stdout.strip()
