"""Elementary functions on vectors, and how the ops of a cell are written.

The functions stay within 2 units in the last place of float32, and treat NaN and infinities as PyTorch does. Sources of the
method: Cody & Waite 1980, "Software Manual for the Elementary Functions"; the series are Taylor's.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from rondeau.engine.llvm.writer import VectorType, Writer

EXP_TERMS = {
    32: tuple(1 / math.factorial(k) for k in range(7, 1, -1)),
    64: tuple(1 / math.factorial(k) for k in range(14, 1, -1)),
}

LN_2 = {32: (0.693359375, -2.12194440e-4), 64: (6.93147180369123816490e-01, 1.90821492927058770002e-10)}
"""ln 2 in two parts, the first of few bits, so that whole multiples of it are exact."""


def _compare(w: Writer, how: str, a: str, b: str) -> str:
    """A vector of truth values."""
    return w.let(f"fcmp {how} {w.vt.vector} {a}, {b}", "m")


def _choose(w: Writer, how: str, a: str, b: str) -> str:
    """Of two vectors the one that compares so; NaN in ``a`` stays NaN."""
    return w.select(_compare(w, how, b, a), b, a)


def _polynomial(w: Writer, x: str, coefficients: tuple[float, ...]) -> str:
    """Horner's rule, the highest power first."""
    value = w.vt.splat(coefficients[0])
    for c in coefficients[1:]:
        value = w.fma(value, x, w.vt.splat(c))
    return value


def _nearest(w: Writer, x: str) -> str:
    """The nearest whole number of elements below 2^22 (float32) or 2^51 (float64), ties to even.

    A processor without an instruction for it adds a number so large that no fraction is left, and takes it away.
    """
    if w.vt.fused:
        return w.intrinsic("roundeven", x)
    large = w.vt.splat(1.5 * 2.0 ** (23 if w.vt.bits == 32 else 52))
    return w.binary("fsub", w.binary("fadd", x, large), large)


def _reduced(w: Writer, x: str) -> tuple[str, str, str]:
    """x = n ln 2 + r: n as a vector of reals, r, and expm1(r) as a polynomial."""
    vt = w.vt
    high, low = LN_2[vt.bits]
    n = _nearest(w, w.binary("fmul", x, vt.splat(1 / math.log(2))))
    r = w.fma(n, vt.splat(-high), x)
    r = w.fma(n, vt.splat(-low), r)
    p = _polynomial(w, r, EXP_TERMS[vt.bits])
    return n, r, w.fma(p, w.binary("fmul", r, r), r)


def _power(w: Writer, n: str) -> str:
    """2 to the n, for n that leaves a normal number."""
    vt = w.vt
    v, iv = vt.vector, f"<{vt.lanes} x i{vt.bits}>"
    shift, bias = (23, 127) if vt.bits == 32 else (52, 1023)
    whole = w.let(f"fptosi {v} {n} to {iv}")
    biased = w.let(f"add {iv} {whole}, {vt.integers(bias)}")
    return w.let(f"bitcast {iv} {w.let(f'shl {iv} {biased}, {vt.integers(shift)}')} to {v}")


def _exp(w: Writer, x: str) -> str:
    vt = w.vt
    top, bottom = (89.0, -104.0) if vt.bits == 32 else (710.0, -746.0)
    x = _choose(w, "olt", _choose(w, "ogt", x, vt.splat(bottom)), vt.splat(top))
    n, _, p = _reduced(w, x)
    half = w.intrinsic("floor", w.binary("fmul", n, vt.splat(0.5)))
    first = w.binary("fmul", w.binary("fadd", p, vt.splat(1.0)), _power(w, half))
    return w.binary("fmul", first, _power(w, w.binary("fsub", n, half)))


def _sigmoid(w: Writer, x: str) -> str:
    """With t = exp(-|x|): 1 / (1 + t) for x above zero, t / (1 + t) below, so that no large number is rounded."""
    vt = w.vt
    a = _choose(w, "olt", w.intrinsic("fabs", x), vt.splat(88.0 if vt.bits == 32 else 708.0))
    n, _, p = _reduced(w, w.let(f"fneg {vt.vector} {a}"))
    scale = _power(w, n)
    t = w.fma(p, scale, scale)
    above = w.select(_compare(w, "olt", x, vt.splat(0.0)), t, vt.splat(1.0))
    return w.binary("fdiv", above, w.binary("fadd", t, vt.splat(1.0)))


