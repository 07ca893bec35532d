"""CUDA C on an OpenCL device: translated for what the device's compiler takes, then built.

What the device has is asked once, by compiling a few lines, since no property tells of C++.

Rules: a kernel is only taken if the driver agrees with the translation on the number of its
parameters; their kinds and sizes are the source's.
"""

from __future__ import annotations

from typing import Final, cast

import pyopencl as cl

from gon.errors import CompileError, DeviceError
from gon.model import KernelInfo, Program
from gon_server.cuda_c.target import Dialect, KernelTranslation, Target, Translation
from gon_server.cuda_c.translate import translate
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_clang import compile_by_clang, without_front_end

WARP_SIZE: Final = 32
_CPP: Final = "template <typename T> T twice(T x) { return x + x; }\n"
_KERNEL: Final = "kernel void gon_trial(global int *x) { int *p = x; *p = twice(*p); }\n"
_WARPS: Final = f"__attribute__((intel_reqd_sub_group_size({WARP_SIZE})))\n"


# What was found out of each unit of this process, by the driver's name of it.
_TARGETS: Final[dict[int, Target]] = {}


def target_of(context: driver.Context, unit: driver.Unit) -> Target:
    """Return what a translation for the unit may use; asked once. Raises DriverError."""
    key = int(unit.int_ptr)
    if key not in _TARGETS:
        _TARGETS[key] = _ask(context, unit)
    return _TARGETS[key]


def _ask(context: driver.Context, unit: driver.Unit) -> Target:
    has = frozenset(unit.extensions.split())
    cpp = _builds(context, unit, _CPP + _KERNEL)
    warps = cpp and _builds(context, unit, _CPP + _WARPS + _KERNEL)
    return Target(
        dialect=Dialect.CPP if cpp else Dialect.C12,
        fp16="cl_khr_fp16" in has,
        fp64="cl_khr_fp64" in has,
        int64_atomics={"cl_khr_int64_base_atomics", "cl_khr_int64_extended_atomics"} <= has,
        subgroup_sizes=(WARP_SIZE,) if warps else (),
        local_bytes=unit.local_mem_size,
        max_block=unit.max_work_group_size,
    )


def _builds(context: driver.Context, unit: driver.Unit, text: str) -> bool:
    try:
        driver.build(driver.create_program(context, text), "-cl-std=CLC++2021", unit)
    except driver.DriverError:  # the compiler says no: that is the answer
        return False
    return True


def compile_translated(
    context: driver.Context, unit: driver.Unit, program: Program, target: Target
) -> tuple[driver.Program, Translation]:
    """Translate and compile. Raises CompileError, Unsupported, InvalidArgument, DriverError."""
    options, by_clang = without_front_end(program.options)
    if by_clang:
        return compile_by_clang(context, unit, program, options, target)
    translation = translate(program, target)
    made = driver.create_program(context, translation.text)
    try:
        driver.build(made, translation.options, unit)
    except driver.DriverError as error:
        log = driver.build_log(made, unit)
        raise CompileError(f"the program does not compile: {error}", log=log) from error
    return made, translation


def limits_of(
    kernel: driver.Kernel, told: KernelTranslation, unit: driver.Unit
) -> tuple[KernelInfo, int]:
    """Return a kernel's signature and the local bytes it always uses.

    Raises DeviceError where driver and translation differ, DriverError.
    """
    if kernel.num_args != len(told.params) + len(told.hidden):
        raise DeviceError(
            f"kernel {told.name}: the driver sees {kernel.num_args} parameters, "
            f"the translation has {len(told.params)} and {len(told.hidden)}"
        )
    about = cl.kernel_work_group_info
    most = int(cast(int, kernel.get_work_group_info(about.WORK_GROUP_SIZE, unit)))
    local_bytes = int(cast(int, kernel.get_work_group_info(about.LOCAL_MEM_SIZE, unit)))
    if told.dynamic_bytes is not None:  # what is left to a launch is what is reserved
        local_bytes = unit.local_mem_size - told.dynamic_bytes
    most = min(most, told.max_block or most)
    return KernelInfo(told.name, told.params, most), local_bytes
