"""The house rules as a test: reads the code, never runs it, and names each break by file and line.

The rules are in tests/tidy/. The second half of this file feeds each rule code that breaks it, so
that no rule can fall asleep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.tidy import directions, habits
from tests.tidy.source import ROOT, Finding, Source, natives, sources

Check = Callable[[Source], Iterator[Finding]]

TREE = sources()
NO_PACKAGES = ("server", "client", "shim", "proto", "tests", "bench")


@pytest.mark.parametrize("check", [directions.check, *habits.CHECKS], ids=lambda c: c.__qualname__)
def test_tree_keeps_the_rule(check: Check) -> None:
    findings = [str(finding) for source in TREE for finding in check(source)]
    assert not findings, "\n" + "\n".join(findings)


def test_native_modules_keep_to_the_directions() -> None:
    found = natives()
    assert all(any(source.imports) for source in found), "a module whose imports were not read"
    assert [str(finding) for source in found for finding in directions.check(source)] == []


def test_directories_that_hold_packages_are_none() -> None:
    assert [top for top in NO_PACKAGES if (ROOT / top / "__init__.py").exists()] == []


def test_every_lazy_import_on_the_list_is_there() -> None:
    done = {(s.module, found.module) for s in TREE for found in s.imports if found.in_function}
    assert set(habits.LAZY_IMPORTS) - done == set()


def test_texts_name_no_machine() -> None:
    texts = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*.toml"),
        ROOT / "Makefile",
    ]
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*texts, ROOT / ".ci" / "run"]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if habits.MACHINE_PATH.search(line)
    ]
    assert named == []


# Code that breaks a rule: path, code, what the finding says ("" where there must be none).
IMPORTS = [
    ("server/gon_server/a.py", "import gon_client", "may not import gon_client"),
    ("server/gon_server/a.py", "from gon_client.connect import x", "may not import gon_client"),
    ("client/gon_client/a.py", "import gon_server.daemon", "may not import gon_server"),
    ("client/gon_client/a.py", "def f():\n    import gon_server", "may not import gon_server"),
    ("client/gon_client/a.py", "from gon_shim import x", "may not import gon_shim"),
    ("gon/device.py", "import gon_client.device", "may not import gon_client"),
    ("gon/testing/a.py", "NAME = 'gon_client.device'", "only gon/__init__.py"),
    ("gon/__init__.py", "import gon_client", ""),
    ("gon/__init__.py", "NAME = 'gon_client.device'", ""),
    ("gon/wire/a.py", "from gon.transport.base import Link", "may not import gon.transport"),
    ("gon/wire/a.py", "from ..transport import base", "may not import gon.transport"),
    ("gon/wire/a.py", "from . import ops", ""),
    ("gon/wire/a.py", "import socket", "may not import socket"),
    ("gon/wire/a.py", "from threading import Lock", "may not import threading"),
    ("gon/wire/a.py", "import time", "may not import time"),
    ("gon/wire/a.py", "from gon.clock import Clock", ""),
    ("gon/wire/a.py", "from gon.pb.v1 import control_pb2", "may not import gon.pb"),
    ("gon/transport/a.py", "from gon.wire import frame", "may not import gon.wire"),
    ("gon/transport/a.py", "import zmq", "zmq belongs to"),
    ("gon/transport/zmq.py", "import zmq", ""),
    ("gon/model.py", "from gon.device import Device", "may not import gon.device"),
    ("server/gon_server/devices/a.py", "from gon.wire import ops", "may not import gon.wire"),
    ("server/gon_server/devices/a.py", "from gon_server import leases", "gon_server.leases"),
    ("server/gon_server/devices/a.py", "from gon_server.devices import b", ""),
    ("server/gon_server/devices/a.py", "import pyopencl as cl", "pyopencl belongs to"),
    ("server/gon_server/devices/opencl_build.py", "import pyopencl as cl", ""),
    ("server/gon_server/leases.py", "import grpc", "grpc belongs to"),
    ("server/gon_server/leases.py", "from gon.pb.v1 import control_pb2", "gon.pb belongs to"),
    ("server/gon_server/control.py", "import grpc\nfrom gon.pb.v1 import control_pb2", ""),
    ("client/gon_client/link.py", "from google.protobuf import message", "google.protobuf belongs"),
    ("client/gon_client/device.py", "import rich", "rich belongs to"),
    ("bench/compare.py", "import gon_client, gon_server", ""),
    ("tests/unit/test_a.py", "import gon_client, gon_server, zmq", ""),
]


@pytest.mark.parametrize(("path", "code", "says"), IMPORTS)
def test_directions(path: str, code: str, says: str) -> None:
    findings = list(directions.check(Source(path, code)))
    assert bool(findings) == bool(says), findings
    assert not says or says in str(findings[0])


LONG = "def f():\n" + "    x = 1\n" * 70
HABITS: list[tuple[Check, str, bool]] = [
    (habits.check_size, LONG, False),
    (habits.check_size, LONG.removesuffix("    x = 1\n"), True),
    (habits.check_size, "#" * 101, False),
    (habits.check_size, "\n" * 401, False),
    (habits.check_docstring, "x = 1", False),
    (habits.check_docstring, '"""What it is for."""', True),
    (habits.check_text, "# TO" + "DO: later", False),
    (habits.check_text, "x = 1  # FIX" + "ME", False),
    (habits.check_text, 'HOME = "/ho' + 'me/someone/x"', False),
    (habits.check_text, 'RUN = "/run/gon/gond.sock"', True),
    (habits.check_excepts, "try:\n    f()\nexcept:\n    pass", False),
    (habits.check_excepts, "try:\n    f()\nexcept Exception:\n    pass", False),
    (habits.check_excepts, "try:\n    f()\nexcept Exception:  # noqa: BLE001\n    pass", False),
    (habits.check_excepts, "try:\n    f()\nexcept (OSError, BaseException):\n    pass", False),
    (
        habits.check_excepts,
        "try:\n    f()\nexcept Exception:  # noqa: BLE001 - it is a plugin's\n    pass",
        True,
    ),
    (habits.check_excepts, "try:\n    f()\nexcept OSError:\n    pass", True),
    (habits.check_excepts, "try:\n    f()\nexcept BaseException:\n    g()\n    raise", True),
    (habits.check_excepts, "try:\n    f()\nexcept Exception as e:\n    raise X from e", False),
    (habits.check_asserts, "assert unit.device", False),
    (habits.check_asserts, "assert connect()", False),
    (habits.check_asserts, "assert len(self.taken()) == 1", False),
    (habits.check_asserts, "assert (line := file) and line", False),
    (habits.check_asserts, "async def f():\n    assert await g", False),
    (habits.check_asserts, "assert x, explain(x)", True),
    (habits.check_asserts, "assert unit.device is not None and len(x) == x.size", True),
    (habits.check_asserts, "assert all(isinstance(each, int) for each in x)", True),
    (habits.check_lazy_imports, "def f():\n    import os", False),
    (habits.check_lazy_imports, "class A:\n    async def f(self):\n        from a import b", False),
    (habits.check_lazy_imports, "if True:\n    import os", True),
    (habits.check_clocks, "import time\ntime.monotonic()", False),
    (habits.check_clocks, "from time import sleep", False),
    (habits.check_clocks, "import time\ntime.perf_counter()", False),
    (habits.check_clocks, "from gon.clock import SYSTEM_CLOCK\nSYSTEM_CLOCK.now_s()", True),
    (habits.check_names, "class LeaseManager: ...", False),
    (habits.check_names, "class IOHandler: ...", False),
    (habits.check_names, "class Handlebar: ...", True),
    (habits.check_annotations, "def f(x: Any) -> None: ...", False),
    (habits.check_annotations, "def f() -> dict[str, typing.Any]: ...", False),
    (habits.check_annotations, "x: 'list[Any]' = []", False),
    (habits.check_annotations, "def f(x: Anything) -> None: ...", True),
]


@pytest.mark.parametrize(("check", "code", "good"), HABITS)
def test_habits(check: Check, code: str, good: bool) -> None:
    findings = list(check(Source("gon/example.py", code)))
    assert (not findings) == good, findings


def test_files_whose_name_says_nothing() -> None:
    assert list(habits.check_names(Source("gon/utils.py", "")))
    assert list(habits.check_names(Source("gon/wire_helpers.py", "")))


def test_the_clock_itself_may_read_the_clock() -> None:
    code = "import time\ntime.monotonic()"
    assert not list(habits.check_clocks(Source("gon/clock.py", code)))
    assert not list(habits.check_clocks(Source("bench/bench_rtt.py", code)))


def test_sources_know_their_names() -> None:
    assert Source("server/gon_server/devices/__init__.py", "").module == "gon_server.devices"
    assert Source("gon/wire/ops.py", "").module == "gon.wire.ops"
    assert Source("tests/unit/test_a.py", "").module == "tests.unit.test_a"
