"""Template arguments of a call: those written out, and those that follow from the arguments' types.

Only for function templates that declare shared memory, whose instances OpenCL must know in the
kernel; all other templates are the compiler's.

Rules: pure. What does not follow is refused, asking for it to be written out.
"""

from __future__ import annotations

from collections.abc import Mapping

from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.expressions import Expressions
from gon_server.cuda_c.layout import Array, CType, Pointer, Reference, Unknown
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.spell import spell
from gon_server.cuda_c.symbols import Function, Kind, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types


class Deduction:
    """Binds the template parameters of calls, as texts of the caller."""

    def __init__(
        self, types: Types, lines: Lines, edits: Edits, renamed: Mapping[str, str]
    ) -> None:
        self._types = types
        self._lines = lines
        self._edits = edits
        self._renamed = renamed

        def called(_call: Node, name: Node) -> CType:
            functions = types.names.named(name.text)
            if len(functions) == 1 and functions[0].template is None:
                node = functions[0].node
                return types.declared(node, node.get("declarator"))
            return Unknown("")

        self._expressions = Expressions(types, types.of, called)

    def bind(self, callee: Function, call: Node) -> Mapping[str, str]:
        """Return the text for each of the callee's template parameters. Raises Unsupported."""
        params = self._types.names.template_params(callee)
        found: dict[str, str] = {}
        function, arguments = call.get("function"), call.get("arguments")
        explicit = function.get("arguments") if function is not None else None
        if explicit is not None:
            for param, node in zip(params, explicit.children, strict=False):
                found[param.name] = self._text(param, node)
        given = arguments.children if arguments is not None else []
        for declared, argument in zip(callee.params, given, strict=False):
            wanted = self._types.declared(declared, declared.get("declarator"))
            kind = self._expressions.type_of(argument)
            if not isinstance(wanted, Reference):
                kind = self._expressions.value_of(argument)
            self._unify(wanted, kind, found, params)
        for param in params:
            default = param.decl.get("default_type") or param.decl.get("default_value")
            if param.name not in found and default is not None:
                found[param.name] = self._text(param, default)
            if param.name not in found:
                raise self._lines.unsupported(
                    call.row,
                    f"{callee.name} declares shared memory, and its template parameter "
                    f"{param.name} does not follow from this call: write it out",
                )
        return found

    def _text(self, param: Symbol, node: Node) -> str:
        text = self._edits.apply(node.start, node.end)
        return f"({text})" if param.kind is Kind.VALUE_PARAM else text

    def _unify(
        self, wanted: CType, kind: CType, found: dict[str, str], params: list[Symbol]
    ) -> None:
        names = {param.name for param in params if param.kind is Kind.TYPE_PARAM}
        while True:
            match wanted, kind:
                case (Reference(), _):
                    wanted = wanted.to
                case (Pointer(), Pointer()):
                    wanted, kind = wanted.to, kind.to
                case (Array(), Array()):
                    wanted, kind = wanted.of, kind.of
                case (Unknown(), _) if wanted.name in names and wanted.name not in found:
                    text = kind.name if isinstance(kind, Unknown) else self._spelled(kind)
                    if text:
                        found[wanted.name] = text
                    return
                case _:
                    return

    def _spelled(self, kind: CType) -> str:
        return spell(kind, dict(self._renamed)) or ""
