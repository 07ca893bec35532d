"""Looking for devices, in processes of their own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gon_server.discover import look

# Ends the process that is to open the device "sim:", as a driver might.
CRASH = """import os, sys
if sys.orig_argv[-1] == "sim:":
    os._exit(3)
"""


def test_each_named_device_is_opened_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    addresses = ["null:", "sim:", "none:", "null:"]
    found = asyncio.run(look(addresses, environ, search=False))
    assert [each.address for each in found] == addresses[:3]
    null, sim, none = found
    assert not null.error
    assert null.formats
    assert sim.error == "the process that was to open it has failed"
    assert "no backend" in none.error


def test_nothing_is_looked_for_that_is_not_asked_for() -> None:
    assert asyncio.run(look([], {}, search=False)) == ()
