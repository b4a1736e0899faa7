"""``rondeau show``: one cell."""

from __future__ import annotations

from typing import Annotated

import typer

from rondeau.cli import chosen, complete
from rondeau.cli.outcome import about

FORMS = ("text", "latex", "table", "bibtex")


def command(
    cell: Annotated[str, typer.Argument(help=chosen.HELP, autocompletion=complete.cells)],
    form: Annotated[
        str | None, typer.Option("--as", help="text (if neither this nor --stage is given), latex, table or bibtex.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="A stage on the way to a kernel: equations, gradient, plan, llvm or asm.")
    ] = None,
    hidden: Annotated[int, typer.Option(help="For the table and the stages: hidden units.")] = 256,
    input: Annotated[int, typer.Option(help="For the table and the stages: input features.")] = 64,
    size: Annotated[list[str] | None, typer.Option(help=chosen.SIZES, metavar="NAME=NUMBER")] = None,
) -> None:
    """Show a cell: its equations as text or LaTeX, its parameters, or where it comes from.

    Example: rondeau show gru --as latex
    """
    from rondeau.errors import InputError
    from rondeau.ir import bibtex, latex, table, text

    if form is not None and stage is not None:
        raise InputError(f"--as shows a cell and --stage what becomes of it; give one, not both ({form}, {stage})")
    if form not in (None, *FORMS):
        raise InputError(f"--as is text, latex, table or bibtex, not {form!r}")
    found = chosen.find(cell)
    sizes = chosen.every_size(found, input, hidden, chosen.sizes(size))
    if stage is not None:
        from rondeau.engine.stages import stage as staged

        with about("--stage"):
            print(staged(found, stage, sizes))
    elif form == "table":
        print(table(found, **sizes))
    else:
        print({"text": text, "latex": latex, "bibtex": bibtex}[form or "text"](found))
