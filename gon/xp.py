"""`import gon.xp as xp`: the namespace that `gon.xp` is, whichever way it is asked for.

What is imported is that module itself: this one takes its place among the imported ones, and is
gone.
"""

from __future__ import annotations

import sys

import gon

sys.modules[__name__] = gon.xp
