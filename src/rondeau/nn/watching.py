"""Looking into a model while it runs: whoever watches takes the place of `rondeau.scan` in every recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from rondeau.engine import scan

Scan = Callable[..., Any]
"""Something with the arguments and results of `rondeau.scan`."""
Watcher = Callable[["Watched", int, bool], Scan]
"""What runs in place of the scan of a module's layer, reversed or not."""


class Watched(nn.Module):
    """A module with scans that can be watched."""

    watcher: Watcher | None = None

    def _scan_of(self, layer: int, reverse: bool) -> Scan:
        """The scan of one of its runs, or what stands in its place."""
        return scan if self.watcher is None else self.watcher(self, layer, reverse)


@contextmanager
def watched(model: nn.Module, watcher: Watcher) -> Iterator[None]:
    """Within it every scan inside ``model`` is left to ``watcher``."""
    modules = [module for module in model.modules() if isinstance(module, Watched)]
    before = [module.watcher for module in modules]
    for module in modules:
        module.watcher = watcher
    try:
        yield
    finally:
        for module, former in zip(modules, before):
            module.watcher = former
