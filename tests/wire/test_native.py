"""The native modules against the Python ones that say what they do: same bytes, same answers, same
refusals, whatever comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import GonError, LocalProtocolError, RemoteProtocolError
from gon.model import Handle, KernelInfo, LaunchConfig, Param, ParamKind
from gon.native import NATIVE
from gon.wire import ops
from gon.wire.batch import Batch, Failure, Reply, decode_batch, encode
from gon.wire.frame import HEADER_BYTES, Head, Kind, plain_word
from gon.wire.ledger import PlainLedger
from gon.wire.ops import AnyOp
from gon.wire.session import Ledger, Role, Session
from gon_client.launch import launch
from gon_client.module import Kernel
from gon_client.outbox import PlainOutbox
from gon_client.pending import NO_ORIGIN
from gon_client.plain_launch import launch_plainly
from gon_client.remote import RemoteDevice
from gon_client.stream import Stream
from tests.unit.scripted_worker import desk
from tests.wire.test_batch import ANY_OP

pytestmark = pytest.mark.skipif(not NATIVE, reason="the native modules are not built")

if TYPE_CHECKING or NATIVE:
    from gon._port import Port
    from gon.wire._repeats import Folds, Unfolds
    from gon_client._express import Outbox
    from gon_server._express import Express

WORD = plain_word(Kind.BATCH)


# The ledger --------------------
STEP = st.one_of(
    st.tuples(st.just("seal"), st.binary(max_size=40)),
    st.tuples(st.just("keep"), st.binary(max_size=40)),
    st.tuples(st.just("ack"), st.integers(0, 12)),
    st.tuples(st.just("receive"), st.integers(1, 3)),
    st.tuples(st.just("may"), st.booleans()),
    st.tuples(st.just("limit"), st.integers(1, 9)),
)


def outcome(act: Callable[[], object]) -> object:
    try:
        return act()
    except (LocalProtocolError, RemoteProtocolError) as error:
        return type(error), error.message


def take_step(ledger: PlainLedger, kind: str, value: object) -> object:
    match kind, value:
        case "seal", bytes(body):
            return outcome(lambda: ledger.seal_plain(body))
        case "keep", bytes(head):
            return outcome(lambda: ledger.keep(head, [memoryview(head)]))
        case "ack", int(ack):
            # An acknowledgement below the last one never gets this far.
            return outcome(lambda: ledger.take_ack(max(ack, ledger.acked)))
        case "receive", int(more):
            ledger.received += more
        case "may", bool(may):
            ledger.can_seal = may
        case "limit", int(most):
            ledger.limit(most, most * 30)
        case _:
            raise AssertionError(kind)
    return None


@given(st.lists(STEP, max_size=40))
def test_both_ledgers_keep_the_same(steps: list[tuple[str, object]]) -> None:
    plain, native = PlainLedger(WORD, 6, 400), Ledger(WORD, 6, 400)
    assert type(native) is not PlainLedger
    for kind, value in [("may", True), *steps]:
        assert take_step(plain, kind, value) == take_step(native, kind, value)
        assert plain.kept() == native.kept()
        assert plain.has_credit() == native.has_credit()
        assert (plain.sent, plain.acked, plain.received) == (
            native.sent,
            native.acked,
            native.received,
        )


@pytest.mark.parametrize("frames", [-(2**63), 0, 1, 2, 2**64 - 1])
@pytest.mark.parametrize("size", [-1, 0, 25, 60, 2**64 - 1])
def test_both_ledgers_take_any_limit(frames: int, size: int) -> None:
    plain, native = PlainLedger(WORD, 6, 400), Ledger(WORD, 6, 400)
    for ledger in (plain, native):
        ledger.limit(frames, size)
        ledger.can_seal = True
    for _ in range(6):
        assert plain.has_credit() == native.has_credit()
        assert outcome(lambda: plain.seal_plain(b"")) == outcome(lambda: native.seal_plain(b""))


# What is gathered --------------------
def open_sessions() -> list[Session]:
    sessions = [Session(Role.CLIENT, frames_max=99, bytes_max=1 << 30) for _ in range(2)]
    for each in sessions:
        each.join(0)
    return sessions


def test_what_is_gathered_stays_where_it_may_not_be_sent() -> None:
    native, session = Outbox(), Session(Role.CLIENT, frames_max=1, bytes_max=1 << 30)
    native.folds, unfolds = Folds(), Unfolds()
    session.join(0)

    def gather() -> bytes:
        for _ in range(10):
            native.add(PLAIN_LAUNCH, NO_ORIGIN)
        return encode(Batch(native.first, [PLAIN_LAUNCH] * native.count))

    for _ in range(3):
        expected = gather()
        _, _, head = native.seal(session)
        assert unfolds.unfold(head[HEADER_BYTES:]) == expected
        unfolds.commit()
        gather()
        with pytest.raises(LocalProtocolError):
            native.seal(session)
        session.take_ack(session.sent)


@given(st.lists(st.lists(ANY_OP, min_size=1, max_size=40), min_size=1, max_size=4))
def test_both_outboxes_make_the_same_frames(batches: list[list[AnyOp]]) -> None:
    plain, native = PlainOutbox(), Outbox()
    ledgers = open_sessions()
    first = 1
    for some in batches:
        for op in some:
            assert plain.add(op, NO_ORIGIN, 3) == native.add(op, NO_ORIGIN, 3)
        assert (plain.count, plain.inline_bytes) == (native.count, native.inline_bytes)
        assert plain.claim(1) == native.claim(1) == 0
        taken = plain.seal(ledgers[0])
        assert taken == native.seal(ledgers[1])
        assert taken[2][HEADER_BYTES:] == encode(Batch(first, some))
        first += len(some)
        assert plain.claim(2) == native.claim(2) == first
        first += 2


def test_an_outbox_grows_and_shrinks() -> None:
    plain, native = PlainOutbox(), Outbox()
    op = ops.Write(1, 2, 0, 30_000, bytes(30_000))
    for _ in range(80):
        plain.add(op, NO_ORIGIN)
        native.add(op, NO_ORIGIN)
    ledgers = open_sessions()
    assert plain.seal(ledgers[0]) == native.seal(ledgers[1])
    plain.add(op, NO_ORIGIN)
    native.add(op, NO_ORIGIN)
    assert plain.seal(ledgers[0]) == native.seal(ledgers[1])


# The worker's look at a batch --------------------
class Recorder:
    """An executor that runs nothing and notes what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[int, AnyOp]] = []
        # What runs ops one by one holds nothing here.
        self.held: list[object] = []
        self.late: list[object] = []
        self.slow: set[int] = set()
        self.reading: set[int] = set()
        self.run = self.run_op

    @property
    def holding(self) -> Recorder:
        return self

    @property
    def poison(self) -> dict[object, Failure]:
        return {}

    def run_op(self, op: AnyOp, number: int) -> Reply | None:
        self.given.append((number, op))
        cookie = getattr(op, "reply", None)
        return None if cookie is None else Reply(cookie)


