"""Documents in the shapes that Zapier documents."""

import pytest

from simulator.answers import MALFORMED, Page, Problem, RefusedError, error_answer, list_document, page_url
from simulator.answers import waiting_headers as headers_of
from simulator.switches import Answers, Limits

NOW = 1_790_000_000_250


def test_a_malformed_request_gets_the_documented_error() -> None:
    """Member for member as in the reference's example."""
    answer = error_answer(RefusedError(400, MALFORMED), Answers())
    expected = {
        "status": 400,
        "code": "parse_error",
        "title": "ParseError",
        "detail": "Malformed request.",
        "source": None,
        "meta": {"source": "ZAPIER", "full_details": {"message": "Malformed request.", "code": "parse_error"}},
    }

    assert (400, {"errors": [expected]}) == (answer.status, answer.document)


def test_every_problem_is_an_error_of_its_own() -> None:
    """With the place it is at."""
    refused = RefusedError(400, Problem.at("/data/title", "One."), Problem.of("app", "Two."))
    errors = error_answer(refused, Answers()).document["errors"]

    assert [error["source"] for error in errors] == [{"pointer": "/data/title"}, {"parameter": "app"}]
    assert str(refused) == "400: One.; Two."


@pytest.mark.parametrize(
    ("shape", "status"), [(Answers(), 403), (Answers(error_status="string"), "403")], ids=["integer", "string"]
)
def test_the_status_in_an_error_is_an_integer_or_a_string(shape: Answers, status: object) -> None:
    """Schema and prose differ."""
    assert status == error_answer(RefusedError(403), shape).document["errors"][0]["status"]


def test_errors_may_be_strings() -> None:
    """As in the first version of the API."""
    answer = error_answer(RefusedError(500), Answers(errors="strings"))

    assert answer.document == {"errors": ["A server error occurred."]}


@pytest.mark.parametrize(("status", "code"), [(502, "error"), (418, "invalid")])
def test_a_status_without_a_name_has_that_of_its_class(status: int, code: str) -> None:
    """Faults may ask for any."""
    assert code == error_answer(RefusedError(status), Answers()).document["errors"][0]["code"]


@pytest.mark.parametrize(
    ("style", "retry_after"),
    [
        ("seconds", "60"),
        ("date", "Mon, 21 Sep 2026 14:14:21 GMT"),
        ("garbage", "in a while"),
        ("absent", None),
    ],
)
def test_retry_after_comes_in_every_form(style: str, retry_after: str | None) -> None:
    """Rounded up: who comes back then is not refused."""
    limits = Limits(retry_after=style)  # type: ignore[arg-type]
    headers = headers_of(limits, limit=60, now=NOW, until=NOW + 60_000)

    assert retry_after == headers.get("Retry-After")
    assert (
        headers["X-RateLimit-Limit"],
        headers["X-RateLimit-Remaining"],
        headers["X-RateLimit-Reset"],
    ) == ("3600", "0", "1790000061")


def test_a_wait_that_is_nearly_over_is_still_a_second() -> None:
    """Zero seconds would mean now."""
    assert headers_of(Limits(), limit=60, now=NOW, until=NOW)["Retry-After"] == "1"


def test_another_page_keeps_every_other_parameter() -> None:
    """Also one that is there twice."""
    query = [("app", "x y"), ("offset", "10"), ("a", "1"), ("a", "2"), ("limit", "5")]

    assert (
        page_url("http://sim/v2/zaps", query, limit=5, offset=15)
        == "http://sim/v2/zaps?app=x+y&a=1&a=2&limit=5&offset=15"
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            Answers(),
            {
                "links": {"next": "n", "prev": None},
                "meta": {"count": 3, "limit": 2, "offset": 0},
                "data": [],
            },
        ),
        (Answers(prev="previous", meta=False), {"links": {"next": "n", "previous": None}, "data": []}),
        (Answers(links=False), {"meta": {"count": 3, "limit": 2, "offset": 0}, "data": []}),
    ],
)
def test_a_list_has_the_envelope_that_the_switches_ask_for(shape: Answers, expected: object) -> None:
    """The documented one by default."""
    page = Page(count=3, limit=2, offset=0, next="n")

    assert expected == list_document([], page, shape)
