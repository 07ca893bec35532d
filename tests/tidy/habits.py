"""The habits that a reader of the code can count: sizes, docstrings, names, clocks, paths …"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.tidy.source import Finding, Import, Source, is_in

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
LINE_CHARS_MAX = 100

# Imports inside functions that have a reason: (module, what it imports) → why.
LAZY_IMPORTS: dict[tuple[str, str], str] = {
    ("gon.transport.registry", "gon.transport.zmq.connect_zmq"): "a tenth of a cold client's start",
    ("gon.transport.registry", "gon.transport.zmq.ZmqListener"): "a tenth of a cold client's start",
    (
        "gon_client.connect",
        "gon_client.predict.recording.record_life",
    ): "a twentieth of a cold client's start",
    ("gon_client.lease", "multiprocessing.parent_process"): "2 ms of a cold client's start",
    ("gon_client.lease", "multiprocessing.util.Finalize"): "2 ms of a cold client's start",
    ("gon_client.models", "gon_client.stablehlo.stablehlo"): "a tenth of a cold client's start",
    ("gon_client.models", "gon_client.flow.flow_on"): "a tenth of a cold client's start",
    ("gon_client.models", "gon_client.vision.vision_on"): "a tenth of a cold client's start",
    ("gon_client.models", "gon_client.xp.runner.runner_on"): "a tenth of a cold client's start",
    (
        "gon_server.engines.vision.opening",
        "gon_server.engines.vision.engine.VisionEngine",
    ): "its library reads the environment when it is imported",
    ("gon_client.cli", "gon_client.commands.root.gon"): "says what to install without the extra",
    ("gon_server.cli", "gon_server.daemon"): "after the spawner has started: gRPC must not fork",
    ("gon_client.commands.demo", "gon_client.demo.run.Plan"): "says what to install without it",
    ("gon_client.commands.demo", "gon_client.demo.run.run"): "says what to install without it",
    (
        "gon_client.commands.bench",
        "gon_client.bench.plot.save_plot",
    ): "slow, and says what to install",
    (
        "gon_client.commands.bench",
        "gon_client.bench.page.save_page",
    ): "slow, and says what to install",
    (
        "gon_client.commands.predict",
        "gon_client.predict.plot.save_plot",
    ): "slow, and says what to install",
    ("gon_shim.torch_autoload", "gon_shim.torch"): "PyTorch calls it wherever it is imported",
    ("gon_shim.embedding", "cffi.FFI"): "says what to install without the extra",
    ("bench.rivals.rgpu_rival", "rgpu"): "reads its address from the environment when imported",
    ("bench.rivals.rgpu_rival", "rgpu.server.__main__.main"): "the host's end only",
    ("bench.rivals.tinygrad_rival", "tinygrad.device.BufferSpec"): "reads the environment",
    ("bench.rivals.tinygrad_rival", "tinygrad.device.Device"): "reads the environment",
    ("bench.rivals.tinygrad_rival", "tinygrad.runtime.ops_remote.GetProperties"): "the same",
    ("bench.rivals.tinygrad_rival", "tinygrad.runtime.ops_remote.RemoteProgram"): "the same",
    ("bench.rivals.tinygrad_rival", "tinygrad.runtime.ops_remote.RemoteHandler"): "the same",
}

# What an assertion may call.
PURE_CALLS = {
    "all", "any", "callable", "isinstance", "issubclass", "len", "list", "range", "set",
    "np.allclose", "np.array_equal", "np.isclose",
}  # fmt: skip

# Who reads the machine's clock: the Clock, what measures, and the spinning receiver.
CLOCKS = {
    "time": ("gon.clock", "bench"),
    # The kernel stamps what arrives by the wall clock.
    "time_ns": ("gon.clock", "gon_client.bench.delay", "bench"),
    "monotonic": ("gon.clock", "bench"),
    "monotonic_ns": ("gon.clock", "bench"),
    "sleep": ("gon.clock",),
    "perf_counter": ("gon.clock", "gon.transport.spin", "gon_client.bench", "bench", "examples"),
    "perf_counter_ns": ("gon.clock", "gon.transport.spin", "gon_client.bench", "bench", "examples"),
}

BANNED_CLASS_WORDS = ("Context", "Task", "Job", "Manager", "Handler", "Helper", "Util", "Utils")
BANNED_FILES = re.compile(r"(^|[_/])(helpers?|utils?|misc|common)\.py\Z")
# Written so that this file does not break its own rule.
UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b")
MACHINE_PATH = re.compile(r"(?<![\w.}~])/(?:work|root|home|Users)/[\w.]|(?<![\w.}])/tmp/\w")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_NOQA = re.compile(r"noqa(:\s*[A-Z0-9, ]+)?")


def check_size(source: Source) -> Iterator[Finding]:
    """Find modules, functions and lines that are too long."""
    lines = source.text.splitlines()
    if len(lines) > MODULE_LINES_MAX:
        yield Finding(source.path, 1, f"{len(lines)} lines; at most {MODULE_LINES_MAX}")
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_CHARS_MAX:
            yield Finding(source.path, number, f"{len(line)} characters; at most {LINE_CHARS_MAX}")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES_MAX:
                text = f"{node.name} has {size} lines; at most {FUNCTION_LINES_MAX}"
                yield Finding(source.path, node.lineno, text)


def check_docstring(source: Source) -> Iterator[Finding]:
    """Find modules that do not say what they are for."""
    if not ast.get_docstring(source.tree):
        yield Finding(source.path, 1, "the module does not open with what it is for")


def check_text(source: Source) -> Iterator[Finding]:
    """Find what is unfinished and what is true on one machine only."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield Finding(source.path, number, "unfinished: do it, or open an issue")
        if MACHINE_PATH.search(line):
            yield Finding(source.path, number, "names a path of one machine")


