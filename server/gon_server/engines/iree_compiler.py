"""The edge to IREE's compiler: the narrow surface of it that is used, typed, and the one place that
maps its errors.

The compiler is loaded when something is to be built, in a builder's process only. A `Session` is
one program's: a context of MLIR with its flags.

Rules: what the compiler says is data, cut to the limit and never parsed. Nothing of the program
runs while it is built: the compiler's own evaluation of constants, which would run it, is off.
Must not know: what is admitted, buffers, files.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, cast

from gon.errors import CompileError, Unsupported
from gon.limits import LOG_BYTES_MAX

INSTALL: Final = 'pip install "gon[stablehlo]"'

# From here on into IREE's own dialects: StableHLO, its versioned form and CHLO become loops over
# tensors.
_TO_INPUT: Final = "builtin.module(iree-stablehlo-input-transformation-pipeline)"


class Attribute(Protocol):
    """An attribute of an operation; its text is what it says."""


class Type(Protocol):
    """A type; its text is what it says."""


class Location(Protocol):
    """Where something came from."""


class Value(Protocol):
    """What an operation gives, or a block takes."""

    @property
    def type(self) -> Type: ...
    @property
    def owner(self) -> OpView: ...

    def set_type(self, type: Type, /) -> None: ...  # noqa: A002
    def replace_all_uses_with(self, value: Value, /) -> None: ...
    def replace_all_uses_except(self, value: Value, but: Operation, /) -> None: ...


class Attributes(Protocol):
    """The attributes of one operation, by name."""

    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, name: str, /) -> bool: ...
    def __getitem__(self, name: str, /) -> Attribute: ...
    def __setitem__(self, name: str, value: Attribute, /) -> None: ...
    def __delitem__(self, name: str, /) -> None: ...


class Block(Protocol):
    """A list of operations, and what it takes."""

    @property
    def arguments(self) -> Sequence[Value]: ...
    @property
    def operations(self) -> Sequence[OpView]: ...

    def add_argument(self, type: Type, location: Location, /) -> Value: ...  # noqa: A002
    def erase_argument(self, index: int, /) -> None: ...


class Region(Protocol):
    """The blocks that an operation holds."""

    @property
    def blocks(self) -> Sequence[Block]: ...


class Operation(Protocol):
    """One operation, whatever it is."""

    @property
    def name(self) -> str: ...
    @property
    def operands(self) -> Sequence[Value]: ...
    @property
    def results(self) -> Sequence[Value]: ...
    @property
    def regions(self) -> Sequence[Region]: ...
    @property
    def attributes(self) -> Attributes: ...

    def move_before(self, other: Operation, /) -> None: ...
    def erase(self) -> None: ...
    def walk(self, callback: Callable[[Operation], object], /) -> None: ...


class OpView(Protocol):
    """An operation as a block lists it."""

    @property
    def operation(self) -> Operation: ...


class Module(Protocol):
    """A program."""

    @property
    def body(self) -> Block: ...
    @property
    def operation(self) -> Operation: ...


class _Dialects(Protocol):
    def __enter__(self) -> object: ...
    def __exit__(self, *exception: object) -> object: ...
    def load_all_available_dialects(self) -> None: ...
    def attach_diagnostic_handler(self, handler: Callable[[_Diagnostic], bool], /) -> object: ...


class _Diagnostic(Protocol):
    @property
    def message(self) -> str: ...


class _Parse(Protocol):
    def parse(self, text: str | bytes, context: _Dialects, /) -> object: ...


class _LocationClass(Protocol):
    def unknown(self, context: _Dialects, /) -> Location: ...


class _WalkResult(Protocol):
    @property
    def ADVANCE(self) -> object: ...


class _Ir(Protocol):
    """`iree.compiler.ir`."""

    @property
    def Module(self) -> _Parse: ...
    @property
    def Type(self) -> _Parse: ...
    @property
    def Attribute(self) -> _Parse: ...
    @property
    def Location(self) -> _LocationClass: ...
    @property
    def WalkResult(self) -> _WalkResult: ...
    @property
    def MLIRError(self) -> type[Exception]: ...


class _Pipeline(Protocol):
    def run(self, operation: Operation, /) -> None: ...


class _PipelineClass(Protocol):
    def parse(self, pipeline: str, context: _Dialects, /) -> _Pipeline: ...


class _Passes(Protocol):
    """`iree.compiler.passmanager`."""

    @property
    def PassManager(self) -> _PipelineClass: ...


class _Output(Protocol):
    def map_memory(self) -> bytes: ...
    def close(self) -> None: ...


class _OutputClass(Protocol):
    def open_membuffer(self) -> _Output: ...


class _Invocation(Protocol):
    def import_module(self, operation: Operation, /) -> None: ...
    def execute(self) -> bool: ...
    def output_vm_bytecode(self, output: _Output, /) -> None: ...
    def close(self) -> None: ...


class _Session(Protocol):
    @property
    def context(self) -> _Dialects: ...

    def set_flags(self, *flags: str) -> None: ...
    def invocation(self) -> _Invocation: ...


class _Api(Protocol):
    """`iree.compiler.api`."""

    def Session(self) -> _Session: ...
    @property
    def Output(self) -> _OutputClass: ...


class Compiler:
    """IREE's compiler, loaded."""

    def __init__(self) -> None:
        try:
            self.ir = cast(_Ir, importlib.import_module("iree.compiler.ir"))
            self.passes = cast(_Passes, importlib.import_module("iree.compiler.passmanager"))
            self.api = cast(_Api, importlib.import_module("iree.compiler.api"))
        except ImportError as error:
            raise Unsupported(f"StableHLO needs IREE's compiler: {INSTALL}: {error}") from error

    def session(self, *flags: str) -> Session:
        """Begin with a program that is compiled with these flags."""
        return Session(self, flags)


