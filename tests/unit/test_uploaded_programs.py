"""Programs that are uploaded before they are loaded: how they travel, and what they count."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from gon.clock import SYSTEM_CLOCK
from gon.errors import CompileError, InvalidArgument, OutOfMemory
from gon.limits import KIB, MIB, PIECE_BYTES_MAX, SOURCE_BYTES_MAX
from gon.model import DEFAULT_STREAM, Handle, Program
from gon.personalities import PERSONALITIES
from gon.program_limits import TEXT_BYTES_MAX, most_uploaded
from gon.wire import ops
from gon.wire.batch import Batch
from gon.wire.ops import AnyOp
from gon_client.remote import RemoteDevice
from gon_server.devices import sim
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf
from gon_server.executor import Executor
from tests.fake_engine import FakeEngine
from tests.inproc_worker import InprocWorker, open_session

MODULE, KERNEL, BUFFER, STREAM = Handle(10), Handle(11), Handle(1), Handle(2)
QUOTA_BYTES = 24 * MIB
PROGRAM_BYTES = 10 * MIB
# Of functions "plus" and "fails": what the engine makes of a program that is mostly blanks.
TAKES_BYTES = 2000


def elastic() -> ElasticUnit:
    shelf = Shelf(Share(1))
    shelf.put(FakeEngine("onnx", element="float32"))
    named = {each.name: each for each in PERSONALITIES}
    return ElasticUnit(sim.open_device(""), shelf, (named["vpu"], named["gpu"]), SYSTEM_CLOCK)


def program(size_bytes: int, text: bytes = b"plus fails") -> Program:
    return Program(text.ljust(size_bytes), "onnx")


@contextmanager
def far_unit(
    heard: Callable[[AnyOp], None], *, program_bytes: int = PROGRAM_BYTES
) -> Generator[RemoteDevice]:
    """Give a unit from afar whose worker tells each op that it runs."""
    unit = elastic()
    worker = InprocWorker(unit, memory_bytes=QUOTA_BYTES, program_bytes=program_bytes)
    executor = worker.conversation._executor
    run, begin_write = executor.holding.run, executor.begin_write

    def telling(op: AnyOp, number: int) -> object:
        heard(op)
        return run(op, number)

    def telling_write(op: ops.Write | ops.WritePart, number: int) -> object:
        heard(op)
        return begin_write(op, number)

    executor.holding.run = telling  # type: ignore[method-assign, assignment]
    executor.begin_write = telling_write  # type: ignore[method-assign, assignment]
    far = RemoteDevice(open_session(worker))
    try:
        yield far
    finally:
        far.close()
        worker.close()
        unit.close()


def test_it_travels_in_pieces_and_leaves_nothing_behind() -> None:
    """As any large transfer does, so what other threads send goes between two pieces."""
    seen: list[AnyOp] = []
    with far_unit(seen.append) as far:
        info = far.load(MODULE, program(9 * MIB))
        assert [kernel.name for kernel in info.kernels] == ["plus", "fails"]
        far.sync_all().wait()
    parts = [op for op in seen if isinstance(op, ops.WritePart)]
    assert sum(part.size_bytes for part in parts) == 9 * MIB
    assert max(part.size_bytes for part in parts) <= PIECE_BYTES_MAX
    others = [type(op).__name__ for op in seen if not isinstance(op, ops.WritePart)]
    assert others == [
        "CreateStream", "Allocate", "Read", "LoadUploaded", "Free", "CloseStream", "SyncAll",
    ]  # fmt: skip


def test_what_there_is_no_room_for_is_not_sent() -> None:
    seen: list[AnyOp] = []
    with far_unit(seen.append) as far:
        far.allocate(BUFFER, QUOTA_BYTES - MIB)
        with pytest.raises(OutOfMemory):
            far.load(MODULE, program(3 * MIB))
        # What an earlier failure would still hold back.
        far.free(BUFFER)
        far.load(MODULE, program(3 * MIB))
    assert sum(isinstance(op, ops.LoadUploaded) for op in seen) == 1


@pytest.mark.parametrize("program_bytes", [0, PROGRAM_BYTES], ids=["older", "limit"])
def test_what_is_too_large_is_refused_before_anything_is_sent(program_bytes: int) -> None:
    seen: list[AnyOp] = []
    most = max(program_bytes, SOURCE_BYTES_MAX)
    with far_unit(seen.append, program_bytes=program_bytes) as far:
        with pytest.raises(InvalidArgument, match=f"at most {most} are allowed"):
            far.load(MODULE, program(most + 1))
        for code_format, bytes_max in (("cuda-c", SOURCE_BYTES_MAX), ("opencl-c", most)):
            with pytest.raises(InvalidArgument, match=f"at most {bytes_max} are allowed"):
                far.load(MODULE, Program(bytes(bytes_max + 1), code_format))
        far.load(MODULE, program(most if program_bytes else 10))
    assert not program_bytes or any(isinstance(op, ops.LoadUploaded) for op in seen)


def test_a_program_that_is_none_is_told_and_its_upload_is_gone() -> None:
    with far_unit(lambda _op: None) as far:
        for _ in range(4):
            with pytest.raises(CompileError, match="empty"):
                far.load(MODULE, program(9 * MIB, b""))
        far.load(MODULE, program(9 * MIB))


def test_a_text_has_a_bound_of_its_own() -> None:
    for host_takes in (0, PROGRAM_BYTES, TEXT_BYTES_MAX, 2 * TEXT_BYTES_MAX):
        assert most_uploaded("onnx", host_takes) == host_takes
        assert most_uploaded("opencl-c", host_takes) == min(host_takes, TEXT_BYTES_MAX)
        assert most_uploaded("cuda-c", host_takes) == 0


# Behind the executor ------------------------------------------------------------------------------
class Bench:
    """An executor with a stream and a buffer of 4 KiB that holds a program."""

    def __init__(self, memory_bytes: int = 16 * KIB) -> None:
        self.unit = elastic()
        self.executor = Executor(self.unit, memory_bytes, program_bytes=4 * KIB)
        self.count = 0
        text = b"plus fails".ljust(4 * KIB)
        self.run(ops.CreateStream(STREAM), ops.Allocate(BUFFER, 4 * KIB))
        self.run(ops.Write(STREAM, BUFFER, 0, len(text), text))

    def run(self, *some: AnyOp) -> str:
        """Run ops; return what the last answer failed with."""
        replies = self.executor.run(Batch(self.count + 1, list(some)))
        self.count += len(some)
        failure = replies[-1].failure if replies else None
        return "" if failure is None else failure.message

    def load(self, size_bytes: int = 4 * KIB, code: bytes = b"", buffer: int = BUFFER) -> str:
        given = Program(code, "onnx")
        return self.run(ops.LoadUploaded(MODULE, given, STREAM, buffer, size_bytes, 9))

    @property
    def used_bytes(self) -> int:
        return self.executor.quota._used_bytes


def test_a_program_counts_as_long_as_anything_of_it_is_there() -> None:
    bench = Bench()
    assert bench.load() == ""
    bench.run(ops.GetKernel(KERNEL, MODULE, "plus"), ops.Free(BUFFER))
    assert bench.used_bytes == TAKES_BYTES
    bench.run(ops.Unload(MODULE))
    assert bench.used_bytes == TAKES_BYTES
    bench.run(ops.CloseKernel(KERNEL))
    assert bench.used_bytes == 0


def test_a_change_that_unloads_programs_gives_back_what_they_count() -> None:
    bench = Bench()
    assert bench.load() == ""
    bench.run(ops.GetKernel(KERNEL, MODULE, "plus"), ops.Free(BUFFER))
    assert bench.run(ops.Reconfigure("gpu", keep=True, reply=3)) == ""
    assert bench.used_bytes == TAKES_BYTES
    assert bench.run(ops.Reconfigure("vpu", keep=False, reply=3)) == ""
    assert bench.used_bytes == 0
    bench.run(ops.Unload(MODULE), ops.CloseKernel(KERNEL))
    assert bench.used_bytes == 0
    assert bench.run(ops.Load(MODULE, program(10), 3)) == ""
    assert bench.used_bytes == TAKES_BYTES


def test_what_is_wrong_is_the_answer() -> None:
    bench = Bench()
    assert "has code besides" in bench.load(code=b"plus")
    assert f"this host takes {4 * KIB}" in bench.load(size_bytes=4 * KIB + 1)
    assert "buffer 99" in bench.load(buffer=99)
    assert bench.load(size_bytes=0) != ""
    full = Bench(7 * KIB)
    assert "the program takes 4096 bytes" in full.load()
    assert full.used_bytes == 4 * KIB
    assert full.run(ops.GetKernel(KERNEL, MODULE, "plus"), ops.Sync(DEFAULT_STREAM, 1)) == ""


def test_what_failed_before_is_the_answer_too() -> None:
    bench = Bench()
    bench.run(ops.Fill(STREAM, BUFFER, 8 * KIB, 1, b"x"))
    assert "8192" in bench.load()
    assert bench.load() != ""
    bench.run(ops.Fill(STREAM, BUFFER, 0, 4 * KIB, b" "), ops.Sync(STREAM, 1))
    assert bench.load() == "an empty program"
