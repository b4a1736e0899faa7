"""Products of a kernel: the register tile, and the layout that it reads its matrices in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Group, Term
from rondeau.engine.llvm.writer import Machine, Writer
from rondeau.ir.expressions import Expr

HEADER = 7
"""Words of the argument table before the buffers."""

UNROLL = 4


@dataclass(frozen=True, eq=False)
class Pack:
    """A group's matrices, laid out as the kernel reads them: ``[unit block][inner][accumulator][lane]``."""

    buffer: Buffer
    block: int
    group: Group
    vectors: int
    width: int

    @property
    def inner(self) -> int:
        """The sum of the terms' inner features."""
        return sum(term.inner for term in self.group.terms[0])

    def lanes(self, machine: Machine) -> int:
        """Units of a unit block."""
        return self.vectors * machine.lanes

    def size(self, machine: Machine) -> int:
        """Numbers in the packed buffer."""
        lanes = self.lanes(machine)
        return -(-self.width // lanes) * self.inner * len(self.group.accumulators) * lanes


def product(pack: Pack, rows: int, machine: Machine, far: bool) -> list[str]:
    """The register tile as a function: ``rows`` times the group's accumulators times the unit block's vectors.

    Where the weights are ``far`` from the core, it fetches from address ``next`` on, ``stride`` bytes for an inner feature.
    """
    w, n, vectors = Writer(machine), len(pack.group.accumulators), pack.vectors
    values = [machine.splat(0.0)] * (rows * n * vectors)
    packed = "%w"
    terms = pack.group.terms[0]
    for t, term in enumerate(terms):
        values = _inner(w, pack, rows, t, term.inner, packed, values, far)
        packed = w.at(packed, str(term.inner * n * vectors * machine.lanes))
    for r in range(rows):
        for v in range(vectors):
            for a in range(n):
                place = w.integer("add", w.integer("mul", "%total", r * vectors + v), a)
                value = values[(r * vectors + v) * n + a]
                target = w.at("%out", place, machine.vector)
                w.put(f"store {machine.vector} {value}, ptr {target}, align {machine.lanes * machine.bytes}")
    w.put("ret void")
    operands = "".join(f", ptr noalias readonly %a{t}, i64 %s{t}" for t in range(len(terms)))
    arguments = f"ptr noalias readonly %w, ptr noalias %out, i64 %total, ptr %next, i64 %stride{operands}"
    return [f"define internal void @mul.{pack.buffer}.{rows}({arguments}) noinline nounwind {{", *w.body, "}"]


def _inner(w: Writer, pack: Pack, rows: int, t: int, inner: int, packed: str, values: list[str], far: bool) -> list[str]:
    """One term: the loop over its inner features, unrolled a little, and the rest."""
    done_before = sum(term.inner for term in pack.group.terms[0][:t])
    at = [f"%a{t}"]
    for _ in range(1, rows):
        at.append(w.at(at[-1], f"%s{t}"))
    whole = inner // UNROLL * UNROLL
    if whole:
        before, head, done = w.fresh("before"), w.fresh("inner"), w.fresh("done")
        w.put(f"br label {before}")
        w.label(before)
        w.put(f"br label {head}")
        w.label(head)
        k, following = w.fresh("k"), w.fresh("k")
        phis = [w.fresh("acc") for _ in values]
        mark = len(w.lines)
        if far:
            _fetch(w, w.integer("add", k, done_before))
        new = _advance(w, pack, rows, at, packed, k, UNROLL, phis)
        vector = w.machine.vector
        lines = [f"  {k} = phi i64 [ 0, {before} ], [ {following}, {head} ]"]
        lines += [f"  {p} = phi {vector} [ {old}, {before} ], [ {now}, {head} ]" for p, old, now in zip(phis, values, new)]
        w.lines[mark:mark] = lines
        w.put(f"{following} = add i64 {k}, {UNROLL}")
        w.put(f"br i1 {w.let(f'icmp slt i64 {following}, {whole}')}, label {head}, label {done}")
        w.label(done)
        values = new
    return _advance(w, pack, rows, at, packed, str(whole), inner - whole, values) if inner > whole else values


def _fetch(w: Writer, k: str) -> None:
    """Asks for some of the weights that come next, while this tile keeps the arithmetic busy."""
    first = w.integer("mul", k, "%stride")
    for i in range(UNROLL):
        line = w.at("%next", w.integer("add", first, w.integer("mul", "%stride", i)), "i8")
        w.put(f"call void @llvm.prefetch.p0(ptr {line}, i32 0, i32 2, i32 1)")


def _advance(w: Writer, pack: Pack, rows: int, at: list[str], packed: str, k: str, count: int, values: list[str]) -> list[str]:
    """``count`` inner features from ``k`` on, added to the accumulators."""
    m, n = w.machine, len(pack.group.accumulators)
    values, chunk = list(values), n * pack.vectors
    for u in range(count):
        index = w.integer("add", k, u)
        row = w.at(packed, w.integer("mul", index, chunk * m.lanes))
        weights = [
            w.let(f"load {m.vector}, ptr {w.at(row, str(c), m.vector)}, align {m.lanes * m.bytes}") for c in range(chunk)
        ]
        for r in range(rows):
            x = w.broadcast(w.let(f"load {m.real}, ptr {w.at(at[r], index)}"))
            for v in range(pack.vectors):
                for a in range(n):
                    i = (r * pack.vectors + v) * n + a
                    values[i] = w.fma(x, weights[a * pack.vectors + v], values[i])
    return values


def packer(packs: list[Pack], machine: Machine, buffers: tuple[Buffer, ...]) -> list[str]:
    """The function that lays the matrices out; thread ``k`` of ``n`` takes every so many unit blocks."""
    w = Writer(machine)

    def pointer(buffer: Buffer) -> str:
        word = w.let(f"load i64, ptr {w.at('%args', str(HEADER + buffers.index(buffer)), 'i64')}")
        return w.let(f"inttoptr i64 {word} to ptr")

    for pack in packs:
        target = pointer(pack.buffer)
        sources = {t.matrix: pointer(t.block.buffer) for terms in pack.group.terms for t in terms}
        blocks = -(-pack.width // pack.lanes(machine))

        def block(j: str, pack: Pack = pack, target: str = target, sources: Mapping[Expr, str] = sources) -> None:
            _pack_block(w, pack, j, target, sources)

        w.loop("%k", str(blocks), block, "%n")
    w.put("ret void")
    return ["define void @pack(ptr noalias %args, i64 %k, i64 %n) nounwind {", *w.body, "}"]


def _pack_block(w: Writer, pack: Pack, j: str, target: str, sources: Mapping[Expr, str]) -> None:
    n, lanes, done = len(pack.group.accumulators), pack.lanes(w.machine), 0
    base, first = w.integer("mul", j, pack.inner * n * lanes), w.integer("mul", j, lanes)
    left = w.let(f"sub i64 {pack.width}, {first}")
    inside = w.let(f"icmp slt i64 {left}, {lanes}")
    units = w.let(f"select i1 {inside}, i64 {left}, i64 {lanes}")
    for t, term in enumerate(pack.group.terms[0]):
        for a in range(n):
            mine = pack.group.terms[a][t]
            start = w.integer("add", base, (done * n + a) * lanes)
            _pack_term(w, mine, sources[mine.matrix], target, start, first, (units, n * lanes, lanes))
        done += term.inner


def _pack_term(w: Writer, term: Term, source: str, target: str, start: str, first: str, run: tuple[str, int, int]) -> None:
    """One matrix of one unit block: a run of units for each inner feature, zeros beyond the width."""
    block, (units, step, lanes), real = term.block, run, w.machine.real
    across, along = (1, block.length) if term.transposed else (block.length, 1)
    origin = w.integer("add", w.integer("mul", first, across), block.row * block.length + block.column)

    def inner(k: str) -> None:
        into = w.integer("add", start, w.integer("mul", k, step))
        here = w.integer("add", origin, w.integer("mul", k, along))

        def unit(u: str) -> None:
            value = w.let(f"load {real}, ptr {w.at(source, w.integer('add', here, w.integer('mul', u, across)))}")
            w.put(f"store {real} {value}, ptr {w.at(target, w.integer('add', into, u))}")

        def blank(u: str) -> None:
            w.put(f"store {real} {w.machine.literal(0.0)}, ptr {w.at(target, w.integer('add', into, u))}")

        w.loop("0", units, unit)
        w.loop(units, str(lanes), blank)

    w.loop("0", str(term.inner), inner)
