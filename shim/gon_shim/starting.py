"""What a driver's C says of the Python that it was built by, before all else: `starting.c`.

Rules: only text; knows no API.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path
from typing import Final

import gon
import gon_client
import gon_shim

_TEXT: Final = Path(__file__).parent / "starting.c"


def places() -> list[str]:
    """Return the directories that hold what a driver imports."""
    packages = (gon, gon_client, gon_shim)
    own = [str(Path(package.__path__[0]).resolve().parent) for package in packages]
    return [*dict.fromkeys([*own, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])]


def c_text() -> str:
    """Return the C that defines `gon_start_python`."""
    listed = ", ".join(map(_quoted, places()))
    defined = [f"#define GON_EXECUTABLE {_quoted(sys.executable)}", f"#define GON_PLACES {listed}"]
    return "\n".join([*defined, _TEXT.read_text("utf-8")])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
