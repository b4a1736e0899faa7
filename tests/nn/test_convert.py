"""Weights between conventions, compared with each convention's published equations in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau import InputError, cells, nn, scan
from rondeau.nn import CONVENTIONS, from_convention, to_convention

I, H, T = 3, 4, 5


def drawn(cell):
    """Random parameters with both zeros among them, of which a sum would turn one into the other."""
    shapes = {p.name: p.shape({"input": I, "hidden": H, "projection": 2}) for p in cell.parameters}
    params = {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    for value in params.values():
        value.view(-1)[0], value.view(-1)[-1] = -0.0, 0.0
    return params


FORMS = {
    "lstm": cells.lstm(), "projected": cells.projected_lstm(),
    "peephole": cells.peephole_lstm(), "peephole_o": cells.peephole_lstm("o"), "peephole_full": cells.peephole_lstm(full=True),
    "peephole_full_fi": cells.peephole_lstm("f i", full=True),
    **{cell.name: cell for cell in (cells.gru(a, k, b) for a in (True, False) for k in (True, False) for b in (True, False))},
    "elman": cells.elman(), "elman_relu": cells.elman("relu"), "elman_sigmoid": cells.elman("sigmoid"),
    "textbook": cells.gru_textbook(),
}  # fmt: skip
SAYS = {
    "torch": {"lstm", "projected", "gru", "gru_unbiased", "gru_inverted", "gru_inverted_unbiased", "elman", "elman_relu"},
    "keras": set(FORMS) - {"projected"} - {name for name in FORMS if name.startswith("peephole")},
    "onnx": set(FORMS) - {"projected", "peephole_full", "peephole_full_fi"},
    "textbook": set(FORMS) - {"projected", "gru", "gru_unbiased", "gru_inverted", "gru_inverted_unbiased"},
}


def same_bits(a, b) -> bool:
    return a.dtype == b.dtype and torch.equal(a.view(torch.int64), b.contiguous().view(torch.int64))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_there_and_back_without_loss(form: str, convention: str) -> None:
    cell = FORMS[form]
    params = drawn(cell)
    if form not in SAYS[convention]:
        with pytest.raises(InputError, match="make them equal|no peepholes|no projected|knows tanh and relu|full matrix"):
            to_convention(cell, params, convention)
        return
    packed = to_convention(cell, params, convention)
    back = from_convention(cell, packed, convention)
    assert list(back) == list(params) and all(same_bits(back[name], params[name]) for name in params)
    arrays = from_convention(cell, {name: value.numpy() for name, value in packed.items()}, convention)
    assert all(same_bits(arrays[name], params[name]) for name in params)
    again = to_convention(cell, back, convention)
    assert all(same_bits(again[name], packed[name]) for name in packed)


def test_any_cell_with_the_same_equations_is_known() -> None:
    mine = cells.lstm(forget_bias=3.0).renamed("mine")
    params = drawn(mine)
    assert all(
        torch.equal(v, to_convention(cells.lstm(), params, "onnx")[n]) for n, v in to_convention(mine, params, "onnx").items()
    )


def sigma(a):
    return 1 / (1 + np.exp(-a))


def last(cell, params):
    x = torch.randn(1, T, I, dtype=torch.float64)
    return x[0].numpy(), scan(cell, params, x)[0][0, -1].numpy()


def test_torch_modules_read_our_weights() -> None:
    for kind, cell in (("LSTM", FORMS["lstm"]), ("GRU", FORMS["gru"]), ("GRU", FORMS["gru_inverted"]), ("RNN", FORMS["elman"])):
        params = drawn(cell)
        module = getattr(torch.nn, kind)(I, H, batch_first=True, dtype=torch.float64)
        module.load_state_dict({f"{n}_l0": v for n, v in to_convention(cell, params, "torch").items()})
        x = torch.randn(2, T, I, dtype=torch.float64)
        torch.testing.assert_close(module(x)[0], scan(cell, params, x)[0])


def test_keras_gru() -> None:
    """Keras 3, reset_after=True: z | r | h, h = z h + (1 - z) hh, hh = tanh(x K + r (h R + b1))."""
    params = drawn(FORMS["gru"])
    w = {n: v.numpy() for n, v in to_convention(FORMS["gru"], params, "keras").items()}
    x, expected = last(FORMS["gru"], params)
    h = np.zeros(H)
    for step in x:
        a, b = step @ w["kernel"] + w["bias"][0], h @ w["recurrent_kernel"] + w["bias"][1]
        z, r = sigma(a[:H] + b[:H]), sigma(a[H : 2 * H] + b[H : 2 * H])
        h = z * h + (1 - z) * np.tanh(a[2 * H :] + r * b[2 * H :])
    np.testing.assert_allclose(h, expected)


def test_keras_lstm() -> None:
    """Keras 3: i | f | c | o."""
    params = drawn(FORMS["lstm"])
    w = {n: v.numpy() for n, v in to_convention(FORMS["lstm"], params, "keras").items()}
    x, expected = last(FORMS["lstm"], params)
    h = c = np.zeros(H)
    for step in x:
        i, f, g, o = np.split(step @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(c)
    np.testing.assert_allclose(h, expected)


def test_onnx_lstm_with_peepholes() -> None:
    """ONNX LSTM: i o f c, P as i o f; the output gate's peephole sees the new cell."""
    cell = FORMS["peephole"]
    params = drawn(cell)
    w = {n: v[0].numpy() for n, v in to_convention(cell, params, "onnx").items()}
    x, expected = last(cell, params)
    bias, (pi, po, pf) = w["B"][: 4 * H] + w["B"][4 * H :], np.split(w["P"], 3)
    h = c = np.zeros(H)
    for step in x:
        i, o, f, g = np.split(w["W"] @ step + w["R"] @ h + bias, 4)
        new = sigma(f + pf * c) * c + sigma(i + pi * c) * np.tanh(g)
        h, c = sigma(o + po * new) * np.tanh(new), new
    np.testing.assert_allclose(h, expected)


