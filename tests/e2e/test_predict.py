"""`gon predict` against a real gond: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import predict_check
from gon.compression import COMPRESSIONS
from gon_client import cli
from gon_client.bench import private
from gon_client.bench.private import PrivateHost, private_host

GON = [sys.executable, "-c", "from gon_client.cli import main; main()"]
# What a command may take on a busy machine.
TIMEOUT_S = 350
PROGRAM = """
import numpy as np, gon
with gon.connect() as host, host.acquire() as dev:
    x = dev.asarray(np.ones(1 << 18, np.float32))
    for _ in range(5):
        dev.sync()
    print(x.get().sum())
"""


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host(()) as running:
        yield running


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, "utf-8")
    return path


def predict(
    host: PrivateHost, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `gon predict` as a user does."""
    return subprocess.run(
        [*GON, "predict", "--host", host.tcp, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=cwd,
        env=private.without_settings(os.environ),
    )


def test_a_program_is_run_once_and_predicted(host: PrivateHost, program: Path) -> None:
    rows, picture = program.parent / "rows.json", program.parent / "rows.png"
    result = predict(
        host,
        *("--rtt", "10ms,1s", "--bandwidth", "1Mbit,1Gbit"),
        *("--json", str(rows), "--plot", str(picture)),
        *("--", sys.executable, str(program)),
        cwd=program.parent,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("262144.0\n")
    assert "it would take" in result.stdout
    assert "1 Gbit/s" in result.stdout
    assert " program.py:6 " in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    told = json.loads(rows.read_text("utf-8"))
    assert told["command"] == [sys.executable, str(program)]
    ways = {(cell["rtt_s"], cell["bandwidth_mbit"]): cell["total_s"] for cell in told["cells"]}
    assert set(ways) == {(rtt, mbit) for rtt in (0.01, 1.0) for mbit in (1.0, 1000.0)}
    # Near by the upload is waited for too. Then five syncs, download, and six round trips of
    # reaching the host and leaving it.
    assert told["waits"] == 7
    assert ways[1.0, 1000.0] - ways[0.01, 1000.0] == pytest.approx(12 * 0.99, rel=0.01)
    # A megabyte each way.
    assert ways[0.01, 1.0] - ways[0.01, 1000.0] == pytest.approx(2 * 8.39, rel=0.05)
    lines = {line["origin"].rpartition(":")[2]: line["waits"] for line in told["lines"]}
    assert lines == {"4": 1, "6": 5, "7": 1}
    # Of slow links, if anything here can compress.
    assert len(told["notes"]) == len(COMPRESSIONS)


def test_the_commands_end_is_ours(host: PrivateHost, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    failing = PROGRAM + "raise SystemExit(7)"
    result = predict(host, "--json", str(rows), "--", sys.executable, "-c", failing)
    assert result.returncode == 7
    assert "nothing is predicted" in result.stderr
    assert "it would take" not in result.stdout
    assert not rows.exists()
    result = predict(host, "--", "sh", "-c", "kill -KILL $$")
    assert result.returncode == -9


def test_a_command_that_is_not_there_is_told(host: PrivateHost) -> None:
    result = predict(host, "--", "no-such-command")
    assert result.returncode == 127
    assert "gon predict: no-such-command: not found" in result.stderr


def test_no_command_is_a_wrong_use(host: PrivateHost) -> None:
    result = predict(host)
    assert result.returncode == 2
    assert "COMMAND" in result.stderr


def test_a_command_without_a_device_is_told_so(host: PrivateHost) -> None:
    result = predict(host, "--", "true")
    assert result.returncode == cli.EXIT_FAILED
    assert result.stderr.startswith("gon: [INVALID_ARGUMENT] the command used no device")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--rtt", "10"),
        ("--rtt", "10ms,fast"),
        ("--rtt", ","),
        ("--rtt", "-1ms"),
        ("--bandwidth", "100"),
        ("--bandwidth", "0Mbit"),
        ("--bandwidth", ",".join(f"{number}Mbit" for number in range(1, 50))),
    ],
)
def test_what_is_no_way_is_refused_before_anything_runs(
    host: PrivateHost, tmp_path: Path, option: str, value: str
) -> None:
    trace = tmp_path / "trace"
    result = predict(host, option, value, "--", "touch", str(trace))
    assert result.returncode == 2
    assert option in result.stderr
    assert not trace.exists()


def test_the_check_of_predictions_gives_a_row_for_each_far_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["--smoke", "--workload", "small_reads", "--workload", "h2d", "--where", "tcp+1ms"]
    assert predict_check.main(asked) == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split()[:4] == ["workload", "where", "predicted", "measured"]
    assert [row.split()[:2] for row in rows] == [["small_reads", "tcp+1ms"], ["h2d", "tcp+1ms"]]
