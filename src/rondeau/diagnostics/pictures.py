"""Pictures of any cell from its equations alone, as SVG in the colour of the page: one step, and many steps side by side.

A state that reaches its next value through sums and products of features alone, past no matrix and no activation, has a direct
path: along it a gradient is scaled, never squashed. It stands out in colour, as the cell state of an LSTM does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rondeau.cells import get
from rondeau.diagnostics.drawing import COLOURS
from rondeau.errors import InputError
from rondeau.ir import Cell, Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import LEAVES

SIGNS = {"sigmoid": "σ", "mul": "×", "add": "+", "sub": "−", "matmul": "W·", "div": "÷", "concat": "[ ; ]"}
PLAIN = frozenset({"add", "sub", "neg", "mul", "div", "slice", "concat", "where", "spread"})
"""What a direct path may pass."""
LANE, COLUMN, BOX, TOP = 46, 92, 52, 76  # pixels


@dataclass(frozen=True)
class Node:
    """A named value of a step: what it is called, what is done there, and which others it is computed from."""

    name: str
    sign: str
    sources: tuple[str, ...]
    depth: int


@dataclass(frozen=True)
class StepGraph:
    """One step of a cell: ``inputs`` and ``states`` enter it, ``nodes`` are computed, each after what it needs; ``next`` says
    which node each state becomes, ``output`` what the step outputs, and ``direct`` the nodes on each state's direct path."""

    inputs: tuple[str, ...]
    states: tuple[str, ...]
    nodes: tuple[Node, ...]
    next: dict[str, str]
    output: str
    direct: dict[str, tuple[str, ...]]


def step_graph(cell: Cell | str) -> StepGraph:
    """What a step computes from what, by the names of the equations.

    Raises:
        InputError: there is no such cell.

    Example:
        >>> graph = step_graph("lstm")
        >>> graph.next, graph.direct
        ({'h': 'h', 'c': 'c'}, {'c': ('c',)})
    """
    cell = get(cell)
    own = [(state, expr) for state, expr in zip(cell.states, cell.next) if state.role == "state"]
    named = _named(cell)
    leaves = {item.symbol: item.name for item in cell.inputs}
    leaves |= {s.symbol: f"{s.name}[t-1]" if s.role == "state" else s.name for s in cell.states}
    depths: dict[str, int] = {}
    nodes = []
    for expr in (expr for expr in postorder(named) if expr in named):
        sources = tuple(dict.fromkeys(_sources(expr, named, leaves)))
        depths[named[expr]] = 1 + max((depths.get(name, 0) for name in sources), default=0)
        nodes.append(Node(named[expr], SIGNS.get(expr.op, expr.op), sources, depths[named[expr]]))
    direct = {state.name: _direct(expr, state.symbol, named) for state, expr in own}
    return StepGraph(
        tuple(item.name for item in cell.inputs),
        tuple(state.name for state, _ in own),
        tuple(nodes),
        {state.name: named.get(expr, leaves.get(expr, "")) for state, expr in own},
        named.get(cell.output, leaves.get(cell.output, "")),
        {name: path for name, path in direct.items() if path is not None},
    )


def _named(cell: Cell) -> dict[Expr, str]:
    """The expressions that are drawn as boxes: equations, next states and the output."""
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    found = {e.expr: e.name for e in cell.equations if e.name not in auxiliary}
    for state, expr in zip(cell.states, cell.next):
        if state.role == "state":
            found.setdefault(expr, state.name)
    found.setdefault(cell.output, "y")
    return {expr: name for expr, name in found.items() if expr.op not in LEAVES}


def _sources(expr: Expr, named: dict[Expr, str], leaves: dict[Expr, str]) -> Iterator[str]:
    """The nearest named values below an expression."""
    for arg in expr.args:
        if arg in named:
            yield named[arg]
        elif arg in leaves:
            yield leaves[arg]
        else:
            yield from _sources(arg, named, leaves)


def _direct(expr: Expr, symbol: Expr, named: dict[Expr, str]) -> tuple[str, ...] | None:
    """The named values on a direct path from a state to an expression, the first passed first; None where there is none."""
    if expr is symbol:
        return ()
    if expr.op not in PLAIN:
        return None
    for arg in expr.args:
        path = _direct(arg, symbol, named)
        if path is not None:
            return (*path, named[expr]) if expr in named else path
    return None


