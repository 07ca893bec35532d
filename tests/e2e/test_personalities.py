"""Personalities and engines through a real gond: one set of buffers, changed in mid-work."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import pytest

import gon
from gon_client.connect import Host
from gon_client.lease import Lease
from tests import onnx_models as models
from tests.e2e.gond_process import PATIENCE_S, REAL_WORKER, Gond, until

SOURCE = "__kernel void scale(__global float *x, float by) { x[get_global_id(0)] *= by; }"
SHAPE = (2, 4)
# Directories of the libraries that each engine alone has.
LIBRARIES = {
    "onnx": ("onnxruntime/",),
    "onnx by openvino": ("openvino/",),
    "stablehlo": ("iree/", "iree_", "_runtime_libs/"),
    "dpu-flow": ("hyperscan/", "cryptography/", "isal/", "lz4/", "xxhash/", "google_crc32c/"),
}


@pytest.fixture(scope="module")
def gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    directory = tmp_path_factory.mktemp("gond")
    own = "--personality=small=onnx,elements=int8+float32+int64,refuses=Relu"
    with Gond(directory, *REAL_WORKER, own, units=("soft=opencl:",)) as running:
        yield running


@pytest.fixture(params=["tcp", "shm"])
def device(gond: Gond, request: pytest.FixtureRequest) -> Iterator[gon.Device]:
    with gon.connect(gond.unix) as host, acquire(host, link=request.param) as leased:
        yield leased


@contextmanager
def serving(gond: Gond, leased: gon.Device) -> Generator[psutil.Process]:
    """Give the worker of a lease that has just begun."""
    with leased:
        yield gond.serving()


def acquire(host: Host, *personalities: str, link: str = "") -> gon.Device:
    return host.acquire(personalities=personalities or ("gpu", "npu", "small"), link=link)


def test_a_unit_tells_what_it_can_be(gond: Gond) -> None:
    with gon.connect(gond.unix) as host:
        (unit,) = host.units()
    assert {"gpu", "npu", "apu", "small"} <= set(unit.personalities)
    assert "onnx" in unit.formats
    assert any(each.startswith("onnx by onnxruntime ") for each in unit.engines)


def test_one_buffer_goes_through_kernel_and_model(device: gon.Device) -> None:
    assert device.configuration.personality == "gpu"
    data = np.arange(8, dtype=np.float32).reshape(SHAPE)
    x = device.asarray(data)
    scale = device.compile(SOURCE).get_kernel("scale")
    gon.launch(device.default_stream, gon.LaunchConfig(8), scale, x, 3.0)
    done = device.reconfigure("npu", keep=True)
    assert (done.personality, done.state) == ("npu", "ready")
    model = device.onnx(models.scaled(shape=SHAPE))
    y = model(x)
    assert isinstance(y, gon.DeviceArray)
    gon.launch(device.default_stream, gon.LaunchConfig(8), scale, y, 2.0)
    z = model(y)
    assert isinstance(z, gon.DeviceArray)
    assert np.array_equal(y.get(), (data * 3 * 2 + 1) * 2)
    assert np.array_equal(z.get(), (data * 3 * 2 + 1) * 4 + 1)


def test_a_thousand_changes_leave_nothing_behind(tmp_path: Path) -> None:
    """Buffers are the same bits, and the worker's memory is what it was."""
    content = np.random.default_rng(1).integers(0, 256, 1 << 20, np.uint8)
    model = models.scaled(shape=SHAPE)
    ones = np.ones(SHAPE, np.float32)
    flags = (*REAL_WORKER, "--warm=0")
    with (
        Gond(tmp_path, *flags, units=("soft=opencl:",)) as gond,
        gon.connect(gond.unix) as host,
        acquire(host, "gpu", "npu") as device,
    ):
        kept = device.asarray(content)
        x, y = device.asarray(ones), device.zeros(SHAPE)
        (worker,) = gond.workers()

        def there_and_back(times: int) -> None:
            for _ in range(times):
                device.reconfigure("npu")
                device.onnx(model)(x, out=y)
                device.reconfigure("gpu")

        there_and_back(100)
        before = worker.memory_info().rss
        there_and_back(500)
        assert worker.memory_info().rss <= before * 1.02
        assert np.array_equal(y.get(), 2 * ones + 1)
        assert np.array_equal(kept.get(), content)


