"""Flows of one stage that its library does in one call, from the data's place to the result's.

What such a flow costs is then what the library does: pulling a few bytes through a stage takes
several times as long as encrypting them.

Rules: what comes out is what gon_server.engines.dpu.running gives, to the byte. Whatever is wrong
with the sizes is left to that, which says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gon.errors import IntegrityError
from gon.flow import TAG_BYTES, Decrypt, Encrypt, Flow
from gon.flow_limits import FLOW_DATA_BYTES_MAX
from gon_server.engines.dpu.aes_gcm import decrypt_whole, encrypt_whole
from gon_server.engines.dpu.running import Outputs

# What the library takes at once.
_WHOLE_BYTES_MAX: Final = min(FLOW_DATA_BYTES_MAX, (1 << 31) - 1 - TAG_BYTES)


def run_whole(flow: Flow, data: memoryview, values: Mapping[str, bytes], outputs: Outputs) -> bool:
    """Run a flow; return False if nothing was done, for it is none of these. Raises IntegrityError
    and leaves nothing of what was decrypted, if the data is not what its tag says.
    """
    stage = flow.stages[0]
    if len(flow.stages) != 1 or data.nbytes > _WHOLE_BYTES_MAX:
        return False
    match stage:
        case Encrypt(key=key, nonce=nonce):
            size = data.nbytes + TAG_BYTES
            if outputs.result.nbytes < size:
                return False
            encrypt_whole(data, outputs.result[:size], values[key], values[nonce])
        case Decrypt(key=key, nonce=nonce):
            size = data.nbytes - TAG_BYTES
            if not 0 <= size <= outputs.result.nbytes:
                return False
            target = outputs.result[:size]
            try:
                decrypt_whole(data, target, values[key], values[nonce])
            except IntegrityError:
                target[:] = bytes(size)
                outputs.lengths[0] = 0
                raise
        case _:
            return False
    outputs.lengths[0] = size
    return True