def diagram(cell: Cell | str) -> str:
    """One step of a cell as SVG: a box for every equation, arrows from what it reads, states from left to right.

    Raises:
        InputError: there is no such cell.

    Example:
        >>> diagram("gru").startswith("<svg")
        True
    """
    cell = get(cell)
    graph = step_graph(cell)
    places = _placed(graph)
    parts = [_arrow(places[source], places[node.name]) for node in graph.nodes for source in node.sources if source in places]
    parts += [_arrow(places[end], places[f"{name}[t]"]) for name, end in graph.next.items() if end in places]
    for number, (name, path) in enumerate(graph.direct.items()):
        stops = [places[stop] for stop in (f"{name}[t-1]", *path, f"{name}[t]")]
        parts += [_arrow(a, b, _colour(number), 3.0) for a, b in zip(stops, stops[1:])]
    signs = {node.name: node.sign for node in graph.nodes}
    parts += [_box(*places[name], name, sign) for name, sign in signs.items()]
    parts += [_label(*places[name], name) for name in places if name not in signs]
    width = max(x for x, _ in places.values()) + COLUMN / 2
    height = max(y for _, y in places.values()) + LANE
    return _svg(width, height, parts, f"one step of the cell {cell.name}: {', '.join(signs)}")


def _placed(graph: StepGraph) -> dict[str, tuple[float, float]]:
    """Where everything stands: states in lanes of their own from left to right, the rest in columns by depth, inputs below."""
    lanes = {name: 0.8 * LANE + LANE * place for place, name in enumerate(reversed(graph.states))}
    deepest = max((node.depth for node in graph.nodes), default=0) + 1
    places = {f"{name}[t-1]": (COLUMN / 2, y) for name, y in lanes.items()}
    places |= {f"{name}[t]": (COLUMN / 2 + COLUMN * deepest, y) for name, y in lanes.items()}
    of_state = {end: lanes[name] for name, end in graph.next.items()}
    below = {depth: len(lanes) for depth in range(deepest + 1)}
    for node in graph.nodes:
        y = of_state.get(node.name)
        if y is None:
            y = 0.8 * LANE + LANE * below[node.depth]
            below[node.depth] += 1
        places[node.name] = (COLUMN / 2 + COLUMN * node.depth, y)
    bottom = 0.8 * LANE + LANE * max(below.values())
    read = {source for node in graph.nodes for source in node.sources} - places.keys()
    return places | {name: (COLUMN / 2, bottom - LANE * place) for place, name in enumerate(sorted(read))}


