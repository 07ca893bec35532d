from collections.abc import Mapping

from gon._port import Port
from gon_server.devices.opencl import OpenClDevice
from gon_server.devices.opencl_kernel import BoundKernel, Freed
from gon_server.devices.opencl_memory import DeviceBuffer
from gon_server.devices.opencl_stream import Record, Stream

def enqueue_launches(queue: int, kernel: int, threads: int, launches: int) -> int: ...

class OpenClPort(Port):
    def __init__(
        self,
        device: OpenClDevice,
        freed: Freed,
        streams: Mapping[int, Stream],
        kernels: Mapping[int, BoundKernel],
        buffers: Mapping[int, DeviceBuffer],
        events: Mapping[int, Record],
    ) -> None: ...
