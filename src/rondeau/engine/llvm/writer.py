"""Vectors of LLVM: writing instructions as text, and the elementary functions on them.

The functions stay within 2 units in the last place of float32, and treat NaN and infinities as PyTorch does. Sources of the
method: Cody & Waite 1980, "Software Manual for the Elementary Functions"; the series are Taylor's.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

EXP_TERMS = {
    32: tuple(1 / math.factorial(k) for k in range(7, 1, -1)),
    64: tuple(1 / math.factorial(k) for k in range(14, 1, -1)),
}


@dataclass(frozen=True)
class Machine:
    """What code is written for: the type of a number and the shape of the vector unit."""

    real: str = "float"
    lanes: int = 16
    rows: tuple[int, ...] = (6, 4, 2, 1)
    tile: int = 4

    @property
    def vector(self) -> str:
        """The vector type in LLVM."""
        return f"<{self.lanes} x {self.real}>"

    @property
    def bits(self) -> int:
        """Bits of one number."""
        return 32 if self.real == "float" else 64

    @property
    def bytes(self) -> int:
        """Bytes of one number."""
        return self.bits // 8

    def literal(self, value: float) -> str:
        """A number as LLVM writes it."""
        rounded = struct.unpack("f", struct.pack("f", value))[0] if self.real == "float" and math.isfinite(value) else value
        return "0x" + struct.pack(">d", rounded).hex().upper()

    def splat(self, value: float) -> str:
        """A vector of one number."""
        return "<" + ", ".join([f"{self.real} {self.literal(value)}"] * self.lanes) + ">"

    def integers(self, value: int) -> str:
        """A vector of one whole number, as wide as the reals."""
        return "<" + ", ".join([f"i{self.bits} {value}"] * self.lanes) + ">"


@dataclass
class Writer:
    """Instructions of one function, in order, with fresh names."""

    machine: Machine
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    stack: list[str] = field(default_factory=list)
    count: int = 0

    def slot(self, kind: str) -> str:
        """A place on the stack, made once when the function is entered."""
        name = self.fresh("at")
        self.stack.append(f"  {name} = alloca {kind}")
        return name

    @property
    def body(self) -> list[str]:
        """All lines, the places on the stack first."""
        return [*self.stack, *self.lines]

    def fresh(self, hint: str = "v") -> str:
        """A name that nobody has."""
        self.count += 1
        return f"%{hint}{self.count}"

    def put(self, line: str) -> None:
        """One line without a result."""
        self.lines.append("  " + line)

    def let(self, text: str, hint: str = "v") -> str:
        """One instruction with a result; its name."""
        name = self.fresh(hint)
        self.put(f"{name} = {text}")
        return name

    def label(self, name: str) -> None:
        """Begins a block of code."""
        self.lines.append(f"{name[1:]}:")

    def at(self, pointer: str, index: str, kind: str = "") -> str:
        """The address of an element: of our reals, or of another kind."""
        return self.let(f"getelementptr {kind or self.machine.real}, ptr {pointer}, i64 {index}", "p")

    # whole numbers of 64 bits

    def integer(self, op: str, a: str | int, b: str | int) -> str:
        """``a op b`` on 64-bit whole numbers, folded where both are known."""
        if isinstance(a, int) and isinstance(b, int):
            return str(a + b if op == "add" else a * b if op == "mul" else a - b)
        if op == "add" and str(b) == "0":
            return str(a)
        if op == "mul" and str(b) == "1":
            return str(a)
        return self.let(f"{op} i64 {a}, {b}", "i")

    def loop(self, start: str, stop: str, body: Callable[[str], None], step: int | str = 1) -> None:
        """``body(i)`` for i from ``start`` while below ``stop``."""
        head, inside, done = self.fresh("head"), self.fresh("body"), self.fresh("done")
        cell = self.slot("i64")
        self.put(f"store i64 {start}, ptr {cell}")
        self.put(f"br label {head}")
        self.label(head)
        i = self.let(f"load i64, ptr {cell}", "i")
        test = self.let(f"icmp slt i64 {i}, {stop}", "c")
        self.put(f"br i1 {test}, label {inside}, label {done}")
        self.label(inside)
        body(i)
        self.put(f"store i64 {self.integer('add', i, step)}, ptr {cell}")
        self.put(f"br label {head}")
        self.label(done)

    # vectors

    def binary(self, op: str, a: str, b: str) -> str:
        """``a op b`` on vectors."""
        return self.let(f"{op} {self.machine.vector} {a}, {b}")

    def call(self, name: str, *args: str) -> str:
        """A call of a vector function of our own."""
        self.used.add(name)
        v = self.machine.vector
        return self.let(f"call {v} @v_{name}({', '.join(f'{v} {a}' for a in args)})")

    def intrinsic(self, name: str, *args: str) -> str:
        """A call of an LLVM intrinsic on vectors."""
        m = self.machine
        kind = f"v{m.lanes}f{m.bits}"
        return self.let(f"call {m.vector} @llvm.{name}.{kind}({', '.join(f'{m.vector} {a}' for a in args)})")

    def fma(self, a: str, b: str, c: str) -> str:
        """``a * b + c`` with one rounding."""
        return self.intrinsic("fma", a, b, c)

    def compare(self, how: str, a: str, b: str) -> str:
        """A vector of truth values."""
        return self.let(f"fcmp {how} {self.machine.vector} {a}, {b}", "m")

    def select(self, test: str, a: str, b: str) -> str:
        """``a`` where the test holds, else ``b``."""
        v = self.machine.vector
        return self.let(f"select <{self.machine.lanes} x i1> {test}, {v} {a}, {v} {b}")

    def choose(self, how: str, a: str, b: str) -> str:
        """Of two vectors the one that compares so; NaN in ``a`` stays NaN."""
        return self.select(self.compare(how, b, a), b, a)

    def broadcast(self, scalar: str) -> str:
        """A vector of one scalar."""
        m = self.machine
        first = self.let(f"insertelement {m.vector} poison, {m.real} {scalar}, i64 0")
        return self.let(f"shufflevector {m.vector} {first}, {m.vector} poison, <{m.lanes} x i32> zeroinitializer")

    def polynomial(self, x: str, coefficients: tuple[float, ...]) -> str:
        """Horner's rule, the highest power first."""
        value = self.machine.splat(coefficients[0])
        for c in coefficients[1:]:
            value = self.fma(value, x, self.machine.splat(c))
        return value


