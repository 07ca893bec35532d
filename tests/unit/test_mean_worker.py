"""A worker that breaks the protocol: the session ends, every handle says why, nobody hangs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gon.errors import GonError, LeaseLost, RemoteProtocolError
from gon.model import DEFAULT_STREAM, Handle
from gon.transport.inproc import inproc_pair
from gon.wire.batch import Reply
from gon.wire.frame import Kind, encode_head
from gon_client.batcher import Batcher
from tests.inproc_worker import PATIENCE_S, MakePair, stream_pair
from tests.unit.scripted_worker import Desk, ScriptedWorker, cookie_of, desk

BUFFER = Handle(7)

Mean = Callable[[Desk, int], None]


def _unknown_cookie(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie + 1000))


def _answers_twice(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie, bytes(8)))
    made.worker.reply(Reply(cookie, bytes(8)))


def _answers_twice_in_one_frame(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie, bytes(8)), Reply(cookie, bytes(8)))


def _too_short(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie, bytes(7)))


def _too_long(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie, bytes(9)))


def _no_bytes(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie))


def _payload_of_another_size(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie, None, 9), payloads=[bytes(9)])


def _payload_for_nobody(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie + 1000, None, 8), payloads=[bytes(8)])


def _payload_that_no_reply_names(made: Desk, cookie: int) -> None:
    made.worker.reply(Reply(cookie, bytes(8)), payloads=[bytes(8)])


def _gap(made: Desk, cookie: int) -> None:
    made.worker.link.send(encode_head(Kind.REPLIES, 9, 0, (), b"\x90"))


def _acknowledges_the_future(made: Desk, cookie: int) -> None:
    made.worker.link.send(encode_head(Kind.ACK, 0, 99, (), b""))


def _speaks_like_a_client(made: Desk, cookie: int) -> None:
    made.worker.link.send(encode_head(Kind.BYE, 0, 0, (), b""))


def _nonsense(made: Desk, cookie: int) -> None:
    made.worker.link.send(b"\xff" * 64)


def _nonsense_inside(made: Desk, cookie: int) -> None:
    made.worker.link.send(encode_head(Kind.REPLIES, 3, 0, (), b"\xc1nonsense"))


def _refusal(made: Desk, cookie: int) -> None:
    made.worker.refuse("enough")


@pytest.mark.parametrize(
    "mean",
    [
        _unknown_cookie, _answers_twice, _answers_twice_in_one_frame, _too_short, _too_long,
        _no_bytes, _payload_of_another_size, _payload_for_nobody, _payload_that_no_reply_names,
        _gap, _acknowledges_the_future, _speaks_like_a_client, _nonsense, _nonsense_inside,
        _refusal,
    ],
    ids=lambda mean: mean.__name__.strip("_"),
)  # fmt: skip
@pytest.mark.parametrize("make_pair", [inproc_pair, stream_pair])
def test_a_worker_that_breaks_the_protocol_ends_the_session(
    mean: Mean, make_pair: MakePair
) -> None:
    with desk(ScriptedWorker(make_pair=make_pair)) as made:
        for _ in range(2):
            # Waits that go well: from then on a stream goes its quick way.
            good = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
            made.worker.reply(Reply(cookie_of(made.worker.ops(1)[0])))
            good.result(PATIENCE_S)
        out = memoryview(bytearray(8))
        read = made.far.read(DEFAULT_STREAM, BUFFER, 0, out)
        sync = made.far.sync(DEFAULT_STREAM)
        made.clock.tick(2)
        cookie = cookie_of(made.worker.ops(2)[0])
        reading, syncing = made.threads.submit(read.wait), made.threads.submit(sync.wait)
        mean(made, cookie)
        assert isinstance(syncing.exception(PATIENCE_S), RemoteProtocolError)
        if mean not in (_answers_twice, _answers_twice_in_one_frame):
            assert isinstance(reading.exception(PATIENCE_S), RemoteProtocolError)
        for call in (
            made.far.sync_all,
            lambda: made.far.free(BUFFER),
            lambda: made.far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(bytes(1 << 20))),
            lambda: made.far.read(DEFAULT_STREAM, BUFFER, 0, memoryview(bytearray(1 << 20))),
        ):
            with pytest.raises(RemoteProtocolError):
                call()
        assert made.worker.connections == 1, "such a session is not resumed"


def test_a_session_that_ends_while_an_answer_arrives_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As another thread does it, in the middle of an answer's taking effect.
    def end(_batcher: Batcher, _frames: int) -> None:
        made.link.end(LeaseLost("closed elsewhere"))

    with desk(ScriptedWorker(make_pair=stream_pair)) as made:
        for _ in range(2):
            good = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
            made.worker.reply(Reply(cookie_of(made.worker.ops(1)[0])))
            good.result(PATIENCE_S)
        made.link._batcher.sent(99, 9)
        monkeypatch.setattr(Batcher, "flying", end)
        late = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        made.worker.reply(Reply(cookie_of(made.worker.ops(1)[0])))
        assert isinstance(late.exception(PATIENCE_S), GonError | None)
