"""What a read makes of each answer: its error, what the budget and the credential are told, what is logged."""

import json
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any

import httpx
import pytest
import structlog

from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.ports.calls import CallRecord
from orchestrator.core.ports.credentials import Credential, CredentialState, Profile
from orchestrator.core.ports.tokens import Tokens
from orchestrator.core.session import Listing
from orchestrator.store.memory.audit import MemoryCallLog
from tests.support.zapier import (
    APP,
    NOON,
    TOKEN,
    Stage,
    answer,
    connection,
    page,
    pages_of,
    permit,
    raw,
    refusal,
    torn,
)

ANN = Profile(id="ann")


async def listing(stage: Stage, *, is_check: bool = False, credential: Credential | None = None) -> Listing:
    """List Ann's authentications: as a check with one permit, or for a user who waits."""
    credential = credential or await stage.sign_in()
    return await stage.client.authentications(credential, APP, permits=[permit("given")] if is_check else ())


async def failure(stage: Stage, *, is_check: bool = False, credential: Credential | None = None) -> ZapwrightError:
    """Return the error that a listing ends in."""
    with pytest.raises(ZapwrightError) as raised:
        await listing(stage, is_check=is_check, credential=credential)
    return raised.value


# --- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 415, 422])
async def test_a_4xx_is_a_refusal(stage: Stage, status: int) -> None:
    """With Zapier's reason."""
    stage.zapier.answers(refusal(status, code="permission_denied", detail="No scope."))
    error = await failure(stage)

    assert isinstance(error, UpstreamRefusedError)
    assert error.facts == {"status": status, "problem": "permission_denied: No scope."}


@pytest.mark.parametrize(
    "response",
    [
        refusal(500),
        raw(b"", status=302, Location="https://elsewhere.test/"),
        raw(b"<html>", status=599),
        raw(b"", status=204),
        raw(b"not json"),
        answer([page([])]),
        raw(b"x" * (2 * 1024 * 1024 + 1)),
    ],
    ids=["500", "302", "599", "204", "no JSON", "another shape", "too big"],
)
async def test_what_is_no_usable_answer_is_said_to_be_none(stage: Stage, response: httpx.Response) -> None:
    """And it is not asked for again."""
    stage.zapier.answers(response)

    assert isinstance(await failure(stage), UpstreamUnavailableError)


async def test_a_401_marks_the_credential(stage: Stage) -> None:
    """Its generation is not used again; the permit was used."""
    stage.zapier.answers(refusal(401))
    error = await failure(stage)

    kept = await stage.credentials.get("acme", "ann")
    assert isinstance(error, SignInRequiredError)
    assert error.facts == {"user_id": "ann"}
    assert kept is not None
    assert kept.state is CredentialState.NEEDS_SIGN_IN
    assert stage.budget.fate_of("p1") == ["answered"]


def tokens_sent(stage: Stage) -> list[str]:
    """Return which tokens Zapier was shown."""
    return [request.headers["authorization"].removeprefix("Bearer ") for request in stage.zapier.requests]


async def test_a_401_to_an_old_token_is_met_with_the_new_one(stage: Stage) -> None:
    """It says nothing about the new one, which is of the same account; nothing is refreshed, nothing marked."""
    old = await stage.sign_in(token="old", profile=ANN)
    await stage.sign_in(token="new", profile=ANN)
    stage.zapier.answers(refusal(401), answer(page([connection("a1")])))
    found = await listing(stage, credential=old)

    kept = await stage.credentials.get("acme", "ann")
    assert kept is not None
    assert (len(found.authentications), kept.state) == (1, CredentialState.ACTIVE)
    assert tokens_sent(stage) == ["old", "new"]


async def test_nothing_is_read_with_the_token_of_another_account(stage: Stage) -> None:
    """It would be taken for the first one's: whoever asked begins anew."""
    old = await stage.sign_in(token="old", profile=ANN)
    await stage.sign_in(token="new", profile=Profile(id="bob"))
    stage.zapier.answers(refusal(401))

    with pytest.raises(UpstreamBusyError):
        await listing(stage, credential=old)

    kept = await stage.credentials.get("acme", "ann")
    assert kept is not None
    assert (kept.state, tokens_sent(stage)) == (CredentialState.ACTIVE, ["old"])


