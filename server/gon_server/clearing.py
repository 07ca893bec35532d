"""Removing a directory that a hostile process has filled: whatever its modes, however deep it is.

    root ── name ── deeper ── …     ─▶     root ── name          ─▶     root
                                                └─ deeper ── …              └─ deeper ── …

What lies in a directory of the root is removed or brought up into the root; so nothing is too deep
for a path, for the stack or for the descriptors that a process may have.

Rules: follows no link; goes on after what cannot be removed, and ends where nothing more can be.
Must not know: whose directories they are.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

log = logging.getLogger("gond.spawner")

_BROUGHT_UP_BYTES = 8


def clear(path: Path) -> None:
    """Remove a directory with all that is in it, as far as that goes."""
    failed: OSError | None = None
    try:
        root = _opened(str(path))
        try:
            failed = _empty(root)
        finally:
            os.close(root)
        path.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s cannot be removed: %s", path, failed or error)


def _empty(root: int) -> OSError | None:
    """Remove what is in a directory; return the first reason for what stays."""
    while True:
        removed, failed = False, None
        for error in _round(root):
            removed, failed = removed or error is None, failed or error
        if not removed:
            return failed


def _round(root: int) -> Iterator[OSError | None]:
    """Try to remove what is in the root, and give what came of each step."""
    for entry in _entries(root):
        if entry.is_dir(follow_symlinks=False):
            yield from _remove(entry.name, root)
        else:
            yield _tried(partial(os.unlink, entry.name, dir_fd=root))


def _remove(name: str, root: int) -> Iterator[OSError | None]:
    """Try to remove a directory in the root, whose own go up there."""
    try:
        directory = _opened(name, root)
    except OSError as error:
        yield error
        return
    try:
        for entry in _entries(directory):
            if entry.is_dir(follow_symlinks=False):
                yield _tried(partial(_bring_up, entry.name, directory, root))
            else:
                yield _tried(partial(os.unlink, entry.name, dir_fd=directory))
    finally:
        os.close(directory)
    yield _tried(partial(os.rmdir, name, dir_fd=root))


def _bring_up(name: str, directory: int, root: int) -> None:
    # To be moved, a directory must be one that may be written.
    os.close(_opened(name, directory))
    above = secrets.token_hex(_BROUGHT_UP_BYTES)
    os.rename(name, above, src_dir_fd=directory, dst_dir_fd=root)


def _opened(name: str, directory: int | None = None) -> int:
    """Open a directory, no link to one, and give its owner all rights to it. Raises OSError."""
    flags = os.O_DIRECTORY | os.O_CLOEXEC
    there = os.open(name, flags | os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    try:
        # Through such a descriptor no mode is changed but by its name.
        Path(f"/proc/self/fd/{there}").chmod(0o700)
        return os.open(".", flags | os.O_RDONLY, dir_fd=there)
    finally:
        os.close(there)


def _entries(directory: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        yield from entries


def _tried(step: Callable[[], None]) -> OSError | None:
    try:
        step()
    except OSError as error:
        return error
    return None
