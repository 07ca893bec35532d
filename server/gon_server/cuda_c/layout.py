"""Types of C as values, and how they lie in memory: as CUDA lays them out, which is the C ABI of
64-bit Linux.

Rules: values only; who reads them from a source is `types`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number: `name` as C spells it, `kind` as NumPy does ("i", "u", "f", "b"; "v" is void)."""

    name: str
    kind: str
    size: int

    @property
    def dtype(self) -> str:
        """NumPy's name of it."""
        if self.kind == "b":
            return "bool"
        if self.kind == "v":
            return ""
        return f"{ {'i': 'int', 'u': 'uint', 'f': 'float'}[self.kind] }{self.size * 8}"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: CType
    offset: int


@dataclass(frozen=True, slots=True)
class Struct:
    """A structure, a union, or a vector of CUDA's.

    `is_known` says whether all its members' types are, `is_plain` whether it is zeros at first,
    `holds_pointer` whether it has a pointer in it; each of all that it is made of.
    """

    name: str
    fields: tuple[Field, ...]
    size: int
    align: int
    is_vector: bool = False
    is_known: bool = True
    is_plain: bool = True
    holds_pointer: bool = False


@dataclass(frozen=True, slots=True)
class Pointer:
    """`const` says whether what it points to is; `space` in which address space that lies, "" where
    it is not worked out.
    """

    to: CType
    const: bool = False
    space: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """As a pointer."""

    to: CType
    const: bool = False
    space: str = ""


@dataclass(frozen=True, slots=True)
class Array:
    """`count` is 0 where the source gives none."""

    of: CType
    count: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type that is not worked out: one of a template that is not instantiated, `auto` …"""

    name: str


CType: TypeAlias = Scalar | Struct | Pointer | Reference | Array | Unknown

VOID: Final = Scalar("void", "v", 0)
BOOL: Final = Scalar("bool", "b", 1)
CHAR: Final = Scalar("char", "i", 1)
INT: Final = Scalar("int", "i", 4)
UINT: Final = Scalar("unsigned int", "u", 4)
LONG: Final = Scalar("long", "i", 8)
ULONG: Final = Scalar("unsigned long", "u", 8)
FLOAT: Final = Scalar("float", "f", 4)
DOUBLE: Final = Scalar("double", "f", 8)
HALF: Final = Scalar("half", "f", 2)

_SCALARS: Final = (
    VOID, BOOL, CHAR, INT, UINT, LONG, ULONG, FLOAT, DOUBLE,
    Scalar("signed char", "i", 1), Scalar("unsigned char", "u", 1),
    Scalar("short", "i", 2), Scalar("unsigned short", "u", 2),
    Scalar("long long", "i", 8), Scalar("unsigned long long", "u", 8),
)  # fmt: skip

SCALARS: Final[dict[str, Scalar]] = {
    **{scalar.name: scalar for scalar in _SCALARS},
    **{f"int{8 * n}_t": Scalar(name, "i", n) for n, name in
       ((1, "signed char"), (2, "short"), (4, "int"), (8, "long"))},
    **{f"uint{8 * n}_t": Scalar(f"unsigned {name}", "u", n) for n, name in
       ((1, "char"), (2, "short"), (4, "int"), (8, "long"))},
    "size_t": ULONG, "uintptr_t": ULONG, "ssize_t": LONG, "ptrdiff_t": LONG, "intptr_t": LONG,
    "half": HALF, "__half": HALF, "clock_t": LONG,
}  # fmt: skip

_ELEMENTS: Final = {
    "char": SCALARS["signed char"], "uchar": SCALARS["unsigned char"],
    "short": SCALARS["short"], "ushort": SCALARS["unsigned short"], "int": INT, "uint": UINT,
    "long": LONG, "ulong": ULONG, "longlong": LONG, "ulonglong": ULONG,
    "float": FLOAT, "double": DOUBLE,
}  # fmt: skip


def _vector(name: str, element: Scalar, lanes: int) -> Struct:
    """Return a vector of CUDA's: of 3 elements it is aligned as one of them."""
    fields = tuple(Field("xyzw"[i], element, i * element.size) for i in range(lanes))
    align = element.size if lanes == 3 else min(lanes * element.size, 16)
    return Struct(name, fields, lanes * element.size, align, is_vector=True)


VECTORS: Final[dict[str, Struct]] = {
    **{
        f"{name}{lanes}": _vector(f"{name}{lanes}", element, lanes)
        for name, element in _ELEMENTS.items()
        for lanes in range(1, 5)
    },
    "dim3": _vector("dim3", UINT, 3),
    "half2": Struct("half2", (Field("x", HALF, 0), Field("y", HALF, 2)), 4, 4, is_vector=True),
    "__half2": Struct("half2", (Field("x", HALF, 0), Field("y", HALF, 2)), 4, 4, is_vector=True),
}


def size_of(kind: CType) -> int:
    """Return a type's size, 0 where it is not known."""
    match kind:
        case Scalar() | Struct():
            return kind.size
        case Pointer() | Reference():
            return 8
        case Array():
            return size_of(kind.of) * kind.count
        case Unknown():
            return 0


def align_of(kind: CType) -> int:
    match kind:
        case Scalar():
            return max(kind.size, 1)
        case Struct():
            return kind.align
        case Array():
            return align_of(kind.of)
        case Pointer() | Reference():
            return 8
        case Unknown():
            return 1


def struct_of(
    name: str,
    members: list[tuple[str, CType, int]],
    *,
    union: bool,
    align: int,
    is_plain: bool = True,
) -> Struct:
    """Lay out members (name, type, least alignment)."""
    offset = size = 0
    fields: list[Field] = []
    for member, kind, least in members:
        need = max(align_of(kind), least)
        align = max(align, need)
        offset = 0 if union else -(-offset // need) * need
        fields.append(Field(member, kind, offset))
        offset += size_of(kind)
        size = max(size, offset)
    align = max(align, 1)
    kinds = [kind for _name, kind, _least in members]
    return Struct(
        name,
        tuple(fields),
        max(-(-size // align) * align, 1),
        align,
        is_known=all(is_known(kind) for kind in kinds),
        is_plain=is_plain and all(is_plain_type(kind) for kind in kinds),
        holds_pointer=any(holds_pointer(kind) for kind in kinds),
    )


def is_known(kind: CType) -> bool:
    """Return whether nothing of a type is left unknown."""
    match kind:
        case Unknown():
            return False
        case Pointer() | Reference():
            return is_known(kind.to)
        case Array():
            return kind.count > 0 and is_known(kind.of)
        case Struct():
            return kind.is_known
        case Scalar():
            return True


def is_plain_type(kind: CType) -> bool:
    """Return whether what is declared without a first value is zeros."""
    while isinstance(kind, Array):
        kind = kind.of
    return not isinstance(kind, Struct) or kind.is_plain


def holds_pointer(kind: CType) -> bool:
    """Return whether a pointer is anywhere in a type."""
    match kind:
        case Pointer() | Reference():
            return True
        case Array():
            return holds_pointer(kind.of)
        case Struct():
            return kind.holds_pointer
        case _:
            return False
