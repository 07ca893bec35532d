"""An executor that is given a program's ops as they would arrive: one batch each, with looks at
what is held between them.
"""

from __future__ import annotations

import random

from gon.device import HostDevice
from gon.errors import GonError
from gon.limits import INLINE_BYTES_MAX
from gon.wire import ops
from gon.wire.batch import Batch, Failure, Reply
from gon.wire.ops import AnyOp
from gon_server.executor import Executor
from gon_server.lease_modules import BuildsAhead
from tests.sim.players import Failed, Outcome, Outcomes
from tests.sim.programs import QUOTA_BYTES, Step, Tick, WaitFor


class Arriving:
    """One lease, and what its answers bring by their cookies."""

    def __init__(self, executor: Executor, seed: int) -> None:
        self._executor = executor
        self._holding = executor.holding
        self._holding.begin_large = self._large
        self._chance = random.Random(seed)
        self._reads: set[int] = set()
        self.outcomes: Outcomes = {}

    def state(self) -> object:
        """Return what there is in the end, what is poisoned and by what, and what nobody told."""
        failures, quota = self._executor._failures, self._executor.quota
        poison = {key: failure.number for key, failure in failures.poison.items()}
        return failures.live, poison, {*failures._unreported}, quota.sizes, repr(quota)

    def play(self, program: list[Step]) -> None:
        number = 0
        for op in program:
            if isinstance(op, WaitFor):
                self._wait(op.reply)
            elif not isinstance(op, Tick):
                number += 1
                self._give(op, number)
                for _ in range(self._chance.choice((0, 0, 0, 1, 5))):
                    self._look()
        while self._holding.held or len(self._holding.line):
            self._look()
        self._look()

    def _wait(self, reply: int) -> None:
        while reply not in self.outcomes:
            assert self._holding.held or self._holding.late, f"nothing answers {reply}"
            self._look()

    def _look(self) -> None:
        self._holding.look()
        self._take(self._holding.take_late())

    def _give(self, op: AnyOp, number: int) -> None:
        if isinstance(op, ops.Write) and op.size_bytes > INLINE_BYTES_MAX:
            self._upload(op, number)
            return
        if isinstance(op, ops.Read):
            self._reads.add(op.reply)
        replies = self._executor.run(Batch(number, [op]))
        for reply in replies:
            if reply.size_bytes:
                assert isinstance(op, ops.Read), "nothing else is answered by payloads"
                self._large(op, number)
        self._take(replies)

    def _upload(self, op: ops.Write, number: int) -> None:
        assert op.data is not None, "programs have the bytes"
        bare = ops.Write(op.stream, op.buffer, op.offset, op.size_bytes, None)
        if self._holding.takes(bare):
            self._holding.take(bare, number, op.data)
        else:
            self._executor.take_upload(bare, number, op.data)

    def _large(self, op: ops.Read, number: int) -> None:
        """As its bytes would go at once."""
        outcome: Outcome
        try:
            outcome = bytes(self._executor.begin_read(op, 0, op.size_bytes))
        except GonError as error:
            failure = Failure.of(error, "Read", number)
            outcome = Failed(failure.code, failure.op, failure.number)
        else:
            self._executor.end_window()
        assert op.reply not in self.outcomes, "an answer comes once"
        self.outcomes[op.reply] = outcome

    def _take(self, replies: list[Reply]) -> None:
        for reply in replies:
            if reply.size_bytes:
                continue
            assert reply.reply not in self.outcomes, "an answer comes once"
            outcome: Outcome = b""
            if reply.failure is not None:
                failure = reply.failure
                outcome = Failed(failure.code, failure.op, failure.number)
            elif reply.reply in self._reads:  # what others carry is of their time
                outcome = reply.data or b""
            self.outcomes[reply.reply] = outcome


def arrive(
    program: list[Step],
    device: HostDevice,
    seed: int,
    program_bytes: int,
    ahead: BuildsAhead | None = None,
) -> Arriving:
    """Give a program to an executor; return what has become of both."""
    executor = Executor(device, QUOTA_BYTES, program_bytes=program_bytes, ahead=ahead)
    arriving = Arriving(executor, seed)
    arriving.play(program)
    return arriving
