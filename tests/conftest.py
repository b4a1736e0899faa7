"""What all tests share."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # several processes share the cores: a thread that waits must not spin

import pytest
import torch
from hypothesis import settings

settings.register_profile("rondeau", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("rondeau")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _guarded() -> Iterator[None]:
    """With RONDEAU_GUARD=end (or start) all kernels run between forbidden pages; see engine/guard_pages.py."""
    side = os.environ.get("RONDEAU_GUARD")
    with pytest.MonkeyPatch.context() as patch:
        if side:
            patch.syspath_prepend(str(Path(__file__).parent / "engine"))
            importlib.import_module("guard_pages").install(patch, side)
        yield


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads at least, whatever the environment says."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(before, 2))
    yield
    torch.set_num_threads(before)
