"""Imports run one way: a package may import only from those above it in this list, and no modules import each other."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ORDER = [
    "errors",
    "ir",
    "cells",
    "engine",
    "benchmark",
    "nn",
    "data",
    "models",
    "train",
    "estimators",
    "diagnostics",
    "export",
    "examples",
    "report",
    "cli",
]
ROOMS = ["compile", "llvm", "products", "inputs", "eager", "runtime", "backends"]
"""The rooms of the engine: each imports only from those before it, and the files at its top from all."""
ROOMS_WITHOUT = {"compile": {"torch", "numpy", "llvmlite"}}
"""What a room does not know: the compiler makes plans of equations, whoever runs them."""
FORBIDDEN = {"ir": {"torch", "numpy", "llvmlite"}, "cells": {"torch", "numpy", "llvmlite"}, "data": {"llvmlite"}}
SOURCE = Path(__file__).parent.parent / "src" / "rondeau"
FILES = sorted(SOURCE.rglob("*.py"))


def imported(node: ast.AST) -> list[str]:
    """The full names that a node imports from and, after them, what it takes there; a relative import keeps its dots."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (node.module or "")
        return [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return []


def faults(package: str, text: str) -> list[str]:
    """What a source file of ``package`` imports against the order, wherever in the file it does.

    Relative imports are faults, and so is the face, ``rondeau`` itself, from which everything can be reached.
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        names = imported(node)
        for name in names[1:] if names[:1] == ["rondeau"] and isinstance(node, ast.ImportFrom) else names:
            top, inside = [*name.split("."), ""][:2]
            against = top == "rondeau" and (inside not in ORDER or ORDER.index(inside) > ORDER.index(package))
            if not top or top in FORBIDDEN.get(package, set()) or against:
                found.append(name)
    return found


def room_faults(room: str, text: str) -> list[str]:
    """What a source file in a room of the engine imports from a later room, from the engine's top, or from a package
    that it does not know."""
    return [
        name
        for node in ast.walk(ast.parse(text))
        for name in origins(node)
        if (f"{name}.".startswith("rondeau.engine.") and not allowed(room, f"{name}.".split(".")[2]))
        or name.split(".")[0] in ROOMS_WITHOUT.get(room, set())
    ]


def origins(node: ast.AST) -> list[str]:
    """The modules that a node imports from; what it takes from the engine itself may be a room."""
    names = imported(node)
    if isinstance(node, ast.ImportFrom):
        return names[1:] if names[0] == "rondeau.engine" else names[:1]
    return names


def allowed(room: str, other: str) -> bool:
    """Whether a room may import from another."""
    return other in ROOMS and ROOMS.index(other) <= ROOMS.index(room)


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def on_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: not functions' bodies, nor what only a type checker reads."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        yield node
        waiting += node.orelse if _for_types(node) else ast.iter_child_nodes(node)


def whenever(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run on import or later, in functions."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.orelse if _for_types(node) else ast.iter_child_nodes(node)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


Walk = Callable[[ast.Module], Iterator[ast.AST]]


def graph(sources: Mapping[str, str], walk: Walk = on_import) -> dict[str, set[str]]:
    """Which modules each module imports from; a package stands for its ``__init__``."""
    edges: dict[str, set[str]] = {name: set() for name in sources}
    for name, text in sources.items():
        for node in walk(ast.parse(text)):
            names = imported(node)
            only_modules = isinstance(node, ast.ImportFrom) and all(part in sources for part in names[1:])
            edges[name] |= {part for part in names[only_modules:] if part in sources}
    return edges


def cycle(edges: Mapping[str, set[str]]) -> list[str]:
    """The modules along one circle of imports, the first repeated at the end; empty when there is none."""
    finished: set[str] = set()

    def follow(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in finished:
            return []
        for other in sorted(edges[name]):
            if found := follow(other, [*path, name]):
                return found
        finished.add(name)
        return []

    return next((found for name in sorted(edges) if (found := follow(name, []))), [])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if package not in ("__init__", "__main__"):
        assert not faults(package, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "engine").glob("*/*.py")), ids=lambda p: str(p.relative_to(SOURCE / "engine"))
)
def test_the_rooms_of_the_engine_are_in_order(path: Path) -> None:
    assert not room_faults(path.parent.name, path.read_text(encoding="utf-8"))


def test_every_room_of_the_engine_has_its_place() -> None:
    assert {path.parent.name for path in (SOURCE / "engine").glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize(
    ("room", "text", "expected"),
    [
        ("eager", "from rondeau.engine.runtime.arena import Pool", ["rondeau.engine.runtime.arena"]),
        ("compile", "def f():\n    import rondeau.engine.llvm.emit", ["rondeau.engine.llvm.emit"]),
        ("compile", "def f():\n    from torch import Tensor", ["torch"]),
        ("compile", "import llvmlite.binding as llvm", ["llvmlite.binding"]),
        ("llvm", "import llvmlite.binding as llvm", []),
        ("runtime", "from rondeau.engine import backends", ["rondeau.engine.backends"]),
        ("runtime", "from rondeau.engine import scan", ["rondeau.engine.scan"]),
        ("backends", "from rondeau.engine.scan import scan", ["rondeau.engine.scan"]),
        ("backends", "import rondeau.engine", ["rondeau.engine"]),
        ("runtime", "from rondeau.engine.compile.layout import Layout", []),
        ("runtime", "from rondeau.engine.runtime import arena", []),
    ],
)
def test_a_fault_between_rooms_is_found(room: str, text: str, expected: list[str]) -> None:
    assert room_faults(room, text) == expected


def sources() -> dict[str, str]:
    return {module_name(path): path.read_text(encoding="utf-8") for path in FILES}


def test_no_modules_import_each_other() -> None:
    assert not cycle(graph(sources()))


def test_no_circle_hides_in_functions() -> None:
    assert not cycle(graph(sources(), whenever))


@pytest.mark.parametrize(
    ("package", "text", "expected"),
    [
        ("ir", "import torch", ["torch"]),
        ("ir", "import torch.nn as t", ["torch.nn"]),
        ("nn", "def f():\n    from rondeau.train import start", ["rondeau.train", "rondeau.train.start"]),
        ("nn", "from rondeau import train", ["rondeau.train"]),
        ("ir", "from . import text", [".", "..text"]),
        ("ir", "from ..nn import LSTM", ["..nn", "..nn.LSTM"]),
        ("ir", "from rondeau import scan", ["rondeau.scan"]),
        ("engine", "import rondeau", ["rondeau"]),
        ("train", "from rondeau.nn import Stack", []),
        ("nn", "from rondeau import cells", []),
        ("cells", "from rondeau.errors import CellError", []),
    ],
)
def test_a_fault_is_found(package: str, text: str, expected: list[str]) -> None:
    assert faults(package, text) == expected


def test_a_cycle_is_found() -> None:
    circle = {"p": "", "p.a": "from p import b", "p.b": "from p.c import x", "p.c": "import p.a"}
    assert cycle(graph(circle)) == ["p.a", "p.b", "p.c", "p.a"]
    late = {**circle, "p.c": "def f():\n    import p.a"}
    assert cycle(graph(late)) == [] and cycle(graph(late, whenever)) == ["p.a", "p.b", "p.c", "p.a"]
    assert cycle(graph({**circle, "p.c": "if TYPE_CHECKING:\n    import p.a"})) == []
    assert graph({"p": "", "p.a": "import p, p.b", "p.b": "from p import a"})["p.a"] == {"p", "p.b"}
    assert cycle(graph({"p": "from p.a import x", "p.a": "from p import y"})) == ["p", "p.a", "p"]


def test_every_package_has_its_place() -> None:
    present = {path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert present <= set(ORDER)


HIDDEN = {"cli": ["main"], "engine": ["explain", "scan"], "ir": ["cell"]}
"""Modules that a function of the same name hides in its package. None may be added."""


def hidden_modules(package: Path) -> list[str]:
    """The modules of a package whose names stand for something else in its ``__init__``."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    taken = {
        name.rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in imported(node)[1:]
    }
    return sorted(path.stem for path in package.glob("*.py") if path.stem in taken)


PACKAGES = sorted(path.parent for path in SOURCE.rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_name_hides_a_module(package: Path) -> None:
    assert hidden_modules(package) == HIDDEN.get(package.name, [])
