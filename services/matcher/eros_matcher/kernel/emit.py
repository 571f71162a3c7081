"""From the kernel's source to an object file that needs nothing of Numba."""

from __future__ import annotations

import os
from typing import Any

import llvmlite.binding as llvm
from numba import njit

from eros_matcher.kernel.source import SIGNATURES


def emit() -> bytes:
    """The object file, for the processor that NUMBA_CPU_NAME names."""
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=os.environ["NUMBA_CPU_NAME"], opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )
    whole = llvm.parse_assembly("")
    for function, signature in SIGNATURES.items():
        compile_ = njit(signature, error_model="numpy", fastmath=False)
        compiled: Any = compile_(function)
        overload = compiled.overloads[signature]
        module = llvm.parse_assembly(overload.library.get_llvm_str())
        for other in module.functions:
            if other.name == overload.fndesc.llvm_func_name:
                other.name = f"eros_{function.__name__}"
            elif not other.is_declaration:
                other.linkage = "internal"
        whole.link_in(module)
    _strip(whole, target)
    return bytes(target.emit_object(whole))


def _strip(module: llvm.ModuleRef, target: llvm.TargetMachine) -> None:
    """Remove the wrappers for Python, and with them every reference to Python."""
    options = llvm.create_pipeline_tuning_options(speed_level=0)
    builder = llvm.create_pass_builder(target, options)
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)