@pytest.mark.parametrize("is_check", [False, True])
async def test_a_401_to_a_token_that_is_ours_to_refresh_is_met_by_a_refresh(stage: Stage, is_check: bool) -> None:
    """And by one repetition with the token it brought, for checks too; each request has a permit of its own."""
    credential = await stage.sign_in(refresh_token="R1")
    stage.oauth.answers(Tokens(access_token="A2", refresh_token="R2", expires_in=36_000_000))
    stage.zapier.answers(refusal(401), answer(page([connection("a1")])))
    found = await listing(stage, is_check=is_check, credential=credential)

    kept = await stage.credentials.kept("acme", "ann")
    assert kept is not None
    assert (found.complete, stage.oauth.used, tokens_sent(stage)) == (True, ["R1"], [TOKEN, "A2"])
    assert (kept.credential.generation, kept.refresh_token, kept.credential.account) == (2, "R2", found.account)
    assert (kept.credential.expires_at, len(stage.budget.taken)) == (NOON + 36_000_000, 1 if is_check else 2)


async def test_a_token_that_is_about_to_end_is_refreshed_before_it_is_used(stage: Stage) -> None:
    """Zapier never sees the old one."""
    credential = await stage.sign_in(refresh_token="R1", expires_at=NOON + 60_000)
    stage.oauth.answers(Tokens(access_token="A2", refresh_token="R2", expires_in=36_000_000))
    stage.zapier.answers(*pages_of([connection("a1"), connection("a2")], size=1))
    await listing(stage, credential=credential)

    assert tokens_sent(stage) == ["A2", "A2"]


async def test_a_token_that_is_refused_right_after_its_refresh_needs_a_sign_in(stage: Stage) -> None:
    """It is not refreshed again and again."""
    credential = await stage.sign_in(refresh_token="R1")
    for number in (2, 3):
        stage.oauth.answers(Tokens(access_token=f"A{number}", refresh_token=f"R{number}", expires_in=None))
    stage.zapier.answers(refusal(401), refusal(401), refusal(401))
    error = await failure(stage, credential=credential)

    kept = await stage.credentials.get("acme", "ann")
    assert kept is not None
    assert isinstance(error, SignInRequiredError)
    assert (kept.state, kept.generation, stage.oauth.used) == (CredentialState.NEEDS_SIGN_IN, 3, ["R1", "R2"])


async def test_a_newer_token_that_is_dead_as_well_is_refreshed(stage: Stage) -> None:
    """What others put meanwhile is no better for being newer."""
    old = await stage.sign_in(token="old", profile=ANN)
    await stage.sign_in(token="new", profile=ANN, refresh_token="R1")
    stage.oauth.answers(Tokens(access_token="A2", refresh_token="R2", expires_in=None))
    stage.zapier.answers(refusal(401), refusal(401), answer(page([connection("a1")])))
    found = await listing(stage, credential=old)

    assert (found.complete, tokens_sent(stage)) == (True, ["old", "new", "A2"])


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ünïcode", "\ud800"])
async def test_a_token_that_no_header_can_hold_is_refused_unasked(stage: Stage, token: str) -> None:
    """As Zapier would, and without a permit."""
    credential = await stage.sign_in(token=token)

    with pytest.raises(SignInRequiredError):
        await listing(stage, credential=credential)

    assert (stage.zapier.requests, stage.budget.taken) == ([], [])


async def test_an_answer_without_its_explanation_is_still_that_answer(stage: Stage) -> None:
    """The status of a broken 403 and of a broken 401 is enough, and neither is repeated."""
    stage.zapier.answers(torn(403), torn(401))

    assert isinstance(await failure(stage), UpstreamRefusedError)
    assert isinstance(await failure(stage), SignInRequiredError)


# --- waiting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_check", [False, True])
async def test_a_429_cools_the_budget_down(stage: Stage, is_check: bool) -> None:
    """For the egress and the partner of the permit, as long as Zapier says; nothing is repeated."""
    stage.zapier.answers(refusal(429, Retry_After="30"))
    error = await failure(stage, is_check=is_check)

    assert isinstance(error, UpstreamBusyError)
    assert error.retry_after == 30_000
    assert stage.budget.cooled == [("out", "client-of-acme", NOON + 30_000)]
    assert stage.budget.fate_of("given" if is_check else "p1") == ["answered"]


@pytest.mark.parametrize(
    ("header", "wait"),
    [(None, 60_000), ("0", 1_000), ("7200", 600_000), ("Mon, 21 Sep 2026 14:13:50 GMT", 30_000), ("later", 60_000)],
)
async def test_a_429_is_waited_out_however_it_is_written(stage: Stage, header: str | None, wait: int) -> None:
    """Seconds, a date, nothing, nonsense."""
    stage.zapier.answers(refusal(429, **({"Retry_After": header} if header else {})))
    error = await failure(stage)

    assert isinstance(error, UpstreamBusyError)
    assert error.retry_after == wait
    assert stage.budget.cooled == [("out", "client-of-acme", NOON + wait)]


