"""The cell that a command is to work on: one of the zoo, or one in a file of the user's own."""

from __future__ import annotations

import linecache
import sys
import traceback
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rondeau.cells import get
from rondeau.cli.options import table
from rondeau.errors import CellError, InputError
from rondeau.ir import Cell
from rondeau.train.settings import Settings

DECLARED = Settings.declared()
HELP, SIZES = DECLARED["cell"].help, DECLARED["sizes"].help
MODULE = "_rondeau_cells_of_"


def in_file(text: str) -> bool:
    """Whether ``text`` names a cell in a file, as ``FILE.py:NAME`` does, rather than one of the zoo."""
    return ":" in text or text.endswith(".py") or "/" in text or "\\" in text


def find(text: str) -> Cell:
    """The cell that ``text`` names, in the zoo or in a file, whose code then runs.

    Raises:
        InputError: there is no such cell.
        CellError: the file's code fails.
    """
    if not in_file(text):
        return get(text)
    name, colon, wanted = text.rpartition(":")
    if not colon or wanted.endswith(".py"):
        name, wanted = text, ""
    return _pick(Path(name), wanted, _run(Path(name)))


def sizes(given: list[str] | None) -> dict[str, int]:
    """What ``--size`` gives, by name.

    Raises:
        InputError: one is not a name and a positive whole number.
    """
    return table("--size", given or (), DECLARED["sizes"].example, whole=True)


def every_size(cell: Cell, input: int, hidden: int, given: Mapping[str, int]) -> dict[str, int]:
    """All the sizes of a cell: as given, those not named as many as hidden units.

    Raises:
        InputError: the cell has no size of a name that is given, or a size is not positive.
    """
    own = [name for name in cell.sizes if name not in ("input", "hidden")]
    unknown = [name for name in given if name not in own]
    if unknown:
        has = f"beside input and hidden it has {', '.join(own)}" if own else "it has none beside input and hidden"
        raise InputError(f"--size: {cell.name} has no size {unknown[0]!r}; {has}")
    for name, size in (("input", input), ("hidden", hidden)):
        if size < 1:
            raise InputError(f"--{name} is at least 1, not {size}")
    all_of_them = {**dict.fromkeys(cell.sizes, hidden), "input": input, **given}
    return {name: size for name, size in all_of_them.items() if name in cell.sizes}


def _pick(path: Path, wanted: str, there: dict[str, object]) -> Cell:
    cells = [name for name, value in there.items() if isinstance(value, Cell)]
    has = f"the cells in it are {', '.join(cells)}" if cells else "there is no cell in it; make one with @rondeau.cell"
    value = there.get(wanted)
    if isinstance(value, Cell):
        return value
    if not wanted:
        raise InputError(f"{path} needs the name of a cell behind it, as in {path}:{cells[0] if cells else 'NAME'}; {has}")
    if wanted not in there:
        raise InputError(f"there is no {wanted!r} in {path}; {has}")
    if callable(value):
        raise InputError(
            f"{wanted} in {path} is a function, not a cell; decorate it with @rondeau.cell, or if it returns a cell, "
            f"write my_{wanted} = {wanted}() in the file and name that; {has}"
        )
    raise InputError(f"{wanted} in {path} is no cell but of the type {type(value).__name__}; {has}")


def _run(path: Path) -> dict[str, object]:
    """The names that a file's code leaves behind."""
    source = _source(path)
    linecache.checkcache(str(path))
    module = types.ModuleType(MODULE + path.stem)
    module.__file__ = str(path)
    with _at_home(path, module), _put_into_words(path):
        exec(compile(source, str(path), "exec"), vars(module))
    return vars(module)


def _source(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InputError(f"there is no file {path}; write a cell into it, or see `rondeau cells` for those that are there")
        if not path.is_file():
            raise InputError(f"{path} is not a file; name a Python file with a cell in it, as FILE.py:NAME")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def _at_home(path: Path, module: types.ModuleType) -> Iterator[None]:
    """Lets the code import what lies beside it, and find itself as a module."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


@contextmanager
def _put_into_words(path: Path) -> Iterator[None]:
    """Makes one sentence of whatever the code of a file raises, with the line in the file."""
    try:
        yield
    except CellError:
        raise  # shows the author's line already
    except SyntaxError as error:
        where = f"{error.filename or path}" + (f", line {error.lineno}" if error.lineno else "")
        raise CellError(f"{where}: {error.msg}; mend the file") from error
    except (Exception, SystemExit) as error:
        lines = [step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == str(path)]
        where = f"{path}, line {lines[-1]}" if lines else str(path)
        raise CellError(f"{where}: {type(error).__name__}: {error}; mend the file") from error
