"""What is gathered for frames, natively or in Python: more than one may have is several."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gon
from gon.limits import BATCH_OPS_MAX, HEAD_BYTES_MAX, INLINE_BYTES_MAX
from gon.model import DEFAULT_STREAM, Handle
from gon.native import NATIVE
from gon.transport.base import Link
from gon.wire import ops
from gon.wire.batch import decode_batch
from gon.wire.frame import HEADER_BYTES
from gon.wire.ops import AnyOp
from gon.wire.repeats import PlainUnfolds, is_folded
from gon.wire.session import Role, Session
from gon.wire.versions import VERSION_MAX
from gon_client.device import Device
from gon_client.outbox import outbox_for
from gon_client.pending import NO_ORIGIN
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session
from tests.unit.adders import FORMAT, Adder, unit_of

SMALL = [ops.Fill(1, 2, at, 1, b"\1") for at in range(2 * BATCH_OPS_MAX + 300)]
LARGE = [
    ops.Write(1, 2, 0, INLINE_BYTES_MAX, bytes([at]) * INLINE_BYTES_MAX)
    for at in range(HEAD_BYTES_MAX // INLINE_BYTES_MAX + 9)
]


@pytest.mark.parametrize("gathered", [SMALL, LARGE, [*LARGE[:9], *SMALL], [*SMALL, *LARGE]])
def test_more_than_a_frame_may_have_is_several(gathered: list[AnyOp]) -> None:
    outbox, unfolds = outbox_for(VERSION_MAX), PlainUnfolds()
    session = Session(Role.CLIENT, frames_max=9, bytes_max=1 << 30)
    session.join(0)
    for op in gathered:
        outbox.add(op, NO_ORIGIN)
    sent: list[AnyOp] = []
    while outbox.count:
        first, marks, head = outbox.seal(session)
        assert len(head) <= HEAD_BYTES_MAX
        body = memoryview(head)[HEADER_BYTES:]
        if is_folded(body):
            body = memoryview(unfolds.unfold(body))
            unfolds.commit()
        batch = decode_batch(body, ())
        assert batch.first == first == len(sent) + 1
        assert len(batch.ops) == len(marks) <= BATCH_OPS_MAX
        sent += batch.ops
        assert outbox.count == len(gathered) - len(sent)
    assert sent == gathered
    assert outbox.claim(1) == len(sent) + 1


def launches(code: bytes, *key: bytes) -> int:
    """Return how many ops went folded, of a function's launches that nobody waited for."""
    worker = InprocWorker(unit_of(SimDevice(), Adder()))
    session = open_session(worker)
    far = RemoteDevice(session)
    device = Device(
        far,
        where="afar",
        memory_bytes=1 << 20,
        counts=far.counts,
        on_close=lambda: None,
        express=session.express,
    )
    kernel = device.compile(code, FORMAT).get_kernel("sum")
    arrays = [device.zeros(8, np.uint8) for _ in range(3)]
    for _ in range(4 * BATCH_OPS_MAX):
        gon.launch(device.default_stream, gon.LaunchConfig(1), kernel, *arrays, *key, 8)
    device.sync()
    repeated = far.counts().repeated
    device.close()
    worker.close()
    return repeated


@pytest.mark.skipif(not NATIVE, reason="only what is native folds")
def test_launches_with_keys_are_not_remembered() -> None:
    assert launches(b"plain") > BATCH_OPS_MAX
    assert launches(b"keyed", bytes(4)) == 0
    outbox = outbox_for(VERSION_MAX)
    session = Session(Role.CLIENT, frames_max=9, bytes_max=1 << 30)
    session.join(0)
    for value, folds in ((bytes(8), True), (bytes(32), False), (bytes(8), True)):
        for _ in range(20):
            outbox.add(ops.Launch(1, 2, (1, 1, 1), (1, 1, 1), 0, (value,)), NO_ORIGIN)
        head = outbox.seal(session)[2]
        assert is_folded(memoryview(head)[HEADER_BYTES:]) is folds


@pytest.mark.parametrize("by", ["sync", "flush", "close"])
def test_all_of_it_goes_out(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device, clock, served = SimDevice(), HeldClock(), threading.Event()
    worker = InprocWorker(device)
    serve = worker.conversation.serve

    def told(link: Link) -> bool:
        said_goodbye = serve(link)
        served.set()
        return said_goodbye

    monkeypatch.setattr(worker.conversation, "serve", told)
    link = open_session(worker, clock=clock)
    far = RemoteDevice(link)
    clock.settle()
    # As finalizers do in the middle of a send: they are not sent meanwhile.
    link._batcher.ops_target = 1 << 30
    buffers = [Handle(100 + number) for number in range(2 * BATCH_OPS_MAX + 300)]
    for buffer in buffers:
        far.allocate(buffer, 64)
    if by == "sync":
        far.sync(DEFAULT_STREAM).wait(PATIENCE_S)
    elif by == "flush":
        link.flush()
        assert link._outbox.count == 0
    far.close()
    assert served.wait(PATIENCE_S)
    clock.close()
    worker.close()
    # All of them were made.
    for buffer in buffers:
        device.free(buffer)
