"""Programs: from source, SPIR-V, or what this driver gave as a binary; built on the host.

A binary is what a program is made of, for the host keeps what it has built. Compiling for a link
later is building, as far as that goes without the other programs: the link builds all texts as one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from _gon_opencl import ffi
from gon.errors import CompileError, InvalidArgument, LimitExceeded, OutOfMemory, Unsupported
from gon_client.module import Module
from gon_shim.opencl.answers import Answers, answer, pointer, pointer_at, text, uint, word
from gon_shim.opencl.device import devices_of
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.includes import Options, split_options, written
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.link_options import LinkOptions, link_options
from gon_shim.opencl.objects import Object
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import Callback, CData, Handles, Numbers

MAGIC: Final = b"GoN program\n"
_IL: Final = b"\x03\x02\x23\x07"
# Compilers say a place before or after they say that it is an error.
_AT_A_LINE: Final = re.compile(r":\d+:\d+: (?:fatal )?error:|error: \S+:\d+:\d+:")


class _Step(NamedTuple):
    """What a step of building says when it fails, and when its options are none."""

    failed: int
    options: int


_BUILD: Final = _Step(cl.CL_BUILD_PROGRAM_FAILURE, cl.CL_INVALID_BUILD_OPTIONS)
_COMPILE: Final = _Step(cl.CL_COMPILE_PROGRAM_FAILURE, cl.CL_INVALID_COMPILER_OPTIONS)
_LINK: Final = _Step(cl.CL_LINK_PROGRAM_FAILURE, cl.CL_INVALID_LINKER_OPTIONS)


class Made(msgspec.Struct, frozen=True, array_like=True):
    """What a program is made of; a binary of ours holds it."""

    code: bytes
    code_format: str
    options: str = ""
    type: int = cl.CL_PROGRAM_BINARY_TYPE_EXECUTABLE
    # Whether a link's options may change what it does.
    takes_options: bool = True


class Program(Object):
    """A program."""

    invalid = cl.CL_INVALID_PROGRAM

    def __init__(self, scope: Scope, made: Made, *, source: str = "", il: bytes = b"") -> None:
        super().__init__()
        self.scope = scope
        self.made = made
        self.source = source
        self.il = il
        self.options = ""
        self.log = ""
        self.status = cl.CL_BUILD_NONE
        self.type = cl.CL_PROGRAM_BINARY_TYPE_NONE
        self.module: Module | None = None
        self.kernels = 0
        self.hold(scope)

    @property
    def built(self) -> Module:
        """Return the module. Raises ClError where there is none."""
        if self.module is None:
            raise ClError(cl.CL_INVALID_PROGRAM_EXECUTABLE)
        return self.module

    @property
    def is_recent(self) -> bool:
        """Whether the language it was built for has blocks that are smaller at the ends."""
        standard = re.search(r"-cl-std=CL(?:C\+\+)?(\d)", self.made.options)
        return standard is not None and int(standard[1]) >= 2

    def build(self, options: str) -> None:
        """Build for the device. Raises ClError."""
        self._begin(options)
        split = self._split(options, _BUILD)
        if self.source:
            code = self._written(split, {}, _BUILD)
            self.made = Made(code, "opencl-c", split.kept)
        self._load(_BUILD)

    def compile(self, options: str, headers: dict[str, str]) -> None:
        """Compile for a link. Raises ClError."""
        require(self.source, cl.CL_INVALID_OPERATION)
        self._begin(options)
        split = self._split(options, _COMPILE)
        code = self._written(split, headers, _COMPILE)
        self.made = Made(code, "opencl-c", split.kept, cl.CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT)
        try:
            self._load(_COMPILE)
        except ClError as error:
            # What a compiler says of no line is for the link, which has the other texts.
            if not isinstance(error.__cause__, CompileError) or _AT_A_LINE.search(self.log):
                raise
        self.module = None
        self.status = cl.CL_BUILD_SUCCESS
        self.type = cl.CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT

    def link(self, options: str) -> None:
        """Make of what is joined of other programs what it is to be. Raises ClError."""
        self._begin(options)
        if self.made.type == cl.CL_PROGRAM_BINARY_TYPE_LIBRARY:
            self.status, self.type = cl.CL_BUILD_SUCCESS, self.made.type
        else:
            self._load(_LINK)

    def _begin(self, options: str) -> None:
        require(not self.kernels, cl.CL_INVALID_OPERATION)
        self.options, self.log, self.module = options, "", None
        self.type = cl.CL_PROGRAM_BINARY_TYPE_NONE
        self.status = cl.CL_BUILD_ERROR

    def _split(self, options: str, step: _Step) -> Options:
        try:
            return split_options(options)
        except ValueError as error:
            raise ClError(step.options) from error

    def _written(self, options: Options, headers: dict[str, str], step: _Step) -> bytes:
        try:
            return written(self.source, options, headers).encode()
        except LimitExceeded as error:
            self.log = error.message
            raise ClError(step.failed) from error

    def _load(self, step: _Step) -> None:
        made = self.made
        try:
            self.module = self.scope.device.leased.compile(
                made.code, made.code_format, made.options
            )
        except CompileError as error:
            self.log = error.log or error.message
            raise ClError(step.failed) from error
        except OutOfMemory as error:  # a large text is uploaded, into the lease's memory
            self.log = error.message
            raise ClError(cl.CL_OUT_OF_RESOURCES) from error
        except (InvalidArgument, LimitExceeded, Unsupported) as error:
            self.log = error.message
            is_option = "option" in error.message
            raise ClError(step.options if is_option else step.failed) from error
        self.log = self.module.log
        self.status = cl.CL_BUILD_SUCCESS
        self.type = cl.CL_PROGRAM_BINARY_TYPE_EXECUTABLE

    def binary(self) -> bytes:
        """Return what `clCreateProgramWithBinary` takes; nothing before a build."""
        if self.status != cl.CL_BUILD_SUCCESS:
            return b""
        made = msgspec.structs.replace(self.made, type=self.type)
        return MAGIC + msgspec.msgpack.encode(made)


@entry("clCreateProgramWithSource")
def create_with_source(context: CData, count: int, strings: Handles, lengths: Numbers) -> CData:
    scope = Scope.of(context)
    require(count and strings, cl.CL_INVALID_VALUE)
    parts: list[bytes] = []
    for index in range(count):
        require(strings[index], cl.CL_INVALID_VALUE)
        size = lengths[index] if lengths else 0
        at = ffi.cast("const char *", strings[index])
        parts.append(bytes(ffi.buffer(at, size)) if size else ffi.string(at))
    source = b"".join(parts).decode(errors="replace")
    return Program(scope, Made(source.encode(), "opencl-c"), source=source).handle


@entry("clCreateProgramWithIL")
def create_with_il(context: CData, at: CData, size: int) -> CData:
    scope = Scope.of(context)
    require(at and size, cl.CL_INVALID_VALUE)
    code = bytes(ffi.buffer(at, size))
    require(code.startswith(_IL), cl.CL_INVALID_VALUE)
    return Program(scope, Made(code, "spir-v"), il=code).handle


@entry("clCreateProgramWithBinary")
def create_with_binary(
    context: CData, count: int, devices: Handles, lengths: Numbers, binaries: Handles,
    statuses: Numbers,
) -> CData:  # fmt: skip
    scope = Scope.of(context)
    require(count and devices and lengths and binaries, cl.CL_INVALID_VALUE)
    devices_of(count, devices)
    require(lengths[0] and binaries[0], cl.CL_INVALID_VALUE)
    raw = bytes(ffi.buffer(binaries[0], lengths[0]))
    code = cl.CL_SUCCESS
    made = Made(b"", "opencl-c")
    try:
        require(raw.startswith(MAGIC), cl.CL_INVALID_BINARY)
        made = msgspec.msgpack.decode(raw[len(MAGIC) :], type=Made)
    except (ClError, msgspec.DecodeError):
        code = cl.CL_INVALID_BINARY
    if statuses:
        statuses[0] = code
    require(code == cl.CL_SUCCESS, code)
    program = Program(scope, made)
    program.type = made.type
    return program.handle


@entry("clCreateProgramWithBuiltInKernels")
def create_with_built_in(context: CData, count: int, devices: Handles, names: CData) -> CData:
    Scope.of(context)
    require(count and devices and names, cl.CL_INVALID_VALUE)
    raise ClError(cl.CL_INVALID_VALUE)


def _finish(program: Program, work: Callable[[], None], notify: Callback, data: CData) -> None:
    """Do the work and tell whoever wants to know. Raises ClError, as the entry does."""
    try:
        work()
    finally:
        if notify:
            notify(program.handle, data)


def _options(at: CData) -> str:
    return ffi.string(at).decode(errors="replace") if at else ""


@entry("clBuildProgram")
def build_program(
    handle: CData, count: int, devices: Handles, options: CData, notify: Callback, data: CData
) -> None:
    program = Program.of(handle)
    devices_of(count, devices)
    require(notify or not data, cl.CL_INVALID_VALUE)
    _finish(program, lambda: program.build(_options(options)), notify, data)


@entry("clCompileProgram")
def compile_program(
    handle: CData, count: int, devices: Handles, options: CData, number: int, headers: Handles,
    names: Handles, notify: Callback, data: CData,
) -> None:  # fmt: skip
    program = Program.of(handle)
    devices_of(count, devices)
    require(notify or not data, cl.CL_INVALID_VALUE)
    require(bool(number) == bool(headers) == bool(names), cl.CL_INVALID_VALUE)
    given = {
        ffi.string(names[index]).decode(): Program.of(headers[index]).source
        for index in range(number)
    }
    _finish(program, lambda: program.compile(_options(options), given), notify, data)


@entry("clLinkProgram")
def link_programs(
    context: CData, count: int, devices: Handles, options: CData, number: int, programs: Handles,
    notify: Callback, data: CData,
) -> CData:  # fmt: skip
    scope = Scope.of(context)
    devices_of(count, devices)
    require(number and programs, cl.CL_INVALID_VALUE)
    require(notify or not data, cl.CL_INVALID_VALUE)
    parts = [Program.of(programs[index]) for index in range(number)]
    compiled = (cl.CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT, cl.CL_PROGRAM_BINARY_TYPE_LIBRARY)
    require(all(part.type in compiled for part in parts), cl.CL_INVALID_OPERATION)
    given = _options(options)
    try:
        asked = link_options(given)
    except ValueError as error:
        raise ClError(cl.CL_INVALID_LINKER_OPTIONS) from error
    joined = Program(scope, _joined([part.made for part in parts], asked))
    try:
        _finish(joined, lambda: joined.link(given), notify, data)
    except ClError as error:  # what has failed to link is there, for its log
        raise ClError(error.code, joined.handle) from error
    return joined.handle


def _joined(parts: Sequence[Made], asked: LinkOptions) -> Made:
    """Return what a link makes of its parts."""
    words = [word for part in parts for word in part.options.split()]
    take_options = all(part.takes_options for part in parts)
    if take_options:
        words += asked.mathematics
    return Made(
        b"\n".join(part.code for part in parts),
        "opencl-c",
        " ".join(dict.fromkeys(words)),
        cl.CL_PROGRAM_BINARY_TYPE_LIBRARY
        if asked.is_library
        else cl.CL_PROGRAM_BINARY_TYPE_EXECUTABLE,
        take_options and (asked.allows or not asked.is_library),
    )


@entry("clRetainProgram")
def retain_program(handle: CData) -> None:
    Program.of(handle).retain()


@entry("clReleaseProgram")
def release_program(handle: CData) -> None:
    Program.of(handle).release()


_ANSWERS: Answers[Program] = {
    cl.CL_PROGRAM_REFERENCE_COUNT: lambda program: uint(program.references),
    cl.CL_PROGRAM_CONTEXT: lambda program: pointer(program.scope.handle),
    cl.CL_PROGRAM_NUM_DEVICES: lambda _: uint(1),
    cl.CL_PROGRAM_DEVICES: lambda program: pointer(program.scope.device.handle),
    cl.CL_PROGRAM_SOURCE: lambda program: text(program.source),
    cl.CL_PROGRAM_IL: lambda program: program.il,
    cl.CL_PROGRAM_BINARY_SIZES: lambda program: word(len(program.binary())),
    cl.CL_PROGRAM_NUM_KERNELS: lambda program: word(len(program.built.kernel_names)),
    cl.CL_PROGRAM_KERNEL_NAMES: lambda program: text(";".join(program.built.kernel_names)),
    cl.CL_PROGRAM_SCOPE_GLOBAL_CTORS_PRESENT: lambda _: uint(0),
    cl.CL_PROGRAM_SCOPE_GLOBAL_DTORS_PRESENT: lambda _: uint(0),
}


@entry("clGetProgramInfo")
def get_program_info(handle: CData, what: int, room: int, at: Handles, size_at: Numbers) -> None:
    program = Program.of(handle)
    if what != cl.CL_PROGRAM_BINARIES:
        answer(_ANSWERS, program, what, room, at, size_at)
        return
    if size_at:
        size_at[0] = 8
    if at:
        require(room >= 8, cl.CL_INVALID_VALUE)
        target = pointer_at(at)
        if target:
            binary = program.binary()
            ffi.memmove(target, binary, len(binary))


_BUILD_ANSWERS: Answers[Program] = {
    cl.CL_PROGRAM_BUILD_STATUS: lambda program: uint(program.status),
    cl.CL_PROGRAM_BUILD_OPTIONS: lambda program: text(program.options),
    cl.CL_PROGRAM_BUILD_LOG: lambda program: text(program.log),
    cl.CL_PROGRAM_BINARY_TYPE: lambda program: uint(program.type),
    cl.CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE: lambda _: word(0),
}


@entry("clGetProgramBuildInfo")
def get_build_info(
    handle: CData, device: CData, what: int, room: int, at: CData, size_at: Numbers
) -> None:
    program = Program.of(handle)
    require(device == program.scope.device.handle, cl.CL_INVALID_DEVICE)
    answer(_BUILD_ANSWERS, program, what, room, at, size_at)
