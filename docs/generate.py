"""Writes the pages that the code decides: ``python docs/generate.py``. A test holds them against it."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, get_origin

import typer
from typer.core import TyperGroup

from rondeau.cells import ALL, gru, sources
from rondeau.cli import app
from rondeau.engine.stages import stage
from rondeau.ir import Source

PACKAGES = (
    "rondeau",
    "rondeau.ir",
    "rondeau.cells",
    "rondeau.engine",
    "rondeau.nn",
    "rondeau.data",
    "rondeau.models",
    "rondeau.estimators",
    "rondeau.train",
    "rondeau.diagnostics",
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
    for name, command in leaves(whole.commands).items():  # type: ignore[attr-defined]
        lines += [f"## rondeau {name}", "", (command.help or "").split("\n\nExample:")[0].strip(), "", "| | |", "|---|---|"]
        lines += [f"| {_names(item)} | {_help(item)} |" for item in command.params if item.name != "help"]
        if "Example:" in (command.help or ""):
            lines += ["", "```sh", command.help.split("Example:")[1].strip(), "```"]
        lines.append("")
    return "\n".join(lines)


def leaves(found: dict[str, Any]) -> dict[str, Any]:
    """All commands, those of a group by both names, as ``fit classify``."""
    whole: dict[str, Any] = {}
    for name, command in found.items():
        inner = leaves(command.commands) if isinstance(command, TyperGroup) else {}
        whole |= {f"{name} {part}": leaf for part, leaf in inner.items()} or {name: command}
    return whole


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
    listed: dict[str, object] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        values = {name: getattr(module, name) for name in sorted(module.__all__, key=str.lower) if not name.startswith("__")}
        values = {name: value for name, value in values.items() if not inspect.ismodule(value)}
        again = [name for name, value in values.items() if name in listed and listed[name] is value]
        lines += [f"## {package}", "", (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "), ""]
        lines += [_entry(name, value) for name, value in values.items() if name not in again]
        lines += ["", "Also here, as above: " + ", ".join(f"`{name}`" for name in again) + "."] * bool(again) + [""]
        listed |= values
    return "\n".join(lines)


def _entry(name: str, value: object) -> str:
    if get_origin(value) is Literal:
        return f"- `{name}`: one of {', '.join(f'`{each!r}`' for each in get_args(value))}"
    own = callable(value) and getattr(value, "__doc__", None)
    summary = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ") if own else _constant(value)
    signature = _signature(value)
    return f"- `{name}`{f' `{signature}`' if signature else ''}: {summary}"


def _signature(value: object) -> str:
    """The arguments with their types and defaults, and the result; nothing for a constant, an error or a protocol."""
    if not callable(value) or (inspect.isclass(value) and (issubclass(value, BaseException) or Protocol in value.__bases__)):
        return ""
    try:
        whole = inspect.signature(value)
    except ValueError:
        return ""
    arguments = whole.replace(parameters=[_argument(each) for each in whole.parameters.values()], return_annotation=whole.empty)
    result = whole.empty if inspect.isclass(value) else whole.return_annotation
    return str(arguments) + ("" if result is whole.empty else f" -> {_Bare(result)!r}")


def _argument(each: inspect.Parameter) -> inspect.Parameter:
    if each.annotation is not each.empty:
        each = each.replace(annotation=_Bare(each.annotation))
    return each if each.default is each.empty else each.replace(default=_Default(each.default))


class _Bare:
    """A type as it was written."""

    def __init__(self, written: object) -> None:
        self.text = written if isinstance(written, str) else inspect.formatannotation(written)

    def __repr__(self) -> str:
        return self.text


class _Default:
    """A default that reads the same on every run: functions by their names, values of our own by their class."""

    def __init__(self, value: object) -> None:
        name = getattr(value, "__name__", None)
        plain = isinstance(value, (str, int, float, tuple, type(None)))
        self.text = name or (repr(value) if plain else f"{type(value).__name__}(...)")

    def __repr__(self) -> str:
        return self.text


def _constant(value: object) -> str:
    return f"a table of {len(value)} entries" if hasattr(value, "__len__") else type(value).__name__


def kernel() -> str:
    """The page on how a cell becomes a kernel, with the stages of a GRU as the engine prints them."""
    shown = {name: stage(gru(), name, {"input": 32, "hidden": 64}) for name in ("equations", "gradient", "plan")}
    return (HERE / "kernel.template").read_text(encoding="utf-8").format(**shown)


def benchmarks() -> str:
    """The page of figures, from the lines of JSON in benchmarks/results."""
    tables = {"cells": _speeds(), "dropin_fuzz": _agreements(), "peers": _peers(), "generation": _generation(), "runs": _runs()}
    tables["hour"], tables["products"] = _hour(), _products()
    tables |= {name: _table(head, map(row, _engine(name))) for name, (head, row) in ENGINE.items()}
    return (HERE / "benchmarks.template").read_text(encoding="utf-8").format(**tables, zoo=_zoo())


def _measured(name: str, key: Callable[[dict[str, Any]], Hashable]) -> list[dict[str, Any]]:
    """The newest line of a results file for each value of ``key``, in the order of their first lines."""
    lines = (RESULTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return list({key(row): row for row in map(json.loads, lines)}.values())


def _table(head: str, rows: Iterator[str]) -> str:
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows])


def _speeds() -> str:
    rows = _measured("cells", lambda row: (row["kind"], *row["shape"]))
    facts = sorted({_circumstances(r) for r in rows})
    head = "| layer | time, batch, input, hidden | forward and all gradients | inference | ours, ms | PyTorch, ms |"
    return _table(head, map(_speed, rows)) + "\n\n" + "; ".join(facts) + "."


def _speed(r: dict[str, Any]) -> str:
    train, infer = f"{r['train']:.2f} ({r['train_median']:.2f})", f"{r['infer']:.2f} ({r['infer_median']:.2f})"
    return f"| {r['kind']} | {_size(r)} | {train} | {infer} | {r['ours_ms']:.2f} | {r['theirs_ms']:.2f} |"


def _agreements() -> str:
    rows = _measured("dropin_fuzz", lambda row: (row["class"], row["backend"], *row["ran"]))
    head = "| class | backend asked for | backends that ran, calls | configurations | agree |"
    return _table(head, map(_agreement, rows))


def _agreement(r: dict[str, Any]) -> str:
    ran = ", ".join(f"{name} {calls:,}" for name, calls in r["ran"].items()) or "not recorded"
    return f"| {r['class']} | {r['backend']} | {ran} | {r['trials']:,} | {r['agreed']:,} |"


def _peers() -> str:
    rows = _measured("peers", lambda row: (row["cell"], *row["shape"]))
    facts = sorted({f"JAX {r['jax']}, torchrecurrent {r['torchrecurrent']}, {_circumstances(r)}" for r in rows})
    head = "| cell | time, batch, input, hidden | ours, ms | GFLOP/s | JAX | torchrecurrent | our loop in Python |"
    return _table(head, map(_peer, rows)) + "\n\n" + "; ".join(facts) + "."


def _peer(r: dict[str, Any]) -> str:
    others = (f"{r['ratio'][name]:.1f}" if name in r["ratio"] else "" for name in ("jax", "torchrecurrent", "loop"))
    return f"| `{r['cell']}` | {_size(r)} | {r['ms']['rondeau']:.2f} | {r['gflops']:.0f} | {' | '.join(others)} |"


def _generation() -> str:
    rows = _measured("generation", lambda row: row["model"])
    head = "| model | ours, microseconds | PyTorch | ratio |"
    return _table(head, (f"| {r['model']} | {r['ours_us']:.0f} | {r['theirs_us']:.0f} | {r['ratio']:.1f} |" for r in rows))


def _runs() -> str:
    damaged, cut = _measured("hostile_runs", lambda row: row["begin"]), _measured("resume_kill", lambda row: row["figure"])
    names = {"random": "kills at random moments", "calls": "kills at every call", "errors": "failures of every call"}
    rows = [f"| changed folders | {r['trials']:,} | {_outcomes(r['outcomes'])} | {r['bad']} |" for r in damaged]
    rows += [f"| {names[r['figure']]} | {r['trials']:,} | {_outcomes(r['outcomes'])} | {r['bad']} |" for r in cut]
    return _table("| what | trials | outcomes | bad |", iter(rows))


def _products() -> str:
    rows = _measured("products", lambda row: (row["machine"], row["threads"], row["product"], *row["size"]))
    facts = sorted({_circumstances(r) for r in rows})
    head = "| product | rows, inner, columns | ours | PyTorch's | oneDNN's | taken |"
    return _table(head, map(_product, rows)) + "\n\n" + "; ".join(facts) + "."


def _product(r: dict[str, Any]) -> str:
    speeds = (f"{r['gflops'][name]:.0f}" if name in r["gflops"] else "" for name in ("own", "blas", "onednn"))
    return f"| {r['product']} | {', '.join(map(str, r['size']))} | {' | '.join(speeds)} | {r['taken']} |"


def _outcomes(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _size(r: dict[str, Any]) -> str:
    return ", ".join(map(str, r["shape"]))


def _circumstances(r: dict[str, Any]) -> str:
    return f"torch {r['torch']}, {r['threads']} threads, {r['machine']}"


def _engine(name: str) -> list[dict[str, Any]]:
    """The newest lines of a figure of the engine."""
    rows = _measured("engine", lambda row: (row["figure"], row.get("cell"), *row.get("shape", ())))
    return [row for row in rows if row["figure"] == name]


def _zoo() -> str:
    """A row a cell, the dearest first; in bold what lies above the aim: 1.25, with layer norm 1.5."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _engine("zoo"):
        found.setdefault(row["cell"], []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: -row["shape"][3])
    ranked = sorted(found.items(), key=lambda item: -item[1][0]["per_flop"])
    sizes = [_size(row) for row in found["lstm"]]
    head = "| cell | " + " | ".join(f"{size} | GFLOP/s" for size in sizes) + " |"
    return _table(head, (f"| `{name}` | {' | '.join(_per_flop(row) for row in rows)} |" for name, rows in ranked))