def looked_at(body: bytes) -> tuple[list[Reply] | None, list[tuple[int, AnyOp]]]:
    recorder = Recorder()
    session = Session(Role.WORKER, frames_max=1, bytes_max=1)
    made = cast("Callable[..., Express]", Express)
    express = made(None, recorder, session, Unfolds(), Port())
    return express.run(memoryview(body)), recorder.given


def check_look(body: bytes) -> bool:
    """See that what the quick way takes is what msgspec takes; return whether it took it."""
    replies, given_ops = looked_at(body)
    if replies is None:
        assert not given_ops, "a batch that was given back has run in part"
        return False
    batch = decode_batch(memoryview(body), ())
    assert given_ops == list(enumerate(batch.ops, batch.first))
    cookies = [getattr(op, "reply", None) for op in batch.ops]
    assert [reply.reply for reply in replies] == [each for each in cookies if each is not None]
    return True


PLAIN_LAUNCH = ops.Launch(1, 2, (3, 1, 1), (4, 1, 1), 0, (5, b"abcd"))


@given(st.integers(1, 2**63), st.lists(ANY_OP, min_size=1, max_size=30))
def test_the_quick_way_takes_what_it_takes_whole(first: int, some: list[AnyOp]) -> None:
    check_look(encode(Batch(first, some)))
    assert check_look(encode(Batch(first, [PLAIN_LAUNCH, ops.Sync(1, 2), ops.Read(1, 2, 3, 4, 5)])))


@pytest.mark.parametrize("first", [0, -1, 2**63 + 1, 2**64 - 1])
def test_it_takes_no_numbers_that_no_session_has(first: int) -> None:
    assert looked_at(encode(Batch(first, [PLAIN_LAUNCH])))[0] is None


