"""The driver `libcuda.so.1`: which functions it has, and its C, made from their prototypes.

Rules: pure but for reading the header and `driver.c`. Every function of CUDA's driver API returns a
CUresult, so all are made alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gon_shim.cuda.declarations import Prototype, declarations, versions
from gon_shim.embedding import Driver, guarded

_HERE: Final = Path(__file__).parent
_MARK: Final = "/*** entries ***/"
# What is written in Python, by the names that programs are linked with.
ENTRIES: Final = (
    *("cuInit", "cuDriverGetVersion", "cuGetErrorName", "cuGetErrorString"),
    *(
        "cuDeviceGet",
        "cuDeviceGetCount",
        "cuDeviceGetName",
        "cuDeviceGetUuid",
        "cuDeviceGetUuid_v2",
    ),
    *("cuDeviceTotalMem_v2", "cuDeviceGetAttribute", "cuDeviceComputeCapability"),
    *("cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuDevicePrimaryCtxGetState"),
    *("cuDevicePrimaryCtxSetFlags_v2", "cuDevicePrimaryCtxReset_v2"),
    *("cuCtxCreate_v2", "cuCtxDestroy_v2", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2"),
    *("cuCtxSetCurrent", "cuCtxGetCurrent", "cuCtxGetDevice", "cuCtxGetFlags"),
    *("cuCtxSynchronize", "cuCtxGetApiVersion"),
    *("cuMemAlloc_v2", "cuMemFree_v2", "cuMemGetInfo_v2", "cuMemGetAddressRange_v2"),
    *("cuMemAllocHost_v2", "cuMemFreeHost"),
    *("cuMemcpyHtoD_v2", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoH_v2", "cuMemcpyDtoHAsync_v2"),
    *("cuMemcpyDtoD_v2", "cuMemcpyDtoDAsync_v2"),
    *("cuMemsetD8_v2", "cuMemsetD16_v2", "cuMemsetD32_v2"),
    *("cuMemsetD8Async", "cuMemsetD16Async", "cuMemsetD32Async"),
    *("cuModuleLoadData", "cuModuleLoadDataEx", "cuModuleUnload"),
    *("cuModuleGetFunction", "cuModuleGetGlobal_v2", "cuFuncGetAttribute", "cuLaunchKernel"),
    *("cuStreamCreate", "cuStreamCreateWithPriority", "cuStreamDestroy_v2", "cuStreamQuery"),
    *("cuStreamSynchronize", "cuStreamWaitEvent", "cuStreamGetFlags", "cuStreamGetPriority"),
    *("cuStreamGetCtx", "cuCtxGetStreamPriorityRange"),
    *("cuEventCreate", "cuEventDestroy_v2", "cuEventRecord", "cuEventQuery"),
    *("cuEventSynchronize", "cuEventElapsedTime", "cuEventRecordWithFlags"),
)
_SUFFIX: Final = re.compile(r"_v\d+$")
# What is written in C, in `driver.c`.
_IN_C: Final = ("cuGetProcAddress", "cuGetProcAddress_v2", "cuGetExportTable")
# What the Python side uses by name besides.
_TYPES: Final = (
    "CUresult",
    "CUdevice_attribute",
    "CUfunction_attribute",
    "CUevent_flags",
    "CUstream_flags",
)


def driver(header: Path) -> Driver:
    """Return what the driver is made of, by this cuda.h. Raises ConfigError."""
    found = declarations(header, (*ENTRIES, *_IN_C), _TYPES)
    own = [each for each in found.prototypes if each.name in ENTRIES]
    in_python = [f"CUresult gon_{each.name}({', '.join(each.params)});" for each in own]
    before, _, after = (_HERE / "driver.c").read_text("utf-8").partition(_MARK)
    rows = _rows([each.name for each in found.prototypes], versions(header))
    listed = ["static const struct gon_entry gon_table[] = {", *rows, "};"]
    heads = [
        f"GON_EXPORT CUresult {each.name}({', '.join(each.params)});" for each in found.prototypes
    ]
    return Driver(
        file="libcuda.so.1",
        api="GoN CUDA",
        verbose="GON_CUDA_VERBOSE",
        module="_gon_cuda",
        types=found.types,
        prototypes="\n".join([*in_python, "void gon_shutdown(void);"]),
        source="\n".join([before, *heads, *map(_entry, own), *listed, after]),
        entries="gon_shim.cuda.entries",
    )


def _rows(names: Sequence[str], since: Mapping[str, Sequence[int]]) -> list[str]:
    """Return the table of functions, with the versions of them that are not here."""
    rows: list[str] = []
    for base in dict.fromkeys(_SUFFIX.sub("", name) for name in names):
        known = since.get(base, [0])
        for index in range(max(len(known), 2)):
            name = base if index == 0 else f"{base}_v{index + 1}"
            if index < len(known) or name in names:
                function = f"(void *){name}" if name in names else "NULL"
                number = known[min(index, len(known) - 1)]
                rows.append(f'  {{"{base}", "{name}", {number}, {function}}},')
    return rows


def _entry(prototype: Prototype) -> str:
    return guarded(
        f"CUresult {prototype.name}({', '.join(prototype.params)})",
        f"gon_{prototype.name}({prototype.arguments})",
        "return gon_refusal(gon_why);",
    )