def _per_flop(r: dict[str, Any]) -> str:
    aim = 1.5 if "layer_norm" in r["cell"] else 1.25
    text = f"{r['per_flop']:.2f}"
    return f"{text if r['per_flop'] <= aim else f'**{text}**'} | {r['gflops']:.0f}"


def _diagonal(r: dict[str, Any]) -> str:
    return f"| `{r['cell']}` | {_size(r)} | {r['ours']:.2f} | {r['products']:.2f} | {r['pass']:.2f} | {r['ratio']:.2f} |"


def _roof(r: dict[str, Any]) -> str:
    times = f"{r['ours']:.1f} | {r['outside']:.1f}"
    return f"| {_size(r)} | {times} | {r['gflops']:.0f} | {r['square_gflops']:.0f} | {r['share']:.2f} |"


def _ragged(r: dict[str, Any]) -> str:
    return f"| {_size(r)} | {r['steps']:.2f} | {r['ours']:.1f} | {r['cost']:.2f} | {r['against_packed']:.1f} |"


def _build(r: dict[str, Any]) -> str:
    return f"| `{r['cell']}` | {r['first']:.0f} | {r['cached']:.0f} |"


def _memory(r: dict[str, Any]) -> str:
    ours, theirs = (f"{r[name]['after']:.0f} ({r[name]['after'] - r[name]['before']:.0f})" for name in ("ours", "theirs"))
    return f"| {_size(r)} | {ours} | {theirs} | {r['ratio']:.2f} |"


