"""Whether the native modules are used: the quick way of launches, waits and small frames.

They are built from the `.pyx` files beside this package where a C compiler is found
(build_express.py), all or none. What they do, Python modules do too, more slowly, and the same
tests hold both to it. `GON_NATIVE=0` in the environment leaves them out.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Final

NATIVE: Final = (
    os.environ.get("GON_NATIVE", "1") != "0" and find_spec("gon.wire._ledger") is not None
)
