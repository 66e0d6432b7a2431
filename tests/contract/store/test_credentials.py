"""The promises of `CredentialStore`, on every adapter."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import pytest

from orchestrator.core.ports import Credential, CredentialState, Profile, SignInReason, Standing
from orchestrator.core.session import shard_of
from tests.support.store_values import NOON, SHARDS, TENANT, USER, AnyStore

PROFILE: Final = Profile(id="pr1", email="alice@example.com")


async def put(
    store: AnyStore, token: str = "t1", profile: Profile | None = None, *, user: str = USER, tenant: str = TENANT
) -> Credential:
    """Put a credential."""
    return await store.credentials.put(tenant, user, access_token=token, profile=profile, expires_at=None, now=NOON)


async def test_there_is_no_credential_before_one_was_put(store: AnyStore) -> None:
    """None is no error."""
    assert await store.credentials.get(TENANT, USER) is None


@pytest.mark.parametrize(("profile", "expires_at"), [(PROFILE, NOON), (None, None)])
async def test_what_was_put_is_returned(store: AnyStore, profile: Profile | None, expires_at: int | None) -> None:
    """The same credential by `put` and `get`, ready to be used."""
    credential = await store.credentials.put(
        TENANT, USER, access_token="tökén", profile=profile, expires_at=expires_at, now=NOON
    )

    assert credential == await store.credentials.get(TENANT, USER)
    assert (
        credential.access_token,
        credential.generation,
        credential.state,
    ) == ("tökén", 1, CredentialState.ACTIVE)
    assert expires_at == credential.expires_at


@pytest.mark.parametrize(("profile", "expires_at"), [(PROFILE, NOON), (None, None)])
async def test_how_a_user_stands_is_the_credential_without_its_token(
    store: AnyStore, profile: Profile | None, expires_at: int | None
) -> None:
    """Whoever does not call Zapier needs no token, and gets none."""
    missing = await store.credentials.standing(TENANT, USER)
    credential = await store.credentials.put(
        TENANT, USER, access_token="t", profile=profile, expires_at=expires_at, now=NOON
    )
    await store.credentials.need_sign_in(TENANT, USER, generation=1)

    standing = await store.credentials.standing(TENANT, USER)
    assert missing is None
    assert standing is not None
    assert not hasattr(standing, "access_token")
    assert (standing.state, standing.reason) == (CredentialState.NEEDS_SIGN_IN, SignInReason.TOKEN_REFUSED)
    expected = {field.name: getattr(credential, field.name) for field in fields(Standing)}
    assert expected == {field.name: getattr(standing, field.name) for field in fields(Standing)} | {
        "state": credential.state,
        "reason": None,
    }


async def test_an_email_address_is_masked(store: AnyStore) -> None:
    """Its owner knows it again, nobody else learns it."""
    credential = await put(store, profile=PROFILE)

    assert credential.email == "a•••@example.com"
    assert (await put(store, profile=Profile(id="pr1", email="no address"))).email == "•••"
    assert (await put(store, profile=Profile(id="pr1"))).email is None


async def test_every_put_is_a_new_generation(store: AnyStore) -> None:
    """The newest token is the one that counts."""
    await put(store, "t1", PROFILE)
    await put(store, "t2")

    credential = await store.credentials.get(TENANT, USER)
    assert credential is not None
    assert (
        credential.access_token,
        credential.generation,
        credential.profile_id,
        credential.email,
    ) == ("t2", 2, None, None)


async def test_an_account_is_the_same_while_its_profile_is(store: AnyStore) -> None:
    """A sign-in whose profile cannot be read is an account of its own."""
    profiles = [PROFILE, PROFILE, Profile(id="pr2"), None, None, PROFILE]

    accounts = [(await put(store, profile=profile)).account for profile in profiles]

    assert accounts[0] == accounts[1] == accounts[5]
    assert len(set(accounts)) == 4


async def test_a_refused_token_is_marked_once(store: AnyStore) -> None:
    """Of many callers that were refused, one marks; a new token is active again."""
    await put(store)
    marked = [await store.credentials.need_sign_in(TENANT, USER, generation=1) for _ in range(2)]
    refused = await store.credentials.get(TENANT, USER)
    await put(store)
    renewed = await store.credentials.get(TENANT, USER)

    assert marked == [True, False]
    assert refused is not None
    assert renewed is not None
    assert (refused.state, renewed.state) == (CredentialState.NEEDS_SIGN_IN, CredentialState.ACTIVE)


async def test_a_refusal_of_an_older_token_does_not_count(store: AnyStore) -> None:
    """A call may still be under way while a new token is put."""
    await put(store)
    await put(store)

    assert not await store.credentials.need_sign_in(TENANT, USER, generation=1)
    assert not await store.credentials.need_sign_in(TENANT, "nobody", generation=1)


async def test_users_of_one_profile_are_counted(store: AnyStore) -> None:
    """Per tenant, each user once, by every profile they ever had: a popup may be open still where they had it."""
    await put(store, profile=PROFILE, user="u1")
    await put(store, profile=PROFILE, user="u1")
    await put(store, profile=PROFILE, user="u2")
    await put(store, profile=PROFILE, user="u3")
    await put(store, profile=PROFILE, user="u1", tenant="other")
    await put(store, profile=Profile(id="pr2"), user="u2")
    await put(store, profile=None, user="u3")

    counts = [await store.credentials.users_of_profile(TENANT, profile, now=NOON) for profile in ("pr1", "pr2", "pr3")]

    assert counts == [3, 1, 0]


async def test_users_and_tenants_are_kept_apart(store: AnyStore) -> None:
    """One user's credential is nobody else's."""
    await put(store, "t1", user="b:c", tenant="a")
    await put(store, "t2", user="c", tenant="a:b")

    one, other = await store.credentials.get("a", "b:c"), await store.credentials.get("a:b", "c")

    assert one is not None
    assert other is not None
    assert (one.access_token, other.access_token) == ("t1", "t2")


# --- what the sessions know -----------------------------------------------------------------------------------


async def untold(store: AnyStore) -> list[tuple[str, str]]:
    """Read of whom it is noted that their sessions are to be told."""
    found = [await store.credentials.untold(shard, limit=10) for shard in range(SHARDS)]
    return [user for users in found for user in users]


async def test_a_change_is_noted_until_the_sessions_were_told(store: AnyStore) -> None:
    """In the shard of its user; a token that works after one that did is no news, and neither is a first one."""
    first = await put(store)
    await put(store, user="a:b/c", tenant="x:y")
    at_first = await untold(store)
    await store.credentials.need_sign_in(TENANT, USER, generation=1)
    refused = await store.credentials.get(TENANT, USER)
    shard = shard_of(TENANT, USER, shards=SHARDS)
    noted = await untold(store), await store.credentials.untold(shard, limit=1)
    assert refused is not None
    answers = [await store.credentials.told(credential) for credential in (first, refused)]
    after = await untold(store)
    await put(store)
    await put(store)

    assert (at_first, noted) == ([], ([(TENANT, USER)], ((TENANT, USER),)))
    assert (answers, after, await untold(store)) == ([False, True], [], [(TENANT, USER)])


async def test_a_change_while_the_sessions_are_told_stays_noted(store: AnyStore) -> None:
    """They know of the one before; the same state of another token may have been told in between."""
    await put(store)
    await store.credentials.need_sign_in(TENANT, USER, generation=1)
    renewed = await put(store)
    await store.credentials.need_sign_in(TENANT, USER, generation=2)
    await put(store)

    assert (await store.credentials.told(renewed), await untold(store)) == (False, [(TENANT, USER)])


async def test_only_so_many_users_are_named_at_once(store: AnyStore) -> None:
    """The others are named when these were told."""
    users = [user for user in map(str, range(40)) if shard_of(TENANT, user, shards=SHARDS) == 0]
    for user in users:
        await put(store, user=user)
        await store.credentials.need_sign_in(TENANT, user, generation=1)
    assert len(users) > 4

    seen = set()
    while found := await store.credentials.untold(0, limit=4):
        assert len(found) <= 4
        for tenant_id, user_id in found:
            credential = await store.credentials.get(tenant_id, user_id)
            assert credential is not None
            await store.credentials.told(credential)
            seen.add(user_id)
    assert seen == set(users)
