"""OpenCV's functions on UMat, which run as OpenCL kernels, beside the same on arrays, a line each.

Run in an environment that has OpenCV, not GoN: `python umat.py`. Prints `passed NAME` or `failed
NAME: why` for each function, as tests/suites/tallies.py reads them.

Rules: a function that OpenCV would rather compute on the processor than fail is found out: OpenCV
is told to raise instead.
"""

# OpenCV's own types know of no UMat in most places.
# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import sys
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = cv2.typing.MatLike
Call = Callable[..., Image]
_SEED = 7
_HEIGHT, _WIDTH = 241, 322
_KERNEL = np.ones((3, 3), np.uint8)
_TURN = np.array([[0.9, 0.2, 5], [-0.2, 0.9, 9]], np.float32)
_TILT = np.array([[0.9, 0.2, 5], [-0.2, 0.9, 9], [1e-4, 2e-4, 1]], np.float32)

# Of bytes in colour, of bytes in grey, of single precision.
COLOUR: dict[str, Call] = {
    "GaussianBlur": lambda x: cv2.GaussianBlur(x, (5, 5), 0),
    "blur": lambda x: cv2.blur(x, (7, 5)),
    "boxFilter": lambda x: cv2.boxFilter(x, -1, (3, 3)),
    "medianBlur": lambda x: cv2.medianBlur(x, 5),
    "bilateralFilter": lambda x: cv2.bilateralFilter(x, 5, 40, 40),
    "filter2D": lambda x: cv2.filter2D(x, -1, np.full((3, 3), 1 / 9, np.float32)),
    "cvtColor to grey": lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2GRAY),
    "cvtColor to HSV": lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2HSV),
    "cvtColor to YCrCb": lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2YCrCb),
    "resize": lambda x: cv2.resize(x, (160, 121), interpolation=cv2.INTER_LINEAR),
    "resize by areas": lambda x: cv2.resize(x, (161, 120), interpolation=cv2.INTER_AREA),
    "warpAffine": lambda x: cv2.warpAffine(x, _TURN, (_WIDTH, _HEIGHT), flags=cv2.INTER_NEAREST),
    "warpPerspective": lambda x: cv2.warpPerspective(x, _TILT, (_WIDTH, _HEIGHT)),
    "flip": lambda x: cv2.flip(x, 1),
    "transpose": cv2.transpose,
    "pyrDown": cv2.pyrDown,
    "pyrUp": cv2.pyrUp,
    "copyMakeBorder": lambda x: cv2.copyMakeBorder(x, 3, 4, 5, 6, cv2.BORDER_REFLECT),
    "bitwise_not": cv2.bitwise_not,
    "add": lambda x: cv2.add(x, x),
    "absdiff": lambda x: cv2.absdiff(x, cv2.flip(x, 0)),
    "inRange": lambda x: cv2.inRange(x, np.array([20] * 3), np.array([180] * 3)),
    "extractChannel": lambda x: cv2.extractChannel(x, 1),
}
GREY: dict[str, Call] = {
    "Sobel": lambda x: cv2.Sobel(x, cv2.CV_16S, 1, 0),
    "Scharr": lambda x: cv2.Scharr(x, cv2.CV_16S, 0, 1),
    "Laplacian": lambda x: cv2.Laplacian(x, cv2.CV_16S),
    "erode": lambda x: cv2.erode(x, _KERNEL),
    "dilate": lambda x: cv2.dilate(x, _KERNEL, iterations=2),
    "threshold": lambda x: cv2.threshold(x, 90, 255, cv2.THRESH_BINARY)[1],
    "adaptiveThreshold": lambda x: cv2.adaptiveThreshold(
        x, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 7, 3
    ),
    "equalizeHist": cv2.equalizeHist,
    "calcHist": lambda x: cv2.calcHist([x], [0], None, [64], [0, 256]),
    "integral": cv2.integral,
    "LUT": lambda x: cv2.LUT(x, np.arange(255, -1, -1, np.uint8)),
    "matchTemplate": lambda x: cv2.matchTemplate(x, _part(x), cv2.TM_CCORR_NORMED),
    "CLAHE": lambda x: cv2.createCLAHE(2.0, (8, 8)).apply(x),
}
SINGLE: dict[str, Call] = {
    "multiply": lambda x: cv2.multiply(x, x),
    "divide": lambda x: cv2.divide(x, cv2.add(x, 1.0)),
    "sqrt": cv2.sqrt,
    "exp": cv2.exp,
    "log": cv2.log,
    "pow": lambda x: cv2.pow(x, 2.5),
    "magnitude": lambda x: cv2.magnitude(x, cv2.flip(x, 0)),
    "gemm": lambda x: cv2.gemm(x, cv2.transpose(x), 1.0, None, 0.0),
    "dft": cv2.dft,
    "normalize": lambda x: cv2.normalize(x, None, 0, 1, cv2.NORM_MINMAX),
    "reduce": lambda x: cv2.reduce(x, 0, cv2.REDUCE_SUM),
    "accumulateWeighted": lambda x: cv2.accumulateWeighted(x, cv2.add(x, 1.0), 0.25),
}


def main() -> int:
    """Compare all; return the exit status."""
    cv2.ocl.setUseOpenCL(True)
    if not cv2.ocl.useOpenCL():
        print("failed OpenCL: OpenCV finds no device")
        return 1
    print(f"device {cv2.ocl.Device.getDefault().name()}")
    random = np.random.default_rng(_SEED)
    # Smooth, so that the last bit of an interpolation seldom decides.
    colour = cv2.blur(random.integers(0, 256, (_HEIGHT, _WIDTH, 3), np.uint8), (5, 5))
    single = random.random((_HEIGHT - 1, _WIDTH), np.float32) + np.float32(0.5)
    failed = False
    # By how much results may differ: bytes by how they are rounded.
    for calls, image, apart in (
        (COLOUR, colour, 1.0),
        (GREY, colour[:, :, 0].copy(), 1.0),
        (SINGLE, single, 1e-4),
    ):
        for name, call in calls.items():
            told = compared(call, image, apart)
            failed |= bool(told)
            print(f"failed {name}: {told}" if told else f"passed {name}", flush=True)
    return int(failed)


def compared(call: Call, image: NDArray[np.generic], apart: float) -> str:
    """Return how the results of both kinds differ, "" if they do not by more than `apart` of their
    scale."""
    expected = call(image)
    try:
        found = call(cv2.UMat(image))
    except cv2.error as error:
        return str(error).strip().splitlines()[-1]
    assert isinstance(found, cv2.UMat)
    one, other = np.asarray(found.get(), np.float64), np.asarray(expected, np.float64)
    if one.shape != other.shape:
        return f"of shape {one.shape}, not {other.shape}"
    scale = 1.0 if apart >= 1 else max(1.0, float(np.abs(other).max()))
    worst = float(np.abs(one - other).max()) / scale
    return f"differs by {worst:.3g}" if worst > apart else ""


def _part(image: Image) -> Image:
    if isinstance(image, cv2.UMat):
        return cv2.UMat(image, (20, 40), (30, 50))
    return image[20:40, 30:50]


if __name__ == "__main__":
    sys.exit(main())
