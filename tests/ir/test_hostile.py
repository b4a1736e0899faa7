"""Nothing that a stranger writes as a cell is believed: it is refused in a sentence, or is what it says."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import rondeau as rd
from rondeau import CellError, InputError
from rondeau.cells import ALL
from rondeau.ir import Cell, Expr, from_json, to_json
from rondeau.ir.ops import OPS
from rondeau.ir.rewrite import primitive

sys.path.insert(0, str(Path(__file__).parent))
from hostile import DOCUMENTS, changed, verdict

TEXTS = [to_json(cell) for cell in ALL.values()]


def test_there_are_many() -> None:
    assert len(DOCUMENTS) >= 88 and len(set(DOCUMENTS.values())) == len(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_cell_is_refused_in_a_line(name: str) -> None:
    assert verdict(DOCUMENTS[name]) == "refused"


@pytest.mark.parametrize("given", [None, 1, b"{}", ["{}"], {}])
def test_what_is_no_text_is_refused(given: object) -> None:
    with pytest.raises(CellError, match="read from text"):
        from_json(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ALL)
def test_a_sound_cell_is_what_it_was(name: str) -> None:
    assert verdict(to_json(ALL[name])) == "same" and from_json(to_json(ALL[name])) == ALL[name]


def test_changes_are_refused_or_are_what_they_say() -> None:
    found = [verdict(changed(pick.choice(TEXTS), pick)) for pick in map(random.Random, range(300))]
    assert set(found) == {"refused", "same"}


def test_a_fault_of_the_reader_would_be_seen(monkeypatch) -> None:
    monkeypatch.setattr("rondeau.ir.serialise._same_text", lambda first, second: True)
    monkeypatch.setattr("rondeau.ir.serialise.fields", lambda value, what, names: value)
    found = [verdict(changed(pick.choice(TEXTS), pick)) for pick in map(random.Random, range(300))]
    assert "changed silently" in found


def test_reading_takes_little_memory() -> None:
    script = (
        "import resource, sys\nfrom hostile import DOCUMENTS, verdict\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert {verdict(text) for text in DOCUMENTS.values()} == {'refused'}\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // (1 if sys.platform != 'darwin' else 1024))\n"
    )
    if sys.platform == "win32":
        pytest.skip("Windows has no module resource to ask")
    path = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{script}"], capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    assert int(done.stdout) < 200 * 1024, f"{done.stdout} KiB"


# large, but sound


def tower(count: int, op: str) -> Cell:
    @rd.cell
    def high(x=rd.input("hidden"), h=rd.state()):
        for _ in range(count):
            h = {"tanh": lambda v: rd.tanh(v + x), "double": lambda v: 0.5 * v + 0.5 * v, "mean": lambda v: v - rd.mean(v)}[op](
                h
            )
        return 0 * h + rd.tanh(x)

    return high


@pytest.mark.parametrize("op", ["tanh", "double", "mean"])
def test_a_step_too_large_for_a_kernel_runs_without_one(op: str) -> None:
    cell, x = tower(600, op), torch.randn(2, 3, 4)
    with pytest.raises(InputError, match=r"a step has [\d,]+ operations"):
        rd.scan(cell, {}, x, backend="compiled")
    y, _ = rd.scan(cell, {}, x)
    torch.testing.assert_close(y, torch.tanh(x))
    assert from_json(to_json(cell)) == cell


def test_an_equation_too_long_to_print_is_refused() -> None:
    with pytest.raises(CellError, match="give parts of it names of their own"):

        @rd.cell
        def sprawling(x=rd.input("hidden"), h=rd.state()):
            parts = [h]
            for _ in range(60):
                parts.append(parts[-1] + parts[-1])
            return parts[-1] + x


def test_a_message_about_something_long_is_short() -> None:
    def grown(value: Expr) -> Expr:
        for _ in range(60):
            value = rd.tanh(value + value)
        return value

    with pytest.raises(CellError, match="equal widths") as caught:

        @rd.cell
        def wrong(x=rd.input(), h=rd.state()):
            return grown(h) + x

    assert len(str(caught.value).partition("\n")[0]) < 600


def test_named_ops_expand_once(monkeypatch) -> None:
    """A chain of named ops is expanded in one walk, not in one walk for each."""
    calls = 0
    expand = OPS["silu"].expand

    def counted(*args):
        nonlocal calls
        calls += 1
        return expand(*args)

    monkeypatch.setitem(OPS, "silu", replace(OPS["silu"], expand=counted))
    value = tower(1, "tanh").states[0].symbol
    for _ in range(200):
        value = rd.silu(value)
    primitive([value])
    assert calls == 200
