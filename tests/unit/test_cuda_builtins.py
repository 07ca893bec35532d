"""The table of built-ins: whole, minimal, and what CUDA says of sizes, values and overloads."""

from __future__ import annotations

import ctypes
import re
from itertools import product

import numpy as np
import pytest

from gon_server.cuda_c.builtin import Kind
from gon_server.cuda_c.builtins import (
    BUILTINS,
    HEADERS,
    REFUSED,
    hidden_bytes,
    missing,
    prelude,
    refusal,
)
from gon_server.cuda_c.builtins_chunks import parse_chunks
from gon_server.cuda_c.builtins_constants import constant_builtins
from gon_server.cuda_c.builtins_loads import LOADS, STORES
from gon_server.cuda_c.builtins_printf import opencl_format
from gon_server.cuda_c.builtins_vectors import ELEMENTS, MEMBERS, alignment
from gon_server.cuda_c.target import Dialect, Target
from tests.kernels.nvrtc import Nvrtc, find_nvrtc
from tests.unit.cuda_unit import NUMPY, Array, CudaUnit

VECTORS = [(name, count) for name in ELEMENTS for count in (1, 2, 3, 4)]


@pytest.fixture(scope="module", params=Dialect, ids=lambda dialect: dialect.name)
def unit(request: pytest.FixtureRequest) -> CudaUnit:
    return CudaUnit(request.param)


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    found = find_nvrtc()
    if found is None:
        pytest.skip("NVRTC is not installed")
    return found


# The table ----------------------------------------------------------------------------------------
def test_every_builtin_compiles(unit: CudaUnit) -> None:
    there = [name for name in BUILTINS if not missing(name, unit.target)]
    only_cpp = {"cooperative_groups", "memcpy", "memset"}
    assert set(BUILTINS) - set(there) == (only_cpp if unit.dialect is Dialect.C12 else set())
    unit.build(there, "kernel void f(global int *out) { *out = 1; }")


@pytest.mark.parametrize(("fp16", "fp64", "wide"), list(product((False, True), repeat=3)))
@pytest.mark.parametrize("dialect", Dialect)
def test_a_poor_unit_gets_no_text_that_it_cannot_take(
    dialect: Dialect, fp16: bool, fp64: bool, wide: bool
) -> None:
    target = Target(dialect, fp16, fp64, wide)
    text = prelude([name for name in BUILTINS if not missing(name, target)], target)
    code = re.sub(r"//.*|.*unavailable.*", "", text)
    assert fp16 or not re.search(r"\bhalf2?\b", code)
    assert fp64 or not re.search(r"\bdouble\b", code)
    assert wide or not re.search(r"atomic_u?long|\batom_", code)
    assert not re.search(r"sub_group|GON_AS|GON_ATOMIC_AS", code)


def test_missing_says_what_is_needed() -> None:
    poor = Target(Dialect.C12)
    assert missing("sinf", poor) == ""
    assert missing("sin", poor) == ""
    assert missing("normcdff", poor) == "it needs double precision"
    assert missing("__hmul2", poor) == "it needs half precision"
    assert missing("memcpy", poor) == "it needs C++ for OpenCL"
    assert missing("__shfl_sync", poor) == "it needs sub-groups of 32"
    assert "double precision" in missing("double4", poor)


def test_of_a_whole_number_there_is_no_function_without_double(unit: CudaUnit) -> None:
    poor = Target(unit.dialect)
    call = "kernel void f(global float *x, int n) { *x = gon_sqrt(%s); }"
    unit.target, kept = poor, unit.target
    try:
        unit.build(["sqrt"], call % "2.0f")
        with pytest.raises(AssertionError, match="it is double"):
            unit.build(["sqrt"], call % "n")
    finally:
        unit.target = kept


def test_there_are_no_wide_atomics_where_the_unit_has_none(unit: CudaUnit) -> None:
    poor = Target(unit.dialect, fp64=True)
    call = "kernel void f(global %s *x) { gon_atomicAdd(x, (%s)1); }"
    unit.target, kept = poor, unit.target
    try:
        unit.build(["atomicAdd"], call % ("float", "float"))
        for wide in ("ulong", "double"):
            with pytest.raises(AssertionError, match="no 64-bit atomics"):
                unit.build(["atomicAdd"], call % (wide, wide))
    finally:
        unit.target = kept


