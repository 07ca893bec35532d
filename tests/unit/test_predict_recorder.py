"""What a recorder notes, what it holds back, and that it changes nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from gon.limits import HELD_BACK_S, UNACKED_FRAMES_MAX
from gon.model import DEFAULT_STREAM
from gon.testing.faulty_link import Cut, Direction, FaultyLink
from gon.transport.base import Bytes, Link, WhileBlocked
from gon.transport.inproc import inproc_pair
from gon.wire.batch import Reply
from gon.wire.frame import HEADER, Kind, plain_word
from gon_client.predict.model import predict
from gon_client.predict.recorder import Recorder, RecordingLink
from gon_client.predict.trace import Event, Sent, Taken, Way, Why
from gon_client.predict.work import work_of
from tests.inproc_worker import PATIENCE_S
from tests.unit.scripted_worker import cookie_of, desk

WAY = Way(0.001)


class SteppedClock:
    """A clock that a test sets; see gon.clock.Clock for what of it a recorder uses."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def sleep_s(self, duration_s: float, /) -> None:
        self.time_s += duration_s

    def wait(self, event: object, timeout_s: float) -> bool:
        del event
        self.time_s += timeout_s
        return False


class Bench:
    """A recording link over one end of a pair; the test has the other."""

    def __init__(self, events_max: int = 1000) -> None:
        self.clock = SteppedClock()
        self.recorder = Recorder(self.clock, events_max)
        below, self.peer = inproc_pair()
        self.link = self.recorder.lead(below)
        self.recorder.begin()

    @property
    def events(self) -> list[Event]:
        return self.recorder.trace(WAY, 0.0).events


def frame(kind: Kind, seq: int = 0, ack: int = 0, size: int = 0) -> bytes:
    return HEADER.pack(plain_word(kind), seq, ack) + bytes(size)


def test_what_goes_out_and_comes_in_is_noted_and_not_changed() -> None:
    bench = Bench()
    bench.clock.time_s = 1.0
    bench.link.send(frame(Kind.BATCH, 1, size=10), [b"12345"])
    there = bench.peer.receive(PATIENCE_S)
    assert there is not None
    assert bytes(there) == frame(Kind.BATCH, 1, size=10)
    payload = bytearray(5)
    bench.peer.receive_into(memoryview(payload))
    assert payload == b"12345"
    bench.peer.send(frame(Kind.REPLIES, 1, 1), [b"abc"])
    bench.clock.time_s = 2.0
    here = bench.link.receive(None)
    assert here is not None
    assert bytes(here) == frame(Kind.REPLIES, 1, 1)
    target = bytearray(3)
    bench.clock.time_s = 3.0
    bench.link.receive_into(memoryview(target))
    assert target == b"abc"
    out, back = bench.events
    assert out == Sent(1.0, 1.0, 1, 34, 5)
    assert back == Taken(2.0, 2.0, 3.0, 1, 24, 3, Why.WAIT, 0)
    assert bench.recorder.trace(WAY, 0.0).origins[0].startswith(__file__)
    assert bench.link.statistics().frames_sent == 1


def test_an_answer_is_held_back_until_somebody_waits() -> None:
    bench = Bench()
    bench.link.send(frame(Kind.BATCH, 1))
    bench.peer.send(frame(Kind.REPLIES, 1, 1))
    bench.clock.time_s = 1.0
    assert bench.link.receive(0) is None
    bench.clock.time_s = 1.0 + HELD_BACK_S / 2
    assert bench.link.receive(0) is None
    here = bench.link.receive(None)
    assert here is not None
    assert bytes(here) == frame(Kind.REPLIES, 1, 1)
    (back,) = (event for event in bench.events if isinstance(event, Taken))
    assert (back.here_s, back.asked_s, back.why) == (1.0, bench.clock.time_s, Why.WAIT)


def test_what_came_early_before_it_began_does_not_count() -> None:
    bench = Bench()
    bench.peer.send(frame(Kind.REPLIES, 1, 0, 5))
    assert bench.link.receive(0) is None
    bench.clock.time_s += HELD_BACK_S
    assert bench.link.receive(0) is not None
    bench.recorder.lead(inproc_pair()[0])
    before = bench.recorder.trace(WAY, 0.0)
    assert (before.early, before.links) == (1, 1)
    bench.recorder.begin()
    after = bench.recorder.trace(WAY, 0.0)
    assert (after.early, after.links) == (0, 0)


def test_nobody_looks_for_an_answer_in_vain_for_ever() -> None:
    bench = Bench()
    bench.peer.send(frame(Kind.REPLIES, 1, 0))
    assert bench.link.receive(0) is None
    bench.clock.time_s = HELD_BACK_S
    assert bench.link.receive(0) is not None
    trace = bench.recorder.trace(WAY, 0.0)
    assert trace.early == 1
    assert [event.why for event in trace.events if isinstance(event, Taken)] == [Why.POLL]


