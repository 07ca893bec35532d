"""The workload `mlp`: steps of training a small perceptron by kernels of its own, the loss read
after each, as a training loop that prints it does.

    h = relu(x w1 + b1);   p = softmax(h w2 + b2);   loss = -mean log p[label];   plain descent
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gon.model import LaunchConfig
from gon_client.bench.stage import Stage
from gon_client.launch import launch

BATCH, INPUTS, HIDDEN, CLASSES = 64, 64, 128, 10
RATE = 0.5
# A round takes at most so many steps, each a sample.
STEPS_MAX = 40
SOURCE = f"""
#define B {BATCH}
#define K {INPUTS}
#define H {HIDDEN}
#define C {CLASSES}

__global__ void hidden(const float *x, const float *w1, const float *b1, float *h) {{
    int row = blockIdx.x, j = threadIdx.x;
    float sum = b1[j];
    for (int k = 0; k < K; k++) sum += x[row * K + k] * w1[k * H + j];
    h[row * H + j] = sum > 0.0f ? sum : 0.0f;
}}

__global__ void output(const float *h, const float *w2, const float *b2, const int *labels,
                       float *slope, float *losses) {{
    int row = threadIdx.x;
    float z[C], most = -1e30f, sum = 0.0f;
    for (int c = 0; c < C; c++) {{
        z[c] = b2[c];
        for (int j = 0; j < H; j++) z[c] += h[row * H + j] * w2[j * C + c];
        most = z[c] > most ? z[c] : most;
    }}
    for (int c = 0; c < C; c++) sum += expf(z[c] - most);
    for (int c = 0; c < C; c++) {{
        float hit = c == labels[row] ? 1.0f : 0.0f;
        slope[row * C + c] = (expf(z[c] - most) / sum - hit) / B;
    }}
    losses[row] = logf(sum) + most - z[labels[row]];
}}

__global__ void mean(const float *losses, float *loss) {{
    float sum = 0.0f;
    for (int row = 0; row < B; row++) sum += losses[row];
    loss[0] = sum / B;
}}

__global__ void back(const float *h, const float *w2, const float *slope, float *inner) {{
    int row = blockIdx.x, j = threadIdx.x;
    float sum = 0.0f;
    for (int c = 0; c < C; c++) sum += slope[row * C + c] * w2[j * C + c];
    inner[row * H + j] = h[row * H + j] > 0.0f ? sum : 0.0f;
}}

__global__ void descend(float rate, const float *in, const float *slope, float *w, float *b,
                        int rows, int columns) {{
    int r = blockIdx.x, c = threadIdx.x;
    float sum = 0.0f, whole = 0.0f;
    for (int row = 0; row < B; row++) {{
        sum += in[row * rows + r] * slope[row * columns + c];
        whole += slope[row * columns + c];
    }}
    w[r * columns + c] -= rate * sum;
    if (r == 0) b[c] -= rate * whole;
}}
"""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Start:
    """What is learnt, and the weights it begins with; the same at every place."""

    x: Floats
    labels: NDArray[np.int32]
    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats


def start() -> Start:
    """Return the start, made from a seed."""
    chance = np.random.default_rng(4)
    x = chance.standard_normal((BATCH, INPUTS), np.float32)
    labels = (x @ chance.standard_normal((INPUTS, CLASSES), np.float32)).argmax(1)
    return Start(
        x,
        labels.astype(np.int32),
        chance.standard_normal((INPUTS, HIDDEN), np.float32) / np.float32(INPUTS**0.5),
        np.zeros(HIDDEN, np.float32),
        chance.standard_normal((HIDDEN, CLASSES), np.float32) / np.float32(HIDDEN**0.5),
        np.zeros(CLASSES, np.float32),
    )


def expected_losses(steps: int) -> list[float]:
    """Return each step's loss, by NumPy."""
    begin = start()
    w1, b1, w2, b2 = (each.copy() for each in (begin.w1, begin.b1, begin.w2, begin.b2))
    rate, rows = np.float32(RATE), np.arange(BATCH)
    losses: list[float] = []
    for _ in range(steps):
        h = np.maximum(begin.x @ w1 + b1, np.float32(0))
        z = h @ w2 + b2
        shares = np.exp(z - z.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        losses.append(float(-np.log(shares[rows, begin.labels]).mean()))
        shares[rows, begin.labels] -= np.float32(1)
        slope = shares / np.float32(BATCH)
        inner = np.where(h > 0, slope @ w2.T, np.float32(0))
        w2 -= rate * (h.T @ slope)
        b2 -= rate * slope.sum(0)
        w1 -= rate * (begin.x.T @ inner)
        b1 -= rate * inner.sum(0)
    return losses


class Mlp:
    """The perceptron on one device, its kernels built and its arrays there."""

    def __init__(self, stage: Stage) -> None:
        device = stage.device
        module = device.compile(SOURCE, "cuda-c")
        self._hidden, self._output, self._mean, self._back, self._descend = map(
            module.get_kernel, ("hidden", "output", "mean", "back", "descend")
        )
        self._stream = stage.stream
        self._begin = begin = start()
        self._x, self._labels = device.asarray(begin.x), device.asarray(begin.labels)
        learnt = (begin.w1, begin.b1, begin.w2, begin.b2)
        self._w1, self._b1, self._w2, self._b2 = map(device.asarray, learnt)
        self._h = device.zeros((BATCH, HIDDEN), np.float32)
        self._inner = device.zeros((BATCH, HIDDEN), np.float32)
        self._slope = device.zeros((BATCH, CLASSES), np.float32)
        self._losses = device.zeros(BATCH, np.float32)
        self._loss = device.zeros(1, np.float32)
        self._wanted = expected_losses(STEPS_MAX)

    def begin(self) -> None:
        """Forget what was learnt."""
        begin, stream = self._begin, self._stream
        for array, values in (
            (self._w1, begin.w1),
            (self._b1, begin.b1),
            (self._w2, begin.w2),
            (self._b2, begin.b2),
        ):
            array.set(values, stream=stream)
        stream.sync()

    def train(self, steps: int) -> tuple[list[float], bool]:
        """Train so many steps from the start; return ms of each, and whether the losses are what
        NumPy gives.
        """
        self.begin()
        stream, rate, out = self._stream, np.float32(RATE), np.zeros(1, np.float32)
        rows, one = LaunchConfig(BATCH, HIDDEN), LaunchConfig(1, 1)
        second, first = LaunchConfig(HIDDEN, CLASSES), LaunchConfig(INPUTS, HIDDEN)
        k, h, c = map(np.int32, (INPUTS, HIDDEN, CLASSES))
        w1, b1, w2, b2 = self._w1, self._b1, self._w2, self._b2
        taken: list[float] = []
        losses: list[float] = []
        for _ in range(steps):
            began = time.perf_counter()
            launch(stream, rows, self._hidden, self._x, w1, b1, self._h)
            launch(
                stream,
                LaunchConfig(1, BATCH),
                self._output,
                *(self._h, w2, b2, self._labels, self._slope, self._losses),
            )
            launch(stream, one, self._mean, self._losses, self._loss)
            launch(stream, rows, self._back, self._h, w2, self._slope, self._inner)
            launch(stream, second, self._descend, rate, self._h, self._slope, w2, b2, h, c)
            launch(stream, first, self._descend, rate, self._x, self._inner, w1, b1, k, h)
            self._loss.get(out, stream=stream)
            taken.append((time.perf_counter() - began) * 1e3)
            losses.append(float(out[0]))
        return taken, bool(np.allclose(losses, self._wanted[:steps], rtol=2e-3, atol=1e-4))
