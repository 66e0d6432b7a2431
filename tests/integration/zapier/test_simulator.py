"""Our client against the simulated service: what it does, what it may answer, what goes wrong between."""

from typing import Any

import pytest

from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.ports.credentials import Credential, CredentialState
from orchestrator.core.ports.upstream import ZapDraft, ZapMade, ZapNotMade, ZapStep, ZapUnknown
from orchestrator.core.session import Listing
from tests.integration.zapier.conftest import Neighbours

CHAT = "Slack"


async def sheets_of_the_collector(neighbours: Neighbours) -> Listing:
    """List the thirty-five authentications that do not fit on a page."""
    credential = await neighbours.sign_in("collector")
    return await neighbours.client.authentications(credential, neighbours.app_id("Google Sheets"))


async def created(neighbours: Neighbours, credential: Credential) -> ZapMade | ZapNotMade | ZapUnknown:
    """Create a Zap of two steps, one of them without authentication."""
    authentication_id = neighbours.connect(credential.user_id, CHAT)
    steps = []
    for app, used in [(CHAT, authentication_id), ("Filter", None)]:
        found = await neighbours.client.actions(credential, neighbours.app_id(app), age=0)
        action = next(action for action in found if action.action_type != "READ" or used)
        steps.append(ZapStep(action_id=action.id, authentication_id=used, inputs={}))
    permit = await neighbours.client.permit("acme")
    return await neighbours.client.create_zap(credential, ZapDraft(title="Greet", steps=tuple(steps)), permit=permit)


# --- the whole way --------------------------------------------------------------------------------------------


async def test_a_zap_is_built_from_profile_to_editor(neighbours: Neighbours) -> None:
    """Everything the product asks for, once."""
    client, credential = neighbours.client, await neighbours.sign_in()
    profile = await client.profile("acme", credential.access_token)
    found = await client.apps(credential, query="slack", cursor=None)
    app = await client.app(credential, neighbours.app_id(CHAT))
    without = await client.app(credential, neighbours.app_id("Filter"))
    before = await client.authentications(credential, app.app.id)
    authentication_id = neighbours.connect("alice", CHAT)
    after = await client.authentications(credential, app.app.id)
    made = await created(neighbours, credential)

    assert profile is not None
    assert profile.email == "alice@example.test"
    assert app.app.id in {shown.app.id for shown in found.apps}
    assert app.connect is not None
    assert without.connect is None
    assert (before.complete, before.authentications) == (True, ())
    assert (after.complete, [one.id for one in after.authentications]) == (True, [authentication_id])
    assert isinstance(made, ZapMade)
    assert [zap.id for zap in neighbours.upstream.world.zaps()] == [made.zap_id]
    assert neighbours.refused == 0


async def test_a_list_longer_than_a_page_is_read_whole(neighbours: Neighbours) -> None:
    """However small the pages that the service gives."""
    neighbours.switch(paging={"default": 5, "max": 10})
    listing = await sheets_of_the_collector(neighbours)

    assert (listing.complete, listing.pages) == (True, 4)
    assert len({found.id for found in listing.authentications}) == 35


async def test_the_whole_catalogue_can_be_leafed_through(neighbours: Neighbours) -> None:
    """Cursor by cursor, each app once."""
    credential, cursor = await neighbours.sign_in(), None
    shown: list[str] = []
    while True:
        page = await neighbours.client.apps(credential, query=None, cursor=cursor)
        shown.extend(found.app.id for found in page.apps)
        cursor = page.cursor
        if cursor is None:
            break

    assert shown == [app.id for app in neighbours.upstream.world.catalogue.apps]


@pytest.mark.parametrize(
    "answers",
    [
        {"media_type": "application/vnd.api+json"},
        {"prev": "previous"},
        {"errors": "strings"},
        {"error_status": "string"},
        {"zap": "wrapped"},
        {"unknown": 404},
    ],
    ids="-".join,
)
async def test_every_documented_shape_is_understood(neighbours: Neighbours, answers: dict[str, Any]) -> None:
    """Versions of the documentation disagree; the client does not care."""
    neighbours.switch(answers=answers)
    credential = await neighbours.sign_in()
    listing = await sheets_of_the_collector(neighbours)
    made = await created(neighbours, credential)
    with pytest.raises(AppNotFoundError):
        await neighbours.client.app(credential, "00000000-0000-0000-0000-000000000000")

    assert (listing.complete, len(listing.authentications)) == (True, 35)
    assert isinstance(made, ZapMade)


