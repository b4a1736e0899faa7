"""What the tests of the engine are worth: ``python benchmarks/mutations.py``.

Each mutation makes one thing wrong in a copy of the package: a sign, a tail, a mask, a dropped term, a row of registers. The
engine's tests run against the copy, with kernels of its own, until one fails. The golden plans are left out, since they would
fail on any change. The result, one line a mutation and one for all, replaces benchmarks/results/mutations.jsonl.

A mutation whose old text does not occur exactly once is refused: bring it up to date with the code. ``--check`` does only that,
``--only WORD`` tries the mutations whose description holds that word and records nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TESTS = (
    "test_edges",
    "test_random_cells",
    "test_scan",
    "test_compiled",
    "test_laws",
    "test_operator",
    "test_products",
)  # the fastest first
LIMIT = 900  # seconds
NO_TESTS = (2, 3, 4, 5)  # pytest's words for: it never came to testing


@dataclass(frozen=True)
class Mutation:
    """In ``file`` of the package ``old`` becomes ``new``; ``what`` says what is wrong then."""

    file: str
    old: str
    new: str
    what: str

    def stale(self, package: Path) -> str | None:
        """Why the change cannot be made, or None when it can."""
        path = package / self.file
        count = path.read_text(encoding="utf-8").count(self.old) if path.exists() else 0
        return None if count == 1 else f"{self.file} holds {self.old!r} {count} times, not once ({self.what})"

    def apply(self, package: Path) -> None:
        """Makes the change."""
        path = package / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")


OPS, DIFFERENTIATE, LINEAR = "ir/ops.py", "engine/compile/differentiate.py", "engine/compile/linear.py"
SCHEDULE, EMIT = "engine/compile/schedule.py", "engine/llvm/emit.py"
HOIST, SAVE, PHASES = "engine/compile/hoist.py", "engine/compile/save.py", "engine/compile/phases.py"
IN_PLACE = "engine/compile/in_place.py"
SUMS = "engine/runtime/gradient_sums.py"
PART, POINTWISE, TILES = "engine/llvm/part.py", "engine/llvm/pointwise.py", "engine/llvm/tiles.py"
LARGE = "engine/llvm/large_product.py"
PRODUCTS, PACKING, VECTOR = "engine/llvm/matmul.py", "engine/llvm/packing.py", "engine/llvm/vector_math.py"
GRADIENTS = "engine/runtime/parameter_gradients.py"

MUTATIONS = (
    # the derivative table
    Mutation(OPS, '(g, -g), "a - b"', '(g, g), "a - b"', "the derivative of a difference loses its sign"),
    Mutation(OPS, "-(g * y / b)", "-(g * y)", "the derivative of a quotient loses a factor"),
    Mutation(OPS, "g * (y * (1 - y))", "g * (y * (1 + y))", "the derivative of the sigmoid has a wrong sign in it"),
    Mutation(
        OPS,
        '(g * a.apply("sigmoid"),)',
        '(g * y.apply("sigmoid"),)',
        "the derivative of softplus reads the result for the argument",
    ),
    Mutation(OPS, "(g * 0.5 / y,)", "(g * 0.5 / a,)", "the derivative of the root reads the argument for the result"),
    Mutation(OPS, '(-(g * a.apply("sin")),)', '(g * a.apply("sin"),)', "the derivative of the cosine loses its sign"),
    Mutation(OPS, '(g / (a == y).apply("sum") * ', "(g * ", "tied maxima each get the whole gradient"),
    Mutation(OPS, "(a == b) * 0.5", "(a == b) * 1.0", "tied arguments of minimum each get the whole gradient"),
    Mutation(
        OPS,
        'c.apply("where", g, 0), c.apply("where", 0, g)',
        'c.apply("where", 0, g), c.apply("where", g, 0)',
        "the branches of where get each other's gradient",
    ),
    Mutation(
        OPS,
        '((-(a * a)).apply("exp") *',
        '((-(y * y)).apply("exp") *',
        "the derivative of erf reads the result for the argument",
    ),
    # the reverse step
    Mutation(
        DIFFERENTIATE,
        "minimum(maximum(value, -clip), clip)",
        "minimum(value, clip)",
        "the gradient is clipped on one side alone",
    ),
    Mutation(
        DIFFERENTIATE,
        "for piece in pieces:\n            result = piece if result is None else result + piece",
        "for piece in pieces:\n            result = piece",
        "of the gradients of a value that is used twice only the last counts",
    ),
    Mutation(
        DIFFERENTIATE,
        "start.bind(sizes) <= a and b <= stop.bind(sizes)",
        "start.bind(sizes) <= a",
        "ranges of features give gradients beyond their end",
    ),
    Mutation(LINEAR, '"sub": (True, False)', '"sub": (True, True)', "regrouped differences become sums"),
    # the schedule and the layout
    Mutation(
        IN_PLACE,
        "index >= first and buffer in operands",
        "index > first and buffer in operands",
        "a state is overwritten while its own block multiplies it",
    ),
    Mutation(
        IN_PLACE,
        "(index > first or (index == first and not _aligned(place, block, buffer)))",
        "(index == first and not _aligned(place, block, buffer))",
        "a state is overwritten before a later block reads it",
    ),
    Mutation(
        IN_PLACE,
        "s.place.offset == place.offset",
        "s.place.row_size == place.row_size",
        "a state is overwritten before other features of it are read",
    ),
    Mutation(
        SCHEDULE,
        "return self.phases.kept[expr.args[0]].shifted(start_of(expr, self.width))",
        "return self.phases.kept[expr.args[0]]",
        "a range of a kept vector begins at its first feature",
    ),
    Mutation(PHASES, "offset += self.width(part)", "offset += 0", "the parts of a concatenation are stored over one another"),
    Mutation(SAVE, " and same(uses[arg], [summed])", "", "a saved value overwrites a column that something else reads"),
    Mutation(
        SAVE,
        'Place(Buffer("saved"), "step", row_size, offset)',
        'Place(Buffer("saved"), "step", row_size)',
        "all saved values lie on one another",
    ),
    Mutation(
        HOIST,
        "first = parameter.gates.index(expr.attrs[1]) * width",
        "first = 0",
        "every gate of a vector reads the first gate",
    ),
    # the kernel
    Mutation(EMIT, "if backward else i", "if not backward else i", "time runs the other way"),
    Mutation(
        POINTWISE,
        "icmp slt <{lanes} x i32> {numbers}",
        "icmp sle <{lanes} x i32> {numbers}",
        "the mask of a tail lets one lane too many through",
    ),
    Mutation(
        POINTWISE,
        "value = w.select(mask, value, vt.splat(IDENTITY[routine(store)]))",
        "pass",
        "what lies past the last feature is summed, too",
    ),
    Mutation(POINTWISE, '"max": float("-inf")', '"max": 0.0', "the maximum of negative numbers is zero"),
    Mutation(
        PART,
        'w.integer("mul", w.integer("add", self.first_sequence, sequence), place.row_size)',
        'w.integer("mul", sequence, place.row_size)',
        "every part of the batch works on the first sequences",
    ),
    Mutation(POINTWISE, "if store.add:\n", "if False:\n", "the gradient of what is fixed for a sequence is that of one step"),
    Mutation(
        POINTWISE,
        "{w.binary('fadd', old, value)}, ptr {variable}",
        "{value}, ptr {variable}",
        "the gradient of a vector is that of the last row",
    ),
    Mutation(EMIT, "_copy((target, source)", "_copy((source, target)", "states are copied back to where they came from"),
    Mutation(TILES, "offset += len(pack.group.accumulators)", "offset += 0", "two groups of accumulators lie on one another"),
    Mutation(
        PART,
        'self.w.integer("mul", self.stride, place.row_size) if',
        "str(place.row_size) if",
        "a tile reads rows that do not belong together",
    ),
    Mutation(
        PRODUCTS, "if inner > whole else values", "if inner > whole + 1 else values", "a product leaves out a lone last feature"
    ),
    Mutation(
        PRODUCTS,
        "[(a * vectors + v, ",
        "[(v * n + a, ",
        "a tile multiplies with the weights of another accumulator",
    ),
    Mutation(
        PACKING, "block.row * block.length + block.column", "block.row * block.length", "every block of columns is the first"
    ),
    Mutation(
        PACKING, "n + j if j & distance else j + distance", "n + j if j & distance else j", "squares of weights are mixed up"
    ),
    Mutation(PRODUCTS, '"%total", r * vectors + v', '"%total", v * rows + r', "a tile writes its registers in another order"),
    Mutation(PRODUCTS, 'at.append(w.at(at[-1], f"%s{t}"))', "at.append(at[-1])", "every row of a tile reads the first"),
    # vector functions
    Mutation(VECTOR, "(89.0, -104.0)", "(88.0, -104.0)", "exp is bounded below the largest number"),
    Mutation(VECTOR, "(710.0, -746.0)", "(710.0, -708.0)", "exp has no small numbers"),
    Mutation(
        VECTOR,
        'w.select(_compare(w, "olt", x, vt.splat(0.0)), t, vt.splat(1.0))',
        'w.select(_compare(w, "ogt", x, vt.splat(0.0)), t, vt.splat(1.0))',
        "the sigmoid is mirrored",
    ),
    Mutation(VECTOR, "bound = 10.0 if", "bound = 7.0 if", "tanh stops short of one"),
    Mutation(
        VECTOR,
        'w.binary("fadd", w.call("log", one), w.binary("fdiv", lost, one))',
        'w.call("log", one)',
        "softplus loses its small numbers",
    ),
    Mutation(
        VECTOR,
        "w.select(_compare(w, how, b, a), b, a)",
        "w.select(_compare(w, how, a, b), a, b)",
        "NaN disappears in a choice",
    ),
    # gradients after the loop
    Mutation(
        GRADIENTS,
        "start += expr.attrs[0].bind(self.layout.step.named_sizes)",
        "start += 0",
        "the gradient of a matrix reads the first features of a range's vector",
    ),
    Mutation(
        GRADIENTS, "alpha=1 if plus else -1", "alpha=1", "a bias that is subtracted gets the gradient of one that is added"
    ),
    Mutation(
        GRADIENTS,
        "block, block)",
        "block, None)",
        "of two products with one matrix only the last counts",
    ),
    Mutation(GRADIENTS, " and m.operand is mine[0].operand", "", "gates that multiply different vectors share one product"),
    Mutation(
        GRADIENTS,
        "self.rows.unsort(value).unsqueeze(1)",
        "value.unsqueeze(1)",
        "the gradients of a context lie in the order of lengths",
    ),
    Mutation(SUMS, "gradient if self.x is None else self.x + gradient", "gradient", "of the ways into x only the last counts"),
    # large products
    Mutation(LARGE, "ptr {at['init']}, ptr {at['out']}", "ptr {at['init']}, ptr {at['init']}", "only the last panel counts"),
    Mutation(LARGE, "icmp slt <", "icmp sle <", "the last unit block is written one column too far"),
    Mutation(LARGE, "tallest - 1)", "0)", "the rows that fill no tile are left out"),
    Mutation(LARGE, "(n if lane & distance else 0)", "0", "a square is packed without its second half"),
)


def copied(folder: str, mutation: Mutation | None) -> dict[str, str]:
    """A copy of the package with the mutation in it; the environment in which Python finds it."""
    source = Path(folder, "src")
    shutil.copytree(ROOT / "src" / "rondeau", source / "rondeau", ignore=shutil.ignore_patterns("__pycache__"))
    if mutation is not None:
        mutation.apply(source / "rondeau")
    return {**os.environ, "PYTHONPATH": str(source), "RONDEAU_CACHE": str(Path(folder, "kernels"))}


def tested(mutation: Mutation | None) -> dict[str, Any]:
    """Whether the tests fail, on which one, and after how long.

    Raises:
        SystemExit: no test ran, or they ran on another package than the copy.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        environment = copied(folder, mutation)
        where = subprocess.run([sys.executable, "-c", "import rondeau; print(rondeau.__file__)"], cwd=ROOT, env=environment,
                               capture_output=True, text=True)  # fmt: skip
        if where.returncode or not where.stdout.startswith(folder):
            sys.exit(f"the copy cannot be imported:\n{where.stdout}{where.stderr}")
        files = [f"tests/engine/{name}.py" for name in TESTS]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files]
        try:
            run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return {"caught": True, "by": "the time limit", "seconds": LIMIT}
    if run.returncode in NO_TESTS:
        sys.exit(f"no test ran:\n{run.stdout[-3000:]}")
    first = re.search(r"^FAILED \S*/(\S+)( - .*)?$", run.stdout, re.MULTILINE)
    by = f"{first[1]}{(first[2] or '')[:120]}" if first else f"a crash ({run.returncode})" if run.returncode else ""
    return {"caught": run.returncode != 0, "by": by, "seconds": round(time.perf_counter() - begin, 1)}