def test_a_prelude_is_minimal_and_always_the_same() -> None:
    target = Target(Dialect.CPP, fp64=True)
    text = prelude({"sinf"}, target)
    assert re.findall(r"gon_\w+", text) == ["gon_sinf"]
    names = {"sin", "float4", "make_float4", "atomicAdd", "threadIdx"}
    assert prelude(names, target) == prelude(sorted(names, reverse=True), target)
    defined = prelude(names, target)
    assert defined.index("gon_d_sin_kernel(double") < defined.index("gon_d_sin(double")
    assert len(prelude((), target).splitlines()) == 3


def test_what_is_refused_is_not_there_and_says_why() -> None:
    assert not set(REFUSED) & set(BUILTINS)
    # A prefix may be wider than what is refused: built-ins are looked up first.
    assert all(refusal(name) for name in REFUSED)
    for name, word in [
        ("tex2D", "textures"),
        ("surf2Dwrite", "textures"),
        ("clock64", "clock"),
        ("__trap", "stop"),
        ("curand_uniform", "counter-based"),
        ("cudaMalloc", "CUDA runtime"),
        ("__nv_bfloat162", "bfloat16"),
        ("__shfl_down", "_sync"),
        ("__dadd_rd", "_rn"),
        ("malloc", "heap"),
        ("wmma", "matrix"),
    ]:
        assert word in refusal(name), name
    assert refusal("my_function") == ""
    assert "cuda_fp16.h" in HEADERS


def test_scratch_is_for_blocks_that_count_on_units_without_cpp() -> None:
    assert hidden_bytes(["__syncthreads_and"], Target(Dialect.C12)) == 8
    assert hidden_bytes(["__syncthreads_and"], Target(Dialect.CPP)) == 0
    assert hidden_bytes(["__syncthreads", "sinf"], Target(Dialect.C12)) == 0


def test_a_chunk_out_of_form_is_our_bug() -> None:
    good = list(parse_chunks("//@ f fp64 ulp=2\nGON_FN int gon_f(void);\n//@+ cpp\n// gon_g\n"))
    assert [(b.name, b.ulp, len(b.parts)) for b in good] == [("f", 2, 2)]
    assert good[0].uses == {"g"}
    with pytest.raises(AssertionError):
        list(parse_chunks("//@ f nonsense\nint x;\n"))


# Vectors, constants, memory -----------------------------------------------------------------------
def test_vectors_have_cudas_size_alignment_and_members(unit: CudaUnit) -> None:
    rows: list[str] = []
    for at, (name, count) in enumerate(VECTORS):
        element = ELEMENTS[name][0]
        values = ", ".join(f"({element}){value + 3}" for value in range(count))
        members = " + ".join(f"(int)v.{m} * {10**i}" for i, m in enumerate(MEMBERS[:count]))
        rows.append(
            f"{{ gon_{name}{count} v = gon_make_{name}{count}({values});"
            f" global int *o = out + {at * 3};"
            f" o[0] = sizeof(v); o[1] = __alignof__(gon_{name}{count}); o[2] = {members}; }}"
        )
    names = [f"{make}{name}{count}" for name, count in VECTORS for make in ("", "make_")]
    program = unit.build(names, f"kernel void f(global int *out) {{ {''.join(rows)} }}")
    (out,) = unit.launch(program, "f", [np.zeros(len(VECTORS) * 3, "i4")])
    for (name, count), row in zip(VECTORS, out.reshape(-1, 3).tolist(), strict=True):
        size = ELEMENTS[name][1] * count
        digits = sum((3 + i) * 10**i for i in range(count))
        assert row == [size, alignment(name, count), digits], (name, count)


def test_vectors_are_the_same_in_cuda(nvrtc: Nvrtc) -> None:
    checks = "".join(
        f"static_assert(sizeof({name}{count}) == {ELEMENTS[name][1] * count} &&"
        f' alignof({name}{count}) == {alignment(name, count)}, "");\n'
        for name, count in VECTORS
    )
    nvrtc.compile(checks, "vectors.cu")


