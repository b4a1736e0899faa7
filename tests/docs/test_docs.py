"""The documents say what the code says."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer

from rondeau.cells import ALL
from rondeau.cli import app

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "rondeau"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
}


@functools.cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMMANDS = generator().leaves(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def command_of(words: list[str]) -> str:
    """The name of the command that a line begins with, one word or two; empty if it begins with none."""
    return next(
        (name for name in (" ".join(words[1:3]), " ".join(words[1:2])) if words[:1] == ["rondeau"] and name in COMMANDS), ""
    )


def public() -> dict[str, object]:
    """Every public name, and every dotted one such as ``nn.LSTM``."""
    found: dict[str, object] = {}
    for package in generator().PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            found[name] = found[f"{package.removeprefix('rondeau.')}.{name}"] = getattr(module, name)
    return found


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.S)


def spoken(page: str) -> list[str]:
    """What a page's sentences and tables say in code."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGES[page], flags=re.S))


def options(command: typer.core.TyperCommand) -> set[str]:
    return {name for item in command.params for name in (*item.opts, *item.secondary_opts) if name.startswith("-")} | {"--help"}


@pytest.mark.parametrize("name", generator().PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert PAGES[f"docs/{name}.md"] == getattr(generator(), name)(), "run: python docs/generate.py"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_code_in_the_pages_runs(page: str, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page}, block {number}", "exec"), scope)
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_in_the_pages_are_understood(page: str) -> None:
    for line in "".join(blocks(page, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["rondeau"]:
            name = command_of(words)
            COMMANDS[name].make_context(name, words[1 + len(name.split()) :])
    for line in spoken(page):
        words = line.split()
        if name := command_of(words):
            unknown = {word for word in words[2:] if word.startswith("--")} - options(COMMANDS[name])
            assert not unknown, line
        elif words[0].startswith("--") and words[0] != "--version":
            assert any(words[0] in options(command) for command in COMMANDS.values()), line


def test_every_option_is_documented() -> None:
    for name, command in COMMANDS.items():
        section = PAGES["docs/commands.md"].split(f"## rondeau {name}\n")[1].split("\n## ")[0]
        missing = {option for option in options(command) - {"--help"} if f"`{option}`" not in section}
        assert not missing, name
    assert "--version" in PAGES["docs/commands.md"]


def test_every_public_name_is_documented() -> None:
    for package in generator().PACKAGES:
        section = PAGES["docs/api.md"].split(f"## {package}\n")[1].split("\n## ")[0]
        module = importlib.import_module(package)
        names = {name for name in module.__all__ if name[0] != "_" and not isinstance(getattr(module, name), ModuleType)}
        assert {name for name in names if f"`{name}`" not in section} == set(), package


@pytest.mark.parametrize("page", ["docs/choose-a-cell.md"])  # what docs/coverage.md names is run below
def test_names_in_the_tables_exist(page: str) -> None:
    known = public()
    for code in spoken(page):
        for dotted in re.findall(r"(?<![.\w])(?:cells|nn|ir|engine|data|models|train)\.\w+", code):
            assert dotted in known, code
        for called, arguments in re.findall(r"(?<![.\w])((?:\w+\.)?\w+)\(([^()]*)\)", code):
            if called not in known and "." in called:
                continue  # a method
            assert called in known, code
            taken = inspect.signature(known[called]).parameters  # type: ignore[arg-type]
            assert set(re.findall(r"(\w+)=", arguments)) <= set(taken), code


def test_every_cell_is_placed_by_need() -> None:
    assert [name for name in ALL if f"`{name}`" not in PAGES["docs/choose-a-cell.md"]] == []


def test_the_number_of_cells_is_right() -> None:
    told = re.findall(r"(\d+) (?:of them|cells)", PAGES["README.md"] + (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert told and set(told) == {str(len(ALL))}


def test_every_coverage_row_has_a_line() -> None:
    text = PAGES["docs/coverage.md"]
    counts = {"A1": 28, "A2": 19, "A3": 13, "A4": 15, "A5": 13}
    wanted = [f"{part}.{i:02d}" for part, count in counts.items() for i in range(1, count + 1)]
    wanted += [f"A7.{i}" for i in range(1, 7)]
    lines = [line for line in text.splitlines() if line.startswith("| A")]
    ids = [line.split("|")[1].strip() for line in lines]
    assert [row for row in ids if row != "A6" and not row.startswith("A6.")] == wanted
    assert all(len(line.split("|")) == 5 and all(part.strip() for part in line.split("|")[1:4]) for line in lines)


@functools.cache
def coverage_scope() -> dict[str, object]:
    scope: dict[str, object] = {}
    exec(blocks("docs/coverage.md", "python")[0], scope)
    return scope


def runs(code: str) -> bool:
    """Whether ``code`` is a command that is understood, a target of make, or Python that runs."""
    words = shlex.split(code)
    if words[0] == "rondeau":
        name = command_of(words)
        return bool(COMMANDS[name].make_context(name, words[1 + len(name.split()) :]))
    if words[0] == "make":
        return f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    eval(code, dict(coverage_scope()))
    return True


COVERAGE = [line.split("|")[1:4] for line in PAGES["docs/coverage.md"].splitlines() if line.startswith("| A")]


@pytest.mark.parametrize("row", [row for row in COVERAGE if row[2].strip() != "not yet"], ids=lambda row: row[0].strip())
def test_what_a_coverage_row_names_runs(row: list[str]) -> None:
    named = re.findall(r"`([^`]+)`", row[1])
    assert (named or "](" in row[1]) and all(map(runs, named))


def test_tests_that_the_coverage_names_exist() -> None:
    text = PAGES["docs/coverage.md"]
    for path in set(re.findall(r"`(tests/[\w/]+\.py)`", text)):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), path
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else []
        for item in (node, *members):
            public = isinstance(item, (ast.FunctionDef, ast.ClassDef)) and not item.name.startswith("_")
            if public and "overload" not in map(ast.unparse, item.decorator_list):
                assert ast.get_docstring(item), f"{path}: {item.name}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", PAGES[page]):
        assert ((ROOT / page).parent / link).exists(), link
