"""Arrays of other libraries, where a cell may be given one."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Array(Protocol):
    """An array or a scalar of NumPy, torch or another library."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many elements it has along each dimension."""
        ...

    def tolist(self) -> Any:
        """Its elements, as numbers or nested lists of them."""
