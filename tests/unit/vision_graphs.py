"""Image graphs and images, drawn: each that passes the checks, also the strangest."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gon.errors import InvalidArgument, LimitExceeded
from gon.vision import (
    Bilateral,
    Canny,
    Colour,
    Corners,
    Crop,
    Decode,
    Element,
    Encode,
    Equalise,
    Filter,
    Flip,
    Gaussian,
    ImageGraph,
    Median,
    Normalise,
    Orb,
    Planar,
    Resize,
    Rotate,
    Separable,
    Sobel,
    Stage,
    Threshold,
    Warp,
    check,
)

ELEMENT: SearchStrategy[Element] = st.sampled_from(["uint8", "uint16", "float32"])
SIDE = st.one_of(st.integers(1, 9), st.integers(1, 70))
ODD = st.integers(0, 7).map(lambda half: 2 * half + 1)
# Also far beyond what images have.
NUMBER = st.one_of(
    st.floats(-3, 3, width=32),
    st.floats(-(2.0**99), 2.0**99, width=32),
    st.sampled_from([0.0, 1.0, -1.0, 1e-30]),
)
SOME = st.floats(0.015625, 300, width=32)
ANY_INTERPOLATION = st.sampled_from(["nearest", "linear", "cubic", "area", "lanczos"])
SPACE = st.sampled_from(["rgb", "bgr", "rgba", "bgra", "gray", "hsv", "lab", "ycrcb"])


def _numbers(least: int, most: int) -> SearchStrategy[tuple[float, ...]]:
    return st.lists(NUMBER, min_size=least, max_size=most).map(tuple)


def _channels(number: SearchStrategy[float]) -> SearchStrategy[tuple[float, ...]]:
    return st.sampled_from([1, 3, 4]).flatmap(
        lambda count: st.lists(number, min_size=count, max_size=count).map(tuple)
    )


@st.composite
def _kernels(draw: st.DrawFn) -> tuple[tuple[float, ...], ...]:
    rows, columns = draw(ODD), draw(ODD)
    return tuple(draw(_numbers(columns, columns)) for _ in range(rows))


@st.composite
def _canny(draw: st.DrawFn) -> Canny:
    low, more = draw(SOME), draw(SOME)
    return Canny(low=low, high=low + more, size=draw(st.sampled_from([3, 5, 7])))


_LINE: SearchStrategy[tuple[float, ...]] = ODD.flatmap(lambda size: _numbers(size, size))
_FORMS: SearchStrategy[Encode] = st.one_of(
    st.builds(Encode, form=st.just("png"), colour=st.sampled_from(["rgb", "bgr"])),
    st.builds(Encode, form=st.just("jpeg"), quality=st.integers(1, 100)),
    st.builds(Encode, form=st.just("webp"), quality=st.integers(1, 101), passes=st.booleans()),
)

STAGES: Mapping[type[Stage], SearchStrategy[Stage]] = {
    Decode: st.builds(
        Decode,
        height=SIDE,
        width=SIDE,
        colour=st.sampled_from(["rgb", "bgr", "gray"]),
        fit=st.sampled_from(["exact", "stretch", "cover", "contain"]),
        interpolation=ANY_INTERPOLATION,
    ),
    Resize: st.builds(Resize, height=SIDE, width=SIDE, interpolation=ANY_INTERPOLATION),
    Crop: st.builds(Crop, top=st.integers(0, 9), left=st.integers(0, 9), height=SIDE, width=SIDE),
    Flip: st.builds(Flip, axis=st.sampled_from(["horizontal", "vertical", "both"])),
    Rotate: st.builds(Rotate, quarters=st.sampled_from([1, 2, 3])),
    Warp: st.builds(
        Warp,
        matrix=st.one_of(_numbers(6, 6), _numbers(9, 9)),
        height=SIDE,
        width=SIDE,
        interpolation=st.sampled_from(["nearest", "linear", "cubic", "lanczos"]),
        border=st.sampled_from(["zero", "edge"]),
    ),
    Colour: st.builds(Colour, source=SPACE, target=SPACE),
    Gaussian: st.builds(Gaussian, size=ODD, sigma=SOME),
    Median: st.builds(Median, size=ODD),
    Bilateral: st.builds(
        Bilateral, diameter=st.integers(1, 9), sigma_colour=SOME, sigma_space=SOME
    ),
    Filter: st.builds(Filter, kernel=_kernels()),
    Separable: st.builds(Separable, across=_LINE, down=_LINE),
    Sobel: st.builds(
        Sobel,
        across=st.integers(0, 6),
        down=st.integers(0, 6),
        size=st.sampled_from([3, 5, 7]),
    ),
    Canny: _canny(),
    Threshold: st.builds(
        Threshold, level=NUMBER, high=NUMBER, inverse=st.booleans(), otsu=st.booleans()
    ),
    Equalise: st.builds(Equalise, clip=st.one_of(st.just(0.0), SOME), tiles=st.integers(1, 64)),
    Normalise: st.builds(
        Normalise,
        mean=_channels(NUMBER),
        deviation=_channels(NUMBER.filter(bool)),
        element=st.sampled_from(["uint8", "uint16", "float32"]),
    ),
    Planar: st.just(Planar()),
    Corners: st.builds(
        Corners,
        count_max=st.integers(1, 50),
        quality=st.floats(0.001, 1),
        distance=st.floats(0, 50),
        passes=st.booleans(),
    ),
    Orb: st.builds(
        Orb,
        count_max=st.integers(1, 50),
        levels=st.integers(1, 8),
        scale=st.floats(1.05, 4.0),
        passes=st.booleans(),
    ),
    Encode: _FORMS,
}


@st.composite
def graphs(draw: st.DrawFn) -> ImageGraph:
    """Return a graph that passes the check."""
    element = draw(ELEMENT)
    first = draw(st.one_of(*STAGES.values()))
    rest = draw(st.lists(st.one_of(*STAGES.values()), max_size=3))
    stages: list[Stage] = []
    for stage in (first, *rest):
        try:
            check(ImageGraph(element=element, stages=(*stages, stage)))
        except (InvalidArgument, LimitExceeded):
            continue
        stages.append(stage)
    if not stages:
        stages = [Planar()]
    return ImageGraph(element=element, stages=tuple(stages))
