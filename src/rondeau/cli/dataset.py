"""Where the data of a run lie and how they are split, so that `rondeau resume` and `rondeau evaluate` find the same again."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rondeau.data import Columns

NAME = "data.json"
INPUT = "-"


@dataclass(frozen=True)
class DataSet:
    """A file, and what is held out of it to score by.

    Args:
        source: its path; "-" is the standard input.
        columns: which column plays which part, as `rondeau.data.Columns` has them.
        format: what kind of file it is, where its name does not tell.
        held_out: the part that is held out; 0 for none.
        test: another file to score by, instead.
        seed: of the choice.
    """

    source: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    held_out: float = 0.2
    test: str = ""
    seed: int = 0

    def to_json(self) -> str:
        """As the text that a run folder keeps."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def of(text: str, where: object) -> DataSet:
        """What `to_json` wrote.

        Raises:
            RunError: it is something else.
        """
        from rondeau.errors import RunError

        try:
            found = DataSet(**json.loads(text))
            texts = isinstance(found.source, str) and isinstance(found.format, str) and isinstance(found.test, str)
            if not texts or not isinstance(found.columns, dict) or isinstance(found.held_out, str):
                raise TypeError("a value of another type")
            found.read_columns()
        except (ValueError, TypeError, RecursionError) as error:
            raise RunError(f"{where}: {NAME} does not say where the data lie; restore it from a copy") from error
        return found

    def read_columns(self) -> Columns:
        """The columns, as a value."""
        from rondeau.data import Columns

        named: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in self.columns.items()}
        return Columns(**named)

    def with_columns(self, found: Columns | None) -> DataSet:
        """The same with columns that were found, so that a file which has gained some is still read alike."""
        return self if found is None else replace(self, columns=asdict(found))

    def opened(self) -> Any:
        """The path, or the bytes of the standard input."""
        return sys.stdin.buffer if self.source == INPUT else Path(self.source)

    def elsewhere(self, source: str | None, format: str = "") -> DataSet:
        """A file like this one, that lies elsewhere, where anywhere is said."""
        return self if source is None else replace(self, source=source, format=format or self.format)


def columns_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `rondeau.data.Columns` among options that were given; several names are a list.

    Raises:
        InputError: a list of names is not sound.
    """
    single = {name: given[name] for name in ("text", "label", "id", "time", "shape") if given.get(name)}
    lists = {"features": "features", "past": "features", "future": "future", "static": "static", "target": "target"}
    several = {part: _listed(option, given[option]) for option, part in lists.items() if given.get(option)}
    return {**single, **several}


def _listed(option: str, text: str) -> list[str]:
    """Names with commas between; one with a comma in it stands in double quotes."""
    from rondeau.errors import InputError

    names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    if not names or not all(names):
        raise InputError(f"--{option} is names of columns with commas between, not {text!r}")
    return names
