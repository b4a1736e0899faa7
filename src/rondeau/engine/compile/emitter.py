"""`Machine`, `Emitter`, `Kernel`: what writes kernels and runs them, for each kind of code; LLVM's are one set of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Plan
from rondeau.engine.compile.target import Real, Target
from rondeau.engine.compile.tiling import Tiling

Built = TypeVar("Built", covariant=True)


@dataclass(frozen=True)
class Code:
    """The text of a kernel, its buffers in the order of the argument table, and which of them are its own: ``packed`` matrices
    with their elements, and ``scratch`` with its features for each sequence."""

    text: str
    buffers: tuple[Buffer, ...]
    packed: tuple[tuple[Buffer, int], ...]
    scratch: tuple[tuple[Buffer, int], ...]


class Emitter(Protocol[Built]):
    """Writes plans for one target, and builds what it wrote."""

    @property
    def language(self) -> str:
        """What it writes in, by name."""

    @property
    def target(self) -> Target:
        """What it writes for."""

    @property
    def tiling(self) -> Tiling:
        """What was tuned for the target."""

    def emit(self, plan: Plan) -> Code:
        """The code of a plan."""

    def build(self, code: Code) -> Built:
        """The code, ready to run."""

    def assembly(self, code: Code) -> str:
        """What the target's machine will run, to be read."""


class Kernel(Protocol):
    """Code that is ready to run, given the address of a table of arguments (`rondeau.engine.compile.arguments`)."""

    def run(self, table: int, parts: int, team: int) -> None:
        """All parts of the batch, on as many threads as there are."""

    @property
    def pack(self) -> Callable[[int, int, int], None]:
        """Packs the matrices as thread ``k`` of ``n``: ``pack(table, k, n)``; a part of what `run` does."""

    @property
    def brief(self) -> Callable[[int, int, int, int], None]:
        """The steps of part ``k`` as thread ``u`` of a team of ``n``, on packed matrices, without giving Python's lock back:
        ``brief(table, k, u, n)``."""


class Machine(Protocol):
    """What kernels run on: its threads, and an emitter for each type."""

    def threads(self) -> int:
        """How many threads a kernel may run on now."""

    def teams(self) -> bool:
        """Whether threads can share the units of a step, for which they wait for one another inside the kernel."""

    def emitter(self, real: Real, single: bool) -> Emitter[Kernel]:
        """What writes and builds kernels of a type, for threads that have a ``single`` sequence each or any number."""
