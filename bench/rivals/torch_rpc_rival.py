"""torch.distributed.rpc (TensorPipe): functions on tensors of the host, called by reference. Calls
keep no order among themselves, so what must be in order waits for each call.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
import socket
import threading

import numpy as np
import rival
import torch
from torch.distributed import rpc

_HOST = "host"
held: dict[str, torch.Tensor] = {
    "flag": torch.zeros(1, dtype=torch.int32),
    "x": torch.ones(rival.AXPY_ELEMENTS),
    "y": torch.zeros(rival.AXPY_ELEMENTS),
}
summing = threading.Lock()


def touch(value: int) -> None:
    held["flag"][0] = value


def nothing() -> None:
    pass


def read() -> torch.Tensor:
    return held["flag"]


def axpy(a: float) -> None:
    with summing:
        held["y"].add_(held["x"], alpha=a)


def put(name: str, data: torch.Tensor) -> None:
    held[name] = data


def get(name: str) -> torch.Tensor:
    return held[name]


def app_stencil() -> None:
    y = held["app_y"]
    t = 2 * y
    t[1:] += y[:-1]
    t[:-1] += y[1:]
    t[0] += y[0]
    t[-1] += y[-1]
    held["app_t"] = t.mul_(0.25)


def app_axpy(a: float) -> None:
    held["app_y"].add_(held["app_t"], alpha=a)


def app_total() -> None:
    held["app_sum"] = held["app_y"].sum()


class Client:
    def touch(self, value: int) -> None:
        self._flying = rpc.rpc_async(_HOST, touch, args=(value,))

    def sync(self) -> None:
        flying, self._flying = self._flying, None
        if flying is None:
            rpc.rpc_sync(_HOST, nothing)
        else:
            flying.wait()

    def __init__(self) -> None:
        self._flying = None

    def read(self) -> int:
        self.sync()
        return int(rpc.rpc_sync(_HOST, read)[0])

    def post(self, launches: int) -> None:
        flying = [rpc.rpc_async(_HOST, axpy, args=(float(n & 7),)) for n in range(launches)]
        torch.futures.wait_all(flying)

    def upload(self, data: np.ndarray) -> None:
        rpc.rpc_sync(_HOST, put, args=("bulk", torch.from_numpy(data)))

    def download(self) -> np.ndarray:
        return rpc.rpc_sync(_HOST, get, args=("bulk",)).numpy()

    def app(self, start: np.ndarray, steps: int):
        rpc.rpc_sync(_HOST, put, args=("app_y", torch.from_numpy(start)))

        def run() -> float:
            last = 0.0
            for step, factor in enumerate(rival.FACTORS[:steps], 1):
                rpc.rpc_sync(_HOST, app_stencil)
                rpc.rpc_sync(_HOST, app_axpy, args=(factor,))
                rpc.rpc_sync(_HOST, app_total)
                if step % rival.READ_EVERY == 0:
                    last = float(rpc.rpc_sync(_HOST, get, args=("app_sum",)))
            return last

        return run


def _join(name: str, rank: int, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    # Over TCP, as all others: left alone it takes shared memory within a machine.
    over_tcp = rpc.TensorPipeRpcBackendOptions(_transports=["uv"], _channels=["basic"])
    rpc.init_rpc(name, rank=rank, world_size=2, rpc_backend_options=over_tcp)


def serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    print(port, flush=True)
    _join(_HOST, 0, port)
    rpc.shutdown()


def connect(told: str) -> Client:
    _join("client", 1, int(told))
    return Client()


if __name__ == "__main__":
    rival.main(serve, connect)
