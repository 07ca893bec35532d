"""Cases: clustering, normalisation, attention, training steps, quantisation.

Exponentials are good to 2 ulp on CUDA and 3 on OpenCL; the fast ones to 2 + |x| ulp. Tolerances
count these with the roundings around them.
"""

from __future__ import annotations

import numpy as np

from tests.kernels.case import Cases, Source
from tests.kernels.philox import philox, uniform01
from tests.kernels.scipy_typed import special
from tests.kernels.trial import EPS, F64, Trial, blocks, blocks_2d, host, near, reals, same

KMEANS = Source("kmeans.cu")
SOFTMAX = Source("softmax.cu")
LAYER_NORM = Source("layer_norm.cu")
ATTENTION = Source("attention.cu")
TRAINING = Source("training.cu", headers=("philox.cuh",))
QUANTISE = Source("quantise.cu")

CASES = Cases()


# Clusters: small whole numbers, so that distances are exact, ties too -----------------------------
@CASES.add(
    KMEANS,
    "kmeans_assign",
    "kmeans_accumulate",
    "kmeans_update",
    subject="Lloyd's algorithm, sums by atomics",
)
def kmeans(trial: Trial) -> None:
    n, k, dim = trial.size(64), trial.between(1, 6), trial.between(1, 5)
    points, centroids = trial.ints((n, dim), -50, 50), trial.ints((k, dim), -50, 50)
    data, centres = trial.array(points, np.float32), trial.array(centroids, np.float32)
    labels, sums, counts = trial.zeros(n, np.int32), trial.zeros((k, dim)), trial.zeros(k, np.int32)
    grid = blocks(n, 64)
    trial.launch("kmeans_assign", grid, 64, data, centres, labels, n, k, dim)
    apart = ((points[:, None] - centroids[None]) ** 2).sum(axis=2)
    nearest = apart.argmin(axis=1)
    same(labels, nearest)
    trial.launch("kmeans_accumulate", grid, 64, data, labels, sums, counts, n, dim)
    trial.launch("kmeans_update", k, 8, centres, sums, counts, dim)
    want = centroids.astype(np.float64)
    for c in np.unique(nearest):
        want[c] = points[nearest == c].mean(axis=0)
    near(centres, want, rtol=4 * EPS)


@CASES.add(KMEANS, "nearest_neighbours", subject="k nearest, kept sorted in registers")
def nearest_neighbours(trial: Trial) -> None:
    refs, queries, k = trial.size(32, 3), trial.between(1, 70), trial.between(1, 8)
    points, asked = trial.ints((refs, 2), -99, 99), trial.ints((queries, 2), -99, 99)
    out = trial.zeros((queries, k), np.int32)
    args = (trial.array(points, np.float32), refs, trial.array(asked, np.float32), queries, out, k)
    trial.launch("nearest_neighbours", blocks(queries, 32), 32, *args)
    apart = ((asked[:, None] - points[None]) ** 2).sum(axis=2)
    order = np.argsort(apart, axis=1, kind="stable")[:, :k]
    want = np.full((queries, k), -1)
    want[:, : order.shape[1]] = order
    same(out, want)


# Softmax and losses -------------------------------------------------------------------------------
@CASES.add(SOFTMAX, "softmax_rows", "online_softmax", subject="softmax of rows, and in one pass")
def softmax(trial: Trial) -> None:
    cols, rows = trial.size(64), trial.between(1, 5)
    data = trial.floats((rows, cols), -8, 8)
    want = special.softmax(data.astype(np.float64), axis=1)
    for kernel, shared in (("softmax_rows", 64 * 4), ("online_softmax", 0)):
        out = trial.zeros((rows, cols))
        trial.launch(kernel, rows, 64, trial.array(data), out, cols, shared_bytes=shared)
        # Arguments go to -16, so exponentials (fast ones too) are good to some 20 ulp; rescaling
        # multiplies several of them, the sum adds its own roundings.
        near(out, want, rtol=(2 * cols + 120) * EPS)


@CASES.add(SOFTMAX, "cross_entropy", subject="loss by log-sum-exp")
def cross_entropy(trial: Trial) -> None:
    rows, cols = trial.shape(32, 32, 3)
    logits, labels = trial.floats((rows, cols), -8, 8), trial.ints(rows, 0, cols - 1)
    out = trial.zeros(rows)
    args = (trial.array(logits), trial.array(labels), out, rows, cols)
    trial.launch("cross_entropy", blocks(rows, 32), 32, *args)
    wide = logits.astype(np.float64)
    want = special.logsumexp(wide, axis=1) - wide[np.arange(rows), labels]
    # The logarithm of a sum that is off by (n + 6) roundings, and sums of numbers up to 24.
    near(out, want, atol=(cols + 6 + 4 * 24) * EPS)


