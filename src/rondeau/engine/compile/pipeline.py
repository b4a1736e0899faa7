"""`Pipeline`: the passes from a cell to machine code, in order.

Each pass is one file beside this one, and a function from value to value; in brackets what it calls on its way::

    for the whole cell
        canonicalise     Cell -> Step        primitive ops, sums regrouped by how often they change [levels, linear, regroup]
        differentiate    Step -> Reverse     one step of backpropagation through time [split_sums, regroup]
        layout.arrange   both -> Layout      what leaves the loop [hoist], what is kept [save], and where each value lies
    for each kernel: infer, train, backward
        schedule         Work -> Plan        when each value can be computed [phases], blocks of work, states [in_place]
        verify_plan      Plan                or PlanError
        llvm.emit        Plan -> Code        the time loop [part], tiles of rows [tiles] of products [packing, matmul], and what
                                             follows them on each vector [pointwise, vector_math]; the ways in [entry_points]
        llvm.build       Code -> Kernel      optimised, compiled, kept on disk [store]
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from rondeau.engine.compile.canonicalise import canonicalise
from rondeau.engine.compile.differentiate import differentiate
from rondeau.engine.compile.emitter import Code, Emitter
from rondeau.engine.compile.layout import KernelName, Layout, arrange
from rondeau.engine.compile.plan import Plan
from rondeau.engine.compile.printing import debug, gradient_text, plan_text
from rondeau.engine.compile.schedule import schedule
from rondeau.engine.compile.verify_plan import verify
from rondeau.ir.cell import Cell
from rondeau.ir.printing import equations

Built = TypeVar("Built")


class Pipeline(Generic[Built]):
    """A cell at its ``sizes`` on its way to kernels; each pass runs once, when its result is first asked for.

    Args:
        cell: the equations.
        sizes: each named size.
        emitter: what writes and builds the kernels.
        given: the contexts and masks that a run supplies.
        trace: the values that a run hands out.
        clip: the bound of the gradients that flow back through the states, element by element.
        inside: whether products with the sequence stay in the loop, in place of one large product before it.
    """

    def __init__(
        self,
        cell: Cell,
        sizes: Mapping[str, int],
        emitter: Emitter[Built],
        given: Iterable[str] = (),
        trace: Iterable[str] = (),
        clip: float | None = None,
        inside: bool = False,
    ) -> None:
        self.cell, self.sizes, self.emitter = cell, dict(sizes), emitter
        self.given, self.trace, self.clip, self.inside = tuple(given), tuple(trace), clip, inside
        self._plans: dict[KernelName, Plan] = {}
        self._codes: dict[KernelName, Code] = {}

    @cached_property
    def layout(self) -> Layout:
        """The step, its reverse, and where their values lie."""
        sizes = ", ".join(f"{name}={size}" for name, size in sorted(self.sizes.items()))
        debug(1, f"{self.cell.name} ({sizes}), for {self.emitter.target}", lambda: equations(self.cell))
        step = canonicalise(self.cell, self.sizes, self.given, self.trace, self.inside)
        reverse = differentiate(step, self.clip)
        debug(2, "gradient", lambda: gradient_text(step, reverse))
        return arrange(step, reverse)

    def plan(self, kernel: KernelName) -> Plan:
        """The work of one time step of a kernel, in order.

        Raises:
            PlanError: a pass went wrong.
        """
        if kernel not in self._plans:
            layout = self.layout
            plan = schedule(layout.work(kernel), layout.step.width, layout.block, self.emitter.tiling.vectors)
            verify(plan, layout.step.width)
            debug(2, f"plan of {kernel}", lambda: plan_text(plan))
            self._plans[kernel] = plan
        return self._plans[kernel]

    def code(self, kernel: KernelName) -> Code:
        """The text of a kernel."""
        if kernel not in self._codes:
            code = self.emitter.emit(self.plan(kernel))
            debug(3, f"{self.emitter.language} of {kernel}", lambda: code.text)
            self._codes[kernel] = code
        return self._codes[kernel]

    def build(self, kernel: KernelName) -> Built:
        """A kernel, ready to run."""
        code, start = self.code(kernel), time.perf_counter()
        debug(4, f"assembly of {kernel}", lambda: self.emitter.assembly(code))
        built = self.emitter.build(code)
        debug(1, f"{self.cell.name}, kernel {kernel}: ready in {1e3 * (time.perf_counter() - start):.0f} ms")
        return built
