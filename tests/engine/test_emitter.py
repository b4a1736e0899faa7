"""What kernels are written for, how they are tuned, and that another emitter can take the place of LLVM's."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import Interpreting

from rondeau import InputError, cells, scan
from rondeau.cells import ALL
from rondeau.engine.backends import compiled
from rondeau.engine.compile.arguments import HEADER, PARTS, TEAM, words
from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.pipeline import Pipeline
from rondeau.engine.compile.plan import Plan
from rondeau.engine.compile.printing import plan_text
from rondeau.engine.compile.target import FLOAT32, FLOAT64, Processor, Real, Target, Types
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.emitter import LLVM
from rondeau.engine.llvm.host import host_emitter, tiling_for
from rondeau.engine.llvm.processors import PROCESSORS
from rondeau.engine.runtime.program import Programs
from rondeau.nn import Recurrent

TARGET = Target(Processor("any processor", 256), Types.all(FLOAT32))
SIZES = {"input": 20, "hidden": 24}
TILING = Tiling()
MIB = 1 << 20


@dataclass(frozen=True)
class Reader:
    """Writes plans for people, and runs nothing."""

    target: Target = TARGET
    tiling: Tiling = TILING
    language = "English"

    def emit(self, plan: Plan) -> Code:
        return Code(plan_text(plan), (), (), plan.scratch)

    def build(self, code: Code) -> list[str]:
        return code.text.split()

    def assembly(self, code: Code) -> str:
        return code.text


def test_another_emitter_can_take_the_place_of_llvm() -> None:
    pipeline: Pipeline[list[str]] = Pipeline(cells.gru(), SIZES, Reader())
    assert pipeline.build("train")[:2] == ["phase", "0,"]
    assert pipeline.code("train") is pipeline.code("train")


@pytest.mark.parametrize("name", ["lstm", "gru", "peephole_lstm_full", "layer_norm_gru", "conditioned_lstm", "clockwork"])
def test_another_machine_can_take_the_place_of_this_one(name: str, monkeypatch) -> None:
    item, sizes = ALL[name], {"input": 5, "hidden": 8, "projection": 3, "context": 3}
    known = {size: sizes[size] for size in item.sizes}
    machine = Interpreting(known)
    monkeypatch.setattr(compiled, "PROGRAMS", Programs(machine))
    params = {p.name: torch.randn(p.shape(known)).requires_grad_() for p in item.parameters}
    x, context = torch.randn(3, 4, 5), {c.name: torch.rand(3, 3) for c in item.contexts}
    runs = []
    for backend in ("compiled", "reference"):
        y, state = scan(item, params, x, context=context, lengths=[4, 1, 3], reverse=True, backend=backend)
        runs.append((y, *state, *torch.autograd.grad(y.square().sum(), list(params.values()), materialize_grads=True)))
    assert machine.ran == [False, True]
    for a, b in zip(*runs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_a_step_on_memory_of_its_own_runs_on_another_machine(monkeypatch) -> None:
    monkeypatch.setattr(compiled, "PROGRAMS", Programs(Interpreting({"input": 5, "hidden": 8})))
    layer, x = Recurrent("gru", 5, 8), torch.randn(2, 5)
    stepper = layer.stepper(batch=2)
    for _ in range(2):
        found = stepper.step(x)
    torch.testing.assert_close(found, layer(torch.stack([x, x], 1))[0][:, 1].detach())


def test_a_target_says_what_it_is() -> None:
    assert TARGET.lanes == 8 and str(TARGET) == "float32 on any processor, vectors of 256 bits"
    assert replace(TARGET, types=Types.all(FLOAT64)).lanes == 4
    assert host_emitter(FLOAT64).target.lanes * 2 == host_emitter(FLOAT32).target.lanes


def test_the_types_of_llvm_kernels_are_one() -> None:
    half = Real("bfloat16", 16)
    with pytest.raises(InputError, match="stores bfloat16, computes in float32 and sums in float32, but LLVM kernels take one"):
        LLVM(replace(TARGET, types=Types(half, FLOAT32, FLOAT32)), Tiling())


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("single", [False, True])
def test_a_tile_fits_the_registers(name: str, single: bool) -> None:
    tiling = tiling_for(PROCESSORS[name], single)
    assert max(tiling.heights) * tiling.vectors < PROCESSORS[name].registers
    assert tiling.heights == tuple(sorted(tiling.heights, reverse=True)) and tiling.heights[-1] == 1


@pytest.mark.parametrize(
    ("weights", "batch", "threads", "team"),
    [
        (MIB, 64, 2, 1),  # enough sequences, and the weights stay in the cache
        (MIB, 1, 2, 2),  # fewer sequences than threads
        (1 << 17, 1, 2, 1),  # too little work to wait for one another
        (4 * MIB, 40, 2, 2),  # weights of more than two caches for few sequences
        (4 * MIB, 48, 2, 1),
        (4 * MIB, 1, 64, 8),
        (4 * MIB, 1, 1, 1),
    ],
)
def test_threads_share_units_where_all_would_wait_for_weights(weights: int, batch: int, threads: int, team: int) -> None:
    assert Tiling().team_size(weights, batch, threads) == team


def test_the_argument_table_is_as_drawn() -> None:
    table = words(5, 1, 2, 4096, 3, [64, 128])
    assert (table[PARTS], table[TEAM], table[HEADER:].tolist()) == (2, 3, [64, 128])


def test_the_code_knows_its_buffers_in_order() -> None:
    code = Pipeline(cells.gru(), SIZES, LLVM(TARGET, Tiling())).code("train")
    assert {Buffer("state", 0), Buffer("columns"), Buffer("packed", 0), Buffer("y")} <= set(code.buffers)
    assert len(set(code.buffers)) == len(code.buffers)
    assert code.packed == ((Buffer("packed", 0), 3 * 24 * 24),) and code.scratch == ((Buffer("next", 0), 24),)
