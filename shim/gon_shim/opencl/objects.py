"""What a handle stands for: an object with a count of references.

A handle is the address of a word in C that holds the dispatch table, as the loader wants it, which
looks there even when Python has ended; which object it is, a table of each kind knows, so that a
handle that is none is noticed.

Rules: an object lives while the program (`retain`, `release`) or another object (`hold`, `drop`)
refers to it. Counts change under one lock.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar, cast

from _gon_opencl import lib
from gon_shim.opencl.errors import ClError

if TYPE_CHECKING:
    from _gon_opencl import CData

# The collector may end a program's objects while it is held.
_COUNTING = threading.RLock()
# The words of objects that have ended, the oldest first: they stay words, for a handle that is none
# any more is looked into too.
_WORDS: deque[CData] = deque()
_Made = TypeVar("_Made")


def new_handle() -> CData:
    """Return a handle for an object to come."""
    try:
        return _WORDS.popleft()
    except IndexError:
        return lib.gon_word()


def recycle(handle: CData) -> None:
    """Let the handle of what has ended be another object's, once all before it were."""
    _WORDS.append(handle)


class _Whole(type):
    """Lets a handle be known once its object is whole: other threads look for all of a kind."""

    def __call__(cls: type[_Made], *given: object, **named: object) -> _Made:
        made: _Made = super().__call__(*given, **named)  # type: ignore[misc]
        cast("Object", made).publish()
        return made


class Object(metaclass=_Whole):
    """One object of OpenCL."""

    # What an entry says of a handle that is none.
    invalid: ClassVar[int]
    # The objects of this kind, by handle; every kind has its own.
    _live: ClassVar[dict[CData, Object]]

    def __init_subclass__(cls) -> None:
        # A kind of its own, unless its class says whose it shares.
        if "_live" not in vars(cls):
            cls._live = {}

    def __init__(self, handle: CData | None = None) -> None:
        self.handle: CData = new_handle() if handle is None else handle
        self.references = 1
        self._holders = 0
        self._held: list[Object] = []

    def publish(self) -> None:
        """Let its handle be known."""
        self._live[self.handle] = self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.references} references, {self._holders} holders)"

    @classmethod
    def of(cls, handle: CData) -> Self:
        """Return the object of a handle. Raises ClError."""
        found = cls._live.get(handle)
        if found is None:
            raise ClError(cls.invalid)
        return cast("Self", found)

    @classmethod
    def find(cls, handle: CData) -> Self | None:
        """Return the object of a handle, None if there is none."""
        return cast("Self | None", cls._live.get(handle))

    @classmethod
    def all(cls) -> list[Self]:
        """Return the objects there are."""
        return cast("list[Self]", [*cls._live.values()])

    def retain(self) -> None:
        with _COUNTING:
            self.references += 1

    def release(self) -> None:
        with _COUNTING:
            if self.references < 1:
                raise ClError(self.invalid)
            self.references -= 1
        self._end_if_unused()

    def hold(self, *others: Object) -> None:
        """Let others live as long as this one does."""
        for other in others:
            other.pin()
            self._held.append(other)

    def pin(self) -> None:
        """Let it live until `unpin`."""
        with _COUNTING:
            self._holders += 1

    def unpin(self) -> None:
        with _COUNTING:
            self._holders -= 1
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        if self.references or self._holders or self._live.pop(self.handle, None) is None:
            return
        self.end()
        recycle(self.handle)
        self.drop()

    def drop(self) -> None:
        """Let nothing live any more as long as this one does."""
        held, self._held = self._held, []
        for other in held:
            other.unpin()

    def end(self) -> None:
        """Do what is to be done when nothing refers to it any more."""
