"""The executor's books of handles: whom a wait for all streams tells of, and nouns that share a
number.
"""

from __future__ import annotations

import pytest

from gon.errors import Code
from gon.wire import ops
from gon.wire.batch import Batch, Reply, encode
from gon.wire.ops import AnyOp
from gon_server.devices.sim import SimDevice
from gon_server.executor import Executor


class Executed:
    """An executor, and the answers it gave by cookie."""

    def __init__(self) -> None:
        self._executor = Executor(SimDevice(), 1 << 20)
        self._number = 1

    def run(self, *some: AnyOp) -> dict[int, Reply]:
        replies = self._executor.run(Batch(self._number, list(some)))
        self._number += len(some)
        return {reply.reply: reply for reply in replies}


@pytest.fixture
def poisoned() -> Executed:
    """Buffers 1 and 2 and streams 3 and 4; buffer 1 is poisoned, and its failure told."""
    executed = Executed()
    made = executed.run(
        *(ops.Allocate(1, 64), ops.Allocate(2, 64), ops.CreateStream(3), ops.CreateStream(4)),
        *(ops.Fill(3, 1, 0, 5, b"ab"), ops.Sync(3, 1)),
    )
    assert made[1].failure is not None
    return executed


@pytest.mark.parametrize("op", [ops.Free(77), ops.CloseStream(0), ops.Unload(77)], ids=repr)
def test_a_failure_that_poisons_nothing_is_told_by_a_sync_of_all(op: AnyOp) -> None:
    executed = Executed()
    assert executed.run(op, ops.SyncAll(1))[1].failure is not None
    assert executed.run(ops.SyncAll(2))[2].failure is None


@pytest.mark.parametrize("op", [ops.Sync(77, 9), ops.SyncEvent(77, 9)], ids=repr)
def test_every_wait_is_answered(poisoned: Executed, op: AnyOp) -> None:
    failure = poisoned.run(op)[9].failure
    assert failure is not None
    assert failure.code == Code.BAD_HANDLE


def test_freeing_a_buffer_leaves_a_stream_of_the_same_number_alone(poisoned: Executed) -> None:
    poisoned.run(ops.CreateStream(2), ops.Free(2))
    # It went well, and something else is poisoned.
    assert poisoned.run(ops.Sync(2, 9)) == {9: Reply(9, encode(True))}
