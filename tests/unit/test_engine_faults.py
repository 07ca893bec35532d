"""What a stranger's program, or a broken library, makes of an engine: an error, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from gon.errors import GonError, InvalidArgument, OutOfMemory, Unsupported
from gon.model import Handle, Program
from gon_server.devices import sim
from gon_server.engines import shelf as shelf_module
from gon_server.engines.base import Share
from gon_server.engines.iree_runtime import Given, Runtime
from gon_server.engines.shelf import Shelf
from gon_server.engines.stablehlo import open_vmvx
from gon_server.engines.stablehlo_build import read_built
from tests.fake_engine import FORMAT
from tests.unit.test_elastic import Bench, X, Y, args
from tests.unit.test_stablehlo import TWICE, built, floats, placed, vmvx_module, without_places


def test_a_lack_of_memory_is_an_error_of_ours() -> None:
    """Whatever allocates: Python itself, or a library's binding."""
    bench = Bench(sim.open_device(""))

    def allocate(*_: object) -> None:
        raise MemoryError("no pages")

    program = bench.engine.loaded[0]
    program.bind = allocate  # type: ignore[method-assign, assignment]
    with pytest.raises(OutOfMemory, match="no memory for the function: no pages"):
        bench.launch(args(X, Y, 1))
    bench.engine.load = allocate  # type: ignore[method-assign, assignment]
    with pytest.raises(OutOfMemory, match="no memory for the program"):
        bench.unit.load(Handle(50), Program(b"plus", FORMAT))


def test_an_engine_whose_library_is_broken_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name = "onnx.broken"

        def load(self) -> object:
            raise ValueError("numpy size changed")

    def found(**_: object) -> list[Broken]:
        return [Broken()]

    monkeypatch.setattr(shelf_module, "entry_points", found)
    with pytest.raises(Unsupported, match="cannot be loaded: numpy size changed"):
        Shelf(Share(1)).open("onnx")


def test_what_a_module_declares_of_itself_is_not_believed() -> None:
    """Its results are no more than they are, whatever it says."""
    text = b"-> (%output0: tensor<4xf32>)"
    module = without_places(TWICE)
    assert text in module
    lying = module.replace(text, text.replace(b"f32", b"f64"))
    program = open_vmvx(Share(1)).load(Program(lying, "vmvx"))
    assert program.functions[0].params[1].type_name == "float64"
    y = placed(np.zeros(4))
    with pytest.raises(InvalidArgument, match="result 0 has 16 bytes, not 32"):
        program.bind("main", [placed(floats(4)), y], {}).run()
    assert not y.any()


def test_a_name_that_is_no_text_is_an_error() -> None:
    module = vmvx_module(TWICE).replace(b"sync func @main", b"sync func @ma\xffn")
    with pytest.raises(GonError):
        open_vmvx(Share(1)).load(Program(module, "vmvx"))


def test_memory_that_a_tensor_does_not_fit_into_is_an_error() -> None:
    """The runtime has exceptions of several classes."""
    x = placed(floats(4))
    with pytest.raises(InvalidArgument, match="exceeds"):
        Runtime().load(read_built(built(TWICE, "")).image).call(
            "main", [Given(x.ctypes.data, 16, "f32", (1024,))], [], in_place=True, fixed=True
        )
