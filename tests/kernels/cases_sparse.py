"""Cases: sparse matrices and graphs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.kernels.case import Cases, Source
from tests.kernels.scipy_typed import csgraph
from tests.kernels.trial import EPS, I32, Trial, blocks, host, near, same, whole

SPMV = Source("spmv.cu")
GRAPHS = Source("graphs.cu")

CASES = Cases()
FAR = 0x3FFFFFFF


# Sparse products: small whole numbers, exact in any order -----------------------------------------
def _sparse(trial: Trial) -> NDArray[np.float32]:
    """Return a dense matrix that is mostly zeros, some rows of it wholly."""
    rows, cols = trial.shape(32, 32, 3)
    matrix = trial.ints((rows, cols), -9, 9) * (trial.rng.random((rows, cols)) < 0.2)
    matrix[trial.rng.random(rows) < 0.2] = 0
    return matrix.astype(np.float32)


def _csr(matrix: NDArray[np.generic]) -> tuple[I32, I32, NDArray[np.generic]]:
    """Return offsets, columns and values of what is not zero; at least one of each."""
    rows, cols = np.nonzero(matrix)
    counts = np.bincount(rows, minlength=matrix.shape[0])
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    values = matrix[rows, cols] if rows.size else np.zeros(1, matrix.dtype)
    return offsets, (cols if rows.size else np.zeros(1)).astype(np.int32), values


@CASES.add(SPMV, "spmv_csr_scalar", "spmv_csr_vector", subject="CSR, a thread or 32 a row")
def spmv_csr(trial: Trial) -> None:
    matrix = _sparse(trial)
    rows, cols = matrix.shape
    x, y = trial.ints(cols, -9, 9).astype(np.float32), trial.ints(rows, -9, 9).astype(np.float32)
    offsets, columns, values = (trial.array(part) for part in _csr(matrix))
    for kernel, grid in (
        ("spmv_csr_scalar", blocks(rows, 128)),
        ("spmv_csr_vector", blocks(32 * rows, 128)),
    ):
        out = trial.array(y)
        trial.launch(kernel, grid, 128, rows, offsets, columns, values, trial.array(x), out)
        same(out, y + matrix @ x)


@CASES.add(SPMV, "spmv_ell", subject="ELLPACK, columns of the table together")
def spmv_ell(trial: Trial) -> None:
    matrix = _sparse(trial)
    rows, cols = matrix.shape
    width = max(1, int((matrix != 0).sum(axis=1).max()))
    columns, values = np.zeros((width, rows), np.int32), np.zeros((width, rows), np.float32)
    for row in range(rows):
        filled = np.flatnonzero(matrix[row])
        columns[: filled.size, row] = filled
        values[: filled.size, row] = matrix[row, filled]
    x, out = trial.ints(cols, -9, 9).astype(np.float32), trial.zeros(rows)
    table = (trial.array(columns), trial.array(values))
    trial.launch("spmv_ell", blocks(rows, 64), 64, rows, width, *table, trial.array(x), out)
    same(out, matrix @ x)


@CASES.add(SPMV, "spmv_coo", subject="coordinates, sums by float atomics")
def spmv_coo(trial: Trial) -> None:
    matrix = _sparse(trial)
    matrix[0, 0] = 1
    rows, cols = np.nonzero(matrix)
    x, out = trial.ints(matrix.shape[1], -9, 9).astype(np.float32), trial.zeros(matrix.shape[0])
    places = (trial.array(rows, np.int32), trial.array(cols, np.int32))
    args = (*places, trial.array(matrix[rows, cols]), trial.array(x), out, rows.size)
    trial.launch("spmv_coo", blocks(rows.size, 64), 64, *args)
    same(out, matrix @ x)


# Graphs -------------------------------------------------------------------------------------------
def _graph(trial: Trial, n: int, degree: float = 2.0) -> NDArray[np.int32]:
    """Return a symmetric adjacency matrix without loops."""
    upper = np.triu(trial.rng.random((n, n)) < degree / max(1, n), 1)
    return (upper | upper.T).astype(np.int32)


def _levels(graph: NDArray[np.int32]) -> NDArray[np.generic]:
    steps = csgraph.shortest_path(graph.astype(np.float64), method="D", unweighted=True)[0]
    return np.where(np.isinf(steps), -1, steps)


@CASES.add(GRAPHS, "bfs_step", subject="breadth first, levels until nothing changes")
def bfs_levels(trial: Trial) -> None:
    n = trial.size(32)
    graph = _graph(trial, n)
    offsets, columns, _ = _csr(graph)
    level = trial.array(np.where(np.arange(n) == 0, 0, -1), np.int32)
    edges = (trial.array(offsets), trial.array(columns))
    for depth in range(n):
        changed = trial.zeros(1, np.int32)
        trial.launch("bfs_step", blocks(n, 32), 32, *edges, level, n, depth, changed)
        if not host(changed)[0]:
            break
    same(level, _levels(graph))


@CASES.add(GRAPHS, "bfs_frontier", subject="breadth first, frontiers as queues")
def bfs_frontier(trial: Trial) -> None:
    n = trial.size(32)
    graph = _graph(trial, n)
    offsets, columns, _ = _csr(graph)
    level = trial.array(np.where(np.arange(n) == 0, 0, -1), np.int32)
    edges = (trial.array(offsets), trial.array(columns))
    frontier, following = trial.zeros(n, np.int32), trial.zeros(n, np.int32)
    waiting = 1
    for depth in range(n):
        size = trial.zeros(1, np.int32)
        args = (*edges, level, frontier, waiting, following, size, depth)
        trial.launch("bfs_frontier", blocks(waiting, 32), 32, *args)
        waiting = int(host(size)[0])
        if not waiting:
            break
        frontier, following = following, frontier
    same(level, _levels(graph))


@CASES.add(
    GRAPHS,
    "union_init",
    "union_edges",
    "union_compress",
    subject="connected components by union-find",
)
def components(trial: Trial) -> None:
    n = trial.size(64)
    graph = _graph(trial, n, 1.0)
    edges = np.argwhere(np.triu(graph)).astype(np.int32)
    parent = trial.zeros(n, np.int32)
    trial.launch("union_init", blocks(n, 64), 64, parent, n)
    count = len(edges)
    pairs = edges if count else np.zeros((1, 2), np.int32)
    trial.launch("union_edges", blocks(max(1, count), 64), 64, parent, trial.array(pairs), count)
    trial.launch("union_compress", blocks(n, 64), 64, parent, n)
    _, labels = csgraph.connected_components(graph, directed=False)
    smallest = np.full(n, n)
    np.minimum.at(smallest, labels, np.arange(n))
    same(parent, smallest[labels])


@CASES.add(GRAPHS, "floyd_warshall_step", subject="all shortest paths, a launch a node")
def floyd_warshall(trial: Trial) -> None:
    n = trial.size(16, 2)
    weights = _graph(trial, n, 3.0) * trial.ints((n, n), 1, 20)
    dist = np.where(weights > 0, weights, 1_000_000)
    np.fill_diagonal(dist, 0)
    out = trial.array(dist, np.int32)
    for k in range(n):
        trial.launch("floyd_warshall_step", (blocks(n, 8),) * 2, (8, 8), out, n, k)
    want = csgraph.shortest_path(weights.astype(np.float64), method="FW", unweighted=False)
    got = whole(out)
    same(got[np.isfinite(want)], want[np.isfinite(want)])
    assert (got[np.isinf(want)] >= 1_000_000).all()


@CASES.add(GRAPHS, "relax_edges", subject="shortest paths of one node by relaxation, int3 edges")
def bellman_ford(trial: Trial) -> None:
    n = trial.size(32, 2)
    weights = _graph(trial, n, 3.0) * trial.ints((n, n), 1, 20)
    places = np.argwhere(weights)
    edges = np.column_stack([places, weights[tuple(places.T)]]).astype(np.int32)
    count = len(edges)
    table = trial.array(edges if count else np.zeros((1, 3), np.int32))
    distance = trial.array(np.where(np.arange(n) == 0, 0, FAR), np.int32)
    for _ in range(n + 1):
        changed = trial.zeros(1, np.int32)
        args = (table, distance, count, changed)
        trial.launch("relax_edges", blocks(max(1, count), 64), 64, *args)
        if not host(changed)[0]:
            break
    want = csgraph.shortest_path(weights.astype(np.float64), method="D", unweighted=False)[0]
    same(distance, np.where(np.isinf(want), FAR, want))


@CASES.add(GRAPHS, "pagerank_pull", subject="PageRank by power iteration")
def pagerank(trial: Trial) -> None:
    n = trial.size(32)
    graph = _graph(trial, n, 3.0)
    graph[np.arange(n), (np.arange(n) + 1) % n] = 1  # every node leads somewhere
    offsets, sources, _ = _csr(np.ascontiguousarray(graph.T))
    degree = graph.sum(axis=1)
    rank, following = trial.full(n, 1 / n), trial.zeros(n)
    arrays = (trial.array(offsets), trial.array(sources), trial.array(degree, np.int32))
    steps = 20
    want = np.full(n, 1 / n)
    for _ in range(steps):
        args = (*arrays, rank, following, np.float32(0.85), n)
        trial.launch("pagerank_pull", blocks(n, 32), 32, *args)
        rank, following = following, rank
        want = 0.15 / n + 0.85 * ((want / degree) @ graph)
    # Ranks sum to 1; a step rounds sums of at most n terms, and damping shrinks what came before.
    near(rank, want, atol=(n + 4) * EPS / 0.15)
