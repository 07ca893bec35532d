"""Copies from one device to another: by the devices themselves where they can, else through this
process.

Through the process they go in chunks, of which two are held: one comes from the source while the
one before it goes to the target. Each side is a read or a write as any other, in the order of its
stream; the call returns when the last chunk has been taken by the target.

Rules: ranges and streams have been checked. An error names the device that has it, or both where
they copy by themselves; what the target has taken by then stays.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gon.device import Peering, Pending
from gon.errors import GonError, error_of
from gon.limits import PEER_CHUNK_BYTES
from gon.model import Handle

if TYPE_CHECKING:
    from gon_client.buffer import Buffer


class Place(NamedTuple):
    """Where one end of a copy lies, and the stream it is ordered by."""

    buffer: Buffer
    offset: int
    stream: Handle


def copy_across(source: Place, target: Place, size: int) -> None:
    """Copy `size` bytes to another device.

    Raises what a read of the source and a write to the target raise, naming the device.
    """
    contract = target.buffer.device.contract
    if isinstance(contract, Peering):
        peer = source.buffer.device.contract
        to = target.stream, target.buffer.handle, target.offset
        of = source.stream, source.buffer.handle, source.offset
        with _named(f"from {source.buffer.device!r} to {target.buffer.device!r}"):
            if contract.copy_from_peer(*to, peer, *of, size):
                return
    _carry(source, target, size)


def _carry(source: Place, target: Place, size: int) -> None:
    read, write = source.buffer.device.contract.read, target.buffer.device.contract.write
    starts = range(0, size, PEER_CHUNK_BYTES)
    from_, to = f"from {source.buffer.device!r}", f"to {target.buffer.device!r}"
    chunks = [np.empty(min(size, PEER_CHUNK_BYTES), np.uint8).data for _ in starts[:2]]

    def ask(number: int) -> tuple[Pending, memoryview]:
        start = starts[number]
        chunk = chunks[number % 2][: size - start]
        return read(source.stream, source.buffer.handle, source.offset + start, chunk), chunk

    with _named(from_):
        pending, chunk = ask(0)
    for number, start in enumerate(starts):
        with _named(from_):
            pending.wait()
            here = chunk
            if number + 1 < len(starts):
                pending, chunk = ask(number + 1)
        with _named(to):
            write(target.stream, target.buffer.handle, target.offset + start, here)


@contextmanager
def _named(way: str) -> Generator[None]:
    """Let an error say whose it is."""
    try:
        yield
    except GonError as error:
        message = f"copying {way}: {error.message}"
        raise error_of(
            error.code,
            message,
            op=error.op,
            number=error.number,
            origin=error.origin,
            log=error.log,
        ) from error
