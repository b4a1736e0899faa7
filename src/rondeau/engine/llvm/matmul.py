"""Products of a kernel: the register tile, a function for each group of accumulators and each height."""

from __future__ import annotations

from rondeau.engine.llvm.packing import Pack
from rondeau.engine.llvm.writer import VectorType, Writer


def product(pack: Pack, rows: int, vt: VectorType, unroll: int, prefetch: bool) -> list[str]:
    """The register tile as a function: ``rows`` times the group's accumulators times the unit block's vectors.

    With ``prefetch`` it fetches from address ``next`` on, ``stride`` bytes for an inner feature.
    """
    w, n, vectors = Writer(vt), len(pack.group.accumulators), pack.vectors
    tile = _Tile(w, pack, rows, unroll, prefetch)
    values = [vt.splat(0.0)] * (rows * n * vectors)
    packed = "%w"
    terms = pack.group.terms[0]
    for t, term in enumerate(terms):
        values = tile.term(t, packed, values)
        packed = w.at(packed, str(term.inner * n * vectors * vt.lanes))
    for r in range(rows):
        for v in range(vectors):
            for a in range(n):
                place = w.integer("add", w.integer("mul", "%total", r * vectors + v), a)
                value = values[(r * vectors + v) * n + a]
                target = w.at("%out", place, vt.vector)
                w.put(f"store {vt.vector} {value}, ptr {target}, align {vt.alignment}")
    w.put("ret void")
    operands = "".join(f", ptr noalias readonly %a{t}, i64 %s{t}" for t in range(len(terms)))
    arguments = f"ptr noalias readonly %w, ptr noalias %out, i64 %total, ptr %next, i64 %stride{operands}"
    return [f"define internal void @{name_of(pack, rows)}({arguments}) noinline nounwind {{", *w.body, "}"]


def name_of(pack: Pack, rows: int) -> str:
    """The name of a tile's function."""
    return f"product.{pack.buffer}.{rows}"


class _Tile:
    """The sums of a tile are values of LLVM, one a register: row by row, vector by vector, accumulator by accumulator."""

    def __init__(self, w: Writer, pack: Pack, rows: int, unroll: int, prefetch: bool) -> None:
        self.w, self.pack, self.rows, self.unroll, self.prefetch = w, pack, rows, unroll, prefetch

    def term(self, t: int, packed: str, values: list[str]) -> list[str]:
        """One term: the loop over its inner features, unrolled a little, and the rest."""
        w, inner = self.w, self.pack.group.terms[0][t].inner
        at = [f"%a{t}"]
        for _ in range(1, self.rows):
            at.append(w.at(at[-1], f"%s{t}"))
        whole = inner // self.unroll * self.unroll
        if whole:
            values = self._loop(t, at, packed, whole, values)
        return self._advance(at, packed, str(whole), inner - whole, values) if inner > whole else values

    def _loop(self, t: int, at: list[str], packed: str, whole: int, values: list[str]) -> list[str]:
        w, vector = self.w, self.w.vt.vector
        before, head, done = w.fresh("before"), w.fresh("inner"), w.fresh("done")
        w.put(f"br label {before}")
        w.label(before)
        w.put(f"br label {head}")
        w.label(head)
        k, following = w.fresh("k"), w.fresh("k")
        phis = [w.fresh("acc") for _ in values]
        mark = len(w.lines)
        if self.prefetch:
            self._fetch(w.integer("add", k, sum(term.inner for term in self.pack.group.terms[0][:t])))
        new = self._advance(at, packed, k, self.unroll, phis)
        lines = [f"  {k} = phi i64 [ 0, {before} ], [ {following}, {head} ]"]
        lines += [f"  {p} = phi {vector} [ {old}, {before} ], [ {now}, {head} ]" for p, old, now in zip(phis, values, new)]
        w.lines[mark:mark] = lines
        w.put(f"{following} = add i64 {k}, {self.unroll}")
        w.put(f"br i1 {w.let(f'icmp slt i64 {following}, {whole}')}, label {head}, label {done}")
        w.label(done)
        return new

    def _fetch(self, k: str) -> None:
        """Asks for some of the weights that come next, while this tile keeps the arithmetic busy."""
        w = self.w
        first = w.integer("mul", k, "%stride")
        for i in range(self.unroll):
            line = w.at("%next", w.integer("add", first, w.integer("mul", "%stride", i)), "i8")
            w.put(f"call void @llvm.prefetch.p0(ptr {line}, i32 0, i32 2, i32 1)")

    def _advance(self, at: list[str], packed: str, k: str, count: int, values: list[str]) -> list[str]:
        """``count`` inner features from ``k`` on, added to the accumulators."""
        w, pack, vt, n = self.w, self.pack, self.w.vt, len(self.pack.group.accumulators)
        values, chunk = list(values), n * pack.vectors
        for u in range(count):
            index = w.integer("add", k, u)
            row = w.at(packed, w.integer("mul", index, chunk * vt.lanes))
            if (self.rows + 1) * chunk < vt.registers:
                self._by_rows(at, row, index, values)
            else:
                self._by_weights(at, row, index, values)
        return values

    def _by_rows(self, at: list[str], row: str, index: str, values: list[str]) -> None:
        """One inner feature, all weights in registers, an operand after the other."""
        weights = [self._weight(row, c) for c in range(len(values) // self.rows)]
        for r in range(self.rows):
            x = self._operand(at[r], index)
            for c, i in self._sums(r):
                values[i] = self.w.fma(x, weights[c], values[i])

    def _by_weights(self, at: list[str], row: str, index: str, values: list[str]) -> None:
        """One inner feature where registers are few: all operands in registers, a weight after the other."""
        operands = [self._operand(at[r], index) for r in range(self.rows)]
        for pairs in zip(*map(self._sums, range(self.rows))):
            weight = self._weight(row, pairs[0][0])
            for x, (_, i) in zip(operands, pairs):
                values[i] = self.w.fma(x, weight, values[i])

    def _sums(self, r: int) -> list[tuple[int, int]]:
        """A row's sums: which weight each takes, and its place among all values."""
        n, vectors = len(self.pack.group.accumulators), self.pack.vectors
        return [(a * vectors + v, (r * vectors + v) * n + a) for v in range(vectors) for a in range(n)]

    def _weight(self, row: str, c: int) -> str:
        vt = self.w.vt
        return self.w.let(f"load {vt.vector}, ptr {self.w.at(row, str(c), vt.vector)}, align {vt.alignment}")

    def _operand(self, pointer: str, index: str) -> str:
        return self.w.broadcast(self.w.let(f"load {self.w.vt.real}, ptr {self.w.at(pointer, index)}"))