# Normalisation ------------------------------------------------------------------------------------
@CASES.add(LAYER_NORM, "layer_norm", subject="mean and variance in one pass (Welford)")
def layer_norm(trial: Trial) -> None:
    cols, rows, eps = trial.size(128), trial.between(1, 4), 1e-5
    x, gamma, beta = trial.floats((rows, cols), -3, 5), trial.floats(cols), trial.floats(cols)
    out = trial.zeros((rows, cols))
    args = (trial.array(x), trial.array(gamma), trial.array(beta), out, cols, np.float32(eps))
    trial.launch("layer_norm", rows, 128, *args)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    want = centred / np.sqrt(wide.var(axis=1, keepdims=True) + eps) * gamma + beta
    # The mean is off by some roundings of numbers up to 5, divided by a deviation that may be as
    # small as sqrt(eps) where there are few columns.
    spread = 1 / np.sqrt(wide.var(axis=1, keepdims=True) + eps)
    near(out, want, atol=40 * EPS * (1 + 5 * spread), rtol=40 * EPS)


@CASES.add(LAYER_NORM, "rms_norm", subject="root mean square, static and dynamic shared memory")
def rms_norm(trial: Trial) -> None:
    cols, rows = trial.size(64), trial.between(1, 4)
    x, weight, out = trial.floats((rows, cols)), trial.floats(cols), trial.zeros((rows, cols))
    args = (out, trial.array(x), trial.array(weight), cols)
    trial.launch("rms_norm", rows, 64, *args, shared_bytes=64 * 4)
    wide = x.astype(np.float64)
    scale = 1 / np.sqrt((wide**2).mean(axis=1, keepdims=True) + np.float32(1e-5))
    near(out, weight * scale * wide, rtol=(cols + 12) * EPS)


@CASES.add(LAYER_NORM, "batch_norm_inference", subject="statistics as float4, images in z")
def batch_norm(trial: Trial) -> None:
    plane, channels, count = trial.size(64, 3), trial.between(1, 4), trial.between(1, 3)
    x, params = trial.floats((count, channels, plane)), trial.floats((channels, 4))
    params[:, 1] = np.abs(params[:, 1]) + 0.1
    out = trial.zeros(x.shape)
    args = (trial.array(x), out, trial.array(params), channels, plane, np.float32(1e-5))
    trial.launch("batch_norm_inference", (blocks(plane, 64), channels, count), 64, *args)
    mean, variance, scale, shift = params.astype(np.float64).T[:, None, :, None]
    want = (x - mean) / np.sqrt(variance + 1e-5) * scale + shift
    near(out, want, atol=8 * EPS * 8)


# Attention ----------------------------------------------------------------------------------------
def _attention(q: F64, k: F64, v: F64, scale: float, *, causal: bool) -> F64:
    scores = scale * q @ k.transpose(0, 2, 1)
    if causal:
        scores = np.where(np.tri(scores.shape[1], dtype=np.bool_), scores, -np.inf)
    return np.asarray(special.softmax(scores, axis=2) @ v, np.float64)


@CASES.add(ATTENTION, "flash_attention", subject="attention by tiles with online softmax")
def flash_attention(trial: Trial) -> None:
    length, heads, dim = trial.size(16, 4), trial.between(1, 3), 32
    q, k, v = (trial.floats((heads, length, dim)) for _ in range(3))
    scale = np.float32(1 / np.sqrt(dim))
    arrays = tuple(trial.array(each) for each in (q, k, v))
    wide = (q.astype(np.float64), k.astype(np.float64), v.astype(np.float64))
    for causal in (0, 1):
        out = trial.zeros(q.shape)
        grid = (blocks(length, 16), heads)
        trial.launch("flash_attention", grid, 16, *arrays, out, length, scale, causal)
        want = _attention(*wide, float(scale), causal=bool(causal))
        # Scores up to 6 with a rounding error of 34 eps of that; values up to 1, weighted means.
        near(out, want, atol=(2 * 34 * 6 + length + 40) * EPS)


@CASES.add(ATTENTION, "rotary_embedding", subject="rotary embedding in place, float2 pairs")
def rotary(trial: Trial) -> None:
    pairs, heads, count = trial.size(16, 3), trial.between(1, 3), trial.between(1, 9)
    data = trial.floats((count, heads, pairs, 2))
    out = trial.array(data)
    base = np.float32(10000)
    args = (out, pairs, heads, base)
    trial.launch("rotary_embedding", (blocks(pairs, 16), heads, count), 16, *args)
    angle = np.arange(count)[:, None] * 10000.0 ** (-np.arange(pairs) / pairs)[None]
    turn = np.exp(1j * angle)[:, None, :]
    want = (data[..., 0] + 1j * data[..., 1]) * turn
    # An angle up to 9 carries the power's error: 16 ulp on OpenCL, and its own roundings.
    bound = 2 * (24 * 9 + 8) * EPS
    near(host(out)[..., 0], want.real, atol=bound)
    near(host(out)[..., 1], want.imag, atol=bound)


