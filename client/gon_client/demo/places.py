"""Where the demo runs: units of a gond over each kind of link, and a device in this process.

Rules: a gond that the demo starts ends with it; one that it was pointed at is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import gon
from gon_client.bench.private import private_host

DIRECT = "direct"
LINKS = ("tcp", "unix", "zmq")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """A device and the name of the way to it."""

    where: str
    device: gon.Device

    @property
    def is_remote(self) -> bool:
        return self.where != DIRECT


@contextmanager
def open_places(host: str, links: Sequence[str], say: Say) -> Generator[tuple[Place, ...]]:
    """Open a device in this process and a lease of a unit for each link.

    `host` is the address of a running gond, "" to start one; no `links` means all that a gond of
    the demo's own has, or the address' own link. A client of a host elsewhere need not have a
    device of its own. Raises Unsupported, HostUnreachable, LeaseRefused.
    """
    with ExitStack() as stack:
        places: list[Place] = []
        try:
            places.append(Place(DIRECT, stack.enter_context(gon.local())))
        except gon.Unsupported as error:
            if not host:
                raise
            say(f"nothing to compare with in this process: {error.message}")
        if host:
            reached = stack.enter_context(gon.connect(host))
            own_link = "unix" if urlsplit(reached.address).scheme == "unix" else "tcp"
            ways = [(link, reached) for link in links or (own_link,)]
        else:
            say("starting gond in a process of its own …")
            own = stack.enter_context(private_host(()))
            say(f"gond is ready, process {own.pid}, at {own.tcp} and {own.unix}")
            tcp, unix = (stack.enter_context(gon.connect(uri)) for uri in (own.tcp, own.unix))
            ways = [(link, unix if link == "unix" else tcp) for link in links or LINKS]
        for link, reached in ways:
            device = stack.enter_context(reached.acquire(link=link))
            say(f"leased {device!r}")
            places.append(Place(link, device))
        yield tuple(places)
