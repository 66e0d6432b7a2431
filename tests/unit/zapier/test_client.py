"""Listings, profiles and Zaps: what is asked, and what each answer is taken to mean."""

import asyncio

import httpx
import pytest
import structlog

from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.credentials import Credential, CredentialState, Profile
from orchestrator.core.ports.upstream import Upstream, ZapDraft, ZapMade, ZapNotMade, ZapStep, ZapUnknown
from orchestrator.core.session import Authentication
from orchestrator.zapier import Limits, ZapierClient
from tests.support.zapier import (
    APP,
    BASE,
    NOON,
    OTHER_APP,
    TOKEN,
    Scripted,
    Stage,
    UnwritableCredentials,
    answer,
    connection,
    page,
    pages_of,
    permit,
    raw,
    refusal,
    sent_json,
    torn,
)

_: type[Upstream] = ZapierClient


# --- listings -------------------------------------------------------------------------------------------------


async def test_a_listing_is_every_authentication_of_the_user_for_the_app(stage: Stage) -> None:
    """With when it began, and under which sign-in."""
    stage.zapier.answers(answer(page([connection("a1"), connection("a2", is_expired=True)])))
    credential = await stage.sign_in()
    listing = await stage.client.authentications(credential, APP)

    assert listing.authentications == (
        Authentication(id="a1", title="Chat (a1)"),
        Authentication(id="a2", title="Chat (a2)", is_expired=True),
    )
    assert (listing.app_id, listing.begun_at, listing.account) == (APP, NOON, credential.account)
    assert (listing.complete, listing.pages) == (True, 1)
    assert stage.zapier.urls == [f"{BASE}/v2/authentications?app={APP}&limit=100"]


async def test_a_page_size_that_is_not_honoured_costs_pages_not_rows(stage: Stage) -> None:
    """Thirty-five authentications in pages of ten; each page has its own permit."""
    rows = [connection(f"a{number}") for number in range(35)]
    stage.zapier.answers(*pages_of(rows, size=10))
    listing = await stage.client.authentications(await stage.sign_in(), APP)

    assert [found.id for found in listing.authentications] == [row["id"] for row in rows]
    assert (listing.complete, listing.pages, len(stage.budget.taken)) == (True, 4, 4)
    assert all(request.headers["Authorization"] == f"Bearer {TOKEN}" for request in stage.zapier.requests)


async def test_a_listing_began_when_its_first_request_was_sent(stage: Stage) -> None:
    """Not when a permit was asked for, nor when its last page came."""

    async def slowly(_: httpx.Request) -> httpx.Response:
        stage.clock.at += 500
        return answer(page([connection("a1")], count=2, following=f"{BASE}/v2/authentications?app={APP}&offset=1"))

    stage.budget.refusals.append(NOON + 2_000)
    stage.zapier.answers(slowly, answer(page([connection("a2")], count=2)))
    listing = await stage.client.authentications(await stage.sign_in(), APP)

    assert (listing.begun_at, stage.clock.now()) == (NOON + 2_000, NOON + 2_500)


async def test_a_next_link_to_another_place_is_not_followed(stage: Stage) -> None:
    """The token is sent nowhere else, and the listing says that it is not complete."""
    away = f"https://elsewhere.test/v2/authentications?app={APP}&offset=1"
    stage.zapier.answers(answer(page([connection("a1")], count=2, following=away)))
    listing = await stage.client.authentications(await stage.sign_in(), APP)

    assert ([found.id for found in listing.authentications], listing.complete) == (["a1"], False)
    assert [request.url.host for request in stage.zapier.requests] == ["zapier.test"]


async def test_an_endless_list_ends(stage: Stage) -> None:
    """After the pages that are followed at most."""

    def endless(offset: int) -> Scripted:
        link = f"{BASE}/v2/authentications?app={APP}&offset={offset + 1}"
        return answer(page([connection(f"a{offset}")], count=1_000, following=link))

    stage.zapier.answers(*(endless(offset) for offset in range(20)))
    listing = await stage.client.authentications(await stage.sign_in(), APP)

    assert (listing.complete, listing.pages) == (False, 20)


async def test_an_incomplete_listing_is_logged_without_saying_whose(stage: Stage) -> None:
    """Operators see that it happens, and why."""
    stage.zapier.answers(answer(page([connection("a1")], count=2, following="https://elsewhere.test/")))
    credential = await stage.sign_in()
    with structlog.testing.capture_logs() as logs:
        await stage.client.authentications(credential, APP)

    flaw = "next link to another place"
    expected = {"event": "listing_incomplete", "log_level": "info", "app_id": APP, "pages": 1, "flaw": flaw}
    assert logs[-1] == expected


