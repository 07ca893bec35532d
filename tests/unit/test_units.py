"""The book of units: slices in and out, refusals that say why; the plan of a host's units."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gon.errors import ConfigError, LeaseRefused
from gon.personalities import PERSONALITIES_MAX
from gon_server import config
from gon_server.config import Settings
from gon_server.offers import FoundEngine
from gon_server.units import Found, Share, UnitBook, UnitSpec, plan
from gon_server.walls import NO_WALLS, Walls

GIB = 1 << 30

INTEL = Found("opencl:Intel(R) OpenCL/0", "cpu", "Xeon", "Intel", 8 * GIB, ("opencl-c", "spir-v"))
POCL = Found("opencl:Portable Computing Language/0", "cpu", "pthread", "PoCL", 8 * GIB, ("c",))
CARD = Found("opencl:NVIDIA CUDA/0", "gpu", "H100", "NVIDIA", 80 * GIB, ("opencl-c",))
FPGA = Found("opencl:Intel FPGA/0", "accelerator", "Emulator", "Intel", 8 * GIB, ("opencl-c",))


def spec(name: str = "u", kind: str = "eagphpu", slices: int = 4, memory: int = 4000) -> UnitSpec:
    return UnitSpec(name, kind, name, "null:", ("opencl-c",), memory, slices, warm=0)


def settings(**flags: tuple[str, ...]) -> Settings:
    return config.load(None, {"HOME": "/nowhere"}, flags, 1000).settings


def free(book: UnitBook) -> dict[str, int]:
    return {unit.id: unit.slices_free for unit in book.describe()}


def test_a_lease_without_a_size_gets_one_slice() -> None:
    book = UnitBook([spec()])
    assert book.take("u", "", 0) == Share("u", "gpu", 1, 1000)
    assert free(book) == {"u": 3}


@pytest.mark.parametrize(("memory", "slices"), [(1, 1), (1000, 1), (1001, 2), (4000, 4)])
def test_memory_is_rounded_up_to_slices(memory: int, slices: int) -> None:
    share = UnitBook([spec()]).take("u", "", memory)
    assert (share.slices, share.memory_bytes) == (slices, 1000 * slices)


def test_what_is_given_back_can_be_taken_again() -> None:
    book = UnitBook([spec()])
    share = book.take("u", "", 4000)
    with pytest.raises(LeaseRefused, match=r"unit u has 0 of 4 slices"):
        book.take("u", "", 0)
    book.give_back(share)
    assert book.take("u", "gpu", 4000) == share


@pytest.mark.parametrize(
    ("unit", "personality", "memory", "message"),
    [
        ("v", "", 0, r"there is no unit 'v'; the units of this host: u, w"),
        ("u", "tpu", 0, r"unit u offers gpu, not personality 'tpu'"),
        ("", "tpu", 0, r"no unit of this host offers personality 'tpu'; offered are: gpu"),
        ("u", "", 4001, r"4001 bytes are more than the whole of unit u, 4000 bytes"),
        ("", "", 4001, r"no unit has 4001 bytes free: unit u has 4 of 4 .*; unit w has 4 of 4"),
    ],
)
def test_refusals_say_what_there_is(unit: str, personality: str, memory: int, message: str) -> None:
    book = UnitBook([spec("u"), spec("w")])
    with pytest.raises(LeaseRefused, match=message):
        book.take(unit, personality, memory)
    assert free(book) == {"u": 4, "w": 4}


def test_the_best_unit_is_real_hardware_then_the_least_used() -> None:
    book = UnitBook([spec("acc0", "accelerator"), spec("soft", "eagphpu"), spec("gpu0", "gpu")])
    taken = [book.take("", "", 4000).unit for _ in range(3)]
    assert taken == ["gpu0", "soft", "acc0"]
    twins = UnitBook([spec("a", "gpu"), spec("b", "gpu")])
    assert [twins.take("", "", 0).unit for _ in range(4)] == ["a", "b", "a", "b"]


@given(st.lists(st.integers(0, 5000), max_size=40))
def test_slices_are_never_lost_nor_made(sizes: list[int]) -> None:
    book = UnitBook([spec("a"), spec("b", slices=7, memory=7001)])
    held: list[Share] = []
    for size in sizes:
        if held and size % 3 == 0:
            book.give_back(held.pop(size % len(held)))
        with contextlib.suppress(LeaseRefused):
            held.append(book.take("", "", size))
        taken = sum(share.slices for share in held)
        assert sum(free(book).values()) == 11 - taken
        assert all(number >= 0 for number in free(book).values())
        assert all(share.memory_bytes >= 1 for share in held)


def test_every_gpu_and_accelerator_is_a_unit_and_one_cpu_runtime() -> None:
    specs = plan(settings(), [POCL, INTEL, CARD, CARD, FPGA], 64 * GIB, "x86_64")
    assert [(each.id, each.kind, each.device) for each in specs] == [
        ("gpu0", "gpu", CARD.address),
        ("gpu1", "gpu", CARD.address),
        ("acc0", "accelerator", FPGA.address),
        ("eagphpu0", "eagphpu", INTEL.address),
    ]
    assert specs[0].memory_bytes == 80 * GIB
    assert specs[-1].memory_bytes == 48 * GIB
    assert specs[-1].formats == ("opencl-c", "spir-v")
    assert {each.slices for each in specs} == {32}
    assert [each.personalities for each in specs] == [("gpu",)] * 3 + [("gpu", "apu")]


ONNX = FoundEngine("onnx", "onnxruntime", "onnxruntime 9")
BROKEN = FoundEngine("stablehlo", "iree", error="not installed")


def test_a_unit_offers_what_something_runs() -> None:
    specs = plan(settings(), [INTEL, CARD], 64 * GIB, "x86_64", (ONNX, BROKEN))
    card, soft = UnitBook(specs).describe()
    # Where buffers are the device's own, the host's processor works on copies, and that is said.
    assert card.personalities == ("gpu", "npu", "hpu", "vpu", "ipu")
    assert card.formats == ("opencl-c", "onnx")
    assert card.engines == (
        "onnx by onnxruntime 9, by the host's processor on copies (in place: no)",
        "no apu: its buffers are not the host's memory",
    )
    assert soft.personalities == ("gpu", "npu", "hpu", "apu", "vpu", "ipu")
    assert soft.formats == ("opencl-c", "spir-v", "onnx")
    assert soft.engines == ("onnx by onnxruntime 9",)
    shared = replace(FPGA, in_place=True)
    for found, offers in ((FPGA, card.personalities), (shared, soft.personalities)):
        (accelerator,) = plan(settings(), [found], 64 * GIB, "x86_64", (ONNX, BROKEN))
        assert accelerator.personalities == offers
    hpu = next(each for each in specs[1].may_be if each.name == "hpu")
    assert hpu.formats == ("onnx",)
    # A GPU comes first but for what would be done on copies there and in place elsewhere.
    book = UnitBook(specs)
    assert book.take("", "gpu", 0).unit == "gpu0"
    assert book.take("", "npu", 0).unit == book.take("", "gpu", 0, ("npu",)).unit == "eagphpu0"
    assert book.personalities(book.take("gpu0", "npu", 0))[0].formats == ("onnx",)
    with pytest.raises(LeaseRefused, match="not personality 'apu'; apu: its buffers are not"):
        book.take("gpu0", "apu", 0)


def test_a_gpu_takes_arrays_where_its_memory_is_the_hosts() -> None:
    arrays = FoundEngine("array", "numpy", "numpy 9")
    book = UnitBook(plan(settings(), [INTEL, CARD], 64 * GIB, "x86_64", (arrays,)))
    card, soft = book.describe()
    assert card.formats == ("opencl-c",)
    assert card.engines == ("no apu: its buffers are not the host's memory",)
    assert soft.formats == ("opencl-c", "spir-v", "array")
    # A lease of nothing else than a gpu has the engine, too.
    share = book.take("eagphpu0", "", 0)
    assert share.personalities == ()
    assert [each.formats for each in book.personalities(share)] == [("array",)]
    assert book.personalities(book.take("gpu0", "", 0)) == ()


def test_a_site_chooses_among_the_engines_of_a_format() -> None:
    other = FoundEngine("onnx", "openvino", "openvino 8")
    found = (ONNX, other, BROKEN)
    for chosen, told in (
        ((), ("onnx by onnxruntime 9", "onnx by openvino 8, if asked for")),
        (("onnx=openvino",), ("onnx by openvino 8", "onnx by onnxruntime 9, if asked for")),
    ):
        wanted = settings(engines=chosen) if chosen else settings()
        (soft,) = plan(wanted, [INTEL], 64 * GIB, "x86_64", found)
        assert soft.engines == told
    for wrong, says in (
        ("onnx=tract", "onnx by 'tract'; there are onnxruntime, openvino"),
        ("stablehlo=iree", "stablehlo by 'iree' is not there: not installed"),
        ("spir-v=iree", "there is none of that format"),
    ):
        with pytest.raises(ConfigError, match=says):
            plan(settings(engines=(wrong,)), [INTEL], GIB, "x86_64", found)


def test_a_site_forbids_engines_on_all_units_or_on_one() -> None:
    flow = FoundEngine("dpu-flow", "stages", "stages 1")
    other = FoundEngine("onnx", "openvino", "openvino 8")
    units = ("open=opencl:x", "strict=opencl:y,forbid_engines=onnx")
    wanted = settings(
        units=units, engines=("onnx=openvino",), forbid_engines=("dpu-flow",), discover=("false",)
    )
    specs = plan(wanted, [], 64 * GIB, "x86_64", (ONNX, other, flow, BROKEN))
    (card,) = plan(settings(forbid_engines=("onnx",)), [CARD], 64 * GIB, "x86_64", (ONNX,))
    assert (card.rules.forbidden, card.engine_formats) == (("onnx",), ())
    lenient, strict = UnitBook(specs).describe()
    assert "npu" in lenient.personalities
    assert "dpu" not in lenient.personalities
    assert lenient.engines == (
        "onnx by openvino 8",
        "onnx by onnxruntime 9, if asked for",
        "dpu-flow: forbidden here",
    )
    assert strict.personalities == ("gpu", "apu")
    assert strict.engines == ("dpu-flow: forbidden here", "onnx: forbidden here")
    # What nothing runs is no rule's doing.
    assert [name for name, _ in specs[1].withheld] == ["npu", "dpu", "hpu", "vpu", "ipu"]
    for unit, personality, says in (
        ("strict", "npu", r"not personality 'npu'; npu: forbidden .*\(forbid_engines: onnx\)"),
        ("strict", "tpu", "not personality 'tpu'$"),
        ("", "dpu", r"no unit .* 'dpu'; dpu: forbidden .*\(forbid_engines: dpu-flow\)"),
    ):
        with pytest.raises(LeaseRefused, match=says):
            UnitBook(specs).take(unit, personality, 0)


def test_a_site_forbids_only_what_there_is() -> None:
    other = FoundEngine("onnx", "openvino", error="forbidden")
    wrong = settings(units=("a=opencl:x,forbid_engines=onnx.tract",))
    with pytest.raises(ConfigError, match=r"'onnx.tract'; there are onnx, onnx.onnxruntime"):
        plan(wrong, [], GIB, "x86_64", (ONNX,))
    both = settings(engines=("onnx=openvino",), forbid_engines=("onnx.openvino",))
    with pytest.raises(ConfigError, match="onnx by 'openvino' is not there: forbidden"):
        plan(both, [INTEL], GIB, "x86_64", (ONNX, other))


def test_a_site_has_personalities_of_its_own() -> None:
    own = settings(personalities=("small=onnx,elements=int8+float32,dynamic=false",))
    (soft,) = plan(own, [INTEL], 64 * GIB, "x86_64", (ONNX,))
    mine = soft.may_be[-1]
    assert (mine.name, mine.formats, mine.dynamic) == ("small", ("onnx",), False)
    assert mine.elements == ("int8", "float32")
    with pytest.raises(ConfigError, match="GoN's own"):
        plan(settings(personalities=("gpu=onnx",)), [INTEL], GIB, "x86_64", (ONNX,))
    many = tuple(f"p{number}=onnx" for number in range(PERSONALITIES_MAX))
    with pytest.raises(ConfigError, match="more than"):
        plan(settings(personalities=many), [INTEL], GIB, "x86_64", (ONNX,))


def test_walls_are_around_what_runs_on_the_host_whatever_its_owner_calls_it() -> None:
    around = Walls(files=True, calls=True)
    units = (
        "a=opencl:,kind=gpu",
        f"b={INTEL.address},kind=accelerator",
        "c=sim:",
        "d=new:,kind=gpu",
    )
    found = [INTEL, POCL, CARD, replace(FPGA, in_place=True), Found("sim:", "sim")]
    specs = plan(settings(units=units), found, 64 * GIB, "aarch64", (), around)
    assert {each.id for each in specs if each.walls == NO_WALLS} == {"d", "gpu0"}
    assert {each.id for each in specs if each.walls == around} == {
        "a",
        "b",
        "c",
        "acc0",
        "eagphpu0",
    }
    required = settings(walls=("required",))
    shared = replace(CARD, in_place=True)
    (card,) = plan(required, [CARD], 64 * GIB, "x86_64", (ONNX,), around)
    assert card.personalities == ("gpu",)
    assert card.engines == ("none: walls are required, and hardware has none around engines",)
    assert {"apu", "npu"} <= {name for name, why in card.withheld if "walls are required" in why}
    assert plan(settings(), [shared], 64 * GIB, "x86_64", (), around)
    with pytest.raises(ConfigError, match="walls are required; unit gpu0 is hardware"):
        plan(required, [shared], 64 * GIB, "x86_64", (), around)


def test_a_lease_may_be_several_personalities() -> None:
    book = UnitBook(plan(settings(), [INTEL], 64 * GIB, "x86_64", (ONNX,)))
    share = book.take("", "npu", 0, ("gpu", "npu"))
    assert (share.personality, share.personalities) == ("npu", ("npu", "gpu"))
    assert [each.name for each in book.personalities(share)] == ["npu", "gpu"]
    assert book.take("", "", 0, ("vpu",)).personality == "vpu"
    for gpu in (book.take("", "", 0), book.take("", "gpu", 0), book.take("", "", 0, ("gpu",))):
        assert (gpu.personality, gpu.personalities) == ("gpu", ())
        assert book.personalities(gpu) == ()
    with pytest.raises(LeaseRefused, match=r"unit eagphpu0 offers gpu, .* not personality 'tpu'"):
        book.take("eagphpu0", "gpu", 0, ("tpu",))


def test_a_gpu_that_cuda_and_opencl_show_is_one_unit() -> None:
    by_cuda = Found("cuda:GPU-1234", "gpu", "H100", "NVIDIA Corporation", 80 * GIB, ("cuda-c",))
    other = Found("opencl:AMD/0", "gpu", "MI300", "Advanced Micro Devices", 80 * GIB, ("opencl-c",))
    specs = plan(settings(), [CARD, other, by_cuda, INTEL], 64 * GIB, "x86_64")
    assert [each.device for each in specs] == [other.address, by_cuda.address, INTEL.address]
    broken = Found(by_cuda.address, error="no NVRTC")
    specs = plan(settings(), [CARD, broken, INTEL], 64 * GIB, "x86_64")
    assert [each.device for each in specs] == [CARD.address, INTEL.address]


def test_elsewhere_pocl_is_preferred() -> None:
    specs = plan(settings(), [INTEL, POCL], GIB, "aarch64")
    assert [each.device for each in specs] == [POCL.address]


def test_named_units_come_first_and_take_their_device() -> None:
    mine = settings(units=(f"mine={CARD.address},slices=2,memory_bytes=1000,warm=0",))
    specs = plan(mine, [INTEL, CARD], 64 * GIB, "x86_64")
    assert [each.id for each in specs] == ["mine", "eagphpu0"]
    named = specs[0]
    assert (named.kind, named.name, named.slices, named.memory_bytes, named.warm) == (
        *("gpu", "H100", 2, 1000, 0),
    )


def test_a_named_unit_that_cannot_be_described_is_there_all_the_same() -> None:
    mine = settings(units=("mine=sim:",), discover=("false",))
    found = Found("sim:", error="broken")
    (named,) = plan(mine, [found], 64 * GIB, "x86_64")
    assert (named.kind, named.name, named.memory_bytes) == ("eagphpu", "sim:", 48 * GIB)


def test_devices_that_do_not_open_are_no_units() -> None:
    with pytest.raises(ConfigError, match=r"there is no unit to export"):
        plan(settings(), [Found("opencl:x", "gpu", error="broken")], GIB, "x86_64")


def test_a_unit_too_small_for_its_slices_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unit a has 31 bytes of memory for 32 slices"):
        plan(settings(units=("a=sim:,memory_bytes=31",)), [], GIB, "x86_64")
