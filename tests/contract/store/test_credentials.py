"""The promises of `CredentialStore`, on every adapter."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

import pytest

from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.ports.credentials import (
    Credential,
    CredentialState,
    Kept,
    NewTokens,
    Profile,
    Refresh,
    SignInReason,
    Standing,
)
from orchestrator.core.session import shard_of
from orchestrator.core.sign_ins import Refusal
from tests.support.store_values import NOON, SHARDS, TENANT, USER, AnyStore, a_sign_in

PROFILE: Final = Profile(id="pr1", email="alice@example.com")


async def put(
    store: AnyStore, token: str = "t1", profile: Profile | None = None, *, user: str = USER, tenant: str = TENANT
) -> Credential:
    """Put a credential."""
    return await store.credentials.put(tenant, user, NewTokens(access_token=token), profile=profile, now=NOON)


async def test_there_is_no_credential_before_one_was_put(store: AnyStore) -> None:
    """None is no error."""
    assert await store.credentials.get(TENANT, USER) is None


@pytest.mark.parametrize(("profile", "expires_at"), [(PROFILE, NOON), (None, None)])
async def test_what_was_put_is_returned(store: AnyStore, profile: Profile | None, expires_at: int | None) -> None:
    """The same credential by `put` and `get`, ready to be used."""
    credential = await store.credentials.put(
        TENANT, USER, NewTokens(access_token="tökén", expires_at=expires_at), profile=profile, now=NOON
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
        TENANT, USER, NewTokens(access_token="t", expires_at=expires_at), profile=profile, now=NOON
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


# --- what a sign-in brings ------------------------------------------------------------------------------------


async def bring(store: AnyStore, sign_in_id: str, profile: Profile | None = PROFILE) -> Credential:
    """Put what a sign-in of the user brought."""
    return await store.credentials.put(
        TENANT, USER, NewTokens(access_token="t1"), profile=profile, now=NOON, sign_in_id=sign_in_id
    )


@pytest.mark.parametrize("profile", [PROFILE, None])
async def test_what_a_sign_in_brings_is_kept_while_the_sign_in_is(store: AnyStore, profile: Profile | None) -> None:
    """It went with its user, who stays erased: neither a token is there nor anybody counted."""
    sign_in = a_sign_in()
    await store.sign_ins.begin(sign_in)
    brought = [await bring(store, sign_in.id, profile) for _ in range(2)]
    await store.users.erase(TENANT, USER, now=NOON)
    with pytest.raises(SignInRefusedError) as refused:
        await bring(store, sign_in.id, profile)

    assert [credential.generation for credential in brought] == [1, 2]
    assert refused.value.why is Refusal.UNKNOWN
    assert await store.credentials.get(TENANT, USER) is None
    assert await store.credentials.users_of_profile(TENANT, PROFILE.id, now=NOON) == 0
    assert await untold(store) == []


# --- what the sessions know -----------------------------------------------------------------------------------


async def untold(store: AnyStore) -> list[tuple[str, str]]:
    """Read of whom it is noted that their sessions are to be told."""
    found = [await store.credentials.untold(shard, limit=10) for shard in range(SHARDS)]
    return [user for users in found for user in users]


async def test_a_change_is_noted_until_the_sessions_were_told(store: AnyStore) -> None:
    """In the shard of its user; a first token is news, one that works after one that did is none."""
    first = await put(store)
    await put(store, user="a:b/c", tenant="x:y")
    at_first = await untold(store)
    for credential in (first, await store.credentials.get("x:y", "a:b/c")):
        assert credential is not None
        await store.credentials.told(credential)
    await store.credentials.need_sign_in(TENANT, USER, generation=1)
    refused = await store.credentials.get(TENANT, USER)
    shard = shard_of(TENANT, USER, shards=SHARDS)
    noted = await untold(store), await store.credentials.untold(shard, limit=1)
    assert refused is not None
    answers = [await store.credentials.told(credential) for credential in (first, refused)]
    after = await untold(store)
    await put(store)
    await put(store)

    assert set(at_first) == {(TENANT, USER), ("x:y", "a:b/c")}
    assert noted == ([(TENANT, USER)], ((TENANT, USER),))
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


# --- refreshing -----------------------------------------------------------------------------------------------

FIRST: Final = Refresh(id="rf1", tries=1, until=NOON + 30)
SECOND: Final = Refresh(id="rf2", tries=2, until=NOON + 60)


async def hand_over(store: AnyStore, token: str = "R1", *, profile: Profile | None = PROFILE) -> Credential:
    """Put a credential whose tokens are ours to refresh."""
    return await store.credentials.put(
        TENANT, USER, NewTokens(access_token="A1", refresh_token=token, expires_at=NOON), profile=profile, now=NOON
    )


async def note(store: AnyStore, after: Refresh, *, before: Refresh | None = None, generation: int = 1) -> bool:
    """Write an intent."""
    return await store.credentials.note_refresh(TENANT, USER, generation=generation, before=before, after=after)


async def renew(
    store: AnyStore, *, generation: int = 1, refresh_id: str = "rf1", token: str = "R2", expires_at: int | None = None
) -> Credential | None:
    """Store what a refresh brought."""
    return await store.credentials.renew(
        TENANT,
        USER,
        NewTokens(access_token="A2", refresh_token=token, expires_at=expires_at),
        generation=generation,
        refresh_id=refresh_id,
        now=NOON,
    )


async def kept(store: AnyStore) -> Kept:
    """Read everything that is kept."""
    found = await store.credentials.kept(TENANT, USER)
    assert found is not None
    return found


async def test_a_refresh_token_is_kept_beside_the_credential_and_given_to_refresh_with_alone(store: AnyStore) -> None:
    """Whoever calls Zapier gets the access token; everybody hears that there is one."""
    missing = await store.credentials.kept(TENANT, USER)
    credential = await hand_over(store)
    standing = await store.credentials.standing(TENANT, USER)
    found = await kept(store)

    assert (missing, found.refresh_token, found.refresh, found.credential) == (None, "R1", None, credential)
    assert standing is not None
    assert (standing.has_refresh_token, credential.has_refresh_token) == (True, True)
    assert "R1" not in repr((found, credential, standing))


async def test_a_put_without_a_refresh_token_takes_refreshing_back(store: AnyStore) -> None:
    """The one that was kept is forgotten, and with it what was under way."""
    await hand_over(store)
    await note(store, FIRST)
    credential = await put(store)
    found = await kept(store)

    assert not credential.has_refresh_token
    assert (found.credential, found.refresh_token, found.refresh) == (credential, None, None)


async def test_of_those_who_want_to_refresh_one_writes_the_intent(store: AnyStore) -> None:
    """The others see that the one they read is not the latest. The same one may be written twice."""
    await hand_over(store)
    written = [await note(store, FIRST), await note(store, FIRST), await note(store, SECOND)]
    taken_over = await note(store, SECOND, before=FIRST)
    late = await note(store, replace(FIRST, until=NOON + 90), before=FIRST)

    assert (written, taken_over, late) == ([True, True, False], True, False)
    assert (await kept(store)).refresh == SECOND


async def test_an_intent_is_for_an_active_credential_of_its_generation(store: AnyStore) -> None:
    """Not for one that was replaced, nor where a sign-in is needed, nor for nobody's."""
    nobodys = await note(store, FIRST)
    await hand_over(store)
    await hand_over(store)
    older = await note(store, FIRST)
    await store.credentials.need_sign_in(TENANT, USER, generation=2)

    assert [nobodys, older, await note(store, FIRST, generation=2)] == [False, False, False]


