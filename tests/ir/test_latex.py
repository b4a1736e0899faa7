"""LaTeX that a real engine sets, and that a notebook shows."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import rondeau as rd
from rondeau import Source, cells
from rondeau.cells import ALL
from rondeau.ir import Cell, latex

ENGINES = ("pdflatex", "lualatex", "xelatex", "tectonic")
KNOWN = {
    "begin", "end", "left", "right", "mathrm", "text", "operatorname", "frac", "sqrt", "odot", "cdot", "sigma", "tanh", "exp",
    "log", "sin", "cos", "max", "min", "le", "ne", "land", "lor", "lnot", "top", "textstyle", "sum", "lfloor", "rfloor", "tau",
    "alpha", "beta", "gamma", "lambda", "mu", "phi", "rho", "theta", "omega",
}  # fmt: skip
"""Commands of LaTeX and amsmath."""


@rd.cell(source="50 % <b>new</b> & old_1 #2")
def names(
    x=rd.input(),
    alpha_1=rd.state(),
    forget_gate2=rd.state("hidden"),
    σ=rd.weight("gate_one two", "hidden", "input"),
    Wé=rd.weight("hidden", "hidden"),
    ж=rd.bias("hidden"),
    _under=rd.vector("hidden"),
):
    alpha_1 = rd.tanh(σ.gate_one @ x + Wé.T @ forget_gate2 + ж) * _under
    test = (alpha_1 == 0) & ~(x[:1] < 2) | (rd.time() != 3)
    forget_gate2 = rd.where(test, rd.gelu(alpha_1), 1e-7 * rd.past(forget_gate2, 4)) + rd.total(alpha_1[1:-2]) / rd.largest(
        alpha_1
    )
    forget_gate2 = forget_gate2 % 2 + abs(rd.floor(rd.sqrt(alpha_1))) - rd.hard_sigmoid(σ.two @ x) + rd.normalise(alpha_1)
    forget_gate2 = forget_gate2 + rd.softmax(rd.concat(alpha_1["hidden/2":], alpha_1[:"hidden/2"]))
    return alpha_1, forget_gate2


def every_function() -> Cell:
    @rd.cell
    def functions(x=rd.input("hidden"), h=rd.state()):
        h = h + x
        for name in cells.simple.ACTIVATIONS:
            h = rd.ir.expressions.apply(name, h) - rd.ir.expressions.apply(name, x * h)
        return h

    return functions


SHOWN = {**ALL, "names": names, "functions": every_function()}


@pytest.mark.parametrize("name", SHOWN)
def test_only_known_commands_are_used(name: str) -> None:
    text = latex(SHOWN[name])
    assert text.isascii() and set(re.findall(r"\\([a-zA-Z]+)", text)) <= KNOWN
    assert set(re.findall(r"\\begin\{(\w+)\}", text)) <= {"aligned", "cases"}


def test_a_real_engine_sets_every_cell(tmp_path: Path) -> None:
    engine = next((name for name in ENGINES if shutil.which(name)), None)
    if engine is None:
        pytest.skip(f"none of {', '.join(ENGINES)} is installed, as by apt-get install texlive-latex-base")
    pages = "\n\\newpage\n".join(f"{cell._repr_latex_()}" for cell in SHOWN.values())
    text = f"\\documentclass{{article}}\n\\usepackage{{amsmath}}\n\\begin{{document}}\n{pages}\n\\end{{document}}\n"
    (tmp_path / "cells.tex").write_text(text, encoding="utf-8")
    options = [] if engine == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([engine, *options, "cells.tex"], cwd=tmp_path, capture_output=True, timeout=300)
    assert not done.returncode, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "cells.pdf").stat().st_size > 10_000


def test_a_notebook_shows_the_equations() -> None:
    lstm = cells.lstm()
    assert lstm._repr_latex_() == f"$$\n{latex(lstm)}\n$$"
    shown = names._repr_html_()
    assert shown.startswith("<p><b>names</b>: 50 % &lt;b&gt;new&lt;/b&gt; &amp; old_1 #2</p>")
    assert html.unescape(shown).endswith(names._repr_latex_()) and "<b>new" not in shown and " < " not in shown
    assert cells.elman().renamed("<x>")._repr_html_().startswith("<p><b>&lt;x&gt;</b>")
    bare = rd.cell(lambda x=rd.input("hidden"), h=rd.state(): h + x, source=Source(), name="bare")
    assert bare._repr_html_().startswith("<p><b>bare</b></p>\n")


def test_letters_beyond_ascii_have_a_spelling() -> None:
    lines = latex(names)
    assert r"\sigma_{\mathrm{gate},\mathrm{one}} x_{t}" in lines
    assert r"\mathrm{We}^\top" in lines and r" + u_{436}" in lines
