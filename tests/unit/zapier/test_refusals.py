"""What is told of an error answer, and how long Zapier asks us to wait."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.zapier.refusals import NO_REASON, problem_of, retry_after
from tests.support.zapier import NOON

SECRET = "tok3n-0f-ann"


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, 60_000),
        ("", 60_000),
        ("30", 30_000),
        (" 30 ", 30_000),
        ("0", 1_000),
        ("600", 600_000),
        ("601", 600_000),
        ("9" * 5_000, 600_000),
        ("-5", 60_000),
        ("1.5", 2_000),
        ("³", 60_000),
        ("soon", 60_000),
        ("120, 60", 120_000),
        ("Mon, 21 Sep 2026 14:13:50 GMT", 30_000),
        ("Mon, 21 Sep 2026 14:13:50 -0000", 30_000),
        ("Mon, 21 Sep 2026 16:13:50 +0200", 30_000),
        ("Monday, 21-Sep-26 14:13:50 GMT", 30_000),
        ("Mon, 21 Sep 2026 13:00:00 GMT", 60_000),
        ("Mon, 21 Sep 2099 14:13:50 GMT", 600_000),
        ("Mon, 99 Sep 2026 14:13:50 GMT", 60_000),
        ("Mon, 21 Sep 99999 14:13:50 GMT", 60_000),
    ],
)
def test_retry_after_is_read_in_each_form(header: str | None, wait: int) -> None:
    """Seconds, a date, nothing or nonsense: between a second and ten minutes, and a minute where nothing is said.

    A date that is over was written by a clock behind ours; taken at its word it would have us ask during the cooldown.
    """
    assert wait == retry_after(header, now=NOON)


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ (GMT|[+-]\d+)"))
def test_no_retry_after_is_too_much(header: str) -> None:
    """Whatever the header says, there is a wait, and it is bounded."""
    assert 1_000 <= retry_after(header, now=NOON) <= 600_000


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            {"errors": [{"code": "parse_error", "title": "ParseError", "detail": "Malformed request."}]},
            "parse_error: Malformed request.",
        ),
        ({"errors": [{"title": "User Not Authenticated", "status": "401"}]}, "User Not Authenticated"),
        ({"errors": [{"detail": "Only this."}, {"detail": "Not that."}]}, "Only this."),
        ({"errors": ["You must give a client_id."]}, "You must give a client_id."),
        ({"errors": [{"code": 7, "detail": ["x"]}]}, NO_REASON),
        ({"errors": []}, NO_REASON),
        ({"errors": {"code": "x"}}, NO_REASON),
        ({"errors": [[["x"]]]}, NO_REASON),
        ({"error": "invalid_grant"}, NO_REASON),
        ([1], NO_REASON),
        (None, NO_REASON),
    ],
)
def test_an_error_is_told_in_its_own_words(body: object, problem: str) -> None:
    """The documented envelope and the older one are read; anything else has no words."""
    assert problem_of(json.dumps(body).encode(), token=SECRET) == problem


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"[" * 100_000, b'{"errors": ['])
def test_what_is_no_envelope_is_not_quoted(body: bytes) -> None:
    """A gateway's page is not an explanation."""
    assert problem_of(body, token=SECRET) == NO_REASON


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        (f"Token {SECRET} is not valid", "Token … is not valid"),
        ("Header was Bearer abc.def/ghi", "Header was …"),
        (f"Got eyJhbGciOiJIUzI1NiJ9.{'x' * 60} here", "Got … here"),
        ("Two\nlines\tand\x00 more", "Two lines and more"),
        ("é" * 300, "é" * 199 + "…"),
    ],
)
def test_a_problem_is_safe_to_show(detail: str, told: str) -> None:
    """No token, nothing that looks like one, one line of bounded length."""
    body = json.dumps({"errors": [{"detail": detail}]}).encode()

    assert problem_of(body, token=SECRET) == told


def test_a_token_cut_by_the_length_limit_does_not_show_its_beginning() -> None:
    """Secrets go first, then the text is cut."""
    body = json.dumps({"errors": [f"{'long ' * 39}{SECRET}"]}).encode()

    assert SECRET[:4] not in problem_of(body, token=SECRET)
