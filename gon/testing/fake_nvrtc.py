"""NVRTC and modules of `fake_cupy`.

A source is "compiled" by finding in it the kernels and variables that were registered; what comes
out is PTX that declares them, as NVRTC writes it. A kernel in it that was not registered is an
error of the compiler, with its line.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from gon.testing.fake_gpu import FakeKernel, FakeVariable
from gon.testing.fake_world import CUDADriverError, NVRTCError, World

CUBIN_MARK = b"fake machine code\n"
_KERNEL = re.compile(r"__global__[^;{(]*?\bvoid\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(")
_VARIABLE = re.compile(r"__(?:device|constant)__[^;{(]*?(\w+)\s*(?:\[\w+\]\s*)*[=;]")


@dataclass(slots=True)
class _Source:
    text: str
    name: str
    headers: dict[str, str]
    names: list[str] = field(default_factory=list[str])
    options: tuple[str, ...] = ()
    log: str = ""
    ptx: str = ""


class FakeNvrtc:
    """`cupy.cuda.nvrtc`."""

    NVRTCError = NVRTCError

    def __init__(self, world: World) -> None:
        self._world = world
        self._sources: dict[int, _Source] = {}
        self.options: tuple[str, ...] = ()

    def getVersion(self) -> tuple[int, int]:
        if not self._world.has_compiler:
            raise RuntimeError("CuPy failed to load libnvrtc.so.12: no such file")
        return 12, 9

    def getSupportedArchs(self) -> tuple[int, ...]:
        return (75, 80, 86, 89, 90)

    def createProgram(
        self, source: str, name: str, headers: Sequence[bytes], names: Sequence[bytes], /
    ) -> int:
        given = {key.decode(): text.decode() for key, text in zip(names, headers, strict=True)}
        made = _Source(source, name, given)
        self._sources[id(made)] = made
        return id(made)

    def destroyProgram(self, program: int, /) -> None:
        del self._sources[program]

    def addNameExpression(self, program: int, name: str, /) -> None:
        self._sources[program].names.append(name)

    def compileProgram(self, program: int, options: Sequence[str], /) -> None:
        source = self._sources[program]
        self.options = source.options = tuple(options)
        wanted = [*_KERNEL.findall(source.text), *source.names]
        kernels: list[FakeKernel] = []
        for name in wanted:
            kernel = self._world.kernels.get(name)
            if kernel is not None:
                kernels.append(kernel)
            elif not self._is_template(source.text, name):
                self._refuse(source, name)
        found = [self._world.variables.get(name) for name in _VARIABLE.findall(source.text)]
        target = next(o for o in options if o.startswith("-arch=")).removeprefix("-arch=")
        source.ptx = _ptx(target, kernels, [variable for variable in found if variable])

    @staticmethod
    def _is_template(text: str, name: str) -> bool:
        return (
            re.search(rf"template\s*<[^>]*>\s*__global__[^;{{(]*\b{re.escape(name)}\s*\(", text)
            is not None
        )

    @staticmethod
    def _refuse(source: _Source, name: str) -> None:
        lines = source.text.split("\n")
        row = next((row for row, line in enumerate(lines) if name in line), 0)
        source.log = (
            f"{source.name}({row + 1}): error: the fake knows no kernel {name}\n  {lines[row]}\n\n"
            f'1 error detected in the compilation of "{source.name}".\n'
        )
        raise NVRTCError(6)

    def getLoweredName(self, program: int, name: str, /) -> str:
        assert name in self._sources[program].names, "a name expression that was not added"
        return self._world.kernels[name].symbol

    def getProgramLog(self, program: int, /) -> str:
        return self._sources[program].log

    def getPTX(self, program: int, /) -> bytes:
        return self._sources[program].ptx.encode()

    def getCUBIN(self, program: int, /) -> bytes:
        if not any(option.startswith("-arch=sm_") for option in self._sources[program].options):
            raise RuntimeError("cubin is requested, but the real arch (sm_XX) is not provided")
        return CUBIN_MARK + self._sources[program].ptx.encode()


def _ptx(target: str, kernels: Sequence[FakeKernel], variables: Sequence[FakeVariable]) -> str:
    lines = ["//", "// Made by a fake", "//", ".version 8.8"]
    lines += [f".target {target.replace('compute', 'sm')}", ".address_size 64", ""]
    for variable in variables:
        size = len(variable.initial)
        lines.append(f".visible .global .align 4 .b8 {variable.symbol}[{size}];")
    for kernel in kernels:
        params = ",\n".join(
            f"\t.param {_declared(param, f'{kernel.symbol}_param_{number}')}"
            for number, param in enumerate(kernel.params)
        )
        lines.append(f".visible .entry {kernel.symbol}(\n{params}\n)\n{{\n\tret;\n}}")
    return "\n".join(lines) + "\n"


def _declared(param: str, name: str) -> str:
    kind, bracket, count = param.partition("[")
    return f".align 8 {kind} {name}[{count}" if bracket else f"{param} {name}"


class FakeFunction:
    """`cupy.cuda.function.Function`."""

    def __init__(self, module: FakeModule, kernel: FakeKernel) -> None:
        self.module = module
        self.kernel = kernel
        self.ptr = id(self)
        FUNCTIONS[self.ptr] = self


# Handles are numbers; they mean nothing once their object is gone.
FUNCTIONS: weakref.WeakValueDictionary[int, FakeFunction] = weakref.WeakValueDictionary()


class FakeModule:
    """`cupy.cuda.function.Module`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._variables: dict[str, int] = {}
        self._symbols: list[str] = []

    def load(self, image: bytes, /) -> None:
        gpu = self._world.check("moduleLoadData", error=CUDADriverError)
        text = image.removeprefix(CUBIN_MARK)
        if b".version" not in text:
            raise CUDADriverError(200)
        self._symbols = re.findall(r"\.entry (\w+)", text.decode())
        by_symbol = {variable.symbol: variable for variable in self._world.variables.values()}
        for symbol in re.findall(r"\.global .* (\w+)\[\d+\];", text.decode()):
            initial = by_symbol[symbol].initial
            self._variables[symbol] = address = gpu.allocate(len(initial))
            gpu.view(address, len(initial)).data[:] = initial
            weakref.finalize(self, gpu.give_back, address)

    def get_function(self, name: str, /) -> FakeFunction:
        self._world.check("moduleGetFunction", error=CUDADriverError)
        by_symbol = {kernel.symbol: kernel for kernel in self._world.kernels.values()}
        if name not in self._symbols or name not in by_symbol:
            raise CUDADriverError(500)
        return FakeFunction(self, by_symbol[name])

    def get_global_var(self, name: str, /) -> int:
        self._world.check("moduleGetGlobal", error=CUDADriverError)
        if name not in self._variables:
            raise CUDADriverError(500)
        return self._variables[name]


class FakeFunctionModule:
    """`cupy.cuda.function`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def Module(self) -> FakeModule:
        return FakeModule(self._world)
