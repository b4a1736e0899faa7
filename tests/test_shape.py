"""The house stays readable: short files, short functions, few methods a class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "rondeau"
LINES_OF_FILES = 400
LINES_OF_FUNCTIONS = 40
METHODS = 15
FILES = {str(path.relative_to(SOURCE)): path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))}


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Each function's name and lines, docstring and all; declarations of types do not count."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and not any(ast.unparse(item) == "overload" for item in node.decorator_list):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def classes(text: str) -> Iterator[tuple[str, int]]:
    """Each class's name and its methods; those that make an operator work do not count."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            yield node.name, sum(not name.startswith("__") or name == "__init__" for name in names)


def percentile(values: list[int], share: float) -> int:
    """The value that so large a share of the values does not exceed."""
    return sorted(values)[int(share * (len(values) - 1))]


@pytest.mark.parametrize("name", FILES)
def test_files_are_short(name: str) -> None:
    assert FILES[name].count("\n") <= LINES_OF_FILES


def test_functions_are_short() -> None:
    lines = [length for text in FILES.values() for _, length in functions(text)]
    assert percentile(lines, 0.99) < LINES_OF_FUNCTIONS
    assert percentile(lines, 0.5) <= 8


@pytest.mark.parametrize("name", FILES)
def test_classes_have_few_methods(name: str) -> None:
    assert [each for each, count in classes(FILES[name]) if count > METHODS] == []


def test_what_is_counted() -> None:
    assert list(classes("class A:\n    def __init__(self): ...\n    def f(self): ...\n    def __add__(self, b): ...\n")) == [
        ("A", 2)
    ]
    text = "@overload\ndef f(): ...\nclass A:\n    def g(self):\n        def h():\n            pass\n        return h\n"
    assert sorted(functions(text)) == [("g", 4), ("h", 2)]
    assert percentile([3, 1, 2], 0.5) == 2 and percentile(list(range(101)), 0.99) == 99
