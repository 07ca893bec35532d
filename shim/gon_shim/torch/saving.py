"""`torch.save` and `torch.load`: a storage is saved as its bytes, and loaded onto the device again,
or onto the one that `map_location` names.
"""

from __future__ import annotations

import torch

from gon_shim.torch import edge
from gon_shim.torch.storage import DeviceStorage, new_storage

# Before PyTorch's own, which would ask the device for memory that it can look into.
_PRIORITY = 9


def register() -> None:
    torch.serialization.register_package(_PRIORITY, _tag, _load)


def _tag(storage: torch.UntypedStorage) -> str | None:
    return f"{edge.NAME}:0" if isinstance(storage, DeviceStorage) else None


def _load(storage: torch.UntypedStorage, location: str) -> DeviceStorage | None:
    if location.partition(":")[0] != edge.NAME:
        return None
    made = new_storage(storage.nbytes())
    seen = torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload]
    made.octets = seen.numpy().copy()
    return made
