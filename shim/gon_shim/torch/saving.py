"""`torch.save` and `torch.load`: a storage is saved as its bytes, and loaded onto the device again,
or onto the one that `map_location` names.
"""

from __future__ import annotations

import torch
from torch.serialization import STORAGE

from gon_shim.torch import edge
from gon_shim.torch.storage import content_of, new_storage

# Before PyTorch's own, which would ask the device for memory that it can look into.
_PRIORITY = 9


def register() -> None:
    torch.serialization.register_package(_PRIORITY, _tag, _load)


def _tag(storage: STORAGE) -> str | None:
    if not isinstance(storage, torch.UntypedStorage):
        return None
    return f"{edge.NAME}:0" if edge.attached(storage) is not None else None


def _load(storage: STORAGE, location: str) -> torch.UntypedStorage | None:
    is_ours = location.partition(":")[0] == edge.NAME
    if not is_ours or not isinstance(storage, torch.UntypedStorage):
        return None
    made = new_storage(storage.nbytes())
    seen = torch.empty(0, dtype=torch.uint8).set_(storage)
    content_of(made).octets = seen.numpy().copy()
    return made
