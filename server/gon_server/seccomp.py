"""seccomp: system calls that this process, and what it starts, may not make.

    filter: another processor's calls ─▶ EPERM   refused ─▶ EPERM   clone3 ─▶ ENOSYS   others ─▶ run

A filter is a program of classic BPF, assembled here: two dozen lines, where the bindings there are
want the host's libseccomp. What is refused fails with an error and does not end the process:
libraries try much, and go on without. Sources: man 2 seccomp, and the kernel's tables of numbers.

Rules: what is given up is given up for good. Several filters may be put one upon the other; what
one refuses is refused. The process must have renounced new privileges.
Must not know: workers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from typing import Final

from gon_server.system_calls import CLONE3, Calls, Rule

_libc = ctypes.CDLL(None, use_errno=True)

# By machine: its number among the kernel's AUDIT_ARCH_…, the column of its calls in the table, the
# number of seccomp itself.
_MACHINES: Final = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}
# Calls of x32, which has the numbers of x86_64 with this bit.
_X32: Final = 0x40000000

_SET_FILTER, _GET_ACTION_AVAIL = 1, 2
# All threads of the process at once; without slowing the processor's speculation, as older kernels
# would: there is nothing in a worker that its tenant may not read.
_TSYNC, _SPEC_ALLOW = 1 << 0, 1 << 2

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _AND, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
# Where the filter finds the call's number, the processor, and the lower half of the first argument;
# the others follow.
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT, _ARGUMENT_BYTES = 0, 4, 16, 8


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def is_there() -> bool:
    """Return whether this kernel takes filters, and this module knows the machine's calls."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    action = ctypes.c_uint32(_ERRNO)
    found: int = _libc.syscall(machine[2], _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    return found == 0


def refuse(*refused: Calls, rules: Iterable[Rule] = ()) -> None:
    """Make none of these calls from now on, in no thread of this process; those of `rules` as they
    say. What begins threads and processes may not begin them by a structure.

    Raises OSError where that cannot be.
    """
    machine, column, number = _MACHINES[platform.machine()]
    code = [
        _step(_LOAD, _MACHINE_AT),
        _step(_IF_EQUAL, machine, 1, 0),
        _EPERM,
        _step(_LOAD, _NUMBER_AT),
    ]
    if column == 0:
        code += [_step(_IF_AT_LEAST, _X32, 0, 1), _EPERM]
    # First what is made often: for these the kernel runs the filter each time.
    for rule in rules:
        code += _on(rule.calls, column, _by_rule(rule))
    for calls in refused:
        code += _on(calls, column, [_EPERM])
    # glibc then takes clone, whose flags a filter can see.
    code += _on(CLONE3, column, [_step(_RETURN, _ERRNO | errno.ENOSYS)])
    code.append(_GO_ON)
    program = _Program(len(code), b"".join(code))
    result: int = _libc.syscall(number, _SET_FILTER, _TSYNC | _SPEC_ALLOW, ctypes.byref(program))
    if result != 0:
        # A positive answer is a thread that could not follow.
        told = ctypes.get_errno() if result < 0 else errno.EAGAIN
        raise OSError(told, f"seccomp: {os.strerror(told)}")


def _on(calls: Calls, column: int, body: list[bytes]) -> list[bytes]:
    """Return the steps that run `body`, which ends, for each of these calls."""
    numbers = [each[column] for each in calls.values()]
    steps: list[bytes] = []
    for number in numbers:
        if number is not None:
            steps += [_step(_IF_EQUAL, number, 0, len(body)), *body]
    return steps


def _by_rule(rule: Rule) -> list[bytes]:
    """Return the steps that look at an argument, and end."""
    count = len(rule.values)
    tests = [_step(_IF_EQUAL, value, count - n, 0) for n, value in enumerate(rule.values)]
    ends = [_GO_ON, _EPERM] if rule.refuses else [_EPERM, _GO_ON]
    at = _ARGUMENTS_AT + _ARGUMENT_BYTES * rule.argument
    return [_step(_LOAD, at), _step(_AND, rule.mask), *tests, *ends]


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    """Return one instruction; a jump leaves out `if_so` or `if_not` of those that follow."""
    return struct.pack("=HBBI", code, if_so, if_not, value)


_EPERM: Final = _step(_RETURN, _ERRNO | errno.EPERM)
_GO_ON: Final = _step(_RETURN, _ALLOW)