@pytest.mark.parametrize(
    ("answers", "is_short_complete", "is_long_complete"),
    [({"links": False}, True, False), ({"meta": False}, True, False), ({"links": False, "meta": False}, False, False)],
)
async def test_what_an_abridged_list_proves(
    neighbours: Neighbours, answers: dict[str, Any], is_short_complete: bool, is_long_complete: bool
) -> None:
    """A page that fits is complete if either its count or its null says so."""
    neighbours.switch(answers=answers)
    short = await neighbours.client.authentications(await neighbours.sign_in(), neighbours.app_id(CHAT))
    long = await sheets_of_the_collector(neighbours)

    assert (short.complete, long.complete) == (is_short_complete, is_long_complete)


# --- faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "shift", "how": "insert"},
        {"fault": "shift", "how": "remove"},
        {"fault": "shift", "how": "move"},
        {"fault": "duplicate", "how": "extra"},
        {"fault": "duplicate", "how": "instead"},
        {"fault": "foreign_next"},
        {"fault": "endless", "how": "repeat"},
        {"fault": "endless", "how": "empty"},
    ],
    ids=lambda rule: "-".join(rule.values()),
)
async def test_a_list_that_moves_while_it_is_read_is_not_complete(neighbours: Neighbours, rule: dict[str, Any]) -> None:
    """What is missing from it may be there all the same."""
    neighbours.switch(rules={"list": rule})

    assert (await sheets_of_the_collector(neighbours)).complete is False


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "status", "status": 500},
        {"fault": "html"},
        {"fault": "drop"},
        {"fault": "truncate"},
        {"fault": "malformed"},
        {"fault": "oversized"},
        {"fault": "hang"},
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
async def test_an_answer_that_cannot_be_used_is_said_to_be_none(neighbours: Neighbours, rule: dict[str, Any]) -> None:
    """For every call that reads."""
    neighbours.switch(rules={"all": rule})
    client, credential = neighbours.client, await neighbours.sign_in()
    app_id = neighbours.app_id(CHAT)

    with pytest.raises(UpstreamUnavailableError):
        await client.authentications(credential, app_id)
    with pytest.raises(UpstreamUnavailableError):
        await client.app(credential, app_id)
    with pytest.raises(UpstreamUnavailableError):
        await client.actions(credential, app_id)
    with pytest.raises(UpstreamUnavailableError):
        await client.profile("acme", credential.access_token)


@pytest.mark.parametrize("where", ["fields", "envelope"])
async def test_a_list_of_other_types_is_no_list(neighbours: Neighbours, where: str) -> None:
    """Numbers for ids, texts for truths, objects for lists: none of it is guessed at."""
    neighbours.connect("alice", CHAT)
    neighbours.switch(rules={"all": {"fault": "wrong_types", "where": where}})
    client, credential = neighbours.client, await neighbours.sign_in()
    app_id = neighbours.app_id(CHAT)

    with pytest.raises(UpstreamUnavailableError):
        await client.authentications(credential, app_id)
    with pytest.raises(UpstreamUnavailableError):
        await client.app(credential, app_id)
    with pytest.raises(UpstreamUnavailableError):
        await client.actions(credential, app_id)


async def test_a_failure_that_passes_is_not_noticed_by_a_user_who_waits(neighbours: Neighbours) -> None:
    """One repetition, for one dropped connection."""
    neighbours.switch(rules={"once": {"fault": "drop", "times": 1}})

    assert (await sheets_of_the_collector(neighbours)).complete is True


