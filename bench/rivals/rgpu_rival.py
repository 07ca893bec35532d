"""rgpu: a PyTorch device whose tensors live in rgpu-opserver; PyTorch's own operations."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
import socket
import sys

import numpy as np
import rival
import torch


class Client:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._flag = torch.zeros(1, dtype=torch.int32, device="rgpu")
        self._x = torch.ones(rival.AXPY_ELEMENTS, device="rgpu")
        self._y = torch.zeros(rival.AXPY_ELEMENTS, device="rgpu")
        self._bulk = self._flag

    def touch(self, value: int) -> None:
        self._flag.fill_(value)

    def sync(self) -> None:
        torch.get_device_module("rgpu").synchronize()

    def read(self) -> int:
        return int(self._flag.item())

    def post(self, launches: int) -> None:
        for number in range(launches):
            self._y.add_(self._x, alpha=float(number & 7))
        torch.get_device_module("rgpu").synchronize()

    def upload(self, data: np.ndarray) -> None:
        self._bulk = torch.from_numpy(data).to("rgpu")
        torch.get_device_module("rgpu").synchronize()

    def download(self) -> np.ndarray:
        return self._bulk.cpu().numpy()

    def app(self, start: np.ndarray, steps: int):
        y = torch.from_numpy(start).to("rgpu")
        torch.get_device_module("rgpu").synchronize()

        def run() -> float:
            last = 0.0
            for step, factor in enumerate(rival.FACTORS[:steps], 1):
                t = y * 2
                t[1:].add_(y[:-1])
                t[:-1].add_(y[1:])
                t[:1].add_(y[:1])
                t[-1:].add_(y[-1:])
                y.add_(t, alpha=0.25 * factor)
                total = y.sum()
                if step % rival.READ_EVERY == 0:
                    last = float(total.item())
            return last

        return run


def serve() -> None:
    from rgpu.server.__main__ import main

    torch.set_num_threads(1)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # It listens a moment later; the client tries until it does.
    print(port, flush=True)
    main(["--device", "cpu", "--port", str(port)])


def connect(told: str) -> Client:
    os.environ["RGPU_OPSERVER"] = f"127.0.0.1:{told}"
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", int(told)), 0.1).close()
            break
        except OSError:
            continue
    import rgpu

    sys.stderr.write(f"rgpu {rgpu.__name__} at {told}\n")
    return Client()


if __name__ == "__main__":
    rival.main(serve, connect)
