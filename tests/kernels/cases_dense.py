"""Cases: dense matrices: transposes, products, factorisations."""

from __future__ import annotations

import numpy as np

from tests.kernels.case import Cases, Source
from tests.kernels.scipy_typed import linalg
from tests.kernels.trial import EPS, F64, Trial, blocks, blocks_2d, host, near, same, sum_error

TRANSPOSE = Source("transpose.cu")
MATMUL = Source("matmul.cu")
GEMV = Source("gemv.cu")
FACTORISE = Source("factorise.cu")

CASES = Cases()


def product_error(a: F64, b: F64) -> F64:
    """Return the bound of `sum_error` for every element of a matrix product."""
    return np.asarray((a.shape[-1] + 2) * EPS * (np.abs(a) @ np.abs(b)), np.float64)


# Transposes ---------------------------------------------------------------------------------------
@CASES.add(TRANSPOSE, "copy_rows", subject="copy by 32 × 32 tiles, 32 × 8 threads")
def copy_rows(trial: Trial) -> None:
    height, width = shape = trial.shape(32, 32, 3)
    data, out = trial.floats(shape), trial.zeros(shape)
    grid = blocks_2d(shape, 32, 32)
    trial.launch("copy_rows", grid, (32, 8), out, trial.array(data), width, height)
    same(out, data)


@CASES.add(
    TRANSPOSE,
    "transpose_naive",
    "transpose_no_bank_conflicts",
    subject="transpose, naive and by padded tiles",
)
def transpose(trial: Trial) -> None:
    height, width = shape = trial.shape(32, 32, 3)
    data = trial.floats(shape)
    for kernel in ("transpose_naive", "transpose_no_bank_conflicts"):
        out = trial.zeros((width, height))
        grid = blocks_2d(shape, 32, 32)
        trial.launch(kernel, grid, (32, 8), out, trial.array(data), width, height)
        same(out, data.T)


@CASES.add(TRANSPOSE, "permute_201", subject="axes permuted, a 3-D grid, a dim3 argument")
def permute_201(trial: Trial) -> None:
    a, (b, c) = trial.between(1, 7), trial.shape(8, 4, 2)
    data, out = trial.floats((a, b, c)), trial.zeros((c, a, b))
    grid = (blocks(c, 8), blocks(b, 4), blocks(a, 2))
    sizes = np.array([c, b, a], np.uint32)
    trial.launch("permute_201", grid, (8, 4, 2), trial.array(data), out, sizes)
    same(out, data.transpose(2, 0, 1))


# Products -----------------------------------------------------------------------------------------
@CASES.add(MATMUL, "matmul_naive", "matmul_tiled", subject="product, naive and by 16 × 16 tiles")
def matmul(trial: Trial) -> None:
    rows, cols = shape = trial.shape(16, 16, 3)
    inner = trial.size(16, 3)
    a, b = trial.floats((rows, inner)), trial.floats((inner, cols))
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    for kernel in ("matmul_naive", "matmul_tiled"):
        out = trial.zeros(shape)
        args = (trial.array(a), trial.array(b), out, rows, inner, cols)
        trial.launch(kernel, blocks_2d(shape, 16, 16), (16, 16), *args)
        near(out, wide_a @ wide_b, atol=product_error(wide_a, wide_b))


@CASES.add(MATMUL, "matmul_register_tiles", subject="alpha A B + beta C, 4 × 4 results a thread")
def matmul_register_tiles(trial: Trial) -> None:
    rows, cols = shape = trial.shape(32, 32, 2)
    inner = trial.size(8, 6)
    # Small whole numbers: every product and sum is exact.
    a, b, c = (
        trial.ints(each, -8, 8).astype(np.float32) for each in ((rows, inner), (inner, cols), shape)
    )
    out = trial.array(c)
    args = (rows, cols, inner, np.float32(2), trial.array(a), trial.array(b), np.float32(-3), out)
    trial.launch("matmul_register_tiles", blocks_2d(shape, 32, 32), (8, 8), *args)
    same(out, 2 * (a @ b) - 3 * c)


@CASES.add(MATMUL, "matmul_batched", subject="a batch of small products, strides of 64 bits")
def matmul_batched(trial: Trial) -> None:
    count, m, n, k = (trial.between(1, most) for most in (6, 12, 12, 9))
    a, b = trial.ints((count, m, k), -8, 8), trial.ints((count, k, n), -8, 8)
    out = trial.zeros((count, m, n))
    arrays = (trial.array(a, np.float32), trial.array(b, np.float32), out)
    trial.launch("matmul_batched", (1, 1, count), (8, 4), *arrays, m, n, k, m * k, k * n, m * n)
    same(out, a @ b)


