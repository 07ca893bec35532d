"""What of a program reaches NVRTC, and what PTX and machine code say of themselves."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import CompileError, InvalidArgument, Unsupported
from gon.limits import PROGRAM_HEADERS_MAX, PROGRAM_NAMES_MAX
from gon.model import GlobalInfo, ParamKind, Program
from gon_server.devices.cuda_cubin import driver_param_size, params_of, read_cubin
from gon_server.devices.cuda_ptx import PtxModule, plain_name, read_ptx
from gon_server.devices.cuda_ptx import params_of as ptx_params
from gon_server.devices.cuda_source import BUILT_IN, check_program


def check(text: str, **more: object) -> None:
    check_program(Program(text.encode(), "cuda-c", **more))  # type: ignore[arg-type]


# Sources ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('#include "/etc/passwd"', 1),
        ("\n#include <sys/types.h>", 2),
        ("#define X <a>\n#include X", 2),
        ("#include", 1),
        ("int a;\n#inc\\\nlude <b>", 2),
        ("/* c */ # /* d */ include <b>", 1),
        ("/* c\n*/ #include <b>", 2),
        ("%:include <b>", 1),
        ("??=include <b>", 1),
        ("#import <b>", 1),
        ("#include_next <stdio.h>", 1),
        # NVRTC was seen to read the file: what splices a line is another thing to each standard.
        ('// what??/\n#include "/etc/passwd"', 2),
        ('// x \\ \n#include "/etc/passwd"', 2),
        ('// x \\\f\n#include "/etc/passwd"', 2),
        ('// x \\\v\n#include "/etc/passwd"', 2),
        ('#\rinclude "/etc/passwd"', 1),
        ('\ufeff#include "/etc/passwd"', 1),
        ("#embed <stdio.h>", 1),
        ("\r\n#if __has_include(<stdio.h>)\r\n#endif", 2),
        ("#include <cuda/../../../etc/passwd>", 1),
        ("#include <cuda/std/../../x>", 1),
    ],
)
def test_includes_of_the_hosts_files_are_refused_with_their_line(text: str, line: int) -> None:
    with pytest.raises(InvalidArgument, match=rf"program.cu:{line}: \w+ is refused"):
        check(text)


def test_what_may_be_included() -> None:
    headers = (("mine/a.h", '#include "b.h"\n#include <cuda_fp16.h>\n'), ("b.h", "int b;"))
    text = '#include <stdint.h>\n#include "mine/a.h"\n#include <math.h> // why\n'
    checked = check_program(Program(text.encode(), "cuda-c", headers=headers))
    assert dict(checked.headers) == {
        **dict(headers),
        "stdint.h": BUILT_IN["stdint.h"],
        "math.h": "",
    }
    assert checked.wants_cuda
    assert not check_program(Program(b"#include <stdio.h>", "cuda-c")).wants_cuda
    assert check_program(Program(b"#include <limits.h>", "cuda-c")).wants_cuda
    own = check_program(Program(b"#include <math.h>", "cuda-c", headers=(("math.h", "x"),)))
    assert own.headers == (("math.h", "x"),)
    with pytest.raises(InvalidArgument, match=r"mine/a.h:2: "):
        check("int x;", headers=(("mine/a.h", "\n#include <secret>"),))


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../a.h", "a/../b.h", "a//b", "a b", 'a".h'])
def test_names_of_headers_are_relative_paths(name: str) -> None:
    with pytest.raises(InvalidArgument, match="relative path"):
        check("int x;", headers=((name, ""),))


@pytest.mark.parametrize("name", ["", 'f"', "f\n#include <a>", "f#", "f;}", "f\\"])
def test_name_expressions_carry_no_directives(name: str) -> None:
    with pytest.raises(InvalidArgument, match="name expression"):
        check("int x;", names=(name,))


def test_programs_are_bounded() -> None:
    with pytest.raises(InvalidArgument, match="headers"):
        check("x", headers=tuple((f"h{n}", "") for n in range(PROGRAM_HEADERS_MAX + 1)))
    with pytest.raises(InvalidArgument, match="name expressions"):
        check("x", names=("f",) * (PROGRAM_NAMES_MAX + 1))
    for code in (b"", b"a\0b", b"\xff", b"x" * (3 << 20)):
        with pytest.raises(InvalidArgument):
            check_program(Program(code, "cuda-c"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-D N=3 -DM --use_fast_math", ("-DN=3", "-DM", "--use_fast_math")),
        ("-std=c++17 -fmad=false -U X", ("-std=c++17", "-fmad=false", "-UX")),
        ("--maxrregcount=64 -lineinfo -w", ("--maxrregcount=64", "-lineinfo", "-w")),
    ],
)
def test_options_that_name_no_file_are_taken(options: str, words: tuple[str, ...]) -> None:
    assert check_program(Program(b"x", "cuda-c", options)).options == words


@pytest.mark.parametrize(
    "options",
    [
        *("-I/etc", "-include=/etc/passwd", "--pre-include=/etc/passwd", "-arch=sm_90", "--pch"),
        *(
            "-DX=__has_include(<a>)",
            '-DX="a"',
            "-D",
            "--create-pch=/x",
            "-time=/x",
            "-dlto",
            "x.cu",
        ),
        *("-optix-ir", "--device-time-trace=/x", "-fdevice-time-trace=/x", "-DX=1\n-I/etc"),
    ],
)
def test_other_options_are_refused(options: str) -> None:
    with pytest.raises(InvalidArgument):
        check("x", options=options)


# PTX ----------------------------------------------------------------------------------------------
OLD = b"""
.version 8.8
.target sm_80
.address_size 64
.const .align 4 .b8 c[16];
.global .align 4 .u32 counter;
.visible .global .align 8 .v2 .f32 pair = {0f00000000, 0f3F800000};
.global .align 1 .b8 $str[3] = {37, 100, 0};
.visible .entry f(
    .param .u64 f_param_0, // a pointer
    .param .align 4 .b8 f_param_1[12],
    .param .u8 f_param_2,
    .param .f64 f_param_3
)
.maxntid 256, 1, 1
.reqntid 64, 2
{ .reg .b64 %rd<4>; ret; }
.weak .entry _Z5scaleIfEvPT_S0_(.param .u64 a, .param .f32 b) { ret; }
.entry none { ret; }
.visible .entry far(.param .u64 .ptr .shared .align 4 a) { ret; }
.visible .entry odd(.param .texref a) { ret; }
"""


def kinds(module: PtxModule, number: int) -> list[tuple[ParamKind, str, int]]:
    params = ptx_params(module.entries[number], marks_pointers=module.marks_pointers)
    return [(param.kind, param.dtype, param.size_bytes) for param in params]


def test_ptx_tells_sizes_and_variables() -> None:
    module = read_ptx(OLD.replace(b".u64 .ptr .shared .align 4", b".u64"))
    assert kinds(module, 0) == [
        (ParamKind.BUFFER, "", 0),
        (ParamKind.VALUE, "", 12),
        (ParamKind.VALUE, "", 1),
        (ParamKind.VALUE, "float64", 8),
    ]
    assert module.entries[0].required_block == (64, 2, 1)
    assert module.entries[1].required_block is None
    assert kinds(module, 1) == [(ParamKind.BUFFER, "", 0), (ParamKind.VALUE, "float32", 4)]
    assert kinds(module, 2) == []
    assert "#0 is declared as" in module.entries[4].problem
    assert module.variables == (
        GlobalInfo("c", ".b8", "", 16),
        GlobalInfo("counter", ".u32", "", 4),
        GlobalInfo("pair", ".f32", "float32", 8),
    )


def test_where_pointers_are_marked_other_words_are_numbers() -> None:
    module = read_ptx(
        b".version 8.8\n.target sm_100\n.entry g(.param .u64 .ptr .align 1 a, .param .u64 n) {}"
    )
    assert kinds(module, 0) == [(ParamKind.BUFFER, "", 0), (ParamKind.VALUE, "", 8)]
    assert "shared memory" in read_ptx(OLD).entries[3].problem


@given(st.binary(max_size=300))
def test_no_text_breaks_the_reader_of_ptx(tail: bytes) -> None:
    try:
        read_ptx(b".version 8.8\n.target sm_90\n.entry f(.param .u64 a" + tail)
    except CompileError as error:
        assert error.log  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("saxpy", "saxpy"),
        ("_Z5saxpyfPKfPfi", "saxpy"),
        ("_Z5scaleIfEvPT_S0_", "_Z5scaleIfEvPT_S0_"),
        ("_ZN1n1gEi", "_ZN1n1gEi"),
        ("_Z99short", "_Z99short"),
    ],
)
def test_names_of_c_plus_plus(symbol: str, name: str) -> None:
    assert plain_name(symbol) == name


# Machine code -------------------------------------------------------------------------------------
def cubin(machine: int = 190) -> bytes:
    """Return an ELF file with symbols of a kernel, a device function and a variable."""
    names = b"\0kernel\0function\0table\0"
    symbols = b"".join(
        struct.pack("<IBBHQQ", names.index(name), info, other, section, 0, size)
        for name, info, other, section, size in (
            (b"\0", 0, 0, 0, 0),
            (b"kernel\0", 0x12, 0x10, 1, 128),
            (b"function\0", 0x12, 0, 1, 64),
            (b"table\0", 0x11, 0, 2, 16),
        )
    )
    head = 64 + 3 * 64
    sections = [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (0, 3, 0, 0, head, len(names), 0, 0, 1, 0),
        (0, 2, 0, 0, head + len(names), len(symbols), 1, 1, 8, 24),
    ]
    table = b"".join(struct.pack("<IIQQQQIIQQ", *section) for section in sections)
    magic = b"\x7fELF\x02\x01" + bytes(10)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", magic, 2, machine, 1, 0, 0, 64, 0, 64, 0, 0, 64, len(sections), 1
    )
    return header + table + names + symbols


def test_machine_code_tells_kernels_and_variables() -> None:
    kernels, variables = read_cubin(cubin())
    assert kernels == ("kernel",)
    assert variables == (GlobalInfo("table", "16 bytes", "", 16),)


@pytest.mark.parametrize("code", [b"", b"\x7fELF\x02\x01", cubin(62), cubin()[:100], cubin()[:-30]])
def test_what_is_no_machine_code_is_refused(code: bytes) -> None:
    with pytest.raises(CompileError, match="no cubin"):
        read_cubin(code)


@given(st.integers(0, len(cubin()) - 1), st.integers(0, 255))
def test_no_file_breaks_the_reader_of_machine_code(place: int, value: int) -> None:
    spoiled = bytearray(cubin())
    spoiled[place] = value
    try:
        read_cubin(bytes(spoiled))
    except CompileError as error:
        assert error.log  # noqa: PT017 - either is right


def test_the_driver_tells_sizes_of_parameters() -> None:
    sizes: list[int | None] = [8, 4, 24, None]
    params = params_of(1, lambda _function, index: sizes[index])
    assert [(param.kind, param.size_bytes) for param in params] == [
        (ParamKind.BUFFER, 0),
        (ParamKind.VALUE, 4),
        (ParamKind.VALUE, 24),
    ]
    with pytest.raises(Unsupported, match="more than 256"):
        params_of(1, lambda _function, _index: 4)


def test_without_such_a_driver_machine_code_is_unsupported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_library(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", no_library)
    with pytest.raises(Unsupported, match=r"CUDA 12\.4"):
        driver_param_size(1, 0)
