"""`gon.xp` on a device of this process, beside NumPy."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import gon
from gon.array_limits import ARRAY_PROGRAMS_MAX, ARRAY_STEPS_MAX
from gon.errors import BadHandle, InvalidArgument, Unsupported
from gon.model import Handle, Program
from gon_client.device import Device
from gon_client.xp import pins, runner
from gon_client.xp.default import DEFAULT, Default
from gon_client.xp.storage import Storage
from tests.unit.xp_arrays import numbers, same

xp = gon.xp


@pytest.fixture(scope="module", autouse=True)
def device() -> Iterator[Device]:
    """The device of all arrays here."""
    with gon.local("sim:", personalities=("gpu", "dpu")) as opened, xp.use(opened):
        yield opened


class Counted:
    """Counts what a device loads and launches."""

    def __init__(self, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads = self.launches = 0
        self.steps: list[int] = []
        contract = device.contract
        load, launch = contract.load, contract.launch

        def counted_load(module: Handle, program: Program) -> object:
            self.loads += 1
            return load(module, program)

        def counted_launch(*args: object) -> None:
            self.launches += 1
            launch(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(contract, "load", counted_load)
        monkeypatch.setattr(contract, "launch", counted_launch)


@pytest.fixture
def counted(device: Device, monkeypatch: pytest.MonkeyPatch) -> Counted:
    device.arrays._programs.clear()
    return Counted(device, monkeypatch)


# What costs what -----------------------------------------------------------------------------
def test_a_chain_is_one_program_and_one_launch(counted: Counted) -> None:
    x = xp.asarray(numbers(1000))
    host = numbers(1000)
    wanted = np.sqrt(np.abs(host * 2 + 1)) / 3 - host[::-1]
    for _ in range(3):
        y = xp.sqrt(xp.abs(x * 2 + 1)) / 3 - x[::-1]
        assert counted.launches == 0
        same(y, wanted)
        assert counted.launches == 1
        counted.launches = 0
    assert counted.loads == 1


def test_what_is_kept_and_not_read_holds_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    x = xp.asarray(numbers(1000))
    monkeypatch.setattr(pins, "ARRAY_PINNED_BYTES_MAX", 10 * x.nbytes)
    kept: list[gon.xp.Array] = []
    large: list[weakref.ref[Storage]] = []
    for step in range(60):
        # Made on the device for another's sake, and gone but for the sum of it.
        more = xp.sqrt(xp.abs(x + step)) * 2
        kept.append(xp.sum(more) + 1)
        more.storage.runner.evaluate([more.storage])
        large.append(weakref.ref(more.storage))
        del more
        assert sum(each() is not None for each in large) <= 25
    same(kept[7], np.sum(np.sqrt(np.abs(numbers(1000) + np.float32(7))) * 2) + 1)


def test_where_things_lie_and_what_numbers_are_makes_no_other_program(counted: Counted) -> None:
    x = xp.asarray(numbers(20, 30))
    for row in range(20):
        same(x[row, 1:] * float(row), numbers(20, 30)[row, 1:] * np.float32(row))
    assert counted.loads == 1


def test_what_is_still_wanted_is_made_once(counted: Counted) -> None:
    x = xp.asarray(numbers(10))
    half = x / 2
    first, second = half + 1, half + 2
    same(first, numbers(10) / np.float32(2) + np.float32(1))
    assert counted.launches == 1
    same(half, numbers(10) / np.float32(2))
    assert counted.launches == 1
    same(second, numbers(10) / np.float32(2) + np.float32(2))
    assert counted.launches == 2


def test_a_long_loop_is_sent_in_programs_of_the_most_steps(counted: Counted) -> None:
    x, host = xp.asarray(numbers(8)), numbers(8)
    for _ in range(3 * ARRAY_STEPS_MAX):
        x, host = x * 0.5 + 1, host * np.float32(0.5) + np.float32(1)
    same(x, host)
    assert counted.loads <= 3
    doubled = xp.asarray(np.ones(2, np.int64))
    for _ in range(40):
        doubled = doubled + doubled
    same(doubled, np.full(2, 1 << 40))


def test_programs_are_kept_up_to_a_number(device: Device) -> None:
    for size in range(1, ARRAY_PROGRAMS_MAX + 20):
        (xp.ones(size) + 1).device_array()
    assert len(device.arrays._programs) <= ARRAY_PROGRAMS_MAX


def test_many_arrays_are_joined(device: Device) -> None:
    parts = [numbers(3, 2) + np.float32(number) for number in range(150)]
    same(xp.concat([xp.asarray(part) for part in parts]), np.concatenate(parts))
    assert xp.unstack(xp.stack([xp.asarray(part) for part in parts]))[149].shape == (3, 2)


def test_a_change_of_personality_makes_programs_anew(device: Device, counted: Counted) -> None:
    x = xp.asarray(numbers(4))
    same(x + 1, numbers(4) + np.float32(1))
    device.reconfigure("dpu")
    later = x + 1
    with pytest.raises(Unsupported, match="the unit is a dpu now"):
        later.numpy()
    device.reconfigure("gpu")
    same(later, numbers(4) + np.float32(1))
    assert counted.loads >= 2


# What it gives -------------------------------------------------------------------------------
KEYS: list[object] = [
    0, -1, slice(1, None), slice(None, None, -2), (slice(None), 1), (..., 2), (1, ..., None),
    (None, slice(2, 0, -1), slice(0, 3, 2)), (slice(5, 2), 0), (1, 2, 3), (), ...,
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_parts_are_views_that_are_written_through(key: object) -> None:
    host = numbers(3, 4, 5)
    x = xp.asarray(host.copy())
    turned, host_turned = xp.permute_dims(x, (2, 0, 1)), host.transpose(2, 0, 1)
    for array, there in ((x, host), (turned, host_turned)):
        try:
            wanted = there[key]  # type: ignore[index]
        except IndexError:
            with pytest.raises(IndexError):
                array[key]  # type: ignore[index]
            continue
        same(array[key], np.asarray(wanted))  # type: ignore[index]
        array[key] = 7  # type: ignore[index]
        there[key] = 7  # type: ignore[index]
    same(x, host)
    same(turned, host_turned)


def test_what_was_noted_before_a_write_sees_what_was_there_before() -> None:
    host = numbers(6)
    x = xp.asarray(host.copy())
    before = x + 1
    x[1:] = x[:-1]
    same(before, host + np.float32(1))
    host[1:] = host[:-1].copy()
    same(x, host)
    view = x[2:4]
    view *= 2
    host[2:4] *= 2
    same(x, host)
    x[x > 3] = 0
    host[host > 3] = 0
    same(x, host)
    x[x == 0] = xp.asarray(numbers(3))[: int(xp.count_nonzero(x == 0))]
    host[host == 0] = numbers(3)[: np.count_nonzero(host == 0)]
    same(x, host)
    for copied in (copy.copy(x), copy.deepcopy(x)):
        copied[...] = 0
        same(x, host)
    with pytest.raises(InvalidArgument, match="seen more than once"):
        xp.broadcast_to(x, (2, 6))[...] = 1


def test_arrays_of_places_and_masks() -> None:
    host = numbers(4, 5, 6)
    x = xp.asarray(host)
    rows, columns = np.array([[0, 3], [-1, 1]]), np.array([2, 0])
    at, to = xp.asarray(rows), xp.asarray(columns)
    same(x[at], host[rows])
    same(x[at, to], host[rows, columns])
    same(x[:, at, to], host[:, rows, columns])
    same(x[at, :, to], host[rows, :, columns])
    same(x[2, at, ::2], host[2, rows, ::2])
    same(x[None, :, to], host[None, :, columns])
    mask = host[:, :, 0] > 0
    same(x[xp.asarray(mask)], host[mask])
    same(x[x > 10], host[host > 10])
    for found, wanted in zip(xp.nonzero(x > 10), np.nonzero(host > 10), strict=True):
        same(found, wanted)
    with pytest.raises(IndexError, match="a mask of"):
        x[xp.ones((3,), dtype=xp.bool)]
    with pytest.raises(IndexError, match="an index is"):
        x[[0, 1]]  # type: ignore[index]
    wrong = x[xp.asarray([4])]
    with pytest.raises(InvalidArgument, match="out of bounds"):
        wrong.numpy()


# How it meets others -------------------------------------------------------------------------
def test_one_element_is_a_number_of_pythons() -> None:
    x = xp.asarray([2, 3])
    assert (int(x[0]), float(x[1]), bool(x[0] > 5), complex(x[0])) == (2, 3.0, False, 2 + 0j)
    assert [10, 20, 30][x[0]] == 30
    with pytest.raises(TypeError, match="is not one number"):
        bool(x)
    with pytest.raises(TypeError, match=r"x\.numpy\(\)"):
        np.asarray(x)
    assert np.from_dlpack(x).tolist() == [2, 3]  # type: ignore[arg-type]
    assert xp.from_dlpack(np.arange(3)).numpy().tolist() == [0, 1, 2]


def test_an_array_of_kernels_is_used_where_it_lies(device: Device) -> None:
    given = device.asarray(numbers(6))
    x = xp.asarray(given)
    later = x + 1
    given.fill(9)
    same(later, numbers(6) + np.float32(1))
    same(x, np.full(6, 9, np.float32))
    x[0] = 5
    assert given.get()[0] == 5
    doubled = (x * 2)[1:].device_array()
    assert doubled.get().tolist() == [18] * 5
    xp.asarray(given)[:3] = x[3:] + x[:3]
    xp.asarray(given)[3:] = x[:3]
    assert given.get().tolist() == [14, 18, 18] * 2


def test_arrays_stay_on_their_device(device: Device) -> None:
    with gon.local("sim:", personalities=("apu",)) as other:
        x, y = xp.ones(3), xp.ones(3, device=other)
        assert (x.device, y.device) == (device, other)
        with pytest.raises(InvalidArgument, match="arrays of two devices"):
            _ = x + y
        same(x + y.to_device(device), np.full(3, 2.0))
        with xp.use(other):
            assert xp.zeros(1).device is other
        assert xp.zeros(1).device is device
    with gon.local("sim:") as bare, pytest.raises(Unsupported, match="and no arrays"):
        xp.use(bare)


def test_without_a_device_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GON_HOST", "GON_LEASE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadHandle, match=r"gon\.xp\.use\(device\)"):
        Default().device  # noqa: B018 - that it raises
    assert DEFAULT.chosen() is not None


def test_what_fails_is_told_by_the_wait_and_what_follows_works() -> None:
    bad = xp.asarray([2, 3]) ** xp.asarray([-1, 1])
    with pytest.raises(InvalidArgument, match="negative integer powers"):
        bad.numpy()
    same(xp.asarray([1, 2]) + 1, np.array([2, 3]))
    with pytest.raises(InvalidArgument, match="do not go together"):
        _ = xp.ones(3) + xp.ones(4)
    with pytest.raises(InvalidArgument, match="cannot be of"):
        xp.broadcast_to(xp.ones(3), (4,))


def test_what_fails_takes_nothing_else_with_it() -> None:
    x = xp.asarray(numbers(3))
    later, places = x * 2, xp.asarray([7])
    wrong, right, both = x[places], x[places - 5], x[places] + x[places - 5]
    view = x[1:]
    x[0] = 5
    view += 1
    wanted = numbers(3)
    wanted[0] = 5
    wanted[1:] += 1
    same(x, wanted)
    same(later, numbers(3) * 2)
    same(right, numbers(3)[[2]])
    for bad in (wrong, both, wrong + 1):
        for _ in range(2):
            with pytest.raises(InvalidArgument, match="out of bounds"):
                bad.numpy()
    with pytest.raises(InvalidArgument, match="out of bounds"):
        x[...] = wrong
    same(x, wanted)


def test_what_may_fail_and_does_not_is_one_launch_more(counted: Counted) -> None:
    x, host = xp.asarray(numbers(8)), numbers(8)
    places = xp.asarray(np.arange(8)[::-1].copy())
    for _ in range(4):
        x, host = (x + 1)[places] * 2, (host + np.float32(1))[::-1] * np.float32(2)
    same(x, host)
    assert counted.launches == 2


def test_readers_of_several_threads_are_all_run_before_a_write() -> None:
    x = xp.zeros(4)
    kept: list[xp.Array] = []
    threads = [threading.Thread(target=lambda: kept.extend(x + n for n in range(200)))
               for _ in range(4)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    x[...] = 1000.0
    assert sorted(float(each[0]) for each in kept) == sorted([*range(200)] * 4)


def test_threads_that_come_first_share_one_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    made: list[object] = []

    def runner_on(device: Device) -> object:
        made.append(device)
        return object()

    monkeypatch.setattr(runner, "runner_on", runner_on)
    with gon.local("sim:", personalities=("gpu",)) as other:
        found: list[object] = []

        def first() -> None:
            both.wait()
            found.append(other.arrays)

        threads = [threading.Thread(target=first) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 1
    assert found[0] is found[1]


def test_the_namespace_is_the_standards() -> None:
    x = xp.ones(2)
    assert x.__array_namespace__() is gon.xp
    info = xp.__array_namespace_info__()
    assert info.default_device() is x.device
    assert info.dtypes(kind="real floating") == {"float32": xp.float32, "float64": xp.float64}
    assert xp.finfo(xp.complex64).bits == 32
    assert xp.isdtype(xp.int8, ("bool", "signed integer"))
    assert xp.result_type(xp.int8, xp.uint8, 1) == xp.int16
    assert all(callable(getattr(xp, name)) or name in vars(xp) for name in xp.__all__)
