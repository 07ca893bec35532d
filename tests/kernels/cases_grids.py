"""Cases: stencils, cellular automata, convolutions, bodies and spectra."""

from __future__ import annotations

import numpy as np

from tests.kernels.case import Cases, Source
from tests.kernels.scipy_typed import linalg, ndimage
from tests.kernels.trial import EPS, F64, Trial, blocks, blocks_2d, host, near, same

STENCIL = Source("stencil.cu")
LIFE = Source("game_of_life.cu")
CONVOLUTION = Source("convolution.cu")
NBODY = Source("nbody.cu")
FFT = Source("fft.cu")

CASES = Cases()


# Stencils -----------------------------------------------------------------------------------------
@CASES.add(STENCIL, "stencil_1d", subject="1-D sum with a halo in shared memory")
def stencil_1d(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.ints(n, -100, 100), trial.zeros(n, np.int32)
    trial.launch("stencil_1d", blocks(n, 64), 64, trial.array(data), out, n)
    same(out, np.convolve(data, np.ones(7, np.int64))[3 : 3 + n])


@CASES.add(STENCIL, "laplace_2d", subject="Jacobi steps of Laplace's equation")
def laplace_2d(trial: Trial) -> None:
    ny, nx = shape = trial.shape(16, 8)
    # Whole numbers divided by four three times are exact in float32.
    state = trial.ints(shape, -100, 100).astype(np.float32)
    old, new = trial.array(state), trial.zeros(shape)
    for _ in range(3):
        trial.launch("laplace_2d", blocks_2d(shape, 16, 8), (16, 8), old, new, nx, ny)
        old, new = new, old
        inner = state[1:-1, :-2] + state[1:-1, 2:] + state[:-2, 1:-1] + state[2:, 1:-1]
        state = state.copy()
        state[1:-1, 1:-1] = inner / 4
    same(old, state)


@CASES.add(STENCIL, "heat_3d", subject="explicit heat equation on a box")
def heat_3d(trial: Trial) -> None:
    nz, ny, nx = shape = (trial.size(2, 5), *trial.shape(8, 4, 3))
    t, out, r = trial.floats(shape), trial.zeros(shape), np.float32(0.1)
    grid = (blocks(nx, 8), blocks(ny, 4), blocks(nz, 2))
    trial.launch("heat_3d", grid, (8, 4, 2), trial.array(t), out, nx, ny, nz, r)
    wide = t.astype(np.float64)
    want = wide.copy()
    core = (slice(1, -1),) * 3
    sides = sum(np.roll(wide, s, axis)[core] for axis in range(3) for s in (-1, 1))
    want[core] = wide[core] + float(r) * (sides - 6 * wide[core])
    # Ten roundings of terms that are at most 12 r + 1.
    near(out, want, atol=10 * EPS * (12 * float(r) + 1))


@CASES.add(STENCIL, "wave_ring", subject="wave equation on a ring, time levels rotate")
def wave_ring(trial: Trial) -> None:
    n = trial.size(32)
    levels = [trial.ints(n, -50, 50).astype(np.float32) for _ in range(2)]
    before, now, after = trial.array(levels[0]), trial.array(levels[1]), trial.zeros(n)
    for _ in range(4):
        trial.launch("wave_ring", blocks(n, 32), 32, before, now, after, n, np.float32(0.25))
        before, now, after = now, after, before
        old, new = levels
        curve = np.roll(new, 1) - 2 * new + np.roll(new, -1)
        levels = [new, 2 * new - old + np.float32(0.25) * curve]
    same(now, levels[1])


# Game of life -------------------------------------------------------------------------------------
def _live_on(cells: F64, mode: str) -> F64:
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.float64)
    count = ndimage.correlate(cells, ring, mode=mode)
    return np.where((count == 3) | ((count == 2) & (cells == 1)), 1.0, 0.0)


@CASES.add(LIFE, "life_torus", subject="Conway's game on a torus")
def life_torus(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 8)
    cells = trial.ints(shape, 0, 1).astype(np.float64)
    now, then = trial.array(cells, np.uint8), trial.zeros(shape, np.uint8)
    for _ in range(3):
        trial.launch("life_torus", blocks_2d(shape, 16, 8), (16, 8), now, then, width, height)
        now, then = then, now
        cells = _live_on(cells, "wrap")
    same(now, cells)


