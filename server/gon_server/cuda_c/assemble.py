"""Puts a translation together: the edited source, in which some parts are replaced by what is made
for each instance and each clone.

Rules: lines stay in step with the user's; where they cannot, a `#line` says where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gon_server.cuda_c.clones import CFunctions
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.functions import Functions
from gon_server.cuda_c.instances import Instance
from gon_server.cuda_c.reading import Reading
from gon_server.cuda_c.signatures import type_of_param
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Function
from gon_server.cuda_c.target import KernelTranslation
from gon_server.cuda_c.tree import Node


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the source and the node in it that texts are made of; none: it is left out."""

    start: int
    end: int
    node: Node
    texts: tuple[str, ...] = ()


def mark_lines(edits: Edits, lines: Lines) -> None:
    """Say where a line comes from wherever it does not follow from the one before."""
    start = 0
    expected: tuple[int, int] | None = None
    for row, (file, line) in enumerate(lines.places):
        if expected != (file, line) and row:
            edits.directive(start, lines.directive(row))
        expected = (file, line + 1)
        start = edits.source.find("\n", start) + 1


def assemble_cpp(
    reading: Reading, functions: Functions, instances: list[Instance], edits: Edits
) -> tuple[str, list[KernelTranslation]]:
    """Return the text for C++ for OpenCL: kernels are made for each instance."""
    kernels: list[KernelTranslation] = []
    regions = _instantiations(reading)
    for function in reading.names.functions:
        if function.is_kernel:
            made = _make(instances, function, kernels, lambda i: functions.kernel(i, []))
            regions.append(_region(function, made))
    return _put_together(reading, regions, edits), kernels


def assemble_c(
    reading: Reading, functions: CFunctions, instances: list[Instance], edits: Edits
) -> tuple[str, list[KernelTranslation]]:
    """Return the text for OpenCL C: all functions are made for each clone."""
    clones = functions.analyse(instances)
    kernels: list[KernelTranslation] = []
    regions = _instantiations(reading)
    for function in reading.names.functions:
        if function.is_kernel:
            made = _make(instances, function, kernels, lambda i: functions.kernel_of(i, clones[i]))
        else:
            made = tuple(
                functions.clone(clone, function.node)
                for whole in reading.names.named(function.name)
                if whole is function or (function.body is None and _same(function, whole, reading))
                for clone in functions.spaces.of(whole)
            )
        regions.append(_region(function, made))
    return _put_together(reading, regions, edits), kernels


def _make(
    instances: list[Instance],
    function: Function,
    kernels: list[KernelTranslation],
    emit: Callable[[Instance], tuple[str, KernelTranslation]],
) -> tuple[str, ...]:
    made = [emit(instance) for instance in instances if instance.function is function]
    kernels.extend(kernel for _text, kernel in made)
    return tuple(text for text, _kernel in made)


def _same(declared: Function, defined: Function, reading: Reading) -> bool:
    types = reading.types
    return [type_of_param(p, types) for p in declared.params] == [
        type_of_param(p, types) for p in defined.params
    ]


def _region(function: Function, texts: tuple[str, ...]) -> Region:
    whole = function.template or function.node
    return Region(whole.start, whole.end, function.node, texts)


def _instantiations(reading: Reading) -> list[Region]:
    nodes = reading.names.instantiated
    return [Region(n.start, n.end, n) for n in nodes if n.end <= reading.end]


def _put_together(reading: Reading, regions: list[Region], edits: Edits) -> str:
    lines, source = reading.lines, reading.root.source
    out = [lines.directive(0)]
    at = 0
    for region in sorted(regions, key=lambda region: region.start):
        out.append(edits.apply(at, region.start))
        at = region.end
        if not region.texts:
            out.append("\n" * source.count("\n", region.start, region.end))
            continue
        out.append("\n" * source.count("\n", region.start, region.node.start))
        out.append(f"\n{lines.directive(region.node.row)}".join(region.texts))
        if len(region.texts) > 1:
            out.append("\n" + lines.directive(source.count("\n", 0, region.end)))
    out.append(edits.apply(at, reading.end))
    return "".join(out)
