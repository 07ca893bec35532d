"""Flows of one stage that its library does in one call, from the data's place to the result's.

What such a flow costs is then what the library does: pulling a few bytes through a stage takes
several times as long as encrypting them. Where data and result lie is bound once; a call has its
key and its nonce.

Rules: what comes out is what gon_server.engines.dpu.running gives, to the byte. Whatever is wrong
with the sizes is left to that, which says so.
"""

from __future__ import annotations

from typing import Final

from gon.flow import TAG_BYTES, Decrypt, Encrypt, Flow
from gon.flow_limits import FLOW_DATA_BYTES_MAX
from gon.flow_shape import arguments
from gon_server.engines.dpu.aes_gcm import Whole, decrypting_whole, encrypting_whole
from gon_server.engines.dpu.running import Outputs

# What the library takes at once.
_WHOLE_BYTES_MAX: Final = min(FLOW_DATA_BYTES_MAX, (1 << 31) - 1 - TAG_BYTES)


def whole_run(flow: Flow, data: memoryview, outputs: Outputs) -> Whole | None:
    """Return what runs a flow on these bytes; None for a flow, or sizes, that are not for this."""
    stage = flow.stages[0]
    if len(flow.stages) != 1 or data.nbytes > _WHOLE_BYTES_MAX:
        return None
    names = [argument.name for argument in arguments(flow)]
    match stage:
        case Encrypt(key=key, nonce=nonce):
            size = data.nbytes + TAG_BYTES
            make = encrypting_whole
        case Decrypt(key=key, nonce=nonce):
            size = data.nbytes - TAG_BYTES
            make = decrypting_whole
        case _:
            return None
    if not 0 <= size <= outputs.result.nbytes:
        return None
    target = outputs.result[:size]
    return make(data, target, outputs.lengths, names.index(key), names.index(nonce))
