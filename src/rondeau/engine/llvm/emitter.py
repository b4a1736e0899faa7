"""`LLVM`: the emitter for this processor."""

from __future__ import annotations

from dataclasses import dataclass

from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.plan import Plan
from rondeau.engine.llvm.build import MachineCode, assembly, build
from rondeau.engine.llvm.emit import emit
from rondeau.engine.llvm.writer import Machine


@dataclass(frozen=True)
class LLVM:
    """Writes kernels as LLVM text, and builds them with llvmlite in this process."""

    machine: Machine
    language = "LLVM"

    @property
    def target(self) -> str:
        """What it writes for, in a few words."""
        return f"vectors {self.machine.vector}"

    @property
    def tile(self) -> int:
        """The accumulators that a group may have."""
        return self.machine.tile

    def emit(self, plan: Plan) -> Code:
        """The LLVM text of a plan."""
        return emit(plan, self.machine)

    def build(self, code: Code) -> MachineCode:
        """The code, ready to run."""
        return build(code.text)

    def assembly(self, code: Code) -> str:
        """The assembly for this processor."""
        return assembly(code.text)
