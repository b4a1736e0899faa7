"""The drop-ins against torch.nn: the same numbers for random configurations, and better manners where PyTorch errs."""

from __future__ import annotations

import copy
import importlib.util
import io
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations, parametrize, prune, weight_norm
from torch.nn.utils._per_sample_grad import call_for_per_sample_grads
from torch.testing import assert_close

from rondeau import nn

KINDS = ["LSTM", "GRU", "RNN"]


def benchmark() -> Any:
    """The trials of the benchmark, which runs a thousand of them a class."""
    path = Path(__file__).parents[2] / "benchmarks" / "dropin_fuzz.py"
    spec = importlib.util.spec_from_file_location("dropin_fuzz", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUZZ = benchmark()
Trial = FUZZ.Trial


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("kind", FUZZ.KINDS)
def test_random_configurations_agree(kind: str, backend: str) -> None:
    """On ``reference``, because ``auto`` may run PyTorch's own kernels, which agree with themselves."""
    result = FUZZ.series(kind, first=0, count=40, backend=backend)
    assert not result["faults"]
    assert backend == "auto" or set(result["ran"]) == {"reference"}
    forms = ("batch", "unbatched", "packed", "sorted") if kind in KINDS else ("batch", "unbatched")
    wanted = [*(f"form={form}" for form in forms), *(f"layout={layout}" for layout in FUZZ.LAYOUTS), "training=False"]
    assert all(result["covered"].get(name) for name in wanted)


def test_a_trial_notices_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Trial.run
    monkeypatch.setattr(
        Trial, "run", lambda self, package: {n: v + (package is nn) * 1e-3 for n, v in run(self, package).items()}
    )
    assert len(FUZZ.series("GRU", first=0, count=5)["faults"]) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_and_initial_weights_are_pytorchs(kind: str) -> None:
    trial = Trial(kind, 3)
    ours, theirs = trial.module(nn), trial.module(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    assert len(ours.all_weights) == len(theirs.all_weights)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_outputs_can_be_viewed_where_pytorchs_can(kind: str, bidirectional: bool) -> None:
    module = getattr(nn, kind)(3, 4, bidirectional=bidirectional)
    assert module(torch.zeros(5, 2, 3))[0].view(10, -1).shape == (10, 8 if bidirectional else 4)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_of_pytorchs_kinds(kind: str) -> None:
    ours, theirs = getattr(nn, kind)(3, 4), getattr(torch.nn, kind)(3, 4)
    h = torch.zeros(1, 2, 4)
    state = (lambda v: (v, v)) if kind == "LSTM" else (lambda v: v)
    calls = [
        (torch.zeros(5),),
        (torch.zeros(5, 2, 7),),
        (torch.zeros(5, 2, 3), state(torch.zeros(1, 3, 4))),
        (torch.zeros(5, 2, 3), state(torch.zeros(2, 4))),
        (torch.zeros(5, 3), state(h)),
    ]
    for call in calls:
        with pytest.raises((RuntimeError, ValueError, AssertionError)) as expected:
            theirs(*call)
        with pytest.raises(expected.type):
            ours(*call)


@pytest.mark.parametrize("differentiated", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_sequence_is_refused_as_in_pytorch(kind: str, differentiated: bool) -> None:
    """Their way, so that no model behaves otherwise after the swap; `Recurrent` takes one, as its law of chunks asks."""
    with torch.set_grad_enabled(differentiated):
        for shape in ((0, 2, 3), (0, 3)):
            with pytest.raises(RuntimeError, match="Expected sequence length to be larger than 0 in RNN"):
                getattr(nn, kind)(3, 4)(torch.zeros(shape))
        assert getattr(nn, kind)(3, 4)(torch.zeros(5, 0, 3))[0].shape == (5, 0, 4)
    y, (h, *_) = nn.Recurrent(kind.lower().replace("rnn", "elman"), 3, 4)(torch.zeros(2, 0, 3))
    assert y.shape == (2, 0, 4) and not h.any()


@pytest.mark.parametrize("kind", KINDS)
def test_single_steps_agree(kind: str) -> None:
    torch.manual_seed(1)
    ours = getattr(nn, f"{kind}Cell")(3, 4)
    theirs = getattr(torch.nn, f"{kind}Cell")(3, 4)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours(x[0]), theirs(x[0]))


MALFORMED = [
    (torch.zeros(2, 5), RuntimeError), (torch.zeros(3, 4), RuntimeError), (torch.zeros(1, 4), RuntimeError),
    (torch.zeros(4), RuntimeError), (torch.zeros(0), RuntimeError), (torch.zeros(2, 4).double(), RuntimeError),
    (torch.zeros(2, 4).long(), RuntimeError), (torch.zeros(1, 2, 4), ValueError), (torch.zeros(()), ValueError),
    ("state", TypeError), (3, TypeError), (None, TypeError),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "kind_of_error"), MALFORMED, ids=lambda v: str(getattr(v, "shape", v)))
@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_state_of_a_single_step_is_an_error(kind: str, bad: Any, kind_of_error: type[Exception]) -> None:
    """The classes are PyTorch's for wrong shapes and types, written out because PyTorch itself may not survive the call."""
    step, x, good = getattr(nn, f"{kind}Cell")(3, 4), torch.randn(2, 3), torch.zeros(2, 4)
    states = [(bad, good), (good, bad), (bad, bad), [good, bad]] if kind == "LSTM" else [bad]
    for state in states if bad is not None or kind == "LSTM" else []:
        with pytest.raises(kind_of_error, match=f"{kind}Cell: "):
            step(x, state)


@pytest.mark.parametrize(("name", "lone"), [("LSTM", RuntimeError), ("LSTMCell", TypeError)])
def test_a_pair_of_states_is_asked_for(name: str, lone: type[Exception]) -> None:
    module, x, h = getattr(nn, name)(3, 4), torch.randn(5, 2, 3), torch.zeros(1, 2, 4)
    x, h = (x, h) if name == "LSTM" else (x[0], h[0])
    for bad, error in ((h, lone), ((h,), RuntimeError), ((h, h, h), RuntimeError), ("ab", TypeError), ({}, TypeError)):
        with pytest.raises(error, match="tuple"):
            module(x, bad)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_of_another_type_is_an_error(kind: str) -> None:
    module, bad = getattr(nn, kind)(3, 4), torch.zeros(1, 2, 4).double()
    with pytest.raises(RuntimeError, match="float64"):
        module(torch.randn(5, 2, 3), (bad, bad) if kind == "LSTM" else bad)


@pytest.mark.parametrize("norm", [weight_norm, parametrizations.weight_norm])
@pytest.mark.parametrize("kind", KINDS)
def test_copies_after_weight_norm(kind: str, norm) -> None:
    module = norm(getattr(nn, kind)(3, 4), "weight_hh_l0")
    x = torch.randn(5, 2, 3)
    before = module(x)[0]
    twin = copy.deepcopy(module)
    torch.testing.assert_close(twin(x)[0], before)
    before.sum().backward()
    assert any(p.grad is not None for n, p in module.named_parameters() if "weight_hh_l0" in n or "original" in n)


@pytest.mark.parametrize("norm", [weight_norm, parametrizations.weight_norm, lambda m, n: prune.l1_unstructured(m, n, 0.5)])
@pytest.mark.parametrize("kind", KINDS)
def test_single_steps_copy_after_weight_norm_and_pruning(kind: str, norm) -> None:
    module, x = norm(getattr(nn, f"{kind}Cell")(3, 4), "weight_hh"), torch.randn(2, 3)
    state = (torch.randn(2, 4), torch.randn(2, 4)) if kind == "LSTM" else torch.randn(2, 4)
    before = module(x, state)
    torch.testing.assert_close(copy.deepcopy(module)(x, state), before)


@pytest.mark.parametrize("kind", KINDS)
def test_pruned_and_parametrised_weights_are_the_ones_that_run(kind: str) -> None:
    class Half(torch.nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight / 2

    module, theirs, x = getattr(nn, kind)(3, 4), getattr(torch.nn, kind)(3, 4), torch.randn(5, 2, 3)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    prune.l1_unstructured(module, "weight_ih_l0", 0.5)
    parametrize.register_parametrization(module, "weight_hh_l0", Half())
    theirs.load_state_dict(weights | {"weight_ih_l0": module.weight_ih_l0, "weight_hh_l0": weights["weight_hh_l0"] / 2})
    assert not module.weight_ih_l0.all()
    torch.testing.assert_close(module(x)[0], theirs(x)[0])
    twin = copy.deepcopy(module)
    torch.testing.assert_close(twin(x)[0], theirs(x)[0])
    with torch.no_grad():
        twin.parametrizations.weight_hh_l0.original.zero_()
    assert not torch.allclose(twin(x)[0], theirs(x)[0])
    torch.testing.assert_close(module(x)[0], theirs(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_collect_gradients_by_sample(kind: str) -> None:
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    found = {}
    for owner in (torch.nn, nn):
        torch.manual_seed(1)
        layer = getattr(owner, kind)(4, 6, batch_first=True, dtype=torch.float64)
        call_for_per_sample_grads(layer, batch_size=3)(x)[0].square().sum().backward()
        found[owner] = [weight.grad_sample for weight in layer.parameters()]
    assert found[nn][0].shape == (3, *layer.weight_ih_l0.shape)
    assert_close(found[nn], found[torch.nn])


def test_a_function_mode_leaves_the_layer_with_its_kernels() -> None:
    layer, x = nn.GRU(3, 4), torch.randn(5, 2, 3)
    with torch.device("cpu"), patch.object(torch.nn.GRU, "forward", side_effect=AssertionError):
        layer(x)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_and_gradients_per_sample(kind: str, single: bool) -> None:
    make, x = (lambda: getattr(nn, kind + "Cell" * single)(3, 4)), torch.randn(*(() if single else (5,)), 2, 3)
    modules = [make() for _ in range(3)]
    stacked, _ = torch.func.stack_module_state(modules)

    def first(parameters: Any, v: Tensor) -> Tensor:
        y = torch.func.functional_call(modules[0], parameters, (v,))
        return y if isinstance(y, Tensor) else y[0]

    together = torch.vmap(first, (0, None))(stacked, x)
    for row, module in zip(together, modules):
        torch.testing.assert_close(row, first(dict(module.named_parameters()), x))
    own = dict(modules[1].named_parameters())
    samples = torch.vmap(torch.func.grad(lambda p, v: first(p, v).sum()), (None, -2))(own, x)
    whole = torch.autograd.grad(first(own, x).sum(), list(own.values()))
    for name, gradient in zip(own, whole):
        torch.testing.assert_close(samples[name].sum(0), gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_mode_of_a_single_step(kind: str) -> None:
    step, x, tangent = (
        getattr(nn, f"{kind}Cell")(3, 4, dtype=torch.float64),
        torch.randn(2, 3).double(),
        torch.randn(2, 3).double(),
    )

    def first(v: Tensor) -> Tensor:
        y = step(v)
        return y if isinstance(y, Tensor) else y[0]

    _, forward = torch.func.jvp(first, (x,), (tangent,))
    torch.testing.assert_close(forward, torch.autograd.functional.jvp(first, x, tangent)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_carries_states_and_layers(kind: str) -> None:
    trial = Trial(kind, 3)
    trial.options = {"num_layers": 2, "bidirectional": True}
    ours, theirs = trial.module(nn), trial.module(torch.nn)
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(5, 2, trial.input, dtype=dtype)
        with torch.autocast("cpu", torch.bfloat16):
            _, state = ours(x)
            y, z = ours(x, state), theirs(x, theirs(x)[1])
        for a, b in zip(torch.utils._pytree.tree_leaves(y), torch.utils._pytree.tree_leaves(z)):
            assert a.dtype == b.dtype
            torch.testing.assert_close(a.float(), b.float(), rtol=0.05, atol=0.03)
    assert ours.double()(x.double())[0].dtype == torch.float64


@pytest.mark.parametrize("name", [*KINDS, *(f"{kind}Cell" for kind in KINDS)])
def test_whole_modules_are_saved(name: str) -> None:
    module, file = getattr(nn, name)(3, 4), io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    twin, x = torch.load(file, weights_only=False), torch.randn(2, 3)
    assert type(twin) is type(module)
    torch.testing.assert_close(twin(x), module(x))


@pytest.mark.parametrize("kind", KINDS)
def test_vmap_and_forward_mode_work(kind: str) -> None:
    module, x = getattr(nn, kind)(3, 4), torch.randn(2, 5, 2, 3)
    parameters = dict(module.named_parameters())
    together = torch.vmap(lambda v: torch.func.functional_call(module, parameters, (v,))[0])(x)
    torch.testing.assert_close(together[1], module(x[1])[0])
    tangent = torch.randn_like(x[0])
    y, forward = torch.func.jvp(lambda v: module(v)[0], (x[0],), (tangent,))
    step = 1e-3
    torch.testing.assert_close(forward, (module(x[0] + step * tangent)[0] - y) / step, rtol=0.05, atol=0.01)
