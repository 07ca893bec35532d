"""How a stream link notices a peer that vanished without a word.

While nothing is under way TCP's keep-alive asks; while something is, TCP's own account tells: it
repeats what was not acknowledged, and probes a peer whose window is closed. A live host answers
these even while its program does not read, as a worker does not during a long kernel; a vanished
host answers nothing. TCP_USER_TIMEOUT knows no such difference: it also ends connections to a live
peer that has no time to read. So it is not used.
"""

from __future__ import annotations

import select
import socket
import struct

from gon.limits import KEEPALIVE_COUNT, KEEPALIVE_S, PEER_SILENT_S, TCP_UNSENT_BYTES
from gon.spin_limits import TICKS_S
from gon.transport.prompt import hurry

_TIMEVAL = struct.Struct("@ll")
# The start of Linux's struct tcp_info: retransmissions and window probes without an answer, and the
# milliseconds since the last acknowledgement.
_TCP_INFO = struct.Struct("=2xBB52xI")
# Above it select() has no place for a descriptor.
_SELECT_FD_MAX = 1024
_INTERNET = (socket.AF_INET, socket.AF_INET6)


def configure(sock: socket.socket, unsent_bytes: int = TCP_UNSENT_BYTES) -> None:
    """Make the socket blocking, prompt, and able to notice a lost peer; it takes `unsent_bytes`
    beyond what the network has taken. Raises OSError.
    """
    sock.setblocking(True)
    if sock.family not in _INTERNET:
        return
    hurry(sock)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, round(KEEPALIVE_S))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, round(KEEPALIVE_S))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)


def has_vanished(sock: socket.socket) -> bool:
    """Return whether the peer's host has vanished, as far as TCP can tell. Raises OSError."""
    if sock.family not in _INTERNET:
        # A peer on this machine: the kernel tells at once.
        return False
    return tells_silence(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))


def tells_silence(tcp_info: bytes) -> bool:
    """Return whether retransmissions or probes have gone unanswered for PEER_SILENT_S."""
    retransmissions: int
    probes: int
    since_answer_ms: int
    retransmissions, probes, since_answer_ms = _TCP_INFO.unpack(tcp_info)
    # One probe may always be on its way.
    return retransmissions + probes >= 2 and since_answer_ms >= PEER_SILENT_S * 1000


def timeval(duration_s: float) -> bytes:
    """Return `duration_s`, at least a microsecond, as the kernel's struct timeval."""
    return _TIMEVAL.pack(*divmod(max(1, round(duration_s * 1e6)), 1_000_000))


def wait_for(fd: int, events: int, timeout_s: float) -> int:
    """Wait until one of `events` (as of select.poll) holds; return those that do, 0 if time is
    over. Whether something can be read is told to the microsecond, all else to the millisecond.
    """
    if events == select.POLLIN and timeout_s < TICKS_S and fd < _SELECT_FD_MAX:
        return events if select.select((fd,), (), (), timeout_s)[0] else 0
    poller = select.poll()
    poller.register(fd, events)
    found = poller.poll(timeout_s * 1000)
    return found[0][1] if found else 0
