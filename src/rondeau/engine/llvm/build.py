"""`build`: LLVM text to machine code, kept in memory as long as something can run it, and on disk.

On disk (`rondeau.engine.llvm.store`) the key is made of the text, the version of LLVM, and the processor's name and features.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from functools import cache
from typing import Any
from weakref import WeakValueDictionary

from rondeau.engine.compile.target import Processor
from rondeau.engine.llvm import store
from rondeau.engine.llvm.openmp import FUNCTIONS, available, openmp, side_by_side, yield_address
from rondeau.engine.llvm.processors import TARGET, host_processor, runs_here
from rondeau.errors import InputError

OPTIMISE = 2


class MachineCode:
    """A kernel that can be called: ``parallel`` (on OpenMP), ``serial``, and ``pack`` and ``part``, of which they consist.
    `run` takes the way that suits the threads at hand.

    ``brief`` is ``part`` for a single step: it keeps Python's lock, since to give it back and ask for it again may mean to wait
    for another thread.
    """

    def __init__(self, engine: Any, owner: Any) -> None:
        word = ctypes.c_int64

        def entry(name: str, *counts: Any, kind: Any = ctypes.CFUNCTYPE) -> Any:
            function: Any = kind(None, ctypes.c_void_p, *counts)(engine.get_function_address(name))
            function.owners = (engine, owner)  # the code is there as long as something can call it
            return function

        self.parallel, self.serial = entry("parallel"), entry("serial")
        self.pack, self.part = entry("pack", word, word), entry("part", word, word, word)
        self.brief = entry("part", word, word, word, kind=ctypes.PYFUNCTYPE)

    def run(self, table: int, parts: int, team: int) -> None:
        """All parts of the batch, or the team's one, from the address of a table of arguments."""
        if max(parts, team) == 1 or available() == 1:
            self.serial(table)
        elif openmp():
            self.parallel(table)
        else:
            side_by_side(lambda k: self.pack(table, k, parts), parts)
            side_by_side(lambda k: self.part(table, k, 0, 1), parts)


_built: WeakValueDictionary[str, MachineCode] = WeakValueDictionary()  # programs, runs and graphs hold what they may call
_lock = threading.RLock()


def _after_fork() -> None:
    """In the child the lock's holder is gone."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def build(text: str, processor: Processor) -> MachineCode:
    """The machine code of an LLVM module's text.

    Raises:
        InputError: this process does not run on such a processor.
    """
    _check_runs_here(processor)
    key = _key(text, processor)
    with _lock:
        found = _built.get(key)
        if found is None:
            code = store.read(key)
            if code is None:
                code = compile_object(text, processor)
                store.write(key, code)
            found = _built[key] = _load(code)
        return found


def _check_runs_here(processor: Processor) -> None:
    if not runs_here(processor):
        raise InputError(
            f"kernels for {processor.name} can be written here, but this processor cannot run them; unset {TARGET}"
        )


@cache
def machine(processor: Processor) -> Any:
    """LLVM's description of a processor."""
    return _new_machine(processor)


def optimised(text: str, processor: Processor) -> Any:
    """The module after the few of LLVM's passes that matter to code as plain as ours; its own pipeline takes ten times as
    long, for kernels that are no faster."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(_vector_wide(text))
    module.verify()
    with _lock:
        builder, whole, single = _passes(processor)
        whole.run(module, builder)
        for function in module.functions:
            if not function.is_declaration:
                single.run(function, builder)
    return module


@cache
def _passes(processor: Processor) -> tuple[Any, Any, Any]:
    """LLVM's passes, made once: each making loses some kilobytes."""
    import llvmlite.binding as llvm

    builder = llvm.create_pass_builder(machine(processor), llvm.create_pipeline_tuning_options(speed_level=OPTIMISE))
    whole, single = llvm.create_new_module_pass_manager(), llvm.create_new_function_pass_manager()
    whole.add_always_inliner_pass()
    single.add_sroa_pass()
    single.add_instruction_combine_pass()
    single.add_simplify_cfg_pass()
    return builder, whole, single


def compile_object(text: str, processor: Processor) -> bytes:
    """The object file of an LLVM module's text."""
    return bytes(machine(processor).emit_object(optimised(text, processor)))


def assembly(text: str, processor: Processor) -> str:
    """The assembly of an LLVM module's text."""
    return str(machine(processor).emit_assembly(optimised(text, processor)))


def _vector_wide(text: str) -> str:
    """Lets LLVM use the widest registers, which it shuns by default on some processors."""
    wide = '"prefer-vector-width"="512" "min-legal-vector-width"="512"'
    return text.replace(" nounwind {", f" nounwind {wide} {{")


def _load(code: bytes) -> MachineCode:
    import llvmlite.binding as llvm

    llvm.add_symbol("sched_yield", yield_address())
    for name in FUNCTIONS:
        llvm.add_symbol(name, openmp().get(name, yield_address()))  # where there are none, nothing calls them
    empty = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(empty, _new_machine(host_processor()))
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return MachineCode(engine, empty)


def _new_machine(processor: Processor) -> Any:
    """MCJIT takes its machine over, so each engine gets one of its own.

    Raises:
        InputError: the LLVM of this llvmlite was built without such processors.
    """
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(processor.triple or llvm.get_process_triple())
    except RuntimeError as error:
        raise InputError(f"this llvmlite cannot write for {processor.name}: {error}; name another processor") from None
    model = "small" if processor.triple else "jitdefault"  # what has a triple may go to a linker
    chosen = {"cpu": processor.cpu, "features": processor.features}
    return target.create_target_machine(**chosen, opt=OPTIMISE, reloc="pic", codemodel=model)


def _key(text: str, processor: Processor) -> str:
    described = f"{processor.triple} {processor.cpu} {processor.features}"
    return hashlib.sha256("\n".join([_versions(), described, text]).encode()).hexdigest()


@cache
def _versions() -> str:
    import llvmlite
    import llvmlite.binding as llvm

    return f"3 {llvmlite.__version__} {llvm.llvm_version_info}"
