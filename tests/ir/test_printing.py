"""What a cell prints: text that is the cell, LaTeX that is LaTeX, BibTeX and a table."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rondeau import Source, bias, cell, cells, concat, input, normalise, softmax, state, step, tanh, time, weight, where
from rondeau.cells import ALL
from rondeau.engine.backends.reference import evaluate
from rondeau.ir import Cell, Width, bibtex, latex, table, text
from rondeau.ir.declarations import Parameter
from rondeau.ir.expressions import apply, constant, node
from rondeau.ir.initial import zeros
from rondeau.ir.rewrite import primitive
from rondeau.ir.spelling import spell
from rondeau.ir.typesetting import symbol

SIZES = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 2}
COMPOSED = [
    cells.zoneout(cells.leaky(cells.layer_norm(cells.lstm())), 0.1),
    cells.dropout(cells.deepen(cells.gru_textbook(), 3), 0.2),
    cells.deepen(cells.dropout(cells.clockwork((1, 3)), 0.2), 2),
    cells.conditioned(cells.residual(cells.dropout(cells.lagged_rnn(), 0.3, per="step"))),
    cells.dropout(cells.peephole_lstm("o", full=True), 0.2, on="g"),
    cells.elman(lambda v: softmax(v) - normalise(v), output=True),
]


# the printed lines as a program


class Vector(np.ndarray):
    """Numbers whose comparisons are numbers too."""

    def __lt__(self, other):
        return np.less(self, other).astype(float)

    def __le__(self, other):
        return np.less_equal(self, other).astype(float)

    def __gt__(self, other):
        return np.greater(self, other).astype(float)

    def __ge__(self, other):
        return np.greater_equal(self, other).astype(float)

    def __eq__(self, other):
        return np.equal(self, other).astype(float)

    def __ne__(self, other):
        return np.not_equal(self, other).astype(float)

    def __and__(self, other):
        return np.logical_and(self, other).astype(float)

    def __or__(self, other):
        return np.logical_or(self, other).astype(float)

    __rand__, __ror__ = __and__, __or__

    def __invert__(self):
        return np.logical_not(self).astype(float)


def vector(value) -> Vector:
    return np.atleast_1d(np.asarray(value, float)).view(Vector)


def _normal(v, epsilon):
    return (v - v.mean()) / np.sqrt(v.var() + epsilon)


FUNCTIONS = {
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0),
    "softplus": lambda v: np.logaddexp(v, 0),
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "mod": np.mod,
    "mean": np.mean,
    "sum": np.sum,
    "max": np.max,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "normalise": _normal,
    "where": lambda c, a, b: np.where(np.not_equal(c, 0), a, b),
    "concat": lambda *parts: np.concatenate(parts),
}
VOCABULARY = {name: lambda *args, f=f: vector(f(*map(vector, args))) for name, f in FUNCTIONS.items()}


def program(line: str) -> str:
    """A printed line as Python: ``h[t-1]`` as a name, bounds of ranges as whole numbers."""
    line = re.sub(r"(\w+)\[t-(\d+)\]", r"\1_before\2", line)
    line = re.sub(r"(\w+)\[t\]", r"\1_after", line)
    return re.sub(r"\[([^]:]+):([^]:]+)\]", r"[int(\1):int(\2)]", line)


def block(value: np.ndarray, gates: tuple[str, ...]) -> object:
    return value if gates == ("",) else SimpleNamespace(**dict(zip(gates, np.split(value, len(gates)))))


def drawn(chosen: Cell):
    draw = np.random.default_rng(3)
    params = {p.name: 0.5 * draw.normal(size=p.shape(SIZES)) for p in chosen.parameters}
    inputs = {i.name: draw.uniform(0.2, 1.5, size=i.width.bind(SIZES)) for i in chosen.inputs}
    states = [np.array([3.0]) if s.role == "time" else draw.normal(size=s.width.bind(SIZES)) for s in chosen.states]
    return params, inputs, states


def printed(chosen: Cell, params, inputs, states) -> dict[str, np.ndarray]:
    scope: dict[str, object] = {**VOCABULARY, **SIZES, **{name: vector(value) for name, value in inputs.items()}}
    scope.update((p.name, block(params[p.name], p.gates)) for p in chosen.parameters)
    for s, value in zip(chosen.states, states):
        name, _, lag = s.name.rpartition("_past") if s.role == "past" else (s.name, "", "1")
        scope["t" if s.role == "time" else f"{name}_before{lag}"] = vector(value)
    exec("\n".join(program(line) for line in text(chosen).splitlines()[1:]), scope)
    return scope


@pytest.mark.parametrize("chosen", [*ALL.values(), *COMPOSED], ids=lambda c: c.name)
def test_the_printed_lines_are_the_cell(chosen: Cell) -> None:
    params, inputs, states = drawn(chosen)
    found = printed(chosen, params, inputs, states)
    rows = {name: torch.from_numpy(value)[None] for name, value in inputs.items()}
    y, after = step(
        chosen,
        {name: torch.from_numpy(value) for name, value in params.items()},
        rows[chosen.input.name],
        tuple(torch.from_numpy(value)[None] for value in states),
        context={item.name: rows[item.name] for item in chosen.contexts},
        masks={item.name: rows[item.name] for item in chosen.masks},
    )
    names = {expr: f"{s.name}_after" for s, expr in zip(chosen.states, chosen.next) if s.role == "state"}
    own = next((e.name for e in chosen.equations if e.expr is chosen.output), "")
    np.testing.assert_allclose(np.array(found[names.get(chosen.output, own)]), y[0].numpy())
    for s, value in zip(chosen.states, after):
        if s.role == "state":
            np.testing.assert_allclose(np.array(found[f"{s.name}_after"]), value[0].numpy())


WIDE = Width.of(3)
LEAF = {name: node("input", (), (name,), WIDE) for name in "xk"} | {"h": node("state", (), ("h",), WIDE)}
MATRIX = Parameter("W", ("",), WIDE, WIDE, zeros(), "weight").block()
BINARY = ("add", "sub", "mul", "minimum", "lt", "le", "eq", "ne", "and", "or")
UNARY = ("neg", "not", "tanh", "sigmoid", "abs", "sum", "mean")
SHAPES = st.recursive(
    st.sampled_from(["x", "h", 0.5, -2.0, 3.0]),
    lambda inner: (
        st.tuples(st.sampled_from(BINARY), inner, inner)
        | st.tuples(st.sampled_from(UNARY), inner)
        | st.tuples(st.sampled_from(("W", "W.T", "over", "part")), inner)
        | st.tuples(st.just("where"), inner, inner, inner)
    ),
    max_leaves=12,
)


def grown(shape):
    """The expression of a shape."""
    if not isinstance(shape, tuple):
        return LEAF[shape] if isinstance(shape, str) else constant(shape)
    op, args = shape[0], [grown(arg) for arg in shape[1:]]
    wide = args[0] + LEAF["x"]
    if op == "W":
        return MATRIX @ wide
    if op == "W.T":
        return MATRIX.T @ wide
    if op == "over":
        return wide / (1 + abs(args[0]))
    return concat(wide[0:1], wide[1:3]) if op == "part" else apply(op, *args)


@settings(max_examples=200)
@given(SHAPES)
def test_an_expression_reads_back_and_is_one_object(shape) -> None:
    assert grown(shape) is grown(shape)
    reads_back(shape)


ALONE = ("neg", "not", "W", "W.T")


@pytest.mark.parametrize("outer", [*BINARY, "div", *ALONE])
@pytest.mark.parametrize("inner", [*BINARY, "div", *ALONE])
def test_brackets_stand_wherever_they_are_needed(outer: str, inner: str) -> None:
    below = (inner, "h") if inner in ALONE else (inner, "h", "k")
    shapes = [(outer, below)] if outer in ALONE else [(outer, "x", below), (outer, below, "x")]
    for shape in shapes:
        reads_back(shape)


def reads_back(shape) -> None:
    expr = grown(shape)
    draw = np.random.default_rng(0)
    values = {name: vector(draw.normal(size=3)) for name in LEAF} | {"W": draw.normal(size=(3, 3))}
    with np.errstate(divide="ignore"):
        read = eval(program(spell(expr)), {**VOCABULARY, **values, "h_before1": values["h"]})
    known = {**{LEAF[name]: values[name] for name in LEAF}, MATRIX: values["W"]}
    meant = meaning(primitive([expr])[expr], {e: torch.from_numpy(np.array(v)) for e, v in known.items()})
    np.testing.assert_allclose(np.broadcast_to(read, meant.shape), meant.numpy(), rtol=1e-9, atol=1e-12)


def meaning(expr, known):
    if expr in known:
        return known[expr]
    if expr.op in ("constant", "size"):
        return torch.tensor([expr.attrs[0] if expr.op == "constant" else float(expr.attrs[0].bind({}))], dtype=torch.float64)
    return evaluate(expr, [meaning(arg, known) for arg in expr.args], {})


def test_matrix_products_stand_in_brackets_beside_products_of_features() -> None:
    assert "m = (A @ x) * (B @ h[t-1])" in text(cells.multiplicative_lstm())
    assert "r * (U.n @ h[t-1])" in text(cells.gru(biased=False))


def test_delay_lines_and_the_counter_have_no_lines_of_their_own() -> None:
    assert len(text(cells.lagged_rnn(5)).splitlines()) == 2
    assert "h[t-5]" in text(cells.lagged_rnn(5)) and "_past" not in text(cells.lagged_rnn(5))
    assert "mod(t, 2)" in text(cells.clockwork((1, 2))) and "\ntime" not in text(cells.clockwork((1, 2)))
    assert "_{t-5}" in latex(cells.lagged_rnn(5)) and "past" not in latex(cells.lagged_rnn(5))


# LaTeX


def check(source: str) -> None:
    """Braces, brackets and environments close; no symbol has two subscripts."""
    pattern = r"\\(?:left|right)\\?.|\\(?:begin|end)\{\w+\}|\\[a-zA-Z]+|\\.|[{}_^]|[^\\{}_^\s]"
    opened: list[str] = []
    scripts: list[set[str]] = [set()]
    for token in re.findall(pattern, source):
        if token in "_^":
            assert token not in scripts[-1], f"two {token} in a row: {source}"
            scripts[-1].add(token)
        elif token == "{":
            opened.append(token)
            scripts.append(set())
        elif token == "}":
            assert opened.pop() == "{", source
            scripts.pop()
        else:
            if token.startswith((r"\left", r"\begin")):
                opened.append(token)
            elif token.startswith(r"\right"):
                assert opened.pop().startswith(r"\left"), source
            elif token.startswith(r"\end"):
                assert opened.pop() == token.replace("end", "begin"), source
            scripts[-1].clear()
    assert not opened, source


@pytest.mark.parametrize("chosen", [*ALL.values(), *COMPOSED], ids=lambda c: c.name)
def test_latex_is_valid(chosen: Cell) -> None:
    check(latex(chosen))


@pytest.mark.parametrize("wrong", ["a_{t}_{0}", "{a", r"\left(a", r"\begin{aligned}", "a_{b}}", "a^{1}^2"])
def test_the_check_of_latex_finds_faults(wrong: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        check(wrong)


@given(SHAPES)
def test_latex_of_any_expression_is_valid(shape) -> None:
    value = grown(shape) + LEAF["h"]

    @cell
    def any_cell(x=input(3), h=state(3), W=weight(3, 3)):
        h = value + W @ x
        return h

    check(latex(any_cell))


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("x", "x"), ("alpha", r"\alpha"), ("gain1", r"\mathrm{gain}_{1}"), ("n_2", "n_{2}"), ("drop_h", r"\mathrm{drop}_{h}"),
        ("g0_1", "g_{0,1}"), ("forget", r"\mathrm{forget}"),
    ],
)  # fmt: skip
def test_symbols(name: str, spelled: str) -> None:
    assert symbol(name) == spelled


def test_latex_of_a_gru_by_hand() -> None:
    assert latex(cells.gru()).splitlines()[1:4] == [
        r"r_{t} &= \sigma\left(W_{r} x_{t} + U_{r} h_{t-1} + b_{r}\right) \\",
        r"z_{t} &= \sigma\left(W_{z} x_{t} + U_{z} h_{t-1} + b_{z}\right) \\",
        r"n_{t} &= \tanh\left(W_{n} x_{t} + b_{n} + r_{t} \odot \left(U_{n} h_{t-1} + c_{n}\right)\right) \\",
    ]


def test_only_what_moves_has_a_time() -> None:
    lines = latex(cells.rate_rnn()).splitlines()
    assert lines[1].startswith(r"\tau &=") and lines[2].startswith("k_{t} &=")


def test_numbers_in_latex() -> None:
    @cell
    def small(x=input(), h=state(), W=weight("hidden", "input"), b=bias("hidden")):
        h = 1e-5 * tanh(W @ x) - 2.5e-7 * h + where(time() < 3, b, -1.5) * h
        return h

    shown = latex(small)
    assert r"10^{-5} \cdot \tanh" in shown and r"2.5 \cdot 10^{-7} \cdot h_{t-1}" in shown and r"\left[t < 3\right]" in shown


# BibTeX and tables


@pytest.mark.parametrize("name", ALL)
def test_bibtex_has_plain_keys_and_literal_marks(name: str) -> None:
    entry = bibtex(ALL[name])
    if entry.startswith("%"):
        assert "\n" not in entry
        return
    key = re.match(r"@misc\{(\w+),\n", entry)
    assert key is not None and key[1].isascii()
    assert entry.count("{") == entry.count("}")
    plain = "\n".join(line for line in entry.splitlines() if not line.startswith("  url"))
    assert not re.search(r"(?<!\\)[_%&#$]", plain)


def test_bibtex_by_hand() -> None:
    source = Source("Koutník, Jan and others", "R&D of a 100 % Clock_work", 2014, "ICML", "https://a.b/c_d", "50 % {new}")
    assert source.bibtex.splitlines() == [
        "@misc{koutnik2014clock_work,",
        "  author = {Koutník, Jan and others},",
        r"  title = {{R\&D of a 100 \% Clock\_work}},",
        "  year = {2014},",
        "  howpublished = {ICML},",
        "  url = {https://a.b/c_d},",
        r"  note = {50 \% \{new\}},",
        "}",
    ]
    assert source.short == "Koutník et al. 2014, https://a.b/c_d"
    assert Source(note="my own").short == "my own" and Source(note="my own").bibtex == ""


def test_a_table_by_hand() -> None:
    assert table(cells.peephole_lstm("f"), input=3, hidden=4).splitlines() == [
        "parameter  gates    role    shape   elements  starts",
        "W          i f g o  weight  16 x 3        48  glorot 1",
        "U          i f g o  weight  16 x 4        64  orthogonal 1",
        "P          f        vector  4              4  zeros",
        "b          i f g o  bias    16            16  zeros, f: filled 1",
        "total                                    132",
    ]
    assert "4*hidden x input" in table(cells.lstm())
