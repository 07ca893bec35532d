"""The client's work in a virtual machine: kernels, transfers and failures, each told as one line.

    python work.py gon://HOST:PORT     on a unit of that host
    python work.py                     on a device in this process

Rules: needs the thin client and nothing else; a line is the same wherever the device is, so that
two runs can be compared; inputs are whole numbers, which all processors compute alike.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

import gon
from gon_client.buffer import HostArray
from gon_client.demo.arrays import Bytes
from gon_client.demo.digits import NEIGHBOURS, Classifier
from gon_client.demo.pictures import Pictures

SAXPY = """
__global__ void saxpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] += a * x[i];
}
"""
MIX = """
__kernel void mix(__global const uint *source, __global uint *target, uint seed) {
    size_t i = get_global_id(0);
    uint x = (source[i] ^ seed) * 2654435761u;
    target[i] = x ^ (x >> 15);
}
"""
# The first is too short for a frame of its own, the last goes in several pieces.
TRANSFERS_BYTES = (1, 4096, 32 << 10, (32 << 10) + 1, 1 << 20, (8 << 20) + 3)
# More than any unit that is tested with has.
TOO_MUCH_BYTES = 1 << 50
HEIGHT, WIDTH = 61, 83


def lines(device: gon.Device) -> Iterator[str]:
    """Do all of it on one device; give what came out."""
    yield f"cuda-c {_digest(_saxpy(device))}"
    yield f"opencl-c {_digest(_mix(device))}"
    yield f"pictures {_digest(_pictures(device))}"
    yield f"digits {_digest(*_digits(device))}"
    for size_bytes in TRANSFERS_BYTES:
        yield f"transfer of {size_bytes} bytes {_digest(_there_and_back(device, size_bytes))}"
    yield f"a kernel that is none: {_code(lambda: device.compile('__global__ int;', 'cuda-c'))}"
    yield f"a wrong argument: {_code(lambda: _wrong_argument(device))}"
    yield f"too much memory: {_code(lambda: device.empty(TOO_MUCH_BYTES, np.uint8))}"
    yield f"and on it goes {_digest(_saxpy(device))}"


def main(address: str) -> None:
    """Do the work at `address`, on a device in this process if it is ""."""
    if not address:
        with gon.local() as device:
            for line in lines(device):
                print(line)
        return
    with gon.connect(address) as host, host.acquire() as device:
        for line in lines(device):
            print(line, flush=True)
        # What only processes of one machine share is refused at once, with the reason.
        print(f"memory of another machine: {_code(lambda: host.acquire(link='shm'))}")


def _digest(*arrays: HostArray) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _code(call: Callable[[], object]) -> str:
    try:
        call()
    except gon.GonError as error:
        return error.code.name
    return "nothing raised"


def _bytes(*shape: int) -> Bytes:
    """Return bytes that look disorderly."""
    count = np.arange(int(np.prod(shape)), dtype=np.uint32)
    return ((count * np.uint32(2654435761)) >> np.uint32(24)).astype(np.uint8).reshape(shape)


def _saxpy(device: gon.Device) -> HostArray:
    kernel = device.compile(SAXPY, "cuda-c").get_kernel("saxpy")
    count = 1 << 16
    x = device.asarray(np.arange(count, dtype=np.float32))
    y = device.zeros(count, np.float32)
    stream = device.create_stream()
    config = gon.LaunchConfig(grid=count // 256, block=256)
    for _ in range(100):
        gon.launch(stream, config, kernel, np.float32(2), x, y, np.int32(count))
    stream.sync()
    return y.get()


def _mix(device: gon.Device) -> HostArray:
    kernel = device.compile(MIX, "opencl-c").get_kernel("mix")
    count = 1 << 14
    source = device.asarray(np.arange(count, dtype=np.uint32))
    target = device.zeros(count, np.uint32)
    stream = device.create_stream()
    config = gon.LaunchConfig(grid=count // 64, block=64)
    gon.launch(stream, config, kernel, source, target, np.uint32(7))
    return target.get(stream=stream)


def _pictures(device: gon.Device) -> Bytes:
    stream = device.create_stream()
    pictures = Pictures(device, stream, HEIGHT, WIDTH)
    planes = np.zeros((5, HEIGHT, WIDTH), np.uint8)
    pictures.upload(_bytes(HEIGHT, WIDTH, 3))
    pictures.blur()
    pictures.grey()
    pictures.sobel()
    pictures.equalise()
    pictures.read(planes, slice(0, 5)).result()
    return planes


def _digits(device: gon.Device) -> tuple[Bytes, NDArray[np.int32]]:
    known, asked, features = 200, 50, 64
    labels = (np.arange(known) % 10).astype(np.uint8)
    classifier = Classifier(
        device, device.create_stream(), _bytes(known, features) % 17, labels, asked
    )
    classifier.upload(_bytes(asked + 7, features)[7:] % 17)
    classifier.classify()
    classes = np.zeros(asked, np.uint8)
    distances = np.zeros((asked, NEIGHBOURS), np.int32)
    for future in classifier.read(classes, distances):
        future.result()
    return classes, distances


def _there_and_back(device: gon.Device, size_bytes: int) -> HostArray:
    sent = _bytes(size_bytes)
    received = device.asarray(sent).get()
    assert np.array_equal(received, sent), f"{size_bytes} bytes came back changed"
    return received


def _wrong_argument(device: gon.Device) -> None:
    kernel = device.compile(SAXPY, "cuda-c").get_kernel("saxpy")
    array = device.zeros(1, np.float32)
    config = gon.LaunchConfig(grid=1, block=1)
    gon.launch(device.create_stream(), config, kernel, np.float32(2), array)


if __name__ == "__main__":
    main("".join(sys.argv[1:]))
