"""Faults found in the translation of CUDA C, each held by the source that showed it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gon.errors import CompileError, GonError, InvalidArgument, LimitExceeded, Unsupported
from gon.model import Program
from gon_server.cuda_c.target import Dialect
from gon_server.cuda_c.translate import translate
from tests.unit.cuda_unit import Array, CudaUnit, target_of

KERNEL = "__global__ void k(long long *out) {\n"
CPP = (Dialect.CPP,)
BOTH = tuple(Dialect)


def refused(source: str, dialect: Dialect = Dialect.CPP, names: Sequence[str] = ()) -> GonError:
    with pytest.raises(GonError) as caught:
        translate(Program(source.encode(), "cuda-c", names=tuple(names)), target_of(dialect))
    return caught.value


def values(body: str, head: str, dialect: Dialect) -> list[int]:
    """What one thread writes."""
    unit = CudaUnit(dialect)
    source = f"{head}{KERNEL}{body}}}\n"
    translation = translate(Program(source.encode(), "cuda-c"), unit.target)
    built = unit.build_text(translation.text)
    arrays: list[Array] = [np.zeros(8, np.int64)]
    if translation.kernels[0].hidden:
        arrays.append(np.frombuffer(translation.globals_initial, np.uint8))
    found = unit.launch(built, translation.kernels[0].symbol, arrays)[0]
    return [int(value) for value in found]


# Wrong results ------------------------------------------------------------------------------------
GIVES = [
    ("#if -1 > 0u\n#define R 1\n#else\n#define R 2\n#endif\n", "out[0] = R;", [1], BOTH),
    ("#if (0xFFFFFFFFFFFFFFFF >> 60) == 15\n#define R 1\n#endif\n", "out[0] = R;", [1], BOTH),
    ("#if -1 / 2u > 5 && (1 ? -1 : 0u) > 0\n#define R 1\n#endif\n", "out[0] = R;", [1], BOTH),
    ("#if 0 && (1 / 0)\n#elif 1 || 1 % 0\n#define R 3\n#endif\n", "out[0] = R;", [3], BOTH),
    ("#if '\\x41' == 65 && '\\101' == 65\n#define R 1\n#endif\n", "out[0] = R;", [1], BOTH),
    ("\n#if __LINE__ == 2\n#define R 1\n#else\n#define R 2\n#endif\n", "out[0] = R;", [1], BOTH),
    ("", 'out[0] = sizeof("??=");', [4], BOTH),
    ("", "out[0] = sizeof('a'); out[1] = sizeof(1 < 2); out[2] = sizeof(!3);", [1, 1, 1], BOTH),
    (
        ("__device__ int f(int) { return 1; } __device__ int f(char) { return 2; }\n"
        "__device__ int f(bool) { return 3; }\n"),
        "out[0] = f('a'); out[1] = f(true); out[2] = f(1 < 2); out[3] = f(!3); out[4] = f(3);",
        [2, 3, 3, 3, 1],
        BOTH,
    ),
    ("__constant__ char c[3] = {'\\x41', '\\e', '\\xff'};\n",
     "out[0] = c[0]; out[1] = c[1]; out[2] = c[2];", [65, 27, -1], BOTH),
    (("struct S { static const int N = 4; int a[N]; int b; };\n"
     "__constant__ S c = {{1, 2, 3, 4}, 5}; __device__ int z = 9;\n"),
     "out[0] = c.a[3]; out[1] = c.b; out[2] = z;", [4, 5, 9], CPP),
    (("enum E { A = 3, B, C = 0xFFFFFFFFu, D = 0x100000000LL };\n"
     "__constant__ long long t[4] = {A, B, C, D};\n"),
     "for (int i = 0; i < 4; i++) out[i] = t[i];", [3, 4, 0xFFFFFFFF, 1 << 32], BOTH),
    ("", "int *p = NULL; out[0] = sizeof(NULL); out[1] = p == NULL; int z = NULL; out[2] = z;",
     [8, 1, 0], BOTH),
    ("", "int a = 1, b = 0; out[0] = a and not b; out[1] = a xor 3; out[2] = compl a;",
     [1, 2, -2], BOTH),
]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "body", "expected", "dialect"),
    [(*given[:3], dialect) for given in GIVES for dialect in given[3]],
)
def test_values(head: str, body: str, expected: list[int], dialect: Dialect) -> None:
    assert values(body, head, dialect)[: len(expected)] == expected


@pytest.mark.parametrize("dialect", Dialect)
def test_counters_that_have_wrapped_around_are_subtracted_as_cuda_does(dialect: Dialect) -> None:
    unit = CudaUnit(dialect)
    source = (
        "__global__ void k(long long *out, const unsigned *at) {\n"
        "    __shared__ long long ring[64];\n    ring[threadIdx.x] = threadIdx.x;\n"
        "    __syncthreads();\n    unsigned head = at[0], tail = at[1];\n"
        "    out[threadIdx.x] = ring[head - tail];\n}\n"
    )
    translation = translate(Program(source.encode(), "cuda-c"), unit.target)
    counters = np.array([0x80000005, 0x7FFFFFF0], np.uint32)
    out = unit.launch(
        unit.build_text(translation.text), "k", [np.zeros(64, np.int64), counters], (64,), (64,)
    )[0]
    assert (out == 21).all()


# Threads that leave before the others wait --------------------------------------------------------
AROUND = (
    "__device__ void wait(float *s) {{ s[0] = 1; __syncthreads(); }}\n"
    "__device__ void change(int &q, int i) {{ q = i; }}\n"
    "__global__ void k(float *x, int n, const int *flags) {{ __shared__ float s[64];\n"
    "int i = blockIdx.x * blockDim.x + threadIdx.x;\n{}\n}}\n"
)


@pytest.mark.parametrize(
    "body",
    [
        "if (i >= n) return; s[0] = 1; __syncthreads(); x[i] = s[0];",
        "for (int j = 0; j < 4; j++) { __syncthreads(); if (i + j >= n) return; }",
        "if (x[i] > 0) { return; } wait(s);",
        "int q = 0; if (i) q = 4; if (q) return; __syncthreads();",
        "int q; change(q, i); if (q) return; __syncthreads();",
        "int q = 0; atomicAdd(&q, i); if (q) return; __syncthreads();",
        "switch (i) { case 0: return; } __syncthreads();",
        "if (threadIdx.x > 5) return; x[i] = __syncthreads_count(1);",
    ],
)
def test_a_return_before_a_barrier_is_refused(body: str) -> None:
    error = refused(AROUND.format(body))
    assert isinstance(error, Unsupported)
    assert "program.cu:5: return before a barrier" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "__syncthreads(); if (i >= n) return; x[i] = s[0];",
        "int base = blockIdx.x * blockDim.x; if (base >= n) return; __syncthreads();",
        "if (flags[blockIdx.x]) return; __syncthreads();",
        (
            "__shared__ bool last; if (!threadIdx.x) last = n > 3; __syncthreads();\n"
            "if (!last) return; __syncthreads();"
        ),
        "if (!__syncthreads_or(i < n)) return; __syncthreads();",
        "if (i < n) x[i] = 1; __syncthreads(); return;",
        "for (int r = 0; r < min(n, 4); r++) { if (r == flags[2]) return; __syncthreads(); }",
    ],
)
def test_a_block_may_leave_together(body: str) -> None:
    assert translate(Program(AROUND.format(body).encode(), "cuda-c"), target_of(Dialect.CPP)).text


# Refused by name ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("#pragma pack(push, 1)\nstruct S { char a; int b; };\n", ":1: #pragma pack"),
        ("struct __attribute__((packed)) S { char a; int b; };\n", "attribute packed"),
        ('__device__ __attribute__((alias("x"))) int f();\n', "attribute alias"),
        ("__global__ void k(int __attribute__((address_space(3))) *p) {}\n", "address_space"),
        ("[[clang::opencl_local]] __device__ int f() { return 1; }\n", "attribute clang::"),
        ("struct P { int a = 5; }; __device__ P p;\n", "variable p: its structure has"),
        ("struct P { int a; __device__ P() : a(1) {} }; __device__ P p[2];\n", "variable p: its"),
        ("struct alignas(32) S { int a; }; __global__ void k(S s) {}\n", "parameter s: aligned"),
        ("__global__ void k(int) {}\n", "kernel k: a parameter without a name"),
        ("typedef volatile int V; __global__ void k(V *p) {}\n", "volatile: taken for"),
        ("__global__ void k(int *p) { *(volatile int *)p += p[1]; }\n", "volatile: taken for"),
        ("struct S { volatile int a[4]; }; __global__ void k(S *p) {}\n", "volatile: taken for"),
        ("struct P { int a, b; }; __constant__ P p[2] = {1, 2, 3, 4};\n", "may not be left out"),
        ("__global__ void k(float *p) { float f = p[0]; (int &)f = 5; }\n", "cast reference"),
    ],
)  # fmt: skip
def test_refused_by_name(source: str, message: str) -> None:
    error = refused(source)
    assert isinstance(error, Unsupported)
    assert message in str(error)


def test_a_function_that_is_nowhere_defined_is_named() -> None:
    error = refused("\n__device__ int f(); __global__ void k(int *p) { *p = f(); }\n")
    assert isinstance(error, CompileError)
    assert "program.cu:2: f is nowhere defined" in error.log


def test_names_are_ascii() -> None:
    source = "template <class T> __global__ void k(T *p) {}\n"
    assert isinstance(refused(source, names=["k<é>"]), InvalidArgument)


# What would take for ever, or all memory ----------------------------------------------------------
def chain(text: str, count: int) -> str:
    return "".join(text.format(i=i, j=i - 1) for i in range(1, count))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    "source",
    [
        "__constant__ int x = 1e999;",
        "__constant__ int x = 1e308 * 10;",
        "__constant__ int x = (int)((1e308 * 10) * 0.0);",
        "const int a = a; __constant__ int b = a;",
        "const int a = b + 1; const int b = a; __constant__ int c = b;",
        "typedef int t0[2];\n" + chain("typedef t{j} t{i}[2];\n", 200) + "__constant__ t199 q;",
        "struct s0 { int a; };\n" + chain("struct s{i} {{ s{j} a, b; }};\n", 40)
        + "__global__ void k(s39 x) {}",
        "__device__ char x[-5];",
        "#define C(a, b) a##b\n#define D(x) C(x, x)\nint " + "D(" * 30 + "aaaa" + ")" * 30 + ";",
        "#define S(x) #x\n#define X(x) S(x)\nint a = " + "X(" * 25 + '"\\\\"' + ")" * 25 + ";",
        "#define F(a) (a)\nint a = F(" + "\n1" * 30_000,
        "#define F(a) (a)\n" + "F(F(F(\n" * 5_000,
        "#if " + "(" * 10_000 + "1" + ")" * 10_000 + "\n#endif\n",
        "__global__ void k(int *p) { volatile int v = 0; " + "for (;;) {" * 40 + "v;" + "}" * 41,
        "__global__ void k(int *p) { A" + "<A" * 100_000 + ">" * 100_000 + " x; }",
    ],
)  # fmt: skip
def test_hostile_sources_are_refused(source: str, dialect: Dialect) -> None:
    assert isinstance(refused(source, dialect), Unsupported | CompileError | LimitExceeded)


def test_constants_may_be_made_of_constants_so_deep_only() -> None:
    source = "const int a0 = 0;\n" + chain("const int a{i} = a{j} + a{j};\n", 200)
    assert isinstance(refused(source + "__constant__ int q = a199;\n"), LimitExceeded)


def test_conditions_may_be_nested() -> None:
    source = "#if " + "(" * 140 + "1" + ")" * 140 + "\n__global__ void k(int *p) {}\n#endif\n"
    assert translate(Program(source.encode(), "cuda-c"), target_of(Dialect.CPP)).kernels


def test_headers_are_included_a_bounded_number_of_times() -> None:
    more = {f"a{i}.h": f'#include "a{i + 1}.h"\n' * 2 for i in range(30)} | {"a30.h": ""}
    program = Program(b'#include "a0.h"\n', "cuda-c", headers=tuple(more.items()))
    with pytest.raises(LimitExceeded, match="headers are included more than"):
        translate(program, target_of(Dialect.CPP))


@pytest.mark.parametrize("dialect", Dialect)
def test_large_tables_take_no_more_room_than_they_have(dialect: Dialect) -> None:
    names = ", ".join(f"a{i}" for i in range(5_000))
    source = f"enum E {{ {names} }}; __constant__ int t[] = {{ {names} }};\n"
    source += "__device__ char large[4000000] = {1};\n__global__ void k(int *p) {}\n"
    translation = translate(Program(source.encode(), "cuda-c"), target_of(dialect))
    table = np.frombuffer(translation.globals_initial[: 4 * 5_000], np.int32)
    np.testing.assert_array_equal(table, np.arange(5_000))


# What ended as an error of the unit's compiler, or of itself --------------------------------------
TAKEN = [
    (
        "",
        ("float f = 3.7f; out[0] = reinterpret_cast<unsigned &>(f); out[1] = (unsigned &)f;\n"
        "__shared__ float4 q[2]; q[0] = make_float4(1, 2, 3, 4); float w[4];\n"
        "reinterpret_cast<float4 &>(w[0]) = q[0]; out[2] = w[3];"),
        [1080872141, 1080872141, 4],
        CPP,
    ),
    (
        ("template <class T> __device__ T at(const T *p, int i) { T v = p[i]; return v; }\n"
        "template <class T> __device__ T most(const T &a, const T &b) { return a < b ? b : a; }\n"
        "template <class T> __device__ void more(T &a) { T old = a; a = old + 1; }\n"),
        ("__shared__ int s[2]; s[0] = 5; s[1] = 6; int l = 3; out[0] = at(s, 1) + at(out, 0);\n"
        "out[1] = most(l, s[0]); more(s[1]); more(l); more(out[1]); out[2] = s[1] * 10 + l;"),
        [6, 6, 74],
        CPP,
    ),
    (
        ("__device__ int f(int t[], int n) { t[0] += n; return t[n]; }\n"
        "__device__ int g(int t[2][3]) { return t[1][2]; }\n"),
        ("__shared__ int s[2][3]; s[1][2] = 7; __shared__ int u[4]; u[0] = 1; u[1] = 3;\n"
        "int l[2][3]; l[1][2] = 9; out[0] = g(s); out[1] = f(u, 1); out[2] = g(l); out[3] = u[0];"),
        [7, 3, 9, 2],
        BOTH,
    ),
    ("", "int a = 5; out[0] = a > 2 > 0; out[1] = a << 2 + 1;", [1, 40], BOTH),
    ("", '_Pragma("unroll") for (int i = 0; i < 3; i++) out[i] = i;', [0, 1, 2], BOTH),
    ("struct alignas(16) S { char a; }; struct T { char a; alignas(8) int b; };\n",
     "out[0] = sizeof(S); out[1] = sizeof(T);", [16, 16], BOTH),
    ("__device__ int kernel = 3, dot[2] = {4, 5};\n",
     "kernel += 1; out[0] = kernel; out[1] = dot[1];", [4, 5], BOTH),
    (("struct S { int a, b; }; __device__ S make(int a) { S s = {a, 2}; return s; }\n"
     "__device__ int sum(const S &s) { return s.a + s.b; }\n"
     "__device__ int one(const int &a) { return a + 1; }\n"),
     "out[0] = sum(make(3)); out[1] = one(7);", [5, 8], BOTH),
    ("__device__ int gon_sinf = 2, ugon_sinf_ = 3;\n",
     "out[0] = gon_sinf; out[1] = ugon_sinf_;", [2, 3], BOTH),
]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "body", "expected", "dialect"),
    [(*given[:3], dialect) for given in TAKEN for dialect in given[3]],
)
def test_taken(head: str, body: str, expected: list[int], dialect: Dialect) -> None:
    assert values(body, head, dialect)[: len(expected)] == expected
