"""The stages of image graphs; `gon.vision` says what a graph is, and gives them to who uses them.

Rules: images are rows of pixels of 1, 3 or 4 channels, in the order red, green, blue unless a stage
says otherwise; beyond its edges an image is mirrored, its edge not repeated, unless a stage says
otherwise. What a stage has no word for is OpenCV's default. Pure; knows no image's library.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Element: TypeAlias = Literal["uint8", "uint16", "float32"]
Interpolation: TypeAlias = Literal["nearest", "linear", "cubic", "area", "lanczos"]
Space: TypeAlias = Literal["rgb", "bgr", "rgba", "bgra", "gray", "hsv", "lab", "ycrcb"]

CHANNELS: Final[dict[Space, int]] = {
    "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "gray": 1, "hsv": 3, "lab": 3, "ycrcb": 3,
}  # fmt: skip


class _Part(msgspec.Struct, frozen=True, tag_field="do", kw_only=True, forbid_unknown_fields=True):
    """What stages have in common: their form."""


class Decode(_Part, frozen=True, tag="decode"):
    """Bytes of PNG, JPEG or WebP to an image of uint8 and of this size; the first stage, or none.

    An image of another size is drawn out to this (`stretch`), scaled to cover it and cut evenly on
    both sides (`cover`), scaled to fit into it with black beside (`contain`), or CorruptData
    (`exact`). Transparency is left out, orientation is as the bytes are.
    """

    height: int
    width: int
    colour: Literal["rgb", "bgr", "gray"] = "rgb"
    fit: Literal["exact", "stretch", "cover", "contain"] = "stretch"
    interpolation: Interpolation = "area"


class Resize(_Part, frozen=True, tag="resize"):
    """To another size. `area` is best to shrink, `linear` and `cubic` to enlarge."""

    height: int
    width: int
    interpolation: Interpolation = "linear"


class Crop(_Part, frozen=True, tag="crop"):
    """To a part of it, which must lie inside; nothing is copied for that."""

    top: int
    left: int
    height: int
    width: int


class Flip(_Part, frozen=True, tag="flip"):
    """Left to right (`horizontal`), top to bottom (`vertical`) or `both`."""

    axis: Literal["horizontal", "vertical", "both"] = "horizontal"


class Rotate(_Part, frozen=True, tag="rotate"):
    """By so many quarters of a turn, clockwise."""

    quarters: Literal[1, 2, 3] = 1


class Warp(_Part, frozen=True, tag="warp"):
    """By a matrix that takes (x, y) of the image to where it comes to lie: of 6 numbers, two rows,
    affine; of 9, three rows, perspective. Beside the image there is `zero`, or its `edge` goes on.
    """

    matrix: tuple[float, ...]
    height: int
    width: int
    interpolation: Literal["nearest", "linear", "cubic", "lanczos"] = "linear"
    border: Literal["zero", "edge"] = "zero"


class Colour(_Part, frozen=True, tag="colour"):
    """From one space of colours to another. One of both is rgb or bgr, or both are among rgb, bgr,
    rgba, bgra and gray. hsv, lab and ycrcb are OpenCV's: of uint8 or of float32 from 0 to 1.
    """

    source: Space
    target: Space


class Gaussian(_Part, frozen=True, tag="gaussian"):
    """Blur over `size` × `size` pixels, odd; a `sigma` of 0 is what befits that size."""

    size: int
    sigma: float = 0.0


class Median(_Part, frozen=True, tag="median"):
    """The median of `size` × `size` pixels, odd; 3 or 5 but for uint8. Edges are repeated."""

    size: int


class Bilateral(_Part, frozen=True, tag="bilateral"):
    """Blur that keeps edges: over a circle of `diameter` pixels, weighted by how near they are, and
    how alike. Images of uint8 or float32, of 1 or 3 channels.
    """

    diameter: int
    sigma_colour: float
    sigma_space: float


class Filter(_Part, frozen=True, tag="filter"):
    """Each pixel's neighbours, weighted by the rows of a kernel about its middle, and added. It is
    not turned round: a convolution has its kernel turned by 180°.
    """

    kernel: tuple[tuple[float, ...], ...]


class Separable(_Part, frozen=True, tag="separable"):
    """`Filter` by the product of two kernels, one along rows and one along columns."""

    across: tuple[float, ...]
    down: tuple[float, ...]


class Sobel(_Part, frozen=True, tag="sobel"):
    """Derivatives: of order `across` along rows and `down` along columns, as float32."""

    across: int = 1
    down: int = 0
    size: Literal[3, 5, 7] = 3


class Canny(_Part, frozen=True, tag="canny"):
    """Edges of a gray uint8 image: 255 where a gradient is above `high`, or above `low` and
    connected to such, 0 elsewhere.
    """

    low: float
    high: float
    size: Literal[3, 5, 7] = 3


class Threshold(_Part, frozen=True, tag="threshold"):
    """`high` where an element is above `level`, 0 elsewhere, or the other way round (`inverse`).
    With `otsu` an image's own histogram tells the level: of gray uint8.
    """

    level: float = 0.0
    high: float = 255.0
    inverse: bool = False
    otsu: bool = False


class Equalise(_Part, frozen=True, tag="equalise"):
    """Spread the histogram of a gray uint8 image; with a `clip` above 0 that of each of `tiles` ×
    `tiles` parts, with its contrast limited (CLAHE): of gray uint8 or uint16.
    """

    clip: float = 0.0
    tiles: int = 8


class Normalise(_Part, frozen=True, tag="normalise"):
    """(x - mean) / deviation, of each channel or of all alike, as float32; as uint8 or uint16
    rounded, and no more than what those can be.
    """

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)
    element: Element = "float32"


class Planar(_Part, frozen=True, tag="planar"):
    """Channels before rows, as networks take it: (C, H, W). The last stage, or none."""


class Corners(_Part, frozen=True, tag="corners"):
    """Up to `count_max` corners of a gray image of uint8 or float32, by Shi and Tomasi, the
    strongest first: none weaker than `quality` times the first, none nearer than `distance` to a
    stronger one. With `passes` the image goes on.
    """

    count_max: int = 1000
    quality: float = 0.01
    distance: float = 10.0
    passes: bool = False


class Orb(_Part, frozen=True, tag="orb"):
    """Up to `count_max` key points of a gray uint8 image, and their descriptors of 256 bits (ORB).
    With `passes` the image goes on.
    """

    count_max: int = 500
    levels: int = 8
    scale: float = 1.2
    passes: bool = False


class Encode(_Part, frozen=True, tag="encode"):
    """An image to bytes: `png` (uint8, uint16), `jpeg` (uint8, no transparency) or `webp` (uint8,
    in colour; lossless with a quality of 101). `colour` says in what order its channels are.

    Each image has room for `room_bytes`; for all that may be needed with 0. What does not fit is
    LimitExceeded. With `passes` the image goes on.
    """

    form: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 90
    colour: Literal["rgb", "bgr"] = "rgb"
    room_bytes: int = 0
    passes: bool = False


Stage: TypeAlias = (
    Decode | Resize | Crop | Flip | Rotate | Warp | Colour | Gaussian | Median | Bilateral | Filter
    | Separable | Sobel | Canny | Threshold | Equalise | Normalise | Planar | Corners | Orb | Encode
)  # fmt: skip


def name_of(stage: Stage) -> str:
    """Return the word that a stage has in a graph's text."""
    return str(stage.__struct_config__.tag)


def passes_image(stage: Stage) -> bool:
    """Return whether an image that further stages take comes out of a stage."""
    if isinstance(stage, Planar):
        return False
    return stage.passes if isinstance(stage, Corners | Orb | Encode) else True
