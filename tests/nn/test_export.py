"""Models with our layers leave PyTorch: TorchScript, ONNX, quantisation. Where torch.nn has the layer, that is what leaves."""

from __future__ import annotations

import copy
import importlib.util
import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations, prune

from rondeau import InputError, nn

LAYERS = ["LSTM", "GRU", "RNN"]
CELLS = ["LSTMCell", "GRUCell", "RNNCell"]
OPTIONS = [{}, {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "batch_first": True}, {"bias": False}]


def benchmark() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "onnx_grid.py"
    spec = importlib.util.spec_from_file_location("onnx_grid", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["onnx_grid"] = module
    spec.loader.exec_module(module)
    return module


GRID = benchmark()
VARIANTS = list(GRID.grid())


class Reader(torch.nn.Module):
    """A drop-in behind and before something else."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, torch.nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])


# to_torch


@pytest.mark.parametrize("options", [*OPTIONS, {"proj_size": 2}, {"nonlinearity": "relu"}], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_the_stock_layer_of_a_drop_in(kind: str, options: dict[str, Any]) -> None:
    if ("proj_size" in options and kind != "LSTM") or ("nonlinearity" in options and kind != "RNN"):
        return
    module = getattr(nn, kind)(3, 4, **options, dtype=torch.float64).eval()
    module.weight_hh_l0.requires_grad_(False)
    twin = module.to_torch()
    assert type(twin) is getattr(torch.nn, kind) and not twin.training and twin.__dict__["dropout"] == module.dropout
    assert not twin.weight_hh_l0.requires_grad and twin.weight_ih_l0.requires_grad
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    wanted = module(x)
    torch.testing.assert_close(twin(x), wanted)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
    torch.testing.assert_close(twin(x), wanted)  # a copy


@pytest.mark.parametrize("kind", CELLS)
def test_the_stock_cell_of_a_drop_in(kind: str) -> None:
    for options in ({}, {"bias": False}, {"nonlinearity": "relu"} if kind == "RNNCell" else {}):
        module, x = getattr(nn, kind)(3, 4, **options), torch.randn(2, 3)
        twin = module.to_torch()
        assert type(twin) is getattr(torch.nn, kind)
        torch.testing.assert_close(twin(x), module(x))


def test_computed_weights_are_those_that_run() -> None:
    x = torch.randn(5, 2, 3)
    for module in (
        parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"),
        prune.l1_unstructured(nn.LSTM(3, 4), "weight_ih_l0", 0.5),
        prune.l1_unstructured(nn.LSTMCell(3, 4), "weight_ih", 0.5),
    ):
        given = x[0] if "Cell" in type(module).__name__ else x
        torch.testing.assert_close(module.to_torch()(given)[0], module(given)[0])


def test_whole_models() -> None:
    shared = nn.GRUCell(3, 4)
    model = torch.nn.ModuleDict(
        {"a": torch.nn.Sequential(nn.LSTM(3, 4)), "b": shared, "c": shared, "r": nn.Recurrent("gru", 3, 4)}
    )
    found: Any = nn.to_torch(model)
    assert type(found["a"][0]) is torch.nn.LSTM and type(model["a"][0]) is nn.LSTM
    assert found["b"] is found["c"] and type(found["b"]) is torch.nn.GRUCell and found["b"] is not shared
    assert type(found["r"]) is nn.Recurrent and found["r"] is not model["r"]
    assert list(found.state_dict()) == list(model.state_dict())


# TorchScript


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_traced_and_scripted_layers(kind: str, options: dict[str, Any]) -> None:
    model, other = Reader(getattr(nn, kind)(3, 4, **{**options, "bidirectional": False})).eval(), torch.randn(7, 4, 3)
    for way in (lambda m: torch.jit.trace(m, torch.randn(5, 2, 3)), torch.jit.script):
        file = io.BytesIO()
        torch.jit.save(way(model), file)
        file.seek(0)
        again = torch.jit.load(file)
        assert "rondeau::" not in str(again.inlined_graph)
        torch.testing.assert_close(again(other), model(other))


@pytest.mark.parametrize("kind", CELLS)
def test_traced_and_scripted_cells(kind: str) -> None:
    module, x = getattr(nn, kind)(3, 4), torch.randn(2, 3)
    torch.testing.assert_close(torch.jit.trace(module, x)(x + 1), module(x + 1))
    torch.testing.assert_close(torch.jit.script(module)(x), module(x))


@pytest.mark.parametrize("name", ["gru", "peephole_lstm"])
def test_a_traced_layer_of_any_cell(name: str) -> None:
    layer, x, other = nn.Recurrent(name, 3, 4), torch.randn(2, 5, 3), torch.randn(4, 7, 3)
    traced = torch.jit.trace(layer, x)
    torch.testing.assert_close(traced(other)[0], layer(other)[0])
    found, wanted = (torch.autograd.grad(f(other)[0].square().sum(), list(layer.parameters())) for f in (traced, layer))
    torch.testing.assert_close(found, wanted)
    with pytest.raises(InputError, match="TorchScript cannot compile Recurrent"):
        torch.jit.script(torch.nn.Sequential(layer))


# ONNX


@pytest.mark.parametrize("variant", VARIANTS[::9], ids=lambda v: "-".join(map(str, vars(v).values())))
def test_onnx_as_pytorch_writes_it_by_torchscript(variant: Any) -> None:
    """Each ninth of the 192 models that benchmarks/onnx_grid.py exports."""
    pytest.importorskip("onnxruntime", reason="the extra rondeau[onnx] is not installed")
    assert GRID.passes(variant) is None


@pytest.mark.parametrize("kind", LAYERS)
def test_onnx_as_pytorch_writes_it_by_export(kind: str) -> None:
    pytest.importorskip("onnxruntime", reason="the extra rondeau[onnx] is not installed")
    pytest.importorskip("onnxscript", reason="the extra rondeau[onnx] is not installed")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    variant = GRID.Variant({"RNN": "RNN_tanh"}.get(kind, kind), 1, kind == "GRU", kind == "LSTM", "no", 0.0)
    assert GRID.passes(variant, dynamo=True) is None


def doubled(module: torch.nn.Module) -> None:
    for value in module.parameters(recurse=False):
        value.data *= 2


def test_a_grid_notices_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="the extra rondeau[onnx] is not installed")
    variant = GRID.Variant("GRU", 1, False, False, "no", 0.0)
    export = torch.onnx.export
    monkeypatch.setattr(torch.onnx, "export", lambda model, *a, **k: export(copy.deepcopy(model).apply(doubled), *a, **k))
    assert "off by" in str(GRID.passes(variant))


@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx_without_such_an_operator_says_what_to_do(dynamo: bool) -> None:
    if dynamo:
        pytest.importorskip("onnxscript", reason="the extra rondeau[onnx] is not installed")
    model = torch.nn.Sequential(nn.Recurrent("peephole_lstm", 3, 4))
    with pytest.raises(Exception, match="ONNX has no operator that runs the cell peephole_lstm"):
        torch.onnx.export(model, (torch.randn(2, 5, 3),), io.BytesIO(), dynamo=dynamo, verbose=False)


# quantisation


def test_quantisation_takes_the_stock_layers() -> None:
    quantise: Any = torch.ao.quantization.quantize_dynamic
    model, x = torch.nn.Sequential(nn.LSTM(3, 4)), torch.randn(5, 2, 3)
    with pytest.raises(InputError, match=r"rondeau\.nn\.to_torch\(model\)"):
        quantise(model)
    found = quantise(nn.to_torch(model))
    assert type(found[0]).__module__.startswith("torch.ao")
    torch.testing.assert_close(found(x)[0], model(x)[0], atol=0.05, rtol=0.1)
    assert copy.deepcopy(model)[0].qconfig is None
