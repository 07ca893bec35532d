"""The device: the leased unit as OpenCL describes one.

The unit's own answers are given where it is OpenCL itself; what does not cross the network (shared
virtual memory, pipes, queues on the device, partitions) is answered as not there.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Final

from gon.clock import SYSTEM_CLOCK
from gon.limits import KERNEL_ARGS_MAX
from gon_client.device import Device as Leased
from gon_client.image import has_images
from gon_shim.opencl.answers import Answers, give, pointer, text, uint, version, word, words
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object
from gon_shim.opencl.platform import PLATFORM, check_platform
from gon_shim.opencl.unit import UNIT
from gon_shim.opencl.unit_clock import UnitClock

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers

QUEUE_PROPERTIES: Final = cl.CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | cl.CL_QUEUE_PROFILING_ENABLE
# Extensions of the language of kernels, and what else needs nothing of this driver.
_EXTENSIONS: Final = (
    "cl_khr_byte_addressable_store",
    "cl_khr_expect_assume",
    "cl_khr_extended_bit_ops",
    "cl_khr_fp16",
    "cl_khr_fp64",
    "cl_khr_global_int32_base_atomics",
    "cl_khr_global_int32_extended_atomics",
    "cl_khr_int64_base_atomics",
    "cl_khr_int64_extended_atomics",
    "cl_khr_integer_dot_product",
    "cl_khr_local_int32_base_atomics",
    "cl_khr_local_int32_extended_atomics",
    "cl_khr_spirv_linkonce_odr",
    "cl_khr_spirv_no_integer_wrap_decoration",
)
_IMAGE_EXTENSIONS: Final = (
    "cl_khr_3d_image_writes",
    "cl_khr_depth_images",
    "cl_khr_image2d_from_buffer",
)
_NO_FEATURES: Final = (
    "__opencl_c_pipes",
    "__opencl_c_device_enqueue",
    "__opencl_c_subgroups",
)
_IMAGE_FEATURES: Final = (
    "__opencl_c_images",
    "__opencl_c_3d_image",
    "__opencl_c_read_write_images",
)
_NAME_VERSION: Final = 68
# What a unit without images says of them: numbers of 32 bits, and of 64.
_NO_IMAGE_COUNTS: Final = (
    cl.CL_DEVICE_IMAGE_SUPPORT, cl.CL_DEVICE_MAX_READ_IMAGE_ARGS, cl.CL_DEVICE_MAX_WRITE_IMAGE_ARGS,
    cl.CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS, cl.CL_DEVICE_MAX_SAMPLERS,
    cl.CL_DEVICE_IMAGE_PITCH_ALIGNMENT, cl.CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT,
)  # fmt: skip
_ARGUMENTS: Final = (
    cl.CL_DEVICE_MAX_READ_IMAGE_ARGS, cl.CL_DEVICE_MAX_WRITE_IMAGE_ARGS,
    cl.CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS, cl.CL_DEVICE_MAX_SAMPLERS,
    cl.CL_DEVICE_MAX_CONSTANT_ARGS,
)  # fmt: skip
_NO_IMAGES: Final = (
    cl.CL_DEVICE_IMAGE2D_MAX_WIDTH, cl.CL_DEVICE_IMAGE2D_MAX_HEIGHT, cl.CL_DEVICE_IMAGE3D_MAX_WIDTH,
    cl.CL_DEVICE_IMAGE3D_MAX_HEIGHT, cl.CL_DEVICE_IMAGE3D_MAX_DEPTH,
    cl.CL_DEVICE_IMAGE_MAX_BUFFER_SIZE, cl.CL_DEVICE_IMAGE_MAX_ARRAY_SIZE,
)  # fmt: skip
_NOT_HERE: Final = (
    cl.CL_DEVICE_PIPE_SUPPORT, cl.CL_DEVICE_MAX_PIPE_ARGS,
    cl.CL_DEVICE_PIPE_MAX_ACTIVE_RESERVATIONS, cl.CL_DEVICE_PIPE_MAX_PACKET_SIZE,
    cl.CL_DEVICE_QUEUE_ON_DEVICE_PREFERRED_SIZE, cl.CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE,
    cl.CL_DEVICE_MAX_ON_DEVICE_QUEUES, cl.CL_DEVICE_MAX_ON_DEVICE_EVENTS,
    cl.CL_DEVICE_PARTITION_MAX_SUB_DEVICES, cl.CL_DEVICE_HOST_UNIFIED_MEMORY,
    cl.CL_DEVICE_MAX_NUM_SUB_GROUPS, cl.CL_DEVICE_SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS,
)  # fmt: skip
_NO_BITS: Final = (
    cl.CL_DEVICE_SVM_CAPABILITIES,
    cl.CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES,
    cl.CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES,
    cl.CL_DEVICE_PARTITION_AFFINITY_DOMAIN,
)


# There is one: two threads may ask for it first.
_MAKING: Final = threading.Lock()


class Device(Object):
    """The device of this process."""

    invalid = cl.CL_INVALID_DEVICE

    def __init__(self, leased: Leased) -> None:
        super().__init__()
        self.leased = leased
        # What queues that measure have learned of the unit's.
        self.clock = UnitClock()
        self.answers = _answers(leased)
        for what, make in _OWN.items():
            self.answers[what] = make(self)

    @property
    def has_images(self) -> bool:
        return bool(self.number(cl.CL_DEVICE_IMAGE_SUPPORT))

    def number(self, what: int) -> int:
        """Return an answer that is a number; 0 where there is none."""
        return int.from_bytes(self.answers.get(what, b""), "little")

    def retain(self) -> None:
        """Do nothing: a device that is no part of another is never released."""

    def release(self) -> None:
        """Do nothing, as `retain`."""


_OWN: Answers[Device] = {
    cl.CL_DEVICE_PLATFORM: lambda _: pointer(PLATFORM),
    cl.CL_DEVICE_PARENT_DEVICE: lambda _: word(0),
    cl.CL_DEVICE_REFERENCE_COUNT: lambda _: uint(1),
}


def _answers(leased: Leased) -> dict[int, bytes]:
    """Return all answers but handles."""
    info = leased.info
    made = {**_told(leased), **dict(info.properties)}
    if cl.CL_DEVICE_NUMERIC_VERSION not in dict(info.properties):  # it is OpenCL 3.0's
        found = re.match(rb"OpenCL (\d+)\.(\d+)", made[cl.CL_DEVICE_VERSION])
        if found:
            made[cl.CL_DEVICE_NUMERIC_VERSION] = uint(version(int(found[1]), int(found[2])))
    extensions = made[cl.CL_DEVICE_EXTENSIONS].rstrip(b"\0").decode().split()
    images = bool(any(made.get(cl.CL_DEVICE_IMAGE_SUPPORT, b""))) and has_images(leased)
    known = (*_EXTENSIONS, *_IMAGE_EXTENSIONS) if images else _EXTENSIONS
    kept = [name for name in extensions if name in known]
    memory = leased.memory_bytes
    largest = int.from_bytes(made[cl.CL_DEVICE_MAX_MEM_ALLOC_SIZE], "little")
    made |= dict.fromkeys(_NOT_HERE, uint(0)) | dict.fromkeys(_NO_BITS, word(0))
    if not images:
        made |= dict.fromkeys(_NO_IMAGE_COUNTS, uint(0)) | dict.fromkeys(_NO_IMAGES, word(0))
    made |= {
        cl.CL_DEVICE_AVAILABLE: uint(1),
        cl.CL_DEVICE_COMPILER_AVAILABLE: uint(1),
        cl.CL_DEVICE_LINKER_AVAILABLE: uint(1),
        cl.CL_DEVICE_EXTENSIONS: text(" ".join(kept)),
        cl.CL_DEVICE_EXTENSIONS_WITH_VERSION: b"".join(
            uint(version(1, 0)) + name.encode().ljust(64, b"\0") for name in kept
        ),
        cl.CL_DEVICE_GLOBAL_MEM_SIZE: word(memory),
        cl.CL_DEVICE_MAX_MEM_ALLOC_SIZE: word(min(largest, memory)),
        cl.CL_DEVICE_EXECUTION_CAPABILITIES: word(cl.CL_EXEC_KERNEL),
        cl.CL_DEVICE_QUEUE_ON_HOST_PROPERTIES: word(QUEUE_PROPERTIES),
        cl.CL_DEVICE_BUILT_IN_KERNELS: text(""),
        cl.CL_DEVICE_BUILT_IN_KERNELS_WITH_VERSION: b"",
        cl.CL_DEVICE_PARTITION_PROPERTIES: word(0),
        cl.CL_DEVICE_PARTITION_TYPE: b"",
        cl.CL_DEVICE_PREFERRED_INTEROP_USER_SYNC: uint(1),
        cl.CL_DEVICE_PROFILING_TIMER_RESOLUTION: word(1),
        cl.CL_DEVICE_LATEST_CONFORMANCE_VERSION_PASSED: text(""),
    }
    for what in _ARGUMENTS:  # as many as a kernel may take beside others
        told = int.from_bytes(made.get(what, b""), "little")
        made[what] = uint(min(told, KERNEL_ARGS_MAX // 2))
    if int.from_bytes(made[cl.CL_DEVICE_NUMERIC_VERSION], "little") > version(3, 0):
        made[cl.CL_DEVICE_VERSION] = text("OpenCL 3.0 GoN")
        made[cl.CL_DEVICE_NUMERIC_VERSION] = uint(version(3, 0))
    denied = _NO_FEATURES if images else (*_NO_FEATURES, *_IMAGE_FEATURES)
    features = made.get(cl.CL_DEVICE_OPENCL_C_FEATURES, b"")
    made[cl.CL_DEVICE_OPENCL_C_FEATURES] = b"".join(
        feature
        for feature in (features[at : at + _NAME_VERSION]
                        for at in range(0, len(features), _NAME_VERSION))
        if not feature[4:].partition(b"\0")[0].decode().startswith(denied)
    )  # fmt: skip
    return made


def _told(leased: Leased) -> dict[int, bytes]:
    """Return what every unit tells, in OpenCL's numbers."""
    info = leased.info
    kinds = {"cpu": cl.CL_DEVICE_TYPE_CPU, "gpu": cl.CL_DEVICE_TYPE_GPU}
    il = "SPIR-V_1.2 SPIR-V_1.1 SPIR-V_1.0" if "spir-v" in info.formats else ""
    largest = max(info.memory_bytes // 4, 1)
    floats = cl.CL_FP_ROUND_TO_NEAREST | cl.CL_FP_INF_NAN
    lanes = range(
        cl.CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR, cl.CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT + 1
    )
    return {
        **{what: uint(1) for what in lanes},
        cl.CL_DEVICE_TYPE: word(kinds.get(info.kind, cl.CL_DEVICE_TYPE_ACCELERATOR)),
        cl.CL_DEVICE_VENDOR_ID: uint(0),
        cl.CL_DEVICE_NAME: text(info.name),
        cl.CL_DEVICE_VENDOR: text(info.vendor),
        cl.CL_DRIVER_VERSION: text(info.driver),
        cl.CL_DEVICE_PROFILE: text("FULL_PROFILE"),
        cl.CL_DEVICE_VERSION: text("OpenCL 3.0 GoN"),
        cl.CL_DEVICE_NUMERIC_VERSION: uint(version(3, 0)),
        cl.CL_DEVICE_OPENCL_C_VERSION: text("OpenCL C 1.2 GoN"),
        cl.CL_DEVICE_EXTENSIONS: text("cl_khr_byte_addressable_store"),
        cl.CL_DEVICE_IL_VERSION: text(il),
        cl.CL_DEVICE_MAX_COMPUTE_UNITS: uint(info.compute_units),
        cl.CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS: uint(3),
        cl.CL_DEVICE_MAX_WORK_ITEM_SIZES: words(info.max_block_dims),
        cl.CL_DEVICE_MAX_WORK_GROUP_SIZE: word(info.max_block),
        cl.CL_DEVICE_ADDRESS_BITS: uint(64),
        cl.CL_DEVICE_MAX_MEM_ALLOC_SIZE: word(largest),
        cl.CL_DEVICE_MAX_CLOCK_FREQUENCY: uint(0),
        cl.CL_DEVICE_MAX_PARAMETER_SIZE: word(1024),
        cl.CL_DEVICE_MEM_BASE_ADDR_ALIGN: uint(max(info.view_alignment_bytes, 128) * 8),
        cl.CL_DEVICE_MIN_DATA_TYPE_ALIGN_SIZE: uint(128),
        cl.CL_DEVICE_SINGLE_FP_CONFIG: word(floats),
        cl.CL_DEVICE_GLOBAL_MEM_CACHE_TYPE: uint(cl.CL_NONE),
        cl.CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE: uint(0),
        cl.CL_DEVICE_GLOBAL_MEM_CACHE_SIZE: word(0),
        cl.CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE: word(64 << 10),
        cl.CL_DEVICE_MAX_CONSTANT_ARGS: uint(8),
        cl.CL_DEVICE_LOCAL_MEM_TYPE: uint(cl.CL_LOCAL),
        cl.CL_DEVICE_LOCAL_MEM_SIZE: word(info.local_bytes),
        cl.CL_DEVICE_ERROR_CORRECTION_SUPPORT: uint(0),
        cl.CL_DEVICE_ENDIAN_LITTLE: uint(1),
        cl.CL_DEVICE_PRINTF_BUFFER_SIZE: word(1 << 20),
        cl.CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT: uint(0),
    }  # fmt: skip


def device() -> Device:
    """Return the device of this process. Raises ClError where there is none."""
    leased = UNIT.device
    with _MAKING:
        for known in Device.all():
            return known
        return Device(leased)


@entry("clGetDeviceIDs")
def get_devices(platform: CData, kind: int, room: int, devices: Handles, count: Numbers) -> None:
    check_platform(platform)
    require(devices or count, cl.CL_INVALID_VALUE)
    require(room or not devices, cl.CL_INVALID_VALUE)
    found = device_of_kind(kind)
    if devices:
        devices[0] = found.handle
    if count:
        count[0] = 1


def device_of_kind(kind: int) -> Device:
    """Return the device, if it is of a type that a program asks for. Raises ClError."""
    known = cl.CL_DEVICE_TYPE_ALL
    every = (
        cl.CL_DEVICE_TYPE_DEFAULT | cl.CL_DEVICE_TYPE_CPU | cl.CL_DEVICE_TYPE_GPU
        | cl.CL_DEVICE_TYPE_ACCELERATOR | cl.CL_DEVICE_TYPE_CUSTOM
    )  # fmt: skip
    require(kind in (known, known & (1 << 64) - 1) or kind & every, cl.CL_INVALID_DEVICE_TYPE)
    one = device()
    own = one.number(cl.CL_DEVICE_TYPE) | cl.CL_DEVICE_TYPE_DEFAULT
    require(kind & own, cl.CL_DEVICE_NOT_FOUND)
    return one


@entry("clGetDeviceInfo")
def get_device_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    value = Device.of(handle).answers.get(what)
    if value is None:
        raise ClError(cl.CL_INVALID_VALUE)
    give(value, room, at, size_at)


@entry("clRetainDevice")
def retain_device(handle: CData) -> None:
    Device.of(handle).retain()


@entry("clReleaseDevice")
def release_device(handle: CData) -> None:
    Device.of(handle).release()


@entry("clCreateSubDevices")
def create_sub_devices(
    handle: CData, properties: CData, _room: int, _devices: Handles, _count: Numbers
) -> None:
    Device.of(handle)
    require(properties, cl.CL_INVALID_VALUE)
    raise ClError(cl.CL_INVALID_VALUE)


def now_ns() -> int:
    """Return the host's time, which events tell too."""
    return int(SYSTEM_CLOCK.now_s() * 1e9)


@entry("clGetDeviceAndHostTimer")
def get_timers(handle: CData, device_at: Numbers, host_at: Numbers) -> None:
    Device.of(handle)
    require(device_at and host_at, cl.CL_INVALID_VALUE)
    device_at[0] = host_at[0] = now_ns()


@entry("clGetHostTimer")
def get_host_timer(handle: CData, host_at: Numbers) -> None:
    Device.of(handle)
    require(host_at, cl.CL_INVALID_VALUE)
    host_at[0] = now_ns()


def devices_of(count: int, devices: Handles) -> list[Device]:
    """Return the devices of a list. Raises ClError."""
    require(bool(count) == bool(devices), cl.CL_INVALID_VALUE)
    return [Device.of(devices[index]) for index in range(count)]
