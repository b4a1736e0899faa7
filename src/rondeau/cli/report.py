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
        typer.Argument(
            help="What the model is shown: a text, or a file with answers; what was held out of the run's own if not given.",
            autocompletion=complete.corpora,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; report.html in the run folder if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out that is there.")] = False,
    floors: Annotated[bool, typer.Option("--floors/--no-floors", help="Score what predicts without a network, too.")] = True,
    encoding: Annotated[str, typer.Option(help="Of text files.")] = "utf-8",
) -> None:
    """Write one HTML file about a run: what it does well, where it fails, how it learned.

    The file refers to nothing outside of it, so that it can be sent to anybody. Pictures need matplotlib:
    pip install 'rondeau[figures]'.

    Example: rondeau report runs/shakespeare my.txt
    """
    from rondeau.cli import output
    from rondeau.train import open_run
    from rondeau.train.files import write
    from rondeau.train.kinds import LANGUAGE_MODEL

    output.check(out, overwrite, [] if data is None else [data], (".html", ".htm"))
    texts = open_run(run).kind.name == LANGUAGE_MODEL.name
    text = _of_text(run, data, encoding) if texts else _of_answers(run, data, floors)
    place = out if out is not None else run / "report.html"
    write(place, text.encode())
    print(f"written to {place}")


def _of_text(run: Path, text: str | None, encoding: str) -> str:
    """The report of a language model."""
    from rondeau.data import load_text
    from rondeau.report.build import of_language_model
    from rondeau.train import load

    return of_language_model(load(run), None if text is None else load_text(text, encoding))


def _of_answers(run: Path, source: str | None, floors: bool) -> str:
    """The report of a fitted estimator: on data that are given, or else on what was held out of its own."""
    from rondeau.cli.fitted import fitted
    from rondeau.report.build import of_estimator

    job, model, known = fitted(run)
    name = run.resolve().name
    if source is not None:
        data = job.read(known.elsewhere(source), model)
        return of_estimator(name, model, data, f"shown {source}\n{data.describe()}")
    if not known.source:
        return of_estimator(name, model, said="fitted in Python; name a file to see what it makes of it")
    parts = job.parts(known, model.get_params())
    scores = {} if parts.test is None else job.scores(model, parts, floors)
    return of_estimator(name, model, parts.test, parts.describe(), scores, parts.train)
