"""`build`: LLVM text to machine code for this processor, kept in memory as long as something can run it, and on disk.

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

from rondeau.engine.llvm import store
from rondeau.engine.llvm.openmp import FUNCTIONS, openmp, yield_address

OPTIMISE = 2


class MachineCode:
    """A kernel that can be called: ``parallel`` (on OpenMP), ``serial``, and ``pack`` and ``part``, of which they consist.

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


_built: WeakValueDictionary[str, MachineCode] = WeakValueDictionary()  # programs, runs and graphs hold what they may call
_lock = threading.RLock()


def _after_fork() -> None:
    """In the child the lock's holder is gone."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def build(text: str) -> MachineCode:
    """The machine code of an LLVM module's text."""
    key = _key(text)
    with _lock:
        found = _built.get(key)
        if found is None:
            code = store.read(key)
            if code is None:
                code = compile_object(text)
                store.write(key, code)
            found = _built[key] = _load(code)
        return found


@cache
def machine() -> Any:
    """LLVM's description of this processor."""
    return _new_machine()


def optimised(text: str) -> Any:
    """The module after the few of LLVM's passes that matter to code as plain as ours; its own pipeline takes ten times as
    long, for kernels that are no faster."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(_vector_wide(text))
    module.verify()
    with _lock:
        builder, whole, single = _passes()
        whole.run(module, builder)
        for function in module.functions:
            if not function.is_declaration:
                single.run(function, builder)
    return module


@cache
def _passes() -> tuple[Any, Any, Any]:
    """LLVM's passes, made once: each making loses some kilobytes."""
    import llvmlite.binding as llvm

    builder = llvm.create_pass_builder(machine(), llvm.create_pipeline_tuning_options(speed_level=OPTIMISE))
    whole, single = llvm.create_new_module_pass_manager(), llvm.create_new_function_pass_manager()
    whole.add_always_inliner_pass()
    single.add_sroa_pass()
    single.add_instruction_combine_pass()
    single.add_simplify_cfg_pass()
    return builder, whole, single


def compile_object(text: str) -> bytes:
    """The object file of an LLVM module's text."""
    return bytes(machine().emit_object(optimised(text)))


def assembly(text: str) -> str:
    """The assembly of an LLVM module's text."""
    return str(machine().emit_assembly(optimised(text)))


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
    engine = llvm.create_mcjit_compiler(empty, _new_machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return MachineCode(engine, empty)


def _new_machine() -> Any:
    """MCJIT takes its machine over, so each engine gets one of its own."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target, features = llvm.Target.from_default_triple(), llvm.get_host_cpu_features().flatten()
    name = llvm.get_host_cpu_name()
    return target.create_target_machine(cpu=name, features=features, opt=OPTIMISE, reloc="pic", codemodel="jitdefault")


def _key(text: str) -> str:
    return hashlib.sha256("\n".join([_versions(), text]).encode()).hexdigest()


@cache
def _versions() -> str:
    import llvmlite
    import llvmlite.binding as llvm

    return (
        f"2 {llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    )
