"""A TCP proxy that cuts connections after a number of bytes drawn from a seed, both ways."""

from __future__ import annotations

import contextlib
import random
import socket
import threading


class CuttingProxy:
    """Forwards to `target`; the first `cuts` connections each break after about `mean_bytes`."""

    def __init__(self, target: tuple[str, int], *, seed: int, cuts: int, mean_bytes: int) -> None:
        self._target = target
        self._chance = random.Random(seed)
        self._cuts = cuts
        self._mean_bytes = mean_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.broken = 0
        self.refusing = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self.break_all()

    def break_all(self) -> None:
        """Cut every connection there is."""
        for pair in self._pairs:
            self._break(pair)

    def break_one(self, number: int) -> None:
        """Cut one connection, by the order in which they came."""
        self._break(self._pairs[number])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                    continue
                pair = (client, socket.create_connection(self._target))
                self._pairs.append(pair)
                budget = 1 << 62
                if self._cuts:
                    self._cuts -= 1
                    budget = int(self._chance.expovariate(1 / self._mean_bytes)) + 41
                left = [budget]
                for source, sink in (pair, pair[::-1]):
                    threading.Thread(
                        target=self._forward, args=(source, sink, left, pair), daemon=True
                    ).start()

    def _forward(
        self,
        source: socket.socket,
        sink: socket.socket,
        left: list[int],
        pair: tuple[socket.socket, socket.socket],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                part = data[: left[0]]
                left[0] -= len(part)
                sink.sendall(part)
                if left[0] <= 0:
                    self.broken += 1
                    break
        self._break(pair)

    def _break(self, pair: tuple[socket.socket, socket.socket]) -> None:
        for sock in pair:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
