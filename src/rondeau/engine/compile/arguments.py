"""The argument table of a kernel, a row of 64-bit words, which whoever runs the kernel fills::

    word  0        1       2      3       4     5        6     7 ...
          steps    row     parts  parts'  team  arrived  turn  the buffers' addresses, in the order of `Code.buffers`
                   stride         table           barrier
                                    |
        three words a part: <-------+
          first sequence | address of the sequences alive at each step | address of the first row of each step

A row is a pair of a sequence and a step: buffers of level ``step`` have one for each. At a step, the rows of the sequences in a
part lie ``row stride`` rows apart, from that part's first row of the step on. Buffers of level ``sequence`` have a row a
sequence, in the order of the batch, or longest first where lengths differ; parts cut that order into ranges. ``team`` threads
share the one part that there is then, and meet at the barrier, or each of ``parts`` threads has its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

STEPS, STRIDE, PARTS, TABLE, TEAM, ARRIVED, TURN = range(7)
HEADER = 7
"""Words before the buffers."""


def words(steps: int, stride: int, parts: int, table: int, team: int, buffers: Iterable[int]) -> array[int]:
    """All words of a table; the barrier begins at rest."""
    return array("q", (steps, stride, parts, table, team, 0, 0, *buffers))
