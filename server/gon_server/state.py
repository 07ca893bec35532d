"""What outlives a restart of gond: its epoch. And that one directory serves one gond at a time.

Rules: a file is replaced as a whole, by rename, after its bytes are on disk; what cannot be
understood is an error, never a guess, for fences must not go back.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from gon.errors import ConfigError

_EPOCH_FILE = "epoch"
_LOCK_FILE = "gond.lock"
# A fence is the epoch above a 32-bit counter, in 64 bits that stay positive.
_EPOCH_MAX = (1 << 31) - 1


class StateDirectory:
    """The directory, held for this process alone until closed. Raises ConfigError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_fd = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"state_dir {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            raise ConfigError(f"another gond runs with state_dir {path}") from None

    def __repr__(self) -> str:
        return f"StateDirectory({self._path})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the directory go."""
        os.close(self._lock_fd)

    def next_epoch(self) -> int:
        """Count one more start, durably, and return its number (from 1)."""
        file = self._path / _EPOCH_FILE
        try:
            epoch = int(file.read_text("ascii")) + 1 if file.exists() else 1
        except (ValueError, OSError) as error:
            raise ConfigError(f"the epoch in {file} cannot be read: {error}") from error
        if not 0 < epoch <= _EPOCH_MAX:
            raise ConfigError(f"the epoch in {file} is not one: {epoch - 1}")
        try:
            self._replace(file, f"{epoch}\n".encode("ascii"))
        except OSError as error:
            raise ConfigError(f"the epoch in {file} cannot be kept: {error.strerror}") from error
        return epoch

    def _replace(self, file: Path, content: bytes) -> None:
        fresh = file.with_suffix(".new")
        with fresh.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
        directory = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
