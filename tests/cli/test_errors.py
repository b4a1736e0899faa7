"""Whatever is wrong with what a person gives: one line on the standard error, status 2, nothing left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import rondeau.cli.train as train
from rondeau.cli.outcome import ending
from rondeau.errors import InputError

HAS_FIFO = hasattr(os, "mkfifo")


@pytest.fixture
def bad(place: Path) -> Path:
    """Things that are not what they should be."""
    (place / "empty.txt").write_text("")
    (place / "one.txt").write_text("a")
    (place / "short.txt").write_text("ab" * 40)
    (place / "latin.txt").write_bytes("é".encode("latin-1") * 50)
    (place / "binary").write_bytes(b"\x7fELF\0\0\0")
    (place / "bad.toml").write_text("hiden = 3\n")
    (place / "type.toml").write_text('corpus = "text.txt"\nhidden = "many"\n')
    (place / "range.toml").write_text('corpus = "text.txt"\nhidden = 0\n')
    (place / "place.toml").write_text("[training]\nhidden = 3\n")
    (place / "no.toml").write_text("hidden = \n")
    (place / "bare.toml").write_text("hidden = 4\n")
    (place / "greek.txt").write_text("ΩΩΩ")
    (place / "folder").mkdir(exist_ok=True)
    (place / "folder" / "precious").write_text("not to be overwritten")
    (place / "file").write_text("in the way")
    if HAS_FIFO and not (place / "fifo").exists():
        os.mkfifo(place / "fifo")
    return place


SETTINGS = [
    ("hidden", ["0", "-1", "1.5", "nan", "many", "1e3", ""]),
    ("layers", ["0", "-2", "x"]),
    ("embedding", ["-1", "x"]),
    ("window", ["0", "-1", "inf"]),
    ("batch", ["0", "x"]),
    ("minutes", ["0", "-1", "nan", "inf", "soon"]),
    ("epochs", ["0", "-1", "nan", "inf", "x"]),
    ("steps", ["0", "-1", "1.5", "nan"]),
    ("learning-rate", ["0", "-1", "nan", "inf", "fast"]),
    ("schedule", ["", "step"]),
    ("warmup", ["-1", "1.5", "nan", "inf", "x"]),
    ("weight-decay", ["-1", "nan", "inf", "x"]),
    ("clip-norm", ["0", "-1", "nan", "x"]),
    ("clip-value", ["0", "-1", "nan", "x"]),
    ("clip-step", ["0", "-1", "nan", "x"]),
    ("dropout", ["-0.1", "1", "nan", "x"]),
    ("held-out", ["0", "1", "-1", "nan", "x"]),
    ("patience", ["0", "-1", "x"]),
    ("seed", ["-1", "x", "1.5"]),
    ("threads", ["0", "-1", "x"]),
    ("vocabulary", ["1", "-1", "x"]),
    ("cell", ["", "lsmt", "nowhere.py:x"]),
    ("optimizer", ["", "adamax"]),
    ("optimizer-option", ["", "momentum", "momentum=x", "momentum=nan", "=1"]),
    ("schedule-option", ["floor", "floor=x"]),
    ("device", ["", "gpu"]),
    ("evaluations", ["0", "x", "1000000"]),
    ("save-every", ["0", "nan"]),
]


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in SETTINGS for value in values])
def test_a_wrong_setting_is_named(rondeau, place: Path, option: str, value: str) -> None:
    line = rondeau("train", "text.txt", f"--{option}", value, "--run", "refused").line
    assert f"--{option}" in line and not (place / "refused").exists()


@pytest.mark.parametrize("option", ["tokenizer", "backend", "encoding"])
@pytest.mark.parametrize("value", ["", "\udcff", "nonsense"])
def test_a_wrong_name_is_refused(rondeau, place: Path, option: str, value: str) -> None:
    line = rondeau("train", "text.txt", f"--{option}", value, "--steps", "1", "--run", "refused").line
    assert option in line and not (place / "refused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "no such command 'nonsense'"),
        (["--nonsense"], "no such option: --nonsense"),
        (["train"], "give a CORPUS"),
        (["train", ""], "CORPUS is empty"),
        (["train", "text.txt", "another"], "unexpected extra argument"),
        (["train", "text.txt", "--hidden"], "'--hidden' requires an argument"),
        (["train", "text.txt", "--hiden", "3"], "no such option: --hiden"),
        (["train", "text.txt", "--hidden", "abc"], "--hidden is a whole number, not 'abc'; see rondeau train --help"),
        (["train", "text.txt", "--hidden=abc"], "--hidden is a whole number, not 'abc'"),
        (["train", "text.txt", "--minutes", "abc"], "--minutes is a number, not 'abc'"),
        (["train", "nowhere.txt"], "no file, folder or corpus"),
        (["train", "x" * 5000], "x"),
        (["train", "*.nothing"], "matches no file"),
        (["train", "~nobody_of_that_name/x"], "somebody unknown here"),
        (["train", "empty.txt"], "holds no text"),
        (["train", "one.txt"], "too few to hold out"),
        (["train", "short.txt"], "too few for"),
        (["train", "latin.txt"], "--encoding"),
        (["train", "binary"], "binary file"),
        (["train", "text.txt", "--steps", "1", "--epochs", "1"], "--epochs and --steps both say when to end"),
        (["train", "text.txt", "--config", "none.toml"], "--config: none.toml cannot be read"),
        (["train", "text.txt", "--config", "folder"], "--config: folder is not a file"),
        (["train", "text.txt", "--config", "binary"], "--config: binary"),
        (["train", "text.txt", "--config", "latin.txt"], "--config: latin.txt cannot be read"),
        (["train", "text.txt", "--config", "bad.toml"], "--config bad.toml: there is no setting 'hiden'"),
        (["train", "text.txt", "--config", "type.toml"], "--config type.toml: the setting hidden is int, not 'many'"),
        (["train", "--config", "range.toml"], "--config range.toml: hidden is at least 1, not 0"),
        (["train", "--config", "no.toml"], "--config: no.toml is not TOML"),
        (["train", "--config", "bare.toml"], "give a CORPUS, which bare.toml does not name"),
        (["train", "text.txt", "--steps", "1", "--run", "file"], "file exists"),
        (["train", "text.txt", "--steps", "1", "--run", "folder", "--overwrite"], "is not a run folder"),
        (["train", "text.txt", "--steps", "1", "--run", "file/below"], "file/below cannot be written"),
        (["train", "text.txt", "--steps", "1", "--run", "file", "--overwrite"], "is not a run folder"),
        (["train", "text.txt", "--steps", "1", "--cell", "conditioned_lstm", "--run", "refused"], "choose another cell"),
        (["train", "text.txt", "--vocabulary", "5", "--run", "refused"], "vocabulary"),
        (["train", "text.txt", "--optimizer-option", "momentum=1", "--run", "refused"], "adamw has no setting 'momentum'"),
        (
            ["train", "text.txt", "--schedule-option", "floor=1", "--run", "refused"],
            "floor of cosine is a number of at least 0",
        ),
        (["train", "text.txt", "--config", "place.toml", "--run", "refused"], "hidden is a setting of model, not of training"),
        (["train", "text.txt", "--hidden", "1000000000", "--run", "refused"], "parameters and take"),
        (["train", "text.txt", "--hidden", "1000000", "--run", "refused"], "parameters and take"),
        (["train", "text.txt", "--layers", "10000000", "--run", "refused"], "--layers is at most 10,000"),
        (["sample"], "missing argument"),
        (["sample", "nowhere"], "there is no run folder"),
        (["sample", ""], ""),
        (["sample", "."], "is missing"),
        (["sample", "text.txt"], "there is no run folder"),
        (["sample", "run", "--prompt", "Ω"], "--prompt: the character 'Ω' at position 0"),
        (["sample", "run", "--prompt", "\udcff"], "--prompt: the character"),
        (["sample", "run", "--prompt", ""], "--prompt is empty"),
        (["sample", "run", "--temperature", "-1"], "--temperature is 0"),
        (["sample", "run", "--temperature", "nan"], "--temperature is 0"),
        (["sample", "run", "--temperature", "inf"], "--temperature is 0"),
        (["sample", "run", "--temperature", "hot"], "--temperature is a number, not 'hot'"),
        (["sample", "run", "--top-k", "0"], "--top-k is at least 1"),
        (["sample", "run", "--top-k", "x"], "--top-k is a whole number, not 'x'"),
        (["sample", "run", "--top-p", "0"], "--top-p lies above 0"),
        (["sample", "run", "--top-p", "nan"], "--top-p lies above 0"),
        (["sample", "run", "--length", "0"], "--length is the number of tokens"),
        (["sample", "run", "--length", "-5"], "--length is the number of tokens"),
        (["sample", "run", "--length", "x"], "--length is a whole number, not 'x'"),
        (["sample", "run", "--count", "0"], "--count is at least 1"),
        (["sample", "run", "--seed", "x"], "--seed is a whole number, not 'x'"),
        (["evaluate", "run"], "missing argument"),
        (["evaluate", "run", ""], "TEXT is empty"),
        (["evaluate", "run", "nowhere"], "no file, folder or corpus"),
        (["evaluate", "run", "greek.txt"], "fewer than two tokens that the network knows"),
        (["evaluate", "run", "one.txt"], "fewer than two tokens"),
        (["evaluate", "run", "empty.txt"], "holds no text"),
        (["evaluate", "run", "binary"], "binary file"),
        (["evaluate", "run", "text.txt", "--encoding", "klingon"], "klingon"),
        (["evaluate", "nowhere", "text.txt"], "there is no run folder"),
        (["resume", "nowhere"], "there is no run folder"),
        (["resume", "folder"], "is not a run folder"),
        (["show"], "missing argument"),
        (["show", "grru"], "did you mean"),
        (["show", ""], "there is no cell ''"),
        (["show", "gru", "--as", "poem"], "--as is text, latex, table or bibtex"),
        (["show", "gru", "--as", "text", "--stage", "plan"], "give one, not both"),
        (["show", "gru", "--stage", "poem"], "--stage: the stage is one of"),
        (["show", "gru", "--as", "table", "--hidden", "-3"], "--hidden is at least 1, not -3"),
        (["show", "gru", "--stage", "plan", "--input", "0"], "--input is at least 1, not 0"),
        (["show", "gru", "--hidden", "1e9"], "--hidden is a whole number, not '1e9'"),
        (["bench", "grru"], "did you mean"),
        (["bench", "gru", "--repeats", "0"], "--repeats is at least 1"),
        (["bench", "gru", "--shape", "1,2,3"], "--shape is four positive"),
        (["bench", "gru", "--dtype", "float8"], "--dtype is float32 or float64"),
        (["bench", "gru", "--shape", "1,1,1,10000000"], "choose smaller sizes"),
        (["bench", "gru", "--json", "file/below"], "--json file/below cannot be written"),
        (["cells", "extra"], "unexpected extra argument"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(rondeau, bad: Path, arguments: list[str], message: str) -> None:
    try:
        assert message in rondeau(*arguments).line
    finally:
        assert not (bad / "refused").exists() and not (bad / "runs").exists()
        shutil.rmtree(bad / "folder")


@pytest.mark.skipif(not HAS_FIFO, reason="needs FIFOs")
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "fifo"],
        ["evaluate", "run", "fifo"],
        ["train", "text.txt", "--config", "fifo"],
        ["sample", "fifo"],
        ["bench", "gru", "--shape", "2,1,2,2", "--json", "fifo"],
    ],
)
def test_a_fifo_is_not_waited_for(rondeau, bad: Path, arguments: list[str]) -> None:
    assert "fifo" in rondeau(*arguments).line


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="needs device files")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_no_corpus(rondeau, device: str) -> None:
    assert device in rondeau("train", device).line


def test_an_output_that_cannot_be_used_is_said(capsys) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    assert ending(full, []) == 2
    assert capsys.readouterr().err == "rondeau: the output cannot be written: No space left on device; send it elsewhere\n"


def test_what_commands_a_terminal_is_shown_as_text(capsys) -> None:
    def hostile() -> None:
        raise InputError("a\x1b[2Jb\nc")

    assert ending(hostile, []) == 2
    assert capsys.readouterr().err == "rondeau: a\\x1b[2Jb; c\n"


def test_a_fault_of_our_own_is_shown_whole() -> None:
    def faulty() -> None:
        raise RuntimeError("not what was meant")

    with pytest.raises(RuntimeError, match="not what was meant"):
        ending(faulty, [])


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_said(capsys, error: Exception) -> None:
    def greedy() -> None:
        raise error

    assert ending(greedy, []) == 2
    assert "the memory does not suffice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("corpus", "name"),
    [("a/b.txt", "b"), ("books/*.txt", "text"), ("shakespeare", "shakespeare"), ("/dev/fd/63", "63"), ("/", "text")],
)
def test_the_name_of_the_run_folder(corpus: str, name: str) -> None:
    assert train._name(corpus) == name


def test_the_name_of_a_folder_that_is_not_written_out(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "books" / "old").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "books" / "old")
    assert (train._name("."), train._name("..")) == ("old", "books")
