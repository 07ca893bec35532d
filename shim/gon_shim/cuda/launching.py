"""Launches: a kernel's arguments are read from the program's memory, as its signature says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from _gon_cuda import ffi, lib
from gon.model import BufferAt, LaunchArg, Param, ParamKind
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import CuError, require
from gon_shim.cuda.modules import FUNCTIONS
from gon_shim.cuda.scopes import unit
from gon_shim.cuda.streams import lane_of
from gon_shim.cuda.unit import Unit

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers


@entry("cuLaunchKernel")
def launch(
    handle: CData, grid_x: int, grid_y: int, grid_z: int, block_x: int, block_y: int, block_z: int,
    shared_bytes: int, stream: CData, params: Pointers, extra: Pointers,
) -> None:  # fmt: skip
    here, kernel = unit(), FUNCTIONS.of(handle)
    lane = lane_of(stream)
    grid, block = (grid_x, grid_y, grid_z), (block_x, block_y, block_z)
    require(min(*grid, *block) > 0, lib.CUDA_ERROR_INVALID_VALUE)
    require(block_x * block_y * block_z <= kernel.info.max_block, lib.CUDA_ERROR_INVALID_VALUE)
    # All arguments in one piece of memory: how they lie there a signature does not tell.
    require(not extra, lib.CUDA_ERROR_NOT_SUPPORTED)
    wanted = kernel.info.params
    require(params or not wanted, lib.CUDA_ERROR_INVALID_VALUE)
    args = tuple(_argument(here, param, params[index]) for index, param in enumerate(wanted))
    on = lane.ready().handle
    here.device.contract.launch(on, kernel.handle, grid, block, shared_bytes, args)
    lane.queued()


def _argument(here: Unit, param: Param, at: CData) -> LaunchArg:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    if param.kind is ParamKind.BUFFER:
        buffer, offset = here.at(cast("Numbers", ffi.cast("uint64_t *", at))[0])
        return BufferAt(buffer.handle, offset) if offset else buffer.handle
    if not param.size_bytes:
        raise CuError(lib.CUDA_ERROR_NOT_SUPPORTED)
    return bytes(ffi.buffer(at, param.size_bytes))