def _reduced(w: Writer, x: str) -> tuple[str, str, str]:
    """x = n ln 2 + r: n as a vector of reals, r, and expm1(r) as a polynomial."""
    m = w.machine
    high, low = (0.693359375, -2.12194440e-4) if m.real == "float" else (6.93147180369123816490e-01, 1.90821492927058770002e-10)
    n = w.intrinsic("roundeven", w.binary("fmul", x, m.splat(1 / math.log(2))))
    r = w.fma(n, m.splat(-high), x)
    r = w.fma(n, m.splat(-low), r)
    p = w.polynomial(r, EXP_TERMS[m.bits])
    return n, r, w.fma(p, w.binary("fmul", r, r), r)


def _power(w: Writer, n: str) -> str:
    """2 to the n, for n that leaves a normal number."""
    m = w.machine
    v, iv = m.vector, f"<{m.lanes} x i{m.bits}>"
    shift, bias = (23, 127) if m.bits == 32 else (52, 1023)
    whole = w.let(f"fptosi {v} {n} to {iv}")
    biased = w.let(f"add {iv} {whole}, {m.integers(bias)}")
    return w.let(f"bitcast {iv} {w.let(f'shl {iv} {biased}, {m.integers(shift)}')} to {v}")


def _exp(w: Writer, x: str) -> str:
    m = w.machine
    top, bottom = (89.0, -104.0) if m.bits == 32 else (710.0, -746.0)
    x = w.choose("olt", w.choose("ogt", x, m.splat(bottom)), m.splat(top))
    n, _, p = _reduced(w, x)
    half = w.intrinsic("floor", w.binary("fmul", n, m.splat(0.5)))
    first = w.binary("fmul", w.binary("fadd", p, m.splat(1.0)), _power(w, half))
    return w.binary("fmul", first, _power(w, w.binary("fsub", n, half)))