def unrolled(cell: Cell | str, steps: int = 3) -> str:
    """A cell folded, with its states fed back, and beside it the same cell over several steps, as SVG.

    Raises:
        InputError: there is no such cell, or the number of steps is not positive.

    Example:
        >>> unrolled("lstm", 4).count("x[4]")
        1
    """
    cell = get(cell)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"steps is a positive whole number, not {steps!r}")
    graph = step_graph(cell)
    inside = [node.name for node in graph.nodes]
    wide = 30 + 24 * max(2, -(-len(inside) // 2))
    high = 30 + 22 * len(graph.states) + 54
    parts = _cell_at(60, TOP, wide, high, graph, "[t]") + _loops(60, TOP, wide, graph)
    start = 60 + wide + 70
    gap = wide + 56
    parts.append(_text(start - 34, TOP + high / 2, "=", 20))
    for step in range(1, steps + 1):
        parts += _cell_at(start + gap * (step - 1) + 40, TOP, wide, high, graph, f"[{step}]")
    parts += _state_lines(graph, start, gap, wide, steps)
    text = f"the cell {cell.name}, folded, and unrolled over {steps} steps with the same weights"
    return _svg(start + gap * steps + 50, high + TOP + 64, parts, text)


def _cell_at(x: float, y: float, wide: float, high: float, graph: StepGraph, index: str) -> list[str]:
    """One copy of a cell: its box, its gates inside, what it reads and what it outputs."""
    parts = [f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="8" fill="none" stroke="currentColor"/>']
    top = y + 22 * len(graph.states) + 32
    names = [node.name for node in graph.nodes]
    half = -(-len(names) // 2)
    for place, name in enumerate(names):
        parts.append(_gate(x + 27 + 24 * (place % half), top + 26 * (place // half), name))
    middle = x + wide / 2
    rise = 22 + 9 * len(graph.states)  # above the states of the folded cell, which are fed back there
    parts += [_arrow((middle, y + high + 34), (middle, y + high), straight=True)]
    parts += [_arrow((middle, y), (middle, y - rise), straight=True)]
    return [*parts, _text(middle, y + high + 46, f"{graph.inputs[0]}{index}"), _text(middle, y - rise - 8, f"y{index}")]


def _gate(x: float, y: float, name: str) -> str:
    circle = f'<circle cx="{x:g}" cy="{y:g}" r="11" fill="none" stroke="currentColor" stroke-opacity="0.6"/>'
    return circle + _text(x, y + 1, name if len(name) < 4 else f"{name[:3]}…", 9)


def _loops(x: float, y: float, wide: float, graph: StepGraph) -> list[str]:
    """The states of the folded cell, fed back."""
    parts = []
    for place, (name, colour, weight) in enumerate(_styled(graph)):
        at, out = y + 20 + 22 * place, 16 + 9 * place
        path = f"M{x + wide:g} {at:g} h{out} V{y - 12 - 9 * place:g} H{x - out:g} V{at:g} H{x:g}"
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{weight:g}" marker-end="url(#tip)"/>')
        parts.append(_text(x - out - 4, at + 12, name, 10))
    return parts


def _state_lines(graph: StepGraph, start: float, gap: float, wide: float, steps: int) -> list[str]:
    """The states from copy to copy; one with a direct path goes through each."""
    parts = []
    for place, (name, colour, weight) in enumerate(_styled(graph)):
        y = TOP + 20 + 22 * place
        for step in range(steps + 1):
            left = start if step == 0 else start + gap * (step - 1) + 40 + wide
            right = start + gap * step + 40 if step < steps else left + 40
            parts.append(_arrow((left, y), (right, y), colour, weight, straight=True))
            parts.append(_text((left + right) / 2, y - 7, f"{name}[{step}]", 9))
        if name in graph.direct:
            for step in range(steps):
                inside = start + gap * step + 40
                parts.append(_arrow((inside, y), (inside + wide, y), colour, weight, straight=True))
    return parts


def _styled(graph: StepGraph) -> list[tuple[str, str, float]]:
    """Every state with its colour and the weight of its line: those with a direct path stand out."""
    direct = list(graph.direct)
    return [
        (name, _colour(direct.index(name)), 3.0) if name in direct else (name, "currentColor", 1.2)
        for name in reversed(graph.states)
    ]


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _arrow(
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = "currentColor",
    weight: float = 1.0,
    straight: bool = False,
) -> str:
    """A line with a tip: between boxes of the step from right to left edge, else from point to point."""
    (x, y), (to_x, to_y) = start, end
    if straight:
        path = f"M{x:g} {y:g} L{to_x:g} {to_y:g}"
    else:
        x, to_x = x + BOX / 2, to_x - BOX / 2
        bend = max(abs(to_x - x) / 2, 12)
        path = f"M{x:g} {y:g} C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
    faint = ' stroke-opacity="0.55"' if weight < 1.1 else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{weight:g}"{faint} marker-end="url(#tip)"/>'


def _box(x: float, y: float, name: str, sign: str) -> str:
    left, top = x - BOX / 2, y - 15
    frame = f'<rect x="{left:g}" y="{top:g}" width="{BOX}" height="30" rx="5" fill="none" stroke="currentColor"/>'
    return frame + _text(x, y - 3, name, 12) + _text(x, y + 10, sign, 8)


def _label(x: float, y: float, name: str) -> str:
    return _text(x, y, name, 12)


def _text(x: float, y: float, text: str, size: int = 11) -> str:
    place = f'x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="middle" dominant-baseline="middle"'
    return f'<text {place} fill="currentColor">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], alt: str) -> str:
    tip = (
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="5.5" refY="3" markerWidth="6" markerHeight="6" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L6 3 L0 6 z" fill="context-stroke"/></marker></defs>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}" '
    return f'{head}width="{width:g}" height="{height:g}" font-family="sans-serif">{tip}{"".join(parts)}</svg>'
