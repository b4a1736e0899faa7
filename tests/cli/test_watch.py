"""What a person sees of a run that is trained, of whatever kind."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from rondeau.cli import watch
from rondeau.train import BaseRun

sys.path.append(str(Path(__file__).parents[1] / "train"))


@pytest.fixture
def run() -> BaseRun:
    """A classification, in no folder."""
    from classification import training

    made = training(steps=60)
    return BaseRun(model=made.model, settings=made.settings, training=made)


def test_plain_lines_of_another_task(run: BaseRun, capsys: pytest.CaptureFixture[str]) -> None:
    with watch._plain(run) as tell:
        run.fit(tell)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("step 1  ") and " bits  " in lines[0] and " sequences/s  gradient " in lines[0]
    assert sum(line.split("  ")[1].startswith("accuracy 0.") and ", held out " in line for line in lines) >= 5


def test_a_bar_of_another_task_shows_an_example(run: BaseRun) -> None:
    console = Console(force_terminal=True, width=80, record=True, file=io.StringIO())
    with watch._bar(run, console) as tell:
        run.fit(tell)
    shown = console.export_text()
    assert "accuracy 0." in shown and "class " in shown and "100%" in shown
