"""``rondeau resume``: go on with a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rondeau.cli import complete

if TYPE_CHECKING:
    from rondeau.train import SavedRun


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.", autocompletion=complete.runs)],
    minutes: Annotated[float | None, typer.Option(help="Train so much longer.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Train for so many more passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many more batches.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest learning rate from here on.")] = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus", "--data", help="Where the data lie now, if no longer where they were.", autocompletion=complete.corpora
        ),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option("--baselines/--no-baselines", "--floors/--no-floors", help="Compare with what needs no network."),
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON lines.")] = False,
) -> None:
    """Go on with an interrupted run, exactly where it was last saved, or with one that has ended, for longer.

    With --minutes, --epochs or --steps the learning rate rises and falls anew over what is asked for.

    Example: rondeau resume runs/shakespeare --minutes 2
    """
    from rondeau.errors import InputError

    ends = [name for name, value in (("minutes", minutes), ("epochs", epochs), ("steps", steps)) if value is not None]
    if len(ends) > 1:
        raise InputError(f"--{ends[0]} and --{ends[1]} both say when to end; give one of --minutes, --epochs and --steps")
    if corpus == "":
        raise InputError("--corpus is empty; give a file, a folder, a glob pattern or a corpus name")
    from rondeau.cli.learn import learn
    from rondeau.train import open_run, resume
    from rondeau.train.kinds import LANGUAGE_MODEL

    more = {"minutes": minutes, "epochs": epochs, "steps": steps, "learning_rate": learning_rate}
    saved = open_run(run)
    if saved.kind.name == LANGUAGE_MODEL.name:
        learn(resume(run, corpus, **more), json, baselines)  # type: ignore[arg-type]
    else:
        _fitted(saved, corpus, more, json, baselines)


def _fitted(saved: SavedRun, data: str | None, more: dict[str, float | None], as_json: bool, floors: bool) -> None:
    """Goes on with the run of an estimator, on the data that it learned."""
    from rondeau.cli.dataset import INPUT
    from rondeau.cli.fitted import data_of, job_of, parameters_of
    from rondeau.cli.fitting import conclude, go_on
    from rondeau.errors import RunError

    job, where = job_of(saved), data_of(saved).elsewhere(data)
    if not where.source or (where.source == INPUT and data is None):
        raise RunError(f"{saved.folder.path} does not say where its data lie; give the file with --data")
    parts = job.parts(where, parameters_of(saved))
    conclude(job, go_on(saved, job, parts, more, as_json), parts, saved.folder.path, floors, as_json)
