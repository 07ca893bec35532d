"""The edge to ONNX Runtime: what of it is used, typed, and the one place that maps its errors.

Rules: loading it starts no thread. Its sessions share one pool of threads, whose size is that of
the first engine of the process; they look for work while a call runs, and sleep between calls.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from gon.errors import CompileError, DeviceError, GonError, OutOfMemory, Unsupported

INSTALL: Final = 'pip install "gon[onnx]"'

_PROVIDERS: Final = ("CPUExecutionProvider",)
# What it prints: only what ends the process.
_FATAL: Final = 4
_CONFIG: Final = {"session.load_model_format": "ONNX", "session.force_spinning_stop": "1"}


class Argument(Protocol):
    """An input or output of a model, as the runtime tells it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def shape(self) -> Sequence[int | str | None]: ...


class Value(Protocol):
    """A tensor of the runtime."""

    def data_ptr(self) -> int: ...


class Binding(Protocol):
    """Where a session reads and writes."""

    def bind_input(
        self,
        name: str,
        device_type: str,
        device_id: int,
        element_type: int,
        shape: Sequence[int],
        buffer_ptr: int,
    ) -> None: ...
    def bind_output(
        self,
        name: str,
        device_type: str,
        device_id: int,
        element_type: int,
        shape: Sequence[int],
        buffer_ptr: int,
    ) -> None: ...
    def get_outputs(self) -> Sequence[Value]: ...


class Session(Protocol):
    """A loaded model."""

    def get_inputs(self) -> Sequence[Argument]: ...
    def get_outputs(self) -> Sequence[Argument]: ...
    def io_binding(self) -> Binding: ...
    def run_with_iobinding(self, iobinding: Binding) -> None: ...


class _Options(Protocol):
    use_per_session_threads: bool
    log_severity_level: int

    def add_session_config_entry(self, name: str, value: str) -> None: ...


class _Package(Protocol):
    """`onnxruntime`."""

    __version__: str
    SessionOptions: Callable[[], _Options]
    InferenceSession: Callable[[bytes, _Options, Sequence[str]], Session]

    def set_global_thread_pool_sizes(self, intra: int, inter: int) -> None: ...
    def disable_telemetry_events(self) -> None: ...


class Runtime:
    """ONNX Runtime; `open_runtime` makes it."""

    def __init__(self, package: _Package) -> None:
        self._package = package
        self.version = package.__version__

    def load(self, code: bytes) -> Session:
        """Return a session of a model. Raises CompileError, OutOfMemory."""
        options = self._package.SessionOptions()
        options.use_per_session_threads = False
        options.log_severity_level = _FATAL
        for name, value in _CONFIG.items():
            options.add_session_config_entry(name, value)
        try:
            return self._package.InferenceSession(code, options, _PROVIDERS)
        except Exception as error:  # the runtime's own have no common base
            failed = error_of(error, "loading the model")
            if isinstance(failed, OutOfMemory):
                raise failed from error
            raise CompileError("the model does not load", log=failed.message) from error


def open_runtime(threads: int) -> Runtime:
    """Load the runtime, with a pool of so many threads if there is none yet. Raises Unsupported."""
    try:
        package = cast("_Package", importlib.import_module("onnxruntime"))
    except ImportError as error:
        raise Unsupported(f"ONNX Runtime cannot be loaded: {error}; {INSTALL}") from error
    # Its error for a pool that is there already has no name outside of it.
    with contextlib.suppress(Exception):
        package.set_global_thread_pool_sizes(threads, 1)
    package.disable_telemetry_events()
    return Runtime(package)


def error_of(error: Exception, what: str) -> GonError:
    """Return the runtime's error as ours, in its own words."""
    text = f"{what}: {error}"
    if isinstance(error, MemoryError) or "bad_alloc" in text or "Failed to allocate" in text:
        return OutOfMemory(text)
    return DeviceError(text)
