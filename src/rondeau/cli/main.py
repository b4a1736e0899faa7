"""The command as a whole: its parts, and what becomes of an error."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from rondeau.cli import bench, cells, evaluate, fit, predict, recipe, report, resume, sample, show, train
from rondeau.cli.outcome import Command, ending

app = typer.Typer(
    name="rondeau",
    help="Recurrent networks from their equations: train one on a text, evaluate it, let it write.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for part in (train, resume, sample, predict, evaluate, report, cells, show, bench, recipe):
    app.command(part.__name__.rpartition(".")[2], cls=Command)(part.command)
app.add_typer(fit.app, name="fit")


@app.callback()
def options(
    ctx: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False
) -> None:
    """What holds for all commands."""
    if version:
        from importlib.metadata import version as installed

        print(installed("rondeau"))
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), nl=False)


def main() -> NoReturn:
    """Runs the command and ends with its exit status; a warning is one line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter still shows the others
    warnings.formatwarning = _one_line
    if "_RONDEAU_COMPLETE" in os.environ:
        app(prog_name="rondeau")  # what the shell asks when the tab key is pressed
    raise SystemExit(ending(_run, sys.argv[1:]))


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as whoever runs the command should see it: not where in the code it arose."""
    return f"rondeau: {str(message).splitlines()[0]}\n"


def _run() -> None:
    command = typer.main.get_command(app)
    with command.make_context("rondeau", sys.argv[1:]) as context:
        command.invoke(context)
