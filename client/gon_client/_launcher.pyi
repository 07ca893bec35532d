from collections.abc import Sequence

import numpy as np

from gon.model import LaunchConfig
from gon_client._express import Express
from gon_client.array import DeviceArray
from gon_client.function import Plan
from gon_client.module import Kernel
from gon_client.stream import Stream

class Launcher:
    def __init__(self, kernel: Kernel, express: Express) -> None: ...
    def again(
        self,
        stream: Stream,
        config: LaunchConfig,
        tensors: Sequence[tuple[tuple[int, ...], np.dtype[np.generic]]],
        inputs: tuple[object, ...],
        output: object,
    ) -> bool: ...
    def anew(
        self,
        stream: Stream,
        config: LaunchConfig,
        kernel: Kernel,
        plan: Plan,
        inputs: tuple[object, ...],
    ) -> tuple[DeviceArray, ...] | None: ...
