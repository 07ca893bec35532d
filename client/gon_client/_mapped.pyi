import numpy as np
from numpy.typing import NDArray

from gon_client._express import Express
from gon_client.dial import Dialer
from gon_client.mapped import Buffers, MappedBuffers

class QuickCopies:
    def __init__(
        self, mapped: MappedBuffers, dialer: Dialer, buffers: Buffers, express: Express
    ) -> None: ...
    @property
    def copies(self) -> int: ...
    @property
    def copied_bytes(self) -> int: ...
    def upload(
        self, stream: int, buffer: int, offset: int, source: NDArray[np.generic]
    ) -> bool: ...
    def download(self, stream: int, buffer: int, offset: int, out: NDArray[np.generic]) -> bool: ...
