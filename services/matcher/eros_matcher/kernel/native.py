"""The kernel as this process calls it: loaded from an object file, in a few milliseconds."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import llvmlite.binding as llvm

from eros_common import logging
from eros_matcher.kernel.ahead import compile_all
from eros_matcher.kernel.levels import host_level, object_name

log = logging.get("matcher.kernel")

_PACKAGE: Final = "eros_kernels"
"""What `./eros setup` and the image's build make, beside the generated code."""

_Function = Callable[..., int]
_POINTER, _INT, _DOUBLE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
_SEEKERS: Final = (_POINTER,) * 9


class Kernel:
    """The functions of `eros_matcher.kernel.source`; each returns an integer.

    Pointers are addresses (`ndarray.ctypes.data`). Nothing is checked here. For one thread: each
    function puts its results in one place.
    """

    def __init__(self, code: bytes) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple().create_target_machine(jit=True)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        self._engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.scan = self._function(
            "eros_scan",
            *(_POINTER, _POINTER, _INT, _INT, _INT, _INT),
            *(_POINTER, _POINTER, *_SEEKERS, _POINTER),
            *((_POINTER,) * 11),
            *(_INT, _DOUBLE, _DOUBLE, _POINTER, _POINTER),
            *(_POINTER, _POINTER, _INT, *(_POINTER,) * 13),
        )
        self.settle = self._function(
            "eros_settle",
            *(_POINTER, _INT, _POINTER, _POINTER, *(_POINTER,) * 7),
            *(_DOUBLE, _DOUBLE, _POINTER, _POINTER, _INT, *(_POINTER,) * 11),
        )
        self.pairs = self._function(
            "eros_pairs",
            *(_INT, _POINTER, _INT, _POINTER, _POINTER, _POINTER, *_SEEKERS),
            *((_POINTER,) * 9),
            *(_INT, _DOUBLE, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
        )
        self.raise_need = self._function(
            "eros_raise_need",
            *(_INT, _POINTER, _INT, _POINTER, _POINTER, _POINTER, _DOUBLE, _DOUBLE),
            *((_POINTER,) * 4),
        )

    def _function(self, name: str, *types: Any) -> _Function:
        call = ctypes.CFUNCTYPE(ctypes.c_int32, _POINTER, _POINTER, *types)(
            self._engine.get_function_address(name)
        )
        # Numba's calling convention: the result, and where an exception would be put.
        result, raised = ctypes.c_int64(), ctypes.c_void_p()
        at, fault = ctypes.addressof(result), ctypes.addressof(raised)

        def function(*arguments: Any) -> int:
            if call(at, fault, *arguments):
                raise RuntimeError(f"{name} failed")
            return result.value

        return function


@cache
def kernel() -> Kernel:
    """The kernel for this machine, compiled first where nobody did so ahead of time."""
    name = object_name(host_level())
    for folder in _folders():
        if (folder / name).is_file():
            return Kernel((folder / name).read_bytes())
    cached = cache_folder()
    log.warning("compiling", level=host_level(), folder=str(cached))
    compile_all(cached, (host_level(),))
    return Kernel((cached / name).read_bytes())


def _folders() -> Sequence[Path]:
    spec = importlib.util.find_spec(_PACKAGE)
    made = [] if spec is None else [Path(path) for path in spec.submodule_search_locations or ()]
    return [*made, cache_folder()]


def cache_folder() -> Path:
    """Where a kernel goes that nobody made ahead of time."""
    base = os.environ.get("XDG_CACHE_HOME")
    home = Path(base) if base else Path(tempfile.gettempdir()) / f"eros-{os.getuid()}"
    return home / "eros-kernels"
