"""Threads: PyTorch's own OpenMP pool where it can be reached, one thread after a fork."""

from __future__ import annotations

import ctypes
import glob
import os
from functools import cache

import torch

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@cache
def openmp() -> dict[str, int]:
    """The addresses of the OpenMP functions that a kernel calls; zero where there are none."""
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    for path in glob.glob(os.path.join(os.path.dirname(torch.__file__), "lib", "libgomp*")):
        try:
            library = ctypes.CDLL(path)
            return {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names}
        except (OSError, AttributeError):
            continue
    return dict.fromkeys(names, 0)


def parallel() -> bool:
    """Whether a kernel may run on several threads."""
    return not _forked and openmp()["GOMP_parallel"] != 0 and torch.get_num_threads() > 1


def available() -> int:
    """How many threads a kernel may run on."""
    return torch.get_num_threads() if parallel() else 1
