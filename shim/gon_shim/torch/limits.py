"""Every maximum of PyTorch's device, its unit in its name, with its reason: as gon/limits.py."""

from __future__ import annotations

# Calls of kernels that are known, some 2 KB each: a step of training of a large net has a few
# hundred different ones.
RECIPES_MAX = 4096
# Operands of `torch._foreach_…` that are one recipe: a program takes two such of three steps each
# (ARRAY_STEPS_MAX).
EACH_MAX = 8
