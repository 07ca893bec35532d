"""How much of a lease's memory is used, and by which buffers. Pure.

Rules: whoever is about to take memory asks first; what is not taken after all need not be given
back.
"""

from __future__ import annotations

from gon.errors import OutOfMemory


class Quota:
    """`sizes` are those of the buffers there are, by handle; `pixels` how many an image has."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._used_bytes = 0
        self.sizes: dict[int, int] = {}
        self.pixels: dict[int, int] = {}

    def __repr__(self) -> str:
        used = f"{self._used_bytes} of {self._memory_bytes} bytes used"
        return f"Quota({used}, {len(self.sizes)} buffers)"

    def ask(self, size_bytes: int, what: str) -> None:
        """Raise OutOfMemory if there is no room for `what`."""
        free_bytes = self._memory_bytes - self._used_bytes
        if size_bytes > free_bytes:
            raise OutOfMemory(
                f"{what} {size_bytes} bytes, {free_bytes} of the lease's {self._memory_bytes} "
                "bytes are free"
            )

    def take(self, size_bytes: int) -> None:
        """Take what was asked for; a negative number gives back."""
        self._used_bytes += size_bytes

    def add(self, buffer: int, size_bytes: int) -> None:
        """Take a new buffer's memory."""
        self.sizes[buffer] = size_bytes
        self._used_bytes += size_bytes

    def add_image(self, image: int, size_bytes: int, pixels: int) -> None:
        """Take a new image's memory."""
        self.add(image, size_bytes)
        self.pixels[image] = pixels

    def drop(self, buffer: int) -> None:
        """Give a buffer's memory back, if it has some of its own."""
        self._used_bytes -= self.sizes.pop(buffer, 0)
        self.pixels.pop(buffer, None)
