"""Who runs a lease's ops, for who decides when (gon_server.holding): the executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gon.device import Pending
from gon.wire import ops
from gon.wire.batch import Failure, Reply
from gon.wire.ops import AnyOp
from gon_server.footprint import Key
from gon_server.line import Payload


class Runs(Protocol):
    """Who runs ops, and has the book of what failed."""

    @property
    def poison(self) -> Mapping[Key, Failure]: ...

    def run_op(self, op: AnyOp, number: int) -> Reply | None:
        """Run an op, or skip it; return its answer."""
        ...

    def fail(self, op: AnyOp, failure: Failure) -> Reply | None:
        """Let an op have failed; return its answer."""
        ...

    def build_ahead(self, op: ops.Load) -> Pending | None:
        """Have a program built; return what a load of it waits for, None if for nothing."""
        ...

    def skips(self, op: AnyOp) -> bool:
        """Return whether an op is to be skipped."""
        ...

    def report_all(self, before: int) -> Failure | None:
        """Return the first failure of ops before this number that no wait has told; all of them
        count as told.
        """
        ...

    def take_upload(self, op: ops.Write | ops.WritePart, number: int, data: Payload) -> None:
        """Run an upload whose bytes are here."""
        ...
