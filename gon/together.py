"""Several answers as one: reads that are one command, the streams of a device.

Must not know: who answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from gon.device import Pending
from gon.errors import GonError, WaitTimeout


class Together:
    """The Pending of several."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Pending]) -> None:
        self._parts = parts

    def done(self) -> bool:
        return all(part.done() for part in self._parts)

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for all, for at most `timeout_s` each. Raises the first error, once all are over."""
        failed: GonError | None = None
        for part in self._parts:
            try:
                part.wait(timeout_s)
            except WaitTimeout:
                raise
            except GonError as error:
                failed = failed or error
        if failed is not None:
            raise failed
