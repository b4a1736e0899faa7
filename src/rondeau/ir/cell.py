"""`Cell`: a recurrent cell as a frozen value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rondeau.errors import CellError, InputError
from rondeau.ir.declarations import Input, Parameter, State
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import same
from rondeau.ir.printing import equations
from rondeau.ir.source import Source
from rondeau.ir.step import Equation
from rondeau.ir.typesetting import latex

NO_SOURCE = Source()


@dataclass(frozen=True, eq=False)
class Cell:
    """Equations with named gates, states and parameters, and a source. Everything else is derived from it.

    ``inputs`` begins with the sequence itself. ``next`` are the next states in the order of ``states``; ``output`` is what
    a step outputs. ``equations`` are in an order in which each uses only earlier ones. Two cells with equal content are equal.
    """

    name: str
    inputs: tuple[Input, ...]
    states: tuple[State, ...]
    parameters: tuple[Parameter, ...]
    equations: tuple[Equation, ...]
    output: Expr
    next: tuple[Expr, ...]
    source: Source = NO_SOURCE
    doc: str = ""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Cell) or hash(self) != hash(other):
            return False
        plain = [(c.name, c.inputs, c.states, c.parameters, c.equations, c.source, c.doc) for c in (self, other)]
        return plain[0] == plain[1] and same(self.roots, other.roots)

    def __hash__(self) -> int:
        # a cell is looked up at every run
        if "_hash" not in self.__dict__:
            content = (self.name, self.inputs, self.states, self.parameters, self.output, self.next)
            object.__setattr__(self, "_hash", hash(content))
        return int(self.__dict__["_hash"])

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    @property
    def declared(self) -> tuple[Input | State | Parameter, ...]:
        """All that the cell declares: inputs, states, parameters."""
        return (*self.inputs, *self.states, *self.parameters)

    @property
    def input(self) -> Input:
        """The sequence that the cell reads."""
        return self.inputs[0]

    @property
    def contexts(self) -> tuple[Input, ...]:
        """The extra inputs, given to a run by name."""
        return tuple(item for item in self.inputs if item.role == "context")

    @property
    def masks(self) -> tuple[Input, ...]:
        """The masks, random while training."""
        return tuple(item for item in self.inputs if item.role == "mask")

    @property
    def sizes(self) -> tuple[str, ...]:
        """The named sizes that must be known to run the cell, ``input`` and ``hidden`` first."""
        widths = [*(item.width for item in self.inputs), *(item.width for item in self.states)]
        widths += [w for p in self.parameters for w in (p.rows, p.columns) if w is not None]
        names = set().union(*(width.names for width in widths))
        return tuple(sorted(names, key=lambda name: (name != "input", name != "hidden", name)))

    @property
    def roots(self) -> tuple[Expr, ...]:
        """What a step computes: the output, then the next states."""
        return (self.output, *self.next)

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name.

        Raises:
            InputError: there is none.
        """
        return _find(self.parameters, name, "parameter", self.name)

    def value(self, name: str) -> Expr:
        """What a run can trace under ``name``: an equation, or the next value of a state.

        Raises:
            InputError: there is none.
        """
        named = {state.name: expr for state, expr in zip(self.states, self.next)}
        named.update((equation.name, equation.expr) for equation in self.equations)
        if name not in named:
            raise InputError(f"{self.name} has no value {name!r} to trace; it has {', '.join(named)}")
        return named[name]

    def renamed(self, name: str) -> Cell:
        """The same cell under another name."""
        return replace(self, name=name)

    def __str__(self) -> str:
        return equations(self)

    def _repr_latex_(self) -> str:
        """The equations as a notebook shows them."""
        return f"$$\n{latex(self)}\n$$"

    def _repr_html_(self) -> str:
        """The name and source above the equations, for a notebook that shows HTML and typesets mathematics in it."""
        import html  # where it is needed: it takes as long to import as all of the equations

        source = f": {html.escape(str(self.source))}" if str(self.source) else ""
        return f"<p><b>{html.escape(self.name)}</b>{source}</p>\n{html.escape(self._repr_latex_())}"


def _find(items: tuple[Parameter, ...], name: str, kind: str, owner: str) -> Parameter:
    for item in items:
        if item.name == name:
            return item
    raise InputError(f"{owner} has no {kind} {name!r}; it has {', '.join(item.name for item in items) or 'none'}")


def duplicates(names: Iterator[str]) -> CellError | None:
    """The error for the first name that occurs twice, if any."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return CellError(f"the name {name!r} is declared twice; choose another for one of them")
        seen.add(name)
    return None
