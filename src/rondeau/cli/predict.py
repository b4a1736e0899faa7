"""``rondeau predict``: what a fitted model says of new data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rondeau.cli import complete, output


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.", autocompletion=complete.runs)],
    data: Annotated[str, typer.Argument(help="A file such as was learned from, with or without answers; - for the input.")],
    out: Annotated[Path | None, typer.Option(help="A CSV, TSV or JSON lines file; CSV on the output if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that is there.")] = False,
    all_classes: Annotated[bool, typer.Option("--all-classes", help="The probability of every class.")] = False,
    format: Annotated[str | None, typer.Option(help="csv, tsv, jsonl, ts or conll, where the name does not tell.")] = None,
) -> None:
    """Say what a fitted model makes of new data: a class, a number, a tag for each step, or what comes next.

    The file is read as the one that was learned from, column by column. Nothing is written until all is read and sound.

    Example: rondeau predict runs/reviews new.csv --out said.csv
    """
    output.check(out, overwrite, [data])
    from rondeau.cli.fitted import fitted

    job, model, known = fitted(run)
    count = output.write_rows(job.rows(model, known.elsewhere(data, format or ""), all_classes), out)
    if out is not None:
        print(f"{count:,} rows in {out}")
