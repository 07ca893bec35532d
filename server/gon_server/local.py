"""A device of this host in this process, for `gon.local()`; the client finds it by entry point."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gon.clock import SYSTEM_CLOCK
from gon.device import HostDevice
from gon.errors import InvalidArgument
from gon.personalities import PERSONALITIES
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf
from gon_server.worker import open_backend

DEFAULT_DEVICE = "opencl:"


def open_local(device: str, personalities: Sequence[str] = ()) -> HostDevice:
    """Open `device` ("backend:address"), "" for the default software-defined unit, as a unit that
    may be each of `personalities`, the first one now; none is a gpu and nothing else.

    Raises InvalidArgument for a personality that there is not.
    """
    known = {each.name: each for each in PERSONALITIES}
    for name in personalities:
        if name not in known:
            raise InvalidArgument(f"personality {name!r}; there are {', '.join(known)}")
    backend = open_backend(device or DEFAULT_DEVICE)
    if not personalities:
        return backend
    shelf = Shelf(Share(threads=len(os.sched_getaffinity(0))))
    return ElasticUnit(backend, shelf, [known[name] for name in personalities], SYSTEM_CLOCK)
