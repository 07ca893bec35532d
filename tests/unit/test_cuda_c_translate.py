"""The translator of CUDA C alone, without a device: signatures, layouts, lines, names, limits."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import CompileError, GonError, InvalidArgument, Unsupported
from gon.model import ParamKind, Program
from gon_server.cuda_c.reading import signatures
from gon_server.cuda_c.target import Dialect, HiddenKind, Target, Translation
from gon_server.cuda_c.translate import translate

CPP = Target(Dialect.CPP, True, True, True, (32,), 1 << 18, 1024)
C12 = Target(Dialect.C12, False, True, True, (), 1 << 15, 1024)
TARGETS = pytest.mark.parametrize("target", [CPP, C12], ids=["C++", "C 1.2"])


def program(text: str, *names: str, options: str = "", **headers: str) -> Program:
    given_headers = tuple((name.replace("_h", ".h"), body) for name, body in headers.items())
    return Program(text.encode(), "cuda-c", options, names, given_headers)


def translated(text: str, *names: str, target: Target = CPP, options: str = "") -> Translation:
    return translate(program(text, *names, options=options), target)


def refused(text: str, error: type[GonError] = Unsupported, target: Target = CPP) -> str:
    with pytest.raises(error) as caught:
        translated(text, target=target)
    return str(caught.value)


# Signatures ---------------------------------------------------------------------------------------
def test_parameters_are_told_as_the_source_spells_them() -> None:
    text = """
    struct Pair { short a; double b; };
    typedef unsigned long long u64;
    __global__ void __launch_bounds__(2 * 64) k(const float *__restrict__ x, int *y, bool flag,
        u64 n, Pair pair, const Pair *pairs, float4 v, char c, void *any, const int m[][4]) {}
    """
    (kernel,) = signatures(program(text), 1024)
    assert kernel.max_block == 128
    told = [(p.name, p.kind, p.type_name, p.dtype, p.size_bytes, p.writes) for p in kernel.params]
    buffer, value = ParamKind.BUFFER, ParamKind.VALUE
    assert told == [
        ("x", buffer, "const float *__restrict__", "float32", 0, False),
        ("y", buffer, "int *", "int32", 0, True),
        ("flag", value, "bool", "bool", 1, False),
        ("n", value, "u64", "uint64", 8, False),
        ("pair", value, "Pair", "", 16, False),
        ("pairs", buffer, "const Pair *", "", 0, False),
        ("v", value, "float4", "", 16, False),
        ("c", value, "char", "int8", 1, False),
        ("any", buffer, "void *", "", 0, True),
        ("m", buffer, "const int [][4]", "int32", 0, False),
    ]


def test_name_expressions_make_a_kernel_each() -> None:
    text = "template <typename T, int N = 4> __global__ void scale(T *x, T a) { x[N] = a; }"
    kernels = signatures(program(text, "scale<float>", "scale<unsigned char, 2 + 1>"), 64)
    assert [kernel.name for kernel in kernels] == ["scale<float>", "scale<unsigned char, 2 + 1>"]
    assert [kernel.params[0].dtype for kernel in kernels] == ["float32", "uint8"]
    assert kernels[1].params[1].type_name == "unsigned char"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("scale<>", "T is not given"),
        ("scale<float, 1, 2>", "2 template parameters"),
        ("scale<Unknown>", "'Unknown'"),
        ("scale<float, x>", "'x'"),
        ("other<float>", "no such kernel template"),
        ("plain", "no such kernel"),
        ("scale<float>; evil", "not understood"),
    ],
)
def test_a_wrong_name_expression_is_refused(name: str, reason: str) -> None:
    text = "template <typename T, int N = 4> __global__ void scale(T *x) { x[N] = 1; }"
    with pytest.raises((InvalidArgument, CompileError)) as caught:
        translated(text, name)
    assert reason in str(caught.value)


def test_an_explicit_instantiation_is_a_kernel_too() -> None:
    text = "template <class T> __global__ void f(T *x) {}\ntemplate __global__ void f<int>(int *);"
    assert [kernel.name for kernel in translated(text).kernels] == ["f<int>"]


# Layout -------------------------------------------------------------------------------------------
# How `struct` writes them, with C's own alignment.
MEMBERS = {
    "char": "b",
    "short": "h",
    "int": "i",
    "long": "l",
    "unsigned long long": "Q",
    "float": "f",
    "double": "d",
    "bool": "?",
}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(MEMBERS)), st.integers(1, 3)), min_size=1, max_size=12
    )
)
def test_structures_lie_as_the_c_abi_says(members: list[tuple[str, int]]) -> None:
    ends = max((MEMBERS[kind] for kind, _n in members), key=struct.calcsize)
    shape = "".join(f"{n}{MEMBERS[kind]}" for kind, n in members)
    size = struct.calcsize(f"@{shape}0{ends}")
    body = " ".join(f"{kind} m{i}[{n}];" for i, (kind, n) in enumerate(members))
    text = f"struct S {{ {body} }}; __global__ void k(S s) {{}}"
    (kernel,) = signatures(program(text), 64)
    assert kernel.params[0].size_bytes == size


def test_module_variables_have_their_first_contents() -> None:
    text = """
    enum { Two = 2 };
    struct P { char c; float v[Two]; };
    __constant__ P p = {'a', {1.5f, -2}};
    __device__ unsigned char bytes[2][Two] = {{1, 255 + 2}, {(unsigned char)-1}};
    __device__ long long far = 1ll << 40;
    __constant__ char word[4] = "hi";
    __global__ void k() {}
    """
    made = translated(text)
    at = {place.info.name: place.offset_bytes for place in made.globals}
    first = made.globals_initial
    assert len(first) == made.globals_bytes
    assert first[at["p"] : at["p"] + 12] == bytes.fromhex("61000000 0000c03f 000000c0")
    assert first[at["bytes"] : at["bytes"] + 4] == bytes([1, 1, 255, 0])
    assert first[at["far"] : at["far"] + 8] == (1 << 40).to_bytes(8, "little")
    assert first[at["word"] : at["word"] + 4] == b"hi\0\0"
    told = {place.info.name: place.info for place in made.globals}
    assert (told["bytes"].type_name, told["bytes"].dtype) == ("unsigned char[2][2]", "uint8")


# Lines --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("__global__ void k(int *x)\n{\n  x[0] = y;\n}", "program.cu:3:"),
        ("#define A 1\n\n#if A\n__global__ void k(int *x)\n{ x[0] = y; }\n#endif", "program.cu:5:"),
        ("#define M(a, \\\n b) a\n__global__ void k(int *x)\n{ x[0] = \\\n z; }", "program.cu:4:"),
        ("/* a\n b */ __global__ void k(int *x) { // c\n x[0] = y; }", "program.cu:3:"),
        ('#include "inner.h"\n__global__ void k(int *x) {}', "inner.h:2:"),
        ('#include "fine.h"\n\n__global__ void k(int *x) { x[0] = q; }', "program.cu:3:"),
        ("__global__ void k(int *x) {\n\n  x[0] = ;\n}", "program.cu:3:"),
        ("#error no\n", "program.cu:1:"),
        ("\n#if 1\n\n__global__ void k() {}", "program.cu:2:"),
        ("\n/* no end", "program.cu:2:"),
    ],
)
def test_an_error_names_the_users_line(text: str, place: str) -> None:
    headers = (("inner.h", "__device__ int f() {\n return y; }\n"), ("fine.h", "// 1\n// 2\n"))
    with pytest.raises(CompileError) as caught:
        translate(Program(text.encode(), "cuda-c", headers=headers), CPP)
    assert place in caught.value.log


@TARGETS
def test_the_translation_keeps_lines(target: Target) -> None:
    text = """#define N 8
    __constant__ int c[N];

    __device__ int f(const int *p) {
        __shared__ int s;
        return p[0] + c[1] + s; // line 6
    }
    __global__ void k(int *x) {
        __shared__ int t[N];
        x[0] = f(x) + f(t); // line 10
    }
    """
    made = translated(text, target=target).text.splitlines()
    line = 0
    seen: dict[str, set[int]] = {}
    for row in made:
        if row.startswith("#line"):
            line = int(row.split()[1])
            continue
        for mark in ("p[0]", "x[0]"):
            if mark in row:
                seen.setdefault(mark, set()).add(line)
        line += 1
    assert seen == {"p[0]": {6}, "x[0]": {10}}


# Names and hidden parameters ----------------------------------------------------------------------
@TARGETS
def test_what_is_handed_down_is_told(target: Target) -> None:
    text = """
    __constant__ float c;
    __device__ float get() { extern __shared__ float s[]; return s[0] * c; }
    __global__ void uses(float *x) { x[0] = get(); }
    __global__ void plain(float *x) { x[0] = 1; }
    """
    made = {kernel.name: kernel for kernel in translated(text, target=target).kernels}
    kinds = [hidden.kind for hidden in made["uses"].hidden]
    assert kinds == [HiddenKind.SHARED, HiddenKind.GLOBALS]
    assert made["plain"].hidden == ()


def test_names_that_opencl_has_are_renamed() -> None:
    text = """
    __device__ int dot(int local) { return local; }
    __global__ void kernel(int *global) { int half_ = 1; global[0] = dot(half_); }
    """
    (kernel,) = translated(text).kernels
    assert (kernel.name, kernel.symbol) == ("kernel", "kernel_")
    assert "dot_(int local_)" in translated(text).text


def test_warps_are_told() -> None:
    text = """
    __device__ int sum(int v) { return v + __shfl_down_sync(0xffffffffu, v, 1); }
    __global__ void warps(int *x) { x[0] = sum(1); }
    __global__ void none(int *x) { x[0] = 1; }
    """
    assert [kernel.warps for kernel in translated(text).kernels] == [True, False]
    assert "program.cu:2: __shfl_down_sync" in refused(text, target=C12)


@pytest.mark.parametrize(
    ("body", "warps"),
    [
        ("cg::this_thread_block().sync();", False),
        ("cg::thread_block b = cg::this_thread_block(); x[0] = b.thread_rank();", False),
        ("auto t = cg::tiled_partition<32>(cg::this_thread_block()); x[0] = t.size();", True),
        ("auto t = part(cg::this_thread_block()); x[0] = t.size();", True),
        ("auto t = coalesced_threads(); x[0] = t.size();", True),
    ],
)
def test_warps_of_cooperative_groups_are_told(body: str, warps: bool) -> None:
    text = f"""
    namespace cg = cooperative_groups;
    using namespace cooperative_groups;
    template <typename G> __device__ auto part(G g) {{ return cg::tiled_partition<16>(g); }}
    __global__ void k(int *x) {{ {body} }}
    """
    (kernel,) = translated(text).kernels
    assert kernel.warps == warps
    assert ("intel_reqd_sub_group_size(32)" in translated(text).text) == warps


def test_double_precision_is_refused_where_the_unit_has_none() -> None:
    without = Target(Dialect.CPP, local_bytes=1 << 15, max_block=64)
    for expression in ("1.0 * 2", "(double)1.0f", "1e3"):
        text = f"__global__ void k(float *x) {{\n x[0] = {expression}; }}"
        assert "program.cu:2:" in refused(text, target=without)


def test_64_bit_atomics_are_refused_where_the_unit_has_none() -> None:
    without = Target(Dialect.CPP, fp64=True, local_bytes=1 << 15, max_block=64)
    text = "__global__ void k(unsigned long long *x) {\n atomicAdd(x, 1ull); }"
    assert "program.cu:2: atomicAdd" in refused(text, target=without)


def test_indices_are_signed_only_where_that_is_right() -> None:
    text = """__global__ void k(float *x, unsigned u, size_t n) {
        x[u + 1] = 0; x[n + u] = 1; x[u * 2 + threadIdx.x] = 2; x[(u + 1) / 2] = 3; }"""
    made = translated(text)
    assert made.short_indices
    for piece in ("x[(int)(u) + 1]", "x[n + u]", "x[(int)(u * 2) + (int)(gon_threadIdx.x)]"):
        assert piece in made.text
    assert "x[(int)((u + 1) / 2)]" in made.text
    assert not translated("__global__ void k(float *x, int i) { x[i] = 0; }").short_indices


def test_contraction_can_be_turned_off() -> None:
    text = "__global__ void k() {}"
    off = translated(text, options="--fmad=false").text
    assert off.rindex("FP_CONTRACT OFF") > off.rindex("FP_CONTRACT ON")
    plain = translated(text).text
    assert plain.rindex("FP_CONTRACT ON") > plain.rindex("FP_CONTRACT OFF")
