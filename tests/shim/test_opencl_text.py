"""What the OpenCL driver makes of a program's options and `#include`s before the text travels."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import hypothesis
import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st

from gon.errors import LimitExceeded
from gon.program_limits import TEXT_BYTES_MAX
from gon_shim.opencl.includes import split_options, written
from gon_shim.opencl.link_options import LinkOptions, link_options


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
    # Only the options' macros are known here. What is wrong may be left out by the compiler.
    options = split_options("-DSELF=SELF -DEMPTY= -D'F(x)=F(x x)' -D'G(x)=x G(x'")
    for said in ("OWN", "SELF", "EMPTY", "F(a)", "G(a)"):
        text = written(f"#if 0\n#include {said} // and\n#endif\n", options, {})
        assert f'#error "#include {said}: no option' in text
        assert text.endswith("\n#endif\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("-DNAME='\"a.h\"' // of options", "NAME // or /* b.h"),
        ("-D'NAME(x)=<x ## .h>' -Da=b", "NAME(a)"),
        ("-D'NAME(x)=# x'", "NAME( a.h )"),
        ("-D'NAME(x)=\"a.h\"'", "NAME(x)"),
        ("-D'NAME(h)=\"a.h\"'", "NAME(b)/* over\n two lines */"),
        ("", '"a.h" /* over\n two lines */'),
        ("", "<a.h> // and\\\n so on"),
    ],
)
def test_what_an_include_may_look_like(given: str, said: str) -> None:
    text = written(f"#include {said}\nint b;", split_options(given), {"a.h": "int a;"})
    lines = 2 + said.count("\n")
    assert text.endswith(f'#line 1 "a.h"\nint a;\n#line {lines} "program"\nint b;')


def test_what_looks_like_an_include_and_is_none() -> None:
    kept = 'constant char *a = "/*", *b = "\\"//";\n'
    text = f'{kept}/* as in\n  #include "a.h"\n*/ // \\\n#include "a.h"\n#include "a.h"'
    told = written(text, split_options(""), {"a.h": "int a;"})
    broken = '/* as in\n  #-include "a.h"\n*/ // \\\n#-include "a.h"\n'
    # The string ends at its quote, and so does its line.
    assert told == f'{kept}{broken}#line 1 "a.h"\nint a;\n#line 7 "program"'


def test_headers_as_editors_write_them(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_bytes(b"\xef\xbb\xbf// \xa9\r\nint a;\r\n")
    text = written('\ufeff#include "a.h"\n#include "\0"', split_options(f"-I{tmp_path}"), {})
    assert text.startswith('#line 1 "a.h"\n// \ufffd\nint a;\n')
    assert text.endswith('#error "\0: file not found"')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#ifndef {0}\n#define {0}\n", "#endif // {0}"),
        ("/* of {0} */\n#if !defined({0})\n# define {0} 1\n", "#endif"),
        ("#pragma once // not twice\r\n", ""),
    ],
)
def test_guarded_headers_that_include_each_other(before: str, after: str) -> None:
    headers = {
        name: f'{before}#include "{other}"\nint {name};\n{after}'.replace("{0}", name)
        for name, other in (("a", "b"), ("b", "a"))
    }
    text = written('#include "a"\nint c;', split_options(""), headers)
    assert [text.count(f"int {name};") for name in "abc"] == [1, 1, 1]
    assert "#error" not in text


def _block(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return conditionals around lines."""
    some = st.lists(inner, max_size=3).map("".join)
    begins = st.sampled_from(["#ifdef A", "#ifndef B", "#if 0", "#if defined(A) || defined(G1)"])
    return st.builds("{}\n{}#else // or\n{}#endif\n".format, begins, some, some) | st.builds(
        "{}\n{}#endif\n".format, begins, some
    )


_COUNT = 5
_INCLUDES = st.integers(0, _COUNT - 1).map('#include "{}.h"\n'.format)
_PLAIN = st.integers(0, 9).map("int v{};\n".format) | st.sampled_from(
    ["#define A\n", "#undef A\n", "#define B\n", "#define G2\n", "/* #if\n#undef G0 */\n"]
)


