"""A device that writes down what it is asked for: by that simulated conversations are judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from gon.device import HostDevice
from gon.errors import GonError
from gon.limits import INLINE_BYTES_MAX
from gon_server.devices.sim import SimDevice

# Pieces of large transfers.
PIECE_BYTES = 33_000


class Witness:
    """A simulator that writes down what it is asked for."""

    def __init__(self, seed: int) -> None:
        self._device = SimDevice(seed)
        self._log: list[tuple[object, ...]] = []

    @property
    def device(self) -> HostDevice:
        return cast(HostDevice, self)

    @property
    def log(self) -> list[tuple[object, ...]]:
        """What was asked for, in order, large transfers in pieces.

        A piece of an upload that breaks off is begun again, and takes effect once: its beginnings
        are one. Pieces of reads that a broken link has lost are read again, between no other calls.
        """
        told: list[tuple[object, ...]] = []
        reads: set[tuple[object, ...]] = set()
        for whole in self._log:
            for entry in _pieces(whole):
                if entry[0] != "read":
                    reads.clear()
                if entry in reads or (entry[0] == "upload" and told[-1:] == [entry]):
                    continue
                told.append(entry)
                if entry[0] == "read":
                    reads.add(entry)
        return told

    def __getattr__(self, name: str) -> object:
        found = getattr(self._device, name)
        if not callable(found) or name in ("written_by", "close_window", "close"):
            return found
        call: Callable[..., object] = found

        def asked(*args: object, **named: object) -> object:
            entry = _entry(name, args, named)
            self._log.append(entry)
            try:
                return call(*args, **named)
            except GonError:
                if entry[0] == "read":
                    # How much of it was asked for at once, a busy machine decides.
                    self._log[-1] = ("failing read", *entry[1:3])
                raise

        return asked


def _entry(name: str, args: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
    """Return how a call is written down: a window is the transfer it is opened for."""
    if name == "host_window":
        return ("upload" if named["write"] else "read", *args)
    if name in ("write", "read"):
        size = cast(memoryview, args[3]).nbytes
        large = name == "write" and size > INLINE_BYTES_MAX
        return ("upload" if large else name, *args[:3], size)
    return (name, *args)


def _pieces(entry: tuple[object, ...]) -> list[tuple[object, ...]]:
    """Return a transfer as its pieces, whoever asked for it."""
    if entry[0] not in ("upload", "read"):
        return [entry]
    name, stream, buffer, offset, size = entry
    assert isinstance(offset, int)
    assert isinstance(size, int)
    return [
        (name, stream, buffer, offset + at, min(PIECE_BYTES, size - at))
        for at in range(0, size, PIECE_BYTES)
    ]