@CASES.add(
    GEMV, "gemv_row_per_thread", "gemv_row_per_block", subject="y = A x, a row a thread or block"
)
def gemv(trial: Trial) -> None:
    m, n = trial.shape(64, 16, 4)
    a, x = trial.floats((m, n)), trial.floats(n)
    terms = a.astype(np.float64) * x
    for kernel, grid, block in (
        ("gemv_row_per_thread", blocks(m, 32), 32),
        ("gemv_row_per_block", m, 64),
    ):
        out = trial.zeros(m)
        trial.launch(kernel, grid, block, trial.array(a), trial.array(x), out, m, n)
        near(out, terms.sum(axis=1), atol=sum_error(terms, 1))


@CASES.add(GEMV, "gemv_transposed", "outer_product", subject="y += Aᵀ x by atomics; A = x yᵀ")
def gemv_transposed(trial: Trial) -> None:
    m, n = shape = trial.shape(16, 8)
    a, x = trial.ints(shape, -9, 9), trial.ints(m, -9, 9)
    y, outer = trial.zeros(n), trial.zeros(shape)
    grid = blocks_2d(shape, 16, 8)
    args = (trial.array(a, np.float32), trial.array(x, np.float32), y, m, n)
    trial.launch("gemv_transposed", grid, (16, 8), *args)
    same(y, a.T @ x)
    left, right = trial.floats(m), trial.floats(n)
    args = (trial.array(left), trial.array(right), outer, m, n)
    trial.launch("outer_product", (2, 2), (8, 4), *args)
    same(outer, np.outer(left, right))


# Factorisations -----------------------------------------------------------------------------------
def _dominant(trial: Trial, n: int) -> F64:
    """Return a matrix whose diagonal outweighs its rows: no pivoting is needed, errors stay small
    (growth factor at most 2).
    """
    matrix = trial.floats((n, n)).astype(np.float64)
    np.fill_diagonal(matrix, n + 1.0)
    return matrix.astype(np.float32).astype(np.float64)


@CASES.add(FACTORISE, "lu_scale", "lu_update", subject="LU without pivoting, a launch a column")
def lu(trial: Trial) -> None:
    n = trial.size(16, 2)
    matrix = _dominant(trial, n)
    out = trial.array(matrix, np.float32)
    for k in range(n - 1):
        trial.launch("lu_scale", blocks(n - k - 1, 32), 32, out, n, k)
        grid = blocks(n - k - 1, 8)
        trial.launch("lu_update", (grid, grid), (8, 8), out, n, k)
    packed = host(out).astype(np.float64)
    lower, upper = np.tril(packed, -1) + np.eye(n), np.triu(packed)
    # |LU - A| ≤ n eps |L||U| (Higham, 9.3), twice for what is not fused.
    near(lower @ upper, matrix, atol=2 * n * EPS * (np.abs(lower) @ np.abs(upper)))


@CASES.add(FACTORISE, "cholesky_small", subject="Cholesky of a batch, a matrix a block")
def cholesky_small(trial: Trial) -> None:
    n, count = min(trial.size(12, 2), 24), trial.between(1, 5)
    half = np.stack([_dominant(trial, n) for _ in range(count)])
    matrices = (half @ half.transpose(0, 2, 1)).astype(np.float32)
    out = trial.zeros((count, n, n))
    trial.launch("cholesky_small", count, 32, trial.array(matrices), out, n)
    factors = host(out).astype(np.float64)
    bound = np.abs(factors) @ np.abs(factors).transpose(0, 2, 1)
    # |LLᵀ - A| ≤ (n + 1) eps |L||Lᵀ| (Higham, 10.3); the fast division is good to 2 ulp.
    near(factors @ factors.transpose(0, 2, 1), matrices, atol=4 * (n + 1) * EPS * bound)
    same(np.triu(host(out), 1), 0)


@CASES.add(
    FACTORISE, "forward_substitution", subject="triangular solve, a right-hand side a thread"
)
def forward_substitution(trial: Trial) -> None:
    n, count = trial.between(1, 12), trial.size(32, 3)
    # Whole numbers and a unit diagonal: exact.
    lower = np.tril(trial.ints((n, n), -1, 1), -1) + np.eye(n)
    right = trial.ints((n, count), -3, 3)
    out = trial.zeros((n, count))
    args = (trial.array(lower, np.float32), trial.array(right, np.float32), out, n, count)
    trial.launch("forward_substitution", blocks(count, 32), 32, *args)
    wide = right.astype(np.float64)
    same(out, linalg.solve_triangular(lower, wide, lower=True, unit_diagonal=True))


@CASES.add(FACTORISE, "jacobi_sweep", subject="Jacobi's method until it stands")
def jacobi(trial: Trial) -> None:
    n = trial.size(16, 3)
    matrix, right = _dominant(trial, n), trial.floats(n)
    a, b = trial.array(matrix, np.float32), trial.array(right)
    old, new = trial.zeros(n), trial.zeros(n)
    # Each sweep shrinks the error by the largest of Σ|a_ij| / a_ii ≤ (n - 1) / (n + 1).
    sweeps = 8 * (n + 1)
    for _ in range(sweeps):
        trial.launch("jacobi_sweep", blocks(n, 16), 16, a, b, old, new, n)
        old, new = new, old
    near(old, np.linalg.solve(matrix, right), atol=1e-6)
