"""Both commands where their files, streams or words are wrong: one line that says what, a status,
no traceback, and nothing measured or leased in vain.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from gon_client import cli
from gon_client.commands import root
from tests.e2e.gond_process import PATIENCE_S, Gond, GondFailedError, real_gond

GON = (sys.executable, "-c", "from gon_client.cli import main; main()")
GOND = (sys.executable, "-m", "gon_server")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    with real_gond(tmp_path_factory.mktemp("gond"), unit="soft=null:") as running:
        yield running


def shell(command: tuple[str, ...], words: str, ending: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as a shell does, redirections and all."""
    line = f"{shlex.join(command)} {words} {ending}"
    return subprocess.run(
        ["/bin/sh", "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


# Standard files -----------------------------------------------------------------------------------
@pytest.mark.parametrize("words", ["ls", "ls --json", "info soft", "ls --help"])
def test_a_disk_without_room_is_one_line(host: Gond, words: str) -> None:
    ended = shell(GON, f"{words} --host {host.unix}", ">/dev/full")
    assert ended.stderr == "gon: No space left on device\n"
    assert ended.returncode == cli.EXIT_FAILED


@pytest.mark.parametrize("words", ["config show", "--help", "--version"])
def test_a_disk_without_room_is_one_line_of_gonds_too(words: str) -> None:
    ended = shell(GOND, words, ">/dev/full")
    assert ended.stderr == "gond: No space left on device\n"
    assert ended.returncode == 1


@pytest.mark.parametrize("command", [GON, GOND], ids=["gon", "gond"])
def test_a_reader_that_has_enough_is_no_error(host: Gond, command: tuple[str, ...]) -> None:
    words = f"ls --host {host.unix}" if command is GON else "config show"
    assert shell(command, words, "| true").stderr == ""


def test_closed_standard_files_are_nobodys_socket(host: Gond) -> None:
    assert shell(GON, f"ls --host {host.unix}", ">&-").returncode == 0
    names = Path(host.unix.removeprefix("unix://")).with_name("names")
    reads = "[os.readlink(f'/proc/self/fd/{each}') for each in range(3)]"
    code = f"import os; found = {reads}; open({str(names)!r}, 'w').writelines(found)"
    words = shlex.join(["run", "--host", host.unix, "--", sys.executable, "-c", code])
    assert shell(GON, words, "<&- >&- 2>&-").returncode == 0
    assert names.read_text() == "/dev/null" * 3


# Files that are to be written ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("bench --json /nowhere/rows.json", "there is no directory /nowhere"),
        ("bench --json /proc", "is a directory"),
        ("bench --json ''", "is a directory"),
        ("predict --json /nowhere/x -- true", "there is no directory /nowhere"),
        ("demo --out /dev/null/pictures", "there is no directory /dev/null"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_runs(words: str, says: str) -> None:
    result = CliRunner().invoke(root.gon, shlex.split(words))
    assert (result.exit_code, says in result.output) == (2, True), result.output


@pytest.mark.parametrize("flag", ["--ready-file=/nowhere/ready", "--ready-fd=777"])
def test_a_gond_that_can_tell_nobody_says_so(tmp_path: Path, flag: str) -> None:
    with pytest.raises(GondFailedError, match="nobody can be told that gond is ready") as failed:
        Gond(tmp_path, flag)
    assert failed.value.status == 2
    assert "Traceback" not in failed.value.output


# Whose words they are -----------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["run", "predict"])
def test_an_option_that_there_is_not_is_no_command(command: str) -> None:
    result = CliRunner().invoke(root.gon, [command, "--hots", "unix:///nowhere", "--", "true"])
    assert result.exit_code == 2
    assert "No such option '--hots'" in result.output


def test_what_follows_the_command_is_its_own(host: Gond) -> None:
    ended = shell(GON, f"run --host {host.unix} echo --stats --unit none", "")
    assert ended.stdout == "--stats --unit none\n"


def test_an_interrupt_before_the_command_is_there_is_no_traceback() -> None:
    code = """
import sys
from gon_client.cli import main
class Interrupted:
    def find_spec(self, *_asked):
        raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
main()
"""
    ended = shell((sys.executable, "-c", code), "ls", "")
    assert (ended.returncode, ended.stderr) == (1, "\nAborted!\n")
