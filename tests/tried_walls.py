"""Tries, in a process of its own, what the walls around a worker keep from it; prints what came of
each as JSON. Arguments: the workplace, a file that is nobody's to read, and a role.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from gon_server import confine, walls


def refusal(attempt: Callable[[], object]) -> str:
    """Return the error that an attempt ends in, "" for none."""
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return ""


def fork() -> None:
    """Begin a process, which ends at once."""
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def pass_a_socket() -> None:
    """Have a socket, and be given another, without making one by its name."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(ours, [b"x"], [ours.fileno()])
    _data, fds, _flags, _address = socket.recv_fds(theirs, 1, 1)
    os.close(fds[0])


def run_a_thread() -> None:
    thread = threading.Thread(target=os.getpid)
    thread.start()
    thread.join()


def share_memory() -> None:
    fd = os.memfd_create("trial")
    os.ftruncate(fd, mmap.PAGESIZE)
    mmap.mmap(fd, mmap.PAGESIZE)[:1] = b"x"


def main() -> None:
    """Raise the walls, and try."""
    workplace, secret = map(Path, sys.argv[1:3])
    role = sys.argv[3]
    confine.renounce_privileges()
    there = walls.possible()
    walls.raise_walls(there, workplace)
    walls.narrow(there, programs=role == "builder", accepts=role == "zmq")
    attempts: dict[str, Callable[[], object]] = {
        "read": secret.read_bytes,
        "list": lambda: list(secret.parent.iterdir()),
        "write": lambda: secret.with_name("new").write_bytes(b"x"),
        "write system": lambda: Path("/usr/gon-trial").write_bytes(b"x"),
        "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
        "socket": lambda: socket.socket(socket.AF_UNIX),
        "signal": lambda: os.kill(os.getppid(), signal.SIGCONT),
        "exec": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": fork,
        "own file": lambda: (workplace / "file").write_bytes(b"x"),
        "library": lambda: Path(os.__file__).read_bytes(),
        "processors": Path("/proc/cpuinfo").read_bytes,
        "passed socket": pass_a_socket,
        "thread": run_a_thread,
        "memory": share_memory,
        "signal to itself": lambda: os.kill(os.getpid(), signal.SIGCONT),
    }
    print(json.dumps({name: refusal(attempt) for name, attempt in attempts.items()}))


if __name__ == "__main__":
    main()
