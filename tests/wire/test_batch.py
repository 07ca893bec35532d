"""Bodies: the table of ops, its golden numbers, the rules of batches, arbitrary bytes."""

from __future__ import annotations

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import CompileError, RemoteProtocolError
from gon.limits import BATCH_OPS_MAX, LOG_BYTES_MAX, MESSAGE_BYTES_MAX
from gon.model import (
    BufferAt,
    CommandTimes,
    Configuration,
    GraphCopy,
    GraphFill,
    GraphLaunch,
    LocalBytes,
    ModuleInfo,
    Program,
)
from gon.wire import image_ops, ops, timing_ops, waiter_ops
from gon.wire.batch import (
    Batch,
    Bye,
    Failure,
    Hello,
    Refuse,
    Reply,
    Welcome,
    decode,
    decode_batch,
    decode_replies,
    encode,
)
from gon_server.devices.null import INFO

U64 = st.integers(0, 2**64 - 1)
ARGS = st.lists(
    st.one_of(
        U64,
        st.binary(max_size=16),
        st.builds(BufferAt, U64, U64),
        st.builds(LocalBytes, U64),
    ),
    max_size=6,
).map(tuple)
DIM3 = st.tuples(U64, U64, U64)
BYTES = st.binary(max_size=16)
CAPTURED = st.lists(
    st.one_of(
        st.builds(GraphLaunch, U64, DIM3, DIM3, U64, ARGS),
        st.builds(GraphCopy, U64, U64, U64, U64, U64),
        st.builds(GraphFill, U64, U64, U64, BYTES),
    ),
    max_size=4,
).map(tuple)
SLOTS = st.lists(st.lists(st.tuples(U64, U64), max_size=3).map(tuple), max_size=3).map(tuple)
CHANGES = ARGS.flatmap(lambda args: st.tuples(*[st.tuples(U64, st.just(arg)) for arg in args]))
TEXT = st.text(max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
HEADERS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)
PROGRAM = st.builds(Program, st.binary(max_size=16), TEXT, TEXT, TEXTS, HEADERS)


def an_op(kind: type[ops.Op]) -> st.SearchStrategy[ops.Op]:
    """Any op of one kind whose numbers fit the wire."""
    fields = msgspec.structs.fields(kind)
    numbers = {field.name: U64 for field in fields if field.type is int}
    if issubclass(kind, image_ops.ImageWork):
        places = {field.name: DIM3 for field in fields if field.type == tuple[int, int, int]}
        return st.builds(kind, **numbers, **places)
    if kind is ops.Launch:
        return st.builds(kind, **numbers, args=ARGS, grid=DIM3, block=DIM3)
    if kind is ops.LaunchRange:
        return st.builds(kind, **numbers, args=ARGS, offset=DIM3, total=DIM3, block=DIM3)
    if kind is ops.Load:
        return st.builds(kind, **numbers, program=PROGRAM)
    if kind is ops.DefineGraph:
        return st.builds(kind, **numbers, ops=CAPTURED, slots=SLOTS)
    if kind is ops.RunGraph:
        return st.builds(kind, **numbers, changes=CHANGES)
    if kind is ops.Reach:
        return st.builds(kind, **numbers, write=st.booleans())
    return st.builds(kind, **numbers)


ANY_OP = st.one_of([an_op(row.op) for row in ops.TABLE])


