"""The conformance suite of the device contract: every sentence of gon.device as a check.

    for check in CHECKS:
        if check.applies_to(device_info):
            check.run(open_fresh_device())

or `check_device(open_fresh_device)` for all at once. A backend, and the client's remote device over
any link, is a device if all of them pass.

Rules: a check gets a device that nobody else has used, or one that is quiet and a `first_handle`
above all that were used; it leaves the device to its caller to close, and takes errors at the call
as well as at a later wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gon.device import Device
from gon.model import DeviceInfo
from gon.testing import (
    buffer_checks,
    graph_checks,
    image_checks,
    program_checks,
    stream_checks,
    timing_checks,
)
from gon.testing.device_trial import FIRST_HANDLE, CheckFailed, Trial
from gon.testing.kernels import MODULES


class Needs(Enum):
    """What a device must have for a check to mean anything."""

    NOTHING = "nothing"
    CONTENT = "buffers that hold what is written"
    KERNELS = "a format that the suite has kernels in"


@dataclass(frozen=True, slots=True)
class DeviceCheck:
    """One sentence of the contract; `name` is that sentence."""

    name: str
    needs: Needs
    steps: Callable[[Trial], None]

    def applies_to(self, info: DeviceInfo) -> bool:
        """Return whether a device that calls itself so can be held to it."""
        if self.needs is Needs.NOTHING:
            return True
        if self.needs is Needs.CONTENT:
            return info.kind != "null"
        return any(name in MODULES for name in info.formats)

    def run(self, device: Device, first_handle: int = FIRST_HANDLE) -> None:
        """Hold the device to it. Raises CheckFailed, or the error that should not have come."""
        self.steps(Trial(device, first_handle))


def _checks() -> Iterator[DeviceCheck]:
    groups = (
        (Needs.NOTHING, buffer_checks.ALWAYS),
        (Needs.NOTHING, stream_checks.ALWAYS),
        (Needs.NOTHING, program_checks.ALWAYS),
        (Needs.NOTHING, graph_checks.ALWAYS),
        (Needs.CONTENT, buffer_checks.WITH_CONTENT),
        (Needs.KERNELS, stream_checks.WITH_KERNELS),
        (Needs.KERNELS, program_checks.WITH_KERNELS),
        (Needs.CONTENT, image_checks.WITH_CONTENT),
        (Needs.CONTENT, graph_checks.WITH_CONTENT),
        (Needs.KERNELS, graph_checks.WITH_KERNELS),
        (Needs.KERNELS, timing_checks.WITH_KERNELS),
    )
    for needs, group in groups:
        for steps in group:
            yield DeviceCheck(steps.__name__, needs, steps)


CHECKS: Final[tuple[DeviceCheck, ...]] = tuple(_checks())


def check_device(open_fresh: Callable[[], Device]) -> None:
    """Run every check that applies, each on a device of its own.

    Raises CheckFailed naming the first that fails.
    """
    for check in CHECKS:
        device = open_fresh()
        try:
            if check.applies_to(device.info):
                check.run(device)
        # Whatever it is, it breaks the sentence of the contract that the check is named after.
        except Exception as error:
            raise CheckFailed(f"{check.name}: {error}") from error
        finally:
            device.close()
