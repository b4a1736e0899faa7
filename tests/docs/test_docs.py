"""The documents say what the code says."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "rondeau"


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands", "api", "kernel", "benchmarks"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert written == getattr(generator(), name)(), "run: python docs/generate.py"


@pytest.mark.parametrize("page", ["README.md", "docs/write-a-cell.md"])
def test_the_code_in_the_pages_runs(page: str, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)):
        exec(compile(block, f"{page}, block {number}", "exec"), scope)
    assert capsys.readouterr().out


def test_every_coverage_row_has_a_line() -> None:
    text = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    counts = {"A1": 28, "A2": 19, "A3": 13, "A4": 15, "A5": 13}
    wanted = [f"{part}.{i:02d}" for part, count in counts.items() for i in range(1, count + 1)]
    wanted += [f"A7.{i}" for i in range(1, 7)]
    lines = [line for line in text.splitlines() if line.startswith("| A")]
    ids = [line.split("|")[1].strip() for line in lines]
    assert [row for row in ids if row != "A6" and not row.startswith("A6.")] == wanted
    assert all(len(line.split("|")) == 5 and all(part.strip() for part in line.split("|")[1:4]) for line in lines)


def test_tests_that_the_coverage_names_exist() -> None:
    text = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    for path in set(re.findall(r"`(tests/[\w/]+\.py)`", text)):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), path
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else []
        for item in (node, *members):
            if isinstance(item, (ast.FunctionDef, ast.ClassDef)) and not item.name.startswith("_"):
                assert ast.get_docstring(item), f"{path}: {item.name}"


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
