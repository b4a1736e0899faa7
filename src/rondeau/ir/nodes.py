"""What every node of a graph of equations has, and walking such a graph. Two nodes that say the same are the same object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from rondeau.ir.widths import Width


class Node(Protocol):
    """A value: what is done (a row of the op table, or a leaf), to which arguments, with which settings, and how wide it is."""

    @property
    def op(self) -> str:
        """The name of a row of the op table, or of a leaf."""
        ...

    @property
    def args(self) -> tuple[Node, ...]:
        """What it is computed from."""
        ...

    @property
    def attrs(self) -> tuple[Any, ...]:
        """What is not a node: names, numbers, widths."""
        ...

    @property
    def width(self) -> Width:
        """How many features it has."""
        ...


N = TypeVar("N", bound=Node)


def postorder(roots: Iterable[N], known: Iterable[N] = ()) -> list[N]:
    """Every node below ``roots``, each once, arguments before what uses them; but for what is ``known`` and below."""
    seen: set[Any] = set(known)
    order: list[N] = []
    stack: list[tuple[Any, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args) if arg not in seen)
    return order


def same(first: Sequence[Node], second: Sequence[Node]) -> bool:
    """Whether two sequences hold the very same nodes in the same order."""
    return len(first) == len(second) and all(a is b for a, b in zip(first, second))
