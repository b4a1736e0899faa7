"""What a backend is: two functions, which each backend's module has."""

from __future__ import annotations

from typing import Literal, Protocol

from rondeau.engine.inputs.scan_inputs import Result, ScanInputs

BackendName = Literal["compiled", "torch", "reference"]
BackendChoice = Literal["auto", "compiled", "torch", "reference"]


class Backend(Protocol):
    """A way to run a cell."""

    def refusal(self, inputs: ScanInputs) -> str | None:
        """Why this run cannot be done, in a sentence, or None when it can."""

    def run(self, inputs: ScanInputs) -> Result:
        """The output (batch, time, width), the last states, each (batch, width), and the traced values by name."""
        ...