def test_onnx_gru() -> None:
    """ONNX GRU, linear_before_reset=1: z r h, H = (1 - z) h~ + z H."""
    params = drawn(FORMS["gru"])
    w = {n: v[0].numpy() for n, v in to_convention(FORMS["gru"], params, "onnx").items()}
    x, expected = last(FORMS["gru"], params)
    h = np.zeros(H)
    for step in x:
        a, b = w["W"] @ step + w["B"][: 3 * H], w["R"] @ h + w["B"][3 * H :]
        z, r = sigma(a[:H] + b[:H]), sigma(a[H : 2 * H] + b[H : 2 * H])
        h = (1 - z) * np.tanh(a[2 * H :] + r * b[2 * H :]) + z * h
    np.testing.assert_allclose(h, expected)


def test_the_textbook_gru() -> None:
    """W [h, x]; the candidate reads [r h, x]; z = 1 takes the candidate."""
    params = drawn(FORMS["textbook"])
    w = {n: v.numpy() for n, v in to_convention(FORMS["textbook"], params, "textbook").items()}
    x, expected = last(FORMS["textbook"], params)
    h = np.zeros(H)
    for step in x:
        z, r = (sigma(w[name] @ np.concatenate([h, step])) for name in ("W_z", "W_r"))
        h = (1 - z) * h + z * np.tanh(w["W_n"] @ np.concatenate([r * h, step]))
    np.testing.assert_allclose(h, expected)


def test_the_textbook_lstm_with_peepholes() -> None:
    """W_f and W_i [c, h, x] with the previous cell, W_o [c, h, x] with the new one; the candidate reads [h, x]."""
    for form in ("peephole", "peephole_full"):
        params = drawn(FORMS[form])
        w = {n: v.numpy() for n, v in to_convention(FORMS[form], params, "textbook").items()}
        x, expected = last(FORMS[form], params)
        h = c = np.zeros(H)
        for step in x:
            f, i = (sigma(w[f"W_{g}"] @ np.concatenate([c, h, step]) + w[f"b_{g}"]) for g in "fi")
            c = f * c + i * np.tanh(w["W_g"] @ np.concatenate([h, step]) + w["b_g"])
            h = sigma(w["W_o"] @ np.concatenate([c, h, step]) + w["b_o"]) * np.tanh(c)
        np.testing.assert_allclose(h, expected)


