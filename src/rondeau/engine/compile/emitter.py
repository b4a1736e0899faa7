"""`Emitter`: what turns plans into code that runs; one for each kind of code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Plan
from rondeau.engine.compile.target import Target
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