class Session:
    """One program on its way."""

    def __init__(self, compiler: Compiler, flags: Sequence[str]) -> None:
        self._ir = compiler.ir
        self._passes = compiler.passes
        self._api = compiler.api
        self._session = compiler.api.Session()
        self._session.set_flags("--iree-input-type=none", "--iree-opt-const-eval=false", *flags)
        self._context = self._session.context
        self._context.load_all_available_dialects()
        self._said: list[str] = []
        self._handler = self._context.attach_diagnostic_handler(self._hear)

    def parse(self, program: str | bytes) -> Module:
        """Return the program. Raises CompileError."""
        try:
            with self._context:
                return cast(Module, self._ir.Module.parse(program, self._context))
        except self._ir.MLIRError as error:
            raise self._failure("this is no StableHLO program", error) from None

    def type(self, text: str) -> Type:
        return self._ir.Type.parse(text, self._context)

    def attribute(self, text: str) -> Attribute:
        return self._ir.Attribute.parse(text, self._context)

    def nowhere(self) -> Location:
        return self._ir.Location.unknown(self._context)

    def operations(self, module: Module) -> list[Operation]:
        """Return all operations of a program, the inner ones before what holds them."""
        found: list[Operation] = []
        advance = self._ir.WalkResult.ADVANCE

        def note(operation: Operation) -> object:
            found.append(operation)
            return advance

        module.operation.walk(note)
        return found

    def splice(self, text: str, operands: Sequence[Value], before: Operation) -> list[Value]:
        """Put the body of a function that `text` defines before an operation, with these values for
        what it takes; return what it returns.
        """
        module = self.parse(text)  # its operations live no longer than it does
        [function] = module.body.operations
        [block] = function.operation.regions[0].blocks
        for argument, value in zip(block.arguments, operands, strict=True):
            argument.replace_all_uses_with(value)
        *body, end = [each.operation for each in block.operations]
        for operation in body:
            operation.move_before(before)
        return list(end.operands)

    def lower(self, module: Module) -> None:
        """Turn StableHLO into what IREE compiles, in place. Raises CompileError."""
        try:
            with self._context:
                pipeline = self._passes.PassManager.parse(_TO_INPUT, self._context)
                pipeline.run(module.operation)
        except self._ir.MLIRError as error:
            raise self._failure("the program cannot be compiled", error) from None

    def compile(self, module: Module) -> bytes:
        """Return the module that the runtime loads. Raises CompileError."""
        invocation = self._session.invocation()
        output = self._api.Output.open_membuffer()
        try:
            invocation.import_module(module.operation)
            if not invocation.execute():
                raise self._failure("the program cannot be compiled")
            invocation.output_vm_bytecode(output)
            return bytes(output.map_memory())
        except (ValueError, RuntimeError) as error:
            raise self._failure("the program cannot be compiled", error) from None
        finally:
            output.close()
            invocation.close()

    def _hear(self, diagnostic: _Diagnostic) -> bool:
        self._said.append(str(diagnostic.message))
        return True

    def _failure(self, what: str, error: Exception | None = None) -> CompileError:
        words = [*self._said, *([] if error is None else [str(error)])]
        log = "\n".join(words)
        first = next((line for line in log.splitlines() if "error:" in line), words[0:1])
        reason = first if isinstance(first, str) else "".join(first)
        return CompileError(
            f"{what}: {reason.removeprefix('error: ')[:500]}", log=log[:LOG_BYTES_MAX]
        )
