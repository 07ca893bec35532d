"""A software-defined unit on which tests run OpenCL text that stands on the CUDA built-ins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyopencl as cl

from gon_server.cuda_c.builtins import prelude
from gon_server.cuda_c.target import Dialect, Target
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_runtime import select

Array: TypeAlias = npt.NDArray[np.generic]
Shape: TypeAlias = tuple[int, ...]
OPTIONS = {Dialect.CPP: "-cl-std=CLC++2021", Dialect.C12: "-cl-std=CL1.2"}
LANES_32 = "__attribute__((intel_reqd_sub_group_size(32)))"


def target_of(dialect: Dialect) -> Target:
    """What the software unit of the tests has."""
    return Target(dialect, True, True, True, (4, 8, 16, 32, 64), 65_536, 1024)


@dataclass(frozen=True)
class Call:
    """One expression over elements: `ins` are named a, b, c, … in `text`, `out` is its type."""

    text: str
    ins: tuple[str, ...]
    out: str


NUMPY = {
    "bool": "u1",
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "long": "i8",
    "ulong": "u8",
    "half": "f2",
    "float": "f4",
    "double": "f8",
}


def wrap(value: int, type_name: str) -> int:
    """The value as a number of that type has it."""
    info = np.iinfo(NUMPY[type_name])
    return (value - int(info.min)) % (1 << info.bits) + int(info.min)


def whole_numbers(type_name: str, rng: np.random.Generator, count: int = 200) -> Array:
    """Numbers of the type: ends of its range, any, and small ones."""
    info = np.iinfo(NUMPY[type_name])
    edges = [info.min, info.max, 0, 1, info.max // 2, info.max - 1]
    edges += [-1, info.min + 1] if info.min < 0 else [2, 3]
    free = rng.integers(info.min, info.max, count, NUMPY[type_name], endpoint=True)
    few = rng.integers(0, 40, count // 2).astype(NUMPY[type_name])
    return rng.permutation(np.concatenate([np.array(edges * 8, NUMPY[type_name]), free, few]))


class CudaUnit:
    """One dialect of the host's software unit."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.target = target_of(dialect)
        self._unit = select("")
        self._context = cl.Context([self._unit])
        self._queue = driver.create_queue(self._context, self._unit)

    def build(self, names: Iterable[str], text: str) -> driver.Program:
        """Compile `text` behind the prelude of `names`; a failure shows the compiler's log."""
        return self.build_text(prelude(names, self.target) + text)

    def build_text(self, text: str) -> driver.Program:
        """Compile OpenCL text as it is."""
        program = driver.create_program(self._context, text)
        try:
            driver.build(program, OPTIONS[self.dialect], self._unit)
        except driver.DriverError as error:
            raise AssertionError(driver.build_log(program, self._unit)) from error
        return program

    def launch(
        self,
        program: driver.Program,
        name: str,
        arrays: Sequence[Array],
        threads: Shape = (1,),
        block: Shape = (1,),
    ) -> list[Array]:
        """Run a kernel on copies of the arrays and return what they are afterwards."""
        kernel = driver.create_kernel(program, name)
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        results = [np.array(array, order="C") for array in arrays]
        buffers = [cl.Buffer(self._context, flags, hostbuf=result) for result in results]
        for index, buffer in enumerate(buffers):
            kernel.set_arg(index, buffer)
        driver.enqueue_kernel(self._queue, kernel, threads, block)
        for buffer, result in zip(buffers, results, strict=True):
            out = result.reshape(-1).view(np.uint8).data
            driver.enqueue_read(self._queue, buffer, out, 0, None, True)
        return results

    def evaluate(
        self, names: Iterable[str], calls: Mapping[str, Call], inputs: Mapping[str, Sequence[Array]]
    ) -> dict[str, Array]:
        """Run every call over its inputs, all of one build; gives results by the calls' names."""
        symbols = {name: f"call_{index}" for index, name in enumerate(calls)}
        text = "".join(_kernel(symbols[name], call) for name, call in calls.items())
        program = self.build(names, text)
        results: dict[str, Array] = {}
        for name, call in calls.items():
            arrays = [
                np.asarray(array).astype(NUMPY[type_name], copy=False)
                for array, type_name in zip(inputs[name], call.ins, strict=True)
            ]
            size = arrays[0].size
            out = np.zeros(size, NUMPY[call.out])
            results[name] = self.launch(program, symbols[name], [*arrays, out], (size,))[-1]
        return results


def _kernel(symbol: str, call: Call) -> str:
    letters = "abcdefgh"[: len(call.ins)]
    params = [f"global const {t} *{letter}_" for letter, t in zip(letters, call.ins, strict=True)]
    out = "uchar" if call.out == "bool" else call.out
    loads = " ".join(
        f"{t} {letter} = {letter}_[i];" for letter, t in zip(letters, call.ins, strict=True)
    )
    return (
        f"kernel void {symbol}({', '.join([*params, f'global {out} *out_'])}) {{\n"
        f"    size_t i = get_global_id(0); {loads} out_[i] = {call.text};\n}}\n"
    )
