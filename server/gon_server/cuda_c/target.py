"""What a translation is made for, and what it gives: the border between CUDA C and the devices.

Rules: values only; nothing here knows a parser or a driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gon.model import GlobalInfo, Param


class Dialect(Enum):
    """The language a unit's compiler takes."""

    CPP = "C++ for OpenCL 2021"
    C12 = "OpenCL C 1.2"


@dataclass(frozen=True, slots=True)
class Target:
    """What the unit below has. `subgroup_sizes` are those a kernel may demand, ascending."""

    dialect: Dialect
    fp16: bool = False
    fp64: bool = False
    int64_atomics: bool = False
    subgroup_sizes: tuple[int, ...] = ()
    local_bytes: int = 0
    max_block: int = 0


class HiddenKind(Enum):
    """What a parameter carries that the translation adds behind a kernel's own."""

    SHARED = "dynamic shared memory: as many local bytes as the launch says"
    GLOBALS = "the module's variables: one buffer for all of them"
    WARPS = "local bytes for warp intrinsics that are emulated: `bytes_per_thread` a thread"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A parameter that the translation adds; they follow the kernel's own in this order."""

    kind: HiddenKind
    bytes_per_thread: int = 0


@dataclass(frozen=True, slots=True)
class KernelTranslation:
    """One kernel: `name` is what the program asks for ("scale<float>"), `symbol` what the
    translated text calls it. `warps` says that lanes must be CUDA's: blocks whose x is a multiple
    of 32, or of one dimension.
    `dynamic_bytes` is set where the text reserves that much for dynamic shared memory.
    """

    name: str
    symbol: str
    params: tuple[Param, ...]
    hidden: tuple[Hidden, ...] = ()
    max_block: int | None = None
    warps: bool = False
    dynamic_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class GlobalPlace:
    """A variable of the module and where it lies in the buffer for all of them."""

    info: GlobalInfo
    offset_bytes: int


@dataclass(frozen=True, slots=True)
class Translation:
    """A program in the unit's own language; `#line` directives in it point to the user's lines.

    `globals_bytes` is the size of the buffer for the module's variables, `globals_initial` its
    first contents (as long; zeros where the source gives none), `options` what the compiler must
    be given, `log` what is worth telling of a program that was taken. `short_indices` says that
    indices are right for arrays of less than 2**31 elements only.
    """

    text: str
    options: str
    kernels: tuple[KernelTranslation, ...]
    globals: tuple[GlobalPlace, ...] = ()
    globals_bytes: int = 0
    globals_initial: bytes = b""
    log: str = ""
    short_indices: bool = False
