"""Images and samplers by pyopencl, on whatever unit there is, against the same by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import pyopencl as cl

SOURCE = """
kernel void shift(read_only image2d_t from, sampler_t how, write_only image2d_t to, float by) {
    int2 at = (int2)(get_global_id(0), get_global_id(1));
    write_imagef(to, at, read_imagef(from, how, convert_float2(at) + (float2)(0.5f + by, 0.5f)));
}
kernel void layers(read_only image2d_array_t from, write_only image3d_t to) {
    int4 at = (int4)(get_global_id(0), get_global_id(1), get_global_id(2), 0);
    write_imageui(to, at, read_imageui(from, at) + (uint4)(1));
}
kernel void lines(read_only image1d_t one, read_only image1d_array_t many,
                  read_only image1d_buffer_t over, global int *out) {
    int x = get_global_id(0);
    out[x] = read_imagei(one, x).x + 100 * read_imagei(many, (int2)(x, 1)).x
        + 10000 * read_imagei(over, x).x;
}
"""
Pixels = npt.NDArray[np.generic]
# pyopencl says less of these than they take.
copy = cast("Callable[..., object]", cl.enqueue_copy)
map_image = cast("Callable[..., tuple[Pixels, cl.Event, int, int]]", cl.enqueue_map_image)
make_image = cast("Callable[..., cl.Image]", vars(cl)["create_image"])


class Mapping(Protocol):
    """Memory that is mapped."""

    def release(self, queue: cl.CommandQueue, /) -> cl.Event: ...


def image_of(
    context: cl.Context,
    pixels: Pixels,
    channel: int,
    order: int = cl.channel_order.RGBA,
    *,
    flags: int = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR,
    is_array: bool = False,
    shape: tuple[int, ...] | None = None,
) -> cl.Image:
    """Return an image of an array of depth × height × width × channels."""
    named = cl.ImageFormat(cast("cl.channel_order", order), cast("cl.channel_type", channel))
    if shape is None:
        shape = pixels.shape[-2::-1] if order == cl.channel_order.RGBA else pixels.shape[::-1]
    how = cast("cl.mem_flags", flags)
    hostbuf = pixels if flags & cl.mem_flags.COPY_HOST_PTR else None
    return make_image(context, how, named, shape, hostbuf=hostbuf, is_array=is_array)


def filtered(context: cl.Context, queue: cl.CommandQueue, program: cl.Program) -> None:
    """Filter between pixels, and at the edge, by a sampler; read a region of it."""
    height, width = 5, 9
    pixels = np.random.default_rng(3).random((height, width, 4), np.float32)
    float_channel = cl.channel_type.FLOAT
    source = image_of(context, pixels, float_channel)
    plain = cl.mem_flags.READ_WRITE
    target = image_of(context, np.empty_like(pixels), float_channel, flags=plain)
    kernel = cl.Kernel(program, "shift")
    clamp, linear = cl.addressing_mode.CLAMP_TO_EDGE, cl.filter_mode.LINEAR
    back = np.empty_like(pixels)
    for filtering, by in ((linear, 0.25), (cl.filter_mode.NEAREST, 0.25), (linear, 1.0)):
        sampler = cl.Sampler(context, False, clamp, filtering)
        kernel(queue, (width, height), None, source, sampler, target, np.float32(by))
        copy(queue, back, target, origin=(0, 0), region=(width, height))
        edged = np.concatenate([pixels, pixels[:, -1:]], axis=1)
        part = by if filtering == linear else 0.0
        wanted = (1 - part) * edged[:, :-1] + part * edged[:, 1:]
        assert np.allclose(back, wanted, atol=1e-2), (filtering, by)
    # A region, with pitches of the program's own.
    rows = np.zeros((3, 8, 4), np.float32)
    copy(queue, rows, target, origin=(2, 1), region=(4, 3), pitches=(8 * 16, 0))
    assert np.array_equal(rows[:, :4], back[1:4, 2:6])
    assert not rows[:, 4:].any()
    copy(queue, target, rows, origin=(0, 0), region=(4, 2), pitches=(8 * 16, 0))
    copy(queue, back, target, origin=(0, 0), region=(width, height))
    assert np.array_equal(back[:2, :4], rows[:2, :4])


def layered(context: cl.Context, queue: cl.CommandQueue, program: cl.Program) -> None:
    """From an array of images to a volume, by a kernel and by copies."""
    depth, height, width = 3, 4, 6
    pixels = np.random.default_rng(4).integers(0, 200, (depth, height, width, 4), np.uint8)
    bytes_channel = cl.channel_type.UNSIGNED_INT8
    source = image_of(context, pixels, bytes_channel, is_array=True)
    plain = cl.mem_flags.READ_WRITE
    target = image_of(context, np.empty_like(pixels), bytes_channel, flags=plain)
    cl.Kernel(program, "layers")(queue, (width, height, depth), None, source, target)
    back = np.empty_like(pixels)
    whole = {"origin": (0, 0, 0), "region": (width, height, depth)}
    copy(queue, back, target, **whole)
    assert np.array_equal(back, pixels + 1)
    places = {"src_origin": (0, 0, 1), "dest_origin": (1, 1, 0), "region": (5, 3, 2)}
    copy(queue, target, source, **places)
    copy(queue, back, target, **whole)
    assert np.array_equal(back[:2, 1:, 1:], pixels[1:, :3, :5])
    # Through a buffer, and out of it.
    buffer = cl.Buffer(context, plain, 2 * pixels.nbytes)
    copy(queue, buffer, source, offset=64, **whole)
    copy(queue, target, buffer, offset=64, **whole)
    copy(queue, back, target, **whole)
    assert np.array_equal(back, pixels)
    color = np.array([7, 8, 9, 10], np.uint32)
    cl.enqueue_fill_image(queue, target, color, (1, 1, 1), (2, 2, 2))
    copy(queue, back, target, **whole)
    wanted = pixels.copy()
    wanted[1:3, 1:3, 1:3] = color
    assert np.array_equal(back, wanted)
    both = cast("cl.map_flags", cl.map_flags.READ | cl.map_flags.WRITE)
    seen, _, _, _ = map_image(
        queue, target, both, (2, 0, 1), (3, 4, 2), (2, 4, 3, 4), np.dtype(np.uint8)
    )
    assert np.array_equal(seen, wanted[1:3, :, 2:5])
    seen[:] = 99
    cast("Mapping", seen.base).release(queue)
    copy(queue, back, target, **whole)
    wanted[1:3, :, 2:5] = 99
    assert np.array_equal(back, wanted)


def lined(context: cl.Context, queue: cl.CommandQueue, program: cl.Program) -> None:
    """Images of one dimension, an array of them, and one over a buffer."""
    width = 50
    lines = np.random.default_rng(5).integers(0, 100, (3, width), np.int32)
    number, red = cl.channel_type.SIGNED_INT32, cl.channel_order.R
    one = image_of(context, lines[0], number, red)
    described = cl.ImageDescriptor()
    described.image_type = cl.mem_object_type.IMAGE1D_ARRAY
    described.shape, described.array_size = (width, 1, 1), 2
    described.pitches = (0, 0)
    described.num_mip_levels = described.num_samples = 0
    described.buffer = None
    how = cast("cl.mem_flags", cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR)
    many = cl.Image(context, how, cl.ImageFormat(red, number), desc=described, hostbuf=lines[:2])
    buffer = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=lines[2])
    over = make_image(
        context, cl.mem_flags.READ_WRITE, cl.ImageFormat(red, number), (width,), buffer=buffer
    )
    out = cl.Buffer(context, cl.mem_flags.READ_WRITE, lines[0].nbytes)
    cl.Kernel(program, "lines")(queue, (width,), None, one, many, over, out)
    back = np.empty_like(lines[0])
    copy(queue, back, out)
    assert np.array_equal(back, lines[0] + 100 * lines[1] + 10000 * lines[2])
    # What is done to the buffer is done to the image.
    cl.enqueue_fill_buffer(queue, buffer, np.ones(1, np.int32), 0, lines[2].nbytes)
    cl.Kernel(program, "lines")(queue, (width,), None, one, many, over, out)
    copy(queue, back, out)
    assert np.array_equal(back, lines[0] + 100 * lines[1] + 10000)


def large(context: cl.Context, queue: cl.CommandQueue) -> None:
    """One that goes in several parts."""
    pixels = np.random.default_rng(6).random((1024, 4096, 4), np.float32)
    image = image_of(context, pixels, cl.channel_type.FLOAT)
    back = np.empty_like(pixels)
    copy(queue, back, image, origin=(0, 0), region=(4096, 1024))
    assert np.array_equal(back, pixels)


def main() -> None:
    """Do all of it; assert that it is right."""
    (platform,) = (each for each in cl.get_platforms() if each.name == "GoN")
    (device,) = platform.get_devices()
    assert device.image_support
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    program = cl.Program(context, SOURCE).build()
    filtered(context, queue, program)
    layered(context, queue, program)
    lined(context, queue, program)
    large(context, queue)
    print("good")


if __name__ == "__main__":
    main()