def _sigmoid(w: Writer, x: str) -> str:
    """With t = exp(-|x|): 1 / (1 + t) for x above zero, t / (1 + t) below, so that no large number is rounded."""
    m = w.machine
    a = w.choose("olt", w.intrinsic("fabs", x), m.splat(88.0 if m.bits == 32 else 708.0))
    n, _, p = _reduced(w, w.let(f"fneg {m.vector} {a}"))
    scale = _power(w, n)
    t = w.fma(p, scale, scale)
    above = w.select(w.compare("olt", x, m.splat(0.0)), t, m.splat(1.0))
    return w.binary("fdiv", above, w.binary("fadd", t, m.splat(1.0)))


def _tanh(w: Writer, x: str) -> str:
    m = w.machine
    bound = 10.0 if m.bits == 32 else 22.0
    a = w.choose("olt", w.intrinsic("fabs", x), m.splat(bound))
    n, _, p = _reduced(w, w.binary("fadd", a, a))
    scale = _power(w, n)
    e = w.fma(p, scale, w.binary("fsub", scale, m.splat(1.0)))
    return w.intrinsic("copysign", w.binary("fdiv", e, w.binary("fadd", e, m.splat(2.0))), x)


def _log(w: Writer, x: str) -> str:
    """Split into exponent and mantissa between sqrt(1/2) and sqrt(2), then the series of the inverse hyperbolic tangent."""
    m = w.machine
    v, iv = m.vector, f"<{m.lanes} x i{m.bits}>"
    shift, bias, mask, tiny = (23, 127, 0x7FFFFF, 2.0**-126) if m.bits == 32 else (52, 1023, (1 << 52) - 1, 2.0**-1022)
    small = w.compare("olt", x, m.splat(tiny))
    scaled = w.select(small, w.binary("fmul", x, m.splat(2.0**shift)), x)
    raw = w.let(f"bitcast {v} {scaled} to {iv}")
    e = w.let(f"sub {iv} {w.let(f'lshr {iv} {raw}, {m.integers(shift)}')}, {m.integers(bias)}")
    one = struct.unpack(">I", struct.pack(">f", 1.0))[0] if m.bits == 32 else struct.unpack(">Q", struct.pack(">d", 1.0))[0]
    bits = w.let(f"or {iv} {w.let(f'and {iv} {raw}, {m.integers(mask)}')}, {m.integers(one)}")
    mantissa = w.let(f"bitcast {iv} {bits} to {v}")
    exponent = w.let(f"sitofp {iv} {e} to {v}")
    exponent = w.select(small, w.binary("fsub", exponent, m.splat(float(shift))), exponent)
    high = w.compare("ogt", mantissa, m.splat(math.sqrt(2)))
    mantissa = w.select(high, w.binary("fmul", mantissa, m.splat(0.5)), mantissa)
    exponent = w.select(high, w.binary("fadd", exponent, m.splat(1.0)), exponent)
    d = w.binary("fsub", mantissa, m.splat(1.0))
    s = w.binary("fdiv", d, w.binary("fadd", mantissa, m.splat(1.0)))
    s2 = w.binary("fmul", s, s)
    terms = 6 if m.bits == 32 else 12
    q = w.polynomial(s2, tuple(2 / (2 * k + 1) for k in range(terms, 0, -1)))
    # 2 s = d - s d, which keeps the low bits of d
    body = w.binary("fadd", d, w.binary("fmul", s, w.binary("fsub", w.binary("fmul", s2, q), d)))
    ln_high, ln_low = (
        (0.693359375, -2.12194440e-4) if m.bits == 32 else (6.93147180369123816490e-01, 1.90821492927058770002e-10)
    )
    body = w.fma(exponent, m.splat(ln_high), w.fma(exponent, m.splat(ln_low), body))
    body = w.select(w.compare("oeq", x, m.splat(math.inf)), x, body)
    body = w.select(w.compare("oeq", x, m.splat(0.0)), m.splat(-math.inf), body)
    return w.select(w.compare("ult", x, m.splat(0.0)), m.splat(math.nan), body)


