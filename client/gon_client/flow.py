"""Flows, called as functions: bytes of a device's array through stages to another array.

A call is a launch: it is queued, and returns at once with arrays that the stream will have written.
How many bytes there are is known once the result is asked for it, which waits.

Rules: keys and nonces are given at each call and go nowhere but with it; they stand in no text. A
nonce to encrypt with that is not given is drawn at random, and told with the result.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gon.errors import InvalidArgument
from gon.flow import FLOW_FORMAT, NONCE_BYTES, Encrypt, Flow, Stage, encode, name_of
from gon.flow_limits import FLOW_CHUNK_BYTES
from gon.flow_shape import FUNCTION, Side, arguments, capacity, has_result, lengths_count, sides
from gon.model import LaunchConfig
from gon_client.array import DeviceArray
from gon_client.launch import launch

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.models import Models
    from gon_client.stream import Stream

_ONCE: Final = LaunchConfig(1, 1)
# What a call has names for itself.
_TAKEN: Final = frozenset({"stream", "result_bytes"})


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
        self._drawn = {stage.nonce for stage in flow.stages if isinstance(stage, Encrypt)}
        taken = sorted(_TAKEN & {argument.name for argument in self._arguments})
        if taken:
            raise InvalidArgument(f"a flow's argument cannot be named {taken[0]!r}")
        module = device.compile(encode(flow), FLOW_FORMAT)
        self._device: Device = module.device
        self._kernel = module.get_kernel(FUNCTION)

    def __repr__(self) -> str:
        return f"DeviceFlow({' > '.join(name_of(stage) for stage in self.flow.stages)})"

    def __call__(
        self,
        data: DeviceArray,
        /,
        *,
        stream: Stream | None = None,
        result_bytes: int | None = None,
        **values: bytes,
    ) -> FlowResult:
        """Queue the flow on the bytes of `data`, on `stream` (the default one if not given).

        `values` are the arguments that the stages name. The result has room for everything that may
        come out, or for `result_bytes`. What is found wrong with the data is raised by the next
        wait: CorruptData, IntegrityError, LimitExceeded.

        Raises InvalidArgument for values that are missing, unknown or of another size, OutOfMemory
        where the device has no room for the result.
        """
        given = self._checked(values)
        device = self._device
        result: DeviceArray | None = None
        octets = DeviceArray(data.buffer, data.offset, (data.nbytes,), np.dtype(np.uint8))
        args: list[object] = [octets]
        args += [given[argument.name] for argument in self._arguments]
        sizes = [data.nbytes]
        if has_result(self.flow):
            most = capacity(self.flow, data.nbytes) if result_bytes is None else result_bytes
            result = device.empty(most, np.uint8)
            sizes.append(most)
            args.append(result)
        lengths = device.zeros(lengths_count(self.flow), np.uint64)
        written = {side.stage: _side_array(device, side) for side in sides(self.flow) if side.rows}
        args += [lengths, *written.values(), *sizes]
        launch(stream or device.default_stream, _ONCE, self._kernel, *args)
        return FlowResult(self.flow, result, lengths, written, given, stream)

    def _checked(self, values: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return a value for each argument. Says nothing of what they are."""
        given = {name: secrets.token_bytes(NONCE_BYTES) for name in self._drawn} | dict(values)
        known = [argument.name for argument in self._arguments]
        if unknown := sorted(given.keys() - set(known)):
            names = ", ".join(known) or "no arguments"
            raise InvalidArgument(f"{self!r} has no argument {unknown[0]!r}; it has {names}")
        for argument in self._arguments:
            value = given.get(argument.name)
            needed = f"{self!r} needs {argument.name}, a {argument.kind}"
            if value is None:
                raise InvalidArgument(f"{needed} of {argument.size_bytes} bytes")
            if type(value) is not bytes or len(value) != argument.size_bytes:
                raise InvalidArgument(f"{needed}: {argument.size_bytes} bytes, of type bytes")
        return given


class FlowResult:
    """What a call gives. Arrays are there at once; numbers wait for the call's stream."""

    def __init__(
        self,
        flow: Flow,
        room: DeviceArray | None,
        lengths: DeviceArray,
        written: Mapping[int, DeviceArray],
        values: Mapping[str, bytes],
        stream: Stream | None,
    ) -> None:
        self._flow = flow
        self._room = room
        self._lengths = lengths
        self._written = written
        self._stream = stream
        self._known: list[int] | None = None
        # The nonces that were encrypted with, by their names: who decrypts needs them.
        self.values: dict[str, bytes] = {
            stage.nonce: values[stage.nonce] for stage in flow.stages if isinstance(stage, Encrypt)
        }

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
        if self._room is None:
            raise InvalidArgument("the flow's last stage lets no bytes out")
        return self._room

    def digest(self, stage: int | None = None) -> bytes:
        """Return what a checksum gave: that of `stage`, counted from 0, or of the only one. Waits.

        Raises InvalidArgument where there is none, or more than one and no `stage`.
        """
        side, _ = self._side(stage, digest=True)
        return self._written[side.stage].get(stream=self._stream).tobytes()

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
        rows = self._written[side.stage][:kept]
        return np.asarray(rows.get(stream=self._stream), np.uint64)

    def _side(self, stage: int | None, *, digest: bool) -> tuple[Side, int]:
        """Return a side and its place among all."""
        found = [
            (side, place)
            for place, side in enumerate(sides(self._flow))
            if (side.columns == 0) is digest and stage in (None, side.stage)
        ]
        if len(found) != 1:
            what = "checksums" if digest else "scans"
            where = "" if stage is None else f" at stage {stage}"
            raise InvalidArgument(f"the flow has {len(found)} {what}{where}")
        return found[0]

    def _all_lengths(self) -> list[int]:
        if self._known is None:
            read = self._lengths.get(stream=self._stream)
            self._known = [int(length) for length in read]
        return self._known


def _side_array(device: Device, side: Side) -> DeviceArray:
    if side.columns:
        return device.zeros((side.rows, side.columns), np.uint64)
    return device.zeros(side.rows, np.uint8)