def test_the_table_is_the_union_and_its_numbers_are_for_ever() -> None:
    assert {row.op for row in ops.TABLE} == set(typing.get_args(ops.AnyOp))
    # Golden: a number here may be added, never changed or used again.
    assert {row.number: row.name for row in ops.TABLE} == {
        1: "Allocate",
        2: "Free",
        3: "Write",
        4: "Read",
        5: "Copy",
        6: "Fill",
        7: "Recall",
        8: "Keep",
        10: "CreateStream",
        11: "CloseStream",
        12: "Sync",
        13: "SyncAll",
        20: "CreateEvent",
        21: "CloseEvent",
        22: "Record",
        23: "WaitEvent",
        24: "SyncEvent",
        25: "Elapsed",
        30: "Load",
        31: "Unload",
        32: "GetKernel",
        33: "CloseKernel",
        34: "Launch",
        35: "GetGlobal",
        40: "DefineGraph",
        41: "RunGraph",
        42: "CloseGraph",
        50: "WritePart",
        60: "Reconfigure",
        61: "LoadUploaded",
        62: "Reach",
        65: "LaunchRange",
        66: "CreateImage",
        67: "CopyImage",
        68: "FillImage",
        69: "BufferToImage",
        70: "ImageToBuffer",
        71: "ImageFormats",
        80: "NoteCommand",
        81: "AskTimes",
        82: "ViewImage",
        83: "TellTimes",
        84: "NoteWaiters",
        85: "AskDone",
    }
    for row in ops.TABLE:
        assert row.op.__struct_config__.tag == row.number
        assert ("reply" in row.op.__struct_fields__) == bool(row.reply), row.name


def test_golden_bytes_of_known_contents() -> None:
    batch = Batch(7, [ops.Recall(1, 2, 3, 4, b"d", 9), ops.Keep(1, 2, 3, 4, b"d")])
    assert encode(batch) == bytes.fromhex("9207 92 9707010203 04c40164 09 960801020304c40164")
    assert [encode(outcome) for outcome in ops.Outcome] == [b"\0", b"\1", b"\2"]


def test_golden_bytes_of_times() -> None:
    body = encode(Batch(7, [timing_ops.NoteCommand(2, 3), timing_ops.AskTimes(3, 9)]))
    assert body.hex(" ") == "92 07 92 93 50 02 03 93 51 03 09"
    told = encode((1, 2, 3, 1 << 40))
    assert told.hex(" ") == "94 01 02 03 cf 00 00 01 00 00 00 00 00"
    assert decode(CommandTimes, told) == CommandTimes(1, 2, 3, 1 << 40)
    assert encode(Batch(7, [timing_ops.TellTimes(3, 9)])).hex(" ") == "92 07 91 93 53 03 09"


def test_golden_bytes_of_a_question_that_waits_for_nothing() -> None:
    assert encode(Batch(7, [waiter_ops.AskDone(3, 9)])).hex(" ") == "92 07 91 93 55 03 09"
    assert (encode(False), encode(True)) == (b"\xc2", b"\xc3")
    assert decode(bool, b"\xc3") is True


def test_golden_bytes_of_reach() -> None:
    batch = Batch(7, [ops.Reach(0, 3, 16, 4096, write=True, reply=9)])
    body = encode(batch)
    assert body.hex(" ") == "92 07 91 97 3e 00 03 10 cd 10 00 c3 09"
    assert decode_batch(memoryview(body), ()) == batch
    assert encode(ops.NOT_NOW).hex() == "fe"


def test_golden_bytes_of_a_launch_of_a_range() -> None:
    op = ops.LaunchRange(1, 2, (3, 0, 0), (100, 1, 1), (0, 0, 0), (0, b"v"))
    expected = "9207 91 97 41 01 02 93030000 93640101 93000000 9200c40176"
    assert encode(Batch(7, [op])) == bytes.fromhex(expected)


def test_golden_bytes_of_images() -> None:
    at, region = (1, 0, 0), (4, 2, 1)
    batch = Batch(
        7,
        [
            image_ops.CreateImage(3, 0x10F1, 0x10B5, 0x10D2, 8, 4, 1, 1, 0, 0, 0),
            image_ops.CopyImage(1, 3, at, 4, at, region),
            image_ops.FillImage(1, 3, at, region, b"0123456789abcdef"),
            image_ops.BufferToImage(1, 5, 64, 3, at, region),
            image_ops.ImageToBuffer(1, 3, at, region, 5, 64),
            image_ops.ImageFormats(1, 0x10F1, 9),
            image_ops.ViewImage(6, 3, 0x10C1, 0x10D2, 9),
        ],
    )
    coded = encode(batch)
    assert coded == bytes.fromhex(
        "9207 97 9c 42 03 cd10f1 cd10b5 cd10d2 08 04 01 01 00 00 00"
        "97 43 01 03 93010000 04 93010000 93040201"
        "96 44 01 03 93010000 93040201 c41030313233343536373839616263646566"
        "97 45 01 05 40 03 93010000 93040201"
        "97 46 01 03 93010000 93040201 05 40"
        "94 47 01 cd10f1 09"
        "96 52 06 03 cd10c1 cd10d2 09"
    )
    assert decode_batch(memoryview(coded), ()) == batch
    told = ((0x10B5, 0x10D2),)
    assert decode(tuple[tuple[int, int], ...], encode(told)) == told


