"""What an author declares: what stands behind the ``=`` of a cell function's arguments, and what they are inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rondeau.errors import CellError
from rondeau.ir.declarations import Input, Parameter, ParameterRole, Period, State
from rondeau.ir.expressions import Expr, node
from rondeau.ir.initial import Start, glorot, initial, orthogonal, zeros
from rondeau.ir.refusals import Refusals
from rondeau.ir.widths import ONE, Width

COUNTER = "time"
"""The name of the state that counts steps."""
FURTHEST = 1000
"""The largest lag of `past`, each of whose steps is a state."""


@dataclass(frozen=True)
class Declaration:
    """What stands behind the ``=`` of a cell function's argument, before it has a name."""

    kind: type[Input] | type[State] | type[Parameter]
    fields: tuple[tuple[str, Any], ...]

    def named(self, name: str) -> Any:
        """The declaration with its name."""
        return self.kind(name=name, **dict(self.fields))


class Packed(Refusals):
    """A parameter with named gates, inside a cell function: ``W.r`` is the block of gate ``r``, ``W.r.T`` its transpose."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.gates = parameter.gates

    def __getattr__(self, gate: str) -> Expr:
        if gate.startswith("__"):
            raise AttributeError(gate)
        if gate == "T" and "T" not in self.gates:
            return self._refused()
        return self.parameter.block(gate)

    def __getitem__(self, gate: str) -> Expr:
        return self.parameter.block(gate)

    def __repr__(self) -> str:
        return (
            f"{self.parameter.name} with the gates {' '.join(self.gates)} (name one, as {self.parameter.name}.{self.gates[0]})"
        )

    def _refused(self, *others: object) -> Expr:
        name = self.parameter.name
        raise CellError(f"{name} has the gates {' '.join(self.gates)}; name one, as {name}.{self.gates[0]}")

    __matmul__ = __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __truediv__ = __rtruediv__ = _refused
    __neg__ = __abs__ = __pow__ = __mod__ = __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __invert__ = _refused


def _declare(kind: type[Input] | type[State] | type[Parameter], **fields: Any) -> Any:
    return Declaration(kind, tuple(fields.items()))


def input(width: str | int = "input") -> Expr:
    """Declares the sequence that a cell reads, ``width`` features per step."""
    return _declare(Input, width=Width.of(width))


def context(width: str | int = "context", per: Period = "sequence") -> Expr:
    """Declares an extra input: one vector for the whole sequence, or with ``per="step"`` one for each step.

    Raises:
        CellError: ``per`` is neither ``sequence`` nor ``step``.
    """
    return _declare(Input, width=Width.of(width), role="context", per=_checked_per(per))


def mask(width: str | int = "hidden", *, probability: float, scale: float = 1.0, per: Period = "step") -> Expr:
    """Declares a random mask: each feature is ``scale`` with ``probability``, else zero; outside training its mean.

    Raises:
        CellError: the probability does not lie between 0 and 1.
    """
    if not 0 <= probability <= 1:
        raise CellError(f"the probability of a mask lies between 0 and 1, not {probability!r}")
    fields = {"probability": float(probability), "scale": float(scale), "per": _checked_per(per)}
    return _declare(Input, width=Width.of(width), role="mask", **fields)


def _checked_per(per: Period) -> Period:
    if per not in ("sequence", "step"):
        raise CellError(f"per is 'sequence' or 'step', not {per!r}")
    return per


def state(width: str | int = "hidden") -> Expr:
    """Declares a state of ``width`` features; inside the function it is the value before the step."""
    return _declare(State, width=Width.of(width))


def weight(*spec: str | int, init: Start | None = None) -> Expr:
    """Declares a matrix: ``weight("hidden", "input")``, or with gates ``weight("r z n", "hidden", "input")``.

    Starts orthogonal when it is square in the hidden size, else Glorot uniform, unless ``init`` says otherwise: a rule such as
    `glorot`, a number, or an array of the packed shape (gates * rows, columns).
    """
    gates, (rows, columns) = _gates(spec, 2, "weight")
    default = orthogonal() if rows == columns == Width.of("hidden") else glorot()
    return _parameter("weight", gates, rows, columns, default if init is None else init)


def bias(*spec: str | int, init: Start | None = None) -> Expr:
    """Declares a vector to add: ``bias("hidden")``, or with gates ``bias("r z n", "hidden")``. Starts at zero unless ``init``
    says otherwise, as for `weight`."""
    gates, (rows,) = _gates(spec, 1, "bias")
    return _parameter("bias", gates, rows, None, zeros() if init is None else init)


def vector(*spec: str | int, init: Start | None = None) -> Expr:
    """Declares a vector to multiply with: a diagonal weight, a gain, a rate. Starts at zero unless ``init`` says otherwise,
    as for `weight`."""
    gates, (rows,) = _gates(spec, 1, "vector")
    return _parameter("vector", gates, rows, None, zeros() if init is None else init)


def _parameter(role: ParameterRole, gates: tuple[str, ...], rows: Width, columns: Width | None, given: Start) -> Any:
    init = initial(given)
    unknown = [name for name, _ in init.gates if name not in gates]
    if unknown:
        raise CellError(f"init names the gate {unknown[0]!r}, but the gates are {' '.join(gates) or 'unnamed'}")
    return _declare(Parameter, gates=gates, rows=rows, columns=columns, init=init, role=role)


def _gates(spec: tuple[str | int, ...], widths: int, kind: str) -> tuple[tuple[str, ...], tuple[Width, ...]]:
    if len(spec) not in (widths, widths + 1):
        example = 'weight("i f", "hidden", "input")' if widths == 2 else f'{kind}("i f", "hidden")'
        raise CellError(f"{kind} takes gates (optional) and {widths} width{'s' * (widths > 1)}, as {example}; got {spec!r}")
    gates = tuple(str(spec[0]).split()) if len(spec) > widths else ("",)
    wrong = [gate for gate in gates if gate and not gate.isidentifier()]
    if wrong or not gates or len(set(gates)) != len(gates):
        raise CellError(f"the gates of a {kind} are different names with spaces between, not {spec[0]!r}")
    return gates, tuple(Width.of(width) for width in spec[-widths:])


def past(value: Expr, lag: int) -> Expr:
    """The state ``value`` as it was ``lag`` steps ago; ``past(h, 1)`` is ``h`` itself. Zero before the first step.

    Raises:
        CellError: ``value`` is not a state, or the lag is not a positive whole number.
    """
    if not isinstance(value, Expr) or value.op != "state":
        raise CellError(f"past takes a state, not {value!r}")
    if not isinstance(lag, int) or isinstance(lag, bool) or not 1 <= lag <= FURTHEST:
        raise CellError(f"the lag of past is a whole number of steps from 1 to {FURTHEST}, not {lag!r}")
    return value if lag == 1 else node("state", (), (f"{value.attrs[0]}_past{lag}", value.attrs[0], lag), value.width)


def time() -> Expr:
    """The number of the step, counted from zero; it goes on where a carried state left off."""
    return node("state", (), (COUNTER, "", 0), ONE)
