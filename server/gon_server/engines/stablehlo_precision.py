"""Sums of products of short floats, kept in 32 bits while they are made.

Matrix units multiply bf16 and f16 and add in f32; of a product whose result is bf16 IREE makes a
sum of bf16, which loses a bit every time the sum doubles: of 1,024 terms the result was 2 % wrong
(measured), where JAX's on a CPU and a TPU's are right to the last bit that bf16 has.

Must not know: how a program is admitted, what becomes of it.
"""

from __future__ import annotations

import re
from typing import Final

from gon.errors import Unsupported
from gon_server.engines.iree_compiler import Module, Operation, Session
from gon_server.engines.stablehlo_types import tensor_of

_SUMS: Final = re.compile(r"(?P<dialect>vhlo|stablehlo)\.(?:dot_general|convolution)(?:_v\d+)?")
_CONVERT: Final = {"vhlo": "vhlo.convert_v1", "stablehlo": "stablehlo.convert"}
_SHORT: Final = re.compile(r"bf16|f16")


def keep_sums_long(session: Session, module: Module) -> None:
    """Let sums of products be made in 32 bits, in place, and shortened afterwards."""
    for operation in session.operations(module):
        match = _SUMS.fullmatch(operation.name)
        if match is not None and len(operation.results) == 1:
            _lengthen(session, operation, _CONVERT[match["dialect"]])


def _lengthen(session: Session, operation: Operation, convert: str) -> None:
    [result] = operation.results
    short = str(result.type)
    try:
        if not _SHORT.fullmatch(tensor_of(short).element):
            return
    except Unsupported:
        return
    long = _SHORT.sub("f32", short)
    result.set_type(session.type(long))
    text = f"""func.func @shorten(%0: {long}) -> {short} {{
        %1 = "{convert}"(%0) : ({long}) -> {short}
        return %1 : {short}
    }}"""
    [shortened] = session.splice(text, [result], operation)
    shortening = shortened.owner.operation
    operation.move_before(shortening)
    result.replace_all_uses_except(shortened, shortening)
