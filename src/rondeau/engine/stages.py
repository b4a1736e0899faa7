"""The stages from equations to machine code, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from rondeau.engine.build import assembly
from rondeau.engine.layout import arrange
from rondeau.engine.normalise import normalise
from rondeau.engine.program import Program
from rondeau.engine.schedule import Block, Plan
from rondeau.errors import InputError
from rondeau.ir.cell import Cell
from rondeau.ir.expressions import Expr, postorder
from rondeau.ir.text import equations, spell

STAGES = ("equations", "gradient", "plan", "llvm", "asm")


def stage(cell: Cell, name: str, sizes: Mapping[str, int]) -> str:
    """One stage of a cell's way to a kernel, for float32 and these sizes.

    Raises:
        InputError: no such stage, or a size is missing.
    """
    if name not in STAGES:
        raise InputError(f"the stage is one of {', '.join(STAGES)}, not {name!r}")
    if name == "equations":
        return equations(cell)
    given = [item.name for item in (*cell.contexts, *cell.masks)]
    program = Program(arrange(normalise(cell, sizes, given)), torch.float32)
    makers: dict[str, Callable[[Program], str]] = {"gradient": gradient, "plan": plans, "llvm": llvm, "asm": machine_code}
    return makers[name](program)


def gradient(program: Program) -> str:
    """What the reverse step computes, with the values that the forward step saves for it by name."""
    layout = program.layout
    step, reverse = layout.step, layout.reverse
    names: dict[Expr, str] = {e.expr: e.name for e in step.cell.equations}
    by_text = {spell(expr): name for expr, name in names.items()}
    saved = {expr: by_text.get(spell(expr), f"saved{i}") for i, expr in enumerate(reverse.saved)}
    cotangents = {0: "dy", **{1 + i: f"d{s.name}" for i, s in enumerate(step.cell.states)}}
    roots = [*reverse.states, *(e for e in reverse.hoisted if e is not None), *(m.cotangent for m in reverse.matrices)]
    known = {**saved, **{e: cotangents.get(e.attrs[0], spell(e)) for e in postorder(roots) if e.op == "cotangent"}}
    lines = [f"saved: {', '.join(saved.values()) or 'nothing'}"]
    shared = [e for e in postorder(roots) if e.args and e in set(roots) and e not in known]
    for i, expr in enumerate(dict.fromkeys(shared)):
        lines.append(f"g{i} = {spell(expr, known)}")
        known[expr] = f"g{i}"
    lines += [f"d{s.name}[t-1] = {spell(e, known)}" for s, e in zip(step.cell.states, reverse.states)]
    lines += [f"d({spell(h)}) = {spell(e, known)}" for h, e in zip(step.hoisted, reverse.hoisted) if e is not None]
    lines += [f"d{spell(m.matrix)} += {spell(m.cotangent, known)} x {spell(m.operand)}" for m in reverse.matrices]
    return "\n".join(lines)


def plans(program: Program) -> str:
    """The blocks of the training kernel and of the backward kernel."""
    return "\n".join(f"{kind}:\n{_plan(program.plan(kind))}" for kind in ("train", "backward"))


def _plan(plan: Plan) -> str:
    lines = [line for block in plan.blocks for line in _block(block)]
    lines += [f"  copy {source.buffer} to {target.buffer}" for source, target, _ in plan.copies]
    return "\n".join(lines)


def _block(block: Block) -> list[str]:
    lines = [f"  phase {block.phase}, {block.width} features"]
    for group in block.groups:
        for terms in group.terms:
            products = [f"{spell(t.matrix)}{'.T' * t.transposed} @ {t.operand.buffer}+{t.operand.offset}" for t in terms]
            lines.append(f"    accumulate {' + '.join(products)}")
    places = sorted({f"{p.buffer}+{p.offset}" for _, p in block.loads})
    lines.append(f"    load       {' '.join(places)}")
    lines += [f"    reduce     {s.expr.op} to {s.place.buffer}" for s in block.reductions]
    if block.order:
        lines.append(f"    compute    {len(block.order)} pointwise operations")
    kept = [f"{s.place.buffer}+{s.place.offset}{' (add)' if s.add else ''}" for s in block.stores]
    return [*lines, *([f"    store      {' '.join(kept)}"] if kept else [])]


def llvm(program: Program) -> str:
    """The LLVM text of the training and backward kernels, as written."""
    return "\n".join(f"; {kind}\n{program.code(kind).text}" for kind in ("train", "backward"))


def machine_code(program: Program) -> str:
    """Their assembly for this processor."""
    return "\n".join(f"# {kind}\n{assembly(program.code(kind).text)}" for kind in ("train", "backward"))