def check_excepts(source: Source) -> Iterator[Finding]:
    """Find bare excepts, and broad ones that swallow without their reason written beside them."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield Finding(source.path, node.lineno, "bare except")
        elif _is_broad(node.type) and not _cleans_up(node) and not _has_reason(source, node.lineno):
            yield Finding(source.path, node.lineno, "broad except without its reason beside it")


def _is_broad(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return any(_is_broad(part) for part in node.elts)
    return isinstance(node, ast.Name) and node.id in ("Exception", "BaseException")


def _cleans_up(node: ast.ExceptHandler) -> bool:
    """Return whether whatever came goes on: then the handler is a `finally` for failures only."""
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _has_reason(source: Source, line: int) -> bool:
    comments = (source.comments.get(number, "") for number in (line - 1, line, line + 1))
    return any(len(_NOQA.sub("", text).strip(" -:")) >= 8 for text in comments)


def check_asserts(source: Source) -> Iterator[Finding]:
    """Find assertions whose condition may do something: `python -O` leaves them out. An attribute
    that is nothing but looked at may be a property that is looked at for what it does.
    """
    if is_in(source.module, "tests"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            test = node.test
            if isinstance(test, ast.Attribute) or any(map(_may_act, ast.walk(test))):
                yield Finding(source.path, node.lineno, "an assertion that does something")


def _may_act(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) not in PURE_CALLS
    return isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom)


def check_lazy_imports(source: Source) -> Iterator[Finding]:
    """Find imports inside functions that are not on the list of those with a reason."""
    for found in source.imports:
        if found.in_function and not _is_allowed(source, found):
            yield Finding(source.path, found.line, f"imports {found.module} inside a function")


def _is_allowed(source: Source, found: Import) -> bool:
    return (source.module, found.module) in LAZY_IMPORTS


def check_clocks(source: Source) -> Iterator[Finding]:
    """Find reads of the machine's clock past the Clock, and sleeps."""
    for found in source.imports:
        name = found.module.removeprefix("time.")
        if found.module != name and name in CLOCKS and not _may_read(source, name):
            yield Finding(source.path, found.line, f"time.{name} past gon.clock")
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id == "time" and node.attr in CLOCKS and not _may_read(source, node.attr):
            yield Finding(source.path, node.lineno, f"time.{node.attr} past gon.clock")


def _may_read(source: Source, name: str) -> bool:
    return any(is_in(source.module, owner) for owner in CLOCKS[name])


def check_names(source: Source) -> Iterator[Finding]:
    """Find class and file names made of words that mean anything."""
    if BANNED_FILES.search(source.path):
        yield Finding(source.path, 1, "the file's name says nothing")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            for word in _WORD.findall(node.name):
                if word in BANNED_CLASS_WORDS:
                    yield Finding(source.path, node.lineno, f"class {node.name}: not {word}")


def check_annotations(source: Source) -> Iterator[Finding]:
    """Find `Any` in annotations, also in those written as strings."""
    for node in ast.walk(source.tree):
        for annotation in _annotations(node):
            if _speaks_of_any(annotation):
                yield Finding(source.path, annotation.lineno, "Any in an annotation")


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.arg | ast.AnnAssign):
        if node.annotation is not None:
            yield node.annotation
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        yield node.returns


def _speaks_of_any(annotation: ast.expr) -> bool:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name) and node.id == "Any":
            return True
        if isinstance(node, ast.Attribute) and node.attr == "Any":
            return True
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.search(r"\bAny\b", text):
            return True
    return False


CHECKS = (
    check_asserts,
    check_size,
    check_docstring,
    check_text,
    check_excepts,
    check_lazy_imports,
    check_clocks,
    check_names,
    check_annotations,
)
