"""What the recurrent matrices do when they are applied again and again, and how far their eigenvalues tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.diagnostics.runs import Forward, Run, captured
from rondeau.engine.inputs.check import check_inputs
from rondeau.errors import InputError
from rondeau.ir import Expr, Width
from rondeau.ir.analysis import depends_on
from rondeau.ir.expressions import is_product
from rondeau.ir.nodes import postorder
from rondeau.ir.spelling import spell

DEFECTIVE = 1e8
"""The condition of the eigenvectors from which on a matrix passes for not diagonalisable: half the digits are lost."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The eigenvalues of square matrices W and the norms of their powers; by name, such as ``0.U.r``.

    Attributes:
        eigenvalues: (width,), complex, the largest first.
        singular_values: (width,), the largest first.
        powers: (power,), the largest singular value of W^k for k from 0.
        condition: of the eigenvectors: ``radius^k <= |W^k| <= condition * radius^k``. One where W is normal, and eigenvalues
            tell all; the larger, the less they tell.
        departure: from normality, after Henrici: the part of W's norm that is not in its eigenvalues, from 0 to 1.
    """

    eigenvalues: Mapping[str, np.ndarray]
    singular_values: Mapping[str, np.ndarray]
    powers: Mapping[str, np.ndarray]
    condition: Mapping[str, float]
    departure: Mapping[str, float]

    def radius(self, name: str) -> float:
        """The largest absolute eigenvalue: above one powers explode, below they vanish, in the end."""
        return float(np.abs(self.eigenvalues[name]).max())

    def predicted(self, name: str) -> np.ndarray:
        """What the largest eigenvalue says about the norms of powers: radius^k, (power,)."""
        found: np.ndarray = self.radius(name) ** np.arange(len(self.powers[name]))
        return found

    def diagonalisable(self, name: str) -> bool:
        """Whether W can be written with eigenvectors, as W = Q L Q^-1, so that W^k = Q L^k Q^-1 can be computed."""
        return self.condition[name] < DEFECTIVE

    def transient(self, name: str) -> float:
        """By how much powers outgrow what the largest eigenvalue says, at most: 1 where it says all."""
        ratio = self.powers[name] / np.maximum(self.predicted(name), np.finfo(float).tiny)
        return float(ratio.max())


def spectrum(model: nn.Module, forward: Forward, *, powers: int = 50) -> Spectrum:
    """The spectra of all square matrices that multiply a state in a model's recurrent layers.

    Args:
        model: any module with recurrent layers in it.
        forward: runs the model, as ``lambda: model(x)``.
        powers: the highest power of each.

    Raises:
        InputError: nothing recurrent ran, or no layer has such a matrix.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> layer = Recurrent("elman", 3, 4)
        >>> found = spectrum(layer, lambda: layer(torch.randn(2, 9, 3)))
        >>> round(found.radius("layer.U"), 4), found.diagonalisable("layer.U")  # it starts orthogonal
        (1.0, True)
    """
    named = {f"{run.name}.{label}": matrix for run in captured(model, forward)[1] for label, matrix in _recurrent(run)}
    if not named:
        raise InputError("no cell of this model multiplies a state by a square matrix, so there is no spectrum to look at")
    return _spectrum(named, powers)


def spectrum_of(matrix: Tensor | np.ndarray, *, powers: int = 50) -> Spectrum:
    """The spectrum of one square matrix, under the name ``W``.

    Raises:
        InputError: it is not square.

    Example:
        >>> spectrum_of(np.array([[0.5, 100.0], [0.0, 0.5]])).diagonalisable("W")
        False
    """
    values = torch.as_tensor(matrix)
    if values.dim() != 2 or values.shape[0] != values.shape[1] or not values.numel():
        raise InputError(f"a spectrum is of a square matrix, not of shape {tuple(values.shape)}; take a block of it")
    return _spectrum({"W": values}, powers)


def _spectrum(named: Mapping[str, Tensor], powers: int) -> Spectrum:
    values = {name: matrix.detach().cpu().double().numpy() for name, matrix in named.items()}
    pairs = {name: np.linalg.eig(matrix) for name, matrix in values.items()}
    eigenvalues = {name: pair[0][np.argsort(-np.abs(pair[0]))] for name, pair in pairs.items()}
    return Spectrum(
        eigenvalues,
        {name: np.linalg.svd(matrix, compute_uv=False) for name, matrix in values.items()},
        {name: _powers(matrix, powers) for name, matrix in values.items()},
        {name: float(np.linalg.cond(pair[1])) for name, pair in pairs.items()},
        {name: _departure(matrix, eigenvalues[name]) for name, matrix in values.items()},
    )


def _powers(matrix: np.ndarray, count: int) -> np.ndarray:
    found, product = [1.0], np.eye(len(matrix))
    for _ in range(count):
        product = matrix @ product
        found.append(float(np.linalg.norm(product, 2)))
    return np.array(found)


def _departure(matrix: np.ndarray, eigenvalues: np.ndarray) -> float:
    whole = float((matrix**2).sum())
    return float(np.sqrt(max(whole - float((np.abs(eigenvalues) ** 2).sum()), 0) / whole)) if whole else 0.0


def _recurrent(run: Run) -> Iterator[tuple[str, Tensor]]:
    """The square matrices that multiply what depends on a state."""
    moving = depends_on(run.cell.roots, "state")
    sizes = check_inputs(
        run.cell, run.params, run.x, run.state, lengths=run.lengths, context=run.context, masks=run.masks
    ).sizes
    products = [expr for expr in postorder(run.cell.roots) if is_product(expr)]
    for matrix, vector, start in dict.fromkeys(part for expr in products for part in _parts(expr)):
        rows, first, count = (width.bind(sizes) for width in (matrix.width, start, vector.width))
        whole = count == matrix.attrs[3].bind(sizes)
        if vector in moving and rows == count:
            item = run.cell.parameter(matrix.attrs[0])
            at = item.gates.index(matrix.attrs[1]) * rows
            columns = "" if whole else f"[:, {first}:{first + count}]"
            yield spell(matrix) + columns, run.params[item.name][at : at + rows, first : first + count]


def _parts(product: Expr) -> Iterator[tuple[Expr, Expr, Width]]:
    """What a matrix multiplies, and the first of its columns that do: several where vectors are joined."""
    matrix, vector = product.args
    start = matrix.attrs[2]
    for part in vector.args if vector.op == "concat" and product.op == "matmul" else (vector,):
        yield matrix, part, start
        start = start + part.width
