"""The errors that Rondeau raises. Each message says what was got, what was expected, and what to do."""

from __future__ import annotations


class RondeauError(Exception):
    """The base of all errors that Rondeau raises on purpose."""


class CellError(RondeauError):
    """The equations of a cell are not sound."""


class InputError(RondeauError, ValueError):
    """An argument does not fit."""


class DataError(RondeauError):
    """A corpus cannot be read, or a text cannot be encoded."""


class RunError(RondeauError):
    """A run folder or a checkpoint is not sound."""


class RondeauWarning(UserWarning):
    """The base of all warnings that Rondeau gives."""


class FallbackWarning(RondeauWarning):
    """A cell runs step by step in Python, many times slower, because no kernel is for its device or type."""


class RunWarning(RondeauWarning):
    """Something about a run folder that stops nothing, but that its owner should know."""
