"""Which backend runs: the one asked for, or what `explain` says, in a plain call and in a recorded program alike."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from rondeau import cells, explain, nn, scan
from rondeau.engine import BACKENDS, operator
from rondeau.engine.backends import reference, torch_kernels
from rondeau.engine.backends.registry import choice, named
from rondeau.engine.runtime.program import Program
from rondeau.errors import FallbackWarning, InputError

NAMES: list[Any] = list(BACKENDS)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The backends that ran forward, in order."""
    found: list[str] = []

    def noted(owner: Any, attribute: str, name: str) -> None:
        plain = getattr(owner, attribute)

        def call(*args: Any, **options: Any) -> Any:
            found.append(name)
            return plain(*args, **options)

        monkeypatch.setattr(owner, attribute, call)

    noted(reference, "run", "reference")
    noted(torch_kernels, "run", "torch")
    noted(Program, "forward", "compiled")
    torch._dynamo.reset()
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        yield found


def recorded(layer: torch.nn.Module, x: Tensor) -> Callable[..., Any]:
    """The layer as ``torch.compile`` has it."""
    return torch.compile(layer, backend="aot_eager", fullgraph=True)


def exported(layer: torch.nn.Module, x: Tensor) -> Callable[..., Any]:
    """The layer as ``torch.export`` has it, stored and read again."""
    file = io.BytesIO()
    torch.export.save(torch.export.export(layer, (x,)), file)
    file.seek(0)
    return torch.export.load(file).module()


def traced(layer: torch.nn.Module, x: Tensor) -> Callable[..., Any]:
    """The layer as ``torch.jit.trace`` has it."""
    return torch.jit.trace(layer, x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", [recorded, exported, traced])
def test_a_recorded_program_runs_on_the_backend_asked_for(name: Any, way: Callable[..., Any], ran: list[str]) -> None:
    layer, x = nn.Recurrent("lstm", 3, 4, backend=name), torch.randn(2, 5, 3)
    expected, program = layer(x), way(layer, x)
    ran.clear()
    found = program(x)
    assert set(ran) == {name}
    torch.testing.assert_close(found[0], expected[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_program_trains_on_the_backend_asked_for(name: Any, ran: list[str]) -> None:
    layer, x = nn.Recurrent("gru", 3, 4, backend=name), torch.randn(2, 5, 3)
    wanted = torch.autograd.grad(layer(x)[0].square().sum(), list(layer.parameters()))
    ran.clear()
    found = torch.autograd.grad(recorded(layer, x)(x)[0].square().sum(), list(layer.parameters()))
    assert set(ran) == {name}
    torch.testing.assert_close(found, wanted)


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "an LSTM without a derivative": ("lstm", {"grad": False}),
    "and with one": ("lstm", {"grad": True}),
    "with lengths": ("lstm", {"grad": False, "lengths": torch.tensor([5, 2])}),
    "asked for gates": ("lstm", {"grad": False, "trace": ("i",)}),
    "any cell": ("peephole_lstm", {"grad": False}),
    "a type without kernels": ("peephole_lstm", {"grad": True, "dtype": torch.bfloat16}),
    "PyTorch's kernels in that type": ("gru", {"grad": True, "dtype": torch.bfloat16}),
    "empty sequences": ("gru", {"grad": False, "time": 0}),
}


@pytest.mark.parametrize("way", ["plain", "recorded"])
@pytest.mark.parametrize("name", CASES)
def test_explain_says_what_runs(name: str, way: str, ran: list[str]) -> None:
    item, options = CASES[name][0], dict(CASES[name][1])
    grad, dtype, time = options.pop("grad"), options.pop("dtype", torch.float32), options.pop("time", 5)
    equations, x = cells.get(item), torch.randn(2, time, 3, dtype=dtype)
    layer = nn.Recurrent(item, 3, 4, dtype=dtype)
    params = dict(layer.params)

    def call(x: Tensor) -> Any:
        return scan(equations, params, x, **options)

    with torch.set_grad_enabled(grad):
        told = explain(equations, x, params, **options).backend
        (call if way == "plain" else torch.compile(call, backend="aot_eager", fullgraph=True))(x)
    assert set(ran) == {told}


def test_the_cases_cover_every_backend() -> None:
    found = set()
    for item, options in CASES.values():
        x = torch.zeros(2, options.get("time", 5), 3, dtype=options.get("dtype", torch.float32))
        lengths, trace = options.get("lengths"), options.get("trace", ())
        found.add(explain(cells.get(item), x, lengths=lengths, trace=trace).backend)
    assert found == set(NAMES)


@pytest.mark.parametrize("way", ["plain", "recorded", "exported"])
@pytest.mark.parametrize(
    ("item", "backend", "message"),
    [
        (
            "peephole_lstm",
            "torch",
            "the backend torch cannot run this: peephole_lstm is not one of PyTorch's",
        ),
        ("gru", "cudnn", "there is no backend 'cudnn'; choose auto, compiled, torch, reference"),
    ],
)
def test_what_a_backend_cannot_run_is_refused_in_a_sentence(item: str, backend: Any, message: str, way: str) -> None:
    torch._dynamo.reset()
    layer, x = nn.Recurrent(item, 3, 4), torch.randn(2, 5, 3)
    layer.backend = backend
    ways = {"plain": lambda layer, x: layer, "recorded": recorded, "exported": exported}
    with pytest.raises(InputError if way == "plain" else Exception, match=message):
        ways[way](layer, x)(x)


def test_a_length_of_zero_is_refused_when_a_recorded_program_runs(ran: list[str]) -> None:
    layer, x = nn.Recurrent("gru", 3, 4, backend="torch"), torch.randn(2, 5, 3)
    program = recorded(layer, x)
    program(x, lengths=torch.tensor([5, 2]))
    with pytest.raises(InputError, match="refuse sequences of length 0"):
        program(x, lengths=torch.tensor([5, 0]))


def test_a_program_recorded_before_backends_had_a_place_in_it(ran: list[str]) -> None:
    equations, x, state = cells.gru(), torch.randn(2, 5, 3), torch.zeros(2, 4)
    params = list(nn.Recurrent("gru", 3, 4).params.values())
    case = json.loads(operator._written(equations, (), *operator.Options()))
    del case["backend"]
    torch.ops.rondeau.scan(json.dumps(case), x, [state], params, None, None, False)
    assert ran == ["compiled"]


def test_names() -> None:
    assert named("torch") == "torch" and choice("auto") == "auto" and choice("compiled") == "compiled"
    for function in (named, choice):
        with pytest.raises(InputError, match="there is no backend 'fast'; choose auto"):
            function("fast")
    with pytest.raises(InputError, match="there is no backend 'auto'"):
        named("auto")


def test_explain_of_a_named_backend() -> None:
    found = explain(cells.lstm(), torch.zeros(1, 2, 3), backend="reference")
    assert found.backend == "reference"
    with pytest.raises(InputError, match="do not clip"):
        explain(cells.lstm(), torch.zeros(1, 2, 3), clip=1.0, backend="torch")
