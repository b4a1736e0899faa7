"""Writes the pages that the code decides: ``python docs/generate.py``. A test holds them against it."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import typer

from rondeau.cells import ALL, gru, sources
from rondeau.cli import app
from rondeau.engine.stages import stage
from rondeau.ir import Source
from rondeau.train import Settings

PACKAGES = (
    "rondeau",
    "rondeau.ir",
    "rondeau.cells",
    "rondeau.engine",
    "rondeau.nn",
    "rondeau.data",
    "rondeau.models",
    "rondeau.train",
)
PAGES = ("commands", "api", "kernel", "benchmarks", "bibliography")
HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"


def commands() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", "", "Written by `python docs/generate.py` from the commands' own help.", ""]
    whole = typer.main.get_command(app)
    lines += [f"`rondeau {_names(item)[1:]}: {_help(item)}" for item in whole.params if item.name != "help"]
    lines += ["`rondeau COMMAND --help` shows what follows here, for one command.", ""]
    for name, command in whole.commands.items():  # type: ignore[attr-defined]
        settings = name == "train"  # the options left out there are those of Settings
        lines += [f"## rondeau {name}", "", (command.help or "").split("\n\nExample:")[0].strip(), "", "| | |", "|---|---|"]
        lines += [f"| {_names(item)} | {_help(item, settings)} |" for item in command.params if item.name != "help"]
        if "Example:" in (command.help or ""):
            lines += ["", "```sh", command.help.split("Example:")[1].strip(), "```"]
        lines.append("")
    return "\n".join(lines)


def _names(item: object) -> str:
    options = [*getattr(item, "opts", ()), *getattr(item, "secondary_opts", ())]
    shown = [f"`{option}`" for option in options] if options[0].startswith("-") else [f"`{options[0].upper()}`"]
    return " ".join(shown)


def _help(item: object, settings: bool = False) -> str:
    default = getattr(item, "default", None)
    if settings and default is None and item.name != "corpus":
        default = getattr(Settings(), item.name, None)
    plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    return (getattr(item, "help", None) or "") + (f" (default {default})" if plain else "")


def api() -> str:
    """Every public name with its signature and the first sentence of its docstring."""
    lines = ["# API", "", "Written by `python docs/generate.py` from the docstrings, which say more: `help(rondeau.scan)`.", ""]
    for package in PACKAGES:
        module = importlib.import_module(package)
        lines += [f"## {package}", "", (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "), ""]
        lines += [*_entries(package), ""]
    return "\n".join(lines)


def _entries(package: str) -> Iterator[str]:
    module = importlib.import_module(package)
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if inspect.ismodule(value) or name.startswith("__"):
            continue
        own = callable(value) and getattr(value, "__doc__", None)
        summary = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ") if own else _constant(value)
        yield f"- `{name}`: {summary}"


def _constant(value: object) -> str:
    return f"a table of {len(value)} entries" if hasattr(value, "__len__") else type(value).__name__


def kernel() -> str:
    """The page on how a cell becomes a kernel, with the stages of a GRU as the engine prints them."""
    shown = {name: stage(gru(), name, {"input": 32, "hidden": 64}) for name in ("equations", "gradient", "plan")}
    return (HERE / "kernel.template").read_text(encoding="utf-8").format(**shown)


def benchmarks() -> str:
    """The page of figures, from the lines of JSON in benchmarks/results."""
    return (HERE / "benchmarks.template").read_text(encoding="utf-8").format(cells=_speeds(), dropin_fuzz=_agreements())


def _measured(name: str, key: Callable[[dict[str, Any]], Hashable]) -> list[dict[str, Any]]:
    """The newest line of a results file for each value of ``key``, in the order of their first lines."""
    lines = (RESULTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return list({key(row): row for row in map(json.loads, lines)}.values())


def _table(head: str, rows: Iterator[str]) -> str:
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows])


def _speeds() -> str:
    rows = _measured("cells", lambda row: (row["kind"], *row["shape"]))
    facts = sorted({f"torch {r['torch']}, {r['threads']} threads, {r['machine']}" for r in rows})
    head = "| layer | time, batch, input, hidden | forward and all gradients | inference | ours, ms | PyTorch, ms |"
    return _table(head, map(_speed, rows)) + "\n\n" + "; ".join(facts) + "."


def _speed(r: dict[str, Any]) -> str:
    train, infer = f"{r['train']:.2f} ({r['train_median']:.2f})", f"{r['infer']:.2f} ({r['infer_median']:.2f})"
    size = ", ".join(map(str, r["shape"]))
    return f"| {r['kind']} | {size} | {train} | {infer} | {r['ours_ms']:.2f} | {r['theirs_ms']:.2f} |"


def _agreements() -> str:
    rows = _measured("dropin_fuzz", lambda row: (row["class"], row["backend"], *row["ran"]))
    head = "| class | backend asked for | backends that ran, calls | configurations | agree |"
    return _table(head, map(_agreement, rows))


def _agreement(r: dict[str, Any]) -> str:
    ran = ", ".join(f"{name} {calls:,}" for name, calls in r["ran"].items()) or "not recorded"
    return f"| {r['class']} | {r['backend']} | {ran} | {r['trials']:,} | {r['agreed']:,} |"


def bibliography() -> str:
    """The page of sources: those of the zoo, and those that the rest of the code and the lectures name."""
    return (HERE / "bibliography.template").read_text(encoding="utf-8").format(cells="\n".join(_cited()))


def _cited() -> Iterator[str]:
    used: dict[Source, list[str]] = {s: [] for s in vars(sources).values() if isinstance(s, Source) and s.title}
    for cell in ALL.values():
        if cell.source.title:
            used.setdefault(cell.source.noting(""), []).append(f"`{cell.name}`")
    for source in sorted(used, key=lambda s: (s.authors.lower(), s.year)):
        yield f"- {source}" + (": " + ", ".join(used[source])) * bool(used[source])


if __name__ == "__main__":
    for page in PAGES:
        (HERE / f"{page}.md").write_text(globals()[page](), encoding="utf-8")
