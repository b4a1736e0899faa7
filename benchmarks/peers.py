"""Cells against those of others, forward and all gradients: ``python benchmarks/peers.py``.

The others are torchrecurrent 0.2.5, a loop in Python over PyTorch's operations; the same equations in JAX, as one would write
them for speed (products with the input before the scan, gates packed into one product) under ``jit`` of ``lax.scan``; and our
own loop, the ``reference`` backend. They are needed by this script alone: ``pip install torchrecurrent==0.2.5 jax``. All
start from the same weights, and equality of the output and all gradients is asserted first. torchrecurrent has a peephole LSTM
and a minimal gated unit with the equations of ours; it has no layer-norm LSTM, and its recurrent highway cannot be imported.
"""

from __future__ import annotations

import os

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # XLA takes a thread for every core
os.environ["OMP_NUM_THREADS"] = "2"
os.environ["JAX_PLATFORMS"] = "cpu"

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torchrecurrent
from common import undisturbed, write, zoo_work
from torch import Tensor

from rondeau.benchmark.measure import Competitor, Shape, Work, assert_equal, gradients, interleave, operations

SHAPES = (Shape(100, 16, 64, 128), Shape(100, 64, 128, 128), Shape(100, 32, 256, 256))
Params = Mapping[str, Any]
Array = Any


# The cells in JAX: what is computed before the loop from x (time, batch, input), and the step.


def packed(p: Params, x: Array) -> Array:
    """The products with the input, all gates side by side."""
    return x @ p["W"].T + p["b"]


def peephole_lstm(p: Params, state: Array, wx: Array) -> tuple[Array, Array]:
    """Its step."""
    h, c = state
    pi, pf, po = jnp.split(p["P"], 3)
    i, f, g, o = jnp.split(wx + h @ p["U"].T, 4, -1)
    c_new = jax.nn.sigmoid(f + pf * c) * c + jax.nn.sigmoid(i + pi * c) * jnp.tanh(g)
    h = jax.nn.sigmoid(o + po * c_new) * jnp.tanh(c_new)
    return (h, c_new), h


def minimal_gated_unit(p: Params, state: Array, wx: Array) -> tuple[Array, Array]:
    """Its step."""
    (h,) = state
    uf, un = jnp.split(p["U"], 2)
    xf, xn = jnp.split(wx, 2, -1)
    f = jax.nn.sigmoid(xf + h @ uf.T)
    h = (1 - f) * h + f * jnp.tanh(xn + (f * h) @ un.T)
    return (h,), h


def normalise(v: Array, parts: int) -> Array:
    """Each of the parts of the features at mean 0 and variance 1."""
    v = v.reshape(*v.shape[:-1], parts, -1)
    centred = v - v.mean(-1, keepdims=True)
    return (centred / jnp.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)).reshape(*v.shape[:-2], -1)


def normalised(p: Params, x: Array) -> Array:
    """The products with the input, normalised gate by gate."""
    return p["beta"] * normalise(x @ p["W"].T, 4) + p["b"]


