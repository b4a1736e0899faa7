"""Weights between conventions, held against each convention's published equations in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau import InputError, cells, scan
from rondeau.nn import CONVENTIONS, from_convention, to_convention

I, H, T = 3, 4, 5


def drawn(cell):
    return {p.name: torch.randn(p.shape({"input": I, "hidden": H}), dtype=torch.float64) for p in cell.parameters}


FORMS = {
    "lstm": cells.lstm(), "gru": cells.gru(), "gru_inverted": cells.gru(update_keeps=False), "elman": cells.elman(),
    "before": cells.gru(reset_after=False), "lecture": cells.gru_lecture(), "peephole": cells.peephole_lstm(),
}  # fmt: skip


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_there_and_back_without_loss(form: str, convention: str) -> None:
    cell = FORMS[form]
    params = drawn(cell)
    try:
        packed = to_convention(cell, params, convention)
    except InputError as error:
        assert "no weights make them equal" in str(error) or "peepholes" in str(error)
        after = form in ("gru", "gru_inverted")
        assert (
            (form == "peephole" and convention != "onnx")
            or (convention == "torch" and not after)
            or (convention == "lecture" and after)
        )
        return
    back = from_convention(cell, packed, convention)
    assert all(torch.equal(back[name], params[name]) for name in params)


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


def test_the_lectures_gru() -> None:
    """W [h, x]; the candidate reads [r h, x]; z = 1 takes the candidate."""
    params = drawn(FORMS["lecture"])
    w = {n: v.numpy() for n, v in to_convention(FORMS["lecture"], params, "lecture").items()}
    x, expected = last(FORMS["lecture"], params)
    h = np.zeros(H)
    for step in x:
        z, r = (sigma(w[name] @ np.concatenate([h, step])) for name in ("W_z", "W_r"))
        h = (1 - z) * h + z * np.tanh(w["W_n"] @ np.concatenate([r * h, step]))
    np.testing.assert_allclose(h, expected)


def test_what_cannot_be_said_is_refused() -> None:
    full = cells.peephole_lstm(full=True)
    for call, message in (
        (lambda: to_convention(full, drawn(full), "onnx"), "full matrix"),
        (lambda: to_convention(cells.min_gru(), drawn(cells.min_gru()), "torch"), "other libraries have no form"),
        (lambda: to_convention(cells.lstm(), drawn(cells.lstm()), "jax"), "convention is one of"),
        (lambda: from_convention(cells.lstm(), {}, "torch"), "lack"),
    ):
        with pytest.raises(InputError, match=message):
            call()
