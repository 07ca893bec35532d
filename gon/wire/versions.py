"""Versions of the data plane: the range we speak, and what each step brought.

Rule: both sides name a range, the worker picks the highest common one; what an older peer does
without a field is written in that field's comment in `gon.wire.ops`.
"""

from __future__ import annotations

from typing import NamedTuple

from gon.errors import RemoteProtocolError


class Step(NamedTuple):
    """One version: its number, when it came, and what it brought."""

    version: int
    date: str
    brought: str


STEPS = (
    Step(1, "2026-11-22", "buffers, streams, events, modules, launches; resumable sessions"),
    Step(2, "2026-11-27", "contents known by their digest: Recall, Keep, the welcome's key"),
    Step(3, "2026-11-27", "graphs: DefineGraph, RunGraph, CloseGraph"),
    Step(4, "2026-11-28", "folded batches: ops that repeat earlier ones"),
    Step(5, "2026-11-28", "large transfers in pieces that other work goes between: WritePart"),
    Step(6, "2026-11-28", "compressed pieces: the hello's compressions, the welcome's compression"),
    Step(7, "2026-11-28", "side links: large transfers over several connections: SIDES"),
    Step(8, "2026-11-28", "personalities: Reconfigure, shapes in signatures"),
    Step(9, "2026-11-28", "large programs: LoadUploaded, the welcome's program_bytes"),
    Step(10, "2026-11-28", "device memory mapped by clients of the same host: Reach"),
    Step(11, "2026-11-28", "side links that break cost only themselves: the broken ones of SIDES"),
    Step(12, "2026-11-28", "OpenCL's launches and properties: LaunchRange, the device's answers"),
    Step(13, "2026-11-28", "answers to waits that tell whether anything else is poisoned"),
    Step(
        14, "2026-11-28", "OpenCL's images and samplers: CreateImage and what copies and fills them"
    ),
    Step(15, "2026-11-28", "acknowledgements that say that nothing is left to wait for: QUIET"),
    Step(16, "2026-11-28", "times of single commands: NoteCommand, AskTimes"),
    Step(17, "2026-11-28", "folded batches of which contents are not remembered"),
    Step(18, "2026-11-28", "images of another's pixels: ViewImage; when times are told: TellTimes"),
    Step(19, "2026-11-28", "long waits that hold up no other thread: NoteWaiters"),
    Step(20, "2026-11-28", "questions after work that wait for none: AskDone"),
)
# From this version on a worker unfolds what is folded.
FOLDING = 4
# From this version on neither end remembers ops that carry contents, in folded batches.
FORGETTING = 17
# From this version on a worker takes side links.
SIDE_LINKS = 7
# From this version on a client may map its device's memory.
MAPPING = 10
# From this version on an answer to a wait for one stream tells of all others too.
TELLING_ALL = 13
# From this version on a worker takes the ops of images.
IMAGES = 14
# From this version on a client may be told with an acknowledgement that a stream is quiet.
QUIET_WORDS = 15
# From this version on a worker tells times of single commands.
TIMES = 16
# From this version on a worker makes images of another's pixels, and says when it tells times.
VIEWS = TELLING_TIMES = 18
# From this version on a worker holds long waits, if it hears of several threads.
HOLDING = 19
# From this version on a worker says at once whether an event has happened.
LOOKING = 20
# From this version on both ends go on with the side links that are left, if one breaks.
MENDING = 11

VERSION_MIN = STEPS[0].version
VERSION_MAX = STEPS[-1].version


def agree(peer_min: int, peer_max: int) -> int:
    """Return the highest version both sides speak. Raises RemoteProtocolError if there is none."""
    version = min(VERSION_MAX, peer_max)
    if version < max(VERSION_MIN, peer_min):
        raise RemoteProtocolError(
            f"no common version: the peer speaks {peer_min} to {peer_max}, "
            f"this side {VERSION_MIN} to {VERSION_MAX}"
        )
    return version
