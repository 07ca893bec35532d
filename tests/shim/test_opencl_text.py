"""What the OpenCL driver makes of a program's options and `#include`s before the text travels."""

from __future__ import annotations

from pathlib import Path

import pytest

from gon_shim.opencl.includes import split_options, written


def test_options_that_a_host_refuses_become_lines_of_the_text(tmp_path: Path) -> None:
    options = split_options(
        f"-cl-mad-enable -g -D N=4 -DSTEPS='f(a+0,1);g(b);' -D TEXT=\"'x y'\" -DID(x)=#x -D E= -DM"
        f" -I {tmp_path}"
    )
    assert options.kept == "-cl-mad-enable -DN=4 -DE= -DM"
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


@pytest.mark.parametrize("options", ["-D", "-D 1=2", "-DX(y=2", "-DX='a\nb'"])
def test_macros_that_are_none(options: str) -> None:
    with pytest.raises(ValueError, match=r".?"):
        split_options(options)
