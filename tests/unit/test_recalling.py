"""Recall and Keep in the executor: they fail, are skipped and poison as a write does."""

from __future__ import annotations

import itertools

import pytest

from gon.errors import Code, DeviceError
from gon.limits import CONTENT_BYTES_MAX
from gon.wire import ops
from gon.wire.batch import Batch, Failure, Reply, encode
from gon.wire.ops import AnyOp, Outcome
from gon_server.devices.sim import SimDevice
from gon_server.executor import Executor
from tests.kept_contents import KeptHere

SIZE = 64
CONTENT = bytes(range(SIZE))


class Session:
    """An executor with kept contents; buffers 1 and 2, a stream 3."""

    def __init__(self, contents: KeptHere | None) -> None:
        self.device = SimDevice()
        self.executor = Executor(self.device, 1 << 20, contents=contents)
        self._numbers = itertools.count(1)
        self.answer(
            ops.Allocate(1, SIZE), ops.Allocate(2, SIZE), ops.CreateStream(3), ops.SyncAll(1)
        )

    def answer(self, *some: AnyOp) -> Reply:
        """Run ops of which the last is answered."""
        first = next(self._numbers)
        self._numbers = itertools.count(first + len(some))
        return self.executor.run(Batch(first, list(some)))[-1]

    def failure(self, *some: AnyOp) -> Failure:
        failure = self.answer(*some).failure
        assert failure is not None
        return failure

    def content(self, buffer: int = 1) -> bytes | None:
        return self.answer(ops.Read(3, buffer, 0, SIZE, 99)).data


@pytest.fixture
def contents() -> KeptHere:
    return KeptHere()


@pytest.fixture
def session(contents: KeptHere) -> Session:
    return Session(contents)


def recall(digest: bytes, buffer: int = 1, offset: int = 0, size: int = SIZE) -> ops.Recall:
    return ops.Recall(3, buffer, offset, size, digest, 9)


def outcome(which: Outcome) -> Reply:
    return Reply(9, encode(which))


def test_a_content_that_is_there_is_written(session: Session, contents: KeptHere) -> None:
    assert session.answer(recall(contents.put(CONTENT))) == outcome(Outcome.THERE)
    assert session.content() == CONTENT


def test_a_part_of_a_buffer_is_written(session: Session, contents: KeptHere) -> None:
    session.answer(recall(contents.put(b"abcd"), offset=8, size=4))
    assert session.content() == bytes(8) + b"abcd" + bytes(SIZE - 12)


def test_an_unknown_content_changes_nothing(session: Session, contents: KeptHere) -> None:
    assert session.answer(recall(bytes(32))) == outcome(Outcome.UNKNOWN)
    assert session.content() == bytes(SIZE)
    assert session.answer(ops.SyncAll(1)).failure is None


def test_where_nothing_is_kept_everything_is_unknown() -> None:
    session = Session(None)
    assert session.answer(recall(bytes(32))) == outcome(Outcome.UNKNOWN)
    assert session.answer(ops.Keep(3, 1, 0, SIZE, bytes(32)), ops.SyncAll(1)).failure is None


def test_a_file_that_is_too_short_is_unknown(session: Session, contents: KeptHere) -> None:
    contents.cut_short = True
    assert session.answer(recall(contents.put(CONTENT))) == outcome(Outcome.UNKNOWN)
    # The stream is as usable as before.
    write = ops.Write(3, 1, 0, SIZE, CONTENT[::-1])
    assert session.answer(write, ops.Read(3, 1, 0, SIZE, 5)).data == CONTENT[::-1]


def test_what_was_written_is_kept_and_known(session: Session, contents: KeptHere) -> None:
    digest = contents.put(CONTENT)
    contents.kept.clear()
    session.answer(
        ops.Write(3, 1, 0, SIZE, CONTENT), ops.Keep(3, 1, 0, SIZE, digest), ops.SyncAll(1)
    )
    assert session.answer(recall(digest, 2)) == outcome(Outcome.THERE)
    assert session.content(2) == CONTENT


