"""The command as a whole: its parts, and what becomes of an error."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rondeau.cli import bench, cells, evaluate, resume, sample, show, train
from rondeau.errors import RondeauError

app = typer.Typer(
    name="rondeau",
    help="Recurrent networks from their equations: train one on a text, evaluate it, let it write.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (train, resume, sample, evaluate, cells, show, bench):
    app.command(part.__name__.rpartition(".")[2])(part.command)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    """What holds for all commands."""
    if version:
        from importlib.metadata import version as installed

        print(installed("rondeau"))
        raise typer.Exit


def main() -> None:
    """Runs the command; an error of ours is one line and exit status 2."""
    try:
        app()
    except RondeauError as error:
        print(f"rondeau: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
