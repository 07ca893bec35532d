"""Cases: Monte Carlo, options, random numbers."""

from __future__ import annotations

import numpy as np

from tests.kernels.case import Cases, Source
from tests.kernels.philox import philox, uniform01
from tests.kernels.scipy_typed import special
from tests.kernels.trial import EPS, F64, Trial, blocks, host, near, same

MONTE_CARLO = Source("monte_carlo.cu", headers=("philox.cuh",))
BLACK_SCHOLES = Source("black_scholes.cu")

CASES = Cases()


@CASES.add(MONTE_CARLO, "philox_fill", subject="Philox4x32-10, a counter-based generator")
def philox_fill(trial: Trial) -> None:
    n, seed, stream = trial.size(64), trial.between(0, 2**62), trial.between(0, 2**31)
    out = trial.zeros((n, 4), np.uint32)
    trial.launch("philox_fill", blocks(n, 64), 64, out, seed, stream, n)
    same(out, philox(np.arange(n), 0, stream, 0, seed & 0xFFFFFFFF, seed >> 32))


@CASES.add(MONTE_CARLO, "monte_carlo_pi", subject="hits in a circle, counted exactly")
def monte_carlo_pi(trial: Trial) -> None:
    n, seed = trial.size(128, 20), trial.between(0, 2**62)
    out = trial.zeros(1, np.uint32)
    trial.launch("monte_carlo_pi", 3, 64, out, seed, n)
    draws = philox(np.arange(n), 0, 0, 0, seed & 0xFFFFFFFF, seed >> 32).astype(np.int64) >> 17
    same(out, [(draws[:, 0] ** 2 + draws[:, 1] ** 2 < 2**30).sum()])


@CASES.add(MONTE_CARLO, "asian_option", subject="arithmetic Asian call, Box-Muller paths")
def asian_option(trial: Trial) -> None:
    paths, steps, seed = trial.size(32), trial.between(1, 9), trial.between(0, 2**31)
    s0, strike, rate, sigma, years = (np.float32(v) for v in (100, 95, 0.05, 0.25, 1))
    out = trial.zeros(paths)
    args = (out, seed, s0, strike, rate, sigma, years, steps, paths)
    trial.launch("asian_option", blocks(paths, 32), 32, *args)
    dt = 1 / steps
    drift, volatility = (float(rate) - 0.5 * float(sigma) ** 2) * dt, float(sigma) * np.sqrt(dt)
    price, total = np.full(paths, 100.0), np.zeros(paths)
    for t in range(0, steps, 2):
        bits = philox(np.arange(paths), t, 0, 0, seed, 0)
        radius = np.sqrt(-2 * np.log(1 - uniform01(bits[:, 0]).astype(np.float64)))
        angle = 2 * np.pi * uniform01(bits[:, 1]).astype(np.float64)
        for turn in (np.cos(angle), np.sin(angle))[: steps - t]:
            price = price * np.exp(drift + volatility * radius * turn)
            total += price
    want = np.exp(-float(rate)) * np.maximum(total / steps - float(strike), 0)
    # Each step multiplies by an exponential of an argument that is off by some roundings.
    near(out, want, atol=200 * (20 * steps + 20) * EPS)


@CASES.add(MONTE_CARLO, "stratified_integral", subject="a draw a cell, 3-D blocks")
def stratified_integral(trial: Trial) -> None:
    side, seed = trial.size(4, 2), trial.between(0, 2**31)
    out = trial.zeros((side,) * 3)
    trial.launch("stratified_integral", (blocks(side, 4),) * 3, (4, 4, 4), out, seed, side)
    cells = np.arange(side**3)
    draws = philox(cells, 7, 0, 0, seed, seed ^ 0xDEADBEEF)[:, :3]
    corner = np.stack([cells % side, cells // side % side, cells // side**2], axis=1)
    x, y, z = ((corner + uniform01(draws).astype(np.float64)) / side).T
    want = np.sin(x) * np.exp(-y) + z * z
    near(host(out).reshape(-1), want, atol=16 * EPS)


# Options ------------------------------------------------------------------------------------------
def _formula(s: F64, x: F64, t: F64, r: float, v: float) -> tuple[F64, F64]:
    d1 = (np.log(s / x) + (r + 0.5 * v * v) * t) / (v * np.sqrt(t))
    d2 = d1 - v * np.sqrt(t)
    discounted = x * np.exp(-r * t)
    call = s * special.ndtr(d1) - discounted * special.ndtr(d2)
    return call, call - s + discounted


@CASES.add(BLACK_SCHOLES, "black_scholes", subject="calls and puts by the closed formula, float2")
def black_scholes(trial: Trial) -> None:
    n = 2 * trial.size(128, 3)
    s, x, t = trial.floats(n, 5, 30), trial.floats(n, 1, 100), trial.floats(n, 0.25, 10)
    call, put = trial.zeros(n), trial.zeros(n)
    prices = (trial.array(s), trial.array(x), trial.array(t))
    rate, volatility = np.float32(0.02), np.float32(0.3)
    args = (call, put, *prices, rate, volatility, n)
    trial.launch("black_scholes", blocks(n // 2, 128), 128, *args)
    wide = (s.astype(np.float64), x.astype(np.float64), t.astype(np.float64))
    want = _formula(*wide, float(rate), float(volatility))
    # The polynomial for the normal's integral is good to 7.5e-8 (Abramowitz and Stegun, 26.2.17),
    # the fast logarithm and exponentials to some ulp; all times prices up to 100.
    bound = (s + x) * (1e-7 + 40 * EPS)
    near(call, want[0], atol=bound)
    near(put, want[1], atol=bound)


@CASES.add(BLACK_SCHOLES, "binomial_option", subject="binomial tree in shared memory, odd levels")
def binomial_option(trial: Trial) -> None:
    count, steps = trial.between(1, 6), 64
    s, x = trial.floats(count, 20, 40), trial.floats(count, 20, 40)
    out = trial.zeros(count)
    dt, rate, volatility = 1 / steps, 0.05, 0.3
    up = np.float32(np.exp(volatility * np.sqrt(dt)))
    chance = (np.exp(rate * dt) - 1 / float(up)) / (float(up) - 1 / float(up))
    discount = np.exp(-rate * dt)
    pu, pd = np.float32(chance * discount), np.float32((1 - chance) * discount)
    args = (trial.array(s), trial.array(x), out, up, pu, pd)
    trial.launch("binomial_option", count, 64, *args)
    i = np.arange(steps + 1)
    price = s[:, None] * float(up) ** (2.0 * i - steps)[None]
    level = np.maximum(price - x[:, None], 0)
    for _ in range(steps):
        level = float(pu) * level[:, 1:] + float(pd) * level[:, :-1]
    # Prices carry two powers of up to 64 (16 ulp each, and 64 times the rounding of 1 / up), up to
    # 40 * up^64; weights sum to 1.
    near(out, level[:, 0], atol=300 * EPS * 100, rtol=300 * EPS)
