"""``rondeau cells``: the zoo."""

from __future__ import annotations

from typing import Annotated

import typer


def command(json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False) -> None:
    """List the cells, their states and where they come from."""
    import json as writer

    from rondeau.cells import ALL

    for cell in ALL.values():
        states = ", ".join(state.name for state in cell.states if state.role == "state")
        if json:
            print(
                writer.dumps({"name": cell.name, "states": states.split(", "), "source": str(cell.source)}, ensure_ascii=False)
            )
        else:
            print(f"{cell.name:<28}{states:<8}{_short(cell.source)}")


def _short(source: object) -> str:
    """A source in a few words."""
    from rondeau.ir import Source

    assert isinstance(source, Source)
    family = source.authors.split(",")[0] + (" et al." if " and " in source.authors else "")
    return f"{family} {source.year}" if source.authors else source.note
