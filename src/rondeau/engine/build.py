"""`build`: LLVM text to machine code for this processor, kept in memory and on disk.

The disk cache is keyed by the text, the versions of LLVM and Rondeau, and the processor's name and features. A cached file
is a digest followed by an object file; one that is damaged is built anew, and a cache that cannot be written is done without.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from rondeau.engine.threads import FUNCTIONS, giving_way, openmp

OPTIMISE = 2


class Kernel:
    """Machine code with its ways in: ``parallel`` (on OpenMP), ``serial``, and ``pack`` and ``part``, of which they consist."""

    def __init__(self, engine: Any, owner: Any) -> None:
        self._owners = (engine, owner)
        whole = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        word = ctypes.c_int64
        self.parallel = whole(engine.get_function_address("parallel"))
        self.serial = whole(engine.get_function_address("serial"))
        self.pack = ctypes.CFUNCTYPE(None, ctypes.c_void_p, word, word)(engine.get_function_address("pack"))
        self.part = ctypes.CFUNCTYPE(None, ctypes.c_void_p, word, word, word)(engine.get_function_address("part"))


_built: dict[str, Kernel] = {}
_lock = threading.Lock()


def build(text: str) -> Kernel:
    """The kernel of an LLVM module's text."""
    key = _key(text)
    with _lock:
        if key not in _built:
            stored = _read(key)
            code = stored if stored is not None else compile_object(text)
            if stored is None:
                _write(key, code)
            _built[key] = _load(code)
        return _built[key]


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
    builder = llvm.create_pass_builder(machine(), llvm.create_pipeline_tuning_options(speed_level=OPTIMISE))
    whole, single = llvm.create_new_module_pass_manager(), llvm.create_new_function_pass_manager()
    whole.add_always_inliner_pass()
    whole.run(module, builder)
    single.add_sroa_pass()
    single.add_instruction_combine_pass()
    single.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            single.run(function, builder)
    return module


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


def _load(code: bytes) -> Kernel:
    import llvmlite.binding as llvm

    llvm.add_symbol("sched_yield", giving_way())
    for name in FUNCTIONS:
        llvm.add_symbol(name, openmp().get(name, giving_way()))  # where there are none, nothing calls them
    empty = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(empty, _new_machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Kernel(engine, empty)


def _new_machine() -> Any:
    """MCJIT takes its machine over, so each engine gets one of its own."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target, features = llvm.Target.from_default_triple(), llvm.get_host_cpu_features().flatten()
    name = llvm.get_host_cpu_name()
    return target.create_target_machine(cpu=name, features=features, opt=OPTIMISE, reloc="pic", codemodel="jitdefault")


# on disk


def _key(text: str) -> str:
    return hashlib.sha256("\n".join([_versions(), text]).encode()).hexdigest()


@cache
def _versions() -> str:
    import llvmlite
    import llvmlite.binding as llvm

    return (
        f"2 {llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    )


def cache_folder() -> Path:
    """Where built kernels lie: ``RONDEAU_CACHE``, or the user's cache folder."""
    chosen = os.environ.get("RONDEAU_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "rondeau"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rondeau"


def _read(key: str) -> bytes | None:
    with suppress(OSError):
        data = (cache_folder() / f"{key}.o").read_bytes()
        if hashlib.sha256(data[32:]).digest() == data[:32]:
            return data[32:]
    return None


def _write(key: str, code: bytes) -> None:
    with suppress(OSError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{key}.{os.getpid()}.tmp"
        temporary.write_bytes(hashlib.sha256(code).digest() + code)
        os.replace(temporary, folder / f"{key}.o")
