"""Options that come from the declaration of the settings: one for each, with its help, its default and its type."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from rondeau.cli import complete
from rondeau.errors import InputError
from rondeau.train.declared import Declared, Group

COMPLETION: dict[str, Callable[[str], list[str]]] = {"cell": complete.cells, "corpus": complete.corpora}
Command = Callable[..., None]


def with_settings(settings: type[Group], argument: str = "") -> Callable[[Command], Command]:
    """Gives a command an option for every setting, in panels by their groups, and one of them as its argument.

    The command reads them from its context, with `given`. Its own arguments come first.
    """

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters
        first = [item for item in own.values() if item.default is inspect.Parameter.empty]
        others = [item for item in own.values() if item not in first]
        parameters = [*first, *_parameters(settings, argument), *others]

        def whole(**values: Any) -> None:
            command(**{name: values[name] for name in own})

        whole.__doc__, whole.__module__ = command.__doc__, command.__module__
        whole.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        whole.__annotations__ = {item.name: item.annotation for item in parameters}
        return whole

    return decorate


def _parameters(settings: type[Group], argument: str) -> list[inspect.Parameter]:
    types, defaults = get_type_hints(settings), settings.defaults()
    found = []
    for section, group in settings.sections.items():
        for name, declared in group.declared().items():
            parts = {"panel": section.capitalize(), "kind": types[name], "default": defaults[name]}
            found.append(_argument(name, declared) if name == argument else _option(name, declared, **parts))
    return sorted(found, key=lambda item: item.name != argument)


def _argument(name: str, declared: Declared) -> inspect.Parameter:
    info = typer.Argument(
        help=f"{declared.help} That of --config if not given.",
        show_default=False,
        metavar=name.upper(),
        autocompletion=COMPLETION.get(name),
    )
    return _parameter(name, Annotated[str | None, info], None)


def _option(name: str, declared: Declared, panel: str, kind: Any, default: Any) -> inspect.Parameter:
    option = f"--{(declared.option or name).replace('_', '-')}"
    if kind == (bool | None):
        option += f"/--no-{option[2:]}"
    info: Any = typer.Option(option, help=declared.help, rich_help_panel=panel, autocompletion=COMPLETION.get(name))
    if not _is_table(kind):
        return _parameter(name, Annotated[kind, info], default)
    info.metavar = "NAME=NUMBER"
    return _parameter(name, Annotated[list[str] | None, info], None)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _is_table(kind: Any) -> bool:
    return get_origin(kind) is not None and isinstance(get_origin(kind), type) and issubclass(get_origin(kind), Mapping)


def given(ctx: typer.Context, settings: type[Group]) -> dict[str, Any]:
    """The settings that the command line gives, by name.

    Raises:
        InputError: what should be a name and a number is not.
    """
    types, declared = get_type_hints(settings), settings.declared()
    names = [name for name in declared if is_given(ctx, name)]
    return {name: _value(types[name], declared[name], ctx.params[name]) for name in names}


def is_given(ctx: typer.Context, name: str) -> bool:
    """Whether the command line gives a parameter."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _value(kind: Any, declared: Declared, value: Any) -> Any:
    if not _is_table(kind):
        return value
    whole = get_args(kind)[1] is int
    return table(f"--{declared.option}", value, declared.example, whole)


def table(option: str, texts: Sequence[str], example: str, whole: bool) -> dict[str, Any]:
    """What an option gives that is a name and a number, by name.

    Args:
        option: its name, to be named.
        texts: what was given, one after another.
        example: a right one.
        whole: whether the numbers are positive whole ones.

    Raises:
        InputError: one is something else, or there twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, _, written = (part.strip() for part in text.partition("="))
        number = _whole(written) if whole else _number(written)
        if not name.isidentifier() or number is None:
            kind = "a positive whole number" if whole else "a number"
            raise InputError(f"{option} is a name and {kind}, such as {example}; not {text!r}")
        if name in found:
            raise InputError(f"{option} gives {name} twice; give it once")
        found[name] = number
    return found


def _whole(text: str) -> int | None:
    sound = text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) > 0
    return int(text) if sound else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
