"""Flows, called as functions: bytes of a device's array through stages to another array.

A call is a launch: it is queued, and returns at once with arrays that the stream will have written.
How many bytes there are is known once the result is asked for it, which waits.

Rules: keys and nonces are given at each call and go nowhere but with it; they stand in no text. A
nonce to encrypt with that is not given is drawn at random, and told with the result.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gon.errors import InvalidArgument
from gon.flow import FLOW_FORMAT, NONCE_BYTES, Encrypt, Flow, Stage, encode, name_of
from gon.flow_limits import FLOW_CHUNK_BYTES
from gon.flow_shape import (
    FUNCTION,
    Argument,
    Side,
    arguments,
    capacity,
    has_result,
    lengths_count,
    sides,
)
from gon.model import LaunchConfig
from gon_client.array import DeviceArray, shape_of
from gon_client.launch import launch

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.models import Models
    from gon_client.stream import Stream

_ONCE: Final = LaunchConfig(1, 1)
# What a call has names for itself.
_TAKEN: Final = frozenset({"stream", "result_bytes", "out"})
_OCTET: Final = np.dtype(np.uint8)
_NUMBER: Final = np.dtype(np.uint64)
# What a call writes begins at multiples of this: of a line of the cache, for units that share it.
_APART_BYTES: Final = 64

# Where an array begins in its buffer, its shape and elements.
_Placed: TypeAlias = tuple[int, tuple[int, ...], np.dtype[np.generic]]


class _Layout(NamedTuple):
    """How what a call writes lies in one buffer of `size_bytes`; `made_for` are the bytes of its
    data, and of its result if they were given, `sizes` those of its result if it has one.
    """

    made_for: tuple[int, int | None]
    size_bytes: int
    arrays: Sequence[_Placed]
    sizes: tuple[int, ...]


def flow_on(device: Models, stages: Flow | Sequence[Stage], chunk_bytes: int | None) -> DeviceFlow:
    """As `Device.flow` says."""
    if not isinstance(stages, Flow):
        size = FLOW_CHUNK_BYTES if chunk_bytes is None else chunk_bytes
        stages = Flow(stages=tuple(stages), chunk_bytes=size)
    return DeviceFlow(device, stages)


class DeviceFlow:
    """A flow on one device. Made by `Device.flow`; `flow` says what it does."""

    def __init__(self, device: Models, flow: Flow) -> None:
        self.flow = flow
        self._arguments = arguments(flow)
        self._needed = [(each.name, each.size_bytes, each) for each in self._arguments]
        self._names = frozenset(argument.name for argument in self._arguments)
        self.drawn = {stage.nonce for stage in flow.stages if isinstance(stage, Encrypt)}
        taken = sorted(_TAKEN & self._names)
        if taken:
            raise InvalidArgument(f"a flow's argument cannot be named {taken[0]!r}")
        module = device.compile(encode(flow), FLOW_FORMAT)
        self._device: Device = module.device
        self._kernel = module.get_kernel(FUNCTION)
        self._has_result = has_result(flow)
        self._sides = [side for side in sides(flow) if side.rows]
        self._lengths = lengths_count(flow)
        self._stages = [side.stage for side in self._sides]
        # How what the last call made lies.
        self._latest: _Layout | None = None

    def __repr__(self) -> str:
        return f"DeviceFlow({' > '.join(name_of(stage) for stage in self.flow.stages)})"

    def __call__(
        self,
        data: DeviceArray,
        /,
        *,
        stream: Stream | None = None,
        result_bytes: int | None = None,
        out: FlowResult | None = None,
        **values: bytes,
    ) -> FlowResult:
        """Queue the flow on the bytes of `data`, on `stream` (the default one if not given).

        `values` are the arguments that the stages name. The result has room for everything that may
        come out, or for `result_bytes`; with `out`, what an earlier call of this flow gave, it has
        that one's room, which is written anew. What is found wrong with the data is raised by the
        next wait: CorruptData, IntegrityError, LimitExceeded.

        Raises InvalidArgument for values that are missing, unknown or of another size, and where a
        flow that takes some is captured; OutOfMemory where the device has no room for the result.
        """
        if self._arguments and self._device.capturing is not None:
            # Each launch of a graph would encrypt under the same nonce, and the graph keep the key.
            self._device.check_free("a flow that takes keys")
        given, nonces = self._checked(values)
        if out is not None and result_bytes is not None:
            raise InvalidArgument("result_bytes is for a result that is made; out has its own")
        octets = data
        if data.dtype is not _OCTET or len(data.shape) != 1:
            octets = DeviceArray(data.buffer, data.offset, (data.nbytes,), _OCTET)
        size = octets.shape[0]
        places = self._made(size, result_bytes) if out is None else out.places_for(self)
        on = stream or self._device.default_stream
        launch(on, _ONCE, self._kernel, octets, *given, *places.arrays, size, *places.sizes)
        return FlowResult(self, places, nonces, stream)

    def _made(self, size_bytes: int, result_bytes: int | None) -> Places:
        """Make the arrays that a call writes to, all in one buffer."""
        latest = self._latest
        if latest is None or latest.made_for != (size_bytes, result_bytes):
            latest = self._latest = self._laid_out(size_bytes, result_bytes)
        buffer = self._device.allocate(latest.size_bytes)
        arrays = [
            DeviceArray(buffer, offset, shape, dtype) for offset, shape, dtype in latest.arrays
        ]
        return Places(tuple(arrays), latest.sizes, self._stages)

    def _laid_out(self, size_bytes: int, result_bytes: int | None) -> _Layout:
        """Return how what a call writes lies in its buffer. Raises InvalidArgument."""
        most = capacity(self.flow, size_bytes) if result_bytes is None else result_bytes
        wanted = [
            *([(shape_of(most), _OCTET)] if self._has_result else []),
            ((self._lengths,), _NUMBER),
            *(
                ((side.rows, side.columns), _NUMBER) if side.columns else ((side.rows,), _OCTET)
                for side in self._sides
            ),
        ]
        arrays: list[_Placed] = []
        end = 0
        for shape, dtype in wanted:
            arrays.append((end, shape, dtype))
            end += -(-math.prod(shape) * dtype.itemsize // _APART_BYTES) * _APART_BYTES
        sizes = arrays[0][1] if self._has_result else ()
        return _Layout((size_bytes, result_bytes), end, arrays, sizes)

    def _checked(self, values: Mapping[str, bytes]) -> tuple[list[bytes], dict[str, bytes]]:
        """Return a value for each argument, in their order, and of these the nonces that it
        encrypts with, by their names. Says nothing of what they are.
        """
        given: list[bytes] = []
        nonces: dict[str, bytes] = {}
        unknown = len(values)
        for name, size_bytes, argument in self._needed:
            value = values.get(name)
            unknown -= name in values
            if value is None and name in self.drawn:
                value = secrets.token_bytes(NONCE_BYTES)
            if type(value) is not bytes or len(value) != size_bytes:
                raise self._wrong(argument, value, values)
            given.append(value)
            if name in self.drawn:
                nonces[name] = value
        if unknown:
            raise self._unknown(values)
        return given, nonces

    def _wrong(
        self, argument: Argument, value: bytes | None, values: Mapping[str, bytes]
    ) -> InvalidArgument:
        if not values.keys() <= self._names:
            return self._unknown(values)
        needed = f"{self!r} needs {argument.name}, a {argument.kind}"
        if value is None:
            return InvalidArgument(f"{needed} of {argument.size_bytes} bytes")
        return InvalidArgument(f"{needed}: {argument.size_bytes} bytes, of type bytes")

    def _unknown(self, values: Mapping[str, bytes]) -> InvalidArgument:
        unknown = sorted(values.keys() - self._names)
        names = ", ".join(argument.name for argument in self._arguments) or "no arguments"
        return InvalidArgument(f"{self!r} has no argument {unknown[0]!r}; it has {names}")


class Places:
    """Where a call writes, as it stands among a launch's arguments: its bytes, if it lets some out;
    how many; what `stages` give beside. `sizes` is how many bytes it has room for.
    """

    __slots__ = ("arrays", "sizes", "stages")

    def __init__(
        self, arrays: tuple[DeviceArray, ...], sizes: tuple[int, ...], stages: Sequence[int]
    ) -> None:
        self.arrays = arrays
        self.sizes = sizes
        self.stages = stages

    @property
    def room(self) -> DeviceArray | None:
        return self.arrays[0] if self.sizes else None

    @property
    def lengths(self) -> DeviceArray:
        return self.arrays[len(self.sizes)]

    def written(self, stage: int) -> DeviceArray:
        """Return what a stage gives beside the bytes."""
        return self.arrays[len(self.sizes) + 1 + self.stages.index(stage)]


class FlowResult:
    """What a call gives. Arrays are there at once; numbers wait for the call's stream. `values` are
    the nonces that were encrypted with, by their names: who decrypts needs them.
    """

    __slots__ = ("_known", "_made_by", "_places", "_stream", "values")

    def __init__(
        self,
        made_by: DeviceFlow,
        places: Places,
        values: dict[str, bytes],
        stream: Stream | None,
    ) -> None:
        self._made_by = made_by
        self._places = places
        self._stream = stream
        self._known: list[int] | None = None
        self.values = values

    def __repr__(self) -> str:
        state = "not waited for" if self._known is None else f"{self._known[0]} bytes"
        return f"FlowResult({state})"

    @property
    def nbytes(self) -> int:
        """How many bytes came out. Waits; raises what the flow found wrong."""
        return self._all_lengths()[0]

    @property
    def array(self) -> DeviceArray:
        """The bytes that came out, on the device. Waits, for their number; see `room`."""
        return self.room[: self.nbytes]

    @property
    def room(self) -> DeviceArray:
        """All that the bytes were given room for; does not wait. Raises InvalidArgument where the
        flow's last stage lets no bytes out.
        """
        room = self._places.room
        if room is None:
            raise InvalidArgument("the flow's last stage lets no bytes out")
        return room

    def digest(self, stage: int | None = None) -> bytes:
        """Return what a checksum gave: that of `stage`, counted from 0, or of the only one. Waits.

        Raises InvalidArgument where there is none, or more than one and no `stage`.
        """
        side, _ = self._side(stage, digest=True)
        return self._places.written(side.stage).get(stream=self._stream).tobytes()

    def count(self, stage: int | None = None) -> int:
        """Return how many matches a scan found; `stage` as in `digest`. Waits."""
        _, place = self._side(stage, digest=False)
        return self._all_lengths()[place + 1]

    def places(self, stage: int | None = None) -> NDArray[np.uint64]:
        """Return the matches that a scan kept, as they were found: rows of expression, end, or
        expression, start, end. `stage` as in `digest`. Waits.
        """
        side, place = self._side(stage, digest=False)
        kept = min(self._all_lengths()[place + 1], side.rows)
        if not kept:
            return np.empty((0, side.columns), np.uint64)
        rows = self._places.written(side.stage)[:kept]
        return np.asarray(rows.get(stream=self._stream), np.uint64)

    def places_for(self, flow: DeviceFlow) -> Places:
        """Return where this was written, for another call of that flow. Raises InvalidArgument."""
        if flow is not self._made_by:
            raise InvalidArgument(f"out is what another flow gave: {self._made_by!r}")
        return self._places

    def _side(self, stage: int | None, *, digest: bool) -> tuple[Side, int]:
        """Return a side and its place among all."""
        found = [
            (side, place)
            for place, side in enumerate(sides(self._made_by.flow))
            if (side.columns == 0) is digest and stage in (None, side.stage)
        ]
        if len(found) != 1:
            what = "checksums" if digest else "scans"
            where = "" if stage is None else f" at stage {stage}"
            raise InvalidArgument(f"the flow has {len(found)} {what}{where}")
        return found[0]

    def _all_lengths(self) -> list[int]:
        if self._known is None:
            read = self._places.lengths.get(stream=self._stream)
            self._known = [int(length) for length in read]
        return self._known
