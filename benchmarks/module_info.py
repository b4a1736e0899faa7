"""PyTorch's own table of modules run on the drop-ins: ``python benchmarks/module_info.py``.

``torch.testing._internal.common_modules.module_db`` lists, for each of PyTorch's modules, constructors, inputs, references and
errors. Every check below runs on each entry of an LSTM, GRU, RNN and their cells, in both types, while training and not, with
the drop-in in PyTorch's place. ``--stock`` checks ``torch.nn`` itself. One JSON line a run is appended to
benchmarks/results/module_info.jsonl. PyTorch's table needs the package expecttest.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.testing._internal.common_modules import ModuleErrorEnum, ModuleInfo, module_db
from torch.utils._pytree import tree_leaves, tree_map

from rondeau import nn

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
TYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Case:
    """One entry of the table in one type and mode, for the module that stands for it."""

    info: ModuleInfo
    kind: Any
    dtype: torch.dtype
    training: bool

    def inputs(self, differentiated: bool = False) -> Iterator[tuple[Any, Any]]:
        """Each sample that has an input, with a module made for it."""
        for sample in self.info.module_inputs_func(self.info, "cpu", self.dtype, differentiated, self.training):
            torch.manual_seed(0)
            made = sample.constructor_input
            if sample.forward_input is not None:
                yield sample, self.kind(*made.args, **made.kwargs).to(self.dtype).train(self.training)


def tensors(value: Any) -> list[Tensor]:
    """All tensors in a structure; of a packed sequence its data."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def called(module: Any, sample: Any, args: Any = None) -> list[Tensor]:
    """The tensors that a module returns for a sample."""
    given = sample.forward_input
    return tensors(module(*(given.args if args is None else args), **given.kwargs))


def check_forward(case: Case) -> None:
    """The outputs are those of the table's reference."""
    for sample, module in case.inputs():
        if sample.reference_fn is not None:
            given = sample.forward_input
            wanted = sample.reference_fn(module, *given.args, **given.kwargs)
            torch.testing.assert_close(called(module, sample), tensors(wanted))


def check_stock(case: Case) -> None:
    """Outputs and gradients are those of PyTorch's own module with the same weights."""
    for sample, module in case.inputs(differentiated=True):
        made = sample.constructor_input
        stock = case.info.module_cls(*made.args, **made.kwargs).to(case.dtype).train(case.training)
        stock.load_state_dict(module.state_dict())
        found, wanted = called(module, sample), called(stock, sample)
        torch.testing.assert_close(found, wanted)
        slopes = [
            torch.autograd.grad(sum(v.sin().sum() for v in y), list(m.parameters()))
            for y, m in ((found, module), (wanted, stock))
        ]
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-4)


def check_factory(case: Case) -> None:
    """``device`` and ``dtype`` reach every parameter."""
    for sample, _ in case.inputs():
        made = sample.constructor_input
        for device in ("cpu", "meta"):
            module = case.kind(*made.args, **{**made.kwargs, "device": device, "dtype": case.dtype})
            assert all(p.device.type == device and p.dtype == case.dtype for p in module.parameters())


def check_repr(case: Case) -> None:
    """Each has a text."""
    for _, module in case.inputs():
        assert repr(module) and str(module).startswith(case.info.module_cls.__name__)


def check_copies(case: Case) -> None:
    """Pickles, saved files and copies compute the same."""
    for sample, module in case.inputs():
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        twins = [torch.load(file, weights_only=False), pickle.loads(pickle.dumps(module)), copy.deepcopy(module)]
        for twin in twins:
            torch.manual_seed(1)
            wanted = called(module, sample)
            torch.manual_seed(1)
            torch.testing.assert_close(called(twin, sample), wanted)


def strided(value: Tensor) -> Tensor:
    """The same numbers, not side by side."""
    return torch.stack([value, value], -1)[..., 0] if value.dim() else value.clone()


