"""The promises of `EndpointStore`, on every adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.endpoints import MOST_OF_SESSION, MOST_OF_TENANT, Pause
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.webhooks import EndpointNotFoundError, TooManyEndpointsError
from orchestrator.core.events import EventName
from tests.support.store_values import NOON, TENANT, AnyStore, a_session, next_commit
from tests.support.webhook_values import OLDER_SECRET, SECRET, an_endpoint

FULL: Final = an_endpoint(
    "full",
    url="https://hooks.example/a?b=%C3%A9",
    secrets=(SECRET, OLDER_SECRET),
    events=frozenset({EventName.ZAP_CREATED}),
    description="Größe",
    paused=Pause.GONE,
    paused_at=NOON + 1,
    asked_by="r1",
)


async def test_an_endpoint_is_kept_as_it_was_made(store: AnyStore) -> None:
    """Every field of it, its secrets too."""
    await store.endpoints.create(FULL)

    assert await store.endpoints.get(TENANT, FULL.id) == FULL
    assert await store.endpoints.get("other", FULL.id) is None
    assert await store.endpoints.get(TENANT, "whnone") is None
    assert SECRET not in repr(FULL)


async def test_of_many_with_one_id_one_is_made(store: AnyStore) -> None:
    """The others are refused, and overwrite nothing."""
    wishes = [an_endpoint(description=str(number)) for number in range(5)]

    outcomes = await asyncio.gather(*map(store.endpoints.create, wishes), return_exceptions=True)

    refused = [outcome for outcome in outcomes if outcome is not None]
    assert [type(outcome) for outcome in refused] == [StaleVersionError] * 4
    assert await store.endpoints.get(TENANT, wishes[0].id) == wishes[outcomes.index(None)]


async def test_a_session_has_endpoints_of_its_own(store: AnyStore) -> None:
    """They are listed with it, not with the tenant; and only where it is there."""
    session = next_commit(a_session()).session
    own = an_endpoint("own", session_id=session.id)
    with pytest.raises(SessionNotFoundError):
        await store.endpoints.create(own)
    await store.sessions.commit(next_commit(a_session()))
    for endpoint in (own, an_endpoint("later", created_at=NOON + 1), an_endpoint()):
        await store.endpoints.create(endpoint)

    assert await store.endpoints.get(TENANT, own.id) == own
    assert await store.endpoints.all(TENANT, session_id=session.id) == (own,)
    assert [one.id for one in await store.endpoints.all(TENANT)] == ["wha", "whlater"]
    assert await store.endpoints.all("other", session_id=session.id) == ()


async def test_who_hears_of_a_session_is_asked_for_many_at_once(store: AnyStore) -> None:
    """The tenant's endpoints and its own, paused ones too; of another tenant none."""
    session = next_commit(a_session()).session
    await store.sessions.commit(next_commit(a_session()))
    own = an_endpoint("own", session_id=session.id)
    for endpoint in (FULL, own):
        await store.endpoints.create(endpoint)
    stranger = a_session(tenant="other").id

    heard = await store.endpoints.listening([(TENANT, session.id), ("other", stranger), (TENANT, a_session("b").id)])

    assert heard == ((FULL, own), (), (FULL,))


async def test_a_change_is_written_over_what_was_read(store: AnyStore) -> None:
    """Whoever read an older version is refused."""
    await store.endpoints.create(FULL)

    changed = await store.endpoints.change(FULL.resume())

    assert changed == replace(FULL.resume(), version=2)
    assert await store.endpoints.get(TENANT, FULL.id) == changed
    with pytest.raises(StaleVersionError) as refused:
        await store.endpoints.change(FULL)
    assert refused.value.facts == {"endpoint_id": FULL.id}


async def test_an_endpoint_that_is_gone_is_not_changed(store: AnyStore) -> None:
    """Nor made again by that; deleting it twice is fine."""
    await store.endpoints.create(FULL)
    for _ in range(2):
        await store.endpoints.delete(FULL, now=NOON, until=NOON + 1)

    with pytest.raises(EndpointNotFoundError):
        await store.endpoints.change(FULL)
    assert await store.endpoints.get(TENANT, FULL.id) is None


@pytest.mark.parametrize("session_id", [None, a_session().id])
async def test_a_deleted_endpoint_does_not_come_back_for_a_while(store: AnyStore, session_id: str | None) -> None:
    """The request that made it may still be repeated by who did not get its answer."""
    await store.sessions.commit(next_commit(a_session()))
    endpoint = an_endpoint(session_id=session_id)
    await store.endpoints.create(endpoint)
    await store.endpoints.delete(endpoint, now=NOON, until=NOON + 10)
    await store.endpoints.delete(endpoint, now=NOON + 5, until=NOON + 15)

    with pytest.raises(EndpointNotFoundError):
        await store.endpoints.create(replace(endpoint, created_at=NOON + 9))
    assert await store.endpoints.all(TENANT, session_id=session_id) == ()
    await store.endpoints.create(replace(endpoint, created_at=NOON + 10))


async def test_there_is_a_bound_to_their_number(store: AnyStore) -> None:
    """For a tenant and for a session; a deleted one makes room."""
    await store.sessions.commit(next_commit(a_session()))
    many = [an_endpoint(f"{number}") for number in range(MOST_OF_TENANT)]
    few = [an_endpoint(f"{number}", session_id=a_session().id) for number in range(MOST_OF_SESSION)]
    await asyncio.gather(*map(store.endpoints.create, [*many, *few]))

    for extra in (an_endpoint("x"), an_endpoint("x", session_id=a_session().id)):
        with pytest.raises(TooManyEndpointsError):
            await store.endpoints.create(extra)
    await store.endpoints.delete(many[0], now=NOON, until=NOON + 1)
    await store.endpoints.create(an_endpoint("x"))


async def test_a_sessions_endpoints_go_with_it(store: AnyStore) -> None:
    """When it is purged, and when its user is erased."""
    for end in ("purge", "erase"):
        session = next_commit(a_session()).session
        await store.sessions.commit(next_commit(a_session()))
        own = an_endpoint("own", session_id=session.id)
        await store.endpoints.create(own)
        if end == "purge":
            await store.sessions.purge(session)
        else:
            await store.users.erase(TENANT, session.user_id, now=NOON)

        assert await store.endpoints.get(TENANT, own.id) is None
