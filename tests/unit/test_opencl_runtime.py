"""Finding runtimes:

the vendor directory is ours alone, whole and reused; devices are chosen by name.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gon.errors import InvalidArgument
from gon_server.devices import opencl_runtime as runtime

FILES = {"a.icd": b"liba.so\n", "b.icd": b"/opt/b/libb.so\n"}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Set first, so that it is as it was afterwards: what is under test sets it.
    monkeypatch.setenv(runtime.VENDORS_VARIABLE, "")
    monkeypatch.delenv(runtime.VENDORS_VARIABLE)
    return tmp_path


def _there(path: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def test_the_directory_is_private_and_reused(temporary: Path) -> None:
    first = runtime._vendor_directory(FILES)
    assert _there(first) == FILES
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert runtime._vendor_directory(FILES) == first
    assert [entry.name for entry in temporary.iterdir()] == [first.name]
    assert runtime._vendor_directory({"a.icd": b"other"}) != first


@pytest.mark.parametrize("spoil", ["a file more", "a file changed", "open to others", "a link"])
def test_a_directory_that_is_not_ours_alone_is_not_used(temporary: Path, spoil: str) -> None:
    first = runtime._vendor_directory(FILES)
    if spoil == "a file more":
        (first / "evil.icd").write_bytes(b"evil.so")
    elif spoil == "a file changed":
        (first / "a.icd").write_bytes(b"evil.so")
    elif spoil == "open to others":
        first.chmod(0o777)
    else:
        moved = first.rename(temporary / "elsewhere")
        first.symlink_to(moved)
    second = runtime._vendor_directory(FILES)
    assert second != first
    assert _there(second) == FILES


def test_the_environment_is_set_once_and_again_when_it_is_gone(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = temporary / "libintelocl.so"
    library.touch()
    vendors = temporary / "vendors"
    vendors.mkdir()
    (vendors / "other.icd").write_bytes(b"libother.so\n")
    monkeypatch.setattr(runtime, "HOST_VENDORS", vendors)
    monkeypatch.setattr(runtime, "intel_library", lambda: library)
    runtime.prepare_runtime()
    made = Path(os.environ[runtime.VENDORS_VARIABLE])
    wanted = {"other.icd": b"libother.so\n", runtime.INTEL_VENDOR_FILE: f"{library}\n".encode()}
    assert _there(made) == wanted
    for name in wanted:
        (made / name).unlink()
    made.rmdir()
    runtime.prepare_runtime()
    assert _there(Path(os.environ[runtime.VENDORS_VARIABLE])) == wanted


def test_a_choice_of_the_operator_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = temporary / "chosen"
    chosen.mkdir()
    monkeypatch.setenv(runtime.VENDORS_VARIABLE, str(chosen))
    runtime.prepare_runtime()
    assert os.environ[runtime.VENDORS_VARIABLE] == str(chosen)


def test_what_is_discovered_can_be_opened_by_its_address() -> None:
    found = runtime.discover()
    assert found
    for device in found:
        assert runtime.select(device.address).name.strip() == device.name
    cpu = runtime.select("")
    assert runtime.kind_of(cpu) == "cpu"


@pytest.mark.parametrize("address", ["No Such Platform/0", "nonsense", "/", "Intel(R) OpenCL/99"])
def test_an_address_that_is_not_there_names_what_is(address: str) -> None:
    with pytest.raises(InvalidArgument, match=r"there are: .*/0"):
        runtime.select(address)


def test_openvino_leaves_intels_runtime_its_threads() -> None:
    """It brings another TBB: whichever comes first, both run in one process."""
    pytest.importorskip("openvino")
    if runtime.intel_library() is None:
        pytest.skip("Intel's runtime is not installed")
    program = (
        "from gon_server.engines.openvino_runtime import open_runtime; open_runtime(1);"
        " from gon_server.devices.opencl_runtime import discover;"
        " print([each.address for each in discover()])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert runtime.SOFTWARE_PLATFORMS[0] in ended.stdout, ended.stderr
