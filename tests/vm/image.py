"""The guest's file system, an initramfs: busybox, this environment's Python, and the thin client.

Rules: of packages, what `gon` depends on without any extra and what a program names, so a guest
that works shows how thin the client is; everything lies in the guest where it lies here, so that no
path needs to be changed; what the loader would look for is asked of `ldd`.
"""

from __future__ import annotations

import compileall
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.vm.debian import Parts
from tests.vm.guest import Program, init_script

ROOT = Path(__file__).resolve().parents[2]
# Of the standard library: what no client imports, and what takes most of the room.
_LEFT_OUT = (
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "config-*",
)
# The network's card; what it depends on is found out.
_MODULES = ("virtio_pci", "virtio_net")
_LDD = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_TOOL_LIMIT_S = 60.0


def build(parts: Parts, folder: Path, programs: Sequence[Program]) -> Path:
    """Return the initramfs, made in `folder` with all that `programs` need."""
    tree = folder / "guest"
    for name in ("bin", "dev", "proc", "sys", "tmp", "root", "etc"):
        (tree / name).mkdir(parents=True)
    shutil.copy2(parts.busybox, tree / "bin" / "busybox")
    drivers = [_put(path, tree, parts.modules) for path in _drivers(parts.modules)]
    guest = _Guest(tree)
    guest.add_python()
    for package in _closure("gon"):
        guest.add_package(package)
    guest.add_tree(ROOT / "gon")
    guest.add_tree(ROOT / "client" / "gon_client")
    guest.add_tree(ROOT / "shim" / "gon_shim")
    for program in programs:
        for path in program.files:
            guest.add(path)
        for name in program.packages:
            guest.add_package(distribution(name))
    guest.add_libraries()
    # A guest compiles a hundred times slower than this machine.
    compileall.compile_dir(tree, maxlevels=99, quiet=2, stripdir=str(tree), workers=1)
    init = tree / "init"
    init.write_text(init_script(drivers, programs), "utf-8")
    init.chmod(0o755)
    return _archive(parts.busybox, tree, folder / "initramfs.cpio")


def python_path() -> str:
    """Return PYTHONPATH in the guest: this tree, and what is installed."""
    here = [str(ROOT), str(ROOT / "client"), str(ROOT / "shim")]
    return ":".join([*here, sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]])


class _Guest:
    """A tree that files of this machine are put into, at their own places."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._native: list[Path] = []

    def add(self, path: Path) -> None:
        """Add a file, and note it if the loader has to find libraries for it."""
        place = self._tree / path.relative_to("/")
        if place.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
        with path.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                self._native.append(path)

    def add_tree(self, folder: Path) -> None:
        """Add the files below a folder, but tests and what is built for something else."""
        for path in folder.rglob("*"):
            inside = path.relative_to(folder).parts
            if path.is_file() and not any(
                Path(part).match(out) for part in inside for out in _LEFT_OUT
            ):
                self.add(path)

    def add_package(self, package: Distribution) -> None:
        """Add what an installed package consists of."""
        for file in package.files or ():
            path = Path(str(file.locate())).resolve()
            if path.is_file() and "tests" not in file.parts:
                self.add(path)

    def add_python(self) -> None:
        """Add the interpreter, at the name that programs are started by, and its library."""
        self.add(Path(sys.executable).resolve())
        library = Path(sysconfig.get_paths()["stdlib"])
        for path in library.iterdir():
            if path.is_file():
                self.add(path)
            elif path.name != "site-packages" and not any(path.match(out) for out in _LEFT_OUT):
                self.add_tree(path)

    def add_libraries(self) -> None:
        """Add what the loader looks for, for all that was added."""
        for path in self._needed(self._native):
            self.add(path)

    def _needed(self, files: Iterable[Path]) -> set[Path]:
        ran = subprocess.run(
            ["ldd", *map(str, files)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TOOL_LIMIT_S,
            check=False,  # it says "not a dynamic executable" of some by failing
        )
        return {Path(each) for each in _LDD.findall(ran.stdout)}


def _closure(name: str) -> Iterator[Distribution]:
    """Give the packages that `name` depends on without its extras, itself left out."""
    seen = {name}
    waiting = [name]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            requirement = Requirement(text)
            if requirement.name in seen:
                continue
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                seen.add(requirement.name)
                waiting.append(requirement.name)
                yield distribution(requirement.name)


def _drivers(modules: Path) -> list[Path]:
    """Return the kernel modules in the order in which they must be loaded."""
    there = {path.stem.replace("-", "_"): path for path in modules.rglob("*.ko")}
    ordered: list[Path] = []

    def visit(name: str) -> None:
        path = there[name]
        if path not in ordered:
            for needed in re.findall(rb"\0depends=([^\0]*)\0", path.read_bytes()):
                for each in filter(None, needed.decode().split(",")):
                    visit(each.replace("-", "_"))
            ordered.append(path)

    for name in _MODULES:
        visit(name)
    return ordered


def _put(driver: Path, tree: Path, modules: Path) -> str:
    """Copy a kernel module; return where it lies in the guest."""
    place = Path("lib/modules") / driver.relative_to(modules)
    (tree / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(driver, tree / place)
    return f"/{place}"


def _archive(busybox: Path, tree: Path, target: Path) -> Path:
    # Not compressed: the guest would take longer to expand it than to be given it.
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with target.open("wb") as file:
        subprocess.run(
            [busybox, "cpio", "-o", "-H", "newc", "-R", "0:0"],
            cwd=tree,
            input=names.encode(),
            stdout=file,
            stderr=subprocess.DEVNULL,
            timeout=_TOOL_LIMIT_S,
            check=True,
        )
    return target
