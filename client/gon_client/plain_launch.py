"""The launch: one free function, as in cuda.core. The hot path of most programs, here the long way:
what gon_client._launcher leaves to it, and all there is where that is not built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.errors import BadHandle, InvalidArgument, KernelArgumentError, LaunchTooLarge
from gon.model import LaunchConfig
from gon_client.buffer import check_kind

if TYPE_CHECKING:
    from gon_client.module import Kernel
    from gon_client.stream import Stream


def launch_plainly(stream: Stream, config: LaunchConfig, kernel: Kernel, *args: object) -> None:
    """Queue `kernel` on `stream` over `config.grid` blocks of `config.block` threads.

    Arguments are device arrays or buffers for pointers, NumPy scalars of exactly the parameter's
    type or Python numbers that fit it for values, `gon.LocalBytes(n)` for block-local memory.
    Returns at once; an error of the device is raised by the next wait on the stream, naming this
    call's line.

    Raises KernelArgumentError (count, type or size, naming kernel and parameter), LaunchTooLarge,
    BadHandle (a buffer or stream of another device), LeaseLost.
    """
    try:
        capture, takes, threads = kernel.device.capturing, kernel.takes, config.threads
    except AttributeError:
        check_kind(config, LaunchConfig, "config")
        raise InvalidArgument(f"this is no kernel: {kernel!r:.40}") from None
    if len(args) != len(takes):
        raise _wrong_count(kernel, len(args))
    if getattr(stream, "device", None) is not kernel.device:
        raise BadHandle(
            f"kernel {kernel.info.name}: the stream is another device's, or none: {stream!r}"
        )
    if threads > kernel.info.max_block:
        raise LaunchTooLarge(
            f"kernel {kernel.info.name}: a block of {threads} threads {config.block}; "
            f"at most {kernel.info.max_block} are possible"
        )
    if capture is not None and capture.is_here():
        capture.add_launch(kernel, config, args)
        return
    taken = tuple([take(arg) for take, arg in zip(takes, args, strict=True)])
    kernel.device.contract.launch(
        stream.handle, kernel.handle, config.grid, config.block, config.shared_bytes, taken
    )


def _wrong_count(kernel: Kernel, given: int) -> KernelArgumentError:
    names = ", ".join(param.name for param in kernel.info.params)
    return KernelArgumentError(
        f"kernel {kernel.info.name} takes {len(kernel.takes)} arguments ({names}), "
        f"{given} were given"
    )
