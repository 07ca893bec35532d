"""Contents on the disk: one file each, under a directory of their tenant's, named by their digest.

    STATE_DIR/contents/key                   what all digests are keyed with
    STATE_DIR/contents/TENANT/DIGEST         a content
    STATE_DIR/contents/TENANT/DIGEST.new     one that is being written

Rules: what is written is looked at on the way, and has its name only once it is what that says.
What is there from before is looked at before it is given out, once; and again when the file is not
the one that was looked at. So nothing needs to be forced onto the disk: what a loss of power leaves
behind is found out. These calls block, and are made from threads: `open` from one, the others from
one. Must not know: who asks, which are to be kept.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
import stat
from pathlib import Path

from gon.contents import ContentDigest
from gon.limits import (
    CONTENT_BYTES_MAX,
    CONTENT_DISK_FREE_BYTES,
    CONTENT_STEP_BYTES,
    CONTENTS_KEPT_MAX,
)
from gon_server.content_book import ContentKey

log = logging.getLogger("gond.contents")

_KEY_BYTES = 32
_SHELF_BYTES = 16
_SHELF = re.compile(rf"[0-9a-f]{{{2 * _SHELF_BYTES}}}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
# What is told apart of a file by looking at it: another inode, or any change, makes another stamp.
_Stamp = tuple[int, int, int, int]


class ContentFiles:
    """The files below `directory`, which is made if it is not there. Raises OSError."""

    def __init__(self, directory: Path, *, disk_free_bytes: int = CONTENT_DISK_FREE_BYTES) -> None:
        self._directory = directory
        self._disk_free_bytes = disk_free_bytes
        self._looked_at: dict[ContentKey, _Stamp] = {}
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        self._key = self._read_key()

    def __repr__(self) -> str:
        return f"ContentFiles({self._directory})"

    # Names ----------------------------------------------------------------------------------------
    def shelf_of(self, tenant: str) -> str:
        """Return what a tenant's contents are kept under."""
        return self._keyed(tenant, b"gon-shelf", _SHELF_BYTES).hex()

    def key_of(self, tenant: str) -> bytes:
        """Return what a tenant's digests are keyed with: nobody else's are."""
        return self._keyed(tenant, b"gon-tenant", _KEY_BYTES)

    def _keyed(self, tenant: str, person: bytes, size: int) -> bytes:
        made = hashlib.blake2b(tenant.encode(), key=self._key, person=person, digest_size=size)
        return made.digest()

    def _path(self, key: ContentKey) -> Path:
        return self._directory / key.tenant / key.digest.hex()

    # From before ----------------------------------------------------------------------------------
    def scan(self) -> list[tuple[ContentKey, int]]:
        """Return the contents that are there, and their sizes, the one used longest ago first.

        Whatever else lies among them is removed.
        """
        found: list[tuple[int, ContentKey, int]] = []
        foreign: list[Path] = []
        for shelf in _entries(self._directory):
            if not _SHELF.match(shelf.name) or not shelf.is_dir(follow_symlinks=False):
                continue
            for entry in _entries(Path(shelf.path)):
                seen = entry.stat(follow_symlinks=False)
                if _DIGEST.match(entry.name) and _is_ours(seen) and len(found) < CONTENTS_KEPT_MAX:
                    key = ContentKey(shelf.name, bytes.fromhex(entry.name))
                    found.append((seen.st_mtime_ns, key, seen.st_size))
                elif not stat.S_ISDIR(seen.st_mode):
                    Path(entry.path).unlink()
                    foreign.append(Path(entry.path))
        if foreign:
            log.warning("dropped %d files that are no contents, as %s", len(foreign), foreign[0])
        return [(key, size) for _, key, size in sorted(found, key=lambda each: each[0])]

    def remember(self, keys: tuple[ContentKey, ...]) -> None:
        """Let the next `scan` give the contents in this order: by their files' times, which are no
        times of day then, but earlier than any of those.
        """
        for place, key in enumerate(keys):
            try:
                os.utime(self._path(key), ns=(place, place), follow_symlinks=False)
            except OSError as error:
                log.debug("%r: %s", key, error)

    # Contents -------------------------------------------------------------------------------------
    def store(self, key: ContentKey, content_key: bytes, content: int, size_bytes: int) -> bool:
        """Keep what the file `content` has, if it is what the digest says; return whether it is.

        Raises OSError where the disk does not take it.
        """
        path = self._path(key)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        room = os.statvfs(path.parent)
        if room.f_bavail * room.f_frsize - size_bytes < self._disk_free_bytes:
            raise OSError(errno.ENOSPC, f"less than {self._disk_free_bytes} bytes would be left")
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(fresh, flags, 0o600)
        try:
            digest = _digest_file(content, content_key, size_bytes, target)
            if digest != key.digest:
                fresh.unlink()
                return False
            fresh.rename(path)
            self._looked_at[key] = _stamp(os.fstat(target))
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        finally:
            os.close(target)
        return True

    def open(self, key: ContentKey, content_key: bytes, size_bytes: int) -> int | None:
        """Return a file of the content, open for reading, or None if it is not what was kept."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(self._path(key), flags)
        except OSError as error:
            log.warning("content %r is dropped: %s", key, error.strerror)
            return None
        try:
            if self._is_sound(fd, key, content_key, size_bytes):
                return fd
            log.warning("content %r is dropped: its file is not what was kept", key)
        except OSError as error:
            log.warning("content %r is dropped: %s", key, error.strerror)
        os.close(fd)
        return None

    def remove(self, key: ContentKey) -> None:
        """Keep a content no more; whoever has it open may still read it."""
        self._looked_at.pop(key, None)
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            log.warning("content %r cannot be removed: %s", key, error.strerror)

    def _is_sound(self, fd: int, key: ContentKey, content_key: bytes, size_bytes: int) -> bool:
        seen = os.fstat(fd)
        if not _is_ours(seen) or seen.st_size != size_bytes:
            return False
        stamp = _stamp(seen)
        if self._looked_at.get(key) == stamp:
            return True
        if _digest_file(fd, content_key, size_bytes) != key.digest:
            return False
        self._looked_at[key] = stamp
        return True

    def _read_key(self) -> bytes:
        """Return what digests are keyed with, made at the first start. Raises OSError."""
        path = self._directory / "key"
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = b""
        if len(key) == _KEY_BYTES:
            return key
        if key:
            log.warning("%s is not what it was: the contents kept so far are of no use", path)
        key = secrets.token_bytes(_KEY_BYTES)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        target = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(target, key)
            os.fsync(target)
        finally:
            os.close(target)
        fresh.rename(path)
        return key


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return list(entries)


def _is_ours(seen: os.stat_result) -> bool:
    """Return whether a file can be one that was kept here."""
    return (
        stat.S_ISREG(seen.st_mode)
        and seen.st_uid == os.geteuid()
        and seen.st_nlink == 1
        and 0 < seen.st_size <= CONTENT_BYTES_MAX
    )


def _stamp(seen: os.stat_result) -> _Stamp:
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _digest_file(fd: int, content_key: bytes, size_bytes: int, target: int | None = None) -> bytes:
    """Return the digest of a file of that size; write it down as `target` on the way. An empty one
    stands for a file that is shorter.
    """
    digest = ContentDigest(content_key, size_bytes)
    step = memoryview(bytearray(min(size_bytes, CONTENT_STEP_BYTES)))
    done = 0
    while done < size_bytes:
        count = os.preadv(fd, [step[: size_bytes - done]], done)
        if not count:
            return b""
        part = step[:count]
        digest.feed(part)
        done += count
        while target is not None and part:
            part = part[os.write(target, part) :]
    return digest.digest()
