"""How long the device's end was busy with each frame, from a trace. Pure.

The worker takes frames one after the other. Of most frames it is only known that a later one was
done at some time; the work between two such times is shared among the frames between them by their
coded bytes, as much as lets the last be done when it was:

    done = max over frames i of (arrival i + work of i and all behind it)

What was quicker than the way was measured to be, by chance, has less work than none: so the model,
run on the way that the trace was recorded on, gives back what was recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gon_client.predict.trace import Sent, Taken, Trace, Way

# A device's end that had nothing to do for this long has rested: its caches are others', its
# threads sleep.
REST_S = 0.001


@dataclass(frozen=True, slots=True)
class Work:
    """Seconds of the device's end: for each frame with effects from `first` on, how long it had
    nothing to do before each, and what passed before each frame that came back.
    """

    first: int
    frames: Sequence[float]
    rests: Sequence[float]
    answers: Sequence[float]


def work_of(trace: Trace) -> Work:
    """Return the work behind a trace."""
    way = trace.way
    first = next((e.seq for e in trace.events if isinstance(e, Sent) and e.seq), 1)
    arrivals: list[float] = []
    weights: list[int] = []
    frames: list[float] = []
    rests: list[float] = []
    answers: list[float] = []
    free = departed = up_free = trace.began_s
    for event in trace.events:
        if isinstance(event, Sent):
            up_free = max(up_free, event.at_s) + way.up_s(event.size_bytes)
            if event.seq:
                arrivals.append(up_free + way.rtt_s / 2)
                weights.append(event.head_bytes)
            continue
        left = whole_s(event, way) - way.down_s(event.size_bytes) - way.rtt_s / 2
        begin, end = len(frames), event.ack - first + 1
        extra = 0.0
        if begin < end <= len(arrivals):
            frames += shared(arrivals[begin:end], weights[begin:end], free, left)
            for arrival, busy in zip(arrivals[begin:end], frames[begin:end], strict=True):
                rests.append(max(0.0, arrival - free))
                free = max(free, arrival) + busy
            departed = max(departed, free)
        else:
            extra = left - departed
            departed = left
        answers.append(extra)
    for arrival in arrivals[len(frames) :]:
        frames.append(0.0)
        rests.append(max(0.0, arrival - free))
        free = max(free, arrival)
    return Work(first, frames, rests, answers)


def rested(rest_s: float) -> float:
    """Return how much of what a first op takes longer after `REST_S` it does after this rest."""
    return min(1.0, rest_s / REST_S)


def shared(
    arrivals: Sequence[float], weights: Sequence[int], free_s: float, done_s: float
) -> list[float]:
    """Share the work of frames that arrive at an end free from `free_s` on, so that the last is
    done at `done_s`: by weight.
    """
    behind = sum(weights)
    most = (done_s - max(free_s, arrivals[0])) / behind
    for arrival, weight in zip(arrivals, weights, strict=True):
        most = min(most, (done_s - arrival) / behind)
        behind -= weight
    return [most * weight for weight in weights]


def whole_s(event: Taken, way: Way) -> float:
    """Return when all of a frame was here; one that waited to be taken was read late."""
    if event.here_s >= event.asked_s:
        return event.until_s if event.payload_bytes else event.here_s
    return min(event.until_s, event.here_s + way.down_s(event.payload_bytes))