async def test_a_page_that_fails_fails_the_listing(stage: Stage) -> None:
    """Half a listing proves nothing."""
    first, *_rest = pages_of([connection(f"a{number}") for number in range(20)], size=10)
    stage.zapier.answers(first, raw(b"{"))
    credential = await stage.sign_in()

    with pytest.raises(UpstreamUnavailableError):
        await stage.client.authentications(credential, APP)


async def test_a_listing_is_never_kept(stage: Stage) -> None:
    """Each one asks."""
    stage.zapier.answers(answer(page([])), answer(page([])))
    credential = await stage.sign_in()
    for _ in range(2):
        await stage.client.authentications(credential, APP)

    assert (len(stage.zapier.requests), stage.cache.keys) == (2, [])


async def test_a_check_uses_its_permits_and_gives_back_the_rest(stage: Stage) -> None:
    """It was leased with the pages of the last time."""
    stage.zapier.answers(answer(page([connection("a1")])))
    permits = [permit("a"), permit("b"), permit("c")]
    await stage.client.authentications(await stage.sign_in(), APP, permits=permits)

    assert stage.budget.told == [("answered", "a", NOON), ("given back", "b", None), ("given back", "c", None)]
    assert stage.budget.taken == []


async def test_a_check_takes_a_permit_for_each_further_page(stage: Stage) -> None:
    """Of a strong check's share."""
    stage.zapier.answers(*pages_of([connection(f"a{number}") for number in range(30)], size=10))
    listing = await stage.client.authentications(await stage.sign_in(), APP, permits=[permit("a")])

    assert (listing.complete, listing.pages) == (True, 3)
    assert stage.budget.shares == [Share.STRONG, Share.STRONG]


async def test_a_check_without_room_for_its_pages_waits_for_nothing(stage: Stage) -> None:
    """It ends busy, and says when there is room, and how much it will want."""
    stage.zapier.answers(*pages_of([connection(f"a{number}") for number in range(30)], size=10)[:1])
    stage.budget.room = 0
    credential = await stage.sign_in()

    with pytest.raises(UpstreamBusyError) as busy:
        await stage.client.authentications(credential, APP, permits=[permit("a")])

    assert (busy.value.retry_after, busy.value.pages, stage.clock.naps) == (30_000, 3, [])
    assert stage.budget.fate_of("a") == ["answered"]


async def test_a_check_that_fails_gives_its_other_permits_back(stage: Stage) -> None:
    """Whatever it failed of."""
    stage.zapier.answers(refusal(500))
    credential = await stage.sign_in()

    with pytest.raises(UpstreamUnavailableError):
        await stage.client.authentications(credential, APP, permits=[permit("a"), permit("b")])

    assert stage.budget.told == [("answered", "a", NOON), ("given back", "b", None)]


async def test_a_check_that_is_given_up_gives_its_other_permits_back(stage: Stage) -> None:
    """The one under way stays held: Zapier may count it."""
    asked = asyncio.Event()

    async def forever(_: httpx.Request) -> httpx.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    stage.zapier.answers(forever)
    credential = await stage.sign_in()
    check = asyncio.ensure_future(stage.client.authentications(credential, APP, permits=[permit("a"), permit("b")]))
    await asked.wait()
    check.cancel()

    with pytest.raises(asyncio.CancelledError):
        await check

    assert stage.budget.told == [("given back", "b", None)]


async def test_an_answer_for_another_app_is_an_incomplete_listing(stage: Stage) -> None:
    """Its rows are nobody's candidates."""
    stage.zapier.answers(answer(page([connection("a1", app={"id": OTHER_APP})])))
    listing = await stage.client.authentications(await stage.sign_in(), APP)

    assert (listing.authentications, listing.complete) == ((), False)


# --- permits --------------------------------------------------------------------------------------------------


async def test_a_permit_can_be_taken_ahead_and_given_back(stage: Stage) -> None:
    """For a call that must not be begun without one."""
    taken = await stage.client.permit("acme")
    await stage.client.give_back([taken])
    await stage.client.give_back([])

    assert (stage.budget.shares, stage.budget.told) == ([Share.INTERACTIVE], [("given back", "p1", None)])


# --- profiles -------------------------------------------------------------------------------------------------


async def test_a_profile_says_whose_token_it_is(stage: Stage) -> None:
    """It is read with a token that is not kept yet."""
    stage.zapier.answers(answer({"id": 88, "email": "ann@example.test"}))
    found = await stage.client.profile("acme", "new-token")

    assert found == Profile(id="88", email="ann@example.test")
    assert stage.zapier.urls == [f"{BASE}/v1/profiles/me"]
    assert stage.zapier.requests[0].headers["Authorization"] == "Bearer new-token"


