"""Measure how exact the CUDA math library is on the host's software unit, and print the rows of the
table in docs/CUDA.md: python bench/bench_cuda_math.py [--count N] [--exact N]
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gon_server.cuda_c.builtins import BUILTINS
from gon_server.cuda_c.target import Dialect
from tests.unit.cuda_math_cases import measure
from tests.unit.cuda_unit import CudaUnit


def main() -> None:
    """Print one row a function, the largest error of both dialects, rounded up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400_000, help="arguments a function")
    parser.add_argument("--exact", type=int, default=400, help="arguments computed to all digits")
    asked = parser.parse_args()
    found = [measure(CudaUnit(dialect), asked.count, asked.exact, 1) for dialect in Dialect]
    for name in sorted(found[0], key=lambda name: (name.strip("_").lower(), name)):
        documented = BUILTINS[name].ulp
        if documented:
            worst = max(measured[name].ulp for measured in found)
            print(f"| `{name}` | {documented} | {math.ceil(worst * 100) / 100:.2f} |")


if __name__ == "__main__":
    main()
