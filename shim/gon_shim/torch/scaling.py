"""What a `GradScaler` asks of a device: gradients are unscaled and looked at, the scale follows.

Rules: nothing is read here. Whether a step is to be left out is a number on the unit, which the
scaler reads itself, once a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gon_shim.torch.kernels import direct


@direct("_amp_foreach_non_finite_check_and_unscale_")
def unscale(self: Sequence[Tensor], found_inf: Tensor, inv_scale: Tensor) -> None:
    """Multiply each by a number, and note whether an element was infinite, or none."""
    for each in self:
        is_wrong = each.isfinite().all().logical_not()
        found_inf.copy_(torch.maximum(found_inf, is_wrong.to(found_inf.dtype)))
        each.mul_(inv_scale)


@direct("_amp_update_scale_")
def update_scale(
    self: Tensor,
    growth_tracker: Tensor,
    found_inf: Tensor,
    scale_growth_factor: float,
    scale_backoff_factor: float,
    growth_interval: int,
) -> Tensor:
    """Let a scale shrink after a step that was left out, and grow after so many that were not."""
    is_left_out, done = found_inf > 0, growth_tracker + 1
    is_due, grown = done == growth_interval, self * scale_growth_factor
    kept = torch.where(is_due & grown.isfinite(), grown, self)
    self.copy_(torch.where(is_left_out, self * scale_backoff_factor, kept).reshape(self.shape))
    counted = torch.where(is_left_out | is_due, 0, done)
    growth_tracker.copy_(counted.reshape(growth_tracker.shape))
    return self
