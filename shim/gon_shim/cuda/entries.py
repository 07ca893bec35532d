"""All entries of the driver: importing this defines them."""

from __future__ import annotations

from _gon_cuda import ffi
from gon_shim.cuda import device, launching, memory, modules, scopes, streams
from gon_shim.cuda.entry import check_bound
from gon_shim.leased import run_exit_functions

__all__ = ["device", "launching", "memory", "modules", "scopes", "streams"]

check_bound()
ffi.def_extern(name="gon_shutdown")(run_exit_functions)
