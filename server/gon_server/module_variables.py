"""What modules count against the lease's memory, their variables and programs, and for how long.

Pure. A module's memory lives until the module is unloaded and every kernel and variable got from it
is closed too: any of them may still be used.
"""

from __future__ import annotations

from gon_server.footprint import Key, Noun


class ModuleVariables:
    """Bytes by module, and who keeps them."""

    def __init__(self) -> None:
        self._bytes: dict[int, int] = {}  # by a number of our own: handles may be used again
        self._kept_by: dict[Key, int] = {}
        self._keepers: dict[int, int] = {}
        self._next = 0

    def __repr__(self) -> str:
        return f"ModuleVariables({sum(self._bytes.values())} bytes of {len(self._bytes)} modules)"

    def add(self, module: int, size_bytes: int) -> None:
        """Enter a module that was loaded; one that takes nothing is not worth a line."""
        if size_bytes:
            self._next += 1
            self._bytes[self._next] = size_bytes
            self._keepers[self._next] = 1
            self._kept_by[Noun.MODULE, module] = self._next

    def hold(self, module: int, key: Key) -> None:
        """Note that `key`, a kernel or a variable, was got from `module`."""
        number = self._kept_by.get((Noun.MODULE, module))
        if number is not None:
            self._keepers[number] += 1
            self._kept_by[key] = number

    def forget_programs(self) -> int:
        """Note that all modules and kernels are gone, whatever handles there are of them; return
        how many bytes that sets free. Variables that somebody has stay.
        """
        gone = [key for key in self._kept_by if key[0] is not Noun.BUFFER]
        return sum(self.forget(key) for key in gone)

    def forget(self, key: Key) -> int:
        """Note that `key` is gone; return how many bytes that sets free."""
        number = self._kept_by.pop(key, None)
        if number is None:
            return 0
        self._keepers[number] -= 1
        if self._keepers[number]:
            return 0
        del self._keepers[number]
        return self._bytes.pop(number)
