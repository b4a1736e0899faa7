"""The scan among PyTorch's operators: opcheck, torch.compile, torch.export, fake tensors, functional calls."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck

from rondeau import cell, input, scan, state, step, tanh, weight
from rondeau.cells import ALL
from rondeau.engine import operator
from rondeau.models import LanguageModel
from rondeau.nn import Recurrent

SIZES = {"input": 3, "hidden": 4, "context": 2}


@pytest.fixture(autouse=True)
def fresh():
    torch.manual_seed(0)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["elman", "lstm", "layer_norm_gru", "conditioned_lstm", "zoneout_lstm", "rate_rnn"])
@pytest.mark.parametrize("options", [{}, {"lengths": torch.tensor([5, 2]), "reverse": True}], ids=["dense", "ragged"])
def test_opcheck(name: str, options: dict[str, object]) -> None:
    item = ALL[name]
    extras = [torch.rand(2, *((5,) if c.per == "step" else ()), c.width.bind(SIZES)) for c in item.contexts]
    tensors = (
        torch.randn(2, 5, 3),
        [torch.randn(2, s.width.bind(SIZES)) for s in item.states],
        [torch.randn(p.shape(SIZES)) for p in item.parameters],
        extras,
    )
    for value in (tensors[0], *tensors[1], *tensors[2], *extras):
        value.requires_grad_()
    case = operator._written(
        item, tuple(c.name for c in item.contexts), *operator.Options(reverse=bool(options.get("reverse")))
    )
    opcheck(torch.ops.rondeau.scan.default, (case, *tensors[:3], extras or None, options.get("lengths"), True))


class Reader(nn.Module):
    """A layer with a head, over a batch with lengths."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.layer, self.head = Recurrent(name, 3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y, last = self.layer(x, lengths=lengths)
        return self.head(y).sum(1) + last[0][:, :2]


@pytest.mark.parametrize("name", ["gru", "peephole_lstm", "zoneout_lstm", "layer_norm_lstm"])
def test_compile_without_a_break(name: str) -> None:
    model, lengths = Reader(name).eval(), torch.tensor([4, 5])
    fast = torch.compile(model, backend="aot_eager", fullgraph=True)
    for batch in (2, 2):
        x = torch.randn(batch, 5, 3)
        plain, found = model(x, lengths), fast(x, lengths)
        torch.testing.assert_close(found, plain)
        wanted = torch.autograd.grad(plain.square().sum(), list(model.parameters()))
        for a, b in zip(torch.autograd.grad(found.square().sum(), list(model.parameters())), wanted):
            torch.testing.assert_close(a, b)


def test_compile_follows_batch_and_time() -> None:
    layer = Recurrent("gru", 3, 4)
    fast = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch, time in ((2, 5), (3, 7), (6, 4)):
        x = torch.randn(batch, time, 3)
        torch.testing.assert_close(fast(x)[0], layer(x)[0])


def test_compile_of_a_function_that_scans() -> None:
    @cell
    def mine(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden")):
        a = W @ x + U @ h
        return tanh(a)

    params = {"W": torch.randn(4, 3, requires_grad=True), "U": torch.randn(4, 4, requires_grad=True)}

    def run(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (last,), traced = scan(mine, params, x, trace=("a",), clip=1.0)
        after, _ = step(mine, params, x[:, 0], last)
        return y, traced["a"], after

    x = torch.randn(2, 5, 3)
    for a, b in zip(torch.compile(run, backend="aot_eager", fullgraph=True)(x), run(x)):
        torch.testing.assert_close(a, b)


def test_a_language_model_compiles() -> None:
    model = LanguageModel(11, "lstm", hidden=6, layers=2, embedding=4)
    tokens = torch.randint(11, (2, 5))
    fast = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(fast(tokens)[0], model(tokens)[0])


def test_export_and_a_reloaded_program() -> None:
    layer = Recurrent("peephole_lstm", 3, 4).eval()
    x, batch = torch.randn(2, 5, 3), torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(layer, (x,), dynamic_shapes={"x": {0: batch}})
    assert any(node.target is torch.ops.rondeau.scan.default for node in program.graph.nodes)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    again = torch.export.load(file).module()
    other = torch.randn(7, 5, 3)
    torch.testing.assert_close(again(other)[0], layer(other)[0])


def test_recorded_graphs_run_again_on_other_values() -> None:
    layer = Recurrent("gru", 3, 4)

    def slope(x: Tensor) -> Tensor:
        return torch.autograd.grad(layer(x)[0].sum(), x)[0]

    x = torch.randn(2, 5, 3, requires_grad=True)
    graph = make_fx(slope)(x)
    other = torch.randn(2, 5, 3, requires_grad=True)
    torch.testing.assert_close(graph(other), slope(other))


@pytest.mark.parametrize("name", ["gru", "peephole_lstm"])
def test_half_precision_goes_without_kernels(name: str) -> None:
    layer = Recurrent(name, 3, 4, dtype=torch.bfloat16)
    x = torch.randn(2, 5, 3, dtype=torch.bfloat16, requires_grad=True)
    fast = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(fast(x)[0], layer(x)[0])
    torch.testing.assert_close(*(torch.autograd.grad(f(x)[0].sum(), x)[0] for f in (fast, layer)))


def test_functional_calls_and_per_sample_gradients() -> None:
    layer = Recurrent("peephole_lstm", 3, 4)
    params = {name: value.detach() * 0.5 for name, value in layer.named_parameters()}
    x = torch.randn(6, 5, 3)
    expected = scan(layer.cell, params, x)[0]
    torch.testing.assert_close(torch.func.functional_call(layer, params, (x,))[0], expected)

    def loss(given: dict[str, Tensor], one: Tensor) -> Tensor:
        return torch.func.functional_call(layer, given, (one[None],))[0].square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(params, x)
    whole = torch.func.grad(lambda given: torch.func.functional_call(layer, given, (x,))[0].square().sum())(params)
    for name, value in whole.items():
        torch.testing.assert_close(each[name].sum(0), value)