def test_diagonal_and_full_peepholes() -> None:
    diagonal, full = FORMS["peephole"], FORMS["peephole_full"]
    params = drawn(diagonal)
    wide = from_convention(full, to_convention(diagonal, params, "textbook"), "textbook")
    x, expected = last(diagonal, params)
    np.testing.assert_allclose(scan(full, wide, torch.tensor(x)[None])[0][0, -1], expected)
    back = from_convention(diagonal, to_convention(full, wide, "textbook"), "textbook")
    assert all(torch.equal(back[name], params[name]) for name in params)
    assert all(torch.equal(v, to_convention(diagonal, params, "onnx")[n]) for n, v in to_convention(full, wide, "onnx").items())
    onto_full = from_convention(full, to_convention(diagonal, params, "onnx"), "onnx")
    assert all(torch.equal(onto_full[name], wide[name]) for name in wide)
    with pytest.raises(InputError, match="full matrix"):
        from_convention(diagonal, to_convention(full, drawn(full), "textbook"), "textbook")
    without = from_convention(FORMS["peephole"], to_convention(FORMS["lstm"], drawn(FORMS["lstm"]), "textbook"), "textbook")
    assert not without["P"].any()
    for convention in ("onnx", "textbook"):
        with pytest.raises(InputError, match="peephole of gate"):
            from_convention(FORMS["lstm"], to_convention(diagonal, params, convention), convention)


@pytest.mark.parametrize(("name", "settings"), [
    ("lstm", {}), ("projected", {"proj_size": 2}), ("gru", {}), ("gru_unbiased", {"bias": False}),
    ("elman", {}), ("elman_relu", {"nonlinearity": "relu"}),
])  # fmt: skip
def test_we_read_torch_modules_with_both_their_biases(name: str, settings: dict) -> None:
    kind = {"l": "LSTM", "p": "LSTM", "g": "GRU", "e": "RNN"}[name[0]]
    module = getattr(torch.nn, kind)(I, H, batch_first=True, dtype=torch.float64, **settings)
    weights = {key.removesuffix("_l0"): value for key, value in module.state_dict().items()}
    x = torch.randn(2, T, I, dtype=torch.float64)
    torch.testing.assert_close(scan(FORMS[name], from_convention(FORMS[name], weights, "torch"), x)[0], module(x)[0])


def test_keras_gru_that_resets_before_and_simple_layer() -> None:
    """Keras 3, reset_after=False: hh = tanh(x K + (r h) R + b); SimpleRNN: tanh(x K + h R + b)."""
    for inverted in (False, True):
        cell = FORMS["gru_reset_before" + "_inverted" * inverted]
        params = drawn(cell)
        w = {n: v.numpy() for n, v in to_convention(cell, params, "keras").items()}
        x, expected = last(cell, params)
        h = np.zeros(H)
        for step in x:
            a, R = step @ w["kernel"] + w["bias"], w["recurrent_kernel"]
            z, r = sigma(a[:H] + h @ R[:, :H]), sigma(a[H : 2 * H] + h @ R[:, H : 2 * H])
            h = z * h + (1 - z) * np.tanh(a[2 * H :] + (r * h) @ R[:, 2 * H :])
        np.testing.assert_allclose(h, expected)
    params = drawn(FORMS["elman"])
    w = {n: v.numpy() for n, v in to_convention(FORMS["elman"], params, "keras").items()}
    x, expected = last(FORMS["elman"], params)
    h = np.zeros(H)
    for step in x:
        h = np.tanh(step @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"])
    np.testing.assert_allclose(h, expected)


@pytest.mark.parametrize("after", [True, False])
def test_we_read_onnx_gru_weights_with_both_biases(after: bool) -> None:
    """ONNX GRU: linear_before_reset puts Rb of the candidate inside the reset, else beside Wb."""
    cell = FORMS["gru" if after else "gru_reset_before"]
    w = {"W": np.random.randn(1, 3 * H, I), "R": np.random.randn(1, 3 * H, H), "B": np.random.randn(1, 6 * H)}
    params = from_convention(cell, w, "onnx", reset_after=after)
    x, expected = last(cell, params)
    (W,), (R,), (wb, rb) = w["W"], w["R"], np.split(w["B"][0], 2)
    h = np.zeros(H)
    for step in x:
        a = W @ step + wb
        z, r = (sigma(a[s] + R[s] @ h + rb[s]) for s in (slice(H), slice(H, 2 * H)))
        n = slice(2 * H, 3 * H)
        h = (1 - z) * np.tanh(a[n] + (r * (R[n] @ h + rb[n]) if after else R[n] @ (r * h) + rb[n])) + z * h
    np.testing.assert_allclose(h, expected)
    with pytest.raises(InputError, match="no weights make them equal"):
        from_convention(cell, w, "onnx", reset_after=not after)


@pytest.mark.parametrize(("name", "op", "settings"), [
    ("lstm", "LSTM", {}), ("peephole", "LSTM", {}), ("gru", "GRU", {"linear_before_reset": 1}),
    ("gru_reset_before_inverted", "GRU", {"linear_before_reset": 0}), ("elman", "RNN", {}),
])  # fmt: skip
def test_the_onnx_reference_computes_the_same(name: str, op: str, settings: dict) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed; its equations are tested above in numpy")
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    cell = FORMS[name]
    params = drawn(cell)
    w = {n: v.numpy().astype(np.float32) for n, v in to_convention(cell, params, "onnx").items()}
    x, expected = last(cell, params)
    names = ["X", "W", "R", "B", *(["", "", "", "P"] if "P" in w else [])]
    given = {"X": x[:, None].astype(np.float32), **w}
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, given[n].shape) for n in names if n]
    output = helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [helper.make_node(op, names, ["", "Y_h"], hidden_size=H, **settings)], "recurrent", inputs, [output]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    (found,) = ReferenceEvaluator(model).run(None, given)
    np.testing.assert_allclose(np.asarray(found).reshape(-1), expected, atol=1e-5)


