"""Apache TVM RPC: kernels of its own, built on the client, uploaded and called by name. A call
returns when it is done.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path

import numpy as np
import rival
import tvm
from tvm import rpc, te

N, M = rival.AXPY_ELEMENTS, rival.ELEMENTS


def _functions() -> tvm.IRModule:
    value = te.var("value", "int32")
    touch = te.compute((1,), lambda _i: value, name="flag")
    a = te.var("a", "float32")

    def axpy(n: int) -> list:
        x, y = te.placeholder((n,), name="x"), te.placeholder((n,), name="y")
        return [a, x, y, te.compute((n,), lambda i: y[i] + a * x[i], name="z")]

    y = te.placeholder((M,), name="y")
    stencil = te.compute(
        (M,),
        lambda i: (
            (
                te.if_then_else(i > 0, y[te.max(i - 1, 0)], y[i])
                + y[i] * tvm.tirx.const(2.0, "float32")
                + te.if_then_else(i < M - 1, y[te.min(i + 1, M - 1)], y[i])
            )
            * tvm.tirx.const(0.25, "float32")
        ),
        name="t",
    )
    k, j = te.reduce_axis((0, M // 256), "k"), te.reduce_axis((0, 256), "j")
    rows = te.compute((256,), lambda i: te.sum(y[i * (M // 256) + k], axis=k), name="rows")
    total = te.compute((1,), lambda _i: te.sum(rows[j], axis=j), name="total")
    made = {
        "touch": [value, touch],
        "axpy": axpy(N),
        "app_axpy": axpy(M),
        "stencil": [y, stencil],
        "total": [y, total],
    }
    return tvm.IRModule(
        {
            name: te.create_prim_func(args).with_attr("global_symbol", name)
            for name, args in made.items()
        }
    )


class Client:
    def __init__(self, port: int) -> None:
        self._remote = remote = rpc.connect("127.0.0.1", port)
        self._device = remote.cpu()
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "kernels.so"
            tvm.compile(_functions(), target="llvm").export_library(str(path))
            remote.upload(str(path))
        module = remote.load_module("kernels.so")
        self._touch, self._axpy, self._app_axpy, self._stencil, self._total = (
            module[name] for name in ("touch", "axpy", "app_axpy", "stencil", "total")
        )
        self._flag = self._empty(1, "int32")
        self._x = self._put(np.ones(N, np.float32))
        self._ys = [self._put(np.zeros(N, np.float32)) for _ in range(2)]
        self._t, self._sum = self._empty(M, "float32"), self._empty(1, "float32")
        self._bulk = self._flag

    def _empty(self, size: int, dtype: str) -> tvm.runtime.Tensor:
        return tvm.runtime.empty((size,), dtype, self._device)

    def _put(self, data: np.ndarray) -> tvm.runtime.Tensor:
        return tvm.runtime.tensor(data, self._device)

    def touch(self, value: int) -> None:
        self._touch(value, self._flag)

    def sync(self) -> None:
        self._device.sync()

    def read(self) -> int:
        return int(self._flag.numpy()[0])

    def post(self, launches: int) -> None:
        ys = self._ys
        for number in range(launches):
            self._axpy(float(number & 7), self._x, ys[number & 1], ys[1 - (number & 1)])
        self._device.sync()

    def upload(self, data: np.ndarray) -> None:
        if self._bulk.shape[0] != data.size or self._bulk.dtype != "uint8":
            self._bulk = self._empty(data.size, "uint8")
        self._bulk.copyfrom(data)
        self._device.sync()

    def download(self) -> np.ndarray:
        return self._bulk.numpy()

    def app(self, start: np.ndarray, steps: int):
        ys = [self._put(start), self._put(start)]

        def run() -> float:
            last = 0.0
            for step, factor in enumerate(rival.FACTORS[:steps], 1):
                now, then = ys[(step + 1) % 2], ys[step % 2]
                self._stencil(now, self._t)
                self._app_axpy(factor, self._t, now, then)
                self._total(then, self._sum)
                if step % rival.READ_EVERY == 0:
                    last = float(self._sum.numpy()[0])
            return last

        return run


def serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = rpc.Server("127.0.0.1", port, port + 1, silent=True)
    print(server.port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    rival.main(serve, lambda told: Client(int(told)))
