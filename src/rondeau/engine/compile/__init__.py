"""From a cell's equations to plans of kernels, and through an emitter to code.

In the order of reading: pipeline, step, canonicalise, levels, linear, regroup, differentiate, split_sums, buffer, plan, hoist,
save, layout, phases, schedule, in_place, verify_plan, printing, target, tiling, arguments, emitter; then `rondeau.engine.llvm`.

step        one time step of a cell in primitive ops; its reverse computes the gradients that flow back through it
level       how often a value changes: never, with the sequence, with the step, or with the state
hoisted     computed before the loop over time, since it does not depend on a state
column      a hoisted value that is linear in the sequence; all columns are one matrix product for all steps
row         a pair of a sequence and a step: a buffer has a row for each, or for each sequence, or one
buffer      memory that a kernel reads and writes; a place is a range of features in the rows of one
cotangent   the gradient of a value at one step; the gradients of matrices are products of all of them, after the loop
kernel      infer, train (infer, and save for backward) or backward: machine code for all steps of a batch
plan        one step of a kernel as blocks: products, then pointwise work, then stores, for so many features
tile        the rows and units whose sums fit the vector registers; a unit is a feature of a product's result
emitter     writes plans as code for a target (processor, types, vector width) and tiling (all that is tuned)
"""
