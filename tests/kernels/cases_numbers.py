"""Cases: the math library, half and double precision, 64-bit integers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tests.kernels.case import Cases, Feature, Source
from tests.kernels.scipy_typed import special
from tests.kernels.trial import (
    EPS,
    EPS64,
    F64,
    Trial,
    blocks,
    blocks_2d,
    host,
    near,
    same,
    sum_error,
    whole,
)

MATH = Source("math_library.cu")
HALF = Source("half_precision.cu", frozenset({Feature.CPP, Feature.FP16}))
DOUBLE = Source("double_precision.cu", frozenset({Feature.FP64}))
DOUBLE_ATOMICS = Source("double_atomics.cu", frozenset({Feature.FP64, Feature.INT64_ATOMICS}))
INT64 = Source("int64.cu")
INT64_ATOMICS = Source("int64_atomics.cu", frozenset({Feature.INT64_ATOMICS}))

CASES = Cases()


# Single precision ---------------------------------------------------------------------------------
def _unary(x: F64) -> tuple[F64, ...]:
    p, u = np.abs(x) + 0.25, x / 3
    return (
        *(np.exp(x), np.exp2(x), np.expm1(x), np.log(p), np.log2(p), np.log10(p), np.log1p(p)),
        *(np.sin(x), np.cos(x), np.tan(u), np.arcsin(u), np.arccos(u), np.arctan(x)),
        *(np.sinh(x), np.cosh(x), np.tanh(x), np.sqrt(p), 1 / np.sqrt(p), np.cbrt(x)),
        *(special.erf(x), special.erfc(x), special.gamma(p), special.gammaln(p)),
        *(np.sin(np.pi * x), np.cos(np.pi * x)),
        *(np.arcsinh(x), np.arccosh(1 + p), np.arctanh(u * np.float64(np.float32(0.99)))),
    )


@CASES.add(MATH, "unary_functions", subject="28 functions of one number")
def unary_functions(trial: Trial) -> None:
    n = trial.size(64)
    x = trial.floats(n, -3, 3)
    out = trial.zeros((28, n))
    trial.launch("unary_functions", blocks(n, 64), 64, trial.array(x), out, n)
    # Bounds of OpenCL are up to 16 ulp, of CUDA less. What a function's argument is rounded by
    # (p, u: half an ulp) moves results by less than one of theirs but near zeros, hence atol.
    near(out, np.stack(_unary(x.astype(np.float64))), rtol=40 * EPS, atol=40 * EPS)


@CASES.add(MATH, "exact_functions", subject="rounding, signs, exponents, correctly rounded steps")
def exact_functions(trial: Trial) -> None:
    n = trial.size(64)
    x = trial.floats(n, -3, 3)
    if n > 4:
        x[:5] = [0.0, -0.0, 2.5, -0.5, 3.0]
    out = trial.zeros((22, n))
    trial.launch("exact_functions", blocks(n, 64), 64, trial.array(x), out, n)
    fraction, whole = np.modf(x)
    mantissa, exponent = np.frexp(x)
    away = np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)
    tenth = np.float32(0.1)
    square = (x.astype(np.float64) ** 2 - 1).astype(np.float32)  # exact before it is rounded
    rows = (
        *(np.floor(x), np.ceil(x), np.trunc(x), np.rint(x), away, np.abs(x)),
        *(np.copysign(np.float32(2.5), x), fraction, whole, mantissa, exponent, x * 8),
        *(np.fmod(x, np.float32(0.75)), np.maximum(x - 1, 0), np.clip(x, 0, 1), np.signbit(x)),
        *(np.zeros(n), x + tenth, x * tenth, x / np.float32(3), np.sqrt(np.abs(x)), square),
    )
    same(out, np.stack([np.asarray(row, np.float32) for row in rows]))


@CASES.add(MATH, "binary_functions", subject="powers, angles, norms, remainders")
def binary_functions(trial: Trial) -> None:
    n = trial.size(64)
    a, b = trial.floats(n, -3, 3), trial.floats(n, 0.5, 3)
    out = trial.zeros((10, n))
    args = (trial.array(a), trial.array(b), out, n)
    trial.launch("binary_functions", blocks(n, 64), 64, *args)
    x, y = a.astype(np.float64), b.astype(np.float64)
    got = host(out)
    base = (np.abs(a) + np.float32(0.1)).astype(np.float64)
    inexact = (base**y, np.arctan2(y, x), np.hypot(x, y), 1 / np.hypot(x, y))
    near(got[[0, 1, 2, 5]], np.stack(inexact), rtol=40 * EPS)
    near(got[6], np.sqrt(x * x + y * y + 1), rtol=10 * EPS)
    remainder = [math.remainder(*pair) for pair in zip(x, y, strict=True)]
    same(got[3:5], np.stack([np.maximum(a, b), np.minimum(a, b)]))
    same(got[7:], np.stack([np.fmod(a, b), np.array(remainder, np.float32), np.nextafter(a, b)]))


@CASES.add(MATH, "float_int_conversions", subject="conversions in every direction of rounding")
def float_int_conversions(trial: Trial) -> None:
    n = trial.size(64)
    x = trial.floats(n, -100, 100)
    out = trial.zeros((12, n), np.int32)
    trial.launch("float_int_conversions", blocks(n, 64), 64, trial.array(x), out, n)
    cut, even = np.trunc(x).astype(np.int32), np.rint(x).astype(np.int32)
    i = np.arange(n)
    away = np.copysign(np.floor(np.abs(x) + 0.5), x).astype(np.int32)
    rows = (
        *(cut, even, np.ceil(x), np.floor(x), cut, even, x.view(np.int32), np.abs(cut)),
        (i - n // 2).astype(np.float32).view(np.int32),
        (2**31 + i).astype(np.float32).view(np.int32),
        *(away, cut.astype(np.int8)),
    )
    same(out, np.stack([np.asarray(row).astype(np.int32) for row in rows]))


# Half precision -----------------------------------------------------------------------------------
def _halves(trial: Trial, n: int) -> NDArray[np.float16]:
    return trial.floats(n, -4, 4).astype(np.float16)


@CASES.add(HALF, "float_to_half", "half_to_float", subject="conversions to half and back")
def half_conversions(trial: Trial) -> None:
    n = trial.size(64)
    x = trial.floats(n, -70000, 70000) * np.float32(10) ** trial.ints(n, -9, 0)
    narrow, wide = trial.zeros(n, np.float16), trial.zeros(n)
    trial.launch("float_to_half", blocks(n, 64), 64, trial.array(x, np.float32), narrow, n)
    with np.errstate(over="ignore"):
        want = x.astype(np.float16)
    same(narrow, want)
    trial.launch("half_to_float", blocks(n, 64), 64, narrow, wide, n)
    same(wide, want.astype(np.float32))


@CASES.add(HALF, "haxpy", "haxpy2", subject="y = a x + y in halves and in pairs of them")
def haxpy(trial: Trial) -> None:
    n = 2 * trial.size(64)
    x, y, a = _halves(trial, n), _halves(trial, n), np.float16(1.25)
    one, pairs = trial.array(y), trial.array(y)
    trial.launch("haxpy", 2, 64, n, a, trial.array(x), one)
    # The product may or may not be rounded before the sum: an ulp of 8 in halves is 2^-7.
    near(one, a.astype(float) * x.astype(float) + y.astype(float), atol=2.0**-7)
    trial.launch("haxpy2", 2, 64, n // 2, np.array([a, a]), trial.array(x), pairs)
    same(pairs, (a.astype(float) * x.astype(float) + y.astype(float)).astype(np.float16))


@CASES.add(HALF, "half_dot", subject="dot product of halves, summed in float")
def half_dot(trial: Trial) -> None:
    n = trial.size(64)
    a, b, out = _halves(trial, n), _halves(trial, n), trial.zeros(1)
    trial.launch("half_dot", 1, 64, trial.array(a), trial.array(b), out, n)
    terms = a.astype(np.float64) * b
    near(out, [terms.sum()], atol=sum_error(terms))


@CASES.add(HALF, "half_operators", subject="operators and comparisons of halves")
def half_operators(trial: Trial) -> None:
    n = trial.size(64)
    a, b, out = _halves(trial, n), _halves(trial, n), trial.zeros((6, n), np.float16)
    args = (trial.array(a), trial.array(b), out, n)
    trial.launch("half_operators", blocks(n, 64), 64, *args)
    same(out, np.stack([a + b, a * b, a - b, np.maximum(a, b), np.abs(a), a]))


# Double precision ---------------------------------------------------------------------------------
@CASES.add(DOUBLE, "dgemm_tiled", subject="alpha A B + beta C in double, tiles")
def dgemm(trial: Trial) -> None:
    m, n = shape = trial.shape(8, 8)
    k = trial.size(8, 4)
    a, b, c = trial.doubles((m, k)), trial.doubles((k, n)), trial.doubles(shape)
    out = trial.array(c)
    args = (trial.array(a), trial.array(b), out, m, n, k, 1.5, -0.5)
    trial.launch("dgemm_tiled", blocks_2d(shape, 8, 8), (8, 8), *args)
    bound = 2 * (k + 4) * EPS64 * (1.5 * np.abs(a) @ np.abs(b) + np.abs(c))
    near(out, 1.5 * (a @ b) - 0.5 * c, atol=bound)


@CASES.add(DOUBLE, "pi_midpoints", subject="pi by a series, 64-bit counters")
def pi_midpoints(trial: Trial) -> None:
    intervals = trial.between(1000, 5000)
    out = trial.zeros(96, np.float64)
    trial.launch("pi_midpoints", 3, 32, out, intervals)
    # The rule's own error is 1 / (12 n²).
    near(host(out).sum(), np.pi, atol=1 / (12 * intervals**2) + 100 * intervals * EPS64)


@CASES.add(DOUBLE, "kepler", subject="Kepler's equation by Newton's method")
def kepler(trial: Trial) -> None:
    n, eccentricity = trial.size(64), 0.3
    mean, out = trial.doubles(n, 0, 6), trial.zeros(n, np.float64)
    trial.launch("kepler", blocks(n, 64), 64, trial.array(mean), eccentricity, out, n)
    anomaly = host(out).astype(np.float64)
    near(anomaly - eccentricity * np.sin(anomaly), mean, atol=1e-13)


@CASES.add(
    DOUBLE, "tridiagonal_apply", "daxpy", "ddot", subject="conjugate gradients, steps of double"
)
def conjugate_gradients(trial: Trial) -> None:
    n = trial.size(16, 3)
    right = trial.doubles(n)
    x, r, p = trial.zeros(n, np.float64), trial.array(right), trial.array(right)
    ap, scalar = trial.zeros(n, np.float64), trial.zeros(1, np.float64)
    grid = blocks(n, 32)

    def dot(a: object, b: object) -> float:
        trial.launch("ddot", 1, 128, a, b, scalar, n)
        return float(host(scalar).astype(np.float64)[0])

    squared = dot(r, r)
    for _ in range(n):
        trial.launch("tridiagonal_apply", grid, 32, p, ap, n)
        alpha = squared / dot(p, ap)
        trial.launch("daxpy", grid, 32, n, alpha, p, x)
        trial.launch("daxpy", grid, 32, n, -alpha, ap, r)
        before, squared = squared, dot(r, r)
        if squared < 1e-28:
            break
        # p = r + beta p, by the same kernel: a copy of r gains beta p.
        following = trial.zeros(n, np.float64)
        following.copy_from(r)
        trial.launch("daxpy", grid, 32, n, squared / before, p, following)
        p = following
    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    # n steps solve exactly but for rounding, which the condition number (n² / 2) enlarges.
    near(x, np.linalg.solve(matrix, right), atol=1e-9)


@CASES.add(DOUBLE, "kahan_rows", subject="compensated sums, which must not be simplified")
def kahan_rows(trial: Trial) -> None:
    rows, cols = trial.shape(64, 16)
    data = trial.doubles((rows, cols)) * 10.0 ** trial.ints((rows, cols), -8, 8)
    out = trial.zeros(rows, np.float64)
    trial.launch("kahan_rows", blocks(rows, 16), 16, trial.array(data), out, rows, cols)
    want = [math.fsum(row) for row in data]
    # Kahan: 2 eps of the absolute terms, whatever their number.
    near(out, want, atol=4 * EPS64 * np.abs(data).sum(axis=1))


# Atomics on doubles -------------------------------------------------------------------------------
@CASES.add(DOUBLE_ATOMICS, "sum_doubles_cas", "sum_doubles", subject="sums by CAS and by atomicAdd")
def sum_doubles(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.doubles(n)
    for kernel in ("sum_doubles_cas", "sum_doubles"):
        out = trial.zeros(1, np.float64)
        trial.launch(kernel, blocks(n, 64), 64, trial.array(data), out, n)
        near(out, [data.sum()], atol=sum_error(data, eps=EPS64))


@CASES.add(DOUBLE_ATOMICS, "moments", subject="CAS on doubles in shared memory")
def moments(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.ints(n, -99, 99).astype(np.float64), trial.zeros(2, np.float64)
    trial.launch("moments", blocks(n, 64), 64, trial.array(data), out, n)
    same(out, [data.sum(), (data**2).sum()])


# Integers of 64 bits ------------------------------------------------------------------------------
def _long_words(trial: Trial, n: int) -> NDArray[np.uint64]:
    return trial.rng.integers(0, 2**64 - 1, n, np.uint64, endpoint=True)


@CASES.add(INT64, "modular_power", subject="powers modulo a prime, 64-bit division")
def modular_power(trial: Trial) -> None:
    n, modulus = trial.size(32, 3), 4294967291
    base, exponent = _long_words(trial, n), _long_words(trial, n)
    out = trial.zeros(n, np.uint64)
    args = (trial.array(base), trial.array(exponent), out, modulus, n)
    trial.launch("modular_power", blocks(n, 32), 32, *args)
    pairs = zip(base.tolist(), exponent.tolist(), strict=True)
    same(out, np.array([pow(b, e, modulus) for b, e in pairs], np.uint64))


@CASES.add(INT64, "lcg_streams", subject="a congruential generator, threads jump ahead")
def lcg_streams(trial: Trial) -> None:
    n, per_thread, seed = trial.size(64), 3, trial.between(0, 2**62)
    out = trial.zeros(n, np.uint64)
    trial.launch("lcg_streams", blocks(n, 3 * 16), 16, seed, out, per_thread, n)
    want: list[int] = []
    for _ in range(n):
        want.append(seed)
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
    same(out, np.array(want, np.uint64))


@CASES.add(INT64, "gcd_pairs", subject="greatest common divisors of signed pairs")
def gcd_pairs(trial: Trial) -> None:
    n = trial.size(32)
    pairs = trial.rng.integers(-(2**40), 2**40, (n, 2)) * 12
    out = trial.zeros(n, np.int64)
    trial.launch("gcd_pairs", blocks(n, 32), 32, trial.array(pairs), out, n)
    same(out, np.gcd(pairs[:, 0], pairs[:, 1]))


@CASES.add(INT64, "wide_intrinsics", subject="population count, high products, shifts of 64 bits")
def wide_intrinsics(trial: Trial) -> None:
    n = trial.size(64)
    data = _long_words(trial, n)
    data[: min(n, 2)] = [0, 2**40][: min(n, 2)]
    out = trial.zeros((9, n), np.int64)
    trial.launch("wide_intrinsics", blocks(n, 64), 64, trial.array(data), out, n)
    rows: list[list[int]] = []
    for v, w in zip(data.tolist(), data[::-1].tolist(), strict=True):
        signed_v, signed_w = (x - (x >> 63 << 64) for x in (v, w))
        rows.append(
            [
                v.bit_count(),
                64 - v.bit_length(),
                (v & -v).bit_length(),
                int(f"{v:064b}"[::-1], 2),
                v * w >> 64,
                (signed_v * signed_w >> 64) % 2**64,
                abs(signed_v),
                (signed_v >> 5) % 2**64,
                max(signed_v, signed_w) % 2**64,
            ]
        )
    same(host(out).view(np.uint64), np.array(rows, np.uint64).T)


@CASES.add(INT64, "collatz", subject="lengths of Collatz's sequences")
def collatz(trial: Trial) -> None:
    n = trial.size(32)
    start = trial.rng.integers(1, 2**31, n, np.uint32)
    out = trial.zeros(n, np.int32)
    trial.launch("collatz", blocks(n, 32), 32, trial.array(start), out, n)
    want: list[int] = []
    for x in start.tolist():
        steps = 0
        while x != 1:
            x, steps = (3 * x + 1 if x & 1 else x // 2), steps + 1
        want.append(steps)
    same(out, want)


@CASES.add(INT64, "sieve_mark", subject="multiples struck out, booleans")
def sieve(trial: Trial) -> None:
    limit = trial.size(64, 30) + 2
    out = trial.zeros(limit + 1, np.bool_)
    trial.launch("sieve_mark", blocks(math.isqrt(limit), 16), 16, out, limit)
    got = host(out)
    primes = [p for p in range(2, limit + 1) if all(p % d for d in range(2, math.isqrt(p) + 1))]
    same(np.flatnonzero(~got[2:].astype(np.bool_)) + 2, primes)


@CASES.add(INT64_ATOMICS, "atomics_64", subject="add, min, max, and, or, xor, exchange of 64 bits")
def atomics_64(trial: Trial) -> None:
    n = trial.size(64)
    data = _long_words(trial, n)
    out = trial.array(np.array([0, 2**64 - 1, 0, 2**64 - 1, 0, 0, 0], np.uint64))
    trial.launch("atomics_64", blocks(n, 64), 64, trial.array(data), out, n)
    values = data.tolist()
    bits = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)
    folded = [int(fold.reduce(data)) for fold in bits]
    want = [sum(values) % 2**64, min(values), max(values), *folded, 42]
    same(out, np.array(want, np.uint64))


@CASES.add(INT64_ATOMICS, "arg_min_packed", subject="value and index in one word by CAS")
def arg_min_packed(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.ints(n, -20, 20).astype(np.float32)
    out = trial.array(np.array([2**64 - 1], np.uint64))
    trial.launch("arg_min_packed", blocks(n, 64), 64, trial.array(data), out, n)
    same(whole(out) & 0xFFFFFFFF, [data.argmin()])