@CASES.add(LIFE, "life_tiled", subject="Conway's game with a dead rim, byte tiles")
def life_tiled(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 16, 3)
    cells = trial.ints(shape, 0, 1).astype(np.float64)
    out = trial.zeros(shape, np.uint8)
    args = (trial.array(cells, np.uint8), out, width, height)
    trial.launch("life_tiled", blocks_2d(shape, 16, 16), (16, 16), *args)
    same(out, _live_on(cells, "constant"))


# Convolutions -------------------------------------------------------------------------------------
@CASES.add(CONVOLUTION, "convolution_1d", subject="1-D correlation, mask in constant memory")
def convolution_1d(trial: Trial) -> None:
    n, width = trial.size(64), int(trial.rng.choice([1, 3, 5, 7, 9]))
    data, mask = trial.floats(n), trial.floats(9)
    out = trial.zeros(n)
    trial.put("M", mask)
    trial.launch("convolution_1d", blocks(n, 64), 64, trial.array(data), out, width, n)
    taps = mask[:width].astype(np.float64)
    want = ndimage.correlate1d(data.astype(np.float64), taps, axis=0, mode="constant")
    near(out, want, atol=(width + 2) * EPS * width)


@CASES.add(CONVOLUTION, "convolution_rows", "convolution_columns", subject="separable convolution")
def convolution_separable(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 4)
    data, taps = trial.floats(shape), trial.floats(9)
    between, out = trial.zeros(shape), trial.zeros(shape)
    trial.put("c_Kernel", taps)
    grid = blocks_2d(shape, 16, 4)
    args = (trial.array(data), width, height)
    trial.launch("convolution_rows", grid, (16, 4), between, *args)
    trial.launch("convolution_columns", grid, (16, 4), out, between, width, height)
    want, weights = data.astype(np.float64), taps.astype(np.float64)
    for axis in (1, 0):
        want = ndimage.convolve1d(want, weights, axis=axis, mode="constant")
    # Two sums of nine products of numbers up to 1: the second has terms up to 9.
    near(out, want, atol=2 * 11 * EPS * 81)


@CASES.add(CONVOLUTION, "convolution_2d_tiled", subject="2-D correlation, input tiles with halo")
def convolution_2d_tiled(trial: Trial) -> None:
    height, width = shape = trial.shape(12, 12)
    data, mask, out = trial.floats(shape), trial.floats((5, 5)), trial.zeros(shape)
    trial.put("Mask2D", mask)
    args = (out, trial.array(data), height, width)
    trial.launch("convolution_2d_tiled", blocks_2d(shape, 12, 12), (16, 16), *args)
    wide = data.astype(np.float64)
    want = ndimage.correlate(wide, mask.astype(np.float64), mode="constant")
    near(out, want, atol=27 * EPS * 25)


@CASES.add(CONVOLUTION, "max_pool_2x2", subject="pooling of channels")
def max_pool_2x2(trial: Trial) -> None:
    channels, (height, width) = trial.between(1, 4), trial.shape(16, 8)
    height, width = max(2, height), max(2, width)
    data = trial.floats((channels, height, width))
    oh, ow = height // 2, width // 2
    out = trial.zeros((channels, oh, ow))
    grid = (blocks(ow, 8), blocks(oh, 8), channels)
    trial.launch("max_pool_2x2", grid, (8, 8), trial.array(data), out, height, width)
    cut = data[:, : 2 * oh, : 2 * ow].reshape(channels, oh, 2, ow, 2)
    same(out, cut.max(axis=(2, 4)))


# Bodies -------------------------------------------------------------------------------------------
def _pairs(bodies: F64) -> tuple[F64, F64]:
    """Return differences (n, n, 3) and softened squared distances (n, n) of all pairs."""
    apart = bodies[None, :, :3] - bodies[:, None, :3]
    return apart, (apart**2).sum(axis=2) + np.float32(0.01)


def _bodies(trial: Trial, n: int) -> F64:
    bodies = trial.floats((n, 4))
    bodies[:, 3] = np.abs(bodies[:, 3]) + 0.1
    return bodies.astype(np.float64)


@CASES.add(NBODY, "calculate_forces", subject="gravitation of all pairs, float4 tiles")
def nbody_forces(trial: Trial) -> None:
    n = trial.size(32)
    bodies = _bodies(trial, n)
    out = trial.zeros((n, 4))
    positions = trial.array(bodies, np.float32)
    trial.launch("calculate_forces", blocks(n, 32), 32, positions, out, n, shared_bytes=32 * 16)
    apart, squares = _pairs(bodies)
    terms = bodies[None, :, 3, None] * apart / squares[..., None] ** 1.5
    # Each term has a dozen roundings, division and root among them; then a sum of n.
    bound = (n + 24) * EPS * np.abs(terms).sum(axis=1) + 1e-6 * np.abs(terms).max(initial=0)
    near(host(out)[:, :3], terms.sum(axis=1), atol=bound)
    same(host(out)[:, 3], 0)


