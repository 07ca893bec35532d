"""Every source of the kernel collection is valid CUDA C, by NVIDIA's own compiler, and has exactly
the kernels that the cases launch.
"""

from __future__ import annotations

import re

import pytest

from tests.kernels.case import Source
from tests.kernels.collection import SOURCES, kernels_of, names_of
from tests.kernels.nvrtc import NotValidError, Nvrtc, find_nvrtc

_ENTRY = re.compile(r"^\s*(?:\.\w+ )*\.entry (\w+)", re.MULTILINE)


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    found = find_nvrtc()
    if found is None:
        pytest.skip("NVRTC and CUDA's headers are not installed (they come with gon[dev])")
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.file)
def test_a_source_is_cuda_c_and_each_kernel_of_it_has_a_case(nvrtc: Nvrtc, source: Source) -> None:
    names = names_of(source)
    compiled = nvrtc.compile(source.text, source.file, source.options, source.header_texts, names)
    plain = kernels_of(source) - set(names)
    assert set(_ENTRY.findall(compiled.ptx)) == plain | set(compiled.lowered.values())
    assert "warning" not in compiled.log, compiled.log


def test_a_source_that_is_not_cuda_c_is_found(nvrtc: Nvrtc) -> None:
    with pytest.raises(NotValidError, match=r"broken\.cu\(1\): error: .*\"missing\""):
        nvrtc.compile("__global__ void f(int *p) { *p = missing; }", "broken.cu")
