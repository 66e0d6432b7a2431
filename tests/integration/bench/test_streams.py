"""The benchmark of streams, small: each is told of its session's one change."""

from __future__ import annotations

import asyncio
import json

import pytest

from bench.streams.__main__ import TABS, Figures, compared, run
from bench.streams.readers import Reader


@pytest.mark.slow
def test_every_stream_is_told_of_its_change() -> None:
    """Real processes and a real store; the last line is what was measured."""
    alone, shared = asyncio.run(run(streams=14, idle_s=0))
    numbers = json.loads(json.dumps(alone.numbers() | shared.numbers("tabs_")))

    assert (alone.sessions, alone.streams, len(alone.delays_s)) == (14, 14, 14)
    assert (shared.sessions, shared.streams, len(shared.delays_s)) == (2, 2 * TABS, 2 * TABS)
    assert all(0 <= delay < one.took_s for one in (alone, shared) for delay in one.delays_s)
    assert (numbers["streams"], numbers["tabs_streams"]) == (14, 14)
    assert compared(alone, shared).row_count == 2


def test_percentiles_are_of_all_delays() -> None:
    """From 1 to 100 ms."""
    figures = Figures(
        sessions=100,
        streams=100,
        delays_s=tuple(number / 1000 for number in range(1, 101)),
        took_s=1,
        kib_per_stream=40,
        us_per_change=250,
        us_per_opening=1000,
        idle_cpu=0.01,
    )

    assert [figures.percentile_ms(percent) for percent in (50, 99)] == pytest.approx([50.5, 99.01])
    assert figures.numbers()["max_ms"] == 100


async def test_what_is_cut_in_two_is_counted_once() -> None:
    """Wherever the pieces begin and end."""
    text = b"event: session\ndata: {}\n\nevent: event\nid: 1\ndata: {}\n\nevent: session\ndata: {}\n\n"
    for place in range(len(text)):
        reader = Reader()
        reader.data_received(text[:place])
        reader.data_received(text[place:])

        assert (reader.shown, len(reader.told_s)) == (2, 1)