def check() -> None:
    """Sees whether every mutation can be made.

    Raises:
        SystemExit: the old text of one does not occur exactly once.
    """
    faults = [fault for mutation in MUTATIONS if (fault := mutation.stale(ROOT / "src" / "rondeau"))]
    if faults:
        sys.exit("\n".join([*faults, "bring these mutations up to date with the code"]))


def report(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The line for all mutations."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    caught = sum(result["caught"] for result in results)
    return {
        "mutations": len(results), "caught": caught, "share": round(caught / len(results), 3), "commit": commit,
        "machine": platform.machine(), "python": platform.python_version(),
    }  # fmt: skip


def main() -> None:
    """Runs, prints and records; exits with 1 when fewer than 95 % are caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only see whether every mutation can be made")
    parser.add_argument("--only", default="", help="a word of the descriptions of those to try")
    options = parser.parse_args()
    check()
    if options.check:
        print(f"all {len(MUTATIONS)} mutations can be made")
        return
    if not options.only and (sound := tested(None))["caught"]:
        sys.exit(f"the tests fail without a mutation: {sound['by']}")
    results: list[dict[str, Any]] = []
    for mutation in (m for m in MUTATIONS if options.only in m.what):
        result = tested(mutation)
        results.append({"file": mutation.file, "what": mutation.what, **result})
        print(
            f"{'caught  ' if result['caught'] else 'SURVIVED'} {mutation.what} ({result['seconds']} s) {result['by']}",
            flush=True,
        )
    if not results:
        sys.exit(f"no mutation's description holds {options.only!r}")
    total = report(results)
    print(f"{total['caught']} of {total['mutations']} caught")
    if not options.only:
        lines = "".join(json.dumps(line) + "\n" for line in (*results, total))
        (HERE / "results" / "mutations.jsonl").write_text(lines, encoding="utf-8")
    sys.exit(0 if total["share"] >= 0.95 else 1)


if __name__ == "__main__":
    main()