def test_dim3_is_made_of_what_it_is_in_cuda() -> None:
    unit = CudaUnit(Dialect.CPP)
    text = """
    kernel void f(global uint *out) {
        gon_dim3 a(4, 5), b = 7, c;
        gon_uint3 d = a;
        gon_dim3 e = d;
        out[0] = a.x + a.y + a.z; out[1] = b.x + b.y; out[2] = c.z; out[3] = d.y; out[4] = e.y;
    }"""
    (out,) = unit.launch(unit.build(["dim3", "uint3"], text), "f", [np.zeros(5, "u4")])
    assert out.tolist() == [10, 8, 1, 5, 5]


KNOWN: dict[str, int | float] = {
    "INT_MIN": -(1 << 31),
    "LLONG_MIN": -(1 << 63),
    "ULLONG_MAX": (1 << 64) - 1,
    "UINT_MAX": (1 << 32) - 1,
    "UINT16_MAX": 65535,
    "FLT_MAX": float(np.finfo("f4").max),
    "FLT_EPSILON": float(np.finfo("f4").eps),
    "DBL_MIN": float(np.finfo("f8").tiny),
    "DBL_MAX": float(np.finfo("f8").max),
    "INFINITY": np.inf,
    "CUDART_INF": np.inf,
    "M_PI": np.pi,
    "M_LOG2E": 1.4426950408889634,
    "M_LOG10E": 0.4342944819032518,
    "M_LN10": 2.302585092994046,
    "M_1_PI": 0.3183098861837907,
    "M_2_PI": 0.6366197723675814,
    "CUDART_MIN_DENORM_F": float(np.finfo("f4").smallest_subnormal),
}


def test_constants(unit: CudaUnit) -> None:
    kinds = ["ulong" if isinstance(value, int) else "double" for value in KNOWN.values()]
    params = ", ".join(f"global {kind} *o{at}" for at, kind in enumerate(kinds))
    stores = " ".join(f"*o{at} = gon_{name};" for at, name in enumerate(KNOWN))
    arrays: list[Array] = [np.zeros(1, NUMPY[kind]) for kind in kinds]
    text = f"kernel void f({params}) {{ {stores} }}"
    results = unit.launch(unit.build(KNOWN, text), "f", arrays)
    for (name, value), result in zip(KNOWN.items(), results, strict=True):
        exact = value % (1 << 64) if isinstance(value, int) else value
        assert result[0].item() == exact, name


# CUDA's header makes these of their bits, which is no constant expression there.
NOT_CONSTANT = [
    "CUDART_MIN_DENORM_F",
    "CUDART_MAX_NORMAL_F",
    "CUDART_NEG_ZERO_F",
    "CUDART_MIN_DENORM",
    "CUDART_NEG_ZERO",
]


def test_constants_are_the_same_in_cuda(nvrtc: Nvrtc) -> None:
    texts = {
        b.name: b.parts[0].text.split(" ", 2)[2]
        for b in constant_builtins()
        if b.kind is Kind.CONSTANT
    }
    checks = "".join(
        f'static_assert({name} == {value}, "{name}");\n'
        for name, value in texts.items()
        if name.startswith("CUDART_") and "as_" not in value and name not in NOT_CONSTANT
    )
    nvrtc.compile(f"#include <math_constants.h>\n{checks}", "constants.cu")


# Expression → its type in CUDA: the overloads that a program may rest on.
TYPES = {
    "min((short)1, (unsigned char)1)": "int",
    "min(1, 1u)": "unsigned int",
    "max(1ll, 1ull)": "unsigned long long",
    "min(1.f, 1.0)": "double",
    "abs((short)1)": "int",
    "abs(1ll)": "long long",
    "abs(1.f)": "float",
    "pow(1.f, 2)": "float",
    "pow(1.0, 2)": "double",
    "sqrt(1.f)": "float",
    "fma(1.f, 1.f, 1.f)": "float",
    "rhypot(1.f, 1.f)": "double",
    "lrint(1.f)": "long",
    "ilogb(1.0)": "int",
}


