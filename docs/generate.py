"""Writes docs/commands.md and docs/api.md from the code: ``python docs/generate.py``. A test holds them against it."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import typer

from rondeau.cells import gru
from rondeau.cli import app
from rondeau.engine.stages import stage

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
HERE = Path(__file__).parent


def commands() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", "", "Written by `python docs/generate.py` from the commands' own help.", ""]
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        lines += [f"## rondeau {name}", "", (command.help or "").split("\n\nExample:")[0].strip(), "", "| | |", "|---|---|"]
        lines += [f"| {_names(item)} | {_help(item)} |" for item in command.params if item.name != "help"]
        if "Example:" in (command.help or ""):
            lines += ["", "```sh", command.help.split("Example:")[1].strip(), "```"]
        lines.append("")
    return "\n".join(lines)


def _names(item: object) -> str:
    options = [*getattr(item, "opts", ()), *getattr(item, "secondary_opts", ())]
    shown = [f"`{option}`" for option in options] if options[0].startswith("-") else [f"`{options[0].upper()}`"]
    return " ".join(shown)


def _help(item: object) -> str:
    default = getattr(item, "default", None)
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
    """The page of figures, from the newest line of benchmarks/results/cells.jsonl for each layer and shape."""
    lines = (HERE.parent / "benchmarks" / "results" / "cells.jsonl").read_text(encoding="utf-8").splitlines()
    newest = {(row["kind"], tuple(row["shape"])): row for row in map(json.loads, lines)}
    rows = [
        "# Benchmarks",
        "",
        "Written by `python docs/generate.py` from `benchmarks/results/cells.jsonl`; `python benchmarks/cells.py` adds to it.",
        "Ratios are PyTorch's time over ours: above 1 is faster than PyTorch. Minimum over repeats, median in brackets.",
        "Equality of outputs and all gradients is asserted first; the competitors take turns in one process. Inference leaves",
        "the LSTM to PyTorch's kernel, which is the faster one there.",
        "",
        "| layer | time, batch, input, hidden | forward and all gradients | inference | ours, ms | PyTorch, ms |",
        "|---|---|---|---|---|---|",
    ]
    for (kind, shape), r in newest.items():
        train, infer = f"{r['train']:.2f} ({r['train_median']:.2f})", f"{r['infer']:.2f} ({r['infer_median']:.2f})"
        size = ", ".join(map(str, shape))
        rows.append(f"| {kind} | {size} | {train} | {infer} | {r['ours_ms']:.2f} | {r['theirs_ms']:.2f} |")
    facts = sorted({f"torch {r['torch']}, {r['threads']} threads, {r['machine']}" for r in newest.values()})
    return "\n".join([*rows, "", "; ".join(facts) + ". The machine was shared, so single figures vary by a tenth or two.", ""])


if __name__ == "__main__":
    (HERE / "benchmarks.md").write_text(benchmarks(), encoding="utf-8")
    (HERE / "kernel.md").write_text(kernel(), encoding="utf-8")
    (HERE / "commands.md").write_text(commands(), encoding="utf-8")
    (HERE / "api.md").write_text(api(), encoding="utf-8")
