"""Checks of graphs: what a run of one does, what it changes, and what becomes of it when an op
fails.
"""

from __future__ import annotations

import numpy as np

from gon.errors import BadHandle, GonError, InvalidArgument, KernelArgumentError
from gon.model import BufferAt, GraphCopy, GraphFill, GraphLaunch, GraphOp, GraphSlot, Handle
from gon.testing.device_trial import Trial, bytes_of, expect

COUNT = 1 << 10
BLOCK = (64, 1, 1)
GRID = (COUNT // 64, 1, 1)
SIZE = 4 * COUNT


def _advance(kernel: Handle, data: int | BufferAt, factor: int, term: int) -> GraphLaunch:
    args = (data, bytes_of(factor, np.uint32), bytes_of(term, np.uint32))
    return GraphLaunch(kernel, GRID, BLOCK, 0, args)


def _all(value: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.full(COUNT, value, np.uint32)


def _graph(trial: Trial, captured: list[GraphOp], *slots: GraphSlot) -> Handle:
    graph = trial.handle()
    trial.device.define_graph(graph, captured, slots)
    return graph


# Life ---------------------------------------------------------------------------------------------
def a_graph_of_no_ops_is_refused(trial: Trial) -> None:
    graph, define = trial.handle(), trial.device.define_graph
    trial.refused(InvalidArgument, "a graph of no ops", define, graph, (), ())


def slots_are_arguments_of_launches(trial: Trial) -> None:
    buffer = trial.buffer(64)
    fill = GraphFill(buffer, 0, 64, b"x")
    launch = GraphLaunch(1, (1, 1, 1), (1, 1, 1), 0, (buffer,))
    for captured, place in (
        ([fill], (0, 0)),
        ([launch], (1, 0)),
        ([launch], (-1, 0)),
        ([launch], (0, 1)),
        ([launch], (0, -1)),
    ):
        graph, define = trial.handle(), trial.device.define_graph
        trial.refused(InvalidArgument, f"a slot at {place}", define, graph, captured, ((place,),))


def unknown_graphs_are_refused(trial: Trial) -> None:
    stream, run, close = trial.stream(), trial.device.run_graph, trial.device.close_graph
    trial.refused(BadHandle, "running no graph", run, Handle(77), stream, ())
    trial.refused(BadHandle, "closing no graph", close, Handle(77))
    graph = _graph(trial, [GraphFill(trial.buffer(64), 0, 64, b"x")])
    twice = trial.device.define_graph
    trial.refused(
        BadHandle, "a handle in use", twice, graph, [GraphFill(trial.buffer(4), 0, 4, b"x")], ()
    )
    graph = _graph(trial, [GraphFill(trial.buffer(64), 0, 64, b"x")])
    trial.device.close_graph(graph)
    stream = trial.stream()
    trial.refused(BadHandle, "running a closed graph", run, graph, stream, ())


def unknown_slots_are_refused(trial: Trial) -> None:
    graph = _graph(trial, [GraphFill(trial.buffer(64), 0, 64, b"x")])
    stream, run = trial.stream(), trial.device.run_graph
    trial.refused(InvalidArgument, "a slot not there", run, graph, stream, ((0, b"xxxx"),))
    stream = trial.stream()
    trial.refused(BadHandle, "a stream not there", run, graph, Handle(77), ())


# What a run does ----------------------------------------------------------------------------------
def a_graph_copies_and_fills(trial: Trial) -> None:
    source, target = trial.holding(np.arange(64, dtype=np.uint8)), trial.buffer(64)
    graph = _graph(
        trial,
        [
            GraphCopy(source, 8, target, 16, 32),
            GraphFill(target, 20, 8, b"ab"),
            GraphFill(source, 0, 64, b"\7"),
        ],
    )
    stream = trial.stream()
    trial.device.sync_all().wait()
    trial.device.run_graph(graph, stream, ())
    wanted = np.zeros(64, np.uint8)
    wanted[16:48] = np.arange(8, 40)
    wanted[20:28] = np.frombuffer(b"abababab", np.uint8)
    trial.expect_content(target, wanted, "copied and filled by a graph", stream)
    trial.device.run_graph(graph, stream, ())
    wanted[16:48] = 7
    wanted[20:28] = np.frombuffer(b"abababab", np.uint8)
    trial.expect_content(target, wanted, "once more", stream)


def a_run_of_a_graph_is_as_its_ops_called_in_order(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, data, twin = trial.stream(), trial.buffer(SIZE), trial.buffer(SIZE)
    graph = _graph(
        trial,
        [
            _advance(advance, data, 3, 1),
            GraphCopy(data, 0, twin, 0, SIZE),
            _advance(advance, data, 5, 2),
            _advance(advance, twin, 2, 0),
            GraphFill(data, 0, 4, bytes_of(9, np.uint32)),
        ],
    )
    value, seen = 0, 0
    for _round in range(6):
        trial.device.run_graph(graph, stream, ())
        seen = (value * 3 + 1) * 2 % (1 << 32)
        value = ((value * 3 + 1) * 5 + 2) % (1 << 32)
    got = trial.read(twin, np.uint32, COUNT, stream=stream)
    expect(bool((got[1:] == seen).all()), f"copied in the middle: {got[1]}, not {seen}")
    got = trial.read(data, np.uint32, COUNT, stream=stream)
    expect(bool((got[1:] == value).all()), f"advanced twice a run: {got[1]}, not {value}")
    expect(int(got[0]) == 9, f"filled at last: {got[0]}")


def a_run_changes_arguments_for_itself_only(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream = trial.stream()
    data, other, view = trial.buffer(SIZE), trial.buffer(SIZE), trial.buffer(2 * SIZE)
    graph = _graph(
        trial,
        [_advance(advance, data, 1, 1), _advance(advance, data, 1, 10)],
        ((0, 0), (1, 0)),
        ((1, 2),),
    )
    run = trial.device.run_graph
    run(graph, stream, ())
    run(graph, stream, ((1, bytes_of(100, np.uint32)),))
    run(graph, stream, ((0, other), (1, bytes_of(1000, np.uint32))))
    run(graph, stream, ((0, BufferAt(view, SIZE)),))
    run(graph, stream, ())
    run(graph, stream, ((0, other),))
    trial.expect_content(data, _all(11 + 101 + 11), "what was captured", stream)
    trial.expect_content(other, _all(1001 + 11), "another buffer", stream)
    got = trial.read(view, np.uint32, 2 * COUNT, stream=stream)
    wanted = np.concatenate([_all(0), _all(11)])
    expect(got.tobytes() == wanted.tobytes(), "a view of a third")


def a_graph_runs_on_whatever_stream_it_is_given(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, first, second, event = trial.device, trial.stream(), trial.stream(), trial.event()
    data = trial.buffer(SIZE)
    graph = _graph(trial, [_advance(advance, data, 3, term) for term in range(20)])
    value = 0
    for _round in range(6):
        for stream, other in ((first, second), (second, first)):
            device.run_graph(graph, stream, ())
            device.record(stream, event)
            device.wait_event(other, event)
            for term in range(20):
                value = (value * 3 + term) % (1 << 32)
    trial.expect_content(data, _all(value), "by two streams in turns", first)


def what_a_closed_graph_has_queued_goes_on(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, data = trial.stream(), trial.buffer(SIZE)
    graph = _graph(trial, [_advance(advance, data, 1, term) for term in range(30)])
    trial.device.run_graph(graph, stream, ())
    trial.device.close_graph(graph)
    trial.expect_content(data, _all(sum(range(30))), "after the graph was closed", stream)


def launches_beside_a_graph_have_their_own_arguments(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, data, other = trial.stream(), trial.buffer(SIZE), trial.buffer(SIZE)
    captured = [_advance(advance, data, 1, 1), _advance(advance, data, 1, 100)]
    graph = _graph(trial, [*captured], ((0, 2),))
    by_itself = (other, bytes_of(1, np.uint32), bytes_of(5, np.uint32))
    for term in (2, 3, 2):
        trial.device.run_graph(graph, stream, ((0, bytes_of(term, np.uint32)),))
        trial.device.launch(stream, advance, GRID, BLOCK, 0, by_itself)
        trial.device.run_graph(graph, stream, ())
    trial.expect_content(data, _all(610), "the graph's", stream)
    trial.expect_content(other, _all(15), "those beside it", stream)


# Failures -----------------------------------------------------------------------------------------
def ops_behind_a_failed_one_of_a_graph_are_not_run(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    before, failed, behind = trial.buffer(SIZE), trial.buffer(SIZE), trial.buffer(SIZE)
    graph = _graph(
        trial,
        [
            _advance(advance, before, 1, 1),
            GraphLaunch(advance, GRID, BLOCK, 0, (failed, bytes(4), bytes(8))),
            _advance(advance, behind, 1, 1),
        ],
    )
    stream, run = trial.stream(), trial.device.run_graph
    message = trial.refused(KernelArgumentError, "a graph's bad launch", run, graph, stream, ())
    expect("advance" in message, f"{message!r} names the kernel")
    trial.expect_content(before, _all(1), "what was before it", stream)
    for buffer in (failed, behind):
        try:
            trial.expect_content(buffer, _all(0), "what was not run", stream)
        except GonError:
            continue  # poisoned


def a_graph_uses_buffers_as_they_are_when_it_runs(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, data, other = trial.stream(), trial.buffer(SIZE), trial.buffer(SIZE)
    captured = [_advance(advance, other, 1, 1), _advance(advance, data, 1, 1)]
    graph = _graph(trial, [*captured], ((1, 0),))
    trial.device.run_graph(graph, stream, ())
    trial.device.free(data)
    trial.device.run_graph(graph, stream, ((0, other),))
    trial.expect_content(other, _all(3), "another buffer in a freed one's place", stream)
    stream, run = trial.stream(), trial.device.run_graph
    trial.refused(BadHandle, "a graph with a freed buffer", run, graph, stream, ())
    stream = trial.stream()
    wrong = trial.buffer(SIZE)
    graph = _graph(trial, [_advance(advance, wrong, 1, 1)], ((0, 1),))
    changes = ((0, bytes(8)),)
    trial.refused(KernelArgumentError, "a change of wrong size", run, graph, stream, changes)


ALWAYS = (
    a_graph_of_no_ops_is_refused,
    slots_are_arguments_of_launches,
    unknown_graphs_are_refused,
    unknown_slots_are_refused,
)
WITH_CONTENT = (a_graph_copies_and_fills,)
WITH_KERNELS = (
    a_run_of_a_graph_is_as_its_ops_called_in_order,
    a_run_changes_arguments_for_itself_only,
    a_graph_runs_on_whatever_stream_it_is_given,
    what_a_closed_graph_has_queued_goes_on,
    launches_beside_a_graph_have_their_own_arguments,
    ops_behind_a_failed_one_of_a_graph_are_not_run,
    a_graph_uses_buffers_as_they_are_when_it_runs,
)