def _hour() -> str:
    (r,) = _measured("memory_hour", lambda row: row["threads"])
    settling, whole = r["settling"] / 60, r["seconds"] / 60
    return (
        f"In {whole:.0f} minutes {r['models']:,} models of {r['steps']:,} steps in all: {r['then']} MB in the five minutes "
        f"after the first {settling:.0f}, {r['last']} MB in the last five, {100 * r['growth']:+.1f} %; at most "
        f"{r['highest_before']} MB before and {r['highest_after']} MB after. {_circumstances(r)}."
    )


def _imports(r: dict[str, Any]) -> str:
    return f"| {r['torch_ms']:.0f} | {r['rondeau_ms']:.0f} |"


ENGINE: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "diagonal": ("| cell | time, batch, input, hidden | ours, ms | products, ms | copy, ms | ratio |", _diagonal),
    "roof": (
        "| time, batch, input, hidden | ours, ms | products outside the loop, ms | GFLOP/s | square product | share |",
        _roof,
    ),
    "ragged": ("| time, batch, input, hidden | share of steps | ours, ms | cost | PyTorch, packed, over ours |", _ragged),
    "build": ("| cell | first, ms | from the disk cache, ms |", _build),
    "memory": ("| time, batch, input, hidden | ours, MiB | PyTorch, MiB | ratio |", _memory),
    "imports": ("| torch, ms | rondeau, ms |", _imports),
}
"""The figures of benchmarks/engine.py but for the zoo: the head of each table, and how a line of results becomes a row."""


def bibliography() -> str:
    """The page of sources: those of the zoo, and those that the rest of the code and the pages name."""
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
