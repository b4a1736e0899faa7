"""PyTorch's own table of modules: the quick checks of benchmarks/module_info.py, which runs all of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("expecttest", reason="PyTorch's table of modules needs the package expecttest")


def benchmark() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "module_info.py"
    spec = importlib.util.spec_from_file_location("module_info", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["module_info"] = module
    spec.loader.exec_module(module)
    return module


TABLE = benchmark()


@pytest.mark.parametrize("check", [name for name in TABLE.CHECKS if "gradients" not in name])
@pytest.mark.parametrize("name", TABLE.NAMES)
def test_pytorchs_table(name: str, check: str) -> None:
    for case in TABLE.cases(name):
        assert TABLE.fault(check, case) is None


def test_the_table_notices_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(TABLE.cases("GRU"))
    forward = case.kind.forward
    monkeypatch.setattr(
        case.kind, "forward", lambda self, x, hx=None: (forward(self, x, hx)[0] * 1.01, forward(self, x, hx)[1])
    )
    assert TABLE.fault("stock", case) is not None
    monkeypatch.undo()
    cell = next(TABLE.cases("GRUCell"))
    monkeypatch.setattr(cell.kind, "_checked", lambda self, x, hx: (_ for _ in ()).throw(RuntimeError("another text")))
    assert "another text" in str(TABLE.fault("errors", cell))
