"""What personalities admit, the shelf of engines, and when engines are loaded."""

from __future__ import annotations

import threading

import pytest

from gon.errors import Unsupported
from gon.model import Program
from gon.personalities import PERSONALITIES, PERSONALITIES_MAX, Personality
from gon_server.engines.admission import check_format, check_program, formats_of
from gon_server.engines.base import Share, Uses
from gon_server.engines.choice import EngineRules, asked_engine
from gon_server.engines.limits import QUIET_LOOK_S, QUIET_PATIENCE_S
from gon_server.engines.shelf import Shelf
from gon_server.engines.signature import function, tensor, value
from gon_server.engines.warming import cpu_time_of, wait_until_quiet, warm
from tests.fake_engine import FakeEngine

KERNELS = ("opencl-c", "spir-v")
BY_NAME = {each.name: each for each in PERSONALITIES}


def fixed(element: str, *shape: int | str) -> Uses:
    return Uses(frozenset({element}), dynamic=any(isinstance(dim, str) for dim in shape))


def test_the_table_is_whole() -> None:
    assert list(BY_NAME) == ["gpu", "tpu", "npu", "dpu", "hpu", "apu", "vpu", "ipu"]
    assert len(PERSONALITIES) < PERSONALITIES_MAX
    for each in PERSONALITIES:
        assert each.formats or each.kernels
        assert each.source.startswith("https://")
        assert all((each.stands_for, each.native_form, each.not_emulated))


def test_formats_are_those_of_kernels_and_of_engines() -> None:
    assert formats_of(BY_NAME["gpu"], KERNELS) == (*KERNELS, "array")
    assert formats_of(BY_NAME["npu"], KERNELS) == ("onnx",)
    both = Personality("both", formats=("onnx", "spir-v"), kernels=True)
    assert formats_of(both, KERNELS) == ("opencl-c", "spir-v", "onnx")
    check_format(both, "onnx", KERNELS)
    with pytest.raises(Unsupported, match="'cuda-c': the unit is a both now, which takes opencl-c"):
        check_format(both, "cuda-c", KERNELS)


@pytest.mark.parametrize(
    ("personality", "element", "shape", "operations", "says"),
    [
        ("npu", "float16", (2, 3), (), ""),
        ("npu", "float64", (2, 3), (), "elements of float64: a npu has float16, float32"),
        ("npu", "float32", ("n", 3), (), "x has the dimension n, .*: a npu takes fixed shapes"),
        ("npu", "float32", (2, 3), ("Loop", "Add"), "operations Loop: a npu has none of them"),
        ("vpu", "float32", ("n", 3), ("Add",), ""),
        ("tpu", "bfloat16", (2, 3), (), ""),
        ("tpu", "float16", (2, 3), (), "elements of float16"),
        ("ipu", "float32", ("n",), (), "fixed shapes"),
        ("hpu", "float8_e4m3fn", ("n",), (), ""),
        ("dpu", "uint8", ("n",), (), ""),
        ("dpu", "float32", (4,), (), "elements of float32"),
    ],
)
def test_programs_are_admitted_or_refused_with_the_reason(
    personality: str, element: str, shape: tuple[int | str, ...], operations: tuple[str, ...],
    says: str,
) -> None:  # fmt: skip
    info = function("f", tensor("x", element, shape), value("how", "int64"))
    uses = Uses(operations=frozenset(operations))
    if not says:
        check_program(BY_NAME[personality], uses, [info])
        return
    with pytest.raises(Unsupported, match=says):
        check_program(BY_NAME[personality], uses, [info])


def test_what_is_inside_a_program_counts_too() -> None:
    info = function("f", tensor("x", "float32", (4,)))
    with pytest.raises(Unsupported, match="elements of float64"):
        check_program(BY_NAME["npu"], Uses(frozenset({"float64"})), [info])
    with pytest.raises(Unsupported, match="known when it runs"):
        check_program(BY_NAME["npu"], Uses(dynamic=True), [info])


