"""tinygrad's REMOTE device: kernels in C, built by clang on the host, driven below the tensors, as
its runtime drives them. Calls gather on the client until one waits.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false

from __future__ import annotations

import asyncio
import os
import shutil
import sys

import numpy as np
import rival

_C = """
void touch(int *flag, int value) { flag[0] = value; }
""", f"""
void axpy(float *x, float *y, int k) {{
  for (int i = 0; i < {rival.AXPY_ELEMENTS}; i++) y[i] += (float)k * x[i];
}}
""", f"""
void stencil(float *y, float *t) {{
  int n = {rival.ELEMENTS};
  t[0] = 0.25f * (3.0f * y[0] + y[1]);
  for (int i = 1; i < n - 1; i++) t[i] = 0.25f * (y[i - 1] + 2.0f * y[i] + y[i + 1]);
  t[n - 1] = 0.25f * (3.0f * y[n - 1] + y[n - 2]);
}}
""", f"""
void app_axpy(float *t, float *y, int k) {{
  float a = 0.001f * (1 + k % 8);
  for (int i = 0; i < {rival.ELEMENTS}; i++) y[i] += a * t[i];
}}
""", f"""
void total(float *y, float *sum) {{
  float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
  int n = {rival.ELEMENTS} / 4;
  for (int i = 0; i < n; i++) {{
    a += y[i];
    b += y[n + i];
    c += y[2 * n + i];
    d += y[3 * n + i];
  }}
  sum[0] = (a + b) + (c + d);
}}
"""  # fmt: skip
_NAMES = ("touch", "axpy", "stencil", "app_axpy", "total")


class Client:
    def __init__(self) -> None:
        from tinygrad.device import BufferSpec, Device
        from tinygrad.runtime.ops_remote import GetProperties, RemoteProgram

        self._device = Device["REMOTE"]
        self._sync = GetProperties()
        self._spec = BufferSpec()
        self._touch, self._axpy, self._stencil, self._app_axpy, self._total = (
            RemoteProgram(self._device, name, text.encode())
            for name, text in zip(_NAMES, _C, strict=True)
        )
        self._flag = self._put(np.zeros(1, np.int32))
        self._x = self._put(np.ones(rival.AXPY_ELEMENTS, np.float32))
        self._y = self._put(np.zeros(rival.AXPY_ELEMENTS, np.float32))
        self._t = self._put(np.zeros(rival.ELEMENTS, np.float32))
        self._sum = self._put(np.zeros(1, np.float32))
        self._bulk, self._bulk_bytes = self._flag, 0

    def _alloc(self, size: int) -> int:
        return self._device.allocator._alloc(size, self._spec)

    def _put(self, data: np.ndarray) -> int:
        buffer = self._alloc(data.nbytes)
        self._device.allocator._copyin(buffer, memoryview(data).cast("B"))
        return buffer

    def _get(self, buffer: int, data: np.ndarray) -> np.ndarray:
        self._device.allocator._copyout(memoryview(data).cast("B"), buffer)
        return data

    def touch(self, value: int) -> None:
        self._touch(self._flag, vals=(value,))

    def sync(self) -> None:
        self._device.q(self._sync, wait=True)

    def read(self) -> int:
        return int(self._get(self._flag, np.zeros(1, np.int32))[0])

    def post(self, launches: int) -> None:
        for number in range(launches):
            self._axpy(self._x, self._y, vals=(number & 7,))
        self.sync()

    def upload(self, data: np.ndarray) -> None:
        if self._bulk_bytes != data.nbytes:
            self._bulk, self._bulk_bytes = self._alloc(data.nbytes), data.nbytes
        self._device.allocator._copyin(self._bulk, memoryview(data).cast("B"))
        self.sync()

    def download(self) -> np.ndarray:
        return self._get(self._bulk, np.zeros(self._bulk_bytes, np.uint8))

    def app(self, start: np.ndarray, steps: int):
        y = self._put(start)
        self.sync()

        def run() -> float:
            last = 0.0
            for step in range(1, steps + 1):
                self._stencil(y, self._t)
                self._app_axpy(self._t, y, vals=((step - 1) % 8,))
                self._total(y, self._sum)
                if step % rival.READ_EVERY == 0:
                    last = float(self._get(self._sum, np.zeros(1, np.float32))[0])
            return last

        return run


def serve() -> None:
    compiler = shutil.which("clang") or shutil.which("clang-15")
    if compiler is None:
        sys.exit("tinygrad's processor device needs clang")
    os.environ.update(CC=compiler, CPU="1")
    from tinygrad.runtime.ops_remote import RemoteHandler

    async def listen() -> None:
        # As its own `remote_server`, which would listen on every interface.
        server = await asyncio.start_server(RemoteHandler("CPU"), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(listen())


def connect(told: str) -> Client:
    os.environ.update(HOST=f"127.0.0.1:{told}", REMOTE="1")
    return Client()


if __name__ == "__main__":
    rival.main(serve, connect)
