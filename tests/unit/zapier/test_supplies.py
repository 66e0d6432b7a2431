"""Authentications made of fields: what is sent, what each answer is taken to mean, and what is passed on of it."""

import base64
from typing import Final
from urllib.parse import quote

import httpx
import pytest
import structlog

from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.mapping import FieldFlaw
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.upstream import AuthenticationMade, AuthenticationNotMade, AuthenticationUnknown
from orchestrator.core.session import Authentication
from orchestrator.zapier import wire
from orchestrator.zapier.refusals import NOT_REPEATED, NOT_TAKEN, without
from tests.support.zapier import (
    APP,
    NOON,
    OTHER_APP,
    Scripted,
    Stage,
    answer,
    connection,
    page,
    permit,
    raw,
    refusal,
    sent_json,
    torn,
)

SECRET: Final = 'Tr0ub4dor "&" 3'
FIELDS: Final = {"username": "ann", "password": SECRET}


async def make(stage: Stage, *script: Scripted) -> AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown:
    """Send the fields, and have Zapier answer so."""
    stage.zapier.answers(*script)
    credential = await stage.sign_in()
    return await stage.client.make_authentication(credential, APP, title="Ann's", fields=FIELDS, permit=permit("p1"))


async def test_the_fields_are_sent_as_documented_and_once(stage: Stage) -> None:
    """Title, app and fields, wrapped in `data`."""
    made = await make(stage, answer(page([connection("a9")]), status=201))

    assert made == AuthenticationMade(authentication=Authentication(id="a9", title="Chat (a9)"))
    (request,) = stage.zapier.requests
    assert (request.method, request.url.path) == ("POST", "/v2/authentications")
    assert sent_json(request) == {"data": {"title": "Ann's", "app": APP, "authentication_fields": FIELDS}}
    assert stage.budget.fate_of("p1") == ["answered"]


@pytest.mark.parametrize(
    "body",
    [
        page([connection("a9", app={"id": APP, "title": "Chat"})]),
        {"data": [connection("a9")]},
        {"data": connection("a9")},
        connection("a9"),
        [connection("a9")],
    ],
    ids=["expanded app", "without links", "wrapped", "bare", "array"],
)
async def test_an_answer_is_read_in_every_shape_that_may_come(stage: Stage, body: object) -> None:
    """Zapier's pages show a list, which is odd enough to change."""
    made = await make(stage, answer(body, status=201))

    assert isinstance(made, AuthenticationMade)
    assert made.authentication.id == "a9"


@pytest.mark.parametrize(
    "answered",
    [
        answer(page([connection("a9", app=OTHER_APP)]), status=201),
        answer(page([connection("a9", is_expired=True)]), status=201),
        answer(page([connection("a8"), connection("a9")]), status=201),
        answer(page([]), status=201),
        answer({"data": [{"id": 9}]}, status=201),
        raw(b"<html>", status=201),
        answer(page([connection("a9")]), status=200),
        torn(201),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("slow"),
        refusal(500),
        refusal(502),
        refusal(409),
        refusal(422),
    ],
    ids=[
        *("another app's", "expired", "two", "none", "no id", "no JSON", "200", "torn"),
        *("reset", "too late", "500", "502", "409", "422"),
    ],
)
async def test_whatever_names_no_usable_one_is_unknown_and_not_repeated(stage: Stage, answered: Scripted) -> None:
    """It may exist: listings will tell."""
    assert isinstance(await make(stage, answered), AuthenticationUnknown)

    assert len(stage.zapier.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
async def test_what_was_surely_not_made_is_known(stage: Stage, status: int) -> None:
    """With what Zapier says of it; a 401 marks the credential, a 429 says how long to wait."""
    made = await make(stage, refusal(status, code="invalid", detail="The service said no."))

    assert isinstance(made, AuthenticationNotMade)
    assert (made.status, made.problem) == (status, "invalid: The service said no.")
    assert (made.retry_after is not None) == (status == 429)
    standing = await stage.credentials.standing("acme", "ann")
    assert standing is not None
    assert (standing.state is CredentialState.NEEDS_SIGN_IN) == (status == 401)


async def test_what_never_reached_zapier_was_not_made(stage: Stage) -> None:
    """Nor was what came too late for its permit."""
    refused = await make(stage, httpx.ConnectError("no route"))
    late = await stage.client.make_authentication(
        await stage.sign_in(), APP, title="t", fields=FIELDS, permit=permit("p2", start_by=NOON - 1)
    )

    assert isinstance(refused, AuthenticationNotMade)
    assert isinstance(late, AuthenticationNotMade)
    assert (refused.status, late.status, len(stage.zapier.requests)) == (None, None, 1)


async def test_what_is_wrong_with_a_field_is_known_by_its_name(stage: Stage) -> None:
    """Of each field the first thing, unless it repeats what one holds; also of one that nobody thought of."""
    at = "/data/authentication_fields/"
    errors = [
        {"detail": "Unknown user.", "source": {"pointer": f"{at}username"}},
        {"detail": "Too short, too.", "source": {"pointer": f"{at}username"}},
        {"detail": f"{SECRET} is wrong.", "source": {"pointer": f"{at}password"}},
        {"detail": "This field is required.", "source": {"pointer": f"{at}shop"}},
        {"detail": "No.", "source": {"pointer": f"{at}{SECRET}"}},
        {"detail": 7, "source": {"pointer": f"{at}region"}},
        {"detail": "Malformed.", "source": {"pointer": "/data/title"}},
        *("No.", None, {"source": None}, {"source": "x"}, {"source": {"pointer": 7}}),
    ]
    made = await make(stage, answer({"errors": errors}, status=400))

    assert isinstance(made, AuthenticationNotMade)
    assert {one.field: one.detail for one in made.flaws} == {
        "username": "Unknown user.",
        "password": NOT_TAKEN,
        "shop": "This field is required.",
        "region": NOT_TAKEN,
    }
    assert made.flaws[0] == FieldFlaw(field="username", code="refused", detail="Unknown user.")


@pytest.mark.parametrize(
    "repeated",
    [
        SECRET,
        SECRET.upper(),
        quote(SECRET),
        SECRET.replace('"', '\\"'),
        base64.b64encode(SECRET.encode()).decode(),
        "the user ann is unknown",
    ],
    ids=["plain", "other case", "in an address", "in JSON", "base64", "a short one"],
)
async def test_what_a_field_holds_is_not_passed_on(stage: Stage, repeated: str) -> None:
    """Some services say in their refusal what they were given; nor does the log have it."""
    with structlog.testing.capture_logs() as logged:
        made = await make(stage, refusal(400, detail=f"Refused: {repeated}"))

    assert made == AuthenticationNotMade(status=400, problem=NOT_REPEATED)
    assert SECRET not in repr(logged)
    assert logged


def test_short_values_are_looked_for_as_words() -> None:
    """An `a` is in every sentence, and a region is not its letters; an empty value is nowhere."""
    said = "The account is suspended."

    assert without(said, ["a", "us", ""]) == said
    assert without("The user a is suspended.", ["a"]) == NOT_REPEATED


def test_fields_that_json_cannot_hold_are_never_sent() -> None:
    """A lone surrogate, such as a broken client sends."""
    with pytest.raises(ValueError, match="JSON"):
        wire.authentication_request(APP, title="t", fields={"password": "\ud800"})
    with pytest.raises(UpstreamUnavailableError):
        wire.made_authentication(b"[[[")
