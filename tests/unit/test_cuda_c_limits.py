"""What the translator of CUDA C does with sources and options made to hurt it: a refusal with a
stable error, in time, and nothing else.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import CompileError, GonError, InvalidArgument, LimitExceeded, Unsupported
from gon.limits import CUDA_SOURCE_BYTES_MAX, NESTING_MAX
from gon.model import Program
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.reading import read
from gon_server.cuda_c.target import Dialect, Target
from gon_server.cuda_c.translate import translate
from gon_server.cuda_c.tree import Node

CPP = Target(Dialect.CPP, True, True, True, (32,), 1 << 18, 1024)
C12 = Target(Dialect.C12, False, True, True, (), 1 << 15, 1024)
TARGETS = pytest.mark.parametrize("target", [CPP, C12], ids=["C++", "C 1.2"])


def refused(text: str, target: Target = CPP) -> str:
    with pytest.raises(CompileError) as caught:
        translate(Program(text.encode(), "cuda-c"), target)
    return str(caught.value)


def translated(text: str, target: Target = CPP, options: str = "") -> str:
    return translate(Program(text.encode(), "cuda-c", options), target).text


def bomb(levels: int) -> str:
    defines = ["#define A0 1 +"]
    defines += [f"#define A{i} A{i - 1} A{i - 1} A{i - 1} A{i - 1}" for i in range(1, levels)]
    return "\n".join(defines)


def test_a_macro_bomb_is_refused() -> None:
    text = bomb(30) + "\n__global__ void k(int *x) { x[0] = A29 1; }"
    assert "macros give more than" in refused(text)
    assert "macros give more than" in refused(bomb(30) + "\n#if A29 1\n#endif\n")


@pytest.mark.parametrize(
    "text", ["(" * 4000, "{" * 4000, "x[0] = " + "-" * 4000 + "1;", "a<" * 4000]
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises((Unsupported, CompileError)):
        translated("__global__ void k(int *x) { " + text + "}")


@TARGETS
def test_what_is_nested_as_deep_as_allowed_is_taken(target: Target) -> None:
    depth = NESTING_MAX - 12
    brackets = "(" * depth + "1" + ")" * depth
    for inside in ("1 + " * depth + "1", brackets, "(int)" * depth + "1"):
        translated(f"__global__ void k(int *x) {{ x[{inside}] = 1; }}", target=target)
    choices = "c ? p : " * depth + "p"
    head = "__global__ void k(int *x, int c) { int *p = x; int *q = "
    translated(f"{head}{choices}; *q = 1; }}", target=target)
    start = "#define A(x) x\n__global__ void k(int *x) { x[0] = "
    translated(start + "A(" * depth + "1" + ")" * depth + "; }", target=target)
    over = start + "A(" * 2 * NESTING_MAX + "1" + ")" * 2 * NESTING_MAX + "; }"
    assert "nested more than" in refused(over, target)


def test_headers_that_include_each_other_are_refused() -> None:
    headers = (("a.h", '#include "b.h"\n'), ("b.h", '#include "a.h"\n'))
    with pytest.raises(LimitExceeded):
        translate(Program(b'#include "a.h"\n', "cuda-c", headers=headers), CPP)


def test_a_source_that_is_too_large_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        translated(" " * CUDA_SOURCE_BYTES_MAX + "a")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.h", "vector"])
def test_no_header_of_the_host_is_read(name: str) -> None:
    text = f"#include <{name}>\n__global__ void k() {{}}"
    assert "no file of the host is read" in refused(text)
    text = f"#if __has_include(<{name}>)\n#endif\n__global__ void k() {{}}"
    assert "files of the host" in refused(text)


@pytest.mark.parametrize(
    "option", ["-I/etc", "--include-path=/", "-include", "-DX=$(id)\n", "-Xptxas"]
)
def test_an_option_that_is_not_known_is_refused(option: str) -> None:
    with pytest.raises(InvalidArgument):
        translated("__global__ void k() {}", options=option)


PIECES = [
    "__global__ void k(int *x) {",
    "}",
    "x[0] = 1;",
    "(",
    ")",
    "template <typename T>",
    "struct S {",
    "};",
    "__shared__ int s[4];",
    "#define A(x) x ## x",
    "A(1",
    "#if 1",
    "#endif",
    "int",
    "*",
    "k",
    '"',
    "'",
    "/*",
    "<<<1, 1>>>",
    "for (;;)",
    "\\\n",
    "\n",
    "if (x)",
    "::",
    "...",
    "return",
    "float4",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.sampled_from([CPP, C12]))
def test_nothing_but_our_errors_comes_of_nonsense(pieces: list[str], target: Target) -> None:
    try:
        translate(Program(" ".join(pieces).encode() or b" ", "cuda-c"), target)
    except GonError:
        return


@given(st.text(alphabet="ab\n", max_size=20), st.data())
def test_edits_keep_what_they_do_not_touch(source: str, data: st.DataObject) -> None:
    edits = Edits(source)
    at, expected = 0, ""
    while at < len(source):
        start = data.draw(st.integers(at, len(source)))
        end = data.draw(st.integers(start, len(source)))
        text = data.draw(st.text(alphabet="xy", max_size=3))
        edits.replace(start, end, text)
        expected += source[at:start] + text + "\n" * source.count("\n", start, end)
        at = end + 1
        expected += source[end:at]
    assert edits.apply(0, len(source) + 1) == expected + source[at:]


def test_a_tree_tells_what_its_nodes_are() -> None:
    root = read(Program(b"__global__ void k(int *x) { x[0] = 1; }", "cuda-c")).root
    (written,) = [node for node in root.walk() if node.kind == "assignment_expression"]
    left = written.get("left")
    assert isinstance(left, Node)
    assert left.text == "x[0]"
    assert written.inside("function_definition") is not None
