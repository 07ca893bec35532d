"""Texts and programs as they travel: what is too large is refused at the call."""

from __future__ import annotations

from gon.errors import InvalidArgument
from gon.limits import (
    NAME_BYTES_MAX,
    OPTIONS_BYTES_MAX,
    PROGRAM_HEADERS_MAX,
    PROGRAM_NAMES_MAX,
    SOURCE_BYTES_MAX,
)
from gon.model import Program
from gon.program_limits import most_uploaded


def check_text(text: str, most_bytes: int, what: str) -> None:
    """Raise InvalidArgument for what is too long, or no text."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what} is no text: {error.reason}") from error
    except AttributeError:
        raise InvalidArgument(f"{what} is no text: {text!r:.40}") from None
    if size > most_bytes:
        raise InvalidArgument(f"{what} of {size} bytes: at most {most_bytes} are allowed")


def code_of(source: str | bytes) -> bytes:
    """Return a program as it travels. Raises InvalidArgument for what is none."""
    if isinstance(source, str):
        try:
            return source.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgument(f"the source is no text: {error.reason}") from error
    try:
        return bytes(memoryview(source))
    except TypeError:
        raise InvalidArgument(f"the source is no text and no bytes: {source!r:.40}") from None


def program_bytes(program: Program, host_takes: int) -> int:
    """Return how much of a batch the program takes, more than SOURCE_BYTES_MAX for one that is to
    be uploaded, of which the host takes so much. Raises InvalidArgument for too much of it.
    """
    check_text(program.code_format, NAME_BYTES_MAX, "code_format")
    check_text(program.options, OPTIONS_BYTES_MAX, "options")
    if len(program.names) > PROGRAM_NAMES_MAX or len(program.headers) > PROGRAM_HEADERS_MAX:
        raise InvalidArgument(
            f"{len(program.names)} name expressions and {len(program.headers)} headers: at most "
            f"{PROGRAM_NAMES_MAX} and {PROGRAM_HEADERS_MAX} are allowed"
        )
    size = len(program.code)
    uploaded = most_uploaded(program.code_format, host_takes) if size > SOURCE_BYTES_MAX else 0
    most = max(SOURCE_BYTES_MAX, uploaded)
    for name in program.names:
        check_text(name, NAME_BYTES_MAX, "a name expression")
        size += NAME_BYTES_MAX
    for name, text in program.headers:
        check_text(name, NAME_BYTES_MAX, "a header's name")
        check_text(text, SOURCE_BYTES_MAX, f"header {name}")
        size += NAME_BYTES_MAX + len(text.encode())
    if size > most:
        raise InvalidArgument(f"a program of {size} bytes: at most {most} are allowed")
    return size
