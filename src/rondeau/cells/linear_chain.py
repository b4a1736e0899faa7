"""The forward recursion of a chain of tags as a cell: what a conditional random field sums its paths with."""

from __future__ import annotations

from functools import lru_cache

from rondeau.ir import Cell, cell, exp, input, largest, log, maximum, state, weight

LEAST = 1e-37
"""The smallest part of the best tag's weight that the paths into another tag are taken to have."""


@lru_cache
def forward_recursion() -> Cell:
    """The forward recursion as a cell: a step sums, in logarithms, over the tag before.

    ``a`` is, for each tag, the logarithm of the sum of the weights of all paths that end in it; ``E`` has the exponentials of
    the transitions' scores, (next tag, tag). The best tag's ``a`` is taken out before ``exp``, so that nothing overflows.
    """

    @cell(source="Lafferty, McCallum & Pereira 2001, Conditional random fields; Rabiner 1989, section III.A, in logarithms")
    def crf_forward(x=input("tags"), a=state("tags"), E=weight("tags", "tags")):
        m = largest(a)
        a = x + m + log(maximum(E @ exp(a - m), LEAST))
        return a

    return crf_forward
