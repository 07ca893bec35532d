"""Why a session is over, once it is: every later op fails with that, and what was expected.

Rules: the first reason stays. Must not know: links, who waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.errors import GonError, LeaseLost, error_of
from gon.forked import inherit, made_before_fork
from gon_client.expected import Expected
from gon_client.outbox import PlainOutbox

if TYPE_CHECKING:
    from gon_client._express import Outbox
    from gon_client.dial import Dialer


class Ending:
    """The end of one session."""

    def __init__(self, outbox: PlainOutbox | Outbox, expected: Expected, dialer: Dialer) -> None:
        # `outbox.ended` says that there is one: native code looks there.
        self._outbox, self._expected, self._dialer = outbox, expected, dialer
        self._why: GonError | None = None
        inherit(self, Ending.forsake)

    def __repr__(self) -> str:
        return f"Ending({self._why!r})"

    def begin(self, why: GonError) -> None:
        """Take nothing more, for that reason."""
        self._why = self._why or why
        self._outbox.ended = True
        self._dialer.borrowed = None

    @property
    def is_here(self) -> bool:
        """Whether the session is over."""
        return self._outbox.ended

    def error(self) -> GonError:
        """Return what whoever uses the session is told."""
        why = self._why or LeaseLost("the session is over")
        return error_of(why.code, why.message)

    def check(self) -> None:
        """Raise that if the session is over."""
        if self._outbox.ended:
            raise self.error()

    def forsake(self) -> None:
        """Be over in a child of fork: what is expected comes to its parent."""
        self._why = made_before_fork()
        self.begin(self._why)
        self._expected.fail(self._why)
