"""The functions of `gon.xp`, beside NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gon
from gon.errors import InvalidArgument
from gon_client.device import Device
from tests.unit.xp_arrays import Host, numbers, same

xp = gon.xp


@pytest.fixture(scope="module", autouse=True)
def device() -> Iterator[Device]:
    """The device of all arrays here."""
    with gon.local("sim:", personalities=("gpu", "dpu")) as opened, xp.use(opened):
        yield opened


REDUCTIONS: list[tuple[Callable[..., xp.Array], Callable[..., Host]]] = [
    (xp.sum, np.sum), (xp.prod, np.prod), (xp.mean, np.mean), (xp.std, np.std), (xp.var, np.var),
    (xp.max, np.max), (xp.min, np.min), (xp.any, np.any), (xp.all, np.all),
    (xp.count_nonzero, np.count_nonzero),
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_reductions_are_numpys(data: st.DataObject) -> None:
    ours, theirs = data.draw(st.sampled_from(REDUCTIONS))
    dtype = data.draw(st.sampled_from(("int8", "uint16", "int64", "float32", "float64")))
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    keepdims = data.draw(st.booleans())
    host = numbers(*shape, dtype=dtype)
    with np.errstate(all="ignore"):
        wanted = np.asarray(theirs(host, axis=axis, keepdims=keepdims))
    same(ours(xp.asarray(host), axis=axis, keepdims=keepdims), wanted)


CASES: list[tuple[str, Callable[[xp.Array], xp.Array], Callable[[], Host]]] = [
    ("matmul", lambda a: a @ a.mT, lambda: H @ H.transpose(0, 2, 1)),
    ("matvec", lambda a: a @ a[0, 0], lambda: H @ H[0, 0]),
    ("vecmat", lambda a: a[0, :, 0] @ a, lambda: H[0, :, 0] @ H),
    ("stack", lambda a: a @ a[0].T, lambda: H @ H[0].T),
    ("vecdot", lambda a: xp.vecdot(a, a[0, 0]), lambda: np.vecdot(H, H[0, 0])),
    ("tensordot", lambda a: xp.tensordot(a, a, axes=((0, 2), (0, 2))),
     lambda: np.tensordot(H, H, axes=((0, 2), (0, 2)))),
    ("sort", lambda a: xp.sort(a, axis=1), lambda: np.sort(H, axis=1)),
    ("falling", lambda a: xp.sort(a, descending=True), lambda: np.flip(np.sort(H), -1)),
    ("argsort", lambda a: xp.argsort(a, axis=0), lambda: np.argsort(H, axis=0, kind="stable")),
    ("argmax", lambda a: xp.argmax(a), lambda: np.asarray(np.argmax(H))),
    ("take", lambda a: xp.take(a, xp.asarray([2, 0]), axis=1), lambda: np.take(H, [2, 0], axis=1)),
    ("along", lambda a: xp.take_along_axis(a, xp.argsort(a, axis=2), axis=2),
     lambda: np.take_along_axis(H, np.argsort(H, axis=2, kind="stable"), axis=2)),
    ("search", lambda a: xp.searchsorted(xp.arange(9), xp.asarray([3, 99]), side="right"),
     lambda: np.searchsorted(np.arange(9), np.asarray([3, 99]), side="right")),
    ("roll", lambda a: xp.roll(a, (1, -2), axis=(0, 2)), lambda: np.roll(H, (1, -2), axis=(0, 2))),
    ("tile", lambda a: xp.tile(a, (2, 1, 3)), lambda: np.tile(H, (2, 1, 3))),
    ("repeat", lambda a: xp.repeat(a, 3, axis=1), lambda: np.repeat(H, 3, axis=1)),
    ("repeats", lambda a: xp.repeat(a[0, 0], xp.asarray([0, 2, 1, 0, 1])),
     lambda: np.repeat(H[0, 0], [0, 2, 1, 0, 1])),
    ("where", lambda a: xp.where(a > 0, a, -1.0), lambda: np.where(H > 0, H, np.float32(-1))),
    ("clip", lambda a: xp.clip(a, -3, a + 2), lambda: np.clip(H, -3, H + np.float32(2))),
    ("diff", lambda a: xp.diff(a, n=2, axis=1), lambda: np.diff(H, n=2, axis=1)),
    ("cumulative", lambda a: xp.cumulative_sum(a, axis=1), lambda: np.cumsum(H, axis=1)),
    ("initial", lambda a: xp.cumulative_prod(a[0, 0], include_initial=True),
     lambda: np.cumprod(np.concatenate([np.ones(1, np.float32), H[0, 0]]))),
    ("whole sums", lambda a: xp.cumulative_sum(xp.asarray(BIG), dtype=xp.uint64),
     lambda: np.cumsum(BIG, dtype=np.uint64)),
    ("cut products", lambda a: xp.cumulative_prod(xp.asarray([1.5, 1.5]), dtype=xp.int64),
     lambda: np.cumprod([1.5, 1.5], dtype=np.int64)),
    ("halves", lambda a: xp.mean(xp.asarray(np.full(70_000, 3, np.float16))),
     lambda: np.full((), 3, np.float16)),
    ("tril", lambda a: xp.tril(a, k=1), lambda: np.tril(H, k=1)),
    ("eye", lambda a: xp.eye(3, 4, k=-1), lambda: np.eye(3, 4, k=-1)),
    ("arange", lambda a: xp.arange(5, -3, -0.7, dtype=xp.float32),
     lambda: np.arange(5, -3, -0.7, dtype=np.float32)),
    ("linspace", lambda a: xp.linspace(0, 7, 11, endpoint=False),
     lambda: np.linspace(0, 7, 11, endpoint=False)),
    ("meshgrid", lambda a: xp.meshgrid(xp.arange(3), xp.arange(4))[1],
     lambda: np.meshgrid(np.arange(3), np.arange(4))[1]),
    ("turned grid", lambda a: xp.meshgrid(a[0].T, a[0, 0])[0],
     lambda: np.tile(H[0].T.ravel(), (5, 1))),
    ("large range", lambda a: xp.arange(2**63, 2**63 + 3, dtype=xp.uint64),
     lambda: np.arange(2**63, 2**63 + 3, dtype=np.uint64)),
    ("cut range", lambda a: xp.arange(0, 5, 1.5, dtype=xp.int64),
     lambda: np.arange(0, 5, 1.5, dtype=np.int64)),
    ("same range", lambda a: xp.arange(1, 5, 0.5, dtype=xp.int64),
     lambda: np.arange(1, 5, 0.5, dtype=np.int64)),
    ("rolls", lambda a: xp.roll(a, (1, 1), axis=2), lambda: np.roll(H, (1, 1), axis=2)),
    ("bounds", lambda a: xp.clip(xp.asarray(np.array([200, 3], "u1")), xp.asarray([-5, 7]), None),
     lambda: np.clip(np.array([200, 3], "u1"), np.array([-5, 7]), None)),
    ("distinct", lambda a: xp.unique_values(a % 7), lambda: np.unique(H % np.float32(7))),
    ("inverse", lambda a: xp.unique_all(a % 7).inverse_indices,
     lambda: np.unique(H % np.float32(7), return_inverse=True)[1].reshape(H.shape)),
    ("real", lambda a: xp.real(xp.astype(a, xp.complex64) * 1j),
     lambda: (H.astype("c8") * 1j).real),
    ("powers", lambda a: a**2 + 2.0**a, lambda: H**2 + np.float32(2) ** H),
    ("whole squares", lambda a: xp.asarray([2**40]) ** 2.0, lambda: np.array([2**40]) ** 2.0),
    ("true squares", lambda a: xp.asarray([True]) ** 2, lambda: np.array([True]) ** 2),
    ("NumPy's sizes", lambda a: xp.tile(xp.repeat(xp.eye(N3, k=N3 - 1), N3), (N3,)),
     lambda: np.tile(np.repeat(np.eye(3, k=2), 3), 3)),
    ("NumPy's counts", lambda a: xp.triu(xp.roll(xp.broadcast_to(
        xp.linspace(0, 1, N3, endpoint=cast("bool", np.bool_(True))), (N3, N3)), N3 - 2), k=N3 - 3),
     lambda: np.triu(np.roll(np.broadcast_to(np.linspace(0, 1, 3), (3, 3)), 1))),
    ("astype", lambda a: xp.astype(a, xp.int8), lambda: H.astype(np.int8)),
    ("reshape", lambda a: xp.reshape(a.mT, (-1, 4)), lambda: H.transpose(0, 2, 1).reshape(-1, 4)),
]  # fmt: skip
H = numbers(3, 4, 5)
BIG = np.array([2**60, 1, 2])
N3 = cast("int", np.int64(3))


@pytest.mark.parametrize(
    ("ours", "theirs"), [each[1:] for each in CASES], ids=[n for n, *_ in CASES]
)
def test_functions_are_numpys(
    ours: Callable[[xp.Array], xp.Array], theirs: Callable[[], Host]
) -> None:
    same(ours(xp.asarray(H)), theirs())


def test_numbers_have_the_arrays_type() -> None:
    small = xp.asarray(numbers(4, dtype="int8"))
    assert (small + 1).dtype == xp.int8
    assert (small + 1.5).dtype == xp.float64
    assert (xp.asarray(numbers(4)) * 2).dtype == xp.float32
    with pytest.raises(OverflowError):
        _ = small + 1000
    same(small < 1000, numbers(4, dtype="int8") < 1000)
    small += 1
    assert small.dtype == xp.int8
    with pytest.raises(InvalidArgument, match="in the place of int8"):
        small += 1.5


def test_numbers_that_do_not_fit_are_refused() -> None:
    small, real = xp.zeros(3, dtype=xp.uint8), xp.zeros(2)
    with pytest.raises(OverflowError):
        xp.full(2, 300, dtype=xp.uint8)
    with pytest.raises(OverflowError):
        small[0] = 300
    for number in (1j, np.complex64(1j)):
        with pytest.raises(InvalidArgument, match="does not become float64"):
            real[0] = number
    with pytest.raises(InvalidArgument, match="NaN"):
        small[0] = float("nan")
    calls: list[Callable[[], object]] = [
        lambda: xp.diff(real, n=-1),
        lambda: xp.repeat(real, -1),
        lambda: xp.broadcast_to(real, (-1, 2)),
        lambda: xp.linspace(0, 1, -1),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument):
            call()
    same(small == 2**70, np.zeros(3, np.bool_))
    same(small > -(2**70), np.ones(3, np.bool_))
    assert (small == None) is False  # noqa: E711 - what it gives
    small[:2] = xp.asarray(np.array([[8, 9]], np.uint8))
    same(small, np.array([8, 9, 0], np.uint8))
