"""Write the report page of runs that were kept: python bench/report.py ROWS.json … --to PAGE.html

`--beside RIVALS.json` shows the rows of `make bench-rivals` beside GoN's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gon.errors import GonError
from gon_client.bench.page import save_page
from gon_client.bench.record import load


def main(arguments: Sequence[str] | None = None) -> int:
    """Read rows, write the page; return the exit status."""
    parser = argparse.ArgumentParser(description="Write the report page of runs of gon bench.")
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, required=True, metavar="PAGE")
    parser.add_argument("--beside", type=Path, action="append", default=[], metavar="ROWS")
    chosen = parser.parse_args(arguments)
    try:
        rows, beside = (
            [r for p in paths for r in load(p)] for paths in (chosen.rows, chosen.beside)
        )
        save_page(rows, chosen.to, beside)
    except (OSError, GonError) as error:
        sys.stderr.write(f"report: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
