"""Threads: PyTorch's own OpenMP pool where it can be reached, else a pool of our own; one thread after a fork."""

from __future__ import annotations

import ctypes
import glob
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


LIBRARIES = ("libgomp*", "libomp*", "libiomp5*")
FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


@cache
def openmp() -> dict[str, int]:
    """The addresses of the OpenMP functions that a kernel calls, from the library that PyTorch has loaded; empty if none."""
    folder = os.path.join(os.path.dirname(torch.__file__), "lib")
    for path in (path for name in LIBRARIES for path in glob.glob(os.path.join(folder, name))):
        try:
            library = ctypes.CDLL(path)
            return {name: _address(getattr(library, name)) for name in FUNCTIONS}
        except (OSError, AttributeError):
            continue
    return {}


@cache
def yield_address() -> int:
    """The address of the system's function with which a waiting thread gives up its processor."""
    if sys.platform == "win32":
        return _address(ctypes.windll.kernel32.SwitchToThread)
    return _address(ctypes.CDLL(None).sched_yield)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def available() -> int:
    """How many threads a kernel may run on: one after a fork."""
    return 1 if _forked else torch.get_num_threads()


def side_by_side(function: Callable[[int], None], count: int) -> None:
    """``function(0)`` to ``function(count - 1)`` in parallel, for want of OpenMP."""
    tasks = [_pool().submit(function, k) for k in range(1, count)]
    function(0)
    for task in tasks:
        task.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "rondeau")
