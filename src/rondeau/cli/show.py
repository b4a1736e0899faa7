"""``rondeau show``: one cell."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    cell: Annotated[str, typer.Argument(help="A name from `rondeau cells`.")],
    form: Annotated[str, typer.Option("--as", help="text, latex, table or bibtex.")] = "text",
    stage: Annotated[
        str | None, typer.Option(help="A stage on the way to a kernel: equations, gradient, plan, llvm or asm.")
    ] = None,
    hidden: Annotated[int, typer.Option(help="For the table and the stages: hidden units.")] = 256,
    input: Annotated[int, typer.Option(help="For the table and the stages: input features.")] = 64,
) -> None:
    """Show a cell: its equations as text or LaTeX, its parameters, or where it comes from."""
    from rondeau.cells import get
    from rondeau.errors import InputError
    from rondeau.ir import bibtex, latex, table, text

    chosen = get(cell)
    sizes = {
        name: size for name, size in (dict.fromkeys(chosen.sizes, hidden) | {"input": input}).items() if name in chosen.sizes
    }
    if stage is not None:
        from rondeau.engine.stages import stage as staged

        print(staged(chosen, stage, sizes))
        return
    if form not in ("text", "latex", "table", "bibtex"):
        raise InputError(f"--as is text, latex, table or bibtex, not {form!r}")
    if form == "table":
        print(table(chosen, **sizes))
        return
    print({"text": text, "latex": latex, "bibtex": bibtex}[form](chosen))
