"""`in_place`: where a state must not be overwritten yet."""

from __future__ import annotations

from dataclasses import replace

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Block, Place, Plan


def in_place(plan: Plan) -> Plan:
    """States that something reads after they are written go to a buffer first and are copied at the end of the step."""
    copies: list[tuple[Place, Place, int]] = []
    blocks = list(plan.blocks)
    scratch = dict(plan.scratch)
    for buffer in sorted({s.place.buffer for b in blocks for s in b.stores if s.place.buffer.kind == "state"}):
        if not _unsafe(buffer, blocks):
            continue
        size = next(s.place.row_size for b in blocks for s in b.stores if s.place.buffer == buffer)
        following = buffer._replace(kind="next")
        scratch[following] = size
        blocks = [_redirected(block, buffer, following) for block in blocks]
        copies.append((Place(following, "sequence", size), Place(buffer, "sequence", size), size))
    return Plan(tuple(blocks), tuple(sorted(copies, key=lambda c: c[0].buffer)), tuple(scratch.items()), plan.backward)


def _unsafe(buffer: Buffer, blocks: list[Block]) -> bool:
    """Whether a write to the state ``buffer`` could destroy what is still to be read."""
    first = min(i for i, b in enumerate(blocks) if any(s.place.buffer == buffer for s in b.stores))
    for index, block in enumerate(blocks):
        operands = {term.operand.buffer for group in block.groups for terms in group.terms for term in terms}
        if index >= first and buffer in operands:
            return True
        for place in (load.place for load in block.loads):
            if place.buffer == buffer and (index > first or (index == first and not _aligned(place, block, buffer))):
                return True
    return False


def _aligned(place: Place, block: Block, buffer: Buffer) -> bool:
    """Whether the block writes the state at the very features that it reads."""
    return all(s.place.offset == place.offset for s in block.stores if s.place.buffer == buffer)


def _redirected(block: Block, old: Buffer, new: Buffer) -> Block:
    stores = tuple(replace(s, place=replace(s.place, buffer=new)) if s.place.buffer == old else s for s in block.stores)
    return replace(block, stores=stores)
