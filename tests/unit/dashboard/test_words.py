"""Times, numbers and strangers' texts are said so that a tired person reads them right."""

import pytest

from dashboard import words

NOON = 1_764_072_000_000


@pytest.mark.parametrize(
    ("millis", "said"),
    [
        (-5, "0 s"),
        (999, "0 s"),
        (59_000, "59 s"),
        (60_000, "1 min"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"),
        (3 * 86_400_000 + 4 * 3_600_000, "3 d 4 h"),
    ],
)
def test_a_span_has_two_units_at_most(millis: int, said: str) -> None:
    """The smaller one is left out where it is none."""
    assert words.span(millis) == said


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("90 s", 90),
        ("5m", 300),
        ("5 min", 300),
        (" 5 Minutes ", 300),
        ("2 h", 7_200),
        ("2h30m", 9_000),
        ("2 hours 5 min", 7_500),
        ("1d", 86_400),
        ("0s", 0),
    ],
)
def test_a_length_of_time_is_read_as_people_write_it(text: str, seconds: int) -> None:
    """With a space or without, short or spelt out."""
    assert words.length(text) == seconds * words.SECOND


@pytest.mark.parametrize("text", ["", "soon", "min", "5 moons", "5 min ago", "-5 min", "1.5 h", "1e3", "9" * 40 + "x"])
def test_what_is_no_length_of_time_is_not_guessed(text: str) -> None:
    """It is none."""
    assert words.length(text) is None


@pytest.mark.parametrize("millis", [0, 59_000, 200_000, 7_500_000, 3 * 86_400_000 + 4 * 3_600_000])
def test_a_span_is_read_back(millis: int) -> None:
    """What a page says can be typed into another."""
    assert words.length(words.span(millis)) == millis


def test_what_is_past_is_overdue() -> None:
    """And what is not planned is said by a dash."""
    at = "2025-11-25T12:00:00.000Z"

    assert words.until(at, NOON - 12_000) == "in 12 s"
    assert words.until(at, NOON + 65_000) == "1 min 5 s overdue"
    assert words.until(None, NOON) == "–"
    assert words.since(at, NOON + 3_000) == "3 s"


@pytest.mark.parametrize(
    ("share", "said"), [(None, "–"), (0.0, "0 %"), (0.004, "0.4 %"), (0.081, "8.1 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_small_shares_keep_a_digit(share: float | None, said: str) -> None:
    """An app that lost 0.4 % is not one that lost none."""
    assert words.percent(share) == said


@pytest.mark.parametrize("unseen", ["\x00", "\x1b", "\u202e", "\u2066", "\u200b", "\ud800", "\ue000", "\n", "\u2028"])
def test_what_has_no_shape_is_shown_as_such(unseen: str) -> None:
    """It neither reverses what stands beside it, nor moves a terminal's cursor, nor hides."""
    shown = words.plain(f"a{unseen}b")

    assert shown[0] == "a"
    assert shown[1] == "\ufffd"
    assert shown.endswith("b")


def test_a_text_of_100_kb_costs_its_beginning() -> None:
    """A page shows as much as a person reads."""
    shown = words.plain("é" * 100_000, longest=40)

    assert shown == "é" * 40 + "…"


def test_one_thing_is_one_thing() -> None:
    """Numbers of things are said as people say them."""
    assert words.count_of(1, "session") == "1 session"
    assert words.count_of(1_234, "session") == "1,234 sessions"
    assert words.count_of(2, "popup is", "popups are") == "2 popups are"


def test_hours_that_began_yesterday_are_said_to() -> None:
    """At 18:53, “19:00 – now” would read like the future."""
    now = words.moment("2026-11-25T18:53:00Z") or 0

    assert words.until_now("2026-11-24T19:00:00Z", now) == "yesterday 19:00 – now, UTC"
    assert words.until_now("2026-11-25T00:00:00Z", now) == "00:00 – now, UTC"
