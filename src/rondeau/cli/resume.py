"""``rondeau resume``: go on with a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rondeau.cli import complete


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.", autocompletion=complete.runs)],
    minutes: Annotated[float | None, typer.Option(help="Train so much longer.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Train for so many more passes over the text.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many more windows.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest learning rate from here on.")] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="Where the text lies now, if no longer where it was.", autocompletion=complete.corpora),
    ] = None,
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Compare with n-gram models.")] = True,
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
    from rondeau.train import resume

    more = {"minutes": minutes, "epochs": epochs, "steps": steps, "learning_rate": learning_rate}
    learn(resume(run, corpus, **more), json, baselines)  # type: ignore[arg-type]
