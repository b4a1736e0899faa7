"""``rondeau report``: what a run has learned, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rondeau.cli import complete


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.", autocompletion=complete.runs)],
    data: Annotated[
        str | None,
        typer.Argument(help="What the model is to be shown: for a language model, a text.", autocompletion=complete.corpora),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; report.html in the run folder if not given.")] = None,
    encoding: Annotated[str, typer.Option(help="Of text files.")] = "utf-8",
) -> None:
    """Write one HTML file about a run: settings, learning curves, what it does well and where it fails.

    The file refers to nothing outside of it, so that it can be sent to anybody. Pictures need matplotlib:
    pip install 'rondeau[figures]'.

    Example: rondeau report runs/shakespeare my.txt
    """
    from rondeau.report.build import render
    from rondeau.train.files import write

    place = out if out is not None else run / "report.html"
    text = render(run, data, encoding)
    write(place, text.encode())
    print(f"written to {place}")
