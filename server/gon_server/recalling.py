"""What `Recall` and `Keep` do: contents that the host keeps go to the device, new ones to the host.

    Recall ──▶ Contents.find ──file──▶ read straight into the device's window
    Keep   ──▶ the device's window ──▶ Contents.offer

Rules: a content that the host does not give is no failure, and neither is one that it does not
take: the client then sends the bytes, or will send them the next time. Must not know: who keeps
contents and how, sessions, poison.
"""

from __future__ import annotations

import logging
import os
from typing import Protocol

from gon.device import HostDevice
from gon.errors import InvalidArgument
from gon.limits import CONTENT_BYTES_MAX, CONTENT_DIGEST_BYTES
from gon.model import Handle
from gon.wire import ops
from gon.wire.batch import Reply, encode
from gon.wire.ops import Outcome

_log = logging.getLogger("gond.worker")


class Contents(Protocol):
    """What is kept for the lease's tenant, by digest."""

    @property
    def key(self) -> bytes:
        """What digests are keyed with; empty where nothing is kept."""
        ...

    def find(self, digest: bytes, size_bytes: int) -> int | None:
        """Return a file of the content, which the caller closes, or None."""
        ...

    def offer(self, digest: bytes, content: memoryview) -> None:
        """Give a content to be kept, if it is the one with that digest and there is room."""
        ...


def recalled(op: ops.Recall) -> Reply:
    """Return the answer that the content is in its place."""
    return Reply(op.reply, encode(Outcome.THERE))


def recall_failed(op: ops.Recall) -> Reply:
    """Return the answer that the next wait tells why it is not."""
    return Reply(op.reply, encode(Outcome.FAILED))


class Recalling:
    """Runs the two ops on a device."""

    def __init__(self, device: HostDevice, contents: Contents | None) -> None:
        self._device = device
        self._contents = contents

    def run(self, op: ops.Recall | ops.Keep) -> Reply | None:
        """Run one op. Raises what the device raises."""
        if isinstance(op, ops.Recall):
            return Reply(op.reply, encode(self._recall(op)))
        self._keep(op)
        return None

    def _recall(self, op: ops.Recall) -> Outcome:
        """Put the content into its place if the host has it."""
        _check(op)
        fd = None if self._contents is None else self._contents.find(op.digest, op.size_bytes)
        if fd is None:
            return Outcome.UNKNOWN
        stream, buffer = Handle(op.stream), Handle(op.buffer)
        try:
            window = self._device.host_window(stream, buffer, op.offset, op.size_bytes, write=True)
            try:
                whole = _read_all(fd, window)
            finally:
                self._device.close_window(stream)
        finally:
            os.close(fd)
        return Outcome.THERE if whole else Outcome.UNKNOWN

    def _keep(self, op: ops.Keep) -> None:
        """Offer the range's content to the host."""
        _check(op)
        if self._contents is None:
            return
        stream, buffer = Handle(op.stream), Handle(op.buffer)
        window = self._device.host_window(stream, buffer, op.offset, op.size_bytes, write=False)
        try:
            self._contents.offer(op.digest, window)
        finally:
            self._device.close_window(stream)


def _check(op: ops.Recall | ops.Keep) -> None:
    if len(op.digest) != CONTENT_DIGEST_BYTES:
        raise InvalidArgument(
            f"a digest of {len(op.digest)} bytes; those of contents have {CONTENT_DIGEST_BYTES}"
        )
    if not 0 < op.size_bytes <= CONTENT_BYTES_MAX:
        raise InvalidArgument(f"a content of {op.size_bytes} bytes; 1 to {CONTENT_BYTES_MAX} go")


def _read_all(fd: int, target: memoryview) -> bool:
    """Read a file into `target`, without a copy of ours; return whether it had as many bytes."""
    done = 0
    try:
        while done < target.nbytes:
            count = os.preadv(fd, [target[done:]], done)
            if not count:
                _log.warning("a content of %d bytes has only %d", target.nbytes, done)
                return False
            done += count
    except OSError as error:
        _log.warning("a content cannot be read: %s", error)
        return False
    return True
