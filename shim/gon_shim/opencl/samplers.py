"""Samplers: values to the unit, objects to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gon.errors import InvalidArgument
from gon.images import CLAMP, NEAREST, SamplerTerms, sampler_of
from gon_shim.opencl.answers import (
    POINTER_BYTES,
    Answers,
    answer,
    pointer,
    pointer_at,
    properties_of,
    uint,
    words_with_end,
)
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import CData, Numbers

_PROPERTIES: Final = (
    cl.CL_SAMPLER_NORMALIZED_COORDS, cl.CL_SAMPLER_ADDRESSING_MODE, cl.CL_SAMPLER_FILTER_MODE,
)  # fmt: skip


class Sampler(Object):
    """A sampler."""

    invalid = cl.CL_INVALID_SAMPLER

    def __init__(self, scope: Scope, terms: SamplerTerms, told: bytes) -> None:
        super().__init__()
        self.scope = scope
        self.terms = terms
        self.told = told
        self.hold(scope)


def _create(context: CData, normalized: int, addressing: int, filtering: int, told: bytes) -> CData:
    scope = Scope.of(context)
    require(scope.device.has_images, cl.CL_INVALID_OPERATION)
    terms = SamplerTerms(bool(normalized), addressing, filtering)
    try:
        sampler_of(terms.coded)
    except InvalidArgument as error:
        raise ClError(cl.CL_INVALID_VALUE) from error
    return Sampler(scope, terms, told).handle


@entry("clCreateSampler")
def create_sampler(context: CData, normalized: int, addressing: int, filtering: int) -> CData:
    return _create(context, normalized, addressing, filtering, b"")


@entry("clCreateSamplerWithProperties")
def create_sampler_with_properties(context: CData, properties: CData) -> CData:
    found = properties_of(properties)
    named = dict(found)
    known = len(named) == len(found) and named.keys() <= {*_PROPERTIES}
    require(known, cl.CL_INVALID_VALUE)
    usual = (1, CLAMP, NEAREST)
    normalized, addressing, filtering = (
        named.get(name, given) for name, given in zip(_PROPERTIES, usual, strict=True)
    )
    fits = all(0 <= value < 1 << 32 for value in (normalized, addressing, filtering))
    require(fits, cl.CL_INVALID_VALUE)
    return _create(context, normalized, addressing, filtering, words_with_end(found))


@entry("clRetainSampler")
def retain_sampler(handle: CData) -> None:
    Sampler.of(handle).retain()


@entry("clReleaseSampler")
def release_sampler(handle: CData) -> None:
    Sampler.of(handle).release()


_ANSWERS: Answers[Sampler] = {
    cl.CL_SAMPLER_REFERENCE_COUNT: lambda sampler: uint(sampler.references),
    cl.CL_SAMPLER_CONTEXT: lambda sampler: pointer(sampler.scope.handle),
    cl.CL_SAMPLER_NORMALIZED_COORDS: lambda sampler: uint(sampler.terms.normalized),
    cl.CL_SAMPLER_ADDRESSING_MODE: lambda sampler: uint(sampler.terms.addressing),
    cl.CL_SAMPLER_FILTER_MODE: lambda sampler: uint(sampler.terms.filtering),
    cl.CL_SAMPLER_PROPERTIES: lambda sampler: sampler.told,
}


@entry("clGetSamplerInfo")
def get_sampler_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    answer(_ANSWERS, Sampler.of(handle), what, room, at, size_at)


def sampler_argument(scope: Scope, size: int, at: CData) -> bytes:
    """Return the value of a sampler that a kernel's argument names. Raises ClError."""
    require(size == POINTER_BYTES, cl.CL_INVALID_ARG_SIZE)
    require(at, cl.CL_INVALID_SAMPLER)
    sampler = Sampler.of(pointer_at(at))
    require(sampler.scope is scope, cl.CL_INVALID_SAMPLER)
    return sampler.terms.coded
