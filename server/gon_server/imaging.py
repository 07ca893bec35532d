"""Images of a lease's device, as ops ask for them.

What a client says of an image is checked by the device, and its size here, where the quota counts.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.errors import InvalidArgument, Unsupported
from gon.images import (
    ImageFormat,
    ImageKind,
    Images,
    ImageShape,
    Imaging,
    Over,
    check_shape,
)
from gon.model import Handle
from gon.wire.image_ops import (
    BufferToImage,
    CopyImage,
    CreateImage,
    FillImage,
    ImageFormats,
    ImageToBuffer,
    ImageWork,
    MakeImage,
    ViewImage,
)
from gon_server.quota import Quota


def _images(device: HostDevice) -> Images:
    """Return the images of a device. Raises Unsupported."""
    images = device.images if isinstance(device, Imaging) else None
    if images is None:
        raise Unsupported("this unit has no images")
    return images


def _kind(number: int) -> ImageKind:
    try:
        return ImageKind(number)
    except ValueError as error:
        raise InvalidArgument(f"there is no kind of image {number}") from error


def _asked(op: CreateImage) -> tuple[ImageFormat, ImageShape]:
    shape = ImageShape(_kind(op.kind), op.width, op.height, op.depth, op.layers)
    return ImageFormat(op.order, op.channel), shape


def make_image(device: HostDevice, op: MakeImage, quota: Quota) -> None:
    """Make an image, and take what it needs of the lease's memory; one that lies in another's
    memory takes none. Raises OutOfMemory, what the device raises.
    """
    images, image = _images(device), Handle(op.image)
    if isinstance(op, ViewImage):
        images.view(image, Handle(op.of), ImageFormat(op.order, op.channel))
        quota.add_image(op.image, 0, quota.pixels[op.of], op.of)
        return
    assert isinstance(op, CreateImage), "there is no other"
    image_format, shape = _asked(op)
    size_bytes = check_shape(shape, image_format)
    over = None
    if op.buffer:
        size_bytes, over = 0, Over(Handle(op.buffer), op.offset, op.row_pitch)
    quota.ask(size_bytes, "an image of")
    images.create(image, image_format, shape, over)
    quota.add_image(op.image, size_bytes, shape.pixels, op.buffer)


def work_on_images(device: HostDevice, op: ImageWork) -> None:
    """Do it. Raises what the device raises."""
    images, stream = _images(device), Handle(op.stream)
    match op:
        case CopyImage(_, source, origin, target, goal, region):
            images.copy(stream, Handle(source), origin, Handle(target), goal, region)
        case FillImage(_, image, origin, region, color):
            images.fill(stream, Handle(image), origin, region, color)
        case BufferToImage(_, buffer, offset, image, origin, region):
            images.from_buffer(stream, Handle(buffer), offset, Handle(image), origin, region)
        case ImageToBuffer(_, image, origin, region, buffer, offset):
            images.to_buffer(stream, Handle(image), origin, region, Handle(buffer), offset)
        case _:
            raise AssertionError(f"no work of images: {op}")


def image_formats(device: HostDevice, op: ImageFormats) -> tuple[tuple[int, int], ...]:
    """Return the formats as they travel. Raises Unsupported, InvalidArgument."""
    formats = _images(device).formats(op.access, _kind(op.kind))
    return tuple((each.order, each.channel) for each in formats)