def test_what_cannot_be_said_is_refused() -> None:
    lstm, gru, before = FORMS["lstm"], FORMS["gru"], FORMS["gru_reset_before"]
    keras, torchs = to_convention(gru, drawn(gru), "keras"), to_convention(lstm, drawn(lstm), "torch")
    onnx = to_convention(lstm, drawn(lstm), "onnx")
    zoneout = cells.get("zoneout_lstm")
    leaky = cells.leaky(cells.elman(), 0.5)
    for call, message in (
        (lambda: to_convention(cells.min_gru(), drawn(cells.min_gru()), "torch"), "other libraries have no form"),
        (lambda: to_convention(zoneout, drawn(zoneout), "torch"), "give the plain cell"),
        (lambda: to_convention(leaky, drawn(leaky), "keras"), "other libraries have no form"),
        (lambda: to_convention(lstm, drawn(lstm), "jax"), "convention is one of"),
        (lambda: to_convention(lstm, {"W": torch.zeros(16, 3)}, "torch"), "has the parameters W, U, b"),
        (lambda: to_convention(lstm, drawn(lstm) | {"b": torch.zeros(15)}, "torch"), "expected \\(16,\\)"),
        (lambda: from_convention(lstm, {}, "torch"), "lack weight_ih"),
        (lambda: from_convention(lstm, torchs | {"weight_hr": torch.zeros(2, 4)}, "torch"), "weight_hr, which has no place"),
        (lambda: from_convention(lstm, torchs | {"weight_ih": torch.zeros(15, 3)}, "torch"), "do not divide by 4"),
        (lambda: from_convention(lstm, torchs | {"weight_ih": torch.zeros(20, 3)}, "torch"), "shape"),
        (lambda: from_convention(lstm, torchs | {"weight_ih": torch.zeros(16)}, "torch"), "2 dimensions"),
        (lambda: from_convention(lstm, {n: torch.cat([v, v]) for n, v in onnx.items()}, "onnx"), "one at a time"),
        (lambda: from_convention(before, keras, "keras"), "two biases resets after"),
        (lambda: from_convention(gru, to_convention(before, drawn(before), "keras"), "keras"), "one bias resets before"),
        (lambda: from_convention(FORMS["gru_unbiased"], keras, "keras"), "has no biases"),
        (lambda: from_convention(lstm, {f"W_{g}": torch.zeros(4, 2) for g in "figo"}, "textbook"), "width does not fit"),
        (lambda: from_convention(lstm, {f"W_{g}": torch.zeros(4, 7 + (g == "f")) for g in "figo"}, "textbook"), "W_f reads"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    assert not from_convention(lstm, {n: v for n, v in onnx.items() if n != "B"}, "onnx")["b"].any()


def test_former_names_still_work() -> None:
    cell = cells.get("gru_lecture")
    assert cell is cells.get("gru_textbook") and nn.Recurrent("gru_lecture", 3, 4).cell is cell
    params = dict(nn.Recurrent(cell, 3, 4).params)
    old = to_convention(cell, params, "lecture")
    for name, value in to_convention(cell, params, "textbook").items():
        torch.testing.assert_close(old[name], value, rtol=0, atol=0)
    for name, value in from_convention(cell, old, "lecture").items():
        torch.testing.assert_close(value, params[name])
