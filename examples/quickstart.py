"""The first program: a kernel on a remote unit, its result here.

    python examples/quickstart.py

Uses the gond that GON_HOST names (gon://HOST:PORT or unix:///PATH), or this machine's.
"""

# ruff: noqa: INP001, T201 - an example is a script and speaks to its reader

from __future__ import annotations

import numpy as np

import gon

SOURCE = """
__global__ void saxpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] += a * x[i];
}
"""
N = 1 << 20


def main() -> None:
    """Compute y = 2 x + y on the first free unit."""
    with gon.connect() as host:
        for unit in host.units():
            print(unit)
        with host.acquire() as dev:
            saxpy = dev.compile(SOURCE, "cuda-c").get_kernel("saxpy")
            x = dev.asarray(np.arange(N, dtype=np.float32))
            y = dev.zeros(N, np.float32)
            s = dev.create_stream()
            config = gon.LaunchConfig(grid=N // 256, block=256)
            gon.launch(s, config, saxpy, np.float32(2), x, y, np.int32(N))
            s.sync()
            out = y.get()
            print(f"y = {out}")
            print(gon.stats(dev))
    expected = 2 * np.arange(N, dtype=np.float32)
    print("as expected" if np.array_equal(out, expected) else "NOT as expected")


if __name__ == "__main__":
    main()
