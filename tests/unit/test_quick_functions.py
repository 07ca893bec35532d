"""Functions of engines by the worker's quick way: what is known of the launch before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from gon.errors import Code
from gon.model import Handle, LaunchArg, Program
from gon.native import NATIVE
from gon.wire import ops
from gon.wire.batch import Batch, Reply, encode
from gon.wire.ops import AnyOp
from gon.wire.session import Role, Session
from gon_server.devices import opencl
from gon_server.devices.opencl_runtime import select
from gon_server.executor import Executor
from tests.unit.adders import AGAIN, FORMAT, KERNEL, MODULE, ONE, SIZE, A, Adder, B, N, Y, unit_of

if TYPE_CHECKING or NATIVE:
    from gon.wire._repeats import Unfolds
    from gon_server._express import Express

pytestmark = pytest.mark.skipif(not NATIVE, reason="the native modules are not built")


class Quick:
    """A unit behind a worker's quick way: an executor's ops as a client codes them."""

    def __init__(self, code: bytes, *, shares: bool = True) -> None:
        """Without `shares` the device's buffers are not the host's memory."""
        self.engine = Adder()
        base = opencl.OpenClDevice(select(""), "", may_share=shares)
        self.unit = unit_of(base, self.engine)
        executor = Executor(self.unit, 1 << 20)
        session = Session(Role.WORKER, frames_max=1, bytes_max=1)
        port = self.unit.port
        assert port is not None
        self._express = cast("Callable[..., Express]", Express)(
            None, executor, session, Unfolds(), port
        )
        self._first = 1
        self.do(
            *(ops.Allocate(buffer, SIZE) for buffer in (A, B, Y)),
            ops.Load(MODULE, Program(code, FORMAT), 1),
            ops.GetKernel(KERNEL, MODULE, "sum"),
            ops.Fill(0, A, 0, SIZE, b"\1"),
            ops.Fill(0, B, 0, SIZE, b"\2"),
        )

    def do(self, *some: AnyOp) -> list[Reply]:
        body = encode(Batch(self._first, list(some)))
        self._first += len(some)
        replies = self._express.run(memoryview(body))
        assert replies is not None
        return replies

    def sums(self, *args: LaunchArg) -> set[int] | Code:
        """Return what is in Y after a launch, or how the launch failed."""
        launch = ops.Launch(0, KERNEL, ONE, ONE, 0, args)
        synced, read = self.do(launch, ops.Sync(0, 1), ops.Read(0, Y, 0, SIZE, 2))
        if synced.failure is not None:
            return Code(synced.failure.code)
        return set(cast(bytes, read.data))


@pytest.mark.parametrize("shares", [True, False])
def test_a_launch_like_the_last_one_is_the_same_launch(shares: bool) -> None:
    quick = Quick(b"plain", shares=shares)
    assert quick.sums(A, B, Y, N) == quick.sums(A, B, Y, N) == {3}
    quick.do(ops.Fill(0, A, 0, SIZE, b"\5"))
    assert quick.sums(A, B, Y, N) == {7}
    assert quick.sums(B, B, Y, N) == {4}
    assert quick.sums(A, B, Y, N) == {7}
    assert len(quick.engine.bound) == 2
    quick.unit.close()
    keyed = Quick(b"keyed", shares=shares)
    for key in (1, 1, 2, 1):
        assert keyed.sums(A, B, Y, bytes([key, 0, 0, 0]), N) == {3 + key}
    # A key of another size is none, and what comes behind it is not taken for it.
    for wrong in ((bytes(3), N), (bytes(5), N), (N, N), (N, bytes(4)), (bytes(4), bytes(4))):
        assert keyed.sums(A, B, Y, *wrong) is Code.KERNEL_ARGUMENT
        keyed.do(ops.Fill(0, Y, 0, SIZE, b"\0"))
    assert keyed.sums(B, B, Y, bytes([0, 0, 0, 9]), N) == {13}
    assert keyed.sums(A, B, Y, bytes([9, 0, 0, 0]), N) == {12}
    assert len(keyed.engine.bound) == 2
    keyed.unit.close()


@pytest.mark.parametrize("shares", [True, False])
def test_a_launch_like_the_last_one_finds_nothing_that_has_gone(shares: bool) -> None:
    """Neither a buffer, whose memory is another one's by now, nor the function."""
    quick = Quick(b"plain", shares=shares)
    # Bound by the first, known as it is coded from the second on.
    assert quick.sums(A, B, Y, N) == quick.sums(A, B, Y, N) == {3}
    quick.do(ops.Free(B), ops.Allocate(AGAIN, SIZE))
    assert quick.sums(A, B, Y, N) is Code.BAD_HANDLE
    quick.do(ops.Free(Y), ops.Allocate(Y, SIZE))
    assert quick.sums(A, AGAIN, Y, N) == quick.sums(A, AGAIN, Y, N) == {1}
    quick.do(ops.CloseKernel(KERNEL))
    assert quick.sums(A, AGAIN, Y, N) is Code.BAD_HANDLE
    quick.do(ops.Free(Y), ops.Allocate(Y, SIZE), ops.GetKernel(KERNEL, MODULE, "sum"))
    assert quick.sums(A, AGAIN, Y, N) == quick.sums(A, AGAIN, Y, N) == {1}
    quick.do(ops.Reconfigure("other", False, 3))
    assert quick.sums(A, AGAIN, Y, N) is Code.UNSUPPORTED
    quick.unit.close()


