"""The OpenCL driver, as programs meet it: C programs and pyopencl find a unit of a real gond by the
loader, and hold the driver to what the specification says.

The programs are compiled against headers made of the driver's own tables, and linked with the
loader that pyopencl brings along, so nothing else need be installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pyopencl
import pytest

from gon_shim.embedding import missing
from gon_shim.opencl import c_programs, library
from gon_shim.opencl.build import vendors
from gon_shim.opencl.khronos import constants, generate
from tests.e2e.gond_process import ROOT, Gond, real_gond

HERE = Path(__file__).parent
PATIENCE_S = 200.0
pytestmark = pytest.mark.skipif(bool(missing()), reason=f"there is not {missing()}")


@pytest.fixture(scope="module")
def gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    with real_gond(tmp_path_factory.mktemp("gond")) as running:
        yield running


@pytest.fixture(scope="module")
def environ(gond: Gond, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a program's environment says of the driver and of the host."""
    found = {name: text for name, text in os.environ.items() if not name.startswith("GON_")}
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as said:
        directory = vendors(tmp_path_factory.mktemp("cache"))
    assert (out.getvalue(), said.getvalue()) == ("", "GoN OpenCL: building libgon_opencl.so\n")
    return {
        **found,
        "OCL_ICD_VENDORS": str(directory),
        "GON_HOST": gond.tcp,
        "GON_ICD_VERBOSE": "1",
    }


def loader_of_pyopencl() -> Path:
    return c_programs.loader_beside(Path(pyopencl.__path__[0]))


def compiled(name: str, folder: Path) -> Path:
    """Return a program of this directory, compiled."""
    return c_programs.compiled(HERE / f"{name}.c", loader_of_pyopencl(), folder)