async def test_what_a_refresh_brought_is_the_next_generation_of_the_same_account(store: AnyStore) -> None:
    """Also of one whose profile nobody can read, which is not a new sign-in."""
    for profile in (PROFILE, None):
        before = await hand_over(store, profile=profile)
        await note(store, FIRST, generation=before.generation)
        refresh_id = f"rf-{before.generation}"
        after = await renew(store, generation=before.generation, refresh_id=refresh_id, expires_at=NOON + 9)

        assert after == replace(before, access_token="A2", generation=before.generation + 1, expires_at=NOON + 9)
        assert await kept(store) == Kept(credential=after, refresh_token="R2")


async def test_storing_the_same_refresh_twice_is_storing_it_once(store: AnyStore) -> None:
    """The answer to the first time may have been lost."""
    await hand_over(store)
    first, second = await renew(store), await renew(store)

    assert first is not None
    assert (first, first.generation) == (second, 2)


async def test_a_refresh_of_tokens_that_were_replaced_brings_nothing(store: AnyStore) -> None:
    """A sign-in was faster, or another refresh, or the user was erased."""
    nobodys = await renew(store)
    await hand_over(store)
    signed_in = await hand_over(store, "R9")
    of_before = await renew(store)
    after_that = await kept(store)
    await renew(store, generation=2, refresh_id="rf2")
    by_another = await renew(store, generation=2, refresh_id="rf3", token="R3")

    assert [nobodys, of_before, by_another] == [None, None, None]
    assert (after_that.credential, after_that.refresh_token) == (signed_in, "R9")
    assert (await kept(store)).refresh_token == "R2"


