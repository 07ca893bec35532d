"""A remote unit's images by queued ops: `gon.images.Images` over the wire.

What can be known here is checked here, so that it raises at the call: the region of an image that
was made here, its size. Whether the unit has images its ops tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from gon.errors import InvalidArgument, Unsupported
from gon.images import (
    COLOR_BYTES,
    ImageFormat,
    ImageKind,
    ImageShape,
    Over,
    check_shape,
)
from gon.model import Dim3, Handle
from gon.wire import image_ops
from gon.wire.batch import decode
from gon.wire.versions import VIEWS
from gon_client.link import SessionLink
from gon_client.numbers import check_numbers
from gon_client.pending import Answer, Waiting


def _check_places(*places: Sequence[int]) -> None:
    for place in places:
        if len(place) != 3:
            raise InvalidArgument(f"{place} is no place in an image: those have three numbers")
        check_numbers(*place)


class RemoteImages:
    """The images of a lease's device, over a session."""

    def __init__(self, link: SessionLink, waiting: Waiting) -> None:
        self._link = link
        self._post = link.post
        self._waiting = waiting

    def __repr__(self) -> str:
        return f"RemoteImages({self._link!r})"

    def formats(self, access: int, kind: ImageKind) -> tuple[ImageFormat, ...]:
        check_numbers(access)
        cookie = next(self._link.cookies)
        answer = Answer(self._waiting)
        self._link.ask(image_ops.ImageFormats(access, int(kind), cookie), cookie, answer)
        answer.wait()
        told = decode(tuple[tuple[int, int], ...], answer.data)
        return tuple(ImageFormat(order, channel) for order, channel in told)

    def create(
        self, image: Handle, image_format: ImageFormat, shape: ImageShape, over: Over | None = None
    ) -> None:
        check_shape(shape, image_format)
        beneath = over or Over(Handle(0))
        check_numbers(beneath.offset, beneath.row_pitch)
        self._post(
            image_ops.CreateImage(
                image, int(shape.kind), image_format.order, image_format.channel, shape.width,
                shape.height, shape.depth, shape.layers, beneath.buffer, beneath.offset,
                beneath.row_pitch,
            )
        )  # fmt: skip

    def view(self, image: Handle, of: Handle, seen: ImageFormat) -> None:
        if self._link.version < VIEWS:
            raise Unsupported("the host's gond is of an older version: no image is seen in others")
        cookie = next(self._link.cookies)
        answer = Answer(self._waiting)
        op = image_ops.ViewImage(image, of, seen.order, seen.channel, cookie)
        self._link.ask(op, cookie, answer)
        answer.wait()

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_origin: Dim3,
        target: Handle,
        target_origin: Dim3,
        region: Dim3,
    ) -> None:
        _check_places(source_origin, target_origin, region)
        self._post(
            image_ops.CopyImage(stream, source, source_origin, target, target_origin, region)
        )

    def fill(self, stream: Handle, image: Handle, origin: Dim3, region: Dim3, color: bytes) -> None:
        _check_places(origin, region)
        if len(color) != COLOR_BYTES:
            raise InvalidArgument(f"a color of {len(color)} bytes; it has {COLOR_BYTES}")
        self._post(image_ops.FillImage(stream, image, origin, region, color))

    def from_buffer(
        self, stream: Handle, buffer: Handle, offset: int, image: Handle, origin: Dim3, region: Dim3
    ) -> None:
        _check_places(origin, region)
        check_numbers(offset)
        self._post(image_ops.BufferToImage(stream, buffer, offset, image, origin, region))

    def to_buffer(
        self, stream: Handle, image: Handle, origin: Dim3, region: Dim3, buffer: Handle, offset: int
    ) -> None:
        _check_places(origin, region)
        check_numbers(offset)
        self._post(image_ops.ImageToBuffer(stream, image, origin, region, buffer, offset))