def test_golden_bytes_of_reconfigure() -> None:
    batch = Batch(7, [ops.Reconfigure("npu", keep=True, reply=9)])
    assert encode(batch) == bytes.fromhex("9207 91 943ca36e7075c309")
    answer = Configuration("npu", elapsed_us=1.0, warm=False)
    assert decode(Configuration, encode(answer)) == answer
    assert encode(answer).startswith(bytes.fromhex("96 a36e7075 a57265616479 a0"))


def test_golden_bytes_of_an_uploaded_program() -> None:
    op = ops.LoadUploaded(1, Program(b"", "onnx"), 1 << 63, 2, 1 << 23, reply=9)
    coded = "97 3d 01 95c400a46f6e6e78a09090 cf8000000000000000 02 ce00800000 09"
    assert encode(Batch(7, [op])) == bytes.fromhex(f"9207 91 {coded}")


def test_what_a_failure_says_is_bounded() -> None:
    """A library may repeat a name of a program's that has megabytes."""
    error = CompileError("\u00fc" * MESSAGE_BYTES_MAX, log="\ud800" * LOG_BYTES_MAX)
    failure = Failure.of(error, "Load", 1)
    assert len(failure.message.encode()) <= MESSAGE_BYTES_MAX
    assert len(failure.log.encode()) <= LOG_BYTES_MAX
    encode([Reply(1, failure=failure)])


def test_a_signature_without_shapes_is_an_older_hosts() -> None:
    older = {"name": "x", "kind": "buffer", "type_name": "float *"}
    kernel = {"name": "k", "params": [older], "max_block": 1}
    info = decode(ModuleInfo, msgspec.msgpack.encode({"kernels": [kernel]}))
    assert info.kernels[0].params[0].shape is None


def test_golden_bytes_of_graphs() -> None:
    captured = (
        GraphLaunch(5, (4, 1, 1), (256, 1, 1), 0, (b"\1\2", 9)),
        GraphCopy(1, 2, 3, 4, 5),
        GraphFill(1, 2, 3, b"x"),
    )
    batch = Batch(
        7,
        [
            ops.DefineGraph(8, captured, (((0, 1),), ((0, 0),))),
            ops.RunGraph(8, 3, ((0, BufferAt(9, 64)), (1, b"\3\4"))),
            ops.CloseGraph(8),
        ],
    )
    launch = "96 22 05 93040101 93cd01000101 00 92c402010209"
    assert encode(batch) == bytes.fromhex(
        f"9207 93 94 28 08 93 {launch} 96050102030405 9506010203c40178 92 91920001 91920000"
        "94 29 08 03 92 9200 93010940 9201 c4020304"
        "92 2a 08"
    )


def test_golden_bytes_of_parts() -> None:
    first, last = (ops.WritePart(1, 2, 64 + at, 40_000, 64, 80_000) for at in (0, 40_000))
    assert encode(Batch(7, [first])) == bytes.fromhex("9207 91 97 32 01 02 40 cd9c40 40 ce00013880")
    assert [ops.goes_on(part) for part in (first, last)] == [True, False]
    with pytest.raises(RemoteProtocolError, match="payloads of"):
        decode_batch(memoryview(encode(Batch(7, [first]))), ())