def test_a_change_is_a_barrier_for_other_threads(device: gon.Device) -> None:
    scale = device.compile(SOURCE).get_kernel("scale")
    x = device.asarray(np.ones(8, np.float32))
    began = threading.Event()

    def work() -> None:
        stream = device.create_stream()
        for number in range(2000):
            gon.launch(stream, gon.LaunchConfig(8), scale, x, -1.0)
            if number == 100:
                began.set()
        stream.sync()

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(PATIENCE_S)
    for personality in ("npu", "gpu") * 10:
        device.reconfigure(personality, keep=True)
    thread.join()
    assert np.array_equal(x.get(), np.ones(8, np.float32))


def test_programs_of_the_personality_before_are_unloaded(device: gon.Device) -> None:
    scale = device.compile(SOURCE).get_kernel("scale")
    x = device.asarray(np.ones(8, np.float32))
    device.reconfigure("npu")
    gon.launch(device.default_stream, gon.LaunchConfig(8), scale, x, 2.0)
    with pytest.raises(gon.Unsupported, match="unloaded when the unit became a npu"):
        device.sync()
    with pytest.raises(gon.Unsupported, match="a npu now, which takes onnx"):
        device.compile(SOURCE)
    del scale
    device.onnx(models.scaled(shape=(8,)))
    device.sync()
    assert np.array_equal(x.get(), np.ones(8, np.float32))


def test_what_a_lease_is_not_for_is_refused(device: gon.Device) -> None:
    with pytest.raises(gon.Unsupported, match="this lease may be gpu, npu, small"):
        device.reconfigure("vpu")
    assert (device.configuration.personality, device.configuration.state) == ("gpu", "failed")
    assert device.reconfigure("npu").state == "ready"


def test_a_lease_of_one_personality_knows_no_other(gond: Gond) -> None:
    with gon.connect(gond.unix) as host, host.acquire() as alone:
        assert "onnx" not in alone.info.formats
        with pytest.raises(gon.Unsupported, match="this lease may be gpu"):
            alone.reconfigure("npu")
        with pytest.raises(gon.InvalidArgument, match="format 'onnx'"):
            alone.onnx(models.scaled())


def loaded_by(worker: psutil.Process) -> set[str]:
    """Return the engines whose libraries a worker has: what is loaded is mapped."""
    maps = Path(f"/proc/{worker.pid}/maps").read_text("utf-8", "replace")
    return {
        engine
        for engine, libraries in LIBRARIES.items()
        if any(f"/{library}" in maps for library in libraries)
    }


def test_a_lease_loads_the_engines_of_what_it_may_be_and_of_nothing_else(gond: Gond) -> None:
    """By itself, in the background: nobody asks for one here."""
    with (
        gon.connect(gond.unix) as host,
        serving(gond, host.acquire()) as alone,
        serving(gond, acquire(host, "gpu", "apu")) as kernels,
        serving(gond, acquire(host, "gpu", "npu")) as network,
        serving(gond, acquire(host, "gpu", "npu", "tpu", "dpu")) as everything,
    ):
        usual = set(LIBRARIES) - {"onnx by openvino"}
        until(lambda: loaded_by(everything) == usual, "all engines are loaded")
        until(lambda: loaded_by(network) == {"onnx"}, "one engine is loaded")
        assert loaded_by(kernels) == loaded_by(alone) == set()


def test_a_program_chooses_its_engine_and_a_site_where_none_is_chosen(tmp_path: Path) -> None:
    x, code = np.ones(SHAPE, np.float32), models.scaled(shape=SHAPE)
    flags = (*REAL_WORKER, "--engine=onnx=openvino")
    with (
        Gond(tmp_path, *flags, units=("soft=opencl:",)) as gond,
        gon.connect(gond.unix) as host,
        acquire(host, "gpu", "npu") as device,
    ):
        (unit,) = host.units()
        told = [each.split()[2:] for each in unit.engines if each.startswith("onnx by ")]
        assert [each[0] for each in told] == ["openvino", "onnxruntime"]
        assert [each[2:] for each in told] == [[], ["if", "asked", "for"]]
        worker = gond.serving()
        device.reconfigure("npu")
        for model in (device.onnx(code), device.onnx(code, engine="openvino")):
            assert (_only(model(x)).get() == 3).all()
        assert loaded_by(worker) == {"onnx by openvino"}
        assert (_only(device.onnx(code, engine="onnxruntime")(x)).get() == 3).all()
        assert loaded_by(worker) == {"onnx by openvino", "onnx"}
        with pytest.raises(gon.Unsupported, match="no engine 'tract' of onnx here"):
            device.onnx(code, engine="tract")
        with pytest.raises(gon.Unsupported, match="fixed shapes"):
            device.onnx(models.scaled())


