from collections.abc import Callable, Mapping

from gon._port import Port
from gon.model import Handle
from gon_server.engines.programs import EngineKernel

class ElasticPort(Port):
    def __init__(
        self,
        base: Port,
        functions: Mapping[int, EngineKernel],
        memory_of: Callable[[Handle], memoryview],
        slow: set[int],
    ) -> None: ...
    def forget(self) -> None: ...
