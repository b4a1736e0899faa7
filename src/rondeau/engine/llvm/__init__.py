"""From a plan to machine code for this processor. Begin with `rondeau.engine.llvm.emit`, then read down to the registers.

part: the sequences that one thread takes through all steps. team: threads that share the units of every step, and wait for each
other at a barrier. packed: matrices in the order in which tiles read them. alive: the sequences not yet past their end.
"""
