"""NVIDIA's compiler for CUDA C, from PyPI, by ctypes: it needs no GPU, and shows that a source is
valid CUDA.

Rules: what is not installed is told apart from what does not work: only `find_nvrtc` may return
None. Compiles for one fixed architecture, so that every machine sees the same.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ARCHITECTURE = "compute_75"
LIBRARY = ("nvidia-cuda-nvrtc-cu12", "nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
# cuda_fp16.h, cooperative_groups.h …, and what these include in turn.
HEADERS = (
    ("nvidia-cuda-runtime-cu12", "nvidia/cuda_runtime/include"),
    ("nvidia-cuda-cccl-cu12", "nvidia/cuda_cccl/include"),
)
NVRTC_SUCCESS = 0
NVRTC_ERROR_COMPILATION = 6


class NotValidError(Exception):
    """The source is not valid CUDA C; the text is the compiler's log."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A source as PTX; `lowered` gives the symbol of each name expression."""

    ptx: str
    log: str
    lowered: dict[str, str]


class Nvrtc:
    """The loaded library; `includes` are the folders of CUDA's own headers."""

    def __init__(self, library: Path, includes: Sequence[Path]) -> None:
        self._library = ctypes.CDLL(str(library))
        self._options = [f"--gpu-architecture={ARCHITECTURE}", *(f"-I{path}" for path in includes)]

    def compile(
        self,
        source: str,
        file: str,
        options: str = "",
        headers: Mapping[str, str] | None = None,
        names: Sequence[str] = (),
    ) -> Compiled:
        """Compile to PTX. Raises NotValidError with the log."""
        given = headers or {}
        program = ctypes.c_void_p()
        self._call(
            "nvrtcCreateProgram",
            ctypes.byref(program),
            source.encode(),
            file.encode(),
            len(given),
            _strings([*given.values()]),
            _strings([*given]),
        )
        try:
            return self._compile(program, [*self._options, *options.split()], names)
        finally:
            self._call("nvrtcDestroyProgram", ctypes.byref(program))

    def _compile(
        self, program: ctypes.c_void_p, options: list[str], names: Sequence[str]
    ) -> Compiled:
        for name in names:
            self._call("nvrtcAddNameExpression", program, name.encode())
        status: int = self._library.nvrtcCompileProgram(program, len(options), _strings(options))
        log = self._text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog", program)
        if status == NVRTC_ERROR_COMPILATION:
            raise NotValidError(log)
        assert status == NVRTC_SUCCESS, f"nvrtcCompileProgram: {status}"
        lowered: dict[str, str] = {}
        for name in names:
            symbol = ctypes.c_char_p()
            self._call("nvrtcGetLoweredName", program, name.encode(), ctypes.byref(symbol))
            lowered[name] = (symbol.value or b"").decode()
        return Compiled(self._text("nvrtcGetPTXSize", "nvrtcGetPTX", program), log, lowered)

    def _text(self, ask_size: str, ask: str, program: ctypes.c_void_p) -> str:
        size = ctypes.c_size_t()
        self._call(ask_size, program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(ask, program, text)
        return text.value.decode()

    def _call(self, function: str, *args: object) -> None:
        status: int = getattr(self._library, function)(*args)
        assert status == NVRTC_SUCCESS, f"{function}: {status}"


def find_nvrtc() -> Nvrtc | None:
    """Return the compiler, None where a package it needs is not installed."""
    try:
        library = _located(*LIBRARY)
        return Nvrtc(library, [_located(*headers) for headers in HEADERS])
    except PackageNotFoundError:
        return None


def _located(package: str, path: str) -> Path:
    return Path(str(distribution(package).locate_file(path)))


def _strings(texts: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * len(texts))(*(text.encode() for text in texts))
