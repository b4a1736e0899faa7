"""What only a process of its own shows: its status, its pipes, its help, what the tab key offers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rondeau.cli import complete
from rondeau.models import generate
from rondeau.train import load

MODULE = [sys.executable, "-m", "rondeau"]
ENVIRONMENT = {**os.environ, "COLUMNS": "40", "PYTHONIOENCODING": "utf-8"}


def run(*arguments: str, cwd: Path, **others: object) -> subprocess.CompletedProcess[str]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT, **others}
    return subprocess.run([*MODULE, *arguments], text=True, cwd=cwd, timeout=120, **options)  # type: ignore[call-overload]


def test_python_m_rondeau(place: Path) -> None:
    done = run("--version", cwd=place)
    assert done.returncode == 0 and done.stdout.strip() and not done.stderr


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_the_help(rondeau, arguments: tuple[str, ...]) -> None:
    done = rondeau(*arguments)
    assert done.status == 0 and "Usage: rondeau" in done.out and "evaluate" in done.out and "--install-completion" in done.out


@pytest.mark.parametrize("command", ["train", "resume", "sample", "evaluate", "cells", "show", "bench"])
def test_every_command_has_short_help(rondeau, command: str) -> None:
    done = rondeau(command, "-h")
    assert done.status == 0 and f"Usage: rondeau {command}" in done.out


def test_the_help_shows_the_defaults_of_the_settings(rondeau) -> None:
    shown = " ".join(rondeau("train", "-h").out.replace("│", " ").split())
    for name, default in (("hidden", 320), ("cell", "lstm"), ("learning-rate", 0.004), ("save-every", 60.0), ("seed", 1)):
        part = shown.split("Options")[1].split(f"--{name} ")[1].split(" --")[0]
        assert f"[default: {default}]" in part, name


@pytest.mark.skipif(os.name == "nt", reason="needs pipes that close")
@pytest.mark.parametrize("arguments", [["cells"], ["--help"], ["show", "lstm"], ["show", "lstm", "--as", "table"]])
def test_a_closed_output_is_no_error(place: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(*arguments, cwd=place, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["cells"], ["--help"], ["--version"], ["sample", "run", "--length", "5"]])
def test_a_full_output_is_one_line(place: Path, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = run(*arguments, cwd=place, stdout=full)
    assert (done.returncode, done.stderr) == (
        2,
        "rondeau: the output cannot be written: No space left on device; send it elsewhere\n",
    )


@pytest.mark.skipif(os.name == "nt", reason="needs pipes that close")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_training_whose_reader_goes_saves_and_ends(place: Path, form: tuple[str, ...]) -> None:
    sizes = ["--hidden", "8", "--embedding", "4", "--batch", "2", "--window", "5", "--steps", "10000000"]
    call = [*MODULE, "train", "text.txt", *sizes, "--run", "unread", "--overwrite", *form]
    with subprocess.Popen(call, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 128 + 13
        assert process.stderr.read() == "stopped and saved; go on with: rondeau resume unread\n"
    assert "step" in json.loads((place / "unread" / "manifest.json").read_text())


@pytest.mark.skipif(os.name == "nt", reason="needs file descriptors that are closed")
def test_without_any_output(place: Path) -> None:
    script = 'exec "$0" -m rondeau cells >&- 2>&-'
    assert subprocess.run(["sh", "-c", script, sys.executable], cwd=place, timeout=60).returncode == 0


def test_a_terminal_that_lacks_a_letter(place: Path) -> None:
    done = run("show", "lstm", cwd=place, env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and "J\\xfcrgen" in done.stdout and not done.stderr


def test_a_narrow_terminal_keeps_the_names_of_rows_and_every_figure(rondeau, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = rondeau("bench", "gru", "--shape", "4,2,3,5", "--repeats", "1").out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 40 and "…" not in shown
    for name in ("compiled", "torch", "reference", "nn.LSTM"):
        rows = [line.split() for line in lines if line.split()[:1] == [name]]
        assert [len(row) for row in rows] == [5, 5]


def complete_with(shell: str, words: str, place: Path) -> str:
    typed = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    request = {"_RONDEAU_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": words, **typed, **fish}
    return run(cwd=place, env={**ENVIRONMENT, **request}).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_tab_key(place: Path, shell: str) -> None:
    assert "peephole_lstm_fi" in complete_with(shell, "rondeau show peeph", place)
    assert "run" in complete_with(shell, "rondeau sample ru", place)
    assert "--learning-rate" in complete_with(shell, "rondeau train --lear", place)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_can_be_shown(rondeau, monkeypatch, shell: str) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "rondeau" in rondeau("--show-completion", shell).out


def test_what_the_tab_key_offers(place: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/one", "runs/two", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs" / "one" / "manifest.json").write_text("{}")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "cells.py").write_text("")
    assert complete.runs("") == ["other/", "runs/", "runs/one"]
    assert complete.runs("runs/o") == ["runs/one"]
    assert complete.cells("cell") == ["cells.py"] and complete.cells("janet") == ["janet"]
    assert complete.corpora("sh") == ["shakespeare"] and "cells.py" in complete.corpora("ce")
    assert complete.runs("nowhere/") == [] and complete.runs("~nobody_of_that_name/") == []


@pytest.mark.parametrize("seed", ["0", "-1", str(2**63), str(2**70), "-" + str(2**70)])
def test_a_seed_of_any_size_draws_the_same_text_again(rondeau, seed: str) -> None:
    one, two = (rondeau("sample", "run", "--length", "30", "--seed", seed) for _ in range(2))
    assert one.status == 0 and one.out == two.out


def test_unknown_characters_are_left_out_and_counted(rondeau, place: Path) -> None:
    (place / "strange.txt").write_text("to be Ω or not to Ωbe")
    (place / "plain.txt").write_text("to be  or not to be")
    strange, plain = (json.loads(rondeau("evaluate", "run", f"{name}.txt", "--json").out) for name in ("strange", "plain"))
    assert strange.pop("unknowns") == 2 and strange.pop("left_out") == 2
    assert plain.pop("unknowns") == 0 and plain.pop("left_out") == 0
    assert strange == plain
    assert "Unknown characters were left out; all figures are of the others." in rondeau("evaluate", "run", "strange.txt").out
    assert "Unknown" not in rondeau("evaluate", "run", "plain.txt").out


def test_unknown_words_are_scored_as_unknown(rondeau, place: Path) -> None:
    (place / "strange.txt").write_text("to be nonsense or not to be")
    figures = json.loads(rondeau("evaluate", "words", "strange.txt", "--json").out)
    assert figures["unknowns"] > 0 and figures["left_out"] == 0 and figures["nats_per_token"] > 0
    assert figures["bits_per_byte"] is None and figures["bits_per_character"] is None
    shown = rondeau("evaluate", "words", "strange.txt").out
    assert "Unknown words were scored as <unk>" in shown and "bits per byte                    -" in shown


def test_resume_goes_on_with_a_finished_run(rondeau, place: Path) -> None:
    quick = ["--hidden", "6", "--embedding", "4", "--batch", "2", "--window", "5", "--no-baselines", "--run", "finished"]
    assert rondeau("train", "text.txt", *quick, "--steps", "3").status == 0
    assert "this run has ended" in rondeau("resume", "finished", "--no-baselines").out
    for more, step in ((["--steps", "2"], 5), (["--epochs", "0.01", "--learning-rate", "0.001"], 8)):
        assert rondeau("resume", "finished", "--no-baselines", *more).status == 0
        assert json.loads((place / "finished" / "manifest.json").read_text())["step"] == step
    assert "--steps is at least 1, not 0" in rondeau("resume", "finished", "--steps", "0").line
    assert "--minutes is a finite number" in rondeau("resume", "finished", "--minutes", "nan").line
    assert "--minutes and --steps both say when to end" in rondeau("resume", "finished", "--steps", "1", "--minutes", "1").line
    assert "say how much more" in rondeau("resume", "finished", "--learning-rate", "0.1").line
    (place / "text.txt").rename(place / "moved.txt")
    try:
        assert "text.txt" in rondeau("resume", "finished", "--steps", "1").line
        assert rondeau("resume", "finished", "--steps", "1", "--corpus", "moved.txt", "--no-baselines").status == 0
        (place / "other.txt").write_text((place / "moved.txt").read_text().replace("question", "noitseuq"))
        assert "is not the text that this run learned" in rondeau("resume", "finished", "--corpus", "other.txt").line
    finally:
        (place / "moved.txt").rename(place / "text.txt")


def test_a_configuration_names_the_corpus(rondeau, place: Path) -> None:
    quick = ["--hidden", "6", "--embedding", "4", "--batch", "2", "--window", "5", "--steps", "2", "--no-baselines"]
    assert rondeau("train", "text.txt", *quick, "--run", "one").status == 0
    done = rondeau("train", "--config", "one/config.toml", "--run", "two", "--hidden", "5", "--no-baselines")
    assert done.status == 0 and "of text.txt" in done.out
    again = (place / "two" / "config.toml").read_text()
    assert again == (place / "one" / "config.toml").read_text().replace("hidden = 6", "hidden = 5")


def test_a_prompt_stands_at_the_start_of_a_line(rondeau, place: Path) -> None:
    (place / "lines.txt").write_text("to be\nor not\n" * 100)
    quick = ["--hidden", "6", "--embedding", "4", "--batch", "2", "--window", "5", "--steps", "30", "--no-baselines"]
    assert rondeau("train", "lines.txt", *quick, "--run", "lines").status == 0
    made = load(place / "lines")
    written = list(generate(made.model, made.tokenizer.encode("\nno"), 9, temperature=0))
    expected = "no" + made.tokenizer.decode(torch.tensor(written))
    assert rondeau("sample", "lines", "--prompt", "no", "--length", "9", "--temperature", "0").out == expected + "\n"
