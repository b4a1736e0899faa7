"""Kernels for processors with and without AVX-512, and for another kind than this one's."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import guard_pages
import other_processors
from other_processors import RAGGED, RUNS, SIZES, TOLERANCE, compared, written_for

from rondeau import InputError
from rondeau.cells import ALL
from rondeau.engine.compile.pipeline import Pipeline
from rondeau.engine.compile.target import FLOAT32, FLOAT64, REALS, Processor
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm import build
from rondeau.engine.llvm.host import emitter_for
from rondeau.engine.llvm.processors import ARM, PROCESSORS, TARGET, chosen_processor, host_processor, runs_here

HERE = [name for name in ("avx2", "sse2") if runs_here(PROCESSORS[name])]
QUICK = ["lstm", "layer_norm_lstm", "min_gru"]
EXTERNAL = {"GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "sched_yield", "memcpy"}
LIBM = {name + suffix for name in ("sin", "cos", "erf") for suffix in ("", "f")}
guards = pytest.mark.skipif(sys.platform == "win32" or not guard_pages.possible(), reason="no pages can be forbidden here")
emulator = pytest.mark.skipif(bool(other_processors.missing()), reason=other_processors.missing() or "nothing is missing")


@pytest.fixture(params=["avx2", "sse2"])
def other(request, tmp_path) -> Iterator[Processor]:
    processor = PROCESSORS[request.param]
    if not runs_here(processor):
        pytest.skip(f"this processor cannot run kernels for {processor.name}")
    with written_for(processor, tmp_path):
        yield processor


@guards
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_kernels_without_avx_512_agree_with_the_reference(other: Processor, dtype: torch.dtype) -> None:
    """With every height of tile, a ragged batch and widths that are no multiple of a vector."""
    for name in QUICK:
        for batch, options in RUNS:
            assert compared(name, SIZES[1], dtype, batch, options) <= TOLERANCE[dtype]


@guards
@pytest.mark.skipif("avx2" not in HERE, reason="this processor cannot run kernels for AVX2")
@pytest.mark.parametrize("name", ALL)
def test_every_cell_runs_on_avx2(name: str, tmp_path) -> None:
    with written_for(PROCESSORS["avx2"], tmp_path):
        assert compared(name, SIZES[0], torch.float32, 7, RAGGED) <= TOLERANCE[torch.float32]


@emulator
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_neon_kernels_agree_with_the_reference(dtype: torch.dtype, tmp_path) -> None:
    with written_for(PROCESSORS["neon"], tmp_path):
        for batch, options in ((1, {}), (7, RAGGED), (14, {})):
            assert compared("layer_norm_lstm", SIZES[1], dtype, batch, options) <= TOLERANCE[dtype]


@emulator
def test_neon_kernels_run_on_several_threads(two_threads, tmp_path, monkeypatch) -> None:
    """On parts of the batch, and as a team with its barrier."""
    with written_for(PROCESSORS["neon"], tmp_path):
        for team in (1, 2):
            monkeypatch.setattr(Tiling, "team_size", lambda *_, team=team: team)
            assert compared("peephole_lstm", SIZES[1], torch.float64, 7, RAGGED) <= TOLERANCE[torch.float64]


@emulator
def test_an_emulated_kernel_that_reads_too_far_ends(tmp_path) -> None:
    """The comparison can fail: a matrix of one element less than the kernel reads lies against a forbidden page."""
    with written_for(PROCESSORS["neon"], tmp_path), pytest.MonkeyPatch.context() as patch:
        whole = other_processors.Emulated.__call__

        def short(call) -> None:
            arrays = call.seen.arrays
            arrays |= {name: value.reshape(-1)[:-1] for name, value in arrays.items() if name.kind == "parameter"}
            whole(call)

        patch.setattr(other_processors.Emulated, "__call__", short)
        with pytest.raises(AssertionError, match=r"qemu-aarch64 ended with -?\d+"):
            compared("gru", SIZES[1], torch.float32, 3, {})


def pipeline(name: str, cell: str = "lstm", real: str = "float32", single: bool = False) -> Pipeline:
    item, known = ALL[cell], {**SIZES[1], "hidden": 60}
    given = [i.name for i in (*item.contexts, *item.masks)]
    return Pipeline(item, {size: known[size] for size in item.sizes}, emitter_for(PROCESSORS[name], REALS[real], single), given)


def assembly(name: str, cell: str = "lstm", single: bool = False) -> str:
    """Of the training kernel; skips where LLVM lacks the target."""
    made = pipeline(name, cell, single=single)
    return made.emitter.assembly(made.code("train"))


def tiles(text: str) -> dict[str, list[str]]:
    """The instructions of each register tile."""
    found: dict[str, list[str]] = {}
    for name, body in re.findall(
        r'^"?_?(product\.[\w.]+)"?:(.*?)(?=^\S*func_end|^"?_?product|\Z)', text, re.MULTILINE | re.DOTALL
    ):
        found[name] = [line.strip() for line in body.splitlines() if line.startswith("\t") and not line.startswith("\t.")]
    return found


SPILLED = re.compile(r"[xyz]mm.*\(%[er]sp\)|\(%rsp\).*[xyz]mm|\bq\d+.*\[sp")
X86 = [
    pytest.param(n, marks=pytest.mark.skipif("SSE2" not in {PROCESSORS[k].name for k in HERE}, reason="not x86-64"))
    for n in ("avx2", "sse2")
]


@pytest.mark.parametrize("name", [*X86, "neon"])
@pytest.mark.parametrize("single", [False, True])
def test_the_sums_of_a_tile_stay_in_registers(name: str, single: bool) -> None:
    for cell in ("lstm", "gru"):
        found = tiles(assembly(name, cell, single))
        assert len(found) == len(emitter_for(PROCESSORS[name], FLOAT32, single).tiling.heights)
        assert not [line for body in found.values() for line in body if SPILLED.search(line)]


def test_instructions_are_the_processors_own() -> None:
    neon = assembly("neon")
    assert "fmla" in neon and not re.search(r"\bbl\s+(fmaf?|expf?|tanhf?|roundevenf?)\b", neon)
    if HERE:
        avx2, sse2 = assembly("avx2"), assembly("sse2")
        assert "vfmadd" in avx2 and "ymm" in avx2 and "zmm" not in avx2
        assert "mulps" in sse2 and "ymm" not in sse2 and "vfmadd" not in sse2
        assert not re.search(r"\b(fmaf?|roundevenf?)\b", sse2), "a product of sums must not call the C library"


def undefined(data: bytes) -> set[str]:
    """The names that a 64-bit ELF object leaves to the linker."""
    (start,), (size, count) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, start + k * size) for k in range(count)]
    found = set()
    for _, kind, _, _, at, length, link, *_ in sections:
        if kind == 2:  # a table of symbols
            names = sections[link][4]
            for entry in range(at, at + length, 24):
                name, _, _, section = struct.unpack_from("<IBBH", data, entry)
                if name and not section:
                    found.add(data[names + name : data.index(b"\0", names + name)].decode())
    return found


@pytest.mark.parametrize(("cell", "real"), [*((name, "float32") for name in ALL), *((name, "float64") for name in QUICK)])
def test_objects_for_aarch64_leave_only_known_names_to_the_linker(cell: str, real: str) -> None:
    made = pipeline("neon", cell, real)
    data = made.emitter.object(made.code("backward"))
    assert data[:4] == b"\x7fELF" and struct.unpack_from("<H", data, 18) == (183,), "the machine is AArch64"
    names = undefined(data)
    assert "GOMP_parallel" in names and names <= EXTERNAL | LIBM


PROGRAM = """
import torch
from rondeau import cells, explain, scan
from rondeau.engine.llvm.host import host_emitter
from rondeau.engine.compile.target import FLOAT32
print(host_emitter(FLOAT32).target)
params = {p.name: torch.ones(p.shape({"input": 3, "hidden": 4})) for p in cells.gru().parameters}
print(scan(cells.gru(), params, torch.ones(2, 5, 3), backend="compiled")[0].shape)
"""


@pytest.mark.parametrize("name", HERE[:1])
def test_the_environment_names_a_target(name: str) -> None:
    environment = {**os.environ, TARGET: name}
    found = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    described = f"float32 on {PROCESSORS[name].name}, vectors of {PROCESSORS[name].vector_bits} bits"
    assert found.stdout.splitlines() == [described, "torch.Size([2, 5, 4])"]


@pytest.mark.parametrize("name", PROCESSORS)
def test_each_target_has_a_name(name: str, monkeypatch) -> None:
    monkeypatch.setenv(TARGET, name)
    assert chosen_processor.__wrapped__().name == PROCESSORS[name].name


def test_an_unknown_target_is_refused(monkeypatch) -> None:
    monkeypatch.setenv(TARGET, "mmx")
    with pytest.raises(
        InputError, match="RONDEAU_TARGET is one of avx512, avx2, sse2, neon, or unset for this processor, not 'mmx'"
    ):
        chosen_processor.__wrapped__()
    monkeypatch.setenv(TARGET, "")
    assert chosen_processor.__wrapped__() == host_processor()


def test_kernels_that_cannot_run_here_are_refused() -> None:
    made = pipeline("neon")
    with pytest.raises(
        InputError, match="for NEON can be written here, but this processor cannot run them; unset RONDEAU_TARGET"
    ):
        made.build("train")


def test_an_unknown_processor_is_refused() -> None:
    with pytest.raises(InputError, match="cannot write for PDP"):
        build.machine(Processor("PDP", 128, triple="pdp11-unknown-none"))


def test_kernels_on_disk_belong_to_a_processor() -> None:
    keys = {build._key("the same text", processor) for processor in (*PROCESSORS.values(), host_processor())}
    assert len(keys) == len(PROCESSORS) + 1


def test_only_what_is_written_for_this_kind_of_processor_runs_here() -> None:
    assert runs_here(host_processor()) and not runs_here(Processor("NEON", 128, triple=ARM))
    assert emitter_for(PROCESSORS["neon"], FLOAT64).target.lanes == 2
