"""Programs of engines on a device, each as what its users call it.

Rules: what a program does not use costs it nothing: each kind of them is imported when it is asked
for. Must not know: the device, but that it compiles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from gon.forked import new_lock

if TYPE_CHECKING:
    from gon import vision
    from gon.flow import Flow, Stage
    from gon_client.flow import DeviceFlow
    from gon_client.function import Function
    from gon_client.module import Module
    from gon_client.stablehlo import Exportable, ExportedFunction, StableHlo, TracedFunction
    from gon_client.vision import DeviceVision
    from gon_client.xp.runner import Runner


class Models(ABC):
    """What a device makes of programs that engines run."""

    _arrays: Runner | None = None
    # What is noted for a device is of one runner: threads that come first at once get the same.
    _arrays_lock = new_lock()

    @abstractmethod
    def compile(
        self, source: str | bytes, code_format: str = "opencl-c", options: str = ""
    ) -> Module:
        """Compile or load a program; see Device."""

    def onnx(self, model: str | PathLike[str] | bytes, *, engine: str = "") -> Function:
        """Load an ONNX model, a file or its content, as a function: `y = dev.onnx("m.onnx")(x)`.

        `engine` names what is to run it ("onnxruntime", "openvino"), where the host has several;
        which one it is else, the host says. Raises CompileError with the runtime's words,
        Unsupported for what a model may not have here, the unit's personality does not admit, or an
        engine that is not there, InvalidArgument for a unit without ONNX.
        """
        code = model if isinstance(model, bytes) else Path(model).read_bytes()
        options = f"--engine={engine}" if engine else ""
        return self.compile(code, "onnx", options).get_function("main")

    def stablehlo(
        self, program: Exportable, *specs: object
    ) -> StableHlo | ExportedFunction | TracedFunction:
        """Return what calls a StableHLO program with arrays: posts, and gives arrays of the device.

        `program` is a JAX function, exported for `specs` (arrays, or shapes and dtypes, symbolic
        ones too), or at the first call for what that is given; a `jax.export.Exported`, its
        `serialize()`; or, without JAX here, its `mlir_module_serialized` or StableHLO's text.
        Raises InvalidArgument where JAX does not export it, CompileError, Unsupported.
        """
        from gon_client.stablehlo import stablehlo

        return stablehlo(self, program, specs)

    def flow(self, stages: Flow | Sequence[Stage], *, chunk_bytes: int | None = None) -> DeviceFlow:
        """Return a flow, ready to be called on arrays of this device: bytes go through the stages
        (gon.flow) in their order, where they lie, in chunks (FLOW_CHUNK_BYTES if not given).

            pack = dev.flow([Compress(codec="zstd"), Checksum(digest="sha-256", passes=True),
                             Encrypt()])
            packed = pack(array, key=key)
            packed.nbytes, packed.digest(), packed.values["nonce"], packed.array

        Raises InvalidArgument, LimitExceeded and Unsupported for what is no flow, CompileError for
        expressions that cannot be scanned for.
        """
        from gon_client.flow import flow_on

        return flow_on(self, stages, chunk_bytes)

    def vision(
        self,
        stages: vision.ImageGraph | Sequence[vision.Stage],
        *,
        element: vision.Element | None = None,
    ) -> DeviceVision:
        """Return an image graph, ready to be called on images of this device: they go through the
        stages (gon.vision) in their order. `element` is the type of their elements, uint8 if not
        given; one of any size may go in, and as many as wanted.

            prepare = dev.vision([Decode(height=224, width=224, fit="cover"), Normalise(...),
                                  Planar()])
            scores = model(prepare([jpeg, png]))

        Raises InvalidArgument, LimitExceeded and Unsupported for what is no such graph.
        """
        from gon_client.vision import vision_on

        return vision_on(self, stages, element)

    @property
    def arrays(self) -> Runner:
        """What runs the arrays of `gon.xp` that are on this device. Raises Unsupported for a device
        that takes none.
        """
        if self._arrays is None:
            from gon_client.xp.runner import runner_on

            with self._arrays_lock:
                if self._arrays is None:
                    self._arrays = runner_on(self)
        return self._arrays