@pytest.mark.parametrize(("header", "wait"), [("5", 5_000), ("90", 90_000), ("7200", 600_000)])
async def test_a_503_that_says_when_to_come_back_is_waited_out(stage: Stage, header: str, wait: int) -> None:
    """It is no rate limit, so others go on; and it is not repeated at once."""
    stage.zapier.answers(refusal(503, Retry_After=header))
    error = await failure(stage)

    assert isinstance(error, UpstreamBusyError)
    assert (error.retry_after, stage.budget.cooled) == (wait, [])
    assert ("not available" in error.why, "limit" in error.why) == (True, False)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("date", "until"),
    [
        ("Mon, 21 Sep 2026 14:08:20 GMT", "Mon, 21 Sep 2026 14:10:20 GMT"),
        ("Mon, 21 Sep 2026 14:18:20 GMT", "Mon, 21 Sep 2026 14:20:20 GMT"),
        ("at noon", "Mon, 21 Sep 2026 14:15:20 GMT"),
    ],
    ids=["their clock is behind", "their clock is ahead", "nobody knows"],
)
async def test_a_date_to_come_back_at_is_read_by_the_clock_that_wrote_it(
    stage: Stage, status: int, date: str, until: str
) -> None:
    """Clocks that are five minutes apart are no reason to come back early, nor to wait for longer."""
    stage.zapier.answers(refusal(status, Retry_After=until, Date=date))
    error = await failure(stage)

    assert isinstance(error, UpstreamBusyError)
    assert error.retry_after == 120_000


async def test_a_busy_budget_is_an_answer(stage: Stage) -> None:
    """Nothing is sent without a permit."""
    stage.budget.room = 0
    error = await failure(stage)

    assert isinstance(error, UpstreamBusyError)
    assert (error.retry_after, stage.zapier.requests) == (30_000, [])


# --- permits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "fate"),
    [
        pytest.param(answer(page([])), ["answered"], id="200"),
        pytest.param(refusal(403), ["answered"], id="403"),
        pytest.param(refusal(500), ["answered"], id="500"),
        pytest.param(torn(), ["answered"], id="torn"),
        pytest.param(raw(b"x" * 3_000_000), ["answered"], id="too big"),
        pytest.param(httpx.ConnectError("refused"), ["given back"], id="refused"),
        pytest.param(httpx.ConnectTimeout("slow"), ["given back"], id="no connection in time"),
        pytest.param(httpx.PoolTimeout("busy"), ["given back"], id="no connection free"),
        pytest.param(httpx.ReadTimeout("slow"), [], id="no answer in time"),
        pytest.param(httpx.ReadError("reset"), [], id="reset"),
        pytest.param(httpx.RemoteProtocolError("disconnected"), [], id="disconnected"),
    ],
)
async def test_each_request_has_one_permit_with_one_fate(
    stage: Stage, response: httpx.Response | Exception, fate: list[str]
) -> None:
    """Answered: held for a window from now. Surely not sent: free. In doubt: held until its own time."""
    stage.zapier.answers(response)
    with suppress(ZapwrightError):
        await listing(stage, is_check=True)

    assert stage.budget.fate_of("given") == fate
    assert stage.budget.taken == []


async def test_the_window_of_a_permit_begins_with_its_answer(stage: Stage) -> None:
    """Not with the request."""

    async def slowly(_: httpx.Request) -> httpx.Response:
        stage.clock.at += 4_000
        return answer(page([]))

    stage.zapier.answers(slowly)
    await listing(stage)

    assert stage.budget.told == [("answered", "p1", NOON + 4_000)]


async def test_a_budget_that_went_away_meanwhile_does_not_cost_the_answer(stage: Stage) -> None:
    """The permit stays held for longer, and the listing is there."""

    async def outage(_: httpx.Request) -> httpx.Response:
        stage.budget.is_away = True
        return answer(page([connection("a1")]))

    stage.zapier.answers(outage)

    assert (await listing(stage)).complete is True


async def test_without_a_budget_nothing_is_asked(stage: Stage) -> None:
    """It fails closed."""
    stage.budget.is_away = True

    assert isinstance(await failure(stage), StoreUnavailableError)
    assert stage.zapier.requests == []


# --- repetition -----------------------------------------------------------------------------------------------

PASSING: dict[str, Callable[[], httpx.Response | Exception]] = {
    "refused": lambda: httpx.ConnectError("refused"),
    "reset": lambda: httpx.ReadError("reset"),
    "disconnected": lambda: httpx.RemoteProtocolError("disconnected"),
    "torn": torn,
    "502": lambda: refusal(502),
    "503": lambda: refusal(503),
    "504": lambda: refusal(504),
}


@pytest.mark.parametrize("passing", PASSING)
async def test_a_passing_failure_is_repeated_once_for_a_user_who_waits(stage: Stage, passing: str) -> None:
    """Under a permit of its own."""
    stage.zapier.answers(PASSING[passing](), answer(page([connection("a1")])))
    found = await listing(stage)

    assert [one.id for one in found.authentications] == ["a1"]
    assert [permit.id for permit in stage.budget.taken] == ["p1", "p2"]
    assert stage.budget.fate_of("p2") == ["answered"]


