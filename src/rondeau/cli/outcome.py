"""What a command ends with: an exit status, and where something went wrong one line on the standard error."""

from __future__ import annotations

import inspect
import os
import re
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperCommand

from rondeau.errors import RondeauError

WRONG, INTERRUPTED = 2, 130
KINDS: dict[Any, str] = {int: "a whole number", float: "a number"}
_Usage: Any = typer.BadParameter.__mro__[2]  # ClickException; where it can be imported from depends on typer's version


class Command(TyperCommand):
    """A command whose errors name the option at fault."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except RondeauError as error:
            raise type(error)(_with_option(str(error), self.params)) from error


@contextmanager
def about(option: str) -> Iterator[None]:
    """Puts the option that was at fault before the message of an error of ours."""
    try:
        yield
    except RondeauError as error:
        raise type(error)(f"{option}: {error}") from error


def ending(work: Callable[[], object], arguments: Sequence[str]) -> int:
    """The exit status of ``work``: 0; 2 after an error, with one line that says which; 130 when it was interrupted.

    Args:
        work: all that the command does.
        arguments: those of the command line, to quote from.
    """
    try:
        return _status(work)
    except (KeyboardInterrupt, typer.Abort):
        return _say("stopped", INTERRUPTED)
    except BrokenPipeError:  # whoever read the output has seen enough
        return _silent(0)
    except SystemExit as end:  # rich's word for the same
        if isinstance(end.__context__, BrokenPipeError):
            return _silent(0)
        raise
    except _Usage as error:
        return _say(_usage(error, arguments), WRONG, known=True)
    except RondeauError as error:
        return _say(str(error), WRONG)
    except OSError as error:
        return _say(_system(error), WRONG)
    except (MemoryError, RuntimeError, OverflowError) as error:
        return _say(_memory(error), WRONG)


def _status(work: Callable[[], object]) -> int:
    status = 0
    try:
        work()
    except typer.Exit as end:
        status = end.exit_code
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        if not status:
            raise
        return _silent(status)
    return status


def _silent(status: int) -> int:
    """The status, when nothing more can be written; without this Python would try once more at its end, and complain."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _say(message: str, status: int, known: bool = False) -> int:
    """Prints one line, whatever is in the message, such as a stranger's text that would command the terminal; the status."""
    joined = "; ".join(part.strip() for part in message.splitlines() if part.strip())
    line = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", joined)
    if sys.stderr is not None:
        with suppress(OSError):
            print(line if known else f"rondeau: {line}", file=sys.stderr, flush=True)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        return _silent(status)
    return status


def _with_option(message: str, params: Sequence[Any]) -> str:
    """The message with an option's name in full where it begins with that of a parameter: ``top-k is`` is ``--top-k is``."""
    names = {name: item.opts[0] for item in params for name in (item.name, item.name.replace("_", "-"))}
    first, space, rest = message.partition(" ")
    option = names.get(first, "")
    return f"{option}{space}{rest}" if option.startswith("--") and re.match("is |are |lies ", rest) else message


def _usage(error: Any, arguments: Sequence[str]) -> str:
    """One line on a command line that cannot be understood."""
    ctx = error.ctx
    path = ctx.command_path if ctx is not None else "rondeau"
    return f"{path}: {_wrong_type(error, arguments) or _plainly(error.format_message())}; see {path} --help"


def _plainly(message: str) -> str:
    text = " ".join(message.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _wrong_type(error: Any, arguments: Sequence[str]) -> str:
    """What is wrong with a number that is none; nothing where that is not the error."""
    param = getattr(error, "param", None)
    if param is None or type(error).__name__ != "BadParameter":
        return ""
    hint = typing.get_type_hints(inspect.unwrap(error.ctx.command.callback)).get(param.name)
    kinds = [KINDS[kind] for kind in (hint, *typing.get_args(hint)) if kind in KINDS]
    given = list(_values(param.opts, arguments))
    return f"{param.opts[0]} is {kinds[0]}, not {given[-1]!r}" if kinds and given else ""


def _values(options: Sequence[str], arguments: Sequence[str]) -> Iterator[str]:
    """What was given for an option, as text."""
    for before, word in zip(["", *arguments], arguments):
        name, equals, value = word.partition("=")
        if before in options:
            yield word
        elif equals and name in options:
            yield value


def _system(error: OSError) -> str:
    """An error of the operating system that nothing below has explained: mostly a full output."""
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"the output cannot be written: {reason}; send it elsewhere"
    return f"{error.filename} cannot be used: {reason}; check the path, its permissions and the space left"


def _memory(error: Exception) -> str:
    """Sizes beyond the memory, for which PyTorch has no class of its own; anything else is a fault of ours and shown whole."""
    text = str(error).splitlines()[0] if str(error) else ""
    if isinstance(error, RuntimeError) and not re.search("alloc|overflow", text, re.I):
        raise error
    return f"the memory does not suffice{f' ({text})' if text else ''}; choose smaller sizes"
