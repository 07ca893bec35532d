"""Special functions to far more digits than a double has, for measuring those that have few.

Slow and plain: series and Newton's steps in `decimal`. Arguments are doubles, taken exactly.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cache

DIGITS = 60
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


def _wide(digits: int) -> Context:
    return Context(prec=digits, Emax=999_999_999, Emin=-999_999_999)


def _erf_series(x: Decimal, digits: int) -> Decimal:
    """2 / sqrt(pi) exp(-x x) times the sum of x (2 x x)^n / (1 · 3 · … · (2 n + 1))."""
    with localcontext(_wide(digits)):
        term = total = x
        n = 0
        while term and abs(term) > abs(total) * Decimal(10) ** -digits:
            n += 1
            term = term * 2 * x * x / (2 * n + 1)
            total += term
        return total * (-x * x).exp() * 2 / _pi(digits).sqrt()


@cache
def _pi(digits: int) -> Decimal:
    """Machin's formula."""
    if digits <= 70:
        return _PI
    with localcontext(_wide(digits + 10)):
        return 16 * _arctan_inverse(5, digits) - 4 * _arctan_inverse(239, digits)


def _arctan_inverse(n: int, digits: int) -> Decimal:
    power = total = Decimal(1) / n
    k = 1
    while power > Decimal(10) ** -(digits + 5):
        power /= n * n
        k += 2
        total += power / k if k % 4 == 1 else -power / k
    return total


def erf(x: Decimal) -> Decimal:
    return _erf_series(x, DIGITS)


def erfc(x: Decimal) -> Decimal:
    """1 - erf(x), with as many digits more as the difference loses."""
    digits = DIGITS + (int(x * x * Decimal("0.4343")) if x > 0 else 0)
    with localcontext(_wide(digits)):
        return 1 - _erf_series(x, digits)


def erfcx(x: Decimal) -> Decimal:
    with localcontext(_wide(DIGITS)):
        return (x * x).exp() * erfc(x)


def normcdf(x: Decimal) -> Decimal:
    with localcontext(_wide(DIGITS)):
        return erfc(-x / Decimal(2).sqrt()) / 2


def erfcinv(q: Decimal, near: float) -> Decimal:
    """The y with erfc(y) = q, from a double near it."""
    with localcontext(_wide(DIGITS)):
        y = Decimal(near)
        for _ in range(3):
            slope = -2 / _PI.sqrt() * (-y * y).exp()
            y -= (erfc(y) - q) / slope
        return y


def erfinv(x: Decimal, near: float) -> Decimal:
    with localcontext(_wide(DIGITS)):
        return erfcinv(1 - x, near)


def normcdfinv(p: Decimal, near: float) -> Decimal:
    with localcontext(_wide(DIGITS)):
        return -Decimal(2).sqrt() * erfcinv(2 * p, -near / math.sqrt(2))


@cache
def _bernoulli(count: int) -> tuple[Fraction, ...]:
    numbers = [Fraction(1)]
    for m in range(1, count):
        numbers.append(-sum(math.comb(m + 1, k) * numbers[k] for k in range(m)) / Fraction(m + 1))
    return tuple(numbers)


def _log_gamma_large(x: Decimal) -> Decimal:
    """Stirling's series, for x from 40 on."""
    total = (x - Decimal("0.5")) * x.ln() - x + (2 * _PI).ln() / 2
    power = x
    for k in range(1, 26):
        b = _bernoulli(52)[2 * k]
        total += Decimal(b.numerator) / (Decimal(b.denominator) * 2 * k * (2 * k - 1) * power)
        power *= x * x
    return total


def _sin_pi(x: Decimal) -> Decimal:
    r = (x - 2 * (x / 2).to_integral_value()) * _PI
    term = total = r
    n = 1
    while abs(term) > Decimal(10) ** -(DIGITS + 5):
        term *= -r * r / ((n + 1) * (n + 2))
        total += term
        n += 2
    return total


def tgamma(x: Decimal) -> Decimal:
    with localcontext(_wide(DIGITS)):
        if x < Decimal("0.5"):
            return _PI / (_sin_pi(x) * tgamma(1 - x))
        product = Decimal(1)
        while x < 40:
            product *= x
            x += 1
        return _log_gamma_large(x).exp() / product


def lgamma(x: Decimal) -> Decimal:
    with localcontext(_wide(DIGITS)):
        if x < Decimal("0.5"):
            return (_PI / abs(_sin_pi(x))).ln() - lgamma(1 - x)
        product = Decimal(1)
        while x < 40:
            product *= x
            x += 1
        return _log_gamma_large(x) - product.ln()