def test_a_welcome_is_understood_by_older_and_newer_peers() -> None:
    welcome = Welcome(2, 5, True, 4, 1 << 20, INFO, b"key")
    fields = msgspec.msgpack.decode(encode(welcome))
    older = decode(Welcome, msgspec.msgpack.encode(fields[:6]))
    assert (older.content_key, older.program_bytes) == (b"", 0)
    assert decode(Welcome, msgspec.msgpack.encode([*fields, "newer"])) == welcome


def test_golden_bytes_of_a_batch() -> None:
    batch = Batch(7, [ops.Launch(0, 5, (4, 1, 1), (256, 1, 1), 0, (b"\x00\x00\x00@", 9))])
    assert encode(batch) == bytes.fromhex(
        "92 07 91 97 22 00 05 93040101 93cd01000101 00 92c40400000040 09"
    )


@given(st.integers(1, 2**63), st.lists(ANY_OP, min_size=1, max_size=8))
def test_batches_survive_the_wire(first: int, some: list[ops.AnyOp]) -> None:
    batch = Batch(first, some)
    head = some[0]
    takes = isinstance(head, ops.WritePart) or (isinstance(head, ops.Write) and head.data is None)
    payloads = (head.size_bytes,) if isinstance(head, ops.Write | ops.WritePart) and takes else ()
    assert decode_batch(memoryview(encode(batch)), payloads) == batch


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_one_error_only(raw: bytes) -> None:
    for attempt in (
        lambda: decode_batch(memoryview(raw), ()),
        lambda: decode_replies(memoryview(raw), ()),
        lambda: decode(Hello, raw),
        lambda: decode(Welcome, raw),
        lambda: decode(Refuse, raw),
        lambda: decode(Bye, raw),
    ):
        try:
            attempt()
        except RemoteProtocolError:
            continue


@given(st.lists(ANY_OP, min_size=1, max_size=4), st.data())
def test_a_batch_with_changed_bytes_never_escapes(
    some: list[ops.AnyOp], data: st.DataObject
) -> None:
    raw = bytearray(encode(Batch(1, some)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_batch(memoryview(raw), ())
    except RemoteProtocolError:
        return


def test_rules_of_a_batch() -> None:
    def body(*some: ops.AnyOp) -> memoryview:
        return memoryview(encode(Batch(1, list(some))))

    upload = ops.Write(0, 1, 0, 70_000, None)
    assert decode_batch(body(upload), (70_000,)).ops == [upload]
    with pytest.raises(RemoteProtocolError, match="payloads"):
        decode_batch(body(upload), ())
    with pytest.raises(RemoteProtocolError, match="payloads"):
        decode_batch(body(upload), (70_001,))
    with pytest.raises(RemoteProtocolError, match="payloads"):
        decode_batch(body(ops.Free(1)), (5,))
    with pytest.raises(RemoteProtocolError, match="0 ops"):
        decode_batch(body(), ())
    with pytest.raises(RemoteProtocolError, match="1025 ops"):
        decode_batch(body(*[ops.Free(1)] * (BATCH_OPS_MAX + 1)), ())
    for first in (0, -1, 2**63 + 1, 2**64 - 1):
        with pytest.raises(RemoteProtocolError, match="number"):
            decode_batch(memoryview(encode(Batch(first, [ops.Free(1)]))), ())
    unknown = msgspec.msgpack.encode([1, [[99, 1]]])
    with pytest.raises(RemoteProtocolError, match="not a batch"):
        decode_batch(memoryview(unknown), ())


def test_a_failure_arrives_as_the_exception_it_was() -> None:
    error = CompileError("no such type", log="1:1: error")
    back = Failure.of(error, "Load", 12).exception("prog.py:3")
    assert type(back) is CompileError
    assert str(back) == ("[COMPILE] no such type (op Load #12, queued at prog.py:3)\n1:1: error")


def test_replies_name_their_payloads() -> None:
    body = memoryview(encode([Reply(1, b"x"), Reply(2, None, 70_000)]))
    assert len(decode_replies(body, (70_000,))) == 2
    with pytest.raises(RemoteProtocolError):
        decode_replies(body, (70_001,))
