"""What `gon bench` compares flows with: AES-256-GCM by its library's own call in one process, from
an array to an array.

Registered as `flow_call` in the entry point group `gon.baselines`.
"""

from __future__ import annotations

import numpy as np

from gon.flow import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from gon_server.engines.dpu.aes_gcm import prepared


class FlowCalls:
    """Calls that encrypt so many bytes, with a key that is prepared."""

    name = "cryptography"

    def __init__(self, size_bytes: int) -> None:
        data = np.full(size_bytes, 1, np.uint8)
        result = np.zeros(size_bytes + TAG_BYTES, np.uint8)
        encrypt = prepared(bytes(KEY_BYTES))
        self._nonce, self._data, self._result = bytes(NONCE_BYTES), data.data, result.data
        self._encrypt = encrypt

    def call(self) -> None:
        self._encrypt(self._nonce, self._data, None, self._result)


def open_baseline(_code: bytes, size_bytes: int) -> FlowCalls:
    """Make calls ready. Raises ImportError without the library."""
    return FlowCalls(size_bytes)
