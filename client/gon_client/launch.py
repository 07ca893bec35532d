"""The launch: one free function, as in cuda.core."""

from __future__ import annotations

from gon.model import LaunchConfig
from gon_client.module import Kernel
from gon_client.stream import Stream


def launch(stream: Stream, config: LaunchConfig, kernel: Kernel, *args: object) -> None:
    """Queue `kernel` on `stream` over `config.grid` blocks of `config.block` threads.

    Arguments are device arrays or buffers for pointers, NumPy scalars of exactly the parameter's
    type or Python numbers that fit it for values, `gon.LocalBytes(n)` for block-local memory.
    Returns at once; an error of the device is raised by the next wait on the stream, naming this
    call's line.

    Raises KernelArgumentError (count, type or size, naming kernel and parameter), LaunchTooLarge,
    BadHandle (a buffer or stream of another device), LeaseLost.
    """
    kernel.launch(stream, config, args)
