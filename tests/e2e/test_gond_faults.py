"""gond as a real process, when others die, break or misbehave."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import grpc
import psutil
import pytest

from gon.errors import CompileError, HostUnreachable, LeaseLost, LeaseRefused, WaitTimeout
from gon.limits import HALF_OPEN_MAX, PREAMBLE_MAGIC, SIDE_MAGIC, TOKEN_BYTES
from gon.model import LeaseTerms
from gon_client.control import ControlChannel, LeaseState
from tests.e2e.gond_process import (
    Gond,
    all_free,
    connect,
    dial,
    ended,
    gone,
    greeting,
    is_closed,
    until,
)
from tests.e2e.standin_worker import CRASH_STATUS

# Stands for the lease's real token.
TOKEN = b"<the token of the lease, really>"
SECRET = "a secret of gond's environment"


@pytest.fixture
def gond(tmp_path: Path) -> Iterator[Gond]:
    with Gond(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def channel(gond: Gond) -> Iterator[ControlChannel]:
    opened = gond.channel()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlChannel]:
    """A channel to a gond that no test here ends."""
    with Gond(tmp_path_factory.mktemp("shared")) as daemon:
        opened = daemon.channel()
        yield opened
        opened.close()


def worker_of(gond: Gond, link: socket.socket) -> psutil.Process:
    """Return the worker that holds the other end of a unix link."""
    path = link.getpeername()
    (worker,) = (
        each
        for each in gond.workers()
        if any(found.laddr == path for found in each.net_connections("unix"))
    )
    return worker


# Processes that die -----------------------------------------------------------------------------
def test_a_killed_worker_ends_its_lease_alone(gond: Gond, channel: ControlChannel) -> None:
    lease, other = channel.acquire(), channel.acquire()
    with connect(lease.endpoint, lease.token) as link:
        greeting(link)
        worker_of(gond, link).kill()
        assert is_closed(link)
    status = ended(channel, lease.id, lease.token)
    assert status.reason == "worker killed by signal 9 (SIGKILL)"
    with pytest.raises(LeaseLost, match=r"has ended: worker killed by signal 9 \(SIGKILL\)"):
        channel.renew(lease.id, lease.token)
    with connect(other.endpoint, other.token) as link:
        assert greeting(link) == other.id
    channel.release(other.id, other.token)
    until(lambda: all_free(channel), "the slices come back")


def test_a_killed_idle_worker_is_replaced(gond: Gond, channel: ControlChannel) -> None:
    until(lambda: len(gond.workers()) == 2, "the pool is full")
    killed = gond.workers()
    for worker in killed:
        worker.kill()
    assert gone(killed)
    given: list[LeaseTerms] = []

    def acquired() -> bool:
        # One that was killed while it opened the device may be blamed on the device for a moment.
        with suppress(LeaseRefused):
            given.append(channel.acquire())
        return bool(given)

    until(acquired, "a worker serves")
    with connect(given[0].endpoint, given[0].token) as link:
        assert greeting(link) == given[0].id


def test_a_killed_spawner_is_replaced(gond: Gond, channel: ControlChannel) -> None:
    lease = channel.acquire()
    workers = gond.workers()
    spawner = gond.spawner()
    spawner.kill()
    assert gone([*workers, spawner])
    assert ended(channel, lease.id, lease.token).reason == (
        "worker killed: the spawner process died"
    )
    assert all_free(channel)
    again = channel.acquire()
    with connect(again.endpoint, again.token) as link:
        assert greeting(link) == again.id
    assert gond.spawner().pid != spawner.pid
    assert again.fence > lease.fence


def test_a_spawner_that_cannot_start_is_said_so(tmp_path: Path) -> None:
    with Gond(tmp_path, "--worker-entry=gon_server.nothing:serve") as gond:
        channel = gond.channel()
        with pytest.raises(LeaseRefused, match=r"the process that starts workers keeps dying"):
            channel.acquire()
        assert "No module named 'gon_server.nothing'" in gond.output
        gond.signal(signal.SIGTERM)
        assert gond.wait() == 0
        channel.close()


def test_a_killed_daemon_takes_everything_along(gond: Gond, channel: ControlChannel) -> None:
    lease = channel.acquire()
    children = psutil.Process(gond.process.pid).children(recursive=True)
    assert len(children) >= 2
    with connect(lease.endpoint, lease.token) as link:
        greeting(link)
        gond.kill()
        assert is_closed(link)
    assert gone(children)
    with pytest.raises(HostUnreachable, match=r"nobody answers as gond"):
        channel.renew(lease.id, lease.token)


def test_a_worker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with Gond(tmp_path, units=("soft=test:deaf",)) as gond:
        channel = gond.channel()
        lease = channel.acquire()
        channel.release(lease.id, lease.token)
        assert channel.inspect(lease.id, lease.token).reason == "released"
        assert all_free(channel)
        channel.close()


def test_a_worker_that_talks_nonsense_is_killed(tmp_path: Path) -> None:
    with Gond(tmp_path, units=("soft=test:rude",)) as gond:
        channel = gond.channel()
        with pytest.raises(LeaseRefused, match=r"the worker said Exited out of turn"):
            channel.acquire()
        until(lambda: all_free(channel), "the slices come back")
        channel.close()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("loose", "the worker wants nonsense built: a file that is not sealed"),
        # Its builder was killed for it.
        ("liar", f"worker exited with status {int(CompileError.code)}"),
        ("wordy", f"worker exited with status {int(CompileError.code)}"),
    ],
)
def test_nonsense_of_workers_and_builders_is_not_passed_on(
    tmp_path: Path, behaviour: str, reason: str
) -> None:
    with Gond(tmp_path, units=(f"soft=test:{behaviour}",)) as gond:
        channel = gond.channel()
        # The second one sees that the first has not ended all builds.
        for _ in range(2):
            lease = channel.acquire()
            assert ended(channel, lease.id, lease.token).reason == reason
        assert ("the builder answers nonsense" in gond.output) == (behaviour != "loose")
        channel.close()


def test_a_device_that_what_was_found_out_does_not_open_is_opened_without(tmp_path: Path) -> None:
    with Gond(tmp_path, units=("soft=test:stale,slices=2,warm=1",)) as gond:
        channel = gond.channel()
        channel.acquire()

        def acquired() -> bool:
            try:
                channel.acquire()
            except LeaseRefused:
                return False
            return True

        until(acquired, "the device opens again")
        assert "opens nothing" in gond.output
        channel.close()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("broken", r"the stand-in is broken on purpose"),
        ("crash", rf"worker exited with status {CRASH_STATUS}"),
    ],
)
def test_a_device_that_does_not_open_is_said_so(
    tmp_path: Path, behaviour: str, reason: str
) -> None:
    units = (f"bad=test:{behaviour}", "good=test:")
    with Gond(tmp_path, units=units) as gond:
        channel = gond.channel()
        for _ in range(3):
            with pytest.raises(LeaseRefused, match=rf"unit bad: its device .* {reason}"):
                channel.acquire(unit="bad")
        assert channel.acquire(unit="good").unit == "good"
        # Not a hot loop: each start is later than the one before.
        assert gond.output.count("unit bad: no worker:") < 10
        channel.close()


def test_workers_keep_nothing_they_must_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", SECRET)
    with Gond(tmp_path, units=("soft=test:report",)) as gond:
        channel = gond.channel()
        with pytest.raises(LeaseRefused) as refused:
            channel.acquire()
        expected = "dumpable 0, core 0, files 1, no new privileges 1, blocked 0"
        assert expected in refused.value.message
        environment = Path(f"/proc/{gond.spawner().pid}/environ").read_text()
        assert SECRET not in environment
        channel.close()


def test_a_worker_is_pinned_as_told(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    with Gond(tmp_path, units=(f"soft=test:,cpus={cpu}",)) as gond:
        # gond is ready once a worker is warm.
        assert [cpu] in [worker.cpu_affinity() for worker in gond.workers()]


# The data port ----------------------------------------------------------------------------------
def say(endpoint: str, words: bytes) -> bool:
    """Say `words` to the data port; return whether it hung up without a word."""
    with dial(endpoint) as sock:
        sock.sendall(words)
        return is_closed(sock)


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(4096),
        PREAMBLE_MAGIC + os.urandom(TOKEN_BYTES),
        PREAMBLE_MAGIC + bytes(TOKEN_BYTES),
        PREAMBLE_MAGIC[:-1] + b"9" + TOKEN,
        SIDE_MAGIC + bytes(TOKEN_BYTES),
        TOKEN,
    ],
    ids=["http", "noise", "guess", "zeros", "version", "side", "bare"],
)
def test_what_is_no_preamble_is_hung_up_on(
    shared: ControlChannel, scheme: str, words: bytes
) -> None:
    lease = shared.acquire(link=scheme)
    assert say(lease.endpoint, words.replace(TOKEN, lease.token))
    with connect(lease.endpoint, lease.token) as link:
        assert greeting(link) == lease.id
    shared.release(lease.id, lease.token)


def test_not_a_byte_beyond_the_preamble_is_taken(channel: ControlChannel) -> None:
    lease = channel.acquire(link="tcp")
    data = os.urandom(3000)
    with dial(lease.endpoint) as link:
        link.sendall(PREAMBLE_MAGIC + lease.token + data)
        assert greeting(link) == lease.id
        assert link.recv(len(data), socket.MSG_WAITALL) == data


def test_a_preamble_may_come_byte_by_byte(channel: ControlChannel) -> None:
    lease = channel.acquire(link="tcp")
    with dial(lease.endpoint) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREAMBLE_MAGIC + lease.token:
            link.sendall(bytes([byte]))
        assert greeting(link) == lease.id


def test_the_token_of_an_ended_lease_opens_nothing(channel: ControlChannel) -> None:
    lease = channel.acquire()
    channel.release(lease.id, lease.token)
    with connect(lease.endpoint, lease.token) as link:
        assert is_closed(link)


def test_whoever_dawdles_is_hung_up_on(gond: Gond, channel: ControlChannel) -> None:
    lease = channel.acquire(link="tcp")
    with dial(lease.endpoint) as slow:
        slow.sendall(PREAMBLE_MAGIC)
        assert is_closed(slow)
    assert "it showed no token in time" in gond.output


def test_a_crowd_of_dawdlers_keeps_nobody_out(gond: Gond, channel: ControlChannel) -> None:
    lease = channel.acquire(link="tcp")
    crowd = [dial(lease.endpoint) for _ in range(HALF_OPEN_MAX + 8)]
    for each in crowd:
        each.setblocking(True)
    with connect(lease.endpoint, lease.token) as link:
        assert greeting(link) == lease.id
        # The oldest made room.
        assert is_closed(crowd[0])
        link.sendall(b"on")
        assert link.recv(2, socket.MSG_WAITALL) == b"on"
    for each in crowd:
        each.close()
    assert channel.inspect(lease.id, lease.token).state is LeaseState.READY


def test_noise_on_the_control_port_harms_nothing(gond: Gond, channel: ControlChannel) -> None:
    endpoint = gond.tcp.replace("gon://", "tcp://")
    for _ in range(20):
        with dial(endpoint) as sock:
            sock.sendall(os.urandom(2000))
    assert channel.acquire().unit == "soft"
    assert gond.process.poll() is None


def test_requests_that_are_no_messages_are_answered_and_fill_no_log(
    gond: Gond, channel: ControlChannel
) -> None:
    with grpc.insecure_channel(gond.tcp.removeprefix("gon://")) as stranger:
        for method in ("gon.pb.v1.Control/Renew", "grpc.health.v1.Health/Check"):
            call = cast(
                "Callable[[bytes], bytes]",
                stranger.unary_unary(  # pyright: ignore[reportUnknownMemberType]
                    f"/{method}", bytes, bytes
                ),
            )
            for _ in range(5):
                with pytest.raises(grpc.RpcError, match="Error parsing message"):
                    call(b"\xff" * 40)
    assert channel.acquire().unit == "soft"
    assert "Traceback" not in gond.output


def test_a_client_that_hangs_up_while_it_waits_leaves_nothing(tmp_path: Path) -> None:
    with Gond(tmp_path, units=("soft=test:stuck,warm=0",)) as gond:
        channel = gond.channel()
        with pytest.raises(WaitTimeout, match=r"did not answer within 0\.2 s"):
            channel.acquire(timeout_s=0.2)
        until(lambda: all_free(channel), "the slices come back")
        gond.signal(signal.SIGTERM)
        assert gond.wait() == 0
        channel.close()
