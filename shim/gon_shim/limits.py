"""Every maximum of what is built for foreign APIs, with its reason."""

from __future__ import annotations

from typing import Final

# A driver is 3,000 lines of C: seconds on any machine that is not stuck.
COMPILE_S: Final = 120
# A header of 25,000 lines takes a tenth of a second.
PREPROCESS_S: Final = 60
# Reads on their way that are remembered before it is looked which of them are here.
READS_REMEMBERED: Final = 64
