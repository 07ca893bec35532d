"""Everything that can be wrong: its own exception with code, op and line, or the end of one link.

gond goes on, and a bystander, a device of another lease, notices nothing.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gon
from gon.errors import Code
from gon.limits import HEAD_BYTES_MAX, PREAMBLE_MAGIC
from gon.model import Handle
from gon.transport.registry import connect as connect_link
from gon.wire.batch import Batch, Hello, encode
from gon.wire.frame import Kind, encode_head
from gon.wire.ops import Free
from gon.wire.versions import VERSION_MAX
from gon_client.control import ControlChannel
from tests.e2e.gond_process import PATIENCE_S, Gond, connect, dial, gone, is_closed, real_gond

SOURCE = """
kernel void saxpy(float a, global const float *x, global float *y, int n) {
    int i = get_global_id(0);
    if (i < n) y[i] += a * x[i];
}
kernel void add_one(global int *x) { x[get_global_id(0)] += 1; }
kernel void endless(global volatile int *x) { while (x[0] == 0) { } }
"""


class Bystander:
    """Another lease, at work: `check` finds it undisturbed."""

    def __init__(self, device: gon.Device) -> None:
        self.device = device
        self._add = device.compile(SOURCE).get_kernel("add_one")
        self._x = device.zeros(8, np.int32)
        self._count = 0

    def check(self) -> None:
        self._count += 1
        gon.launch(self.device.default_stream, gon.LaunchConfig(8), self._add, self._x)
        assert self._x.get().tolist() == [self._count] * 8
        assert gon.stats(self.device).counts.resumed == 0


@pytest.fixture(scope="module")
def bystander(soft_gond: Gond) -> Iterator[Bystander]:
    with gon.connect(soft_gond.tcp) as host, host.acquire() as device:
        yield Bystander(device)


@pytest.fixture(autouse=True)
def nobody_else_notices(bystander: Bystander) -> Iterator[None]:
    yield
    bystander.check()


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


# Hosts and leases -------------------
def test_unknown_hosts_are_named() -> None:
    with socket.socket() as sock:
        # Held, so that nobody else listens there meanwhile.
        sock.bind(("127.0.0.1", 0))
        for address in (f"gon://127.0.0.1:{sock.getsockname()[1]}", "unix:///nowhere/gond.sock"):
            with pytest.raises(gon.HostUnreachable, match="nobody answers") as caught:
                gon.connect(address, timeout_s=5)
            assert caught.value.code is Code.HOST_UNREACHABLE
    with pytest.raises(gon.InvalidArgument, match="gon://"):
        gon.connect("http://127.0.0.1:1")


def test_refused_leases_say_why(soft_gond: Gond) -> None:
    with gon.connect(soft_gond.tcp) as host:
        with pytest.raises(gon.LeaseRefused, match="nosuch"):
            host.acquire(unit="nosuch")
        with pytest.raises(gon.LeaseRefused, match="personality"):
            host.acquire(personality="xpu")
        with pytest.raises(gon.LeaseRefused, match="slice"):
            host.acquire(memory_bytes=1 << 50)
        with pytest.raises(gon.InvalidArgument, match="link"):
            host.acquire(link="pigeon")


def test_a_lost_daemon_ends_the_lease(tmp_path: Path) -> None:
    with (
        real_gond(tmp_path, unit="eagphpu0=null:") as gond,
        gon.connect(gond.tcp) as host,
        host.acquire(grace_s=0.3) as device,
    ):
        device.sync()
        workers = gond.workers()
        gond.kill()
        # Workers end with it; one may still answer until it has.
        assert gone(workers)
        with pytest.raises(gon.LeaseLost, match="nobody answers"):
            device.sync()


def test_a_killed_worker_ends_its_lease_with_the_reason(soft_gond: Gond) -> None:
    """SIGKILL in the middle of a batch that never ends."""
    with gon.connect(soft_gond.tcp) as host:
        free = host.units()[0].slices_free
        with host.acquire() as device:
            endless = device.compile(SOURCE).get_kernel("endless")
            x = device.zeros(1, np.int32)
            gon.launch(device.default_stream, gon.LaunchConfig(1), endless, x)
            with pytest.raises(gon.WaitTimeout):
                device.sync(timeout_s=0.05)
            soft_gond.serving().kill()
            with pytest.raises(gon.LeaseLost, match="SIGKILL") as caught:
                device.sync()
            assert caught.value.code is Code.LEASE_LOST
            for call in (
                lambda: device.zeros(4),
                lambda: x.get(),
                lambda: device.compile(SOURCE),
                lambda: device.default_stream.record(),
            ):
                with pytest.raises(gon.LeaseLost):
                    call()
        assert host.units()[0].slices_free == free


def test_a_kernel_that_kills_its_process_ends_its_lease_only(soft_gond: Gond) -> None:
    wild = "kernel void wild(global int *x) { x[(1l << 40) + get_global_id(0)] = 1; }"
    with gon.connect(soft_gond.tcp) as host, host.acquire() as device:
        kernel = device.compile(wild).get_kernel("wild")
        x = device.zeros(1, np.int32)
        gon.launch(device.default_stream, gon.LaunchConfig(64), kernel, x)
        with pytest.raises(gon.LeaseLost, match="SIGSEGV"):
            device.sync()


# Programs ---------------------------
def test_a_kernel_that_does_not_compile_brings_the_log(device: gon.Device) -> None:
    with pytest.raises(gon.CompileError, match=r"undeclared|not_declared") as caught:
        device.compile("kernel void k(global int *x) { x[0] = not_declared; }")
    assert "not_declared" in caught.value.log
    assert caught.value.op == "Load"
    with pytest.raises(gon.CompileError) as caught:
        device.compile("\n\n__global__ void k(int *x) { x[0] = not_declared; }", "cuda-c")
    assert "program.cu:3:" in caught.value.log
    assert "not_declared" in caught.value.log
    with pytest.raises(gon.InvalidArgument, match="opencl-c, cuda-c"):
        device.compile("", "no-such-format")
    with pytest.raises(gon.InvalidArgument, match="saxpy"):
        device.compile(SOURCE).get_kernel("nosuch")


def test_wrong_arguments_raise_at_the_call(device: gon.Device) -> None:
    saxpy = device.compile(SOURCE).get_kernel("saxpy")
    x, y = device.zeros(8), device.zeros(8)
    doubles = device.zeros(8, np.float64)
    config = gon.LaunchConfig(1, 8)
    good: list[object] = [2.0, x, y, 8]
    cases: list[tuple[list[object], str]] = [
        (good[:3], "takes 4 arguments"),
        ([*good, 1], "5 were given"),
        ([np.float64(2), x, y, 8], "'a'.*float64"),
        ([2.0, np.zeros(8, np.float32), y, 8], "'x'.*ndarray"),
        ([2.0, doubles, y, 8], "'x'.*float64"),
        ([2.0, x, 7, 8], "'y'.*int"),
        ([2.0, x, y, 8.5], "'n'.*float"),
        ([2.0, x, y, 1 << 31], "'n'"),
        ([2.0, x, y, np.int64(8)], "'n'.*int64"),
        ([2.0, x, y, True], "'n'.*bool"),
        ([1e300, x, y, 8], "'a'"),
    ]
    for args, complaint in cases:
        with pytest.raises(gon.KernelArgumentError, match=f"saxpy.*{complaint}"):
            gon.launch(device.default_stream, config, saxpy, *args)
    with pytest.raises(gon.LaunchTooLarge, match="saxpy"):
        gon.launch(device.default_stream, gon.LaunchConfig(1, 1 << 20), saxpy, *good)
    for grid in (0, -1, (1, 2, 3, 4), 1.5):
        with pytest.raises(gon.InvalidArgument):
            gon.LaunchConfig(grid)  # type: ignore[arg-type]
    device.sync()


def test_things_of_another_lease_are_refused(device: gon.Device, bystander: Bystander) -> None:
    add = device.compile(SOURCE).get_kernel("add_one")
    foreign = bystander.device.zeros(8, np.int32)
    with pytest.raises(gon.BadHandle, match="another device"):
        gon.launch(device.default_stream, gon.LaunchConfig(8), add, foreign)
    with pytest.raises(gon.BadHandle, match="another device"):
        gon.launch(bystander.device.default_stream, gon.LaunchConfig(8), add, foreign)
    stream = bystander.device.default_stream
    with pytest.raises(gon.BadHandle, match="another device"):
        device.allocate(32).copy_from(foreign.buffer, stream=stream)
    with pytest.raises(gon.BadHandle, match="another device"):
        device.allocate(32).copy_from(foreign.buffer, source_stream=device.default_stream)


def test_a_handle_that_the_worker_does_not_know_is_refused_there(device: gon.Device) -> None:
    """Past the client's own checks: handles mean nothing outside their session."""
    stranger = Handle(987_654)
    device.contract.write(Handle(0), stranger, 0, memoryview(b"abcd"))
    at = line() - 1
    with pytest.raises(gon.BadHandle) as caught:
        device.sync()
    assert caught.value.op == "Write"
    assert caught.value.origin == f"{__file__}:{at}"


