"""A module's source as the tidy rules see it: path, dotted name, text, tree and comments.

Rules: nothing here imports or runs the code it reads.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("gon", "server", "client", "shim", "tests", "bench", "examples")
GENERATED = ("gon/pb/", "shim/gon_shim/opencl/khronos/constants.py")
# Directories that hold packages rather than being one.
HOLDERS = ("server", "client", "shim")


@dataclass(frozen=True)
class Finding:
    """One break of one rule."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Import:
    """One imported module; `from a import b` counts as a.b, for b may be a module."""

    line: int
    module: str
    in_function: bool


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the root, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """The dotted name it is imported by."""
        parts = self.path.removesuffix(".py").split("/")
        if parts[0] in HOLDERS:
            parts = parts[1:]
        if parts[-1] == "__init__":
            parts = parts[:-1]
        return ".".join(parts)

    @cached_property
    def comments(self) -> dict[int, str]:
        """Comments by line, without the mark."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {
            t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT
        }

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(self._imports(self.tree, in_function=False))

    def _imports(self, node: ast.AST, *, in_function: bool) -> Iterator[Import]:
        inner = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(child.lineno, alias.name, inner)
            elif isinstance(child, ast.ImportFrom):
                base = self._base(child)
                for alias in child.names:
                    yield Import(child.lineno, f"{base}.{alias.name}", inner)
            else:
                yield from self._imports(child, in_function=inner)

    def _base(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        package = self.module.split(".")
        if not self.path.endswith("__init__.py"):
            package = package[:-1]
        package = package[: len(package) - (node.level - 1)]
        return ".".join([*package, *([node.module] if node.module else [])])


def is_in(module: str, package: str) -> bool:
    """Return whether `module` is `package` or lies in it."""
    return module == package or module.startswith(package + ".")


def natives() -> list[Source]:
    """Read every native module, as far as the rules see it: imports, and `cimport`s as such."""
    found: list[Source] = []
    for top in CODE:
        for path in sorted((ROOT / top).rglob("*.p[yx][xd]")):
            text = path.read_text(encoding="utf-8").replace(" cimport ", " import ")
            imports = [
                line if re.match(r"(from [\w.]+ )?import [\w., ]+$", line) else ""
                for line in re.sub(r"\(\n([^()]*)\n\)", _in_one_line, text).split("\n")
            ]
            relative = path.relative_to(ROOT).with_suffix(".py").as_posix()
            found.append(Source(relative, "\n".join(imports)))
    return found


def _in_one_line(names: re.Match[str]) -> str:
    return " ".join(names[1].split()).rstrip(",")


def sources() -> list[Source]:
    """Read every module of the tree but the generated ones."""
    found: list[Source] = []
    for top in CODE:
        for path in sorted((ROOT / top).rglob("*.py")):
            relative = path.relative_to(ROOT).as_posix()
            if not relative.startswith(GENERATED):
                found.append(Source(relative, path.read_text(encoding="utf-8")))
    return found
