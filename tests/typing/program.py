"""A user's program: a cell, run and traced, in layers and beside a drop-in, trained for a step. Checked by `mypy --strict`."""

from __future__ import annotations

import torch
from torch import Tensor

import rondeau as rd
from rondeau import nn


@rd.cell(source="a gate and a candidate, forgetting as time passes")
def cautious(
    x: rd.Expr = rd.input(),
    h: rd.Expr = rd.state(),
    gap: rd.Expr = rd.context(1, per="step"),
    W: rd.Expr = rd.weight("z n", "hidden", "input"),
    U: rd.Expr = rd.weight("z n", "hidden", "hidden", init=rd.orthogonal()),
    b: rd.Expr = rd.bias("z n", "hidden", init=rd.zeros(z=1.0)),
) -> rd.Expr:
    z = rd.sigmoid(W.z @ x + U.z @ h + b.z) * rd.exp(-gap)
    n = rd.tanh(W.n @ x + U.n @ h + b.n)
    return z * h + (1 - z) * n


def described(cell: rd.Cell) -> list[str]:
    again: rd.Cell = rd.ir.from_json(rd.ir.to_json(cell))
    names: list[str] = [equation.name for equation in again.equations]
    return [*names, *(f"{item.name}: {item.role}" for item in again.parameters)]


def scanned(cell: rd.Cell, x: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    params = {"W": torch.randn(8, 4), "U": torch.randn(8, 4), "b": torch.zeros(8)}
    y, state = rd.scan(cell, params, x, context=gap, lengths=[5, 2], backend="reference")
    again, (h,), gates = rd.scan(cell, params, y, state, context=gap, trace=("z",))
    step, (h,) = rd.step(cell, params, again[:, 0], (h,), context=gap[:, 0])
    return step + h, gates["z"]


class Model(torch.nn.Module):
    def __init__(self, cell: rd.Cell) -> None:
        super().__init__()
        ahead = nn.Recurrent(cell, 3, 4, initial="learned")
        behind = nn.Recurrent(cell, 3, 4, reverse=True, clip=1.0, segment="auto")
        both = nn.Bidirectional(ahead, behind)
        self.body = nn.Stack(both, torch.nn.Linear(8, 8), nn.Residual(nn.Recurrent("gru", 8, 8)))
        self.drop_in = nn.LSTM(self.body.output_size, 5, batch_first=True)

    def forward(self, x: Tensor, gap: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        y, state, gates = self.body(x, lengths=[5, 2], context={"gap": gap}, trace=["0.forward_layer.z"])
        y, state = self.body(x, state, context=gap)
        out: Tensor = self.drop_in(y)[0]
        return out, gates


def trained(model: Model, x: Tensor, gap: Tensor) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    y, gates = model(x, gap)
    loss = y.square().mean() + gates["0.forward_layer.z"].mean()
    loss.backward()
    optimizer.step()
    value: float = loss.item()
    return value


def main() -> None:
    torch.manual_seed(0)
    x, gap = torch.randn(2, 5, 3), torch.rand(2, 5, 1)
    ran, z = scanned(cautious, torch.randn(2, 5, 4), gap)
    model = Model(cautious)
    first, second = trained(model, x, gap), trained(model, x, gap)
    print(described(cautious), ran.shape, z.shape, rd.explain(cautious, x, context=gap), second < first)


if __name__ == "__main__":
    main()
