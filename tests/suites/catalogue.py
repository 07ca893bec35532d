"""The suites: programs of OpenCL that nobody here wrote, and what is known of each.

Rules: data only. `quick` ones take some seconds each and run at every integration; `large` ones
are fetched and run only where they are named. A test that fails through GoN alone stands in `known`
with the reason, or the run fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.suites.tallies import (
    Reader,
    of_clpeak,
    of_khronos,
    of_lines,
    of_pytest,
    of_pyvkfft,
    that_says,
)

_HERE: Final = Path(__file__).parent
_PYTEST: Final = (
    *("-m", "pytest", "-q", "-rfE", "-W", "ignore", "-p", "no:cacheprovider"),
    *("--timeout", "120"),
)
_PYTEST_PACKAGES: Final = ("pytest==9.2.0", "pytest-timeout==2.4.0")
_ARRAYS: Final = "numpy==2.4.6"
# Named also where tests only look for it: the driver's Python brings it along, so that they would
# find it through GoN alone.
_SCIPY: Final = "scipy==1.17.1"
# A word, hidden by MD5, for hashcat to find.
_HIDDEN: Final = ("fece999b9f3c6bfc259cbcd32c9c5f02", "go42")


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite.

    Its `command` runs in `tests`, a folder of the sources of `package`, if there is one; with a
    package of PyPI's, which is built with the settings of `build`, it begins with what the suites'
    Python is given. `programs` are Debian's packages that it needs; without any of both it begins
    with a file of the folder that BUILT names. With `as_gpu` it takes nothing but GPUs, and is told
    that the device is one (as_gpu.c). `limit_s` bounds a run; `known` tells of each test that fails
    through GoN alone why it does.
    """

    name: str
    command: tuple[str, ...]
    read: Reader
    limit_s: float
    programs: tuple[str, ...] = ()
    package: str = ""
    packages: tuple[str, ...] = ()
    build: Mapping[str, str] = field(default_factory=dict[str, str])
    tests: str = ""
    quick: tuple[str, ...] = ()
    large: bool = False
    as_gpu: bool = False
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    known: Mapping[str, str] = field(default_factory=dict[str, str])


# The folder in which Khronos' OpenCL-CTS was built.
BUILT: Final = "OPENCL_CTS"
LATENCY: Final = "Kernel launch latency"
WRITE, READ = "enqueueWriteBuffer", "enqueueReadBuffer"
CLPEAK: Final = Suite(
    "clpeak",
    ("clpeak",),
    of_clpeak,
    400,
    programs=("clpeak",),
    quick=("clpeak", "--kernel-latency", "--global-bandwidth"),
)
SUITES: Final = (
    Suite(
        "clinfo",
        ("clinfo",),
        that_says("Device Name"),
        60,
        programs=("clinfo",),
        quick=("clinfo",),
    ),
    CLPEAK,
    Suite(
        "OpenCV's UMat",
        (str(_HERE / "umat.py"),),
        of_lines,
        120,
        package="opencv-python-headless==5.0.0.93",
        packages=(_ARRAYS,),
        quick=(str(_HERE / "umat.py"),),
        settings={"OPENCV_OPENCL_DEVICE": ":CPU:", "OPENCV_OPENCL_RAISE_ERROR": "1"},
    ),
    Suite(
        "reikna",
        (
            *(*_PYTEST, "--api", "ocl", "test_core", "test_dht.py", "test_cbrng"),
            *("test_transformations.py", "test_linalg/test_norm.py"),
            "test_algorithms/test_reduce.py",
        ),
        of_pytest,
        400,
        package="reikna==0.9.0",
        packages=("pyopencl==2026.1.4", "mako", _ARRAYS, _SCIPY, *_PYTEST_PACKAGES),
        tests="test",
    ),
    Suite(
        "tinygrad",
        (str(_HERE / "digits.py"),),
        of_lines,
        200,
        package="tinygrad==0.11.0",
        packages=("scikit-learn==1.9.1", _ARRAYS),
        settings={"GPU": "1"},
    ),
    Suite(
        "hashcat",
        (
            *("hashcat", "-m", "0", "-a", "3", "--force", "--potfile-disable", "-O"),
            *(_HIDDEN[0], "?l?l?d?d"),
        ),
        that_says(":".join(_HIDDEN)),
        200,
        programs=("hashcat",),
    ),
    Suite(
        "pyvkfft",
        (
            *("-m", "pyvkfft.scripts.pyvkfft_test", "--backend", "pyopencl", "--systematic"),
            *("--serial", "--inplace", "--ndim", "12", "--range", "2", "20"),
        ),
        of_pyvkfft,
        600,
        programs=("opencl-headers", "ocl-icd-opencl-dev"),
        package="pyvkfft==2025.1.1",
        packages=("pyopencl==2026.1.4", _ARRAYS),
        build={"VKFFT_BACKEND": "opencl"},
        as_gpu=True,
    ),
    Suite(
        "darktable",
        (str(_HERE / "darkroom.py"),),
        of_lines,
        900,
        programs=("darktable",),
        packages=(_ARRAYS,),
        large=True,
        as_gpu=True,
    ),
    Suite(
        "Khronos' own, of the API",
        ("test_conformance/api/test_api",),
        of_khronos,
        900,
        large=True,
    ),
    Suite(
        "pyopencl",
        (*_PYTEST, "."),
        of_pytest,
        1500,
        package="pyopencl==2026.1.4",
        packages=(_ARRAYS, _SCIPY, "mako", *_PYTEST_PACKAGES),
        tests="test",
        known={
            "test_wrapper.py::test_get_info": (
                "asks an image for an attribute that pyopencl's have not, but on Intel's platform, "
                "of which it asks no images"
            ),
        },
    ),
)