def test_out_of_memory_raises_at_the_call(device: gon.Device) -> None:
    with pytest.raises(gon.OutOfMemory, match="free"):
        device.allocate(1 << 45)
    device.contract.allocate(Handle(987_655), 1 << 45)
    with pytest.raises(gon.OutOfMemory, match="lease's") as caught:
        device.sync()
    assert (caught.value.op, caught.value.code) == ("Allocate", Code.OUT_OF_MEMORY)


def test_errors_of_posted_ops_name_the_line_that_queued_them(device: gon.Device) -> None:
    add = device.compile(SOURCE).get_kernel("add_one")
    x = device.zeros(8, np.int32)
    stream = device.create_stream()
    gon.launch(stream, gon.LaunchConfig(8), add, x)
    device.contract.launch(stream.handle, add.handle, (1, 1, 1), (1 << 20, 1, 1), 0, [x.arg])
    at = line() - 1
    gon.launch(stream, gon.LaunchConfig(8), add, x)
    with pytest.raises(gon.LaunchTooLarge) as caught:
        stream.sync()
    assert caught.value.op == "Launch"
    assert caught.value.origin == f"{__file__}:{at}"
    assert f"test_bad_input.py:{at}" in str(caught.value)
    with pytest.raises(gon.LaunchTooLarge):
        x.get(stream=stream)
    x.set(np.arange(8, dtype=np.int32))
    assert x.get().tolist() == list(range(8))


