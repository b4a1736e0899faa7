"""What memory there is, so that what cannot fit is refused before it is begun."""

from __future__ import annotations

import os


def memory() -> int | None:
    """The bytes of memory that this machine has, where the system says so."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
