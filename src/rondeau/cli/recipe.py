"""``rondeau recipe``: worked examples."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

HELPERS = {"__init__", "classified", "forecasted", "labelled", "outcome"}
"""Modules among the examples that are no recipes."""


def names() -> list[str]:
    """The recipes, by name."""
    files = (Path(item.name) for item in resources.files("rondeau.examples").iterdir())
    return sorted(file.stem for file in files if file.suffix == ".py" and file.stem not in HELPERS)


def beginning_with(incomplete: str) -> list[str]:
    """Those whose names begin so."""
    return [name for name in names() if name.startswith(incomplete)]


def command(
    name: Annotated[
        str | None, typer.Argument(help="Which one; all are listed if not given.", autocompletion=beginning_with)
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder for the picture.")] = Path("runs/recipes"),
    seed: Annotated[int, typer.Option(help="Of all randomness.", min=0)] = 1,
    effort: Annotated[float, typer.Option(help="How much is learned, as a part of what the recipe says.")] = 1.0,
    data: Annotated[Path, typer.Option(help="The folder with the files that a recipe asks for.")] = Path(),
    show: Annotated[bool, typer.Option("--show", help="Print the recipe's file, to read and to change.")] = False,
) -> None:
    """List worked examples, or run one: it learns, prints its score beside what costs nothing, and saves a picture.

    Example: rondeau recipe teddy
    """
    from rondeau.errors import InputError

    if name is None:
        for each in names():
            print(f"{each:<16}{_says(each)}")
        return
    name = _known(name)
    if show:
        print(_text(name), end="")
        return
    if not 0 < effort <= 100:
        raise InputError(f"--effort is a part of what the recipe says, above 0 and at most 100, not {effort:g}")
    recipe, asks_for = _recipe(name)
    print(recipe(out, seed, effort, **({"data": data} if asks_for else {})))


def _known(name: str) -> str:
    """The name of a recipe, also where it is written with hyphens.

    Raises:
        InputError: there is none such.
    """
    from rondeau.errors import InputError

    plain = name.replace("-", "_")
    if plain not in names():
        raise InputError(f"there is no recipe {name!r}; there are {', '.join(names())}")
    return plain


def _recipe(name: str) -> tuple[Callable[..., Any], bool]:
    """The function of a recipe, and whether it asks for a folder with data."""
    import inspect
    from importlib import import_module

    found = import_module(f"rondeau.examples.{name}").recipe
    return found, "data" in inspect.signature(found).parameters


def _text(name: str) -> str:
    return resources.files("rondeau.examples").joinpath(f"{name}.py").read_text(encoding="utf-8")


def _says(name: str) -> str:
    """What a recipe shows, in a line."""
    return (ast.get_docstring(ast.parse(_text(name))) or "").partition("\n")[0]
