"""The devices that the collection runs on, and what each has.

`GON_TEST_DEVICE` names another device than the default one, as `gon.local` takes it: so the same
cases run in an environment of another runtime. Without it, OpenCL C 1.2 is also tried on the
default runtime: its translation is for compilers that have no C++.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator
from contextlib import contextmanager

import pyopencl as cl
import pytest

import gon
from gon_server.cuda_c.target import Dialect, Target
from gon_server.devices import cuda_units, opencl_cuda_c
from gon_server.devices.opencl_runtime import select
from tests.kernels.case import Feature

VARIABLE = "GON_TEST_DEVICE"
SCHEME = "opencl:"
EVERYTHING = frozenset(Feature)


def named_device() -> str:
    """Return the device that the environment names, the host's default software unit if none."""
    return os.environ.get(VARIABLE, SCHEME)


@contextmanager
def direct(address: str) -> Generator[tuple[gon.Device, frozenset[Feature]]]:
    """Open a device in this process; give it and what it has."""
    with gon.local(address) as device:
        yield device, _features(address)


@contextmanager
def without_cpp(address: str) -> Generator[tuple[gon.Device, frozenset[Feature]]]:
    """Open an OpenCL device as if its compiler had no C++ and no sub-groups; skips any other."""
    if not address.startswith(SCHEME):
        pytest.skip(f"{address} is no OpenCL device")
    unit = select(address.removeprefix(SCHEME))
    plain = dataclasses.replace(_target(address), dialect=Dialect.C12, subgroup_sizes=())
    with pytest.MonkeyPatch.context() as patch, gon.local(address) as device:
        patch.setitem(opencl_cuda_c._TARGETS, int(unit.int_ptr), plain)
        yield device, _features_of(plain)


@contextmanager
def cuda() -> Generator[tuple[gon.Device, frozenset[Feature]]]:
    """Open the first CUDA device; skips where there is none."""
    found = _cuda_devices()
    if not found:
        pytest.skip("there is no CUDA device")
    with gon.local(f"cuda:{found[0]}") as device:
        yield device, EVERYTHING


def _cuda_devices() -> list[str]:
    try:
        return [each.address for each in cuda_units.discover()]
    except gon.Unsupported as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            return []  # without NVIDIA's packages no device of theirs can be found
        raise


def _features(address: str) -> frozenset[Feature]:
    return _features_of(_target(address)) if address.startswith(SCHEME) else EVERYTHING


def _target(address: str) -> Target:
    unit = select(address.removeprefix(SCHEME))
    return opencl_cuda_c.target_of(cl.Context([unit]), unit)


def _features_of(target: Target) -> frozenset[Feature]:
    has = {
        Feature.CPP: target.dialect is Dialect.CPP,
        Feature.SUBGROUPS: 32 in target.subgroup_sizes,
        Feature.FP16: target.fp16,
        Feature.FP64: target.fp64,
        Feature.INT64_ATOMICS: target.int64_atomics,
    }
    return frozenset(feature for feature, there in has.items() if there)
