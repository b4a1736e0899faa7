"""The ways to a large matrix product: a kernel of ours, PyTorch's own function, and oneDNN's. Operands have any strides, so
nothing is transposed for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from rondeau.engine.compile.arguments import words
from rondeau.engine.compile.target import REALS
from rondeau.engine.llvm.build import MachineCode, build
from rondeau.engine.llvm.emitter import vector_type
from rondeau.engine.llvm.host import host_emitter
from rondeau.engine.llvm.large_product import Blocking, large_product
from rondeau.engine.llvm.openmp import available
from rondeau.engine.llvm.writer import VectorType

Name = Literal["own", "blas", "onednn"]
Way = Callable[[Tensor, Tensor, "Tensor | None", "Tensor | None"], Tensor]
"""``left @ right + add`` of (rows, inner) and (inner, columns), in ``out`` if given, which may be ``add`` itself."""


NARROW = range(2, 16)
"""Columns of a result that MKL is better asked for as rows."""


def blas(left: Tensor, right: Tensor, out: Tensor | None, add: Tensor | None) -> Tensor:
    """PyTorch's function, which calls the BLAS that it was built with: MKL on x86-64, which takes two to six times as long for
    a narrow result as for its transpose."""
    if add is None and out is None and right.shape[1] in NARROW:
        return torch.mm(right.t(), left.t()).t().contiguous()
    return torch.mm(left, right, out=out) if add is None else torch.addmm(add, left, right, out=out)


def onednn(left: Tensor, right: Tensor, out: Tensor | None, add: Tensor | None) -> Tensor:
    """oneDNN's product, which makes its result where it likes: a given ``out`` costs a copy."""
    row = add is not None and add.dim() == 1
    found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), add if row else None, "none", [], "")
    if add is not None and not row:
        return torch.add(found, add, out=found if out is None else out)
    return found if out is None else out.copy_(found)


def own(left: Tensor, right: Tensor, out: Tensor | None, add: Tensor | None) -> Tensor:
    """Our kernel: the same bits for any number of threads, and for a row among any others."""
    (rows, inner), columns = left.shape, right.shape[1]
    out = left.new_empty(rows, columns) if out is None else out
    init = left.new_zeros(columns) if add is None else add if add.stride(-1) == 1 else add.contiguous()
    code, vt, blocking = _kernel(left.dtype)
    parts, size = available(), blocking.scratch(vt, columns, inner)
    scratch = left.new_empty(parts * size)
    strides = [*left.stride(), *right.stride(), out.stride(0), init.stride(0) if init.dim() == 2 else 0]
    addresses = [value.data_ptr() for value in (left, right, out, init, scratch)]
    table = words(rows, 0, parts, 0, 1, [rows, columns, inner, *strides, size, *addresses])
    code.run(table.buffer_info()[0], parts, 1)
    return out


@cache
def _kernel(dtype: torch.dtype) -> tuple[MachineCode, VectorType, Blocking]:
    """The kernel for a type, and what its arguments depend on."""
    emitter = host_emitter(REALS[str(dtype).removeprefix("torch.")])
    vt, blocking = vector_type(emitter.target), Blocking(emitter.tiling.heights)
    return build(large_product(vt, blocking, emitter.tiling.spins), emitter.target.processor), vt, blocking


WAYS: Mapping[Name, Way] = {"own": own, "blas": blas, "onednn": onednn}
"""All of them; the first is taken where nothing was measured."""


def possible(dtype: torch.dtype) -> tuple[Name, ...]:
    """The ways that this build of PyTorch has for a type."""
    return ("own", "blas", "onednn") if dtype is torch.float32 and _has_onednn() else ("own", "blas")


@cache
def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and "mkldnn::_linear_pointwise" in torch._C._dispatch_get_all_op_names()
