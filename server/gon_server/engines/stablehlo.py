"""The engine of StableHLO, which is what JAX exports and TPUs take, by IREE.

    build: StableHLO ─▶ machine code of this host      (in a builder, where there is one)
    load:  machine code or vmvx bytecode ─▶ functions whose tensors are the unit's buffers

Inputs are read where they are; results are written where they shall be by the program itself. A
vmvx module that was compiled without places for its results has them copied there.

Rules: tensors begin at multiples of 64 bytes, as buffers do. A program runs in the thread that
calls, and gives up the GIL meanwhile. Must not know: how programs are built, IREE's own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from gon.errors import CompileError, InvalidArgument
from gon.model import Dim, KernelInfo, Param, Program
from gon_server.engines import signature
from gon_server.engines.base import Bound, Engine, Share, Tensor, Uses, address_of
from gon_server.engines.iree_runtime import ALIGNMENT_BYTES, Given, Loaded, Runtime
from gon_server.engines.stablehlo_build import (
    STABLEHLO,
    VMVX,
    Built,
    Function,
    build,
    declared,
    read_built,
)
from gon_server.engines.stablehlo_types import Tensor as TensorType

_RUNTIME: Final = "iree-base-runtime"


class StableHlo:
    """Runs StableHLO, or vmvx modules."""

    def __init__(self, code_format: str) -> None:
        self._format = code_format
        self._runtime = Runtime()

    def __repr__(self) -> str:
        return f"StableHlo({self._format!r}, {self.version})"

    @property
    def format(self) -> str:
        return self._format

    @property
    def version(self) -> str:
        return f"{_RUNTIME} {version(_RUNTIME)}"

    def load(self, program: Program) -> StableHloProgram:
        """Build a program and load it."""
        return self.load_built(self.build(program))

    def is_compiled(self, program: Program) -> bool:  # noqa: ARG002 - all are, or looked at
        return True

    def build(self, program: Program) -> bytes:
        """Compile a program for any process of this host. Raises as `load`."""
        return build(program)

    def load_built(self, built: bytes) -> StableHloProgram:
        """Load what `build` gave. Raises DeviceError for anything else, otherwise as `load`."""
        return StableHloProgram(self._runtime, read_built(built))


class StableHloProgram:
    """A loaded program."""

    def __init__(self, runtime: Runtime, built: Built) -> None:
        self._loaded: Loaded | None = runtime.load(built.image)
        self.size_bytes = len(built.image)
        functions = built.functions or _declared_by(self._loaded)
        self._functions = {each.name: each for each in functions}
        self._infos = tuple(_info(each) for each in functions)
        tensors = [each for one in functions for each in (*one.takes, *one.gives)]
        self._uses = Uses(
            frozenset(built.elements) | {each.dtype for each in tensors},
            frozenset(built.operations),
            any(each.dynamic for each in tensors),
        )

    @property
    def functions(self) -> tuple[KernelInfo, ...]:
        return self._infos

    @property
    def uses(self) -> Uses:
        return self._uses

    @property
    def fills(self) -> bool:
        return True

    def bind(
        self,
        function: str,
        tensors: Sequence[Tensor],
        values: Mapping[str, bytes],  # noqa: ARG002 - the tensors have their sizes
    ) -> Bound:
        assert self._loaded is not None, "it was unloaded"
        found = self._functions[function]
        kinds = (*found.takes, *found.gives)
        given = [
            _given(place, kind, each)
            for place, (kind, each) in enumerate(zip(kinds, tensors, strict=True))
        ]
        cut = len(found.inputs)
        # What is written in place is a program that was built here: its types are what it does.
        fixed = found.in_place and not any(each.dynamic for each in found.gives)
        return self._loaded.call(
            function, given[:cut], given[cut:], in_place=found.in_place, fixed=fixed
        )

    def unload(self) -> None:
        self._loaded = None


def open_stablehlo(share: Share) -> Engine:  # noqa: ARG001 - it has no threads
    """Make the engine of StableHLO ready."""
    return StableHlo(STABLEHLO)


def open_vmvx(share: Share) -> Engine:  # noqa: ARG001
    """Make the engine of vmvx modules ready."""
    return StableHlo(VMVX)


def _declared_by(loaded: Loaded) -> tuple[Function, ...]:
    """Return the functions that a module declares. Raises CompileError if it has none."""
    found = [declared(name, text) for name, text in loaded.declarations.items()]
    functions = tuple(each for each in found if each is not None)
    if not functions:
        raise CompileError("the module declares no function that can be called (sync func)")
    return functions


def _info(function: Function) -> KernelInfo:
    return signature.function(
        function.name,
        *(_param(f"input{place}", kind) for place, kind in enumerate(function.takes)),
        *(_param(f"output{place}", kind, writes=True) for place, kind in enumerate(function.gives)),
    )


def _param(name: str, kind: TensorType, *, writes: bool = False) -> Param:
    shape: list[Dim] = [
        f"{name}_{place}" if size is None else size for place, size in enumerate(kind.shape)
    ]
    return signature.tensor(name, kind.dtype, shape, writes=writes)


def _given(place: int, kind: TensorType, tensor: Tensor) -> Given:
    address = address_of(tensor)
    if tensor.nbytes and address % ALIGNMENT_BYTES:
        raise InvalidArgument(
            f"tensor {place} begins {address % ALIGNMENT_BYTES} bytes behind a multiple of "
            f"{ALIGNMENT_BYTES}, at which StableHLO needs them to begin"
        )
    return Given(address, tensor.nbytes, kind.element, tensor.shape, tensor)
