"""The zoo: its sources, its sizes, and single steps by the formulas of the papers, written out again in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau import InputError, cells, scan, step
from rondeau.cells import ALL, simple
from rondeau.ir import count

I, H = 3, 4


def drawn(cell, **sizes):
    generator = torch.Generator().manual_seed(1)
    known = {"input": I, "hidden": H, **sizes}
    return {p.name: torch.randn(p.shape(known), dtype=torch.float64, generator=generator) for p in cell.parameters}


def one(cell, params, x, state, **more):
    y, after = step(cell, params, torch.from_numpy(x)[None], tuple(torch.from_numpy(s)[None] for s in state), **more)
    return y[0].numpy(), [value[0].numpy() for value in after]


def gates(params, name):
    return np.split(params[name].numpy(), len(params[name]) // H)


def sigma(a):
    return 1 / (1 + np.exp(-a))


rng = np.random.default_rng(0)
x, h, c = rng.normal(size=I), rng.normal(size=H), rng.normal(size=H)


@pytest.mark.parametrize("name", ALL)
def test_every_cell_says_where_it_comes_from(name: str) -> None:
    source = ALL[name].source
    assert str(source)
    assert bool(source.bibtex) == bool(source.title)
    assert ALL[name].name == name


def test_names() -> None:
    assert cells.get("gru") is ALL["gru"]
    with pytest.raises(InputError, match="did you mean"):
        cells.get("lsmt")
    with pytest.raises(InputError, match="rondeau cells"):
        cells.get("zzzzzz")


def test_parameter_counts() -> None:
    n, m = H, I
    sizes = {"input": m, "hidden": n}
    assert count(cells.elman(), **sizes) == n * m + n * n + n
    assert count(cells.lstm(), **sizes) == 4 * (n * m + n * n + n)
    assert count(cells.gru(), **sizes) == 3 * (n * m + n * n + n) + n
    assert count(cells.gru_textbook(), **sizes) == 3 * (n * m + n * n)
    assert count(cells.peephole_lstm(full=True), **sizes) == 4 * (n * m + n * n + n) + 3 * n * n
    assert count(cells.min_gru(), **sizes) == 2 * (n * m + n)


def test_lstm_by_hand() -> None:
    p = drawn(cells.lstm())
    i, f, g, o = (W @ x + U @ h + b for W, U, b in zip(gates(p, "W"), gates(p, "U"), gates(p, "b")))
    new = sigma(f) * c + sigma(i) * np.tanh(g)
    y, (h1, c1) = one(cells.lstm(), p, x, (h, c))
    np.testing.assert_allclose(c1, new)
    np.testing.assert_allclose(h1, sigma(o) * np.tanh(new))
    np.testing.assert_allclose(y, h1)


def test_peepholes_look_at_the_old_cell_and_the_output_gate_at_the_new() -> None:
    for full in (False, True):
        cell = cells.peephole_lstm(full=full)
        p = drawn(cell)
        P = gates(p, "P")
        look = [(lambda v, M=M: M @ v) if full else (lambda v, M=M: M * v) for M in P]
        a = [W @ x + U @ h + b for W, U, b in zip(gates(p, "W"), gates(p, "U"), gates(p, "b"))]
        new = sigma(a[1] + look[1](c)) * c + sigma(a[0] + look[0](c)) * np.tanh(a[2])
        _, (h1, c1) = one(cell, p, x, (h, c))
        np.testing.assert_allclose(c1, new)
        np.testing.assert_allclose(h1, sigma(a[3] + look[2](new)) * np.tanh(new))


@pytest.mark.parametrize("gates_", ["", "i q", "i i"])
def test_peepholes_of_unknown_gates_are_refused(gates_: str) -> None:
    with pytest.raises(InputError, match="choice of 'i f o'"):
        cells.peephole_lstm(gates_)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("keeps", [True, False])
def test_gru_by_hand(after: bool, keeps: bool) -> None:
    cell = cells.gru(after, keeps)
    p = drawn(cell)
    W, U, b = (gates(p, name) for name in "WUb")
    r, z = sigma(W[0] @ x + U[0] @ h + b[0]), sigma(W[1] @ x + U[1] @ h + b[1])
    inner = r * (U[2] @ h + p["c"].numpy()) if after else U[2] @ (r * h)
    n = np.tanh(W[2] @ x + inner + b[2])
    expected = z * h + (1 - z) * n if keeps else (1 - z) * h + z * n
    np.testing.assert_allclose(one(cell, p, x, (h,))[0], expected)


def test_the_textbook_gru_by_hand() -> None:
    p = drawn(cells.gru_textbook())
    W, U = gates(p, "W"), gates(p, "U")
    r, z = sigma(W[0] @ x + U[0] @ h), sigma(W[1] @ x + U[1] @ h)
    n = np.tanh(W[2] @ x + U[2] @ (r * h))
    np.testing.assert_allclose(one(cells.gru_textbook(), p, x, (h,))[0], (1 - z) * h + z * n)


def test_forget_and_update_by_hand() -> None:
    p = drawn(cells.forget_update())
    W, U, b = (gates(p, name) for name in "WUb")
    expected = sigma(W[0] @ x + U[0] @ h + b[0]) * h + np.tanh(W[1] @ x + U[1] @ h + b[1])
    np.testing.assert_allclose(one(cells.forget_update(), p, x, (h,))[0], expected)


def test_minimal_gated_unit_by_hand() -> None:
    p = drawn(cells.minimal_gated_unit())
    W, U, b = (gates(p, name) for name in "WUb")
    f = sigma(W[0] @ x + U[0] @ h + b[0])
    expected = (1 - f) * h + f * np.tanh(W[1] @ x + U[1] @ (f * h) + b[1])
    np.testing.assert_allclose(one(cells.minimal_gated_unit(), p, x, (h,))[0], expected)


def test_jordan_feeds_back_the_output() -> None:
    p = drawn(cells.jordan(), output=2)
    y = rng.normal(size=2)
    hidden = np.tanh(p["W"].numpy() @ x + p["U"].numpy() @ y + p["b"].numpy())
    expected = np.tanh(p["V"].numpy() @ hidden + p["c"].numpy())
    np.testing.assert_allclose(one(cells.jordan(), p, x, (y,))[0], expected)


def test_layer_norm_lstm_by_hand() -> None:
    p = drawn(cells.layer_norm_lstm())

    def norm(v):
        return (v - v.mean()) / np.sqrt(v.var() + 1e-5)

    parts = zip(*(gates(p, name) for name in ("W", "U", "b", "alpha", "beta")))
    i, f, g, o = (beta * norm(W @ x) + alpha * norm(U @ h) + b for W, U, b, alpha, beta in parts)
    new = sigma(f) * c + sigma(i) * np.tanh(g)
    _, (h1, c1) = one(cells.layer_norm_lstm(), p, x, (h, c))
    np.testing.assert_allclose(c1, new)
    np.testing.assert_allclose(h1, sigma(o) * np.tanh(p["gamma"].numpy() * norm(new) + p["d"].numpy()))


def test_highway_by_hand() -> None:
    cell = cells.highway_rnn(2)
    p = drawn(cell)
    W, R, b = (gates(p, name) for name in "WRb")
    s = h
    for i in range(2):
        n, t = R[2 * i] @ s + b[2 * i], R[2 * i + 1] @ s + b[2 * i + 1]
        if i == 0:
            n, t = n + W[0] @ x, t + W[1] @ x
        s = (1 - sigma(t)) * s + sigma(t) * np.tanh(n)
    np.testing.assert_allclose(one(cell, p, x, (h,))[0], s)


def test_the_gap_of_a_rate_unit_composes() -> None:
    """With the drive at rest, two short gaps are one long gap."""
    cell = cells.rate_rnn()
    p = {name: torch.zeros_like(value) if name in "WUb" else value for name, value in drawn(cell).items()}
    xs = torch.zeros(1, 2, I, dtype=torch.float64)
    start = torch.from_numpy(h)[None]
    two, _ = scan(cell, p, xs, start, context=torch.tensor([[[0.3], [0.5]]], dtype=torch.float64))
    one_, _ = scan(cell, p, xs[:, :1], start, context=torch.tensor([[[0.8]]], dtype=torch.float64))
    torch.testing.assert_close(two[:, -1], one_[:, -1])


def test_clockwork_groups_rest_between_their_ticks() -> None:
    cell = cells.clockwork((1, 4))
    xs = torch.randn(1, 8, I, dtype=torch.float64)
    y, _ = scan(cell, drawn(cell), xs)
    slow = y[0, :, H // 2 :]
    assert all(torch.equal(slow[t], slow[t - 1]) == (t % 4 != 0) for t in range(1, 8))
    with pytest.raises(InputError, match="rising positive"):
        cells.clockwork((4, 1))


def test_the_identity_path_of_an_lstm() -> None:
    """With f = 1 and i = 0 the cell is carried unchanged, for ever."""
    big = 1e4
    p = {name: torch.zeros_like(value) for name, value in drawn(cells.lstm()).items()}
    p["b"][:H], p["b"][H : 2 * H] = -big, big
    start = (torch.zeros(1, H, dtype=torch.float64), torch.from_numpy(c)[None])
    _, (_, last) = scan(cells.lstm(), p, torch.randn(1, 50, I, dtype=torch.float64), start)
    assert torch.equal(last, start[1])


def test_zoneout_is_the_mean_outside_training() -> None:
    p = drawn(cells.lstm())
    zoned = cells.zoneout(cells.lstm(), 0.25)
    _, (h1, c1) = one(cells.lstm(), p, x, (h, c))
    _, (h2, c2) = one(zoned, p, x, (h, c))
    np.testing.assert_allclose(h2, 0.25 * h + 0.75 * h1)
    np.testing.assert_allclose(c2, 0.25 * c + 0.75 * c1)
    ones = {m.name: torch.ones(1, H, dtype=torch.float64) for m in zoned.masks}
    np.testing.assert_allclose(one(zoned, p, x, (h, c), masks=ones)[1][0], h)


def test_mechanisms_compose_and_refuse() -> None:
    both = cells.zoneout(cells.layer_norm(cells.conditioned(cells.gru())), 0.1)
    assert [i.role for i in both.inputs] == ["input", "context", "mask"]
    assert cells.deepen(cells.gru(), 1).next == cells.gru().next
    with pytest.raises(InputError, match="nothing that recurrent dropout could drop"):
        cells.dropout(cells.min_gru(), 0.1)
    for make in (
        lambda: cells.zoneout(cells.gru(), 1.0),
        lambda: cells.leaky(cells.gru(), 0.0),
        lambda: cells.deepen(cells.gru(), 0),
    ):
        with pytest.raises(InputError):
            make()


def test_settings_out_of_range_are_refused() -> None:
    for make in (
        lambda: cells.elman("swish"), lambda: cells.leaky_rnn(0.0), lambda: cells.hierarchical_rnn(1),
        lambda: cells.deep_transition_rnn(1), lambda: cells.highway_rnn(0),
    ):  # fmt: skip
        with pytest.raises(InputError):
            make()


@pytest.mark.parametrize("name", simple.ACTIVATIONS)
def test_elman_takes_every_function_of_one_value(name: str) -> None:
    cell, x, h = cells.elman(name), torch.tensor([[0.5, 2.0]]), torch.tensor([[0.25, 1.5]])
    params = {"W": torch.eye(2), "U": torch.eye(2), "b": torch.tensor([0.1, 0.2])}
    found = [step(cell, params, x, h, backend=backend)[0] for backend in ("reference", "compiled")]
    torch.testing.assert_close(*found)
    assert name in ("neg", "not") or f"{name}(" in str(cell)


def test_an_unknown_activation_is_explained() -> None:
    for name in ("Tanh", "add", "sum", "no"):
        with pytest.raises(InputError, match=r"activation is one of .*tanh.*gelu"):
            cells.elman(name)
