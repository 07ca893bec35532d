"""The command `gon` against a real gond: listing, running a command beside a lease, a small
benchmark.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from gon.errors import HostUnreachable
from gon_client import cli
from gon_client.bench import catalogue, private
from gon_client.bench.catalogue import (
    BINDING,
    DIRECT,
    ENQUEUES,
    HOST,
    LIBRARY,
    NATIVE,
    PLACES,
    PLAIN,
    RATES_PLACE,
)
from gon_client.bench.native import COMPILER
from gon_client.bench.private import PrivateHost, descendants, private_host, resident_mb
from gon_client.commands import root
from gon_client.connect import connect
from gon_client.reserved import LEASE_VARIABLE

GON = [sys.executable, "-c", "from gon_client.cli import main; main()"]
# What a command may take on a busy machine: the longest is half a minute of processor time.
TIMEOUT_S = 350
# The C echo is measured where there is a compiler.
NATIVES = [NATIVE] if shutil.which(COMPILER) else []


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host(()) as running:
        yield running


def gon(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `gon` as a user does, with nothing on its standard input."""
    return subprocess.run(
        [*GON, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**private.without_settings(os.environ), **environ},
    )


def free_slices(host: PrivateHost) -> int:
    with connect(host.unix) as found:
        return sum(unit.slices_free for unit in found.units())