def _lines(one: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    some = st.lists(st.recursive(one, _block, max_leaves=4), max_size=6)
    return some.map("".join)


_GUARDED = st.sampled_from(
    [
        "#ifndef G{0}\n#define G{0}\n{1}#endif\n",
        "#ifndef __STDC__\n#define __STDC__\n{1}#endif\n",
        "#ifndef G{0}\n#define G{0}\n{1}#undef G{0}\n#endif\n",
        "#pragma once\n{1}",
    ]
)
_HEADERS = st.tuples(
    *(st.tuples(_GUARDED, _lines(_INCLUDES | _PLAIN)) for _ in range(_COUNT - 1)),
    st.tuples(st.just("{1}int u{0};\n"), _lines(_PLAIN)),
)


def _preprocessed(program: Path, *options: str) -> list[str] | None:
    """Return the tokens that a compiler of C is left with, None where it refuses."""
    command = ["cc", "-E", "-P", *options, str(program)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if ran.returncode else ran.stdout.split()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler of C")
@settings(deadline=None, max_examples=25)
@hypothesis.given(
    _lines(_INCLUDES | _PLAIN | st.just("#undef G3\n")),
    _HEADERS,
    st.sampled_from(["", "-DG1=1", "-DA=1"]),
)
def test_a_text_means_what_it_meant_with_its_headers(
    main: str, headers: tuple[tuple[str, str], ...], given: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        program, whole = Path(name, "main.c"), Path(name, "whole.c")
        for number, (guard, lines) in enumerate(headers):
            Path(name, f"{number}.h").write_text(guard.format(number, lines))
        program.write_text(main)
        wanted = _preprocessed(program, *given.split())
        assume(wanted is not None)
        whole.write_text(written(main, split_options(f"-I {name} {given}"), {}))
        assert _preprocessed(whole, *given.split()) == wanted


_ONCE_A = {"a.h": "#ifndef A_H\n#define A_H\nint a;\n#endif\n"}
_A = '#include "a.h"\n'


@pytest.mark.parametrize(
    "text",
    [
        f"#ifdef X\n{_A}#elifdef Y\n{_A}#elifndef Y\n{_A}#endif\n",
        f"/* a\n*/ #ifdef X\n{_A}#endif\n{_A}",
        f"# /* a */ ifdef X\n{_A}#\\\n endif\n{_A}",
        f"%:ifdef X\n{_A}%:endif\n{_A}",
        f"{_A}#un\\\ndef A_H\n{_A}",
        f"{_A}%:undef A_H\n{_A}",
        f'#pragma push_macro("A_H")\n{_A}#pragma pop_macro("A_H")\n{_A}',
    ],
)
def test_a_header_is_put_again_however_its_conditions_are_written(text: str) -> None:
    assert written(text, split_options(""), _ONCE_A).count("int a;") == text.count("include")


@pytest.mark.parametrize(
    "guard", ["__OPENCL_VERSION__", "cl_khr_fp64", "CL_VERSION_2_0", "__x86_64__", "linux", "M_PI"]
)
def test_what_a_header_includes_whose_guard_the_compiler_may_define(guard: str) -> None:
    headers = {**_ONCE_A, "b.h": f"#ifndef {guard}\n#define {guard}\n{_A}int b;\n#endif\n"}
    text = written(f'#include "b.h"\n#include "b.h"\n{_A}', split_options(""), headers)
    assert (text.count("int a;"), text.count("int b;")) == (2, 1)


@pytest.mark.parametrize("guard", ["__COMMON_CL__", "__a_h", "_A_H_", "CL_A_HPP", "INT_A_H"])
def test_guards_as_headers_have_them_are_no_compilers(guard: str) -> None:
    headers = {**_ONCE_A, "b.h": f"#ifndef {guard}\n#define {guard}\n{_A}int b;\n#endif\n"}
    text = written(f'#include "b.h"\n{_A}', split_options(""), headers)
    assert text.count("int a;") == 1


@pytest.mark.parametrize(
    ("body", "times"),
    [
        # A table that is put anew for each use; and one that its guard keeps out of itself.
        ("int v;\n#undef G\n", 3),
        ('#include "x.h"\nint v;\n#undef G\n', 3),
        ('int v;\n#undef G\n#ifndef N\n#define N\n#include "x.h"\n#endif\n', 4),
        ('#include "y.h"\n#ifndef N\n#define N\n#include "x.h"\n#endif\nint v;\n', 4),
    ],
)
def test_a_header_that_takes_its_guard_back_is_put_again(
    tmp_path: Path, body: str, times: int
) -> None:
    (tmp_path / "x.h").write_text(f"#ifndef G\n#define G\n{body}#endif\n")
    (tmp_path / "y.h").write_text("#undef G\n")
    (tmp_path / "main.c").write_text('#include "x.h"\n' * 3)
    text = written('#include "x.h"\n' * 3, split_options(f"-I {tmp_path}"), {})
    (tmp_path / "whole.c").write_text(text)
    wanted = _preprocessed(tmp_path / "main.c")
    assert wanted == ["int", "v;"] * times
    assert _preprocessed(tmp_path / "whole.c") == wanted


def test_many_headers_that_all_include_each_other_are_put_once() -> None:
    names = [f"h{number}.h" for number in range(40)]
    all_of_them = "".join(f'#include "{name}"\n' for name in names)
    headers = {
        name: f"#ifndef G{at}\n#define G{at}\n{all_of_them}int v{at};\n#endif\n"
        for at, name in enumerate(names)
    }
    text = written(all_of_them, split_options(""), headers)
    assert [text.count(f"int v{at};") for at in range(len(names))] == [1] * len(names)
    assert "#error" not in text


def test_the_last_option_says_what_a_name_is() -> None:
    options = split_options("-DA=1 -D'F(x)=x' -UA -U F -UOWN -U B -DB=2 -DC=1 -DC=2")
    assert options.kept == "-DB=2 -DC=2"
    assert written("int a;", options, {}) == "#undef A\n#undef F\n#undef OWN\n#line 1\nint a;"


def test_macros_with_comments_and_of_any_number_of_arguments() -> None:
    options = split_options(
        "-D'A=1 // one' -D'B=/* b */2' -D'F(x, ...)=g(x, __VA_ARGS__)' -DG='\"/*\"'"
    )
    assert written("", options, {}) == (
        "#define A 1 // one\n#define B /* b */2\n#define F(x, ...) g(x, __VA_ARGS__)\n"
        '#define G "/*"\n#line 1\n'
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
        "-D'X=a\\ '",
        "-D'X=a??/'",
        "-DX='a\rb'",
        "-U",
        "-UX=1",
        "-D'F(...,x)=x'",
    ],
)
def test_macros_that_are_none(options: str) -> None:
    with pytest.raises(ValueError, match=r".?"):
        split_options(options)


def test_what_a_linker_is_told() -> None:
    assert link_options("") == LinkOptions(False, False, ())
    zeros = "-cl-no-signed-zeroes  -cl-no-subgroup-ifp -cl-no-signed-zeros"
    told = link_options(f"{zeros} -create-library")
    assert told == LinkOptions(True, False, ("-cl-no-signed-zeros",))
    assert link_options("-enable-link-options -create-library").allows


@pytest.mark.parametrize(
    "options", ["-cl-mad-enable", "-enable-link-options", "-DX -create-library", "x"]
)
def test_options_that_are_none_of_the_linkers(options: str) -> None:
    with pytest.raises(ValueError, match=r".?"):
        link_options(options)


@pytest.mark.parametrize("before", ["/* #\nundef G */", "// #undef G", "#undef H", '"#undef G"'])
def test_a_header_includes_itself_once_until_it_takes_its_guard_back(before: str) -> None:
    body = '#ifndef G\n#define G\n{}\n#include "g.h"\n#include "g.h"\nint g;\n#undef G\n#endif\n'
    text = written('#include "g.h"\n', split_options(""), {"g.h": body.format(before)})
    assert text.count("int g;") == 1
