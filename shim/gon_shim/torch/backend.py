"""`torch.gon`: what PyTorch and its programs ask a device's module."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from gon.errors import GonError
from gon_client.xp.default import DEFAULT
from gon_shim.torch import compiling
from gon_shim.torch.random import STREAM


def __getattr__(name: str) -> object:
    return compiling.part(name)


class device:  # noqa: N801 - PyTorch's name
    """A block whose device is this one: there is one."""

    def __init__(self, device: object = None) -> None:
        del device

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


def is_initialized() -> bool:
    return True


def is_available() -> bool:
    """Say whether there is a unit: one is leased if none is yet."""
    try:
        DEFAULT.device.arrays  # noqa: B018 - that there is one, and it takes them
    except GonError:
        return False
    return True


def device_count() -> int:
    return 1


def current_device() -> int:
    return 0


def set_device(device: object) -> None:
    del device


def get_device_name(device: object = None) -> str:
    del device
    return DEFAULT.device.name


def synchronize(device: object = None) -> None:
    """Wait until all that was posted is done."""
    del device
    DEFAULT.device.sync()


def get_amp_supported_dtype() -> list[torch.dtype]:
    return [torch.float16, torch.bfloat16]


def manual_seed(seed: int) -> None:
    """Begin the stream of random numbers of a seed."""
    STREAM.begin(int(seed))


manual_seed_all = manual_seed


def initial_seed() -> int:
    return STREAM.seed


def get_rng_state(device: object = None) -> Tensor:
    del device
    return STREAM.state()


def set_rng_state(new_state: Tensor, device: object = None) -> None:
    del device
    STREAM.restore(new_state)


def _is_in_bad_fork() -> bool:  # pyright: ignore[reportUnusedFunction] - PyTorch's name
    """Say whether the device is of no use to a child: it leases a unit of its own."""
    return False
