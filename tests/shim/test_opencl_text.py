"""What the OpenCL driver makes of a program's options and `#include`s before the text travels."""

from __future__ import annotations

from pathlib import Path

import pytest

from gon.errors import LimitExceeded
from gon.program_limits import TEXT_BYTES_MAX
from gon_shim.opencl.includes import split_options, written


def test_options_that_a_host_refuses_become_lines_of_the_text(tmp_path: Path) -> None:
    options = split_options(
        f"-cl-mad-enable -g -D N=4 -DSTEPS='f(a+0,1);g(b);' -D TEXT=\"'x y'\" -DID(x)=#x -D E= -DM"
        f" -I {tmp_path}"
    )
    assert options.kept == "-cl-mad-enable -DN=4 -DE= -DM=1"
    assert list(options.folders) == [tmp_path]
    text = written("kernel void k(void) {}", options, {})
    assert text == (
        "#define STEPS f(a+0,1);g(b);\n#define TEXT 'x y'\n#define ID(x) #x\n#line 1\n"
        "kernel void k(void) {}"
    )


def test_includes_whose_name_is_a_macro_of_the_options(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text("int a;")
    for given, said in (
        (f'-DNAME=\\"{tmp_path}/a.h\\"', "NAME"),
        ("-DNAME=<a.h>", "NAME"),
        ("-DID(...)=__VA_ARGS__ -D'NAME(rest...)=ID(rest)'", "NAME(<a.h>)"),
        (f"-DWHERE={tmp_path} -D TEXT(x)=#x -D NAME(x)=TEXT(x)", "NAME(WHERE/a.h)"),
    ):
        options = split_options(f"{given} -I{tmp_path}")
        text = written(f"#include {said}\nint b;", options, {})
        assert "int a;" in text, given
        assert "#include" not in text
        assert text.endswith("int b;")
    # What the text itself defines is the host's to refuse; a macro of itself comes to an end.
    options = split_options("-DSELF=SELF")
    for said in ("OWN", "SELF"):
        assert f"#include {said}" in written(f"#include {said}\n", options, {})


def test_the_last_option_says_what_a_name_is() -> None:
    options = split_options("-DA=1 -D'F(x)=x' -UA -U F -UOWN -U B -DB=2 -DC=1 -DC=2")
    assert options.kept == "-DB=2 -DC=2"
    assert written("int a;", options, {}) == "#undef A\n#undef F\n#undef OWN\n#line 1\nint a;"


def test_macros_with_comments_and_of_any_number_of_arguments() -> None:
    options = split_options("-D'A=1 // one' -D'B=/* b */2' -D'F(x, ...)=g(x, __VA_ARGS__)'")
    assert written("", options, {}) == (
        "#define A 1 // one\n#define B /* b */2\n#define F(x, ...) g(x, __VA_ARGS__)\n#line 1\n"
    )


def test_lines_keep_their_numbers_and_names(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text('int a;\n#include "b.h"\nint c;')
    (tmp_path / "b.h").write_text("int b;")
    text = written('int x;\n#include "a.h"\nint y;', split_options(f"-I{tmp_path}"), {})
    assert text.splitlines() == [
        "int x;", '#line 1 "a.h"', "int a;", '#line 1 "b.h"', "int b;", '#line 3 "a.h"',
        "int c;", '#line 3 "program"', "int y;",
    ]  # fmt: skip


def test_headers_have_an_end_together() -> None:
    """One that includes the next twice: without an end it would have 2**40 lines."""
    headers = {f"{n}.h": f'{"x" * 1000}\n#include "{n + 1}.h"\n' * 2 for n in range(40)}
    with pytest.raises(LimitExceeded, match=f"more than {TEXT_BYTES_MAX} bytes"):
        written('#include "0.h"', split_options(""), headers)


@pytest.mark.parametrize(
    "options",
    [
        "-D",
        "-D 1=2",
        "-DX(y=2",
        "-DX='a\nb'",
        "-D'X=/* a'",
        "-D'X=a\\'",
        "-U",
        "-UX=1",
        "-D'F(...,x)=x'",
    ],
)
def test_macros_that_are_none(options: str) -> None:
    with pytest.raises(ValueError, match=r".?"):
        split_options(options)