async def test_it_is_repeated_once_only(stage: Stage) -> None:
    """A second failure is the answer."""
    stage.zapier.answers(refusal(502), httpx.ReadError("reset"))

    assert isinstance(await failure(stage), UpstreamUnavailableError)
    assert len(stage.budget.taken) == 2


@pytest.mark.parametrize("passing", PASSING)
async def test_a_check_is_never_repeated(stage: Stage, passing: str) -> None:
    """Its schedule does that."""
    stage.zapier.answers(PASSING[passing]())

    assert isinstance(await failure(stage, is_check=True), UpstreamUnavailableError)
    assert len(stage.zapier.requests) == 1


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("slow"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("busy")], ids=repr
)
async def test_a_call_that_took_its_time_is_not_repeated(stage: Stage, error: Exception) -> None:
    """The user has waited long enough."""
    stage.zapier.answers(error)

    assert isinstance(await failure(stage), UpstreamUnavailableError)
    assert len(stage.zapier.requests) == 1


async def test_a_listing_that_was_repeated_began_with_the_repetition(stage: Stage) -> None:
    """What was answered is what was asked then."""

    async def slowly(_: httpx.Request) -> httpx.Response:
        stage.clock.at += 4_000
        return refusal(502)

    stage.zapier.answers(slowly, answer(page([])))

    assert (await listing(stage)).begun_at == NOON + 4_000


# --- logs and secrets -----------------------------------------------------------------------------------------


async def logged(stage: Stage, *, is_check: bool = False) -> list[MutableMapping[str, Any]]:
    """Return what a listing logs."""
    with structlog.testing.capture_logs() as logs, suppress(ZapwrightError):
        await listing(stage, is_check=is_check)
    return list(logs)


async def test_every_call_is_one_line_in_the_log(stage: Stage) -> None:
    """Its endpoint, its status and how long it took; ordinary ones are for debugging."""

    async def slowly(_: httpx.Request) -> httpx.Response:
        stage.clock.at += 120
        return answer(page([]))

    stage.zapier.answers(slowly)

    assert await logged(stage) == [
        {
            "event": "upstream_call",
            "log_level": "debug",
            "endpoint": "GET /v2/authentications",
            "status": 200,
            "flaw": None,
            "duration_ms": 120,
        }
    ]


async def test_a_failed_call_is_logged_with_what_was_wrong(stage: Stage) -> None:
    """A repeated one twice, as it was made twice."""
    stage.zapier.answers(torn(), httpx.ReadTimeout("slow"))
    lines = [(line["log_level"], line["status"], line["flaw"]) for line in await logged(stage)]

    assert lines == [("info", 200, "connection dropped"), ("info", None, "time limit")]


async def test_the_token_shows_nowhere(stage: Stage) -> None:
    """Not in an error that echoes it, not in a log, not in a representation."""
    stage.zapier.answers(refusal(400, detail=f"Bearer {TOKEN} is not {TOKEN}"))
    with structlog.testing.capture_logs() as logs:
        error = await failure(stage)

    shown = f"{error} {error.facts} {error!r} {logs} {await stage.sign_in()!r} {json.dumps(logs, default=str)}"
    assert TOKEN not in shown


# --- what is noted of it --------------------------------------------------------------------------------------


async def test_every_call_is_noted_for_its_user(stage: Stage) -> None:
    """What was asked, about which app, what was answered; never what was found, nor the token."""
    stage.zapier.answers(refusal(503), answer(page([connection("1")])))
    await listing(stage)
    stage.zapier.answers(torn())
    await failure(stage, is_check=True)

    noted = await stage.calls.of_user("acme", "ann")
    assert [(one.endpoint, one.app_id, one.status) for one in noted] == [
        ("GET /v2/authentications", APP, 503),
        ("GET /v2/authentications", APP, 200),
        ("GET /v2/authentications", APP, 200),
    ]
    assert noted[0].at >= NOON
    assert [one.problem for one in noted] == [None, None, "connection dropped"]
    assert TOKEN not in repr(noted)


class FullLog(MemoryCallLog):
    """A log that takes nothing."""

    async def note(self, tenant_id: str, user_id: str, record: CallRecord) -> None:
        raise StoreUnavailableError(problem="away")


async def test_an_answer_is_not_spoilt_by_a_note_that_cannot_be_written() -> None:
    """What Zapier said counts; the note is for people."""
    stage = Stage(calls=FullLog)
    stage.zapier.answers(answer(page([connection("1")])))

    assert len((await listing(stage)).authentications) == 1
    await stage.http.aclose()
