"""What makes storages: a device's runner (gon_client.xp.runner), or who notes what is asked of it
(gon_client.xp.recorder).

Rules: functions of arrays ask the maker of their operands, and know no more of it than this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gon.array_ops import AnyOperation
from gon.array_rules import Dtype, Shape, Spec, result_of
from gon_client.buffer import HostArray
from gon_client.xp.draft import Target
from gon_client.xp.storage import Operand, Storage

if TYPE_CHECKING:
    from gon_client.device import Device


class Maker(ABC):
    """What storages are made by, and belong to."""

    device: Device

    def make(self, operation: AnyOperation, operands: Sequence[Operand]) -> tuple[Storage, Shape]:
        """Return what an operation will give. Raises InvalidArgument, LimitExceeded."""
        spec = result_of(operation, [Spec(value.dtype, view.shape) for value, view in operands])
        return self.made(operation, operands, spec), spec.shape

    @abstractmethod
    def made(self, operation: AnyOperation, operands: Sequence[Operand], spec: Spec) -> Storage:
        """Return what an operation will give, which is known to be that."""

    @abstractmethod
    def zeros(self, dtype: Dtype, size: int) -> Storage:
        """Return elements that are zero."""

    @abstractmethod
    def evaluate(self, wanted: Sequence[Storage]) -> None:
        """Queue what makes these storages."""

    @abstractmethod
    def write(self, target: Target) -> None:
        """Queue what writes a target, whose source is there. Raises what making that raised."""

    @abstractmethod
    def fetch(self, storage: Storage, begin: int, extent: int) -> HostArray:
        """Return elements that are there, or posted, waiting for them. Raises what making them
        raised.
        """

    @abstractmethod
    def settle(self) -> None:
        """Wait for what was posted and may fail, and note what has."""
