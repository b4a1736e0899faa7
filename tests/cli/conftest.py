"""The command, called in this process, where no signal or pipe is to be tried."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rondeau.cli import main
from rondeau.data import Text
from rondeau.train import Settings, start

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
TEXT = "to be or not to be, that is the question. " * 60
QUICK = {"hidden": 12, "embedding": 6, "batch": 3, "window": 8, "steps": 4}


@dataclass
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error."""
        assert self.status == 2, (self.status, self.out, self.err)
        assert self.err.startswith("rondeau") and self.err.endswith("\n") and self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.rstrip("\n")


@pytest.fixture
def rondeau(place: Path, monkeypatch, capsys) -> Callable[..., Done]:
    """Calls the command in a folder with a text, a run and a cell of one's own."""

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["rondeau", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return Done(int(end.value.code or 0), captured.out, captured.err)

    monkeypatch.chdir(place)
    return call


CELLS = """
import rondeau as rd

@rd.cell(source="mine")
def cautious(x=rd.input(), h=rd.state(), W=rd.weight("z n", "hidden", "input"), U=rd.weight("z n", "hidden", "hidden")):
    z = rd.sigmoid(W.z @ x + U.z @ h)
    h = (1 - z) * h + z * rd.tanh(W.n @ x + U.n @ h)
    return h

@rd.cell
def narrow(x=rd.input(), h=rd.state("small"), W=rd.weight("small", "input"), U=rd.weight("small", "small")):
    h = rd.tanh(W @ x + U @ h)
    return h

def variant():
    return cautious

number = 3
"""


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, a run of two, one on words, and cells of one's own."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "text.txt").write_text(TEXT)
    (folder / "my_cells.py").write_text(CELLS)
    for name, settings in (("run", {}), ("words", {"tokenizer": "words", "vocabulary": 6, "batch": 2})):
        start(Settings.of({"corpus": str(folder / "text.txt"), **QUICK, **settings}), Text.of(TEXT), folder=folder / name).fit()
    return folder
