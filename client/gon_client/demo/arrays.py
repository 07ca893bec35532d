"""The arrays of the host that the demo computes with, by their types.

Rules: imports NumPy alone, so that the kernels' side of the demo runs where only the thin client is
installed.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Counts: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.float64]
