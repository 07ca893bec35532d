"""rpyc: NumPy on the host, called by name; posted launches are asynchronous calls.

Both ends send at once (TCP_NODELAY), which rpyc does not by itself: else the answers to posted
calls wait for acknowledgements that the other end delays by 40 ms.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import socket
from collections import deque

import numpy as np
import rival
import rpyc
from rpyc.core.stream import SocketStream
from rpyc.utils.server import OneShotServer

# Calls that may be on their way; without a bound rpyc would hold all of them.
_FLYING_MAX = 1000


class Device(rpyc.Service):
    """The host's end: numbers, and what is done to them."""

    def __init__(self) -> None:
        self.flag = 0
        self.x = np.ones(rival.AXPY_ELEMENTS, np.float32)
        self.y = np.zeros(rival.AXPY_ELEMENTS, np.float32)
        self.held = b""

    def exposed_touch(self, value: int) -> None:
        self.flag = value

    def exposed_nothing(self) -> None:
        pass

    def exposed_read(self) -> int:
        return self.flag

    def exposed_axpy(self, a: float) -> None:
        self.y += np.float32(a) * self.x

    def exposed_upload(self, data: bytes) -> None:
        self.held = data

    def exposed_download(self) -> bytes:
        return self.held

    def exposed_begin(self, data: bytes) -> None:
        self.app_y = np.frombuffer(data, np.float32).copy()

    def exposed_stencil(self) -> None:
        self.app_t = rival.stencil(self.app_y)

    def exposed_app_axpy(self, a: float) -> None:
        self.app_y += np.float32(a) * self.app_t

    def exposed_total(self) -> None:
        self.app_sum = float(self.app_y.sum())

    def exposed_app_read(self) -> float:
        return self.app_sum


class Server(OneShotServer):
    def _authenticate_and_serve_client(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super()._authenticate_and_serve_client(sock)


class Client:
    def __init__(self, port: int) -> None:
        stream = SocketStream.connect("127.0.0.1", port, nodelay=True)
        config = {"sync_request_timeout": 60}
        self._link = rpyc.utils.factory.connect_stream(stream, config=config)
        self._root = self._link.root
        # Bound once: each attribute of a remote object is a round trip.
        self._touch, self._nothing, self._read = (
            getattr(self._root, name) for name in ("touch", "nothing", "read")
        )
        self._axpy = rpyc.async_(self._root.axpy)

    def touch(self, value: int) -> None:
        self._touch(value)

    def sync(self) -> None:
        # Every call but those of `post` has waited for its answer.
        self._nothing()

    def read(self) -> int:
        return self._read()

    def post(self, launches: int) -> None:
        flying: deque = deque()
        for number in range(launches):
            flying.append(self._axpy(float(number & 7)))
            if len(flying) >= _FLYING_MAX:
                flying.popleft().wait()
        while flying:
            last = flying.popleft()
            last.wait()
        # Raises what the call raised; `wait` does not.
        assert last.value is None

    def upload(self, data: np.ndarray) -> None:
        self._root.upload(data.tobytes())

    def download(self) -> np.ndarray:
        return np.frombuffer(self._root.download(), np.uint8)

    def app(self, start: np.ndarray, steps: int):
        root = self._root
        root.begin(start.tobytes())
        stencil, axpy, total, read = root.stencil, root.app_axpy, root.total, root.app_read

        def run() -> float:
            last = 0.0
            for step, factor in enumerate(rival.FACTORS[:steps], 1):
                stencil()
                axpy(factor)
                total()
                if step % rival.READ_EVERY == 0:
                    last = read()
            return last

        return run


def serve() -> None:
    server = Server(Device(), hostname="127.0.0.1", port=0, protocol_config={})
    # Told before it listens, a client would be refused.
    server._listen()  # noqa: SLF001
    print(server.port, flush=True)
    server.start()


if __name__ == "__main__":
    rival.main(serve, lambda told: Client(int(told)))
