"""The edge to OpenVINO: what of it is used, typed, and the one place that maps its errors.

Rules: models are read by its reader of ONNX and by no other; nothing is kept on the disk. It
computes with as many threads as the engine has, in float32 at least, as the model says and not as
the processor would like it. What it brings beside the runtime, which reports its use over the
network, is not loaded.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from gon.errors import CompileError, DeviceError, GonError, OutOfMemory, Unsupported
from gon_server.engines.base import Tensor, address_of

INSTALL: Final = 'pip install "gon[openvino]"'

_DEVICE: Final = "CPU"
# Converters of other formats: a package of their own reports that they were used.
_REPORTING: Final = "openvino.tools.ovc"
_READ_BY: Final = "onnx"
_TBB: Final = "libtbb.so.12"
_PARAMETER: Final = "Parameter"
# What its messages say of its own source.
_OWN_SOURCE: Final = ("Exception from ", "Check '")


class Rank(Protocol):
    """Whether something is known, and how much it then is."""

    @property
    def is_static(self) -> bool: ...
    def get_length(self) -> int: ...


class PartialShape(Protocol):
    """A shape as far as it is known."""

    @property
    def rank(self) -> Rank: ...
    def __getitem__(self, axis: int, /) -> Rank: ...


class ElementType(Protocol):
    """A type of elements, by its own name of it: "f32", "boolean"."""

    def get_type_name(self) -> str: ...


class Source(Protocol):
    """An operation."""

    def get_type_name(self) -> str: ...


class Port(Protocol):
    """An input or output of a model, or of an operation in it."""

    def get_names(self) -> set[str]: ...
    def get_partial_shape(self) -> PartialShape: ...
    def get_element_type(self) -> ElementType: ...
    def get_node(self) -> Source: ...


class Result(Protocol):
    """What gives one output of a model."""

    def input_value(self, index: int, /) -> Port: ...


class Graph(Protocol):
    """A model that was read."""

    @property
    def inputs(self) -> Sequence[Port]: ...
    @property
    def outputs(self) -> Sequence[Port]: ...
    @property
    def results(self) -> Sequence[Result]: ...
    def remove_result(self, result: Result, /) -> None: ...


class Placed(Protocol):
    """A tensor in memory of ours."""

    @property
    def data(self) -> NDArray[np.generic]: ...
    def get_shape(self) -> Sequence[int]: ...


class Request(Protocol):
    """A compiled model and what it is to be run on."""

    def set_input_tensor(self, index: int, tensor: Placed, /) -> None: ...
    def set_output_tensor(self, index: int, tensor: Placed, /) -> None: ...
    def get_output_tensor(self, index: int, /) -> Placed: ...
    def infer(
        self, inputs: None = None, share_inputs: bool = ..., share_outputs: bool = ..., *,
        decode_strings: bool = ...,
    ) -> object: ...  # fmt: skip


class Compiled(Protocol):
    """A model that can be run."""

    def create_infer_request(self) -> Request: ...


class _Frontend(Protocol):
    def load(self, model: io.BytesIO, /) -> object: ...
    def convert(self, model: object, /) -> Graph: ...


class _Frontends(Protocol):
    def load_by_framework(self, framework: str, /) -> _Frontend: ...


class _FrontendModule(Protocol):
    FrontEndManager: Callable[[], _Frontends]


class _Core(Protocol):
    @property
    def available_devices(self) -> Sequence[str]: ...
    def compile_model(
        self, model: Graph, device: str, config: Mapping[str, object], /
    ) -> Compiled: ...


class _Package(Protocol):
    """`openvino`."""

    __version__: str
    Core: Callable[[], _Core]
    Shape: Callable[[Sequence[int]], object]
    Tensor: Callable[..., Placed]
    Type: Callable[[type[np.generic]], ElementType]
    frontend: _FrontendModule


class Runtime:
    """OpenVINO; `open_runtime` makes it."""

    def __init__(self, package: _Package, threads: int) -> None:
        self._package = package
        self._core = package.Core()
        self._reader = package.frontend.FrontEndManager().load_by_framework(_READ_BY)
        self._config: Mapping[str, object] = {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # The worker is where its lease's processors are already.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
        }
        # As in "2026.4.1-22982-…".
        self.version = package.__version__.partition("-")[0]

    @property
    def devices(self) -> Sequence[str]:
        return self._core.available_devices

    def read(self, code: bytes) -> Graph:
        """Return a model. Raises CompileError, OutOfMemory."""
        try:
            return self._reader.convert(self._reader.load(io.BytesIO(code)))
        except Exception as error:  # its own have no common base
            raise _failed_to_load(error) from error

    def compile(self, graph: Graph) -> Compiled:
        """Make a model ready. Raises CompileError, OutOfMemory."""
        try:
            return self._core.compile_model(graph, _DEVICE, self._config)
        except Exception as error:  # its own have no common base
            raise _failed_to_load(error) from error

    def place(self, seen: Tensor, element: ElementType) -> Placed:
        """Return a tensor of that memory, which is the caller's to keep."""
        shape = self._package.Shape(seen.shape)
        if not seen.nbytes:
            return self._package.Tensor(element, shape)
        # It takes arrays that can be written only, also for what it reads.
        place = (ctypes.c_uint8 * seen.nbytes).from_address(address_of(seen))
        return self._package.Tensor(np.ctypeslib.as_array(place), shape, element)


def takes_parameter(result: Result) -> bool:
    """Return whether a result is an input of the model as it stands."""
    return result.input_value(0).get_node().get_type_name() == _PARAMETER


def _share_threads() -> None:
    """Load the TBB that came with Intel's OpenCL runtime, if it did, for OpenVINO too: it brings an
    older one under the same name, with which that runtime would not load any more.
    """
    with suppress(OSError):
        ctypes.CDLL(str(Path(sys.prefix) / "lib" / _TBB))


def open_runtime(threads: int) -> Runtime:
    """Load the runtime. Raises Unsupported."""
    _share_threads()
    kept_away = _REPORTING not in sys.modules
    if kept_away:
        sys.modules[_REPORTING] = None  # type: ignore[assignment] # it cannot be imported meanwhile
    try:
        package = cast("_Package", importlib.import_module("openvino"))
        runtime = Runtime(package, threads)
    except ImportError as error:
        raise Unsupported(f"OpenVINO cannot be loaded: {error}; {INSTALL}") from error
    finally:
        if kept_away:
            del sys.modules[_REPORTING]
    if _DEVICE not in runtime.devices:
        raise Unsupported("OpenVINO does not run on this processor")
    return runtime


def error_of(error: Exception, what: str) -> GonError:
    """Return the runtime's error as ours, in its own words."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(_OWN_SOURCE)]
    text = f"{what}: {' '.join(said or lines)}"
    if isinstance(error, MemoryError) or "bad_alloc" in text or "Failed to allocate" in text:
        return OutOfMemory(text)
    return DeviceError(text)


def _failed_to_load(error: Exception) -> GonError:
    failed = error_of(error, "loading the model")
    if isinstance(failed, OutOfMemory):
        return failed
    return CompileError("the model does not load", log=failed.message)
