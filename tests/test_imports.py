"""Imports run one way: a package may import only from those above it in this list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ORDER = ["errors", "ir", "cells", "engine", "nn", "data", "models", "train", "estimators", "diagnostics", "export", "cli"]
FORBIDDEN = {"ir": {"torch", "numpy", "llvmlite"}, "cells": {"torch", "numpy", "llvmlite"}, "data": {"llvmlite"}}
SOURCE = Path(__file__).parent.parent / "src" / "rondeau"


def imported(text: str) -> Iterator[str]:
    """The full names of all modules that a source imports, wherever it does."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(package: str, text: str) -> list[str]:
    """What a source file of ``package`` imports against the order."""
    found = []
    for name in imported(text):
        parts = name.split(".")
        if parts[0] in FORBIDDEN.get(package, set()):
            found.append(name)
        inside = parts[1] if parts[0] == "rondeau" and len(parts) > 1 else None
        if inside in ORDER and ORDER.index(inside) > ORDER.index(package):
            found.append(name)
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if package != "__init__":
        assert not faults(package, path.read_text())


def test_a_fault_is_found() -> None:
    assert faults("ir", "import torch") == ["torch"]
    assert faults("nn", "def f():\n    from rondeau.train import start") == ["rondeau.train", "rondeau.train.start"]
    assert not faults("train", "from rondeau.nn import Stack")


def test_every_package_has_its_place() -> None:
    present = {path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert present <= set(ORDER)