@CASES.add(NBODY, "leapfrog", subject="integration step of positions and velocities")
def leapfrog(trial: Trial) -> None:
    n = trial.size(64)
    p, v, a = (trial.floats((n, 4)) for _ in range(3))
    position, velocity = trial.array(p), trial.array(v)
    dt, damping = np.float32(0.125), np.float32(0.5)
    args = (position, velocity, trial.array(a), dt, damping, n)
    trial.launch("leapfrog", blocks(n, 64), 64, *args)
    moved = (v[:, :3].astype(np.float64) + a[:, :3] * 0.125) * 0.5
    near(host(velocity)[:, :3], moved, atol=4 * EPS)
    near(host(position)[:, :3], p[:, :3] + moved * 0.125, atol=4 * EPS)
    same(host(velocity)[:, 3], v[:, 3])


@CASES.add(NBODY, "potential_energy", subject="energy of pairs by a triangular loop")
def potential_energy(trial: Trial) -> None:
    n = trial.size(32, 3)
    bodies, out = _bodies(trial, n), trial.zeros(n)
    trial.launch("potential_energy", blocks(n, 32), 32, trial.array(bodies, np.float32), out, n)
    _, squares = _pairs(bodies)
    terms = np.tril(np.outer(bodies[:, 3], bodies[:, 3]) / np.sqrt(squares), -1)
    near(out, -terms.sum(axis=1), atol=(n + 16) * EPS * terms.sum(axis=1))


# Spectra ------------------------------------------------------------------------------------------
def _complex(
    trial: Trial, shape: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.complex64]]:
    return np.ascontiguousarray(trial.floats((*shape, 2))).view(np.complex64)[..., 0]


@CASES.add(FFT, "bit_reverse_permute", "fft_stage", subject="radix-2 FFT, a launch a stage")
def fft_stages(trial: Trial) -> None:
    log2n = trial.between(0, 9)
    n = 1 << log2n
    signal = _complex(trial, (n,))
    for sign, want in ((-1, np.fft.fft(signal)), (1, np.fft.ifft(signal) * n)):
        out = trial.zeros((n, 2))
        source = trial.array(signal.view(np.float32).reshape(n, 2))
        trial.launch("bit_reverse_permute", blocks(n, 64), 64, source, out, n, log2n)
        for stage in range(log2n):
            args = (out, n, 1 << stage, np.float32(sign))
            trial.launch("fft_stage", blocks(max(1, n // 2), 64), 64, *args)
        got = host(out)
        # Van Loan: the error of the norm grows by some roundings a stage.
        bound = (8 * log2n + 1) * EPS * float(np.linalg.norm(want))
        near(got[:, 0], want.real, atol=bound)
        near(got[:, 1], want.imag, atol=bound)


@CASES.add(FFT, "fft_shared", subject="Stockham FFT, a transform a block")
def fft_shared(trial: Trial) -> None:
    log2n, count = trial.between(1, 8), trial.between(1, 4)
    n = 1 << log2n
    signal = _complex(trial, (count, n))
    source, out = trial.array(signal.view(np.float32)), trial.zeros((count, n, 2))
    trial.launch("fft_shared", count, n // 2, source, out, log2n, shared_bytes=2 * n * 8)
    want = np.fft.fft(signal, axis=1)
    got = host(out)
    # The fast sine is off by up to 2^-21 on [-pi, pi]: as a rounding of 8 eps a stage.
    bound = 16 * log2n * EPS * np.linalg.norm(want, axis=1)[:, None]
    near(got[..., 0], want.real, atol=bound)
    near(got[..., 1], want.imag, atol=bound)


@CASES.add(FFT, "hadamard_stage", subject="Walsh-Hadamard transform of whole numbers")
def hadamard(trial: Trial) -> None:
    log2n = trial.between(1, 8)
    n = 1 << log2n
    data = trial.ints(n, -1000, 1000)
    out = trial.array(data)
    for stage in range(log2n):
        trial.launch("hadamard_stage", blocks(n // 2, 32), 32, out, n, 1 << stage)
    same(out, linalg.hadamard(n) @ data)