def test_version_names_the_package() -> None:
    result = CliRunner().invoke(root.gon, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("gon, version ")


def test_info_shows_which_formats_a_unit_takes(host: PrivateHost) -> None:
    result = gon("info", "eagphpu0", "--host", host.tcp)
    assert result.returncode == 0, result.stderr
    assert "opencl-c: OpenCL C source" in result.stdout
    assert "cuda-c: CUDA C source" in result.stdout
    assert "npu: a neural processor" in result.stdout
    assert "onnx by onnxruntime " in result.stdout
    assert "threads" in result.stdout
    result = gon("info", "no-such", "--host", host.tcp)
    assert result.returncode == cli.EXIT_FAILED
    assert "no unit 'no-such'; there are: eagphpu0" in result.stderr


def test_ls_shows_the_units(host: PrivateHost) -> None:
    result = gon("ls", "--host", host.tcp)
    assert result.returncode == 0, result.stderr
    with connect(host.tcp) as found:
        units = found.units()
    assert all(unit.id in result.stdout for unit in units)
    listed = json.loads(gon("ls", "--json", GON_HOST=host.unix).stdout)
    assert [each["id"] for each in listed] == [unit.id for unit in units]


def test_an_unknown_host_is_one_line_and_a_status() -> None:
    result = gon("ls", "--host", "unix:///nowhere/gond.sock")
    assert result.returncode == cli.EXIT_FAILED
    assert result.stderr.startswith("gon: [HOST_UNREACHABLE]")
    assert "Traceback" not in result.stderr


# gon run ------------------------------------------------------------------------------------------
def test_a_command_runs_beside_a_lease_that_ends_with_it(host: PrivateHost) -> None:
    before = free_slices(host)
    code = (
        "import os; from gon_client.connect import connect\n"
        "with connect() as found: print(sum(unit.slices_free for unit in found.units()))\n"
        f"print(os.environ['GON_HOST'], os.path.exists(os.environ['{LEASE_VARIABLE}']))"
    )
    result = gon("run", "--host", host.tcp, "--", sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    during, told = result.stdout.splitlines()
    assert int(during) == before - 1
    assert told == f"{host.tcp} True"
    assert free_slices(host) == before


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_is_the_commands(host: PrivateHost, status: int) -> None:
    assert gon("run", "--host", host.unix, "--", "sh", "-c", f"exit {status}").returncode == status


def test_options_after_the_dashes_are_the_commands(host: PrivateHost) -> None:
    result = gon("run", "--host", host.unix, "--", "echo", "--unit", "-x", "--", "y")
    assert result.stdout == "--unit -x -- y\n"


def test_a_command_that_is_not_there_leaves_no_lease(host: PrivateHost) -> None:
    before = free_slices(host)
    assert gon("run", "--host", host.unix, "--", "no-such-command").returncode == 127
    assert gon("run", "--host", host.unix, "--", "/").returncode == 126
    assert free_slices(host) == before


def test_the_commands_death_by_a_signal_is_ours(host: PrivateHost) -> None:
    result = gon("run", "--host", host.unix, "--", "sh", "-c", "kill -KILL $$")
    assert result.returncode == -signal.SIGKILL
    result = gon("run", "--host", host.unix, "--", "sh", "-c", "kill -SEGV $$")
    assert result.returncode == -signal.SIGSEGV


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_command(host: PrivateHost, number: signal.Signals) -> None:
    before = free_slices(host)
    code = (
        "import signal, sys\n"
        f"signal.signal(signal.{number.name}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()"
    )
    with subprocess.Popen(
        [*GON, "run", "--host", host.unix, "--", sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(number)
        assert running.wait(TIMEOUT_S) == 42
    assert free_slices(host) == before


def test_a_refused_lease_runs_nothing(host: PrivateHost, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    result = gon("run", "--host", host.unix, "--unit", "none", "--", "touch", str(trace))
    assert result.returncode == cli.EXIT_FAILED
    assert "none" in result.stderr
    assert not trace.exists()


def test_the_first_device_of_the_command_is_the_leased_one(host: PrivateHost) -> None:
    before = free_slices(host)
    code = (
        "from gon_client.connect import connect\n"
        "free = lambda: sum(unit.slices_free for unit in found.units())\n"
        "with connect() as found:\n"
        "    with found.acquire() as dev:\n"
        "        one = free()\n"
        "        assert dev.asarray([1.0, 2.0]).get().sum() == 3\n"
        "        with found.acquire() as second: two = free()\n"
        "    print(one, two, free())"
    )
    result = gon("run", "--host", host.tcp, "--", sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(before - 1), str(before - 2), str(before)]
    assert result.stderr == ""
    assert free_slices(host) == before


# gon bench ----------------------------------------------------------------------------------------
def test_a_small_benchmark_gives_tables_a_file_and_a_picture(tmp_path: Path) -> None:
    rows, picture = tmp_path / "rows.json", tmp_path / "rows.png"
    result = gon(
        *("bench", "--quick", "--placement", "free", "--json", str(rows), "--plot", str(picture)),
        *("--workload", "rtt_launch", "--workload", "launch_rate", "--workload", "attach"),
        *(part for place in PLACES for part in ("--where", place)),
    )
    assert result.returncode == 0, result.stderr
    measured = {(row["id"], row["where"]) for row in json.loads(rows.read_text(encoding="utf-8"))}
    places = PLACES
    workloads = ("rtt_launch", "launch_rate", "attach")
    wanted = {(workload, where) for workload in workloads for where in places}
    assert measured == wanted | {
        ("socket_echo", PLAIN),
        ("pyopencl_call", BINDING),
        *(("c_echo", where) for where in NATIVES),
    }
    assert "asked and reached" in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_every_workload_runs_once_near_and_far(tmp_path: Path) -> None:
    """The other links and distances have their workloads above and below."""
    rows = tmp_path / "rows.json"
    wheres = (DIRECT, "tcp", "shm", RATES_PLACE)
    chosen = [word for where in wheres for word in ("--where", where)]
    result = gon("bench", "--smoke", "--placement", "free", "--json", str(rows), *chosen)
    assert result.returncode == 0, result.stderr
    measured = {
        (row["id"], row["size_bytes"], row["where"])
        for row in json.loads(rows.read_text(encoding="utf-8"))
    }
    # The loop without Python is a native module's; the settings of these tests reach no command.
    is_built = find_spec("gon_server.devices._opencl_port") is not None
    drivers = (BINDING, ENQUEUES) if is_built else (BINDING,)
    places = (*wheres, PLAIN, *NATIVES, *drivers, LIBRARY, HOST)
    assert measured == {
        (row.id, size, where)
        for row in catalogue.ALL
        # Whose memory is whose is told to root only.
        if row.id != "memory_lease" or os.geteuid() == 0
        for size in row.sizes
        for where in places
        if row.plays_at(where)
    }


def test_distances_are_places(host: PrivateHost, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    result = gon(
        *("bench", "--smoke", "--placement", "free", "--host", host.tcp, "--json", str(rows)),
        *("--workload", "rtt_launch", "--where", "unix", "--delay", "1", "--delay", "2"),
        *("--rate", "100"),
    )
    assert result.returncode == 0, result.stderr
    measured = {row["where"] for row in json.loads(rows.read_text(encoding="utf-8"))}
    assert measured == {"unix", "tcp+1ms@100mbit", "tcp+2ms@100mbit", PLAIN, *NATIVES}
    result = gon("bench", "--where", "unix+1ms")
    assert result.returncode == 2
    assert "only tcp links" in result.stderr


def test_a_host_is_measured_where_it_is(host: PrivateHost, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    wanted = [
        "--where",
        "tcp",
        "--workload",
        "h2d",
        "--workload",
        "d2h",
        "--workload",
        "small_reads",
    ]
    options = ["--quick", "--placement", "free", "--host", host.tcp, "--json", str(rows)]
    result = gon("bench", *options, *wanted)
    assert result.returncode == 0, result.stderr
    measured = [
        row for row in json.loads(rows.read_text(encoding="utf-8")) if row["where"] == "tcp"
    ]
    sizes = [4 << 10, 1 << 20, 64 << 20]
    assert sorted((row["id"], row["size_bytes"]) for row in measured) == [
        *(("d2h", size) for size in sizes),
        *(("h2d", size) for size in sizes),
        ("small_reads", 0),
    ]


def test_a_benchmark_of_an_unknown_host_says_so() -> None:
    result = gon("bench", "--where", "tcp", "--workload", "attach", "--host", "unix:///nowhere/s")
    assert result.returncode == cli.EXIT_FAILED
    assert "/nowhere/s" in result.stderr


# The run's own gond -------------------------------------------------------------------------------
def test_a_gond_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; sys.exit('no device here')"
    monkeypatch.setattr(private, "DAEMON", (sys.executable, "-c", code))
    with pytest.raises(HostUnreachable, match="no device here"), private_host(()):
        pytest.fail("there is no gond")


def test_a_private_gond_leaves_nothing_behind() -> None:
    with private_host(()) as running:
        below = descendants(running.pid)
        daemon_mb, worker_mb = running.memory_mb()
        assert daemon_mb > 1
        assert worker_mb > 1
    assert below
    assert resident_mb(running.pid) == 0
    assert [pid for pid in below if resident_mb(pid)] == []
    assert not Path(running.unix.removeprefix("unix://")).parent.exists()


def test_who_is_terminated_ends_its_gond_first() -> None:
    code = (
        "import signal\n"
        "from gon_client.bench.private import private_host\n"
        "with private_host(()) as running:\n"
        "    print(running.pid, flush=True)\n"
        "    while True: signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        gond = int(owner.stdout.readline())
        assert resident_mb(gond) > 1
        owner.terminate()
        assert owner.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    assert resident_mb(gond) == 0
