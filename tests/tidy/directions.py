"""The directions of imports: who may know whom, as tables, and the check of a module by them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.tidy.source import Finding, Import, Source, is_in

OURS = ("gon", "gon_server", "gon_client", "gon_shim")
PB = "gon.pb"
CONTROL = ("gon_server.control", "gon_client.control")
ROOTS = (
    *("gon.model", "gon.limits", "gon.mapped_limits", "gon.errors", "gon.clock", "gon.addresses"),
    *("gon.side_limits", "gon.spin_limits", "gon.native", "gon.forked"),
)

# package → our packages it may import; the first row that fits counts. Tests and benches may import
# everything.
MAY_IMPORT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gon.limits", ()),
    ("gon.side_limits", ("gon.limits",)),
    ("gon.spin_limits", ()),
    ("gon.mapped_limits", ("gon.limits",)),
    ("gon.errors", ("gon.limits",)),
    ("gon.clock", ("gon.limits",)),
    ("gon.forked", ("gon.errors",)),
    ("gon.addresses", ("gon.errors", "gon.limits")),
    ("gon.model", ("gon.errors", "gon.limits")),
    ("gon.images", ("gon.model", "gon.errors")),
    ("gon.image_limits", ("gon.limits",)),
    ("gon.native", ()),
    ("gon._port", ()),
    ("gon.device", (*ROOTS, "gon._port")),
    ("gon.wire", (*ROOTS, "gon.wire")),
    ("gon.transport", (*ROOTS, "gon.transport")),
    # The shipped fakes and conformance suites speak of devices and links.
    (
        "gon.testing",
        (
            *ROOTS,
            "gon.device",
            "gon.elastic",
            "gon.images",
            "gon.timing",
            "gon.transport",
            "gon.testing",
        ),
    ),
    ("gon", ("gon",)),
    # A port is given launches as they are coded.
    (
        "gon_server.devices._opencl_port",
        (
            *("gon._port", "gon.limits", "gon.wire.ops", "gon.wire.packing"),
            "gon_server.devices.limits",
        ),
    ),
    (
        "gon_server.devices",
        (
            "gon._port",
            "gon.clock",
            "gon.native",
            "gon.device",
            "gon.model",
            "gon.images",
            "gon.ranges",
            "gon.errors",
            "gon.limits",
            "gon.mapped_limits",
            "gon.program_limits",
            "gon.placement",
            "gon.together",
            "gon_server.cuda_c",
            "gon_server.devices",
        ),
    ),
    # Flows are known to both sides.
    (
        "gon_server.engines.dpu",
        (
            "gon.flow",
            "gon.flow_limits",
            "gon.flow_shape",
            "gon.model",
            "gon.errors",
            "gon.limits",
            "gon_server.engines",
        ),
    ),
    # So are image graphs.
    (
        "gon_server.engines.vision",
        (
            "gon.image_header",
            "gon.vision",
            "gon.vision_limits",
            "gon.vision_shape",
            "gon.vision_stages",
            "gon.model",
            "gon.errors",
            "gon.limits",
            "gon_server.devices.books",
            "gon_server.engines",
        ),
    ),
    # And array programs.
    (
        "gon_server.engines.array",
        (
            "gon.array_limits",
            "gon.array_ops",
            "gon.array_program",
            "gon.array_rules",
            "gon.model",
            "gon.errors",
            "gon.limits",
            "gon_server.devices.books",
            "gon_server.engines",
        ),
    ),
    # An engine sees programs and memory.
    (
        "gon_server.engines",
        (
            "gon.clock",
            "gon.model",
            "gon.errors",
            "gon.limits",
            "gon.personalities",
            "gon_server.devices.books",
            "gon_server.engines",
        ),
    ),
    # CUDA C is text in, text and signatures out.
    ("gon_server.cuda_c", ("gon.model", "gon.errors", "gon.limits", "gon_server.cuda_c")),
    ("gon_server", ("gon", "gon_server")),
    ("gon_client", ("gon", "gon_client")),
    ("gon_shim", ("gon", "gon_client", "gon_shim")),
)

# package → what it must not import, of anything.
MAY_NOT_IMPORT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "gon.wire",
        ("asyncio", "google", "grpc", "selectors", "socket", "threading", "time", "zmq", PB),
    ),
    ("gon_server.devices", ("asyncio", "grpc", "socket", "zmq")),
)

# library → the only modules that import it: its exceptions and types do not leave them.
OWNERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (PB, CONTROL),
    ("google.protobuf", CONTROL),
    ("grpc", CONTROL),
    ("grpc_health", ("gon_server.control",)),
    ("grpc_reflection", ("gon_server.control",)),
    ("zmq", ("gon.transport.zmq",)),
    ("pyopencl", ("gon_server.devices.opencl", "gon_server.devices._opencl")),
    ("cupy", ("gon_server.devices.cuda",)),
    ("onnxruntime", ("gon_server.engines.onnx_runtime",)),
    ("iree", ("gon_server.engines.iree",)),
    ("pynvml", ("gon_server.devices.cuda",)),
    ("psutil", ("gon_server",)),
    ("tree_sitter", ("gon_server.cuda_c.tree",)),
    ("tree_sitter_cuda", ("gon_server.cuda_c.tree",)),
    ("uvloop", ("gon_server",)),
    ("cryptography", ("gon_server.engines.dpu.aes_gcm",)),
    ("cv2", ("gon_server.engines.vision",)),
    ("google_crc32c", ("gon_server.engines.dpu.digests",)),
    ("hyperscan", ("gon_server.engines.dpu.patterns", "gon_server.engines.dpu.scan_driver")),
    ("isal", ("gon_server.engines.dpu.deflate",)),
    ("lz4", ("gon_server.engines.dpu.lz4_frames",)),
    ("xxhash", ("gon_server.engines.dpu.digests",)),
    ("zstandard", ("gon.compression", "gon_server.engines.dpu.zstd")),
    # The thin client stands without the extras `cli` and `plot`.
    ("click", ("gon_client.cli", "gon_client.commands", "gon_server.cli")),
    ("rich", ("gon_client.bench", "gon_client.commands", "gon_server.cli")),
    # Nothing else of the client needs PyTorch.
    ("torch", ("gon_shim.torch",)),
    (
        "matplotlib",
        ("gon_client.bench.plot", "gon_client.bench.figures", "gon_client.predict.plot"),
    ),
)

_NAMES_CLIENT = re.compile(r"gon_client\b[\w.:]*\Z")


def owned_by(module: str, owners: tuple[str, ...]) -> bool:
    """Return whether `module` is an owner, in one, or a sibling named after one (`a_b` by `a`)."""
    return any(is_in(module, owner) or module.startswith(owner + "_") for owner in owners)


def _row(source: Source) -> tuple[str, ...] | None:
    return next((may for package, may in MAY_IMPORT if is_in(source.module, package)), None)


def _is_ours(found: Import) -> bool:
    return any(is_in(found.module, package) for package in OURS)


def _may(source: Source, found: Import, may: tuple[str, ...]) -> bool:
    if source.module == "gon" and is_in(found.module, "gon_client"):
        return True
    return any(is_in(found.module, package) for package in may)


def check(source: Source) -> Iterator[Finding]:
    """Find imports against the tables."""
    may = _row(source)
    if may is None:
        return
    for found in source.imports:
        if _is_ours(found) and not _may(source, found, may):
            yield Finding(source.path, found.line, f"{source.module} may not import {found.module}")
        for package, banned in MAY_NOT_IMPORT:
            if is_in(source.module, package):
                for name in banned:
                    if is_in(found.module, name):
                        yield Finding(source.path, found.line, f"{package} may not import {name}")
        for library, owners in OWNERS:
            if is_in(found.module, library) and not owned_by(source.module, owners):
                text = f"{library} belongs to {', '.join(owners)}"
                yield Finding(source.path, found.line, text)
    yield from _names_client(source)


def _names_client(source: Source) -> Iterator[Finding]:
    if not is_in(source.module, "gon") or source.module == "gon":
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if _NAMES_CLIENT.match(node.value):
            yield Finding(source.path, node.lineno, "only gon/__init__.py names gon_client")