def layer_norm_lstm(p: Params, state: Array, wx: Array) -> tuple[Array, Array]:
    """Its step."""
    h, c = state
    i, f, g, o = jnp.split(wx + p["alpha"] * normalise(h @ p["U"].T, 4), 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(p["gamma"] * normalise(c, 1) + p["d"])
    return (h, c), h


def driven(p: Params, x: Array) -> Array:
    """The products with the input, which only the first layer of a highway reads."""
    return x @ p["W"].T


def highway_rnn(p: Params, state: Array, wx: Array) -> tuple[Array, Array]:
    """Its step, of three layers."""
    (s,) = state
    for depth, (R, b) in enumerate(zip(jnp.split(p["R"], 3), jnp.split(p["b"], 3))):
        n, t = jnp.split(s @ R.T + b + (wx if depth == 0 else 0), 2, -1)
        t = jax.nn.sigmoid(t)
        s = (1 - t) * s + t * jnp.tanh(n)
    return (s,), s


CELLS: dict[str, tuple[Callable[..., Array], Callable[..., tuple[Array, Array]], int]] = {
    "peephole_lstm": (packed, peephole_lstm, 2),
    "minimal_gated_unit": (packed, minimal_gated_unit, 1),
    "layer_norm_lstm": (normalised, layer_norm_lstm, 2),
    "highway_rnn": (driven, highway_rnn, 1),
}
"""What is computed before the loop, the step, and the number of states."""


def in_jax(work: Work) -> tuple[Competitor, Callable[[], object]]:
    """The work under jit of lax.scan, as a competitor whose results are tensors, and bare for the clock."""
    before, step, states = CELLS[work.cell.name]
    x, gradient = (jnp.asarray(time_first(value).numpy()) for value in (work.x, work.gradient))
    params = {name: jnp.asarray(value.detach().numpy()) for name, value in work.params.items()}
    start = (jnp.zeros((x.shape[1], work.gradient.shape[-1])),) * states

    def loss(p: Params, x: Array) -> tuple[Array, Array]:
        _, y = jax.lax.scan(lambda state, wx: step(p, state, wx), start, before(p, x))
        return jnp.vdot(y, gradient), y

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    def run() -> Any:
        return jax.block_until_ready(compiled(params, x))

    def train() -> dict[str, Tensor]:
        (_, y), (dp, dx) = run()
        return named(tensor(y).transpose(0, 1), tensor(dx).transpose(0, 1), {name: tensor(g) for name, g in dp.items()})

    return Competitor("jax", train), run


def time_first(value: Tensor) -> Tensor:
    """(batch, time, width) as (time, batch, width)."""
    return value.detach().transpose(0, 1).contiguous()


def tensor(value: Array) -> Tensor:
    """A copy that PyTorch can read."""
    return torch.from_numpy(np.array(value))


def named(y: Tensor, dx: Tensor, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Results under the names that `gradients` gives."""
    return {"the output": y, "the gradient of x": dx, **{f"the gradient of {name}": g for name, g in params.items()}}


# torchrecurrent: its cells order their gates as ours do, and hold a second bias.

THEIRS: dict[str, tuple[str, dict[str, str]]] = {
    "peephole_lstm": ("PeepholeLSTM", {"weight_ih": "W", "weight_hh": "U", "weight_ph": "P", "bias_ih": "b"}),
    "minimal_gated_unit": ("MGU", {"weight_ih": "W", "weight_hh": "U", "bias_ih": "b"}),
}


def in_torchrecurrent(work: Work) -> tuple[Competitor, Callable[[], object]]:
    """The work in torchrecurrent, as `in_jax`."""
    kind, names = THEIRS[work.cell.name]
    module = getattr(torchrecurrent, kind)(work.x.shape[-1], work.gradient.shape[-1], recurrent_bias=False)
    own = dict(module.cells[0].named_parameters())
    with torch.no_grad():
        for theirs, ours in names.items():
            own[theirs].copy_(work.params[ours])
    x, gradient = time_first(work.x).requires_grad_(), time_first(work.gradient)
    leaves = {"x": x, **{ours: own[theirs] for theirs, ours in names.items()}}

    def run() -> dict[str, Tensor]:
        return gradients(module(x)[0], leaves, gradient)

    def train() -> dict[str, Tensor]:
        found = run()
        return {**found, **{what: found[what].transpose(0, 1) for what in ("the output", "the gradient of x")}}

    return Competitor("torchrecurrent", train), run


def measured(name: str, shape: Shape, seconds: float) -> dict[str, Any]:
    """The times of all, in milliseconds, and ratios to ours."""
    work = zoo_work(name, shape)
    makers = [in_jax, *([in_torchrecurrent] if name in THEIRS else [])]
    assert_equal([work.first().on("compiled"), *(maker(work.first())[0] for maker in makers), work.first().on("reference")])
    others = [maker(work) for maker in makers]
    runs = {"rondeau": work.on("compiled").train, **{one.name: run for one, run in others}, "loop": work.on("reference").train}
    times = interleave(runs, seconds, warm=1)
    ms = {other: timing.least for other, timing in times.items()}
    medians = {other: timing.median for other, timing in times.items()}
    return {
        "cell": name, "shape": [shape.time, shape.batch, shape.input, shape.hidden], "ms": ms, "median_ms": medians,
        "ratio": {other: value / ms["rondeau"] for other, value in ms.items()},
        "gflops": 3 * operations(work.cell, shape) / ms["rondeau"] / 1e6,
    }  # fmt: skip


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each cell and size")
    options = parser.parse_args()
    versions = {"jax": version("jax"), "torchrecurrent": version("torchrecurrent")}
    for shape in SHAPES:
        for name in CELLS:
            line = undisturbed(partial(measured, name, shape, options.seconds))
            write("peers", {**line, **versions})


if __name__ == "__main__":
    main()
