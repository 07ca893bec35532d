"""What a unit can be: the personalities, as one table.

A personality says which programs a unit takes while it is loaded to be that: their formats, the
types of elements in them, whether their shapes must be known beforehand. What it does not admit is
refused, with the reason. It says nothing of speed: a software-defined unit runs all of them on the
host's processor. `source` is where what is said of the real chip can be read up.

A site may define more of them (docs/OPERATING.md).
"""

from __future__ import annotations

import msgspec


class Personality(msgspec.Struct, frozen=True):
    """One personality. `kernels` says whether it takes every format of the device below; `formats`
    are those of engines. `elements` are the types of elements it admits, () for all; `dynamic`
    whether shapes may be known only when a program runs; `refuses` are operations that it has not.
    `one_memory` says that it is nothing where buffers are not the host's memory.
    """

    name: str
    formats: tuple[str, ...] = ()
    kernels: bool = False
    elements: tuple[str, ...] = ()
    dynamic: bool = True
    refuses: tuple[str, ...] = ()
    one_memory: bool = False
    stands_for: str = ""
    native_form: str = ""
    not_emulated: str = ""
    source: str = ""


GPU = "gpu"
# Personalities of one unit, those of its site among them: far beyond what there is.
PERSONALITIES_MAX = 32

_CONTROL_FLOW = ("If", "Loop", "Scan")
# What indices, sizes and conditions are made of, beside what is computed with.
_COUNTING = ("bool", "int32", "int64")

PERSONALITIES: tuple[Personality, ...] = (
    Personality(
        name=GPU,
        formats=("array",),
        kernels=True,
        stands_for="a graphics processor, as NVIDIA's, AMD's and Intel's",
        native_form="kernels over grids of threads: CUDA C and PTX, OpenCL C, SPIR-V",
        not_emulated="textures, graphics, the number of its threads that run at once",
        source="https://docs.nvidia.com/cuda/cuda-programming-guide/01-introduction/"
        "programming-model.html",
    ),
    Personality(
        name="tpu",
        formats=("stablehlo",),
        elements=("bfloat16", "float32", "int8", "uint8", *_COUNTING, "uint32"),
        dynamic=False,
        stands_for="Google's Tensor Processing Unit: systolic arrays that multiply matrices of "
        "bfloat16 (or int8) and add in float32",
        native_form="whole programs of tensors, compiled by XLA; StableHLO is what it is given",
        not_emulated="the rounding of float32 factors to bfloat16, several cores and chips, "
        "kernels of Pallas",
        source="https://docs.cloud.google.com/tpu/docs/intro-to-tpu",
    ),
    Personality(
        name="npu",
        formats=("onnx",),
        elements=("float16", "float32", "int8", "uint8", *_COUNTING),
        dynamic=False,
        refuses=_CONTROL_FLOW,
        stands_for="a neural processor beside a CPU, as Intel's: networks of float16 and int8",
        native_form="a network's graph with fixed shapes, as ONNX or OpenVINO's form",
        not_emulated="that it computes in float16 what is given as float32, the operations that a "
        "given driver lacks",
        source="https://docs.openvino.ai/2026/openvino-workflow/running-inference/"
        "inference-devices-and-modes/npu-device.html",
    ),
    Personality(
        name="dpu",
        formats=("dpu-flow",),
        elements=("uint8", "uint32", "uint64"),
        stands_for="a data processor on a network card, as NVIDIA's BlueField: engines that "
        "compress, encrypt, digest and scan what passes",
        native_form="work queued to engines for buffers of bytes (DOCA)",
        not_emulated="the network: ports, packets, queues of a host; programs for its cores",
        source="https://docs.nvidia.com/doca/archive/doca-v2.0.2/programming-guides-overview/",
    ),
    Personality(
        name="hpu",
        formats=("stablehlo", "onnx"),
        elements=(
            "bfloat16", "float16", "float32", "float8_e4m3fn", "float8_e5m2", "int8", "uint8",
            "int16", *_COUNTING,
        ),
        stands_for="Intel's Gaudi, the Habana Processing Unit: a matrix engine beside vector "
        "cores, for training",
        native_form="graphs that are gathered from a framework and compiled as a whole (SynapseAI)",
        not_emulated="kernels for its vector cores (TPC-C), its network between cards",
        source="https://huggingface.co/docs/optimum/en/habana/concept_guides/hpu",
    ),
    Personality(
        name="apu",
        formats=("array",),
        kernels=True,
        one_memory=True,
        stands_for="a processor with its GPU in one memory, as AMD's MI300A: what the host writes "
        "a kernel sees, and back, with no copy",
        native_form="kernels (HIP, OpenCL) over memory that the host has too",
        not_emulated="cores that share caches; of a lease that is far away, the host is its worker",
        source="https://rocm.docs.amd.com/projects/HIP/en/docs-6.2.0/how-to/unified_memory.html",
    ),
    Personality(
        name="vpu",
        formats=("vision", "onnx"),
        elements=(
            "float16", "float32", "int8", "uint8", "int16", "uint16", *_COUNTING, "uint64",
        ),
        refuses=_CONTROL_FLOW,
        stands_for="a vision processor, as Intel's Myriad X and TI's Jacinto: images to images, "
        "and networks over them",
        native_form="graphs of image operations, as OpenVX has them",
        not_emulated="cameras, codecs of video",
        source="https://registry.khronos.org/OpenVX/specs/1.1/html/index.html",
    ),
    Personality(
        name="ipu",
        formats=("stablehlo", "onnx"),
        elements=("float16", "float32", "int8", "uint8", *_COUNTING, "uint32"),
        dynamic=False,
        stands_for="Graphcore's Intelligence Processing Unit: a thousand tiles with their own "
        "memory, that compute and exchange in turn",
        native_form="a graph of arrays of fixed size and of vertices that work on them, compiled "
        "as a whole (Poplar)",
        not_emulated="where on the tiles things lie, vertices of one's own, memory of a tile",
        source="https://docs.graphcore.ai/projects/ipu-programmers-guide/en/latest/"
        "programming_model.html",
    ),
)  # fmt: skip
