"""Image graphs, called as functions: images of a device through stages to arrays of the device.

A call is a launch: it is queued, and returns at once with arrays that the stream will have written.

Rules: one image is (height, width) or (height, width, channels), several are (count, height, width,
channels); what comes out of one image has no dimension for their count either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from gon.errors import InvalidArgument, KernelArgumentError, LimitExceeded
from gon.limits import SHAPES_CACHED_MAX
from gon.model import LaunchConfig, ParamKind
from gon.vision import VISION_FORMAT, Element, ImageGraph, Stage, decode, encode, name_of
from gon.vision_limits import VISION_ENCODED_BYTES_MAX
from gon.vision_shape import FUNCTION, Images, decoded, dimensions, inputs, outputs
from gon_client.array import DeviceArray
from gon_client.buffer import HostArray
from gon_client.launch import launch

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.models import Models
    from gon_client.stream import Stream

_ONCE: Final = LaunchConfig(1)

Given: TypeAlias = DeviceArray | HostArray | bytes | Sequence[bytes]
Sizes: TypeAlias = Sequence[int] | DeviceArray


class EncodedImages(NamedTuple):
    """What an `Encode` gives: the room that each image was given, and how many bytes it took."""

    room: DeviceArray
    lengths: DeviceArray

    def get(self, *, stream: Stream | None = None) -> list[bytes]:
        """Return the encoded images. Waits for their sizes, then for them."""
        lengths = self.lengths.get(stream=stream).reshape(-1)
        rows = self.room.reshape(len(lengths), -1)
        reads = [
            rows[place][: int(length)].get_async(stream=stream)
            for place, length in enumerate(lengths)
        ]
        return [read.result().tobytes() for read in reads]


class FoundCorners(NamedTuple):
    """What `Corners` gives: their places (x, y), and how many of the rows are such."""

    places: DeviceArray
    found: DeviceArray


class FoundPoints(NamedTuple):
    """What an `Orb` gives: key points (gon.vision_shape.POINT), descriptors, how many there are."""

    points: DeviceArray
    descriptors: DeviceArray
    found: DeviceArray


Output: TypeAlias = DeviceArray | EncodedImages | FoundCorners | FoundPoints


class _Taken(NamedTuple):
    """What a call is given: arrays, not uploaded yet, what tells it from other calls, and whether
    it is of one image.
    """

    arrays: Sequence[DeviceArray | HostArray]
    key: tuple[int, ...]
    single: bool


class _Plan(NamedTuple):
    """What follows from the images of a call: sizes by name, and the arrays that it gives."""

    sizes: Mapping[str, int]
    made: Sequence[tuple[tuple[int, ...], np.dtype[np.generic]]]


def vision_on(
    device: Models, stages: ImageGraph | Sequence[Stage], element: Element | None
) -> DeviceVision:
    """As `Device.vision` says."""
    if not isinstance(stages, ImageGraph):
        stages = ImageGraph(stages=tuple(stages), element=element or "uint8")
    elif element not in (None, stages.element):
        raise InvalidArgument(f"a graph of {stages.element}, and element={element!r}")
    return DeviceVision(device, stages)


class DeviceVision:
    """An image graph on one device. Made by `Device.vision`; `graph` says what it does."""

    def __init__(self, device: Models, graph: ImageGraph) -> None:
        coded = encode(graph)
        self.graph = decode(coded)
        self._inputs, self._outputs = inputs(self.graph), outputs(self.graph)
        module = device.compile(coded, VISION_FORMAT)
        self._device: Device = module.device
        self._kernel = module.get_kernel(FUNCTION)
        self._plans: dict[tuple[int, ...], _Plan] = {}

    def __repr__(self) -> str:
        stages = " > ".join(name_of(stage) for stage in self.graph.stages)
        return f"DeviceVision({self.graph.element}: {stages})"

    @property
    def device(self) -> Device:
        return self._device

    def __call__(
        self,
        images: Given,
        /,
        *,
        sizes: Sizes | None = None,
        out: Output | Sequence[Output] | None = None,
        stream: Stream | None = None,
    ) -> Output | tuple[Output, ...]:
        """Queue the graph on `images`, on `stream` (the default one if not given), and return what
        it gives: the image, or what its last stage gives instead; a tuple, in the order of the
        stages and with the image at its end, where that is several things.

        Images are an array of the device, or one of NumPy, which is uploaded. A graph that decodes
        takes bytes, a list of bytes, or an array of bytes; where that holds several images, one
        behind the other, `sizes` tells the bytes of each: numbers, or a uint64 array of the device,
        which is looked at when the graph runs. `out` are arrays to write instead of new ones: what
        a call gave. What is found wrong with the content, as CorruptData, is raised by the next
        wait.

        Raises InvalidArgument for images that a stage does not take, and LimitExceeded.
        """
        device = self._device
        taken, key, single = (
            self._encoded(images, sizes) if self.graph.decodes else self._plain(images, sizes)
        )
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(key, single=single)
            if len(self._plans) >= SHAPES_CACHED_MAX:
                self._plans.clear()
            self._plans[key] = plan
        arrays = [each if isinstance(each, DeviceArray) else device.asarray(each) for each in taken]
        if out is None:
            results = [device.empty(shape, dtype) for shape, dtype in plan.made]
        else:
            results = _checked(out, plan)
        names = [tensor.name for tensor in (*self._inputs, *self._outputs)]
        tensors = dict(zip(names, (*arrays, *results), strict=True))
        values = {**plan.sizes, "data.bytes": arrays[0].nbytes}
        args: list[object] = [
            tensors[param.name] if param.kind is ParamKind.BUFFER else values[param.name]
            for param in self._kernel.info.params
        ]
        launch(stream or device.default_stream, _ONCE, self._kernel, *args)
        return _grouped(self._outputs_of_call(results))

    def _plain(self, given: Given, sizes: Sizes | None) -> _Taken:
        if sizes is not None:
            raise InvalidArgument("sizes are of encoded images, and these are none")
        if not isinstance(given, DeviceArray | np.ndarray):
            raise KernelArgumentError(f"{self!r} takes an array, not a {type(given).__name__}")
        if given.dtype != np.dtype(self.graph.element) or given.ndim not in (2, 3, 4):
            raise KernelArgumentError(
                f"{self!r} takes {self.graph.element} of (height, width), (height, width, channels)"
                f" or (count, height, width, channels); {given.dtype}{list(given.shape)} was given"
            )
        return _Taken([given], tuple(given.shape), single=given.ndim < 4)

    def _encoded(self, given: Given, sizes: Sizes | None) -> _Taken:
        if isinstance(given, Sequence) and not isinstance(given, bytes):
            if sizes is not None:
                raise InvalidArgument("sizes of a list, whose parts have theirs")
            sizes = [len(each) for each in given]
            given = b"".join(given)
        if isinstance(given, bytes):
            given = np.frombuffer(given, np.uint8)
        if given.ndim != 1 or given.dtype != np.uint8:
            raise KernelArgumentError(
                f"{self!r} takes bytes; {given.dtype}{list(given.shape)} was given"
            )
        if isinstance(sizes, DeviceArray):
            if sizes.ndim != 1 or sizes.dtype != np.uint64:
                raise KernelArgumentError(f"sizes of {sizes.dtype}{list(sizes.shape)}; uint64")
            return _Taken([given, sizes], (len(sizes), 0), single=False)
        parts = [given.nbytes] if sizes is None else [int(size) for size in sizes]
        if min(parts, default=0) < 1 or sum(parts) != given.nbytes:
            told = "of no bytes" if min(parts, default=0) < 1 else f"of {sum(parts)} bytes in all"
            raise InvalidArgument(f"encoded images {told}, in {given.nbytes} bytes")
        if max(parts) > VISION_ENCODED_BYTES_MAX:
            most = VISION_ENCODED_BYTES_MAX
            raise LimitExceeded(f"an image of {max(parts)} bytes; at most {most}")
        single = sizes is None
        lengths = np.array(parts, np.uint64)
        return _Taken([given, lengths], (len(parts), int(single)), single=single)

    def _plan(self, key: tuple[int, ...], *, single: bool) -> _Plan:
        """Check images of these sizes, and find what follows from them."""
        if self.graph.decodes:
            images = decoded(self.graph, key[0])
        else:
            count, height, width, channels = {
                2: (1, *key, 1), 3: (1, *key), 4: key
            }[len(key)]  # fmt: skip
            images = Images(count, height, width, channels, self.graph.element)
        sizes = dimensions(self.graph, images)
        made: list[tuple[tuple[int, ...], np.dtype[np.generic]]] = []
        for tensor in self._outputs:
            shape = tuple(sizes[dim] if isinstance(dim, str) else dim for dim in tensor.shape)
            if single:
                shape = shape[1:]
                if tensor.shape[-1] == "result.channels" and shape[-1] == 1:
                    shape = shape[:-1]
            made.append((shape, np.dtype(tensor.element)))
        return _Plan(sizes, made)

    def _outputs_of_call(self, results: Sequence[DeviceArray]) -> list[Output]:
        """Return the arrays of a call, those of one stage together."""
        named = {tensor.name: array for tensor, array in zip(self._outputs, results, strict=True)}
        found: list[Output] = []
        for name, array in named.items():
            kind, _, stage = name.partition("_")
            match kind:
                case "encoded":
                    found.append(EncodedImages(array, named[f"lengths_{stage}"]))
                case "corners":
                    found.append(FoundCorners(array, named[f"found_{stage}"]))
                case "points":
                    descriptors = named[f"descriptors_{stage}"]
                    found.append(FoundPoints(array, descriptors, named[f"found_{stage}"]))
                case "result":
                    found.append(array)
                case _:
                    pass
        return found


def _grouped(found: Sequence[Output]) -> Output | tuple[Output, ...]:
    return found[0] if len(found) == 1 else tuple(found)


def _checked(out: Output | Sequence[Output], plan: _Plan) -> list[DeviceArray]:
    """Return the arrays to write. Raises KernelArgumentError for others than are needed."""
    given: list[DeviceArray] = []
    for each in (out,) if isinstance(out, DeviceArray) else out:
        given += (each,) if isinstance(each, DeviceArray) else each
    told = [f"{each.dtype}{list(each.shape)}" for each in given]
    needed = [f"{dtype}{list(shape)}" for shape, dtype in plan.made]
    if told != needed:
        raise KernelArgumentError(f"out= needs {', '.join(needed)}; {', '.join(told)} was given")
    return given
