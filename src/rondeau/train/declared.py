"""Settings that are declared once: a field says its type, its default, its bounds and its help.

The command line, TOML, the checks and the saved configuration all read that declaration. Nothing here needs torch.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, ClassVar, TypeVar, cast, get_args, get_origin, get_type_hints

from rondeau.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 1 << 50
Value = TypeVar("Value")
Own = TypeVar("Own", bound="Group")


@dataclass(frozen=True)
class Declared:
    """What a setting is beside its type and default.

    ``least`` is allowed itself, ``above`` and ``below`` are not. ``option`` is its name on the command line, where that is
    another, ``example`` shows how a table is given there.
    """

    help: str
    least: float | None = None
    above: float | None = None
    below: float | None = None
    most: int = LARGEST
    choices: Sequence[str] = ()
    option: str = ""
    example: str = ""

    def check(self, name: str, value: Any) -> None:
        """Refuses a value out of range.

        Raises:
            InputError: it is.
        """
        if self.choices and value not in self.choices:
            raise InputError(f"{name} is {_either(self.choices)}, not {value!r}")
        if value is None or isinstance(value, (str, bool, Mapping)):
            return
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{name} is a finite number, not {value!r}")
        if self.least is not None and value < self.least:
            raise InputError(f"{name} is at least {self.least:g}, not {value!r}")
        if self.above is not None and value <= self.above:
            raise InputError(f"{name} is above {self.above:g}, not {value!r}")
        if value > self.most:
            raise InputError(f"{name} is at most {self.most:,}, not {short(value)}")
        if self.below is not None and value >= self.below:
            raise InputError(f"{name} lies below {self.below:g}, not {value!r}")


def setting(default: Value, help: str, **more: Any) -> Value:
    """A field of a `Group`: its default, and what `Declared` takes."""
    metadata = {"declared": Declared(help, **more)}
    if isinstance(default, dict):
        return cast(Value, field(default_factory=lambda: dict(default), metadata=metadata))
    return field(default=default, metadata=metadata)


class Group:
    """A base of frozen dataclasses whose fields are made by `setting`; ``sections`` are the tables of their TOML."""

    sections: ClassVar[Mapping[str, type[Group]]] = {}

    @classmethod
    def declared(cls) -> dict[str, Declared]:
        """The declaration of every setting, by name."""
        return {item.name: item.metadata["declared"] for item in fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The default of every setting, by name."""
        return vars(cls())

    def checked(self: Own) -> Own:
        """These settings, once each is in range.

        Raises:
            InputError: one is not.
        """
        defaults = self.defaults()
        for name, declared in self.declared().items():
            if getattr(self, name) is not None or defaults[name] is not None:
                declared.check(name, getattr(self, name))
        return self

    def section(self, name: str) -> Any:
        """The settings of one section, as a value of its class."""
        kind = self.sections[name]
        return kind(**{part: getattr(self, part) for part in kind.declared()})

    def to_toml(self) -> str:
        """The settings as TOML, a table a section where there are any; what is None or empty is left out."""
        if not self.sections:
            return self._lines(self.declared())
        tables = ((name, kind.declared()) for name, kind in self.sections.items())
        return "\n".join(f"[{name}]\n{self._lines(names)}" for name, names in tables)

    def _lines(self, names: Mapping[str, Declared]) -> str:
        given = [(name, getattr(self, name)) for name in names]
        return "".join(f"{name} = {_toml(value)}\n" for name, value in given if value not in (None, {}))

    @classmethod
    def flat(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The names and values of a TOML text without its tables; names outside of them are taken as well.

        Raises:
            InputError: a setting is in the wrong table, or there twice.
        """
        found: dict[str, Any] = {}
        for name, value in values.items():
            inside = value if name in cls.sections else {name: value}
            if not isinstance(inside, Mapping):
                raise InputError(f"{name} is a table of settings, not {value!r}; write [{name}] above them")
            for inner, given in inside.items():
                place = next((part for part, kind in cls.sections.items() if inner in kind.declared()), name)
                if name in cls.sections and place != name:
                    raise InputError(f"{inner} is a setting of {place}, not of {name}; put it under [{place}]")
                if inner in found:
                    raise InputError(f"the setting {inner} is given twice; give it once, under [{place}]")
                found[inner] = given
        return found

    @classmethod
    def of(cls: type[Own], values: Mapping[str, Any]) -> Own:
        """Settings from names and values, in tables or not; the rest at their defaults.

        Raises:
            InputError: a name that does not exist, or a value of the wrong type.
        """
        given, types = cls.flat(values), get_type_hints(cls)
        known = cls.declared()
        for name, value in given.items():
            if name not in known:
                raise InputError(f"there is no setting {name!r}; the settings are {', '.join(known)}")
            if not _fits(value, types[name]):
                raise InputError(f"the setting {name} is {_kind(types[name])}, not {value!r}")
        return cls(**given)

    @staticmethod
    def toml(text: str, where: str = "the configuration") -> dict[str, Any]:
        """The names and values of a TOML text, its tables as dictionaries.

        Raises:
            InputError: it is not TOML.
        """
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is not TOML: {error}") from error


def short(value: float) -> str:
    """A number in few characters."""
    return f"{value!r}" if isinstance(value, float) or value < 10**20 else f"a number of {int(math.log10(value)) + 1} digits"


def _plain(kind: Any) -> Any:
    """The type of a setting that is given: ``int`` of ``int | None``."""
    return get_args(kind)[0] if isinstance(kind, UnionType) else kind


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _kind(kind: Any) -> str:
    kind = _plain(kind)
    if get_origin(kind) is None:
        return kind.__name__
    return f"a table of {'whole ' * (get_args(kind)[1] is int)}numbers"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # a character that TOML does not take as it is


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, UnionType):
        return any(_fits(value, part) for part in get_args(kind))
    if get_origin(kind) is not None:
        name, item = get_args(kind)
        return isinstance(value, Mapping) and all(_fits(k, name) and _fits(v, item) for k, v in value.items())
    wanted = (int, float) if kind is float else kind
    return isinstance(value, wanted) and (kind is bool or not isinstance(value, bool))
