"""Folded batches unfold to what was folded, byte for byte, whatever comes between and whatever
comes again; what a peer makes up ends in a refusal. Both ways fold alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import RemoteProtocolError
from gon.limits import BATCH_OPS_MAX, REPEAT_BYTES_MAX, REPEAT_OP_BYTES_MAX, REPEAT_OPS_MAX
from gon.model import BufferAt
from gon.native import NATIVE
from gon.wire import ops
from gon.wire.batch import batch_body, decode_batch, encode_op
from gon.wire.ops import AnyOp
from gon.wire.repeats import PlainFolds, PlainUnfolds, is_folded
from tests.wire.test_batch import ANY_OP

if TYPE_CHECKING or NATIVE:
    from gon.wire._repeats import Folds, Unfolds

FOLDS: list[type[PlainFolds | Folds]] = [PlainFolds, *([Folds] if NATIVE else [])]
UNFOLDS: list[type[PlainUnfolds | Unfolds]] = [PlainUnfolds, *([Unfolds] if NATIVE else [])]

HANDLE = st.integers(1, 4)
# What a program's loop is made of: few kernels, few buffers, values that change.
LOOPED = st.one_of(
    st.builds(
        ops.Launch,
        HANDLE,
        HANDLE,
        st.just((64, 1, 1)),
        st.just((32, 1, 1)),
        st.just(0),
        st.tuples(
            HANDLE,
            st.builds(BufferAt, HANDLE, st.integers(0, 300)),
            st.binary(min_size=4, max_size=8),
        ),
    ),
    st.builds(ops.Sync, HANDLE, st.integers(0, 300)),
    st.builds(ops.Write, HANDLE, HANDLE, st.just(0), st.just(4), st.binary(min_size=4, max_size=4)),
    st.builds(ops.Write, HANDLE, HANDLE, st.just(0), st.just(600), st.just(bytes(600))),
    ANY_OP,
)


@st.composite
def loops(draw: st.DrawFn) -> list[AnyOp]:
    """Loops of a few ops, each run some times: the ops of a batch."""
    some: list[AnyOp] = []
    for _ in range(draw(st.integers(1, 5))):
        once = cast("list[AnyOp]", draw(st.lists(LOOPED, min_size=1, max_size=5)))
        some += once * draw(st.integers(1, 6))
    return some


BATCH = loops()
CHANGES = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=3)


def coded(some: Sequence[AnyOp]) -> list[bytes]:
    return [encode_op(op) for op in some]


@given(st.lists(BATCH, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_what_is_unfolded_is_what_was_folded(
    batches: list[list[AnyOp]], again: bool, contents: bool
) -> None:
    folds = [kind(contents=contents) for kind in FOLDS]
    unfolds = [kind(contents=contents) for kind in UNFOLDS]
    first = 1
    for some in batches:
        bodies = [each.fold(first, coded(some)) for each in folds]
        assert all(body == bodies[0] for body in bodies)
        assert is_folded(bodies[0])
        assert len({(each.ops, each.saved_bytes) for each in folds}) == 1
        plain = batch_body(first, coded(some))
        for each in unfolds:
            assert each.unfold(bodies[0]) == plain
            if again:
                # A link broke before it took effect: the frame comes once more.
                assert each.unfold(memoryview(bodies[0])) == plain
            each.commit()
        first += len(some)


@given(ANY_OP)
def test_the_second_byte_of_an_op_is_its_number(op: AnyOp) -> None:
    assert encode_op(op)[1] == op.__struct_config__.tag


# Twice the same: a sync, two writes, another sync. Since version 17 each write is itself, and the
# syncs are those two back among what is remembered; before, all of it was four back.
MIXED: list[AnyOp] = [
    ops.Sync(1, 2),
    *[ops.Write(1, 2, 0, 4, b"same")] * 2,
    ops.Sync(1, 3),
] * 2
WRITE = "96030102 0004c404 73616d65"
GOLDEN = {
    False: f"9307c298 930c0102 {WRITE} {WRITE} 930c0103 c4020201 {WRITE} {WRITE} c4020201",
    True: f"9307c295 930c0102 {WRITE} c4020101 930c0103 c4020404",
}


@pytest.mark.parametrize("contents", [False, True])
@pytest.mark.parametrize("kind", FOLDS)
@pytest.mark.parametrize("pair", UNFOLDS)
def test_contents_are_remembered_by_older_peers_only(
    kind: type[PlainFolds | Folds], pair: type[PlainUnfolds | Unfolds], contents: bool
) -> None:
    body = kind(contents=contents).fold(7, coded(MIXED))
    assert body == bytes.fromhex(GOLDEN[contents])
    assert pair(contents=contents).unfold(body) == batch_body(7, coded(MIXED))


LOOP = [
    ops.Launch(1, 2, (64, 1, 1), (32, 1, 1), 0, (5, 6, b"\0\0\0\0")),
    ops.Launch(1, 3, (64, 1, 1), (32, 1, 1), 0, (6, 5)),
    ops.Launch(1, 2, (64, 1, 1), (32, 1, 1), 0, (6, 5, b"\0\0\0\0")),
]


@pytest.mark.parametrize("kind", FOLDS)
def test_a_loop_costs_a_few_bytes(kind: type[PlainFolds | Folds]) -> None:
    folds = kind()
    some = coded(LOOP * 80)
    plain = batch_body(1, some)
    # The first time round each op stands for itself, or says what differs.
    assert len(folds.fold(1, some)) < 100
    assert len(folds.fold(241, some)) < 16
    assert folds.ops == 2 * len(some) - 2
    assert folds.saved_bytes > 2 * len(plain) - 120


@pytest.mark.parametrize("kind", FOLDS)
def test_a_changed_value_costs_its_bytes(kind: type[PlainFolds | Folds]) -> None:
    folds, unfolds = kind(), PlainUnfolds()
    for number in range(20):
        some = [
            ops.Launch(1, 2, (64, 1, 1), (32, 1, 1), 0, (5, 6, bytes([number, step, 7, 7])))
            for step in range(100)
        ]
        body = folds.fold(1, coded(some))
        assert unfolds.unfold(body) == batch_body(1, coded(some))
        unfolds.commit()
        assert len(body) < 100 * 6


@pytest.mark.parametrize("kind", FOLDS)
@pytest.mark.parametrize("pair", UNFOLDS)
def test_what_is_remembered_is_bounded(
    kind: type[PlainFolds | Folds], pair: type[PlainUnfolds | Unfolds]
) -> None:
    folds, unfolds = kind(), pair()
    large: list[AnyOp] = [
        ops.Fill(
            1, 2, 0, REPEAT_OP_BYTES_MAX - 16, bytes([number % 256]) * (REPEAT_OP_BYTES_MAX - 16)
        )
        for number in range(BATCH_OPS_MAX)
    ]
    by_bytes, by_ops = coded(large), coded([LOOP[0]] * BATCH_OPS_MAX)
    forgotten: list[int] = []
    for turn, batch in enumerate([by_bytes] * 5 + [by_ops] * 16 + [by_bytes]):
        body = folds.fold(1, batch)
        if body.startswith(b"\x93\x01\xc3"):
            forgotten.append(turn)
        assert unfolds.unfold(body) == batch_body(1, batch)
        unfolds.commit()
    # Two large batches are as many bytes as are remembered, eight of any kind as many ops.
    assert forgotten == [2, 4, 12, 20]


def varied(count: int) -> list[AnyOp]:
    return [ops.Sync(1, number) for number in range(count)]


@pytest.mark.parametrize("pair", UNFOLDS)
def test_a_peer_that_forgets_to_forget_is_refused(pair: type[PlainUnfolds | Unfolds]) -> None:
    unfolds = pair()
    stale = PlainFolds().fold(1, coded(varied(BATCH_OPS_MAX)))
    assert stale[:3] == b"\x93\x01\xc2"
    assert REPEAT_OPS_MAX % BATCH_OPS_MAX == 0
    for _ in range(REPEAT_OPS_MAX // BATCH_OPS_MAX):
        unfolds.unfold(stale)
        unfolds.commit()
    with pytest.raises(RemoteProtocolError, match="remembered"):
        unfolds.unfold(stale)
    assert unfolds.unfold(run(1, 3)) == batch_body(1, coded([ops.Sync(1, 2)] * 4))


def run(*numbers: int) -> bytes:
    """Return a body of one op and the run that is coded so."""
    op = encode_op(ops.Sync(1, 2))
    return b"\x93\x01\xc3\x92" + op + b"\xc4" + bytes([len(numbers), *numbers])


@pytest.mark.parametrize("pair", UNFOLDS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93",
        b"\x93\x01\x01\x90",
        b"\x93\x01\xc3",
        b"\x93\x01\xc3\x92\xc4\x02\x01\x01",
        b"\x93\x01\xc3\xdd\xff\xff\xff\xff",
        b"\x93\xa1x\xc3\x90",
        run(),
        run(1),
        run(0, 1),
        run(2, 1),
        run(1, 0),
        run(1, 0xFF, 0x0F),
        run(1, 0xFF, 0xFF, 0xFF, 0xFF, 0x01),
        run(1, 1, 0),
        run(1, 1, 0, 0),
        run(1, 1, 0, 4, 1, 9),
        run(1, 1, 0, 5, 0),
        run(1, 1, 0, 0x84, 0x01, 1, 9),
        run(1, 1, 0, 0, 3, 9, 9),
        run(1, 2, 5, 0, 1, 9),
        run(1, 1, 1, 0, 1, 9),
        run(1, 1, 0, 0, 1, 9, 0x80),
    ],
)
def test_what_no_folder_makes_is_refused(pair: type[PlainUnfolds | Unfolds], body: bytes) -> None:
    unfolds = pair()
    with pytest.raises(RemoteProtocolError):
        unfolds.unfold(body)
    assert unfolds.unfold(run(1, 3)) == batch_body(1, coded([ops.Sync(1, 2)] * 4))


@pytest.mark.parametrize("pair", UNFOLDS)
def test_a_bomb_is_refused(pair: type[PlainUnfolds | Unfolds]) -> None:
    op = encode_op(ops.Fill(1, 2, 0, 490, bytes(490)))
    many = b"\xc4\x03\x01\xff\x07"  # 1023 ops
    body = b"\x93\x01\xc3\xdc\x10\x00" + op + many * 4095
    with pytest.raises(RemoteProtocolError):
        pair().unfold(body)
    assert len(body) < 4 * REPEAT_BYTES_MAX


@given(BATCH, CHANGES, st.integers(0, 600))
def test_no_bytes_mislead_it(some: list[AnyOp], changes: list[tuple[int, int]], cut: int) -> None:
    body = bytearray(PlainFolds().fold(7, coded(some * 2)))
    for at, value in changes:
        body[at % len(body)] = value
    for each in (bytes(body), bytes(body[: cut % len(body)]), bytes(body) + b"\xc0"):
        outcomes: list[object] = []
        for kind in UNFOLDS:
            try:
                outcomes.append(decode_batch(memoryview(kind().unfold(each)), ()))
            except RemoteProtocolError:
                outcomes.append(None)
        assert all(outcome == outcomes[0] for outcome in outcomes)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_do_not_either(tail: bytes) -> None:
    for kind in UNFOLDS:
        try:
            kind().unfold(b"\x93\x01\xc3" + tail)
        except RemoteProtocolError:
            continue
