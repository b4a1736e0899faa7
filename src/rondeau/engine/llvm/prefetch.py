"""`coming`: which places of the next step are worth fetching while this one computes."""

from __future__ import annotations

from rondeau.engine.compile.plan import Block, Place, Plan


def coming(plan: Plan, block: Block) -> tuple[Place, ...]:
    """What the next step reads of each row in as many features as the block has: too many streams for the processor to
    foresee. Where there are products, it is fetched beside them, for the blocks without any, too."""
    kin = [b for b in plan.blocks if b.width == block.width]
    heavy = next((b for b in kin if b.groups), None)
    if heavy is not None and block is not heavy:
        return ()
    long = any(b.reductions for b in plan.blocks)  # what a long step fetches early is gone when it is read
    served = [block] if heavy is None or long else kin
    made: set[Place] = set()
    places: dict[Place, None] = {}
    for b in plan.blocks:
        if b in served:
            read = (load.place for load in b.loads if load.place.level == "step" and load.width == b.width)
            places.update(dict.fromkeys(place for place in read if place not in made))
        made.update(store.place for store in b.stores)
    return tuple(places)