@CASES.add(ATTENTION, "scaled_masked_scores", subject="causal scores, minus infinity above")
def masked_scores(trial: Trial) -> None:
    n, dim = trial.size(16, 3), trial.between(1, 16)
    q, k, out = trial.floats((n, dim)), trial.floats((n, dim)), trial.zeros((n, n))
    args = (trial.array(q), trial.array(k), out, n, dim)
    trial.launch("scaled_masked_scores", (blocks(n, 16),) * 2, (16, 16), *args)
    want = q.astype(np.float64) @ k.T.astype(np.float64) / np.sqrt(dim)
    want[np.triu_indices(n, 1)] = -np.inf
    near(out, want, atol=(dim + 6) * EPS * dim)


# Training -----------------------------------------------------------------------------------------
@CASES.add(TRAINING, "gelu_forward", subject="GELU by tanh")
def gelu(trial: Trial) -> None:
    n = trial.size(64)
    x, out = trial.floats(n, -6, 6), trial.zeros(n)
    trial.launch("gelu_forward", blocks(n, 64), 64, out, trial.array(x), n)
    wide = x.astype(np.float64)
    inner = 0.7978845608028654 * (wide + 0.044715 * wide**3)
    near(out, 0.5 * wide * (1 + np.tanh(inner)), atol=40 * EPS)


@CASES.add(TRAINING, "activate", subject="ReLU, sigmoid, tanh, swish, exact GELU")
def activate(trial: Trial) -> None:
    n = trial.size(64)
    x = trial.floats(n, -6, 6)
    wide = x.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-wide))
    gelu_exact = 0.5 * wide * (1 + special.erf(wide * 0.70710678))
    wants = (np.maximum(wide, 0), sigmoid, np.tanh(wide), wide * sigmoid, gelu_exact)
    for which, want in enumerate(wants):
        out = trial.zeros(n)
        trial.launch("activate", 2, 64, trial.array(x), out, n, which)
        # erf is good to 16 ulp on OpenCL, the rest to 5; results are up to 6.
        near(out, want, atol=20 * 6 * EPS)


ADAM_RATES = ("lr", "beta1", "beta2", "eps", "weight_decay")
ADAM = np.dtype([*((name, np.float32) for name in ADAM_RATES), ("step", np.int32)])


@CASES.add(TRAINING, "adam_step", subject="Adam with weight decay, a structure of settings")
def adam(trial: Trial) -> None:
    n = trial.size(64)
    w, g, m = trial.floats(n), trial.floats(n), trial.floats(n)
    v = trial.floats(n, 0.01, 1)
    step = trial.between(1, 20)
    settings = np.array((1e-3, 0.9, 0.999, 1e-8, 0.01, step), ADAM)
    arrays = tuple(trial.array(each) for each in (w, g, m, v))
    trial.launch("adam_step", blocks(n, 64), 64, *arrays, n, settings[()])
    lr, b1, b2, eps, decay = (float(settings[name]) for name in ADAM_RATES)
    wide = g.astype(np.float64)
    m2, v2 = b1 * m + (1 - b1) * wide, b2 * v + (1 - b2) * wide**2
    near(arrays[2], m2, atol=4 * EPS)
    near(arrays[3], v2, atol=4 * EPS)
    # 1 - b2 ** step cancels: its relative error is that of the power (16 ulp) over 1 - b2 ** step.
    slack = 24 * EPS / (1 - b2**step)
    update = (m2 / (1 - b1**step)) / (np.sqrt(v2 / (1 - b2**step)) + eps)
    bound = lr * np.abs(update) * (slack + 40 * EPS / (1 - b1**step)) + 4 * EPS
    near(arrays[0], w - lr * (update + decay * w), atol=bound)


@CASES.add(TRAINING, "dropout", subject="dropout by a counter-based generator")
def dropout(trial: Trial) -> None:
    n, seed, keep = trial.size(256), trial.between(0, 2**62), np.float32(0.75)
    x, out = trial.floats(n), trial.zeros(n)
    quads = blocks(n, 4)
    mask = trial.zeros(quads, np.uint8)
    trial.launch("dropout", blocks(quads, 64), 64, trial.array(x), out, mask, n, keep, seed)
    draws = philox(np.arange(quads), 0, 0, 0, seed & 0xFFFFFFFF, seed >> 32).reshape(-1)[:n]
    kept = uniform01(draws) < keep
    near(out, np.where(kept, x / keep, 0), rtol=4 * EPS)
    bits = np.packbits(np.pad(kept, (0, 4 * quads - n)).reshape(-1, 4), axis=1, bitorder="little")
    same(mask, bits[:, 0])


