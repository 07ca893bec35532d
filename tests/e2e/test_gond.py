"""gond as a real process: its life, its leases, its control plane."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import gon
from gon.errors import (
    GonError,
    HostUnreachable,
    InvalidArgument,
    LeaseLost,
    LeaseRefused,
    WaitTimeout,
)
from gon.limits import LEASE_S, NAME_BYTES_MAX
from gon.model import LeaseTerms
from gon_client.control import ControlChannel, LeaseState
from tests.e2e.gond_process import (
    PATIENCE_S,
    REAL_WORKER,
    Gond,
    GondFailedError,
    all_free,
    connect,
    ended,
    gone,
    greeting,
    is_closed,
    real_gond,
    until,
)


@pytest.fixture
def gond(tmp_path: Path) -> Iterator[Gond]:
    with Gond(tmp_path, units=("soft=test:,slices=4,memory_bytes=4096",)) as daemon:
        yield daemon


@pytest.fixture
def channel(gond: Gond) -> Iterator[ControlChannel]:
    opened = gond.channel()
    yield opened
    opened.close()


def taken(channel: ControlChannel) -> int:
    return sum(unit.slices - unit.slices_free for unit in channel.describe().units)


# Its life ---------------------------------------------------------------------------------------
def test_it_says_where_it_listens_and_what_it_exports(gond: Gond) -> None:
    assert gond.ready.pid == gond.process.pid
    assert gond.ready.control[0] == f"unix://{gond.socket}"
    assert gond.ready.units == ("soft",)
    assert len(gond.ready.data) == 2
    for line in ("gond ready", f"control {gond.tcp}", "unit soft"):
        assert line in gond.output


def test_it_is_small(gond: Gond) -> None:
    assert psutil.Process(gond.process.pid).memory_info().rss < 100 << 20


def test_a_signal_drains_an_idle_daemon(gond: Gond) -> None:
    children = psutil.Process(gond.process.pid).children(recursive=True)
    sockets = [Path(uri.removeprefix("unix://")) for uri in (gond.unix, gond.ready.data[0])]
    assert all(path.is_socket() for path in sockets)
    gond.signal(signal.SIGTERM)
    assert gond.wait() == 0
    assert gone(children)
    assert not any(path.exists() for path in sockets)


def test_a_draining_daemon_ends_leases_with_the_reason(tmp_path: Path) -> None:
    with Gond(tmp_path, "--drain-s=0.2") as gond:
        channel = gond.channel()
        lease = channel.acquire()
        with connect(lease.endpoint, lease.token) as link:
            greeting(link)
            gond.signal(signal.SIGTERM)
            until(lambda: channel.describe().draining, "gond drains")
            with pytest.raises(GonError, match=r"draining|nobody answers"):
                channel.acquire()
            assert is_closed(link)
        assert gond.wait() == 0
        assert f"{lease.id} has ended: gond is draining" in gond.output
        channel.close()


def test_a_draining_daemon_waits_for_leases(tmp_path: Path) -> None:
    with Gond(tmp_path, "--drain-s=600") as gond:
        channel = gond.channel()
        lease = channel.acquire()
        gond.signal(signal.SIGTERM)
        until(lambda: channel.describe().draining, "gond drains")
        assert channel.inspect(lease.id, lease.token).state is LeaseState.READY
        assert channel.renew(lease.id, lease.token) > 0
        channel.release(lease.id, lease.token)
        assert gond.wait() == 0
        channel.close()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Gond(tmp_path, "--drain-s=600") as gond:
        channel = gond.channel()
        channel.acquire()
        children = psutil.Process(gond.process.pid).children(recursive=True)
        gond.signal(signal.SIGINT)
        until(lambda: channel.describe().draining, "gond drains")
        gond.signal(signal.SIGINT)
        assert gond.wait() == 0
        assert gone(children)
        channel.close()


def test_epochs_and_fences_grow_across_starts(tmp_path: Path) -> None:
    terms: list[LeaseTerms] = []
    for _ in range(2):
        with Gond(tmp_path) as gond:
            channel = gond.channel()
            terms.append(channel.acquire())
            channel.close()
    assert [lease.epoch for lease in terms] == [1, 2]
    assert terms[0].fence < terms[1].fence


def test_a_socket_left_by_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    with Gond(tmp_path) as first:
        first.kill()
        assert first.socket.is_socket()
        with Gond(tmp_path) as second:
            assert second.channel().describe().epoch == 2


# What it refuses to start with ------------------------------------------------------------------
def test_two_daemons_on_one_socket_are_refused(gond: Gond, tmp_path: Path) -> None:
    with pytest.raises(GondFailedError, match=r"a daemon listens on unix://") as failed:
        Gond(tmp_path, state="other")
    assert failed.value.status == 2
    assert gond.channel().describe().epoch == 1


def test_two_daemons_on_one_port_are_refused(gond: Gond, tmp_path: Path) -> None:
    data = "--data-listen=tcp://127.0.0.1:0"
    with pytest.raises(GondFailedError, match=rf"cannot listen on {gond.tcp}") as failed:
        Gond(tmp_path, data, name="other", state="other", listen=(gond.tcp,))
    assert failed.value.status == 2


def test_two_daemons_with_one_state_are_refused(gond: Gond, tmp_path: Path) -> None:
    with pytest.raises(GondFailedError, match=r"another gond runs with state_dir"):
        Gond(tmp_path, name="other")
    assert gond.process.poll() is None


@pytest.mark.parametrize("flag", ["--listen=gon://0.0.0.0:0", "--data-listen=tcp://0.0.0.0:0"])
def test_an_address_that_others_reach_needs_insecure(tmp_path: Path, flag: str) -> None:
    with pytest.raises(GondFailedError, match=r"can be reached by other machines.*--insecure"):
        Gond(tmp_path, flag)
    with Gond(tmp_path, flag, "--insecure") as gond:
        assert "WARNING: " in gond.output
        channel = gond.channel()
        # A wildcard is not an address to connect to: the client puts the dialled one there.
        lease = channel.acquire(link="tcp")
        assert "0.0.0.0" not in lease.endpoint
        connect(lease.endpoint, lease.token).close()
        channel.close()


def test_a_setting_that_is_unknown_is_named(tmp_path: Path) -> None:
    (tmp_path / "gond.toml").write_text("lease = 3\n")
    with pytest.raises(GondFailedError, match=r"key 'lease' in .*'lease_s'") as failed:
        Gond(tmp_path, f"--config={tmp_path / 'gond.toml'}")
    assert failed.value.status == 2


def test_a_unit_on_a_backend_that_there_is_not_is_named(tmp_path: Path) -> None:
    """It would be exported, and no lease of it would ever start."""
    with pytest.raises(GondFailedError, match=r"unit soft: no backend 'opncl'.* cuda, ") as failed:
        real_gond(tmp_path, unit="soft=opncl:")
    assert failed.value.status == 2


# Its leases -------------------------------------------------------------------------------------
def test_a_lease_from_acquire_to_release(gond: Gond, channel: ControlChannel) -> None:
    lease = channel.acquire(unit="soft", personality="gpu", memory_bytes=1025, client="test")
    assert (lease.unit, lease.personality, lease.memory_bytes) == ("soft", "gpu", 2048)
    assert (lease.lease_s, lease.epoch, lease.fence) == (LEASE_S, 1, (1 << 32) + 1)
    assert taken(channel) == 2
    assert lease.token.hex() not in repr(lease)
    assert 0 < channel.renew(lease.id, lease.token) <= LEASE_S
    channel.release(lease.id, lease.token)
    assert taken(channel) == 0
    status = channel.inspect(lease.id, lease.token)
    assert (status.state, status.reason) == (LeaseState.ENDED, "released")
    channel.release(lease.id, lease.token)
    with pytest.raises(LeaseLost, match=r"has ended: released"):
        channel.renew(lease.id, lease.token)


@pytest.mark.parametrize("link", ["tcp", "unix"])
def test_a_data_link_reaches_the_lease_s_own_worker(channel: ControlChannel, link: str) -> None:
    leases = [channel.acquire(link=link) for _ in range(2)]
    for lease in leases:
        assert lease.endpoint.startswith(link + "://")
        with connect(lease.endpoint, lease.token) as sock:
            assert greeting(sock) == lease.id
            sock.sendall(b"ping")
            assert sock.recv(4, socket.MSG_WAITALL) == b"ping"


def test_a_zmq_lease_names_the_endpoint_of_its_worker(channel: ControlChannel) -> None:
    lease = channel.acquire(link="zmq")
    # The stand-in says port 1 of what it was told to bind.
    assert lease.endpoint == "zmq+tcp://127.0.0.1:1"


def test_the_link_follows_the_address(gond: Gond, channel: ControlChannel) -> None:
    assert channel.acquire().endpoint.startswith("unix://")
    over_tcp = ControlChannel(gond.tcp)
    assert over_tcp.acquire().endpoint.startswith("tcp://127.0.0.1:")
    over_tcp.close()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"unit": "gpu7"}, r"there is no unit 'gpu7'; the units of this host: soft"),
        ({"personality": "xpu"}, r"no unit of this host offers personality 'xpu'"),
        ({"unit": "soft", "memory_bytes": 4097}, r"more than the whole of unit soft"),
    ],
)
def test_refusals_say_why(
    channel: ControlChannel, wanted: dict[str, str | int], message: str
) -> None:
    with pytest.raises(LeaseRefused, match=message):
        channel.acquire(**wanted)  # type: ignore[arg-type]
    assert taken(channel) == 0


def test_a_full_unit_says_what_is_free(channel: ControlChannel) -> None:
    lease = channel.acquire(memory_bytes=3072)
    with pytest.raises(LeaseRefused, match=r"unit soft has 1 of 4 slices"):
        channel.acquire(memory_bytes=1025)
    channel.release(lease.id, lease.token)
    assert channel.acquire(memory_bytes=4096).memory_bytes == 4096


def test_arguments_are_checked_before_they_are_sent(channel: ControlChannel) -> None:
    for wanted in ({"link": "pigeon"}, {"memory_bytes": -1}, {"unit": "x" * 9999}):
        with pytest.raises(InvalidArgument, match=next(iter(wanted))):
            channel.acquire(**wanted)  # type: ignore[arg-type]


def test_only_the_token_speaks_for_a_lease(channel: ControlChannel) -> None:
    lease = channel.acquire()
    for act in (channel.renew, channel.release, channel.inspect):
        with pytest.raises(LeaseRefused, match=r"the token is not that of"):
            act(lease.id, bytes(32))
    with pytest.raises(LeaseLost, match=r"nothing is known of a lease"):
        channel.inspect("lease-9-9", lease.token)


def test_a_lease_that_is_not_renewed_ends_its_link(tmp_path: Path) -> None:
    with Gond(tmp_path, "--lease-s=0.3") as gond:
        channel = gond.channel()
        lease = channel.acquire()
        with connect(lease.endpoint, lease.token) as link:
            greeting(link)
            assert is_closed(link)
        assert ended(channel, lease.id, lease.token).reason == "expired: not renewed for 0.3 s"
        until(lambda: all_free(channel), "the slices come back")
        channel.close()


def test_a_lease_whose_link_stays_away_ends(tmp_path: Path) -> None:
    with Gond(tmp_path, "--grace-s=0.2") as gond:
        channel = gond.channel()
        lease = channel.acquire()
        with connect(lease.endpoint, lease.token) as link:
            greeting(link)
        assert ended(channel, lease.id, lease.token).reason == "link gone for 0.2 s"
        channel.close()


def test_thirty_two_leases_at_once(tmp_path: Path) -> None:
    with Gond(tmp_path, units=("soft=test:",)) as gond, ThreadPoolExecutor(32) as threads:
        channel = gond.channel()
        leases = [each.result() for each in [threads.submit(channel.acquire) for _ in range(32)]]
        assert len({lease.fence for lease in leases}) == 32
        assert len({lease.token for lease in leases}) == 32
        with pytest.raises(LeaseRefused, match=r"unit soft has 0 of 32 slices"):
            channel.acquire()
        links = [connect(lease.endpoint, lease.token) for lease in leases]
        assert [greeting(link) for link in links] == [lease.id for lease in leases]
        assert len(gond.workers()) == 32
        for each in [threads.submit(channel.release, le.id, le.token) for le in leases]:
            each.result()
        for link in links:
            assert is_closed(link)
            link.close()
        assert all_free(channel)
        channel.close()


# Its control plane ------------------------------------------------------------------------------
def test_it_describes_itself(gond: Gond, channel: ControlChannel) -> None:
    info = channel.describe()
    assert (info.address, info.version, info.epoch) == (gond.unix, gond.ready.version, 1)
    assert info.name == socket.gethostname()
    assert info.wire_versions[0] <= info.wire_versions[1]
    (unit,) = info.units
    assert (unit.id, unit.kind, unit.memory_bytes, unit.slices) == ("soft", "eagphpu", 4096, 4)
    assert (unit.personality, unit.personalities[0]) == ("gpu", "gpu")
    assert "apu" in unit.personalities


def test_health_and_reflection_answer(gond: Gond) -> None:
    with grpc.insecure_channel(f"unix:{gond.socket}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "gon.pb.v1.Control"):
            asked = health_pb2.HealthCheckRequest(service=service)
            reply = health.Check(asked, timeout=PATIENCE_S)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (listed,) = reflection.ServerReflectionInfo(iter([asked]), timeout=PATIENCE_S)
        names = {service.name for service in listed.list_services_response.service}
        assert {"gon.pb.v1.Control", "grpc.health.v1.Health"} <= names


def test_a_name_too_long_is_refused_by_the_daemon_too(
    channel: ControlChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gon_client.control.NAME_BYTES_MAX", 10 * NAME_BYTES_MAX)
    with pytest.raises(InvalidArgument, match=r"unit is longer than"):
        channel.acquire(unit="x" * (NAME_BYTES_MAX + 1))


def test_nobody_there_is_said_with_the_address(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"gon://127.0.0.1:{bound.getsockname()[1]}"
        channel = ControlChannel(address)
        with pytest.raises(HostUnreachable, match=rf"nobody answers as gond at {address}"):
            channel.describe()
        channel.close()
    channel = ControlChannel(f"unix://{tmp_path}/none.sock")
    with pytest.raises(HostUnreachable, match=r"none\.sock; is gond running"):
        channel.describe()
    channel.close()
    with pytest.raises(HostUnreachable, match=r"is closed"):
        channel.describe()


def test_a_silent_host_ends_in_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = ControlChannel(f"gon://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
        with pytest.raises((WaitTimeout, HostUnreachable), match=r"127\.0\.0\.1"):
            channel.describe()
        channel.close()


def test_its_log_says_which_process_serves_a_lease(tmp_path: Path) -> None:
    """And workers log as much as it does, with their process beside."""
    with Gond(tmp_path, *REAL_WORKER, units=("soft=sim:1,memory_bytes=4096",)) as daemon:
        with gon.connect(daemon.unix) as host, host.acquire():
            pass
        serves = re.search(r"gond\.fleet: lease \S+: worker pid (\d+)", daemon.output)
        assert serves is not None
        until(lambda: f"gond.worker[{serves[1]}]: lease ended: " in daemon.output, "the end")