async def test_a_profile_is_read_by_the_doing_of_its_user(stage: Stage) -> None:
    """With the permit that is given for it, or else with one of what that user may hold."""
    stage.zapier.answers(answer({"id": 88}), answer({"id": 88}))
    await stage.client.profile("acme", "new-token", user_id="ann")
    await stage.client.profile("acme", "new-token", user_id="ann", permits=[permit("given")])

    assert stage.budget.users == ["acme ann"]
    assert [name for what, name, _ in stage.budget.told if what == "answered"] == ["p1", "given"]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_profile_that_may_not_be_read_is_none(stage: Stage, status: int) -> None:
    """The scope is optional."""
    stage.zapier.answers(refusal(status))

    assert await stage.client.profile("acme", "new-token") is None


async def test_a_token_that_is_refused_marks_no_credential(stage: Stage) -> None:
    """The one that is kept may still be good."""
    await stage.sign_in()
    stage.zapier.answers(refusal(401))

    with pytest.raises(SignInRequiredError):
        await stage.client.profile("acme", "new-token")

    kept = await stage.credentials.get("acme", "ann")
    assert kept is not None
    assert kept.state is CredentialState.ACTIVE


async def test_any_other_refusal_of_a_profile_is_one(stage: Stage) -> None:
    """It says nothing about scopes."""
    stage.zapier.answers(refusal(400))

    with pytest.raises(UpstreamRefusedError):
        await stage.client.profile("acme", "new-token")


# --- Zaps -----------------------------------------------------------------------------------------------------

DRAFT = ZapDraft(
    title="Greet",
    steps=(
        ZapStep(action_id="core:1", authentication_id="a1", inputs={"channel": "x"}, alias="first"),
        ZapStep(action_id="core:2", authentication_id=None, inputs={}),
    ),
)


async def created(
    stage: Stage, *script: Scripted, credential: Credential | None = None, draft: ZapDraft = DRAFT
) -> ZapMade | ZapNotMade | ZapUnknown:
    """Create a Zap under one permit, to this answer."""
    stage.zapier.answers(*script)
    credential = credential or await stage.sign_in()
    return await stage.client.create_zap(credential, draft, permit=permit("given"))


async def test_a_zap_is_made(stage: Stage) -> None:
    """201 with an id."""
    editor = "https://zapier.com/editor/77"
    made = await created(stage, answer({"id": "77", "links": {"html_editor": editor}}, status=201))

    assert made == ZapMade(zap_id="77", editor_url=editor)
    assert [(request.method, str(request.url)) for request in stage.zapier.requests] == [("POST", f"{BASE}/v2/zaps")]
    assert sent_json(stage.zapier.requests[0])["data"]["steps"][1] == {
        "action": "core:2",
        "authentication": None,
        "inputs": {},
    }
    assert stage.budget.told == [("answered", "given", NOON)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
@pytest.mark.parametrize("is_torn", [False, True])
async def test_a_zap_that_zapier_refused_is_not_made(stage: Stage, status: int, is_torn: bool) -> None:
    """The status says so, even where its explanation broke off."""
    outcome = await created(stage, torn(status) if is_torn else refusal(status, code="c", detail="d"))

    assert outcome == ZapNotMade(status=status, problem="no reason given" if is_torn else "c: d")
    assert stage.budget.fate_of("given") == ["answered"]


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("busy")], ids=repr
)
async def test_a_zap_that_was_never_asked_for_is_not_made(stage: Stage, error: Exception) -> None:
    """Nothing reached Zapier, and the permit is free again."""
    outcome = await created(stage, error)

    assert isinstance(outcome, ZapNotMade)
    assert (outcome.status, stage.budget.fate_of("given")) == (None, ["given back"])


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(httpx.ReadTimeout("slow"), id="no answer in time"),
        pytest.param(httpx.WriteTimeout("slow"), id="not sent in time"),
        pytest.param(httpx.ReadError("reset"), id="reset"),
        pytest.param(httpx.RemoteProtocolError("disconnected"), id="disconnected"),
        pytest.param(refusal(500), id="500"),
        pytest.param(refusal(502), id="502"),
        pytest.param(refusal(503, Retry_After="1"), id="503"),
        pytest.param(refusal(504), id="504"),
        pytest.param(refusal(409), id="409"),
        pytest.param(refusal(422), id="422"),
        pytest.param(raw(b"", status=302, Location="/"), id="302"),
        pytest.param(answer({"id": "77"}, status=200), id="200"),
        pytest.param(raw(b"", status=204), id="204"),
        pytest.param(answer({"title": "Greet"}, status=201), id="201 without an id"),
        pytest.param(answer({"id": None}, status=201), id="201 with null for an id"),
        pytest.param(answer({"id": 77}, status=201), id="201 with a number for an id"),
        pytest.param(raw(b"<html>", status=201), id="201 without JSON"),
        pytest.param(raw(b"[" * 100_000, status=201), id="201, too deep"),
        pytest.param(torn(201), id="201, torn"),
        pytest.param(raw(b"x" * 3_000_000, status=201), id="201, too big"),
    ],
)
async def test_whatever_else_comes_of_a_zap_nobody_knows(stage: Stage, script: Scripted) -> None:
    """It may exist, and is not asked for again."""
    outcome = await created(stage, script)

    assert isinstance(outcome, ZapUnknown)
    assert len(stage.zapier.requests) == 1


