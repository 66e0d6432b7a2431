"""How long a server asks to be left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.retry_after import wait_asked
from tests.support.stories import NOON


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("0", 0),
        ("120", 120_000),
        (" 120 ", 120_000),
        ("9" * 30, 999_999_999_000),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30_000),
        ("Fri, 15 Jan 2027 07:00:00 GMT", -3_600_000),
        ("Fri, 15 Jan 99999999999999999999 07:00:00 GMT", None),
        ("Fri, 15 Jan 2027 07:00:00 +99999999999999999999", None),
        ("soon", None),
        ("-5", None),
        ("1.5", 2_000),
        ("300.0", 300_000),
        ("1.0050", 2_000),
        ("1.", 1_000),
        ("1e3", None),
        ("120, 120", 120_000),
        ("5,600", 600_000),
        ("5, soon", None),
        (",", None),
        ("Fri, 15 Jan 2027 08:00:30 GMT, Fri, 15 Jan 2027 08:00:30 GMT", 30_000),
        ("\u0661", None),
        ("", None),
    ],
)
def test_a_wait_is_read_as_seconds_or_a_date(value: str | None, wait: int | None) -> None:
    """Whatever else it is asks for nothing; a date may be over."""
    assert wait_asked(value, now=NOON) == wait


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ (GMT|[+-]\d+)"))
def test_nothing_that_a_server_says_is_too_much_to_read(value: str) -> None:
    """It is a wait, or none."""
    assert isinstance(wait_asked(value, now=NOON), int | None)


@pytest.mark.parametrize("value", ["0." + "0" * 8_000 + "x", "0" * 8_000 + "x", "0" + " " * 8_000 + "x", "0," * 4_000])
def test_what_is_long_is_read_in_no_time(value: str) -> None:
    """Whoever gets our messages writes it, and a worker that reads it does nothing else meanwhile."""
    began = time.process_time()
    for _ in range(10):
        wait_asked(value, now=NOON)

    assert time.process_time() - began < 0.5