def _only(outputs: gon.DeviceArray | tuple[gon.DeviceArray, ...]) -> gon.DeviceArray:
    assert isinstance(outputs, gon.DeviceArray)
    return outputs


def test_a_call_like_the_last_one_is_looked_at_like_the_first(device: gon.Device) -> None:
    device.reconfigure("npu")
    model = device.onnx(models.scaled(shape=SHAPE))
    ones = np.ones(SHAPE, np.float32)
    x, y, z = device.asarray(ones), device.zeros(SHAPE), device.zeros(SHAPE)
    for number in range(3):
        x.set(ones * number)
        assert model(x, out=y) is y
        assert np.array_equal(y.get(), ones * 2 * number + 1)
    assert model(y, out=z) is z
    assert np.array_equal(z.get(), ones * 11)
    wrong = (device.zeros(3), device.zeros(SHAPE, np.int32))
    for each in wrong:
        with pytest.raises(gon.KernelArgumentError, match=r"x float32\[2, 4\] is needed"):
            model(each, out=y)
        with pytest.raises(gon.KernelArgumentError, match=r"y float32\[2, 4\] is needed"):
            model(x, out=each)
    for inputs in ((), (x, x)):
        with pytest.raises(gon.KernelArgumentError, match="has 1 inputs"):
            model(*inputs, out=y)
    with pytest.raises(gon.KernelArgumentError, match="no parameter 'n'"):
        model(x, out=y, n=3)
    with gon.local("sim:") as other, pytest.raises(gon.BadHandle, match="another device's"):
        model(x, out=other.zeros(SHAPE))
    assert np.array_equal(_only(model(ones * 4, out=z)).get(), ones * 9)
    y.buffer.close()
    with pytest.raises(gon.BadHandle, match="closed"):
        model(x, out=y)


def test_gond_knows_what_a_unit_has_become(gond: Gond, device: gon.Device) -> None:
    lease = cast(Lease, getattr(device._on_close, "__self__"))  # noqa: B009 - a method's object
    terms = lease.terms
    with closing(gond.channel()) as channel:
        assert channel.inspect(terms.id, terms.token).personality == "gpu"
        for name in ("npu", "small"):
            device.reconfigure(name)
            until(
                lambda name=name: channel.inspect(terms.id, terms.token).personality == name,
                f"gond knows of the {name}",
            )
        with pytest.raises(gon.Unsupported):
            device.reconfigure("vpu")
        assert channel.inspect(terms.id, terms.token).personality == "small"
    assert f"lease {terms.id} is a small now" in gond.output


def test_a_sites_personality_admits_what_it_says(device: gon.Device) -> None:
    device.reconfigure("small")
    model = device.onnx(models.scaled())
    assert np.array_equal(_out(model(np.ones((3, 4), np.float32))), np.full((3, 4), 3, np.float32))
    with pytest.raises(gon.Unsupported, match="operations Relu: a small has none of them"):
        device.onnx(models.perceptron(np.ones((4, 2), np.float32), np.ones(2, np.float32)))
    with pytest.raises(gon.Unsupported, match="elements of float64"):
        device.onnx(models.scaled(models.DOUBLE))


# Models -------------------------------------------------------------------------------------------
def _out(results: gon.DeviceArray | tuple[gon.DeviceArray, ...]) -> np.ndarray:
    assert isinstance(results, gon.DeviceArray)
    return results.get()


@pytest.fixture
def vision(gond: Gond) -> Iterator[gon.Device]:
    """A unit that takes models of any shape."""
    with gon.connect(gond.unix) as host, acquire(host, "vpu", "gpu") as leased:
        yield leased


def test_models_of_any_number_of_rows(vision: gon.Device) -> None:
    random = np.random.default_rng(2)
    weights = random.normal(size=(5, 3)).astype(np.float32)
    bias = random.normal(size=3).astype(np.float32)
    model = vision.onnx(models.perceptron(weights, bias))
    assert "x float32[rows, 5]" in repr(model)
    for rows in (1, 7, 1, 64):
        x = random.normal(size=(rows, 5)).astype(np.float32)
        assert np.allclose(_out(model(x)), np.maximum(x @ weights + bias, 0), atol=1e-5)