def replaced(structure: Any, how: Callable[[Tensor], Tensor]) -> Any:
    """A structure with other tensors that can be differentiated, in place of its own."""

    def one(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        return how(value.detach()).requires_grad_()

    return tree_map(one, structure)


def exchanged(structure: Any, old: list[Tensor], new: tuple[Tensor, ...]) -> Any:
    """A structure with ``new`` tensors in place of ``old`` ones."""
    others = dict(zip(map(id, old), new))
    return tree_map(lambda value: others.get(id(value), value), structure)


def check_strides(case: Case) -> None:
    """Inputs that do not lie side by side give the same outputs and gradients."""
    for sample, module in case.inputs(differentiated=True):
        results = []
        for how in (torch.Tensor.clone, strided):
            turned = replaced(sample.forward_input.args, how)
            torch.manual_seed(1)
            outputs = called(module, sample, turned)
            leaves = [*tensors(turned), *module.parameters()]
            slopes = torch.autograd.grad(sum(v.sin().sum() for v in outputs), leaves, allow_unused=True)
            results.append([*outputs, *(torch.zeros(0) if g is None else g for g in slopes)])
        torch.testing.assert_close(*results)


def check_inputs_survive(case: Case) -> None:
    """A call changes neither what it is given nor, without a random number, its answer."""
    for sample, module in case.inputs():
        before = [value.clone() for value in tensors(sample.forward_input.args)]
        first, second = called(module.eval(), sample), called(module, sample)
        torch.testing.assert_close(tensors(sample.forward_input.args), before, rtol=0, atol=0)
        torch.testing.assert_close(first, second, rtol=0, atol=0)


def check_meta(case: Case) -> None:
    """On the device meta shapes come out; `to_empty` and `reset_parameters` make a module of it."""
    for sample, module in case.inputs():
        shapes = [value.shape for value in called(module, sample)]
        args = tree_map(lambda v: v.to("meta") if isinstance(v, Tensor) else v, sample.forward_input.args)
        bare = copy.deepcopy(module).to("meta")
        assert [value.shape for value in called(bare, sample, args)] == shapes
        bare.to_empty(device="cpu").reset_parameters()
        assert all(bool(p.isfinite().all()) for p in bare.parameters())


def _outputs(module: Any, sample: Any, leaves: list[Tensor], *given: Tensor) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return tuple(called(module, sample, exchanged(sample.forward_input.args, leaves, given)))


def _slopes(check: Callable[..., bool], **options: Any) -> Callable[[Case], None]:
    def run(case: Case) -> None:
        if case.dtype != torch.float64:
            return
        for sample, module in case.inputs(differentiated=True):
            leaves = [v for v in tensors(sample.forward_input.args) if v.requires_grad]
            by_inputs = partial(_outputs, module, sample, leaves)
            assert check(partial(_outputs, module, sample, []), tuple(module.parameters()), **options)
            assert not leaves or check(by_inputs, tuple(leaves), **options)

    run.__doc__ = f"`{check.__name__}` of parameters and inputs{', batched' if options.get('check_batched_grad') else ''}."
    return run


def check_errors(case: Case) -> None:
    """What the table says must fail, fails with the table's error and text."""
    if case.info.module_error_inputs_func is None:
        return
    for bad in case.info.module_error_inputs_func(case.info, "cpu", case.dtype, False, case.training):
        made, given = bad.module_error_input.constructor_input, bad.module_error_input.forward_input
        with raises(bad.error_type, bad.error_regex):
            module = case.kind(*made.args, **made.kwargs)
            if bad.error_on == ModuleErrorEnum.FORWARD_ERROR:
                module.to(case.dtype).train(case.training)(*given.args, **given.kwargs)


def raises(kind: type[Exception], text: str) -> Any:
    """unittest's context for an error of a kind with a text."""
    import unittest

    return unittest.TestCase().assertRaisesRegex(kind, text)


CHECKS: dict[str, Callable[[Case], None]] = {
    "forward": check_forward,
    "stock": check_stock,
    "factory": check_factory,
    "repr": check_repr,
    "copies": check_copies,
    "strides": check_strides,
    "inputs survive": check_inputs_survive,
    "meta": check_meta,
    "errors": check_errors,
    "gradients": _slopes(gradcheck, fast_mode=True),
    "batched gradients": _slopes(gradcheck, fast_mode=True, check_batched_grad=True),
    "second gradients": _slopes(gradgradcheck, fast_mode=True),
}


def cases(name: str, package: Any = nn) -> Iterator[Case]:
    """Both types and both modes of one module of the table."""
    info = next(item for item in module_db if item.module_cls is getattr(torch.nn, name))
    for dtype in TYPES:
        for training in (True, False):
            yield Case(info, getattr(package, name), dtype, training)


def fault(check: str, case: Case) -> str | None:
    """None, or what went wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CHECKS[check](case)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


def main() -> None:
    """Runs all checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stock", action="store_true", help="torch.nn in place of rondeau.nn")
    package = torch.nn if parser.parse_args().stock else nn
    count, faults = 0, {}
    for name in NAMES:
        for check in CHECKS:
            for case in cases(name, package):
                count += 1
                found = fault(check, case)
                if found is not None:
                    faults[f"{name}, {check}, {case.dtype}, training={case.training}"] = found
                    print(name, check, case.dtype, case.training, found, file=sys.stderr)
    row = {"package": package.__name__, "torch": torch.__version__, "checks": count, "passed": count - len(faults)}
    with (Path(__file__).parent / "results" / "module_info.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row | {"faults": faults}) + "\n")
    print(row)


if __name__ == "__main__":
    main()
