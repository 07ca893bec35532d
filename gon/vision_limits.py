"""Every maximum of image graphs, its unit in its name, with its reason: as gon/limits.py, which
both sides check too.
"""

from __future__ import annotations

from gon.limits import KIB, MIB

# An image graph as it is coded, and its stages.
VISION_CODED_BYTES_MAX = 64 * KIB
VISION_STAGES_MAX = 32
# A side of an image: what WebP can hold; OpenCV's warps reach twice as far.
VISION_SIDE_MAX = 16_383
# An image, before it is decoded too: a camera of 64 million pixels fits, what a few bytes promise
# to be 60,000 × 60,000 does not.
VISION_PIXELS_MAX = 1 << 26
VISION_CHANNELS_MAX = 4
# Images of one call.
VISION_IMAGES_MAX = 4096
# An encoded image, before and after: a PNG of the most pixels that cannot be shrunk is no smaller.
VISION_ENCODED_BYTES_MAX = 512 * MIB
# How often a JPEG may go over its pixels, each time at their whole cost; encoders do ten at most.
VISION_SCANS_MAX = 64
# Segments of a JPEG, each looked at by itself: a colour profile has a dozen, a scan two.
VISION_SEGMENTS_MAX = 4096
# Kernels of filters: each pixel costs their area (own ones, bilateral: 0.1 ms for 1,000 pixels of
# the largest) or their length (Gaussian, separable).
VISION_KERNEL_MAX = 31
VISION_KERNEL_LONG_MAX = 255
# Tiles of an equalisation, along a side: each has a table.
VISION_TILES_MAX = 64
# Corners or key points of one image.
VISION_POINTS_MAX = 16_384
