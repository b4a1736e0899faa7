"""What a sound plan is, and what is not one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rondeau.cells import ALL
from rondeau.engine.compile.canonicalise import normalise
from rondeau.engine.compile.layout import arrange
from rondeau.engine.compile.schedule import Plan
from rondeau.engine.compile.verify_plan import PlanError, checked
from rondeau.engine.runtime.program import Program

SIZES = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 3}


def plan(name: str, kind: str = "train") -> tuple[Plan, Program]:
    cell = ALL[name]
    given = [item.name for item in (*cell.contexts, *cell.masks)]
    program = Program(arrange(normalise(cell, {size: SIZES[size] for size in cell.sizes}, given)), torch.float32)
    return program.plan(kind), program


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["infer", "train", "backward"])
def test_the_plans_of_the_zoo_are_sound(name: str, kind: str) -> None:
    found, program = plan(name, kind)
    assert checked(found, program.layout.step.width) is found


def broken(name: str, change) -> str:
    found, program = plan(name)
    with pytest.raises(PlanError) as error:
        checked(change(found), program.layout.step.width)
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
