"""Initial values of parameters: frozen descriptions. Drawing them is the business of `rondeau.nn`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Initial:
    """How a parameter starts.

    ``kind`` is one of ``zeros``, ``filled``, ``orthogonal``, ``glorot``, ``uniform``, ``normal``, ``identity``,
    ``hidden_uniform``; ``numbers`` are its settings; ``gates`` names the gates that start otherwise.
    """

    kind: str
    numbers: tuple[float, ...] = ()
    gates: tuple[tuple[str, Initial], ...] = ()

    def gate(self, name: str) -> Initial:
        """The initial value of one gate."""
        return dict(self.gates).get(name, Initial(self.kind, self.numbers))


def _make(kind: str, numbers: tuple[float, ...], gates: dict[str, Initial | float]) -> Initial:
    listed = tuple((name, value if isinstance(value, Initial) else filled(value)) for name, value in gates.items())
    return Initial(kind, tuple(map(float, numbers)), listed)


def zeros(**gates: Initial | float) -> Initial:
    """All zeros, but for the gates given: ``zeros(f=1.0)`` is a forget bias of one."""
    return _make("zeros", (), gates)


def filled(value: float, **gates: Initial | float) -> Initial:
    """All ``value``, but for the gates given."""
    return _make("filled", (value,), gates)


def orthogonal(gain: float = 1.0, **gates: Initial | float) -> Initial:
    """Each gate's block a random orthogonal matrix times ``gain``. Source: Saxe et al. 2014, arXiv:1312.6120."""
    return _make("orthogonal", (gain,), gates)


def glorot(gain: float = 1.0, **gates: Initial | float) -> Initial:
    """Uniform within ``gain * sqrt(6 / (rows + columns))``, per gate's block. Source: Glorot & Bengio 2010."""
    return _make("glorot", (gain,), gates)


def uniform(low: float, high: float, **gates: Initial | float) -> Initial:
    """Uniform between ``low`` and ``high``."""
    return _make("uniform", (low, high), gates)


def normal(deviation: float = 1.0, **gates: Initial | float) -> Initial:
    """Normal with mean zero and the given standard deviation."""
    return _make("normal", (deviation,), gates)


def identity(scale: float = 1.0, **gates: Initial | float) -> Initial:
    """Each gate's block ``scale`` times the identity. Source: Le, Jaitly & Hinton 2015, arXiv:1504.00941."""
    return _make("identity", (scale,), gates)


def hidden_uniform(**gates: Initial | float) -> Initial:
    """Uniform within ``1 / sqrt(hidden)``, as in PyTorch's recurrent layers."""
    return _make("hidden_uniform", (), gates)
