"""From a plan to machine code for this processor, or for another that is named.

In the order of reading, from the time loop down to the registers and out again: emitter, emit, part, tiles, packing,
matmul, pointwise, prefetch, vector_math, writer, entry_points, large_product, build, store, openmp, processors, host.

part: the sequences that one thread takes through all steps. team: threads that share the units of every step, and wait for each
other at a barrier. packed: matrices in the order in which tiles read them. alive: the sequences not yet past their end.
"""
