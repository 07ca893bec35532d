"""What reaches a compiler: sources and options that would read the host's files are refused."""

from __future__ import annotations

import pytest

from gon.errors import InvalidArgument
from gon.limits import OPTIONS_BYTES_MAX
from gon.program_limits import TEXT_BYTES_MAX
from gon_server.devices.opencl_source import check_options, check_source

READS_FILES = [
    '#include "/etc/passwd"',
    "  \t# \v include <a.h>",
    "#include MACRO",
    "#import <a.h>",
    "#include_next <math.h>",
    'constant char x[] = {\n#embed "/etc/passwd"\n};',
    '%:include "a"',
    '??=include "a"',
    '#inc\\\nlude "a"',
    '#inc\\  \nlude "a"',
    '#in??/\nclude "a"',
    '#\\\r\ninclude "a"',
    'int x;\r#include "a"',
    '/* a */ #include "a"',
    '/* a\n b */ # /* c */ /* d\n e */ include "a"',
    '#/**/include "a"',
    '// */ #include "a"',
    '#if __has_include("/etc/passwd")\n#endif',
    '#if __has_embed("/etc/passwd")\n#endif',
    '#define H __has_include\n#if H("a")\n#endif',
    # Intel's compiler was seen to read the file: for C++ there are no trigraphs.
    '// what??/\n#include "a"',
    '\ufeff#include "a"',
    '// x \\ \n#include "a"',
    '#\rinclude "a"',
]
READS_NONE = [
    "kernel void f(global int *x) { x[0] = 1; }",
    '// #include "a"',
    'int x; #include "a"',
    "#define include 3\n#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n#if include\n#endif",
    'constant char s[] = "#include <a.h>";',
    "#included",
    "/* see\n * #include <a.h>\n */",
    "int include = 1;\n#ifdef embed\n#endif",
]


@pytest.mark.parametrize("code", READS_FILES)
def test_sources_that_read_files_are_refused(code: str) -> None:
    with pytest.raises(InvalidArgument, match="reads no files"):
        check_source(code.encode())


@pytest.mark.parametrize("code", READS_NONE)
def test_sources_that_read_none_pass_unchanged(code: str) -> None:
    assert check_source(code.encode()) == code


def test_the_refusal_names_the_line_as_written() -> None:
    code = b'int a;\n#define B \\\n 1 \\\n + 2\nint c;\n  #include "a"\n'
    with pytest.raises(InvalidArgument, match="line 6: include"):
        check_source(code)


def test_a_source_made_to_be_slow_is_looked_through_in_no_time() -> None:
    check_source(b"*/" * 200_000 + b"#x")
    check_source(b"/*" + b"#/**/x\n" * 50_000)
    # The square of this would be hours.
    for code in (b"#" + b"/**/" * 100_000 + b"x", b"#/*\n" * 500_000, b"#/*\n" * 500_000 + b"*/"):
        with pytest.raises(InvalidArgument, match="line 1: a comment after #"):
            check_source(code)
    # Comments elsewhere are as long as they like.
    check_source(b"#if 1 /*" + b"*" * 400_000 + b"*/\n#endif /*" + b"\n" * 400_000 + b"*/")


@pytest.mark.parametrize(
    "code", [b"", b"a\0b", b"\xff\xfe", b" " * (TEXT_BYTES_MAX + 1)], ids=lambda c: repr(c[:4])
)
def test_what_is_no_text_is_refused(code: bytes) -> None:
    with pytest.raises(InvalidArgument):
        check_source(code)


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ("", ""),
        ("-DN=4", "-DN=4"),
        ("-D N=4  -D M", "-DN=4 -DM"),
        (" -cl-std=CLC++2021  -cl-mad-enable -w", "-cl-std=CLC++2021 -cl-mad-enable -w"),
        ("-Werror -DF=(1+2)*x", "-Werror -DF=(1+2)*x"),
    ],
)
def test_options_that_name_no_file_pass(options: str, passed: str) -> None:
    assert check_options(options) == passed


@pytest.mark.parametrize(
    "options",
    [
        "-I/etc",
        "-I /etc",
        "-include /etc/passwd",
        "-s /etc/passwd",
        "-DX=1 /etc/passwd",
        '-DX="a b"',
        "-DX='a'",
        "-DX=\\a",
        "-DX=`a`",
        "-D",
        "-DX=__has_include",
        "-cl-std=/etc/passwd",
        "-x spir",
        "-g\n-I/",
        "-DX=é",
        "-w " * OPTIONS_BYTES_MAX,
    ],
)
def test_other_options_are_refused(options: str) -> None:
    with pytest.raises(InvalidArgument):
        check_options(options)