async def test_what_was_under_way_for_an_erased_user_reaches_nobody_who_has_the_id_now(store: AnyStore) -> None:
    """Tokens of the account before would be used in the name of the one after."""
    first = await hand_over(store, profile=None)
    await note(store, FIRST)
    await store.users.erase(TENANT, USER, now=NOON)
    second = await hand_over(store, "R9", profile=None)
    late = [
        await renew(store, generation=first.generation),
        await note(store, SECOND, generation=first.generation),
        await store.credentials.need_sign_in(TENANT, USER, generation=first.generation),
    ]

    assert late == [None, False, False]
    assert await kept(store) == Kept(credential=second, refresh_token="R9")
    assert second.account != first.account


async def test_a_refresh_that_comes_late_overrides_what_was_said_of_its_generation(store: AnyStore) -> None:
    """Its holder had been taken for dead; the sessions are to be told."""
    await hand_over(store)
    await note(store, FIRST)
    reason = SignInReason.REFRESH_OUTCOME_LOST
    await store.credentials.need_sign_in(TENANT, USER, generation=1, reason=reason, refresh=FIRST)
    marked = await store.credentials.standing(TENANT, USER)
    assert marked is not None
    await store.credentials.told(marked)
    renewed = await renew(store)

    assert (marked.state, marked.reason) == (CredentialState.NEEDS_SIGN_IN, reason)
    assert renewed is not None
    assert (renewed.state, renewed.reason) == (CredentialState.ACTIVE, None)
    assert await untold(store) == [(TENANT, USER)]


async def test_only_the_latest_intent_can_say_that_a_sign_in_is_needed(store: AnyStore) -> None:
    """The one before was taken over; and with that it is over."""
    await hand_over(store)
    await note(store, FIRST)
    await note(store, SECOND, before=FIRST)
    refused = SignInReason.REFRESH_REFUSED
    marked = [
        await store.credentials.need_sign_in(TENANT, USER, generation=1, reason=refused, refresh=refresh)
        for refresh in (FIRST, SECOND, SECOND)
    ]

    assert marked == [False, True, False]
    assert (await kept(store)).refresh is None


async def test_nothing_of_a_refresh_outlives_its_user(store: AnyStore) -> None:
    """Nor does a refresh that is under way bring them back."""
    await hand_over(store)
    await note(store, FIRST)
    await store.users.erase(TENANT, USER, now=NOON)

    assert (await renew(store), await store.credentials.kept(TENANT, USER)) == (None, None)
    assert not await note(store, SECOND, before=FIRST)
