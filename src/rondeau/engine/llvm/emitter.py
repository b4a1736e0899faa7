"""`LLVM`: the emitter for this processor, or for another that LLVM knows."""

from __future__ import annotations

from dataclasses import dataclass

from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.plan import Plan
from rondeau.engine.compile.target import FLOAT32, FLOAT64, Target
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.build import MachineCode, assembly, build, compile_object
from rondeau.engine.llvm.emit import emit
from rondeau.engine.llvm.writer import VectorType
from rondeau.errors import InputError

NAMES = {FLOAT32: "float", FLOAT64: "double"}


def vector_type(target: Target) -> VectorType:
    """The vectors of a target.

    Raises:
        InputError: it stores, computes and sums in several types.
    """
    types = target.types
    if not types.storage == types.compute == types.accumulator:
        found = f"stores {types.storage.name}, computes in {types.compute.name} and sums in {types.accumulator.name}"
        raise InputError(f"this target {found}, but LLVM kernels take one type for all three; give Types.all(FLOAT32)")
    return VectorType(NAMES[types.compute], target.lanes, target.processor.registers, target.processor.fused)


@dataclass(frozen=True)
class LLVM:
    """Writes kernels as LLVM text, and builds them with llvmlite in this process or as object files for another.

    Raises:
        InputError: the target has several types; these kernels store, compute and sum in one.
    """

    target: Target
    tiling: Tiling
    language = "LLVM"

    def __post_init__(self) -> None:
        vector_type(self.target)

    def emit(self, plan: Plan) -> Code:
        """The LLVM text of a plan."""
        return emit(plan, vector_type(self.target), self.tiling)

    def build(self, code: Code) -> MachineCode:
        """The code, ready to run.

        Raises:
            InputError: this process does not run on such a processor.
        """
        return build(code.text, self.target.processor)

    def assembly(self, code: Code) -> str:
        """The assembly for the target's processor."""
        return assembly(code.text, self.target.processor)

    def object(self, code: Code) -> bytes:
        """The object file for the target's processor, which need not be that of this process."""
        return compile_object(code.text, self.target.processor)