@CASES.add(
    TRAINING,
    "embedding_gather",
    "embedding_scatter_add",
    subject="rows of a table, and their gradients by atomics",
)
def embedding(trial: Trial) -> None:
    tokens, dim, words = trial.size(16), trial.between(1, 70), trial.between(1, 9)
    table, ids = trial.floats((words, dim)), trial.ints(tokens, 0, words - 1)
    out, gradient = trial.zeros((tokens, dim)), trial.zeros((words, dim))
    trial.launch("embedding_gather", tokens, 32, trial.array(table), trial.array(ids), out, dim)
    same(out, table[ids])
    steps = trial.ints((tokens, dim), -9, 9).astype(np.float32)
    args = (gradient, trial.array(ids), trial.array(steps), dim)
    trial.launch("embedding_scatter_add", tokens, 32, *args)
    want = np.zeros((words, dim))
    np.add.at(want, ids, steps)
    same(gradient, want)


@CASES.add(TRAINING, "top_k", subject="largest k of rows, one dynamic array cut in three")
def top_k(trial: Trial) -> None:
    cols, rows = trial.size(64, 3), trial.between(1, 4)
    k = trial.between(1, min(5, cols))
    data = trial.ints((rows, cols), -30, 30).astype(np.float32)
    values, indices = trial.zeros((rows, k)), trial.zeros((rows, k), np.int32)
    shared = 4 * (cols + 2 * 64)
    args = (trial.array(data), values, indices, cols, k)
    trial.launch("top_k", rows, 64, *args, shared_bytes=shared)
    order = np.argsort(-data, axis=1, kind="stable")[:, :k]
    same(indices, order)
    same(values, np.take_along_axis(data, order, 1))


# Quantisation -------------------------------------------------------------------------------------
@CASES.add(QUANTISE, "quantise_rows", "dequantise_rows", subject="bytes with a scale a row")
def quantise(trial: Trial) -> None:
    cols, rows = trial.size(64), trial.between(1, 4)
    x = trial.floats((rows, cols), -3, 3)
    x[-1] = 0
    q, scales, back = trial.zeros(x.shape, np.int8), trial.zeros(rows), trial.zeros(x.shape)
    trial.launch("quantise_rows", rows, 64, trial.array(x), q, scales, cols)
    top = np.abs(x).max(axis=1)
    near(scales, top.astype(np.float64) / 127, rtol=3 * EPS)
    scale = reals(scales)[:, None]
    exact = np.divide(x, scale, out=np.zeros(x.shape), where=scale > 0)
    # Rounded to the nearest; a quotient up to 127 is itself rounded.
    near(q, exact, atol=0.5 + 127 * 4 * EPS)
    args = (q, scales, back, rows, cols)
    trial.launch("dequantise_rows", blocks_2d(x.shape, 16, 4), (16, 4), *args)
    same(back, (reals(q) * scale).astype(np.float32))


@CASES.add(QUANTISE, "gemm_int8", subject="product of packed bytes")
def gemm_int8(trial: Trial) -> None:
    (m, n), words = trial.shape(8, 8, 3), trial.between(1, 9)
    a, b = (trial.ints((rows, 4 * words), -128, 127).astype(np.int8) for rows in (m, n))
    out = trial.zeros((m, n), np.int32)
    packed = (trial.array(a.view(np.int32)), trial.array(b.view(np.int32)))
    trial.launch("gemm_int8", blocks_2d((m, n), 8, 8), (8, 8), *packed, out, m, n, words)
    same(out, a.astype(np.int32) @ b.T.astype(np.int32))


@CASES.add(QUANTISE, "dequantise_int4", subject="nibbles with scale and offset a group")
def dequantise_int4(trial: Trial) -> None:
    n = trial.size(64, 4)
    nibbles = trial.ints(n + n % 2, 0, 15).astype(np.uint8)
    packed = nibbles[::2] | nibbles[1::2] << 4
    groups = trial.floats((blocks(n, 32), 2))
    out = trial.zeros(n)
    args = (trial.array(packed), trial.array(groups), out, n)
    trial.launch("dequantise_int4", blocks(packed.size, 32), 32, *args)
    mine = groups[np.arange(n) // 32].astype(np.float64)
    near(out, nibbles[:n] * mine[:, 0] + mine[:, 1], atol=3 * EPS * 16)
