"""The first kernel: compiled in one process, begun with in others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gon.device import Builder
from gon.model import DEFAULT_STREAM, Handle, Program
from gon_server.devices import opencl, opencl_trial
from gon_server.devices.opencl_runtime import select

HANDLE = Handle(1)
TWICE = Program(b"kernel void twice(global int *x) { x[get_global_id(0)] *= 2; }", "opencl-c")


@pytest.fixture
def first() -> Iterator[opencl.OpenClDevice]:
    device = opencl.open_device("")
    yield device
    device.close()


@pytest.fixture
def no_compiler(first: opencl.OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Nothing compiles a first kernel any more; what the first device has found out."""

    def compile_nothing(*_: object) -> None:
        raise AssertionError("the first kernel was compiled")

    monkeypatch.setattr(opencl_trial, "build_program", compile_nothing)
    return first.trial


@pytest.mark.parametrize("may_share", [True, False])
def test_a_device_opens_without_its_compiler(no_compiler: bytes, may_share: bool) -> None:
    device = opencl.OpenClDevice(select(""), "", no_compiler, may_share=may_share)
    assert ("the host's memory" in repr(device)) is may_share
    assert device.trial == no_compiler
    device.close()


def test_what_the_first_builds_the_second_runs(
    first: opencl.OpenClDevice, no_compiler: bytes
) -> None:
    second = opencl.open_device("", no_compiler)
    assert isinstance(second, Builder)
    assert second.build_identity == first.build_identity
    second.load_built(HANDLE, first.build(TWICE))
    second.get_kernel(HANDLE, HANDLE, "twice")
    second.allocate(HANDLE, 16)
    second.write(DEFAULT_STREAM, HANDLE, 0, memoryview(np.arange(4, dtype=np.int32).tobytes()))
    second.launch(DEFAULT_STREAM, HANDLE, (4, 1, 1), (1, 1, 1), 0, (HANDLE,))
    out = bytearray(16)
    second.read(DEFAULT_STREAM, HANDLE, 0, memoryview(out)).wait()
    assert np.frombuffer(out, np.int32).tolist() == [0, 2, 4, 6]
    second.close()


@pytest.mark.parametrize("trial", [b"nothing of the kind", b""], ids=["junk", "none"])
def test_what_does_not_load_is_compiled(trial: bytes) -> None:
    device = opencl.open_device("", trial)
    assert device.trial not in (b"", trial)
    device.close()


def test_a_builder_loads_its_compiler_before_it_is_asked(
    no_compiler: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opencl.open_device("", no_compiler)
    built: list[Program] = []
    monkeypatch.setattr(device._programs, "build", built.append)
    device.prepare_build()
    assert built == [opencl_trial.PROGRAM]
    device.close()