def _tanh(w: Writer, x: str) -> str:
    vt = w.vt
    bound = 10.0 if vt.bits == 32 else 22.0
    a = _choose(w, "olt", w.intrinsic("fabs", x), vt.splat(bound))
    n, _, p = _reduced(w, w.binary("fadd", a, a))
    scale = _power(w, n)
    e = w.fma(p, scale, w.binary("fsub", scale, vt.splat(1.0)))
    return w.intrinsic("copysign", w.binary("fdiv", e, w.binary("fadd", e, vt.splat(2.0))), x)


def _log(w: Writer, x: str) -> str:
    """Split into exponent and mantissa between sqrt(1/2) and sqrt(2), then the series of the inverse hyperbolic tangent."""
    vt = w.vt
    v, iv = vt.vector, f"<{vt.lanes} x i{vt.bits}>"
    shift, bias, mask, tiny = (23, 127, 0x7FFFFF, 2.0**-126) if vt.bits == 32 else (52, 1023, (1 << 52) - 1, 2.0**-1022)
    small = _compare(w, "olt", x, vt.splat(tiny))
    scaled = w.select(small, w.binary("fmul", x, vt.splat(2.0**shift)), x)
    raw = w.let(f"bitcast {v} {scaled} to {iv}")
    e = w.let(f"sub {iv} {w.let(f'lshr {iv} {raw}, {vt.integers(shift)}')}, {vt.integers(bias)}")
    one = struct.unpack(">I", struct.pack(">f", 1.0))[0] if vt.bits == 32 else struct.unpack(">Q", struct.pack(">d", 1.0))[0]
    bits = w.let(f"or {iv} {w.let(f'and {iv} {raw}, {vt.integers(mask)}')}, {vt.integers(one)}")
    mantissa = w.let(f"bitcast {iv} {bits} to {v}")
    exponent = w.let(f"sitofp {iv} {e} to {v}")
    exponent = w.select(small, w.binary("fsub", exponent, vt.splat(float(shift))), exponent)
    high = _compare(w, "ogt", mantissa, vt.splat(math.sqrt(2)))
    mantissa = w.select(high, w.binary("fmul", mantissa, vt.splat(0.5)), mantissa)
    exponent = w.select(high, w.binary("fadd", exponent, vt.splat(1.0)), exponent)
    d = w.binary("fsub", mantissa, vt.splat(1.0))
    s = w.binary("fdiv", d, w.binary("fadd", mantissa, vt.splat(1.0)))
    s2 = w.binary("fmul", s, s)
    terms = 6 if vt.bits == 32 else 12
    q = _polynomial(w, s2, tuple(2 / (2 * k + 1) for k in range(terms, 0, -1)))
    # 2 s = d - s d, which keeps the low bits of d
    body = w.binary("fadd", d, w.binary("fmul", s, w.binary("fsub", w.binary("fmul", s2, q), d)))
    ln_high, ln_low = (
        (0.693359375, -2.12194440e-4) if vt.bits == 32 else (6.93147180369123816490e-01, 1.90821492927058770002e-10)
    )
    body = w.fma(exponent, vt.splat(ln_high), w.fma(exponent, vt.splat(ln_low), body))
    body = w.select(_compare(w, "oeq", x, vt.splat(math.inf)), x, body)
    body = w.select(_compare(w, "oeq", x, vt.splat(0.0)), vt.splat(-math.inf), body)
    return w.select(_compare(w, "ult", x, vt.splat(0.0)), vt.splat(math.nan), body)


def _softplus(w: Writer, x: str) -> str:
    vt = w.vt
    u = w.call("exp", w.let(f"fneg {vt.vector} {w.intrinsic('fabs', x)}"))
    one = w.binary("fadd", u, vt.splat(1.0))
    lost = w.binary("fsub", u, w.binary("fsub", one, vt.splat(1.0)))
    log1p = w.binary("fadd", w.call("log", one), w.binary("fdiv", lost, one))
    return w.binary("fadd", log1p, _choose(w, "ogt", x, vt.splat(0.0)))


