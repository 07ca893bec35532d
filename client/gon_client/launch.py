"""The launch: one free function, as in cuda.core; native where that is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.native import NATIVE
from gon_client.plain_launch import launch_plainly

if TYPE_CHECKING or not NATIVE:
    launch = launch_plainly
else:
    from gon_client._launcher import launch

__all__ = ["launch"]