def test_overloads_have_cudas_types(nvrtc: Nvrtc) -> None:
    same = "template <class A, class B> struct same { static const bool is = false; };\n"
    same += "template <class A> struct same<A, A> { static const bool is = true; };\n"
    asked = "".join(
        f'static_assert(same<decltype({text}), {kind}>::is, "{text}");\n'
        for text, kind in TYPES.items()
    )
    nvrtc.compile(same + asked, "types.cu")
    ours = "".join(
        f'static_assert(same<decltype({_gon(text)}), {_long(kind)}>::is, "{text}");\n'
        for text, kind in TYPES.items()
    )
    names = {text.partition("(")[0] for text in TYPES}
    CudaUnit(Dialect.CPP).build(names, same + ours)


def _gon(text: str) -> str:
    return "gon_" + text.replace("1ull", "1ul").replace("1ll", "1l")


def _long(kind: str) -> str:
    return kind.replace("long long", "long")


def test_loads_stores_and_copies(unit: CudaUnit) -> None:
    turns = len(LOADS) + len(STORES)
    body = "".join(f"sum.x += gon_{name}(&v[i]).x; sum.y += gon_{name}(&n[i]);\n" for name in LOADS)
    body += "".join(f"gon_{name}(&out[i * {turns} + {k}], sum);\n" for k, name in enumerate(STORES))
    text = f"""
    kernel void f(global const gon_float2 *v, global const float *n, global gon_float2 *out) {{
        size_t i = get_global_id(0);
        gon_float2 sum = gon_make_float2(0.0f, 0.0f);
        {body}
    }}"""
    names = [*LOADS, *STORES, "float2", "make_float2"]
    v, n = np.arange(8, dtype="f4"), np.arange(4, dtype="f4")
    arrays: list[Array] = [v, n, np.zeros(4 * turns * 2, "f4")]
    out = unit.launch(unit.build(names, text), "f", arrays, (4,))[2].reshape(4, turns, 2)
    for k in range(len(STORES)):
        np.testing.assert_array_equal(out[:, k, 0], v[::2] * len(LOADS))
        np.testing.assert_array_equal(out[:, k, 1], n * len(LOADS))


def test_memory_is_copied_and_set() -> None:
    unit = CudaUnit(Dialect.CPP)
    text = """
    kernel void f(global const float *v, global float *out) {
        float own[4];
        gon_memset(own, 0, sizeof(own));
        gon_memcpy(own, v, 3 * sizeof(float));
        gon_memcpy(out, own, sizeof(own));
    }"""
    program = unit.build(["memcpy", "memset"], text)
    v = np.arange(1, 5, dtype="f4")
    assert unit.launch(program, "f", [v, np.full(4, 9, "f4")])[1].tolist() == [1, 2, 3, 0]


def test_a_kernel_prints(unit: CudaUnit, capfd: pytest.CaptureFixture[str]) -> None:
    text = """
    kernel void f(global int *out) {
        gon_printf("%d %ld %.2f %s\\n", 7, 1l << 40, 2.5f, "text");
        *out = 1;
    }"""
    (out,) = unit.launch(unit.build(["printf"], text), "f", [np.zeros(1, "i4")])
    assert out[0] == 1
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr().out == f"7 {1 << 40} 2.50 text\n"


@pytest.mark.parametrize(
    ("cuda", "opencl"),
    [
        ("%d %5.2f\\n", "%d %5.2f\\n"),
        ("%lld %llu %zu %lx %hhd", "%ld %lu %lu %lx %hhd"),
        ("%-8s|%c|%p %%", "%-8s|%c|%p %%"),
        ("%lf %+.3le", "%f %+.3e"),
        ("100%%", "100%%"),
    ],
)
def test_formats(cuda: str, opencl: str) -> None:
    assert opencl_format(cuda) == opencl


@pytest.mark.parametrize("bad", ["%n", "%*d", "%.*f", "%Lf", "%y", "50%", "%hs"])
def test_formats_that_opencl_has_not(bad: str) -> None:
    with pytest.raises(ValueError, match="printf"):
        opencl_format(bad)
