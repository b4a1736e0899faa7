"""Attention: each kind's scores by hand, padding, and what is refused."""

from __future__ import annotations

import pytest
import torch

from rondeau.errors import InputError
from rondeau.nn import Attention


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_each_kind_is_its_equation(kind: str) -> None:
    torch.manual_seed(0)
    attention = Attention(4, 4, kind).double()
    queries, values = torch.randn(1, 2, 4, dtype=torch.float64), torch.randn(1, 3, 4, dtype=torch.float64)
    context, weights = attention(queries, attention.memory(values))
    q, m = queries[0, 1], values[0, 2]
    if kind == "dot":
        expected = q @ m
    elif kind == "general":
        expected = q @ (attention.keys.weight @ m)
    else:
        inside = attention.asked.weight @ q + attention.keys.weight @ m + attention.keys.bias
        expected = (attention.score.weight @ inside.tanh())[0]
    scores = weights[0, 1].log()
    others = attention(queries, attention.memory(values[:, 2:]))[1]
    assert others[0, 1, 0].item() == 1.0  # one step alone has all of it
    first = (scores[2] - scores[0]) - (expected - _score(attention, q, values[0, 0]))
    assert abs(first.item()) < 1e-12
    torch.testing.assert_close(context[0, 1], weights[0, 1] @ values[0])


def _score(attention: Attention, q: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    if attention.kind == "dot":
        return q @ m
    if attention.kind == "general":
        return q @ (attention.keys.weight @ m)
    return (attention.score.weight @ (attention.asked.weight @ q + attention.keys.weight @ m + attention.keys.bias).tanh())[0]


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_what_lies_past_a_length_is_not_seen(kind: str) -> None:
    attention = Attention(4, 4, kind)
    queries, values = torch.randn(2, 5, 4), torch.randn(2, 6, 4)
    context, weights = attention(queries, attention.memory(values, [6, 2]))
    alone, _ = attention(queries[1:], attention.memory(values[1:, :2]))
    torch.testing.assert_close(context[1:], alone)
    assert (weights[1, :, 2:] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))


def test_wrong_arguments_say_what_is_right() -> None:
    with pytest.raises(InputError, match="attention is one of dot, general, additive, not 'cosine'"):
        Attention(4, 4, "cosine")
    with pytest.raises(InputError, match="queries as wide as values, got 4 and 8; take general"):
        Attention(4, 8, "dot")
    with pytest.raises(InputError, match=r"lengths are 2 whole numbers from 1 to 3, not \[3, 0\]"):
        Attention(4, 4).memory(torch.zeros(2, 3, 4), [3, 0])
    with pytest.raises(InputError, match=r"values are \(batch, time, 4\), not \(2, 3, 5\)"):
        Attention(4, 4).memory(torch.zeros(2, 3, 5))
