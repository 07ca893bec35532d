"""Every maximum of images that a client knows, with its reason: as gon/limits.py."""

from __future__ import annotations

from gon.limits import MIB

# What of an image's bytes is on its way through a buffer at once, which the lease's memory holds
# besides: several pieces of a transfer, so that a larger one gains nothing.
STAGING_BYTES_MAX = 32 * MIB
