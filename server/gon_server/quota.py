"""How much of a lease's memory is used, and by which buffers. Pure.

Rules: whoever is about to take memory asks first; what is not taken after all need not be given
back.
"""

from __future__ import annotations

from gon.errors import OutOfMemory


class _Ground:
    """A buffer's memory that images lie over: how many, and what of it is not given back though the
    buffer is gone.
    """

    __slots__ = ("images", "left_bytes")

    def __init__(self) -> None:
        self.images = self.left_bytes = 0


class Quota:
    """`sizes` are those of the buffers there are, by handle; `pixels` how many an image has."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._used_bytes = 0
        self.sizes: dict[int, int] = {}
        self.pixels: dict[int, int] = {}
        # By a buffer that images lie over, and by such an image.
        self._beneath: dict[int, _Ground] = {}
        self._over: dict[int, _Ground] = {}

    def __repr__(self) -> str:
        used = f"{self._used_bytes} of {self._memory_bytes} bytes used"
        return f"Quota({used}, {len(self.sizes)} buffers)"

    def ask(self, size_bytes: int, what: str) -> None:
        """Raise OutOfMemory if there is no room for `what`."""
        if not self.has_room(size_bytes):
            free_bytes = self._memory_bytes - self._used_bytes
            raise OutOfMemory(
                f"{what} {size_bytes} bytes, {free_bytes} of the lease's {self._memory_bytes} "
                "bytes are free"
            )

    def has_room(self, size_bytes: int) -> bool:
        """Return whether there is so much left."""
        return size_bytes <= self._memory_bytes - self._used_bytes

    def take(self, size_bytes: int) -> None:
        """Take what was asked for; a negative number gives back."""
        self._used_bytes += size_bytes

    def add(self, buffer: int, size_bytes: int) -> None:
        """Take a new buffer's memory."""
        self.sizes[buffer] = size_bytes
        self._used_bytes += size_bytes

    def is_plain(self, buffer: int, size_bytes: int) -> bool:
        """Return whether that is a buffer of this size, and no image can have to do with it."""
        return self.sizes.get(buffer) == size_bytes and not self.pixels

    def add_image(self, image: int, size_bytes: int, pixels: int, buffer: int = 0) -> None:
        """Take a new image's memory; one that lies over a buffer has none, and keeps that."""
        self.add(image, size_bytes)
        self.pixels[image] = pixels
        if buffer:
            ground = self._over[image] = self._beneath.setdefault(buffer, _Ground())
            ground.images += 1

    def drop(self, buffer: int) -> None:
        """Give the memory of a buffer or image back, if it has some of its own: of a buffer that
        images lie over with the last of them.
        """
        size_bytes = self.sizes.pop(buffer, 0)
        self.pixels.pop(buffer, None)
        ground = self._beneath.pop(buffer, None)
        if ground is not None and ground.images:
            ground.left_bytes, size_bytes = size_bytes, 0
        over = self._over.pop(buffer, None)
        if over is not None:
            over.images -= 1
            if not over.images:
                size_bytes += over.left_bytes
        self._used_bytes -= size_bytes
