"""What each role is given to run, but for the network: kernels, graphs, an image graph, a flow."""

# JAX's functions take and give arrays of any kind, and say so.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from gon.flow import Checksum, Compress, Encrypt, Flow
from gon.vision import Decode, ImageGraph

from .network import FEATURES
from .onnx_graph import OnnxGraph
from .references import SHARPNESS

# For a gpu: a block an image. Sums are of whole numbers, so their order makes no difference.
NORMALISE = """
__global__ void normalise(const unsigned char *pixels, float *planes, int size)
{
    __shared__ unsigned long long sums[256], squares[256];
    const unsigned char *image = pixels + (size_t)blockIdx.x * size * 3;
    int me = threadIdx.x;
    sums[me] = squares[me] = 0;
    for (int i = me; i < 3 * size; i += blockDim.x) {
        sums[me] += image[i];
        squares[me] += (unsigned int)image[i] * image[i];
    }
    for (int half = blockDim.x / 2; half; half /= 2) {
        __syncthreads();
        if (me < half) {
            sums[me] += sums[me + half];
            squares[me] += squares[me + half];
        }
    }
    __syncthreads();
    float mean = (float)sums[0] / (3 * size);
    float scale = rsqrtf((float)squares[0] / (3 * size) - mean * mean + 1);
    float *out = planes + (size_t)blockIdx.x * 3 * size;
    for (int i = me; i < 3 * size; i += blockDim.x)
        out[i % 3 * size + i / 3] = (image[i] - mean) * scale;
}
"""

# For an apu: each image beside the one it is most like, in a frame of the colour the host chose.
PAIR = """
__global__ void pair(const unsigned char *images, const long long *nearest,
                     const unsigned char *colours, unsigned char *sheet,
                     int high, int wide, int frame)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y, image = blockIdx.z;
    if (x >= 2 * wide) return;
    long long from = x < wide ? image : nearest[image];
    bool edge = x < frame || y < frame || 2 * wide - 1 - x < frame || high - 1 - y < frame;
    for (int c = 0; c < 3; c++) {
        unsigned char pixel = images[((from * high + y) * wide + x % wide) * 3 + c];
        sheet[(((long long)image * high + y) * 2 * wide + x) * 3 + c]
            = edge ? colours[image * 3 + c] : pixel;
    }
}
"""


def decoding(height: int, width: int) -> ImageGraph:
    """Return what a vpu does: files to images of one size, cut evenly to its proportions."""
    return ImageGraph(stages=(Decode(height=height, width=width, fit="cover"),))


def similarity(count: int) -> bytes:
    """Return what an hpu does, as StableHLO: two networks' features to the cosines of images."""

    def cosines(one: jax.Array, other: jax.Array) -> jax.Array:
        features = one + other
        unit = features / jnp.linalg.norm(features, axis=1, keepdims=True)
        return unit @ unit.T

    shapes = [jax.ShapeDtypeStruct((count, FEATURES), jnp.float32)] * 2
    return export.export(jax.jit(cosines), platforms=["cpu"])(*shapes).mlir_module_serialized


def nearest(count: int) -> bytes:
    """Return what an ipu does, as ONNX: for each image how much it prefers every other, and the
    index of the one that it prefers most.
    """
    graph = OnnxGraph()
    itself = graph.constant("itself", np.eye(count, dtype=np.float32) * 4)
    others = graph.node("Sub", ["cosines", itself], "others")
    sharpness = graph.constant("sharpness", np.array(SHARPNESS, np.float32))
    sharp = graph.node("Mul", [others, sharpness], "sharp")
    preferred = graph.node("Softmax", [sharp], "preferences", axis=1)
    graph.node("ArgMax", [preferred], "nearest", axis=1, keepdims=0)
    square = (count, count)
    outputs = {"preferences": square, "nearest": (count,)}
    return graph.coded({"cosines": square}, outputs, whole=["nearest"])


def packing() -> Flow:
    """Return what a dpu does: bytes become fewer, have a digest, and are for a key's owner only."""
    return Flow(stages=(Compress(codec="zstd"), Checksum(digest="sha-256", passes=True), Encrypt()))
