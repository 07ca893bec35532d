"""The edge to JAX: from a function, or what was exported of one, to StableHLO and its shapes.

JAX is imported when a function is given, and only then: who has exported bytes needs none of it.

Rules: JAX's errors leave as ours; the numbers of its versions are its own business.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, cast

from gon.errors import InvalidArgument, Unsupported

INSTALL: Final = 'pip install "gon[jax]"'
# What runs a program is the host's processor, whatever the unit is.
PLATFORM: Final = "cpu"
Sizes: TypeAlias = tuple[int, ...]


class Tree(Protocol):
    """How values lie in a tree of containers."""

    def unflatten(self, leaves: Sequence[object], /) -> object: ...


class Spec(Protocol):
    """A shape and its elements."""

    @property
    def shape(self) -> tuple[object, ...]: ...
    @property
    def dtype(self) -> object: ...


class Exported(Protocol):
    """`jax.export.Exported`."""

    @property
    def mlir_module_serialized(self) -> bytes: ...
    @property
    def platforms(self) -> tuple[str, ...]: ...
    @property
    def in_tree(self) -> Tree: ...
    @property
    def out_tree(self) -> Tree: ...
    @property
    def in_avals(self) -> tuple[Spec, ...]: ...
    @property
    def out_avals(self) -> tuple[Spec, ...]: ...
    @property
    def module_kept_var_idx(self) -> tuple[int, ...]: ...
    @property
    def call(self) -> Callable[..., object]: ...


class _Trees(Protocol):
    def tree_flatten(self, tree: object, /) -> tuple[list[object], Tree]: ...
    def tree_leaves(self, tree: object, /) -> list[Spec]: ...


class _Jax(Protocol):
    @property
    def tree_util(self) -> _Trees: ...

    def jit(self, function: Callable[..., object], /) -> object: ...
    def eval_shape(
        self, function: Callable[..., object], /, *specs: object, **named: object
    ) -> object: ...
    def ShapeDtypeStruct(self, shape: Sequence[object], dtype: object, /) -> Spec: ...  # noqa: N802


class _Export(Protocol):
    def export(
        self, function: object, /, *, platforms: Sequence[str]
    ) -> Callable[..., Exported]: ...
    def deserialize(self, serialized: bytearray, /) -> Exported: ...


class Jax:
    """JAX, loaded. Raises Unsupported where it is not installed."""

    def __init__(self) -> None:
        try:
            self._jax = cast(_Jax, importlib.import_module("jax"))
            self._export = cast(_Export, importlib.import_module("jax.export"))
        except ImportError as error:
            raise Unsupported(f"a JAX function needs JAX: {INSTALL}: {error}") from error

    def export(
        self,
        function: Callable[..., object],
        specs: Sequence[object],
        named: dict[str, object],
    ) -> Exported:
        """Export a function for what the specs say. Raises InvalidArgument with JAX's words."""
        jitted = function if hasattr(function, "trace") else self._jax.jit(function)
        try:
            return self._export.export(jitted, platforms=(PLATFORM,))(*specs, **named)
        except Exception as error:  # whatever the function itself raises, too
            raise InvalidArgument(f"JAX does not export this: {error}") from error

    def read(self, serialized: bytes) -> Exported:
        """Read what `Exported.serialize` gave. Raises InvalidArgument for anything else."""
        try:
            return self._export.deserialize(bytearray(serialized))
        except Exception as error:  # a reader of bytes raises anything
            raise InvalidArgument(f"these are no exported bytes: {error}") from error

    def leaves(self, tree: object) -> tuple[list[object], Tree]:
        """Return the values of a tree, and how they lie in it."""
        return self._jax.tree_util.tree_flatten(tree)

    def spec(self, shape: Sequence[int], dtype: object) -> Spec:
        return self._jax.ShapeDtypeStruct(shape, dtype)

    def result_shapes(self, exported: Exported, specs: Sequence[Spec]) -> list[Sizes]:
        """Return the sizes of the results for inputs of such sizes. Raises InvalidArgument for
        sizes that were not exported.
        """
        args, named = cast(
            tuple[tuple[object, ...], dict[str, object]], exported.in_tree.unflatten(specs)
        )
        try:
            results = self._jax.eval_shape(exported.call, *args, **named)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"the program does not take this: {error}") from error
        leaves = self._jax.tree_util.tree_leaves(results)
        return [cast(Sizes, tuple(each.shape)) for each in leaves]


def platform_index(exported: Exported) -> int:
    """Return where the platform that is like the host stands among those exported for."""
    platforms = tuple(exported.platforms)
    return platforms.index(PLATFORM) if PLATFORM in platforms else 0


def is_exported(value: object) -> bool:
    """Return whether this is a `jax.export.Exported`, without loading JAX."""
    return hasattr(value, "mlir_module_serialized") and hasattr(value, "in_tree")
