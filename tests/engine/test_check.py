"""What a sound plan is, and what is not one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rondeau.cells import ALL
from rondeau.engine.compile.layout import KernelName
from rondeau.engine.compile.pipeline import Pipeline
from rondeau.engine.compile.plan import Plan
from rondeau.engine.compile.target import FLOAT32
from rondeau.engine.compile.verify_plan import PlanError, verify
from rondeau.engine.llvm.host import host_emitter
from rondeau.ir.expressions import Expr

SIZES = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 3}


def plan(name: str, kernel: KernelName = "train") -> tuple[Plan, Callable[[Expr], int]]:
    cell = ALL[name]
    given = [item.name for item in (*cell.contexts, *cell.masks)]
    pipeline = Pipeline(cell, {size: SIZES[size] for size in cell.sizes}, host_emitter(FLOAT32), given)
    return pipeline.plan(kernel), pipeline.layout.step.width


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kernel", ["infer", "train", "backward"])
def test_the_plans_of_the_zoo_are_sound(name: str, kernel: KernelName) -> None:
    verify(*plan(name, kernel))


def broken(name: str, change) -> str:
    found, width = plan(name)
    with pytest.raises(PlanError) as error:
        verify(change(found), width)
    return str(error.value)


def with_block(found: Plan, index: int, **changes) -> Plan:
    blocks = list(found.blocks)
    blocks[index] = replace(blocks[index], **changes)
    return replace(found, blocks=tuple(blocks))


def test_unsound_plans_are_refused() -> None:
    assert "before anything is stored" in broken("layer_norm_gru", lambda p: replace(p, blocks=p.blocks[::-1]))
    assert "before" in broken("lstm", lambda p: with_block(p, 0, order=p.blocks[0].order[::-1]))
    assert "does not compute" in broken("lstm", lambda p: with_block(p, 0, order=p.blocks[0].order[:-1]))
    doubled = "two values are stored"
    assert doubled in broken("lstm", lambda p: with_block(p, 0, stores=(*p.blocks[0].stores, p.blocks[0].stores[0])))

    def outside(p: Plan) -> Plan:
        first, *rest = p.blocks[0].stores
        return with_block(p, 0, stores=(replace(first, place=first.place.shifted(1)), *rest))

    assert "do not fit" in broken("lstm", outside)
    assert "is copied" in broken("gru", lambda p: replace(p, blocks=()))