def test_what_is_not_what_its_digest_says_is_not_kept(session: Session, contents: KeptHere) -> None:
    digest = contents.put(CONTENT)
    contents.kept.clear()
    assert session.answer(ops.Keep(3, 1, 0, SIZE, digest), ops.SyncAll(1)).failure is None
    assert contents.offered == 1
    assert session.answer(recall(digest)) == outcome(Outcome.UNKNOWN)


@pytest.mark.parametrize(
    "wrong",
    [
        recall(b"short"),
        recall(bytes(32), size=0),
        recall(bytes(32), size=CONTENT_BYTES_MAX + 1),
    ],
)
def test_a_wrong_question_fails_as_a_write_does(session: Session, wrong: ops.Recall) -> None:
    assert session.answer(wrong) == outcome(Outcome.FAILED)
    failure = session.failure(ops.Sync(3, 5))
    assert (failure.code, failure.op, failure.number) == (Code.INVALID_ARGUMENT, "Recall", 5)
    assert session.failure(ops.Read(3, 1, 0, SIZE, 6)).op == "Recall", "its buffer is poisoned"


@pytest.mark.parametrize(
    "change", [{"buffer": 77}, {"offset": 8}, {"offset": 1 << 63}, {"stream": 66}]
)
def test_a_content_with_no_place_fails_as_a_write_does(
    session: Session, contents: KeptHere, change: dict[str, int]
) -> None:
    fields = {"stream": 3, "buffer": 1, "offset": 0, **change}
    op = ops.Recall(**fields, size_bytes=SIZE, digest=contents.put(CONTENT), reply=9)
    assert session.answer(op) == outcome(Outcome.FAILED)
    assert session.failure(ops.SyncAll(5)).op == "Recall"
    assert session.content(2) == bytes(SIZE)


@pytest.mark.parametrize("change", [{"buffer": 77}, {"offset": 8}, {"digest": b"x"}])
def test_a_wrong_keep_fails_its_stream(session: Session, change: dict[str, int | bytes]) -> None:
    fields = {"stream": 3, "buffer": 1, "offset": 0, "size_bytes": SIZE, "digest": bytes(32)}
    keep = ops.Keep(**(fields | change))  # type: ignore[arg-type]
    assert session.failure(keep, ops.Sync(3, 5)).op == "Keep"
    assert session.content() == bytes(SIZE), "no buffer is poisoned"


def test_on_a_poisoned_stream_it_is_skipped(session: Session, contents: KeptHere) -> None:
    wrong = ops.Fill(3, 2, 0, 5, b"ab")
    digest = contents.put(CONTENT)
    assert session.answer(wrong, recall(digest)) == outcome(Outcome.FAILED)
    assert contents.asked == []
    assert session.failure(ops.Sync(3, 5)).op == "Fill"
    assert session.failure(ops.Read(0, 1, 0, SIZE, 6)).op == "Fill", "it was to write this"


def test_a_whole_content_heals_a_poisoned_buffer(session: Session, contents: KeptHere) -> None:
    session.failure(ops.Fill(3, 1, 0, 5, b"ab"), ops.Sync(3, 5))
    half = contents.put(CONTENT[: SIZE // 2])
    assert session.answer(recall(half, size=SIZE // 2)) == outcome(Outcome.FAILED)
    session.failure(ops.Sync(3, 5))
    assert session.answer(recall(bytes(32))) == outcome(Outcome.UNKNOWN)
    assert session.failure(ops.Read(3, 1, 0, SIZE, 6)).op == "Fill", "nothing was overwritten"
    assert session.answer(recall(contents.put(CONTENT))) == outcome(Outcome.THERE)
    assert session.content() == CONTENT


def test_a_device_that_fails_at_the_end_has_failed(
    session: Session, contents: KeptHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_stream: int) -> None:
        raise DeviceError("lost")

    digest = contents.put(CONTENT)
    with monkeypatch.context() as patched:
        patched.setattr(session.device, "close_window", fail)
        assert session.answer(recall(digest)) == outcome(Outcome.FAILED)
    failure = session.failure(ops.Sync(3, 5))
    assert (failure.op, failure.code) == ("Recall", Code.DEVICE)