def test_an_engine_is_loaded_once_and_when_it_is_needed() -> None:
    shelf = Shelf(Share(1))
    assert not shelf.has("onnx")
    found = [None] * 4

    def load(number: int) -> None:
        found[number] = shelf.open("onnx")  # type: ignore[call-overload]

    threads = [threading.Thread(target=load, args=(number,)) for number in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in found}) == 1
    assert shelf.has("onnx")
    assert "onnxruntime" in repr(shelf)


def test_of_several_engines_the_one_that_is_named_runs_a_program() -> None:
    named = Program(b"", "onnx", "--engine=openvino")
    assert asked_engine(named) == ("openvino", Program(b"", "onnx"))
    both = Program(b"", "stablehlo", "--engine=iree --platform-index=1")
    assert asked_engine(both) == ("iree", Program(b"", "stablehlo", "--platform-index=1"))
    for options in ("", "-O3 --engine=", "x--engine=iree", "--engine=a.b"):
        assert asked_engine(Program(b"", "onnx", options)) == ("", Program(b"", "onnx", options))
    shelf = Shelf(Share(1))
    openvino = shelf.open("onnx", "openvino")
    assert openvino.version.startswith("openvino ")
    assert not shelf.has("onnx")
    assert shelf.open("onnx").version.startswith("onnxruntime ")
    assert shelf.open("onnx") is shelf.open("onnx", "onnxruntime")
    assert shelf.open("onnx", "openvino") is openvino
    wanted = Shelf(Share(1), EngineRules(chosen=(("onnx", "openvino"),)))
    assert wanted.open("onnx") is wanted.open("onnx", "openvino")
    with pytest.raises(Unsupported, match="no engine 'tract' of onnx here; there are onnxruntime"):
        Shelf(Share(1), EngineRules(chosen=(("onnx", "tract"),))).open("onnx")


def test_an_engine_that_the_site_forbids_is_never_loaded() -> None:
    shelf = Shelf(Share(1), EngineRules(forbidden=("onnx.onnxruntime", "dpu-flow")))
    assert shelf.open("onnx").version.startswith("openvino ")
    for code_format, name in (("onnx", "onnxruntime"), ("dpu-flow", ""), ("dpu-flow", "stages")):
        with pytest.raises(Unsupported, match=r"forbidden by the unit's site \(forbid_engines: "):
            shelf.open(code_format, name)


def test_some_of_a_personalitys_engines_are_enough() -> None:
    shelf = Shelf(Share(1))
    assert not shelf.open_some(("no-such", "onnx"))
    shelf.put(FakeEngine("dpu-flow"))
    assert shelf.open_some(("dpu-flow", "onnx"))
    with pytest.raises(Unsupported, match="there is no engine of no-such here"):
        shelf.open_some(("no-such",))


class Turning:
    """A clock that goes on by its sleeps, and a thread whose work goes with it."""

    def __init__(self, busy_looks: int) -> None:
        self.at_s = 0.0
        self.busy_looks = busy_looks
        self.looks = 0

    def now_s(self) -> float:
        return self.at_s

    def sleep_s(self, duration_s: float, /) -> None:
        self.at_s += duration_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.sleep_s(timeout_s)
        return event.is_set()

    def busy_s(self) -> float:
        self.looks += 1
        return min(self.looks, self.busy_looks) * QUIET_LOOK_S


@pytest.mark.parametrize("busy_looks", [0, 1, 7])
def test_engines_wait_until_nobody_works(busy_looks: int) -> None:
    turning = Turning(busy_looks)
    wait_until_quiet(turning.busy_s, turning)
    assert turning.looks == max(busy_looks, 1) + 1


def test_engines_do_not_wait_for_ever() -> None:
    turning = Turning(1_000_000)
    wait_until_quiet(turning.busy_s, turning)
    assert turning.at_s == pytest.approx(QUIET_PATIENCE_S, abs=2 * QUIET_LOOK_S)


def test_what_cannot_be_loaded_is_left_to_who_asks() -> None:
    shelf = Shelf(Share(1))
    busy_s = cpu_time_of(threading.get_ident())
    warm(shelf, ("no-such", "onnx"), busy_s, Turning(0)).join()
    assert shelf.has("onnx")
    assert not shelf.has("no-such")