# Bytes ------------------------------
@pytest.fixture
def lease(soft_gond: Gond) -> Iterator[tuple[str, bytes]]:
    """The data endpoint and token of a lease that no client uses yet."""
    channel = ControlChannel(soft_gond.tcp)
    terms = channel.acquire(link="tcp")
    yield terms.endpoint, terms.token
    channel.release(terms.id, terms.token)
    channel.close()


NEWER = VERSION_MAX + 1
HELLO = Hello(1, 1, b"s" * 16, 0, "test")


def framed(head: bytes, *, magic: int = 0x6E47, length: int | None = None) -> bytes:
    return struct.pack("<IHH", len(head) if length is None else length, 0, magic) + head


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: gond\r\n\r\n" + bytes(64),
        PREAMBLE_MAGIC + bytes(32),
        bytes(4096),
        os.urandom(4096),
    ],
    ids=["nothing", "http", "wrong-token", "zeros", "random"],
)
def test_strangers_on_the_data_port_are_sent_away(soft_gond: Gond, raw: bytes) -> None:
    endpoint = next(uri for uri in soft_gond.ready.data if uri.startswith("tcp:"))
    with dial(endpoint) as sock:
        sock.sendall(raw)
        with contextlib.suppress(OSError):  # gond may have closed it already
            sock.shutdown(socket.SHUT_WR)
        assert is_closed(sock)