def _softplus(w: Writer, x: str) -> str:
    m = w.machine
    u = w.call("exp", w.let(f"fneg {m.vector} {w.intrinsic('fabs', x)}"))
    one = w.binary("fadd", u, m.splat(1.0))
    lost = w.binary("fsub", u, w.binary("fsub", one, m.splat(1.0)))
    log1p = w.binary("fadd", w.call("log", one), w.binary("fdiv", lost, one))
    return w.binary("fadd", log1p, w.choose("ogt", x, m.splat(0.0)))


def _truth(w: Writer, test: str) -> str:
    return w.select(test, w.machine.splat(1.0), w.machine.splat(0.0))


FUNCTIONS: dict[str, Callable[[Writer, str], str]] = {
    "exp": _exp,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "log": _log,
    "softplus": _softplus,
}
LIBRARY = {"sin": "sin", "cos": "cos", "erf": "erf"}
INTRINSICS = {"sqrt": "sqrt", "abs": "fabs", "floor": "floor", "minimum": "minimum", "maximum": "maximum"}
COMPARISONS = {"lt": "olt", "le": "ole", "eq": "oeq", "ne": "une"}


def pointwise(w: Writer, routine: str, args: list[str]) -> str:
    """The routine of the op table's LLVM column on vectors."""
    if routine in FUNCTIONS or routine in LIBRARY:
        return w.call(routine, *args)
    if routine in INTRINSICS:
        return w.intrinsic(INTRINSICS[routine], *args)
    if routine in COMPARISONS:
        return _truth(w, w.compare(COMPARISONS[routine], *args))
    if routine == "fneg":
        return w.let(f"fneg {w.machine.vector} {args[0]}")
    if routine == "relu":
        return w.choose("ogt", args[0], w.machine.splat(0.0))
    if routine == "where":
        return w.select(w.compare("une", args[0], w.machine.splat(0.0)), args[1], args[2])
    return w.binary(routine, *args)


def definitions(machine: Machine, used: set[str]) -> list[str]:
    """The vector functions that are called, as LLVM text, with what they call themselves."""
    lines: list[str] = []
    done: set[str] = set()
    waiting = sorted(used)
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        w = Writer(machine)
        result = FUNCTIONS[name](w, "%x") if name in FUNCTIONS else _lane_by_lane(w, name)
        waiting += sorted(w.used)
        head = f"define internal {machine.vector} @v_{name}({machine.vector} %x) alwaysinline nounwind {{"
        lines += [head, *w.lines, f"  ret {machine.vector} {result}", "}"]
    suffix = "f" if machine.bits == 32 else ""
    lines += [
        f"declare {machine.real} @{LIBRARY[name]}{suffix}({machine.real}) nounwind" for name in sorted(done & LIBRARY.keys())
    ]
    return lines


def declarations(m: Machine) -> list[str]:
    """LLVM's own functions that kernels call."""
    v, kind, lanes = m.vector, f"v{m.lanes}f{m.bits}", f"<{m.lanes} x i1>"
    lines = [f"declare {v} @llvm.{name}.{kind}({v})" for name in ("roundeven", "floor", "fabs", "sqrt")]
    lines += [f"declare {v} @llvm.{name}.{kind}({v}, {v})" for name in ("minimum", "maximum", "copysign")]
    lines.append(f"declare {v} @llvm.fma.{kind}({v}, {v}, {v})")
    lines.append("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    lines.append("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    lines.append(f"declare {v} @llvm.masked.load.{kind}.p0(ptr, i32, {lanes}, {v})")
    lines.append(f"declare void @llvm.masked.store.{kind}.p0({v}, ptr, i32, {lanes})")
    lines.append(f"declare {m.real} @llvm.vector.reduce.fadd.{kind}({m.real}, {v})")
    lines.append(f"declare {m.real} @llvm.vector.reduce.fmaximum.{kind}({v})")
    return lines


def _lane_by_lane(w: Writer, name: str) -> str:
    """A function of the C library, one lane after another."""
    m = w.machine
    suffix = "f" if m.bits == 32 else ""
    result = "poison"
    for lane in range(m.lanes):
        x = w.let(f"extractelement {m.vector} %x, i64 {lane}")
        y = w.let(f"call {m.real} @{LIBRARY[name]}{suffix}({m.real} {x})")
        result = w.let(f"insertelement {m.vector} {result}, {m.real} {y}, i64 {lane}")
    return result
