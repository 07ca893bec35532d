"""What PyTorch calls in every process that imports it (entry point "torch.backends").

Rules: it makes the device where the environment names a host, as under `gon run`, and nothing else:
no import of PyTorch costs more for it elsewhere, or fails. TORCH_DEVICE_BACKEND_AUTOLOAD=0 keeps
PyTorch from calling.
"""

from __future__ import annotations

import os
import sys
import warnings

_NAMED_BY = ("GON_HOST", "GON_LEASE")
_DEVICE = "gon_shim.torch"


def load() -> None:
    """Make the device "gon", where there is a host for it."""
    if not any(os.environ.get(name) for name in _NAMED_BY):
        return
    if _DEVICE in sys.modules:
        # PyTorch is imported by it: it makes the device as soon as that is done.
        return
    try:
        import gon_shim.torch as made

        if not made.BACKENDS:
            raise ImportError(f"{_DEVICE} has made none")
    except Exception as error:  # noqa: BLE001 - PyTorch's import would fail with whatever is raised
        # Another PyTorch, or one whose place for devices of others is taken: it works without.
        warnings.warn(f'there is no torch.device("gon"): {error}', RuntimeWarning, stacklevel=2)