def test_acknowledgements_are_not_held_back_but_those_of_uploads() -> None:
    bench = Bench()
    bench.link.send(frame(Kind.BATCH, 1))
    bench.link.send(frame(Kind.BATCH, 2), [b"12345"])
    bench.peer.send(frame(Kind.ACK, 0, 1))
    assert bench.link.receive(0) is not None
    bench.peer.send(frame(Kind.ACK, 0, 2))
    assert bench.link.receive(0) is None
    assert bench.link.receive(None) is not None
    assert bench.link.receive(0) is None


def test_a_wait_for_an_upload_is_told_from_others() -> None:
    bench = Bench()
    bench.link.send(frame(Kind.BATCH, 1), [b"12345"])
    bench.link.send(frame(Kind.BATCH, 2))
    for kind, ack in ((Kind.REPLIES, 0), (Kind.ACK, 1), (Kind.ACK, 2)):
        bench.peer.send(frame(kind, int(kind is Kind.REPLIES), ack))
        assert bench.link.receive(None) is not None
    whys = [event.why for event in bench.events if isinstance(event, Taken)]
    assert whys == [Why.WAIT, Why.UPLOAD, Why.WAIT]


def test_nothing_is_held_back_from_a_send_that_is_blocked() -> None:
    below, peer = inproc_pair()
    peer.send(frame(Kind.REPLIES, 1, 0))

    class Blocked(FaultyLink):
        """A link whose peer takes nothing before it was received from."""

        def send(
            self,
            head: Bytes,
            payloads: Sequence[Bytes] = (),
            while_blocked: WhileBlocked = None,
        ) -> None:
            del head, payloads
            assert while_blocked is not None
            while_blocked()

    noting = Recorder(SteppedClock())
    link = RecordingLink(Blocked(below, Cut(Direction.IN, 1 << 30)), noting)
    got: list[memoryview | None] = []
    link.send(frame(Kind.BATCH, 1), (), lambda: got.append(link.receive(0)))
    assert got[0] is not None


def test_frames_that_are_sent_again_count_once() -> None:
    bench = Bench()
    bench.link.send(frame(Kind.BATCH, 1))
    again = bench.recorder.lead(bench.link)
    again.send(frame(Kind.BATCH, 1))
    trace = bench.recorder.trace(WAY, 0.0)
    assert trace.links == 1
    assert len([event for event in trace.events if isinstance(event, Sent)]) == 1


def test_a_wait_without_credit_is_told_from_others() -> None:
    bench = Bench()
    for number in range(1, UNACKED_FRAMES_MAX + 1):
        bench.link.send(frame(Kind.BATCH, number))
    bench.peer.send(frame(Kind.ACK, 0, 1))
    bench.peer.send(frame(Kind.ACK, 0, 2))
    bench.link.receive(None)
    bench.link.receive(None)
    whys = [event.why for event in bench.events if isinstance(event, Taken)]
    assert whys == [Why.CREDIT, Why.WAIT]


def test_a_full_trace_says_when_and_lets_all_pass() -> None:
    bench = Bench(events_max=2)
    for number in range(1, 5):
        bench.clock.time_s = float(number)
        bench.link.send(frame(Kind.BATCH, number))
    for _ in range(4):
        assert bench.peer.receive(PATIENCE_S) is not None
    trace = bench.recorder.trace(WAY, 0.0)
    assert len(trace.events) == 2
    assert trace.cut_s == 3.0
    assert trace.measured_s == 4.0
    assert not predict(trace, work_of(trace), WAY).is_whole


# A whole session --------------------
def below(link: Link) -> Link:
    assert isinstance(link, RecordingLink)
    return link.below


def test_a_recorder_comes_and_goes_in_the_middle_of_a_session() -> None:
    with desk() as made:
        noting = Recorder(SteppedClock())
        made.link.lead(noting.lead)
        assert "RecordingLink" in repr(made.link)
        pending = made.far.sync(DEFAULT_STREAM)
        future = made.threads.submit(pending.wait)
        (op,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(op)))
        future.result(PATIENCE_S)
        assert len(noting.trace(WAY, 0.0).events) == 2
        noting.end()
        made.link.lead(below)
        assert "RecordingLink" not in repr(made.link)


def test_an_answer_that_is_held_back_is_there_when_recording_ends() -> None:
    with desk() as made:
        noting = Recorder(SteppedClock())
        made.link.lead(noting.lead)
        pending = made.far.sync(DEFAULT_STREAM)
        made.link.flush()
        (op,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(op)))
        made.link.send_posted()
        assert not pending.done()
        noting.end()
        made.link.lead(below)
        assert pending.done()


def test_a_link_that_replaces_a_lost_one_is_recorded_too() -> None:
    with desk() as made:
        noting = Recorder(SteppedClock())
        made.link.lead(noting.lead)
        made.worker.link.close()
        future = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        made.worker.greet()
        (op,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(op)))
        future.result(PATIENCE_S)
        trace = noting.trace(WAY, 0.0)
        assert trace.links == 1
        assert any(isinstance(event, Taken) for event in trace.events)
