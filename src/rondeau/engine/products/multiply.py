"""`multiply`: every large matrix product outside a kernel's loop, the fastest way that this machine has."""

from __future__ import annotations

from torch import Tensor

from rondeau.engine.products.choice import Shape, chosen
from rondeau.engine.products.ways import WAYS, blas

SMALL = 1 << 22  # multiplications below which what stands around a product costs more than any way to it could save


def multiply(left: Tensor, right: Tensor, out: Tensor | None = None, add: Tensor | None = None) -> Tensor:
    """``left @ right + add``, in float32 or float64 on the CPU; no derivative is recorded.

    Args:
        left: (rows, inner), of any strides.
        right: (inner, columns), of any strides.
        out: where it goes, (rows, columns) whose rows lie in one piece; a new tensor if not given.
        add: what is added, (columns,) to each row, or (rows, columns), which may be ``out`` itself; nothing if not given.

    Returns:
        The result, (rows, columns).

    Raises:
        InputError: ``RONDEAU_PRODUCTS`` names no way to a product.
    """
    if left.shape[0] * left.shape[1] * right.shape[1] < SMALL:
        return blas(left, right, out, add)
    return WAYS[chosen(Shape.of(left, right))](left, right, out, add)