def test_int8_models(vision: gon.Device) -> None:
    weights = np.array([[1, -2], [3, 4], [-5, 6]], np.int8)
    x = np.array([[0.5, 1, 2], [3, -1, 0]], np.float32)
    out = vision.zeros((2, 2))
    assert vision.onnx(models.quantized(weights, 0.5))(x, out=out) is out
    assert np.allclose(out.get(), x @ (weights * 0.5))


def test_a_model_from_a_file(vision: gon.Device, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.scaled())
    assert _out(vision.onnx(path)(np.zeros((1, 4), np.float32))).tolist() == [[1, 1, 1, 1]]


def test_models_run_in_graphs_with_other_rows(vision: gon.Device) -> None:
    model = vision.onnx(models.scaled())
    x, y = vision.asarray(np.ones((2, 4), np.float32)), vision.zeros((2, 4))
    with vision.capture() as graph:
        model(x, out=y)
        x.copy_from(y)
    graph.launch(vision.default_stream)
    graph.launch(vision.default_stream)
    assert np.array_equal(x.get(), np.full((2, 4), 7, np.float32))


@pytest.mark.parametrize(
    ("shape", "dtype", "says"),
    [
        ((2, 5), np.float32, r"x float32\[n, 4\] is needed, float32\[2, 5\] was given"),
        ((4,), np.float32, r"float32\[4\] was given"),
        ((2, 4), np.float64, r"float64\[2, 4\] was given"),
    ],
)
def test_arrays_that_a_model_does_not_take(
    vision: gon.Device, shape: tuple[int, ...], dtype: type[np.generic], says: str
) -> None:
    model = vision.onnx(models.scaled())
    for given in (np.zeros(shape, dtype), vision.zeros(shape, dtype)):
        with pytest.raises(gon.KernelArgumentError, match=says):
            model(given)
    good = np.zeros((2, 4), np.float32)
    with pytest.raises(gon.KernelArgumentError, match=r"has 1 inputs .* 2 were given"):
        model(good, good)
    with pytest.raises(gon.KernelArgumentError, match=r"y float32.*; n is 2 by x"):
        model(good, out=vision.zeros((3, 4)))
    with pytest.raises(gon.KernelArgumentError, match="no parameter 'rows'"):
        model(good, rows=3)
    with pytest.raises(gon.KernelArgumentError, match="an array is needed, not a list"):
        model([[1, 2, 3, 4]])  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert np.array_equal(_out(model(good)), np.ones((2, 4), np.float32))


def test_programs_that_are_none_leave_the_lease_usable(vision: gon.Device) -> None:
    bad = [
        (b"", gon.CompileError),
        (models.scaled()[:-9], gon.CompileError),
        (models.beside_a_file("x"), gon.Unsupported),
        (models.model([models.node("Nope", ["x"], ["y"])], [models.info("x", (4,))],
                      [models.info("y", (4,))]), gon.CompileError),
        (models.model([models.node("Nope", ["x"], ["y"], "org.example")],
                      [models.info("x", (4,))], [models.info("y", (4,))],
                      domains=["org.example"]), gon.Unsupported),
        # Names that are no text, or repeated by whoever tells what is wrong with them.
        (models.scaled().replace(b"\x01x", b"\x01\xff"), gon.CompileError),
        (models.model([models.node("N" * (1 << 20), ["x"], ["y"])], [models.info("x", (4,))],
                      [models.info("y", (4,))]), gon.CompileError),
    ]  # fmt: skip
    for code, error in bad:
        with pytest.raises(error):
            vision.onnx(code)
    assert _out(vision.onnx(models.scaled())(np.zeros((1, 4), np.float32))).tolist() == [[1] * 4]


def test_a_model_that_fails_tells_the_line_that_ran_it(vision: gon.Device) -> None:
    code = models.model(
        [models.node("Gather", ["x", "i"], ["y"])],
        [models.info("x", (4,)), models.info("i", (1,), models.INT64)],
        [models.info("y", (1,))],
    )
    model = vision.onnx(code)
    y = model(np.zeros(4, np.float32), np.array([99]))
    with pytest.raises(gon.DeviceError, match=r"out of data bounds.*\(op Launch .*test_personal"):
        _out(y)
    assert _out(model(np.arange(4, dtype=np.float32), np.array([2]))).tolist() == [2]