@pytest.mark.parametrize(
    "raw",
    [
        framed(b"", length=HEAD_BYTES_MAX + 1),
        framed(b"x" * 24, magic=1),
        framed(b"\x02" + bytes(30)),
        framed(b"\x01\x63" + bytes(30)),
        framed(encode_head(Kind.BATCH, 1, 0, (), b"")),
        framed(encode_head(Kind.HELLO, 0, 0, (), b"\xc1")),
        framed(encode_head(Kind.HELLO, 0, 0, (), encode(Hello(NEWER, NEWER, b"s" * 16, 0, "")))),
        framed(encode_head(Kind.HELLO, 0, 0, (), encode(Hello(1, 1, b"short", 0, "")))),
        framed(encode_head(Kind.HELLO, 0, 0, (), encode(Hello(1, 1, b"s" * 16, 5, "")))),
        framed(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
        + framed(encode_head(Kind.BATCH, 1, 0, (), b"\xc1")),
        framed(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
        + framed(encode_head(Kind.BATCH, 7, 0, (), encode(Batch(1, [Free(1)])))),
        framed(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
        + framed(encode_head(Kind.BATCH, 1, 99, (), encode(Batch(1, [Free(1)])))),
        framed(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
        + framed(encode_head(Kind.BATCH, 1, 0, (5,), encode(Batch(1, [Free(1)])))),
    ],
    ids=[
        "oversized",
        "bad-magic",
        "unknown-layout",
        "unknown-kind",
        "batch-before-hello",
        "hello-of-no-form",
        "unknown-version",
        "short-session-name",
        "session-never-begun",
        "batch-of-no-form",
        "gap",
        "impossible-ack",
        "payload-nobody-takes",
    ],
)
def test_a_tenant_that_breaks_the_protocol_loses_its_link(
    lease: tuple[str, bytes], raw: bytes
) -> None:
    with connect(*lease) as sock:
        sock.sendall(raw)
        while sock.recv(65536):
            pass
    # The lease itself stands: a client that keeps to the protocol is served.
    link = connect_link(lease[0], PREAMBLE_MAGIC + lease[1])
    link.send(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
    answer = link.receive(PATIENCE_S)
    assert answer is not None
    assert answer[1] in (Kind.WELCOME, Kind.REFUSE)
    link.close()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=500), greet=st.booleans())
def test_arbitrary_bytes_of_a_tenant(lease: tuple[str, bytes], raw: bytes, greet: bool) -> None:
    with connect(*lease) as sock:
        hello = framed(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
        sock.sendall((hello if greet else b"") + raw)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def test_a_frame_cut_short_has_no_effect(lease: tuple[str, bytes]) -> None:
    hello = framed(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
    batch = framed(encode_head(Kind.BATCH, 1, 0, (), encode(Batch(1, [Free(1)]))))
    for length in range(1, len(batch)):
        with connect(*lease) as sock:
            sock.sendall(hello + batch[:length])
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


def test_random_bytes_on_the_zmq_port(soft_gond: Gond) -> None:
    with gon.connect(soft_gond.tcp) as host, host.acquire(link="zmq") as device:
        channel = ControlChannel(soft_gond.tcp)
        other = channel.acquire(link="zmq")
        address = other.endpoint.removeprefix("zmq+")
        with dial(address) as sock:
            sock.sendall(os.urandom(1000))
        context = zmq.Context()
        stranger = context.socket(zmq.DEALER)
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(address)
        for parts in ([b""], [os.urandom(40)], [b"x"] * 50, [PREAMBLE_MAGIC + bytes(32)]):
            stranger.send_multipart(parts)
        link = connect_link(other.endpoint, PREAMBLE_MAGIC + other.token)
        link.send(encode_head(Kind.HELLO, 0, 0, (), encode(HELLO)))
        answer = link.receive(PATIENCE_S)
        assert answer is not None
        assert answer[1] == Kind.WELCOME
        link.close()
        stranger.close()
        context.term()
        channel.release(other.id, other.token)
        channel.close()
        device.sync()
