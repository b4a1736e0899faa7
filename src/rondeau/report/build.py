"""A report of a run folder, whatever kind of model is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rondeau.data import load_text
from rondeau.report.language_model import samples, surprises
from rondeau.report.page import Section, page, table
from rondeau.report.training import learning
from rondeau.train import Run, load
from rondeau.train.record import NAME as RECORD
from rondeau.train.record import Record


def render(folder: str | Path, data: str | None = None, encoding: str = "utf-8") -> str:
    """One HTML file of all that there is to say of a run.

    Args:
        folder: the run folder.
        data: what the model is shown: for a language model a text, or where to read it. A part of the report is about it.
        encoding: of the text files.

    Returns:
        The HTML document, which refers to nothing outside of it.

    Raises:
        RunError: the folder is not sound.
        DataError, InputError: the data cannot be read, or matplotlib is not installed.
    """
    run = load(folder)
    rows = Record.read(Path(folder) / RECORD).rows
    parts = [settings(vars(run.settings)), learning(rows, ["held_out"]), samples(run)]
    if data is not None:
        parts += surprises(run, load_text(data, encoding))
    return page(f"{Path(folder).name}: a language model", [_introduction(run)], parts)


def _introduction(run: Run) -> str:
    count = sum(parameter.numel() for parameter in run.model.parameters())
    return f"{run.cell.name}, {count:,} parameters, {run.tokenizer.size:,} {run.tokenizer.kind} of {run.settings.corpus}"


def settings(values: dict[str, Any]) -> Section:
    """The section of settings by name; what is None or empty is left out."""
    return Section("Settings", (table(["setting", "value"], [[n, f"{v}"] for n, v in values.items() if v not in (None, {})]),))
