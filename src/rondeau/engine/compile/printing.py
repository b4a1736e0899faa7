"""Reverse steps and plans as text, for `rondeau show` and for RONDEAU_DEBUG."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache

from rondeau.engine.compile.plan import Block, Plan
from rondeau.engine.compile.step import Reverse, Step
from rondeau.errors import InputError
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.spelling import spell


def gradient_text(step: Step, reverse: Reverse) -> str:
    """What the reverse step computes, with the values that the forward step saves for it by name."""
    names: dict[Expr, str] = {e.expr: e.name for e in step.cell.equations}
    by_text = {spell(expr): name for expr, name in names.items()}
    saved = {expr: by_text.get(spell(expr), f"saved{i}") for i, expr in enumerate(reverse.saved)}
    cotangents = {0: "dy", **{1 + i: f"d{s.name}" for i, s in enumerate(step.cell.states)}}
    roots = reverse.roots
    known = {**saved, **{e: cotangents.get(e.attrs[0], spell(e)) for e in postorder(roots) if e.op == "cotangent"}}
    lines = [f"saved: {', '.join(saved.values()) or 'nothing'}"]
    shared = [e for e in postorder(roots) if e.args and e in set(roots) and e not in known]
    for i, expr in enumerate(dict.fromkeys(shared)):
        lines.append(f"g{i} = {spell(expr, known)}")
        known[expr] = f"g{i}"
    lines += [f"d{s.name}[t-1] = {spell(e, known)}" for s, e in zip(step.cell.states, reverse.states)]
    lines += [f"d({spell(h)}) = {spell(e, known)}" for h, e in zip(step.hoisted, reverse.hoisted) if e is not None]
    for m in reverse.matrices:
        factors = (spell(m.cotangent, known), spell(m.operand))
        lines.append(f"d{spell(m.matrix)} += {' x '.join(reversed(factors) if m.transposed else factors)}")
    return "\n".join(lines)


def plan_text(plan: Plan) -> str:
    """The blocks of a kernel: products, loads, reductions, pointwise work, stores."""
    lines = [line for block in plan.blocks for line in _block(block)]
    lines += [f"  copy {source.buffer} to {target.buffer}" for source, target, _ in plan.copies]
    return "\n".join(lines)


def _block(block: Block) -> list[str]:
    lines = [f"  phase {block.phase}, {block.width} features"]
    for group in block.groups:
        for terms in group.terms:
            products = [f"{spell(t.matrix)}{'.T' * t.transposed} @ {t.operand.buffer}+{t.operand.offset}" for t in terms]
            lines.append(f"    accumulate {' + '.join(products)}")
    places = sorted({f"{load.place.buffer}+{load.place.offset}" for load in block.loads})
    lines.append(f"    load       {' '.join(places)}")
    lines += [f"    reduce     {s.expr.op} to {s.place.buffer}" for s in block.reductions]
    if block.order:
        lines.append(f"    compute    {len(block.order)} pointwise operations")
    kept = [f"{s.place.buffer}+{s.place.offset}{' (add)' if s.add else ''}" for s in block.stores]
    return [*lines, *([f"    store      {' '.join(kept)}"] if kept else [])]


@cache
def debug_level() -> int:
    """How much of a cell's way to its kernels is printed as it happens: ``RONDEAU_DEBUG``, from 0 (nothing) to 4.

    Raises:
        InputError: it is something else.
    """
    given = os.environ.get("RONDEAU_DEBUG", "0") or "0"
    if given not in ("0", "1", "2", "3", "4"):
        raise InputError(
            "RONDEAU_DEBUG is 1 (equations, builds), 2 (gradients, plans), 3 (LLVM) or 4 (assembly), "
            f"each with those before it; got {given!r}"
        )
    return int(given)


def debug(level: int, title: str, text: Callable[[], str] | None = None) -> None:
    """Prints a title and what ``text`` makes to the standard error, where that much is asked for."""
    if debug_level() >= level:
        print(f"[rondeau] {title}" + (f"\n{text()}" if text else ""), file=sys.stderr)