def run(environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def test_a_program_from_its_first_call_to_its_last(
    environ: dict[str, str], gond: Gond, tmp_path: Path
) -> None:
    # Whichever Python a path names, the driver's own is started.
    found = {**environ, "PATH": "/usr/bin:/bin"}
    ended = run(found, str(compiled("first", tmp_path)))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "good: " in ended.stdout
    assert "leased" in ended.stderr
    # Its end has given the unit back: nobody waits for its grace to pass.
    assert "has ended: released" in gond.output


def test_what_the_specification_says(environ: dict[str, str], tmp_path: Path) -> None:
    ended = run(environ, str(compiled("objects", tmp_path)))
    assert ended.stdout == "good\n", ended.stdout + ended.stderr
    assert "was forked" in ended.stderr
    assert ended.returncode == 0


def test_what_happens_when(environ: dict[str, str], tmp_path: Path) -> None:
    ended = run(environ, str(compiled("order", tmp_path)))
    said = f"good\nreleased: 0, finished: {constants.CL_OUT_OF_HOST_MEMORY}\n"
    assert ended.stdout == said, ended.stdout + ended.stderr
    assert ended.returncode == 0


def test_what_failed_has_failed_for_ever(environ: dict[str, str], tmp_path: Path) -> None:
    ended = run(environ, str(compiled("failures", tmp_path)))
    assert (ended.stdout, ended.returncode) == ("good\n", 0), ended.stdout + ended.stderr


def test_threads_of_python_that_come_first_at_once_and_a_call_that_comes_last(
    environ: dict[str, str],
) -> None:
    ended = run(environ, sys.executable, str(HERE / "threads.py"), str(loader_of_pyopencl()))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = f"released: 0, finished: {constants.CL_OUT_OF_HOST_MEMORY}\n"
    assert ended.stdout == f"{[0] * 6}\n{said}"


def test_where_python_does_not_start_every_call_fails(
    environ: dict[str, str], tmp_path: Path
) -> None:
    program = str(compiled("first", tmp_path))
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['msgspec'] = None")
    ended = run({**environ, "PYTHONPATH": str(tmp_path)}, program)
    assert ended.returncode == 1
    assert ended.stdout.startswith("clGetDeviceIDs(")
    assert ended.stdout.endswith(f": {constants.CL_OUT_OF_HOST_MEMORY}\n")
    assert "Failed to initialize" in ended.stderr
    assert f"the driver's Python, {sys.executable}, does not start it" in ended.stderr


IN_A_SUB_INTERPRETER = """
import ctypes, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
# Calls that keep Python's lock, as those of extension modules may.
call = '''
import ctypes
loader, found = ctypes.PyDLL(%r), ctypes.c_void_p()
loader.clGetPlatformIDs(1, ctypes.byref(found), None)
print(loader.clGetDeviceIDs(found, ctypes.c_ulonglong(-1), 0, None, ctypes.byref(ctypes.c_uint())),
      flush=True)
''' % sys.argv[1]
exec(call)
interpreters.run_string(interpreters.create(), call)
exec(call)
"""


def test_a_sub_interpreter_is_told_that_it_has_no_device(environ: dict[str, str]) -> None:
    loader = str(loader_of_pyopencl())
    ended = run(environ, sys.executable, "-c", IN_A_SUB_INTERPRETER, loader)
    assert ended.stdout == f"0\n{constants.CL_OUT_OF_HOST_MEMORY}\n0\n", ended.stderr
    assert "called in a sub-interpreter" in ended.stderr


def test_a_driver_that_is_there_before_the_programs_python(environ: dict[str, str]) -> None:
    (driver,) = Path(environ["OCL_ICD_VENDORS"]).glob("*.so")
    found = {**environ, "LD_PRELOAD": str(driver)}
    ended = run(found, sys.executable, str(HERE / "by_pyopencl.py"))
    assert ended.stdout == "good\n", ended.stderr
    assert "does not start" not in ended.stderr


def test_pyopencl_in_an_interpreter_of_its_own(environ: dict[str, str]) -> None:
    ended = run(environ, sys.executable, str(HERE / "by_pyopencl.py"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout == "good\n"


def test_what_is_still_mapped_at_the_end(environ: dict[str, str]) -> None:
    ended = run(environ, sys.executable, str(HERE / "mapped_by_pyopencl.py"))
    assert (ended.stdout, ended.returncode) == ("good\n", 0), ended.stderr


def test_what_comes_in_between_while_times_are_taken(environ: dict[str, str]) -> None:
    ended = run(environ, sys.executable, str(HERE / "timed_by_pyopencl.py"))
    assert ended.stdout == "good\n", ended.stderr
    assert ended.returncode == 0


def test_what_the_specification_says_of_images(environ: dict[str, str], tmp_path: Path) -> None:
    ended = run(environ, str(compiled("images", tmp_path)))
    assert ended.stdout == "good\n", ended.stdout + ended.stderr
    assert ended.returncode == 0


def test_images_by_pyopencl(environ: dict[str, str]) -> None:
    ended = run(environ, sys.executable, str(HERE / "images_by_pyopencl.py"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout == "good\n"


def test_a_python_that_has_nothing_of_the_drivers_installed(environ: dict[str, str]) -> None:
    program = (
        "import ctypes, sys; n = ctypes.c_uint();"
        " ctypes.CDLL(sys.argv[1]).clGetPlatformIDs(0, None, ctypes.byref(n)); print(n.value)"
    )
    # Without `site` it has the standard library alone.
    ended = run(environ, sys.executable, "-S", "-c", program, str(loader_of_pyopencl()))
    assert ended.stdout == "1\n", ended.stderr


def test_gon_run_leads_a_program_to_its_lease(
    environ: dict[str, str], gond: Gond, tmp_path: Path
) -> None:
    program = compiled("first", tmp_path)
    plain = {name: text for name, text in environ.items() if name != "OCL_ICD_VENDORS"}
    plain["XDG_CACHE_HOME"] = str(tmp_path)
    command = [sys.executable, "-m", "gon_client.cli", "run", "--host", gond.tcp, "--stats"]
    command[1:3] = ["-c", "from gon_client.cli import main; main()"]
    ended = run(plain, *command, "--", str(program))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = re.search(r"gon run: 1 devices, (\d+) ops in (\d+) frames, (\d+) waits", ended.stderr)
    assert told is not None, ended.stderr
    ops, frames, waits = map(int, told.groups())
    assert ops > 500  # so many are launches
    assert frames < 100
    assert waits < 20


def test_gon_run_goes_on_where_there_can_be_no_driver(
    environ: dict[str, str], gond: Gond, tmp_path: Path
) -> None:
    plain = {name: text for name, text in environ.items() if name != "OCL_ICD_VENDORS"}
    plain |= {"XDG_CACHE_HOME": str(tmp_path), "CC": "/bin/false"}
    command = [sys.executable, "-c", "from gon_client.cli import main; main()", "run"]
    ended = run(plain, *command, "--host", gond.tcp, "--", "echo", "ran")
    assert (ended.returncode, ended.stdout) == (0, "ran\n"), ended.stderr
    assert "gon run: no opencl: libgon_opencl.so does not compile" in ended.stderr


def test_without_a_host_there_is_no_platform(environ: dict[str, str], tmp_path: Path) -> None:
    program = str(compiled("first", tmp_path))
    for name, text in (("GON_HOST", ""), ("GON_ICD", "off")):
        ended = run({**environ, name: text}, program)
        assert ended.returncode == 1
        assert "clGetPlatformIDs" in ended.stdout
        assert "no platform" in ended.stderr or "no device" in ended.stderr


def test_every_entry_of_the_table_is_there() -> None:
    table = library.entries()
    assert len(table) == 149
    assert sum(not entry.is_foreign for entry in table) == 118
    source = library.c_source()
    for entry in table:
        filled = f"(const void *)icd_{entry.name}," if entry.result else "gon_unsupported,"
        assert filled in source


@pytest.mark.skipif(not generate.HEADERS.is_dir(), reason="Khronos' headers are not installed")
def test_the_tables_are_those_of_the_headers() -> None:
    assert (ROOT / "shim/gon_shim/opencl/khronos/opencl.h").read_text() == generate.header_text()
    assert vars(constants).keys() >= generate.constants().keys()
