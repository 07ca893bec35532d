"""A read of the device contract that a test has come, or fail, when it is waited for."""

from __future__ import annotations

from gon.errors import DeviceError


class Read:
    """A read on its way, until it is waited for; `fails` says that it has failed then, for the op
    of that number.
    """

    def __init__(self, *, fails: bool = False, number: int = 0) -> None:
        self.fails, self.number = fails, number
        self.here = False

    def done(self) -> bool:
        return self.here

    def wait(self, timeout_s: float | None = None) -> None:
        assert timeout_s is None
        self.here = True
        if self.fails:
            raise DeviceError("it failed", number=self.number)