def _truth(w: Writer, test: str) -> str:
    return w.select(test, w.vt.splat(1.0), w.vt.splat(0.0))


FUNCTIONS: dict[str, Callable[[Writer, str], str]] = {
    "exp": _exp,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "log": _log,
    "softplus": _softplus,
}
LIBRARY = {"sin": "sin", "cos": "cos", "erf": "erf"}
INTRINSICS = {"sqrt": "sqrt", "abs": "fabs", "floor": "floor", "minimum": "minimum", "maximum": "maximum"}
KNOWN_INTRINSICS = (
    ("roundeven", 1), ("floor", 1), ("fabs", 1), ("sqrt", 1), ("minimum", 2), ("maximum", 2), ("copysign", 2), ("fma", 3),
)  # fmt: skip
"""What the functions here and the products call."""
COMPARISONS = {"lt": "olt", "le": "ole", "eq": "oeq", "ne": "une"}


def pointwise(w: Writer, routine: str, args: list[str]) -> str:
    """The routine of the op table's LLVM column on vectors."""
    if routine in FUNCTIONS or routine in LIBRARY:
        return w.call(routine, *args)
    if routine in INTRINSICS or routine.startswith("llvm."):
        return w.intrinsic(INTRINSICS.get(routine, routine.removeprefix("llvm.")), *args)
    if routine in COMPARISONS:
        return _truth(w, _compare(w, COMPARISONS[routine], *args))
    if routine == "fneg":
        return w.let(f"fneg {w.vt.vector} {args[0]}")
    if routine == "relu":
        return _choose(w, "ogt", args[0], w.vt.splat(0.0))
    if routine == "where":
        return w.select(_compare(w, "une", args[0], w.vt.splat(0.0)), args[1], args[2])
    return w.binary(routine, *args)


def definitions(vt: VectorType, used: set[str]) -> list[str]:
    """The vector functions that are called, as LLVM text, with what they call themselves."""
    lines: list[str] = []
    done: set[str] = set()
    waiting = sorted(used)
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        w = Writer(vt)
        result = FUNCTIONS[name](w, "%x") if name in FUNCTIONS else _lane_by_lane(w, name)
        waiting += sorted(w.used)
        head = f"define internal {vt.vector} @v_{name}({vt.vector} %x) alwaysinline nounwind {{"
        lines += [head, *w.lines, f"  ret {vt.vector} {result}", "}"]
    suffix = "f" if vt.bits == 32 else ""
    lines += [f"declare {vt.real} @{LIBRARY[name]}{suffix}({vt.real}) nounwind" for name in sorted(done & LIBRARY.keys())]
    return lines


def declarations(vt: VectorType, called: set[tuple[str, int]]) -> list[str]:
    """LLVM's own functions that kernels call; ``called`` are intrinsics with the number of their arguments."""
    v, kind, lanes = vt.vector, vt.suffix, vt.mask
    products = [] if vt.fused else [("fmuladd", 3)]
    found = dict.fromkeys([*KNOWN_INTRINSICS, *products, *sorted(called)])
    lines = [f"declare {v} @llvm.{name}.{kind}({', '.join([v] * arity)})" for name, arity in found]
    lines.append("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    lines.append("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    lines.append(f"declare {v} @llvm.masked.load.{kind}.p0(ptr, i32, {lanes}, {v})")
    lines.append(f"declare void @llvm.masked.store.{kind}.p0({v}, ptr, i32, {lanes})")
    lines.append(f"declare {vt.real} @llvm.vector.reduce.fadd.{kind}({vt.real}, {v})")
    lines.append(f"declare {vt.real} @llvm.vector.reduce.fmaximum.{kind}({v})")
    return lines


def _lane_by_lane(w: Writer, name: str) -> str:
    """A function of the C library, one lane after another."""
    vt = w.vt
    suffix = "f" if vt.bits == 32 else ""
    result = "poison"
    for lane in range(vt.lanes):
        x = w.let(f"extractelement {vt.vector} %x, i64 {lane}")
        y = w.let(f"call {vt.real} @{LIBRARY[name]}{suffix}({vt.real} {x})")
        result = w.let(f"insertelement {vt.vector} {result}, {vt.real} {y}, i64 {lane}")
    return result