@given(
    st.lists(st.one_of(ANY_OP, st.just(PLAIN_LAUNCH), st.just(ops.Sync(1, 2))), max_size=6),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
    st.integers(0, 400),
)
def test_no_bytes_mislead_it(some: list[AnyOp], changes: list[tuple[int, int]], cut: int) -> None:
    body = bytearray(encode(Batch(7, some)))
    for at, value in changes:
        body[at % len(body)] = value
    check_look(bytes(body))
    check_look(bytes(body[: cut % len(body)]))
    check_look(bytes(body) + b"\xc0")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_do_not_either(body: bytes) -> None:
    check_look(body)


# Launches --------------------
PARAMS = (
    Param("n", ParamKind.VALUE, "int", "<i4", 4),
    Param("u", ParamKind.VALUE, "unsigned char", "|u1", 1),
    Param("l", ParamKind.VALUE, "long", "<i8", 8),
    Param("w", ParamKind.VALUE, "unsigned long", "<u8", 8),
    Param("h", ParamKind.VALUE, "half", "<f2", 2),
    Param("f", ParamKind.VALUE, "float", "<f4", 4),
    Param("d", ParamKind.VALUE, "double", "<f8", 8),
    Param("b", ParamKind.VALUE, "bool", "|b1", 1),
)
NUMBER = st.one_of(
    st.integers(-(2**66), 2**66),
    st.integers(-300, 300),
    st.floats(),
    st.booleans(),
    st.floats(width=32).map(np.float32),
    st.floats(width=16).map(np.float16),
    st.floats().map(np.float64),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.integers(0, 255).map(np.uint8),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.booleans().map(np.bool_),
    st.none(),
    st.text(max_size=2),
)
LaunchFunction = Callable[..., None]


class NearDevice:
    """As much of a device as a kernel and a stream need."""

    capturing = None

    def __init__(self, far: RemoteDevice, express: object) -> None:
        self.contract = self.own_contract = far
        self.express = express

    def drop(self, give_back: Callable[[Handle], None], handle: Handle) -> None: ...


def sent(act: LaunchFunction, param: Param, value: object) -> object:
    """Return what a launch with that argument sends, or what it raises."""
    make_kernel = cast("Callable[..., Kernel]", Kernel)
    make_stream = cast("Callable[..., Stream]", Stream)
    with desk() as made:
        near = NearDevice(made.far, made.link.express)
        kernel = make_kernel(near, Handle(3), KernelInfo("k", (param,), 64))
        stream = make_stream(near, Handle(0))
        try:
            act(stream, LaunchConfig((2, 3), 4), kernel, value)
        except GonError as error:
            return type(error), error.message
        made.link.flush()
        return made.worker.ops(1)


@pytest.mark.parametrize("param", PARAMS, ids=lambda param: param.type_name)
def test_both_ways_of_a_launch_send_the_same(param: Param) -> None:
    @given(NUMBER)
    def check(value: object) -> None:
        assert repr(sent(launch, param, value)) == repr(sent(launch_plainly, param, value))

    check()
    assert isinstance(sent(launch, param, np.dtype(param.dtype).type(1)), list)


@pytest.mark.parametrize("shared", [0, 1, 2**31, 2**64])
def test_shared_memory_of_any_size_goes_one_way_or_the_other(shared: int) -> None:
    def with_shared(act: LaunchFunction) -> LaunchFunction:
        def call(stream: Stream, config: LaunchConfig, kernel: Kernel, value: object) -> None:
            act(stream, LaunchConfig(config.grid, config.block, shared), kernel, value)

        return call

    param = PARAMS[0]
    assert sent(with_shared(launch), param, 1) == sent(with_shared(launch_plainly), param, 1)


def test_a_launch_that_is_wrong_is_refused_with_the_same_words() -> None:
    for act in (launch, launch_plainly):
        assert "k, parameter 'n'" in str(sent(act, PARAMS[0], "1"))


def test_heads_without_a_body_are_left_alone() -> None:
    assert looked_at(b"")[0] is None
    assert Head(Kind.BATCH, 1, 0, (), memoryview(b"")).body == b""


@pytest.mark.parametrize(
    ("param", "value"),
    [(PARAMS[0], 3), (PARAMS[0], np.int32(3)), (PARAMS[5], 0.5), (PARAMS[4], np.float16(1))],
)
def test_what_programs_give_most_goes_the_quick_way(
    monkeypatch: pytest.MonkeyPatch, param: Param, value: object
) -> None:
    def long_way(*_: object) -> None:
        raise AssertionError("a plain argument went the long way")

    def call(stream: Stream, config: LaunchConfig, kernel: Kernel, value: object) -> None:
        monkeypatch.setattr("gon_client._launcher.launch_plainly", long_way)
        launch(stream, config, kernel, value)

    assert isinstance(sent(call, param, value), list)