@pytest.mark.parametrize("shares", [True, False])
def test_a_buffer_that_is_made_again_is_a_new_one(shares: bool) -> None:
    """By its handle, at once: zeros, with nothing poisoned, and bound as the one before it was."""
    quick = Quick(b"plain", shares=shares)
    again = (ops.Free(Y), ops.Allocate(Y, SIZE))
    launch = ops.Launch(0, KERNEL, ONE, ONE, 0, (A, B, Y, N))
    for _ in range(3):
        before, after = quick.do(
            *again, ops.Read(0, Y, 0, SIZE, 1), launch, ops.Read(0, Y, 0, SIZE, 2)
        )
        assert (before.data, after.data) == (bytes(SIZE), bytes([3]) * SIZE)
    assert len(quick.engine.bound) == (1 if shares else 3)
    assert quick.sums(A, B, Y, bytes(3)) is Code.KERNEL_ARGUMENT
    quick.do(*again)
    assert quick.sums(A, B, Y, N) == {3}
    # Of another size it is another one, and the quota knows.
    quick.do(ops.Free(Y), ops.Allocate(Y, SIZE // 2))
    assert quick.sums(A, B, Y, N) is Code.INVALID_ARGUMENT
    free = (1 << 20) - 2 * SIZE
    (failed,) = quick.do(ops.Free(Y), ops.Allocate(Y, free + 1), ops.SyncAll(1))
    assert failed.failure is not None
    assert Code(failed.failure.code) is Code.OUT_OF_MEMORY
    (made,) = quick.do(ops.Free(Y), ops.Allocate(Y, free), ops.SyncAll(1))
    assert made.failure is None
    quick.unit.close()


def test_memory_that_queued_work_has_is_not_made_again() -> None:
    quick = Quick(b"plain")
    source = "__kernel void add(__global uchar *x) { x[get_global_id(0)] += 1; }"
    quick.do(
        ops.Load(Handle(20), Program(source.encode(), "opencl-c"), 1),
        ops.GetKernel(Handle(21), Handle(20), "add"),
    )
    memory = quick.unit.memory_of(Y)
    launch = ops.Launch(0, Handle(21), (SIZE, 1, 1), ONE, 0, (Y,))
    replies = quick.do(launch, ops.Free(Y), ops.Allocate(Y, SIZE), ops.Read(0, Y, 0, SIZE, 1))
    assert replies[-1].data == bytes(SIZE)
    assert quick.unit.memory_of(Y) is not memory
    quick.unit.close()
