"""What `gon bench` compares calls of ONNX models with: ONNX Runtime's own call in one process,
bound to arrays that are there.

Registered as `onnx_call` in the entry point group `gon.baselines`. Rules: nothing of the engine is
on the way but how the runtime is opened, with as many threads as the process has processors.
"""

from __future__ import annotations

import os

import numpy as np

from gon_server.engines.base import address_of
from gon_server.engines.onnx_runtime import open_runtime

_FLOAT = 1  # as ONNX numbers it


class OnnxCalls:
    """Calls of a model of floats whose sizes are fixed."""

    def __init__(self, code: bytes, _size_bytes: int) -> None:
        runtime = open_runtime(len(os.sched_getaffinity(0)))
        self.name = f"onnxruntime {runtime.version}"
        session = runtime.load(code)
        self._run = session.run_with_iobinding
        self._binding = session.io_binding()
        self._arrays: list[np.ndarray] = []
        inputs, outputs = session.get_inputs(), session.get_outputs()
        for nodes, bind in (
            (inputs, self._binding.bind_input),
            (outputs, self._binding.bind_output),
        ):
            for node in nodes:
                shape = [int(size or 1) for size in node.shape]
                array = np.full(shape, 1 / shape[0], np.float32)
                self._arrays.append(array)
                bind(node.name, "cpu", 0, _FLOAT, shape, address_of(array))

    def call(self) -> None:
        self._run(self._binding)


def open_baseline(code: bytes, size_bytes: int) -> OnnxCalls:
    """Make calls of a model ready. Raises Unsupported without ONNX Runtime, CompileError."""
    return OnnxCalls(code, size_bytes)
