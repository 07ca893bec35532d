"""What `gon predict` makes of traces: quantities, the report and its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from gon.errors import InvalidArgument
from gon_client.commands.predict_table import LINES_SHOWN, shown
from gon_client.predict.forecast import (
    ATTACH_ROUND_TRIPS,
    CONNECT_ROUND_TRIPS,
    Asked,
    Report,
    forecast,
)
from gon_client.predict.plot import save_plot
from gon_client.predict.quantities import (
    bandwidth_mbit_of,
    bandwidth_text,
    rtt_s_of,
    rtt_text,
)
from gon_client.predict.trace import Content, Sent, Taken, Trace, Way, Why

ROUND_TRIPS = CONNECT_ROUND_TRIPS + ATTACH_ROUND_TRIPS


def one_wait(origin: str = "train.py:7", rtt_s: float = 0.0) -> Trace:
    events = [Sent(1.0, 1.0, 1, 64, 0), Taken(1.0, 1.5, 1.5, 1, 64, 0, Why.WAIT, 0)]
    return Trace(Way(rtt_s), 0.0, 2.0, events=list(events), origins=[origin])


def text_of(report: Report, here: Path = Path("nowhere")) -> str:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(shown(report, here))
    return capture.get()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("50us", 50e-6), ("0.1ms", 1e-4), ("30ms", 0.03), ("1s", 1.0), (" 10ms ", 0.01), ("0ms", 0)],
)
def test_round_trips_are_read(text: str, seconds: float) -> None:
    assert rtt_s_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "ms", "-1ms", "1 ms", "1e3ms", "1m", "61s", "٣ms"])
def test_what_is_no_round_trip_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        rtt_s_of(text)


@pytest.mark.parametrize(
    ("text", "mbit"),
    [("500kbit", 0.5), ("100Mbit", 100), ("1Gbit", 1000), ("2.5Gbit/s", 2500)],
)
def test_bandwidths_are_read(text: str, mbit: float) -> None:
    assert bandwidth_mbit_of(text) == pytest.approx(mbit)


@pytest.mark.parametrize("text", ["", "100", "100mbit", "100MB", "0Mbit", "-1Mbit", "1001Gbit"])
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        bandwidth_mbit_of(text)


def test_quantities_are_written_as_they_are_read() -> None:
    assert [rtt_text(value) for value in (48e-6, 1e-4, 0.03, 1.0)] == [
        *("48 µs", "0.1 ms", "30 ms", "1 s")
    ]
    assert [bandwidth_text(value) for value in (0.5, 100, 2500)] == [
        *("500 kbit/s", "100 Mbit/s", "2.5 Gbit/s")
    ]


def test_a_command_keeps_what_it_did_beside_its_device() -> None:
    report = forecast(["train"], 12.0, [one_wait()], Asked([0.0, 1.0], [None]))
    near, far = report.cells
    assert report.measured_s == pytest.approx(12.0)
    assert near.total_s == pytest.approx(12.0)
    assert far.total_s == pytest.approx(12.0 + 1 + ROUND_TRIPS)
    assert far.waiting_s == pytest.approx(1.5)


def test_what_measuring_took_is_not_the_commands() -> None:
    trace = one_wait()
    trace.probe_s = 1.0
    report = forecast(["train"], 12.0, [trace], Asked([0.0], [None]))
    assert report.measured_s == pytest.approx(11.0)
    assert report.cells[0].total_s == pytest.approx(11.0)


def test_a_round_trip_below_the_measured_one_is_predicted() -> None:
    report = forecast(["train"], 12.0, [one_wait(rtt_s=0.1)], Asked([0.0], [None]))
    assert report.cells[0].total_s == pytest.approx(12.0 - 0.1 - 0.1 * ROUND_TRIPS)


def test_a_command_without_a_device_is_told_so() -> None:
    with pytest.raises(InvalidArgument, match="no device"):
        forecast(["true"], 1.0, [], Asked([0.1], [None]))


def test_lines_that_wait_are_told_the_costliest_first() -> None:
    slow, quick = one_wait("slow.py:1"), one_wait("quick.py:2")
    second = [Sent(1.6, 1.6, 2, 64, 0), Taken(1.6, 1.7, 1.7, 2, 64, 0, Why.WAIT, 0)]
    slow.events += second
    report = forecast(["train"], 12.0, [quick, slow], Asked([1.0], [None]))
    assert [(line.origin, line.waits) for line in report.lines] == [
        ("slow.py:1", 2),
        ("quick.py:2", 1),
    ]
    assert "2 devices" in report.notes[0]


def test_only_so_many_lines_are_shown() -> None:
    traces = [one_wait(f"file{number}.py:1") for number in range(LINES_SHOWN + 3)]
    told = text_of(forecast(["train"], 99.0, traces, Asked([1.0], [None])))
    assert "3 more lines" in told


def test_a_trace_that_was_full_is_told() -> None:
    trace = one_wait()
    trace.cut_s, trace.ended_s = 2.0, 5.0
    report = forecast(["train"], 12.0, [trace], Asked([1.0], [None]))
    (note,) = report.notes
    assert "full after 2 s" in note
    assert "3 s after that" in note
    # What is not in the trace stays as it was.
    assert report.cells[0].total_s == pytest.approx(12.0 + 1 + ROUND_TRIPS)
    assert f"note: {note}" in text_of(report)


def test_answers_that_came_early_and_lost_links_are_told() -> None:
    trace = one_wait()
    trace.early, trace.links = 3, 1
    early, lost = forecast(["train"], 12.0, [trace], Asked([0.1], [None])).notes
    assert "3 answers" in early
    assert "1 lost links" in lost


@pytest.mark.parametrize(
    ("contents", "mbit", "told"),
    [
        ([Content(0, 0.5, 1e9)], 100.0, True),
        ([], 100.0, False),
        ([Content(0, 0.5, 1e9)], 10_000.0, False),
        ([Content(0, 0.5, 1e9)], None, False),
    ],
)
def test_what_may_travel_compressed_is_told(
    contents: list[Content], mbit: float | None, told: bool
) -> None:
    trace = one_wait()
    trace.contents = contents
    notes = forecast(["train"], 12.0, [trace], Asked([0.1], [mbit])).notes
    assert any("1 samples" in note for note in notes) is told


def test_the_tables_say_what_was_measured_and_what_it_would_be(tmp_path: Path) -> None:
    trace = one_wait(f"{tmp_path}/train.py:7")
    told = text_of(forecast(["train"], 12.0, [trace], Asked([0.001, 1.0], [None, 100])), tmp_path)
    assert "12 s measured, 500 ms of it in 1 waits" in told
    assert "as measured" in told
    assert "100 Mbit/s" in told
    assert " train.py:7 " in told


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    report = forecast(["train"], 12.0, [one_wait()], Asked([0.0, 1.0], [None, 100]))
    save_plot(report, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