async def test_a_time_limit_leaves_a_zap_unknown() -> None:
    """Also when it is ours."""
    stage = Stage(limits=Limits(call_limit=20))

    async def forever(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert await created(stage, forever) == ZapUnknown(problem="no answer: time limit")
    assert stage.budget.fate_of("given") == []


async def test_a_401_to_a_zap_marks_the_credential(stage: Stage) -> None:
    """As it does anywhere."""
    await created(stage, refusal(401))
    kept = await stage.credentials.get("acme", "ann")

    assert kept is not None
    assert kept.state is CredentialState.NEEDS_SIGN_IN


async def test_a_429_to_a_zap_cools_the_budget_down(stage: Stage) -> None:
    """As it does anywhere."""
    await created(stage, refusal(429, Retry_After="20"))

    assert stage.budget.cooled == [("out", "client-of-acme", NOON + 20_000)]


async def test_a_zap_is_made_although_the_store_went_away_meanwhile(stage: Stage) -> None:
    """What Zapier said outranks what could not be written down."""

    async def outage(_: httpx.Request) -> httpx.Response:
        stage.budget.is_away = True
        return answer({"id": "77"}, status=201)

    assert await created(stage, outage) == ZapMade(zap_id="77", editor_url=None)


async def test_a_credential_that_could_not_be_marked_does_not_hide_the_refusal() -> None:
    """The next call will mark it."""
    stage = Stage(credentials=UnwritableCredentials)
    outcome = await created(stage, refusal(401))

    assert isinstance(outcome, ZapNotMade)
    assert outcome.status == 401


async def test_a_zap_whose_permit_came_too_late_is_not_made(stage: Stage) -> None:
    """Nor under another permit: a wish as old as that may have been given up, and made again."""
    stage.clock.at = NOON + 15_001
    outcome = await created(stage, answer({"id": "77"}, status=201))

    assert isinstance(outcome, ZapNotMade)
    assert (stage.zapier.requests, stage.budget.fate_of("given")) == ([], ["given back"])


async def test_a_zap_that_cannot_be_written_is_not_made(stage: Stage) -> None:
    """Its permit is given back."""
    step = ZapStep(action_id="core:1", authentication_id=None, inputs={"x": "\ud800"})
    outcome = await created(stage, draft=ZapDraft(title="Greet", steps=(step,)))

    assert outcome == ZapNotMade(status=None, problem="the Zap holds what JSON cannot")
    assert (stage.zapier.requests, stage.budget.fate_of("given")) == ([], ["given back"])


async def test_a_token_that_cannot_be_sent_makes_no_zap(stage: Stage) -> None:
    """It is refused as Zapier would, and its permit given back."""
    outcome = await created(stage, credential=await stage.sign_in(token="two words"))

    assert isinstance(outcome, ZapNotMade)
    assert (outcome.status, stage.budget.fate_of("given")) == (401, ["given back"])


async def test_a_problem_never_shows_the_token(stage: Stage) -> None:
    """It is stored in the session and shown to its user."""
    outcome = await created(stage, refusal(400, detail=f"{TOKEN} is no good"))

    assert isinstance(outcome, ZapNotMade)
    assert TOKEN not in outcome.problem


async def test_a_credential_store_that_is_away_fails_a_read(stage: Stage) -> None:
    """Who reads will ask again, and the mark is not lost."""
    stage = Stage(credentials=UnwritableCredentials)
    stage.zapier.answers(refusal(401))
    credential = await stage.sign_in()

    with pytest.raises(StoreUnavailableError):
        await stage.client.authentications(credential, APP)
