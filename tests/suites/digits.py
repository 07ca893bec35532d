"""tinygrad trains a small network on handwritten digits, and NumPy the same: one line each.

Run in an environment that has tinygrad and scikit-learn, not GoN: `GPU=1 python digits.py`. Prints
`passed NAME` or `failed NAME: why`, as tests/suites/tallies.py reads them.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from tinygrad import Device, Tensor

Single = NDArray[np.float32]
_SEED = 3
_HIDDEN, _CLASSES = 48, 10
_BATCH, _STEPS, _RATE = 128, 60, np.float32(0.5)
_ACCURACY = 0.9


def main() -> int:
    """Train both; return the exit status."""
    if Device.DEFAULT not in ("GPU", "CL"):
        print(f"failed OpenCL: tinygrad computes on {Device.DEFAULT}")
        return 1
    pixels, target = load_digits(return_X_y=True)
    x, y = (pixels / 16).astype(np.float32), target.astype(np.int32)
    one_of = np.eye(_CLASSES, dtype=np.float32)[y]
    random = np.random.default_rng(_SEED)
    start = [
        (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        for shape in ((x.shape[1], _HIDDEN), (_HIDDEN, _CLASSES))
    ]
    batches = [random.integers(0, len(x), _BATCH) for _ in range(_STEPS)]
    by_hand, expected = trained_by_hand(x, one_of, start, batches)
    by_tinygrad, found = trained(x, one_of, start, batches)
    told = [
        check("loss of each step", np.abs(np.subtract(found, expected)).max(), 1e-3),
        *(
            check(f"weights {index}", np.abs(one - other).max(), 1e-3)
            for index, (one, other) in enumerate(zip(by_tinygrad, by_hand, strict=True))
        ),
    ]
    guessed = (Tensor(x) @ Tensor(by_tinygrad[0])).relu() @ Tensor(by_tinygrad[1])
    wrong = 1 - float((guessed.argmax(axis=1).numpy() == y).mean())
    told.append(check("digits that are taken for others", wrong, 1 - _ACCURACY))
    return 0 if all(told) else 1


def check(name: str, apart: float, most: float) -> bool:
    """Say whether two are as near as they must be; return it."""
    print(f"passed {name}" if apart <= most else f"failed {name}: {apart:.3g}, more than {most}")
    return bool(apart <= most)


def trained(
    x: Single, one_of: Single, start: list[Single], batches: list[NDArray[np.int64]]
) -> tuple[list[Single], list[float]]:
    """Return the weights and each step's loss, by tinygrad."""
    weights = [Tensor(each, requires_grad=True) for each in start]
    losses: list[float] = []
    for batch in batches:
        guessed = (Tensor(x[batch]) @ weights[0]).relu() @ weights[1]
        loss = -(guessed.log_softmax() * Tensor(one_of[batch])).sum() / _BATCH
        for each in weights:
            each.grad = None
        loss.backward()
        for each in weights:
            each.assign(each.detach() - each.grad * float(_RATE)).realize()
        losses.append(float(loss.numpy()))
    return [each.numpy() for each in weights], losses


def trained_by_hand(
    x: Single, one_of: Single, start: list[Single], batches: list[NDArray[np.int64]]
) -> tuple[list[Single], list[float]]:
    """Return the same, by NumPy."""
    first, second = (each.copy() for each in start)
    losses: list[float] = []
    for batch in batches:
        hidden = np.maximum(x[batch] @ first, 0)
        raw = hidden @ second
        raised = np.exp(raw - raw.max(axis=1, keepdims=True))
        likely = raised / raised.sum(axis=1, keepdims=True)
        losses.append(float(-(one_of[batch] * np.log(likely)).sum() / _BATCH))
        slope = (likely - one_of[batch]) / np.float32(_BATCH)
        back = (slope @ second.T) * (hidden > 0)
        second -= _RATE * (hidden.T @ slope)
        first -= _RATE * (x[batch].T @ back)
    return [first, second], losses


if __name__ == "__main__":
    sys.exit(main())
