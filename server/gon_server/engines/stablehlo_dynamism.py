"""StableHLO of sizes that each call tells, for a compiler that takes less of it than JAX gives.

IREE compiles dynamic sizes, but not reshapes of them, and broadcasts only where it knows whether a
size is repeated; and it drops what JAX asserts of sizes. So those three are written here in the
words of other dialects, before it sees them:

    dynamic_reshape            tensor.reshape
    dynamic_broadcast_in_dim   linalg.generic; a size that is only known at the call must be that of
                               the result, as it is in all that JAX exports: checked at the call
    shape_assertion            cf.assert

Rules: an operation that is not of the types that may be passed is left for the compiler to refuse.
Must not know: how a program is admitted, what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gon.errors import Unsupported
from gon_server.engines.iree_compiler import Module, Operation, Session
from gon_server.engines.stablehlo_types import Tensor, tensor_of

_DIALECT: Final = re.compile(r"^(?:vhlo|stablehlo)\.(\w+?)(?:_v\d+)?$")
_NUMBERS: Final = re.compile(r"(?:dense<|array<i64:?)\s*\[?([\d,\s]*)\]?>")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ASSERTION: Final = "shape_assertion"
_SIGNLESS: Final = frozenset(("i1", "i8", "i16", "i32", "i64", "bf16", "f16", "f32", "f64"))


def settle_dynamism(session: Session, module: Module) -> None:
    """Rewrite what the compiler does not take, in place."""
    for operation in session.operations(module):
        match = _DIALECT.match(operation.name)
        name = "" if match is None else match[1]
        if name == "custom_call" and _said(operation, "call_target_name") == _ASSERTION:
            _assert(session, operation)
        elif name in ("dynamic_reshape", "dynamic_broadcast_in_dim"):
            _reshape_or_broadcast(session, operation, name)


def _said(operation: Operation, attribute: str) -> str:
    """Return the string that an attribute holds, or nothing."""
    if attribute not in operation.attributes:
        return ""
    match = _QUOTED.search(str(operation.attributes[attribute]))
    return "" if match is None else match[1]


def _assert(session: Session, operation: Operation) -> None:
    given = str(operation.operands[0].type)
    # The sizes that the message would name are the caller's own.
    message = _said(operation, "error_message").split(" Obtained dimension variables")[0]
    text = f"""func.func @assertion(%given: {given}) {{
        %held = builtin.unrealized_conversion_cast %given : {given} to tensor<i1>
        %holds = tensor.extract %held[] : tensor<i1>
        cf.assert %holds, "{message}"
        return
    }}"""
    session.splice(text, [operation.operands[0]], operation)
    operation.erase()


def _reshape_or_broadcast(session: Session, operation: Operation, name: str) -> None:
    versioned = [str(value.type) for value in (*operation.operands, *operation.results)]
    try:
        source, shape, result = (tensor_of(each) for each in versioned)
    except Unsupported:
        return
    if source.element not in _SIGNLESS or (name != "dynamic_reshape" and not source.dynamic):
        return
    if name == "dynamic_reshape":
        body = [f"%made = tensor.reshape %x(%s) : ({source}, {shape}) -> {result}"]
    else:
        match = _NUMBERS.search(str(operation.attributes["broadcast_dimensions"]))
        places = [] if match is None else [int(each) for each in re.findall(r"\d+", match[1])]
        if len(places) != len(source.shape) or any(each >= len(result.shape) for each in places):
            return
        body = list(_broadcast(source, shape, result, places))
    text = "\n".join(
        (
            f"func.func @made(%0: {versioned[0]}, %1: {versioned[1]}) -> {versioned[2]} {{",
            f"%x = builtin.unrealized_conversion_cast %0 : {versioned[0]} to {source}",
            f"%s = builtin.unrealized_conversion_cast %1 : {versioned[1]} to {shape}",
            *body,
            f"%given = builtin.unrealized_conversion_cast %made : {result} to {versioned[2]}",
            f"return %given : {versioned[2]} }}",
        )
    )
    [made] = session.splice(text, list(operation.operands), operation)
    operation.results[0].replace_all_uses_with(made)
    operation.erase()


def _broadcast(source: Tensor, shape: Tensor, result: Tensor, places: list[int]) -> Iterator[str]:
    """Give the lines that make `%made` of `%x`, whose sizes stand at `places` of the result's, and
    of `%s`, the result's sizes.
    """
    rank = len(result.shape)
    for place in range(rank):
        yield f"%at{place} = arith.constant {place} : index"
        if result.shape[place] is None:
            yield f"%told{place} = tensor.extract %s[%at{place}] : {shape}"
            yield f"%size{place} = arith.index_cast %told{place} : {shape.element} to index"
        else:
            yield f"%size{place} = arith.constant {result.shape[place]} : index"
    taken: list[str] = []
    for place, (size, target) in enumerate(zip(source.shape, places, strict=True)):
        taken.append("0" if size == 1 and result.shape[target] != 1 else f"d{target}")
        if size is None:
            yield f"%from{place} = tensor.dim %x, %at{place} : {source}"
            yield f"%same{place} = arith.cmpi eq, %from{place}, %size{target} : index"
            yield f'cf.assert %same{place}, "a size that only the call tells would be repeated"'
    told = ", ".join(f"%size{place}" for place in range(rank) if result.shape[place] is None)
    every = ", ".join(f"d{place}" for place in range(rank))
    loops = ", ".join(['"parallel"'] * rank)
    yield f"%room = tensor.empty({told}) : {result}"
    yield (
        f"%made = linalg.generic {{indexing_maps = [affine_map<({every}) -> ({', '.join(taken)})>, "
        f"affine_map<({every}) -> ({every})>], iterator_types = [{loops}]}} "
        f"ins(%x : {source}) outs(%room : {result}) {{"
    )
    yield f"^bb0(%in: {source.element}, %out: {source.element}):"
    yield f"linalg.yield %in : {source.element} }} -> {result}"