@pytest.mark.parametrize(
    ("rule", "is_made"),
    [
        ({"fault": "status", "status": 500, "when": "before"}, False),
        ({"fault": "status", "status": 500, "when": "after"}, True),
        ({"fault": "drop", "when": "before"}, False),
        ({"fault": "drop", "when": "after"}, True),
        ({"fault": "hang", "when": "after"}, True),
        ({"fault": "truncate"}, True),
        ({"fault": "malformed"}, True),
        ({"fault": "wrong_types", "where": "envelope"}, True),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
async def test_a_zap_whose_answer_is_lost_is_unknown(
    neighbours: Neighbours, rule: dict[str, Any], is_made: bool
) -> None:
    """Whether it was made or not, from here it looks the same; it is asked for once."""
    neighbours.switch(rules={"zaps": {**rule, "endpoint": "POST /v2/zaps"}})
    outcome = await created(neighbours, await neighbours.sign_in())

    assert isinstance(outcome, ZapUnknown)
    assert len(neighbours.upstream.world.zaps()) == int(is_made)
    assert sum(neighbours.upstream.counts.by_endpoint["POST /v2/zaps"].values()) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
async def test_a_zap_that_is_refused_is_not_made(neighbours: Neighbours, status: int) -> None:
    """And the session may be changed again."""
    neighbours.switch(rules={"zaps": {"fault": "status", "status": status, "endpoint": "POST /v2/zaps"}})
    outcome = await created(neighbours, await neighbours.sign_in())

    assert isinstance(outcome, ZapNotMade)
    assert (outcome.status, neighbours.upstream.world.zaps()) == (status, [])


# --- credentials ----------------------------------------------------------------------------------------------


async def test_a_revoked_token_asks_for_a_new_sign_in(neighbours: Neighbours) -> None:
    """Once it was refused, everybody can see that."""
    credential = await neighbours.sign_in()
    neighbours.upstream.world.revoke(credential.access_token, revoked=True)

    with pytest.raises(SignInRequiredError):
        await neighbours.client.authentications(credential, neighbours.app_id(CHAT))

    kept = await neighbours.store.credentials.get("acme", "alice")
    assert kept is not None
    assert kept.state is CredentialState.NEEDS_SIGN_IN


async def test_a_scope_that_is_missing_is_no_missing_sign_in(neighbours: Neighbours) -> None:
    """A profile is optional, a listing is not."""
    neighbours.switch(scopes={"missing": ["profile", "connection:read"]})
    credential = await neighbours.sign_in()

    assert await neighbours.client.profile("acme", credential.access_token) is None
    with pytest.raises(UpstreamRefusedError):
        await neighbours.client.authentications(credential, neighbours.app_id(CHAT))


# --- limits ---------------------------------------------------------------------------------------------------


async def test_two_hundred_calls_in_a_row_draw_no_refusal(neighbours: Neighbours) -> None:
    """Waiting as the budget says, every call is made within the service's own limits."""
    credential, app_id = await neighbours.sign_in(), neighbours.app_id(CHAT)
    made = 0
    while made < 200:
        try:
            await neighbours.client.authentications(credential, app_id)
            made += 1
        except UpstreamBusyError as busy:
            neighbours.time.advance(busy.retry_after)

    assert neighbours.refused == 0
    assert neighbours.upstream.counts.total == 200


@pytest.mark.parametrize("retry_after", ["seconds", "date", "absent", "garbage"])
async def test_a_limit_that_others_used_up_is_met_once(neighbours: Neighbours, retry_after: str) -> None:
    """Somebody else calls from our address; one refusal, then nothing is sent until it is over."""
    neighbours.switch(limits={"ip": 5, "retry_after": retry_after})
    credential, app_id = await neighbours.sign_in(), neighbours.app_id(CHAT)
    for _ in range(5):
        await neighbours.client.authentications(credential, app_id)

    waits = []
    for _ in range(3):
        with pytest.raises(UpstreamBusyError) as busy:
            await neighbours.client.authentications(credential, app_id)
        waits.append(busy.value.retry_after)
    neighbours.time.advance(waits[-1])
    await neighbours.client.authentications(credential, app_id)

    assert neighbours.refused == 1
    assert all(59_000 <= wait <= 61_000 for wait in waits)
