"""LLVM text, instruction by instruction."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class VectorType:
    """The vectors that a kernel computes with, and how they and their elements are written in LLVM.

    There are ``registers`` of them, and ``fused`` says whether one instruction multiplies and adds.
    """

    real: str = "float"
    lanes: int = 16
    registers: int = 32
    fused: bool = True

    @property
    def vector(self) -> str:
        """The vector type."""
        return f"<{self.lanes} x {self.real}>"

    @property
    def suffix(self) -> str:
        """The vector type in the name of an intrinsic."""
        return f"v{self.lanes}f{self.bits}"

    @property
    def mask(self) -> str:
        """The type of a truth value for each lane."""
        return f"<{self.lanes} x i1>"

    @property
    def bits(self) -> int:
        """Bits of one element."""
        return 32 if self.real == "float" else 64

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return self.bits // 8

    @property
    def alignment(self) -> int:
        """Bytes of a vector."""
        return self.lanes * self.bytes

    def literal(self, value: float) -> str:
        """A number."""
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

    vt: VectorType
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    intrinsics: set[tuple[str, int]] = field(default_factory=set)
    stack: list[str] = field(default_factory=list)
    count: int = 0

    def variable(self, kind: str) -> str:
        """The address of a variable on the stack, made once when the function is entered."""
        name = self.fresh("at")
        self.stack.append(f"  {name} = alloca {kind}")
        return name

    @property
    def body(self) -> list[str]:
        """All lines, the variables first."""
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
        return self.let(f"getelementptr {kind or self.vt.real}, ptr {pointer}, i64 {index}", "p")

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
        counter = self.variable("i64")
        self.put(f"store i64 {start}, ptr {counter}")
        self.put(f"br label {head}")
        self.label(head)
        i = self.let(f"load i64, ptr {counter}", "i")
        test = self.let(f"icmp slt i64 {i}, {stop}", "c")
        self.put(f"br i1 {test}, label {inside}, label {done}")
        self.label(inside)
        body(i)
        self.put(f"store i64 {self.integer('add', i, step)}, ptr {counter}")
        self.put(f"br label {head}")
        self.label(done)

    # vectors

    def binary(self, op: str, a: str, b: str) -> str:
        """``a op b`` on vectors."""
        return self.let(f"{op} {self.vt.vector} {a}, {b}")

    def call(self, name: str, *args: str) -> str:
        """A call of a vector function of our own."""
        self.used.add(name)
        v = self.vt.vector
        return self.let(f"call {v} @v_{name}({', '.join(f'{v} {a}' for a in args)})")

    def intrinsic(self, name: str, *args: str) -> str:
        """A call of an LLVM intrinsic on vectors."""
        self.intrinsics.add((name, len(args)))
        vt = self.vt
        return self.let(f"call {vt.vector} @llvm.{name}.{vt.suffix}({', '.join(f'{vt.vector} {a}' for a in args)})")

    def fma(self, a: str, b: str, c: str) -> str:
        """``a * b + c``, with one rounding where an instruction does that."""
        return self.intrinsic("fma" if self.vt.fused else "fmuladd", a, b, c)

    def select(self, test: str, a: str, b: str) -> str:
        """``a`` where the test holds, else ``b``."""
        v = self.vt.vector
        return self.let(f"select {self.vt.mask} {test}, {v} {a}, {v} {b}")

    def broadcast(self, scalar: str) -> str:
        """A vector of one scalar."""
        vt = self.vt
        first = self.let(f"insertelement {vt.vector} poison, {vt.real} {scalar}, i64 0")
        return self.let(f"shufflevector {vt.vector} {first}, {vt.vector} poison, <{vt.lanes} x i32> zeroinitializer")
