"""Tries, in a process of its own, what the walls around a worker keep from it; prints what came of
each as JSON. Arguments: the workplace, a file that is nobody's to read, a role, and the policy of
scheduling.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import platform
import resource
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


MSG_FASTOPEN, PR_SET_PDEATHSIG, IN_MODIFY, FIOSETOWN = 0x20000000, 1, 2, 0x8901
CLONE_NEWUSER_NEWNET, IDLEST = 0x50000000, 19
_libc = ctypes.CDLL(None, use_errno=True)


def call(function: str, *args: object) -> None:
    """Call a function of C's library."""
    if getattr(_libc, function)(*args) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def enter_namespaces() -> None:
    """Begin a process in namespaces of its own, which ends at once."""
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    pid: int = _libc.syscall(number, CLONE_NEWUSER_NEWNET | signal.SIGCHLD, None, None, None, None)
    if pid == 0:
        os._exit(0)
    if pid == -1:
        raise OSError(ctypes.get_errno(), "clone")
    os.waitpid(pid, 0)


def be_told_elsewhere() -> None:
    """Have another process signalled for what comes in at a socket of ours."""
    with socket.socketpair()[0] as sock:
        fcntl.fcntl(sock, fcntl.F_SETOWN, os.getppid())


def send(flags: int = 0) -> int:
    """Send a byte to oneself."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return ours.send(b"x", flags) + ours.sendmsg([b"x"], [], flags)


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


def schedule_as(policy: int) -> None:
    os.sched_setscheduler(0, policy, os.sched_param(0))


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
    role, policy = sys.argv[3], int(sys.argv[4])
    schedule_as(policy)
    confine.renounce_privileges()
    there = walls.possible()
    walls.raise_walls(there, workplace)
    walls.narrow(there, programs=role == "builder", accepts=role == "zmq")
    other = os.getppid()
    own = (workplace / "mode").open("wb")
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
        "mode": lambda: secret.chmod(0o777),
        "owner": lambda: os.chown(secret, os.getuid(), os.getgid()),
        "times": lambda: os.utime(secret, (1, 1)),
        "attribute": lambda: os.setxattr(secret, "user.trial", b"x"),
        "truncate": lambda: os.truncate(secret, 0),
        "watch": lambda: call(
            "inotify_add_watch", _libc.inotify_init(), bytes(secret.parent), IN_MODIFY
        ),
        "datagrams": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "fast open": lambda: send(MSG_FASTOPEN),
        "limits of another": lambda: resource.prlimit(other, resource.RLIMIT_CORE),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, other, IDLEST),
        "policy": lambda: os.sched_setscheduler(other, os.SCHED_IDLE, os.sched_param(0)),
        "signals by fcntl": be_told_elsewhere,
        "signals by ioctl": lambda: call("ioctl", 0, FIOSETOWN, ctypes.byref(ctypes.c_int(other))),
        "queue": lambda: call("mq_open", b"/gon-trial", os.O_RDWR),
        "shared memory": lambda: call("shmat", 0, None, 0),
        "namespaces": enter_namespaces,
        "stay": lambda: call("prctl", PR_SET_PDEATHSIG, 0, 0, 0, 0),
        "own mode": lambda: os.fchmod(own.fileno(), 0o600),
        "another policy": lambda: schedule_as(os.SCHED_IDLE),
        "own policy": lambda: schedule_as(policy),
        "own limits": lambda: resource.getrlimit(resource.RLIMIT_CORE),
        "send": send,
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
