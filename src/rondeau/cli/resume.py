"""``rondeau resume``: go on with a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Hold n-gram models against it.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON lines.")] = False,
) -> None:
    """Go on with an interrupted run, exactly where it was last saved."""
    from rondeau.cli.watch import watch
    from rondeau.train import resume

    watch(resume(run), json, baselines)
