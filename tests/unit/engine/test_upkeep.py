"""Refreshing, on a store: however many want it, whoever dies and whatever is lost, it is done once, and said."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest

from orchestrator.commits import Commits
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.metering import Unmetered
from orchestrator.core.ports.credentials import Credential, CredentialState, NewTokens, Profile, SignInReason
from orchestrator.core.schedule import Policy
from orchestrator.core.session import MINUTE, SECOND, Instant, Session
from orchestrator.core.upkeep import LEASE, LONGEST_CALL, PAUSE, RefreshEnd
from orchestrator.credentials import ToldCredentials
from orchestrator.upkeep import PATIENCE_WITH_TOKENS, Upkeep
from tests.support.clocks import NOON
from tests.support.interference import Around, Fuse, Killed, Script, Turns, lost_answer, undisturbed, wrapped
from tests.support.scenes import TENANT, Scene
from tests.support.tokens import TokenEndpoint
from tests.support.zapier import FreePermits, an_access

ANN = Profile(id="ann", email="ann@example.com")


class Ends(Unmetered):
    """Writes down how refreshes end."""

    def __init__(self) -> None:
        self.all: list[RefreshEnd] = []

    def refreshed(self, end: RefreshEnd) -> None:
        self.all.append(end)


class Office:
    """A deployment whose user Ann has tokens that are ours to refresh; `endpoint` is Zapier's."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.endpoint = TokenEndpoint()
        self.permits = FreePermits()
        self.ends = Ends()
        self.here = self.process()

    def process(self, around: Around = undisturbed) -> Upkeep:
        """Start a process with something around its ports."""
        scene = self.scene
        sessions = wrapped(scene.store.sessions, "sessions", around)
        commits = Commits(
            sessions=sessions,
            receipts=scene.store.receipts,
            watches=scene.store.watches,
            clock=scene.clock,
            ids=scene.ids,
            policy=Policy(),
        )
        kept = wrapped(scene.store.credentials, "credentials", around)
        return an_access(
            ToldCredentials(kept, sessions=sessions, commits=commits),
            scene.clock,
            oauth=wrapped(self.endpoint, "oauth", around),
            permits=wrapped(self.permits, "permits", around),
            ids=scene.ids,
            meter=self.ends,
        )

    async def hand_over(self, *, expires_at: Instant | None = None, profile: Profile | None = ANN) -> Credential:
        """Keep the tokens that Zapier handed out last."""
        return await self.scene.here.credentials.put(
            TENANT,
            "ann",
            NewTokens(access_token=self.endpoint.access_token, refresh_token=self.endpoint.good, expires_at=expires_at),
            profile=profile,
            now=self.scene.clock.now(),
        )

    async def kept(self) -> Credential:
        """Read Ann's credential."""
        found = await self.scene.store.credentials.get(TENANT, "ann")
        assert found is not None
        return found

    async def is_in_order(self) -> bool:
        """Whether what is kept is what Zapier takes."""
        found = await self.scene.store.credentials.kept(TENANT, "ann")
        assert found is not None
        assert found.credential.state is CredentialState.ACTIVE
        return (found.credential.access_token, found.refresh_token) == (
            self.endpoint.access_token,
            self.endpoint.good,
        )

    async def stands(self) -> tuple[CredentialState, SignInReason | None]:
        """Read whether Ann has to sign in, and why."""
        found = await self.kept()
        return found.state, found.reason

    async def events(self, session: Session) -> list[tuple[EventName, object]]:
        """Read what a session was told of Ann's credential."""
        names = {EventName.SIGN_IN_NEEDED, EventName.SIGNED_IN}
        return [
            (event.name, event.data.get("reason")) for event in await self.scene.events(session) if event.name in names
        ]


@pytest.fixture(name="office")
def _office() -> Office:
    """A deployment that nobody has used."""
    return Office()


LOST = CredentialState.NEEDS_SIGN_IN, SignInReason.REFRESH_OUTCOME_LOST
REFUSED = CredentialState.NEEDS_SIGN_IN, SignInReason.REFRESH_REFUSED


# --- when -----------------------------------------------------------------------------------------------------


async def test_tokens_that_are_not_ours_to_refresh_are_used_as_they_are(office: Office) -> None:
    """Nothing is read, whenever they end; a 401 to them needs a sign-in."""
    await office.scene.sign_in("ann")
    credential = await office.kept()
    script = Script()
    newest = await office.process(script).newest(credential)
    with pytest.raises(SignInRequiredError):
        await office.here.after_refusal(credential)

    assert (newest, script.calls) == (credential, [])
    assert await office.stands() == (CredentialState.NEEDS_SIGN_IN, SignInReason.TOKEN_REFUSED)


async def test_a_token_with_time_left_is_used_without_asking_anybody(office: Office) -> None:
    """Neither the store nor Zapier."""
    credential = await office.hand_over(expires_at=NOON + MINUTE + 1)
    script = Script()
    newest = await office.process(script).newest(credential)

    assert (newest, script.calls, office.endpoint.uses) == (credential, [], [])


@pytest.mark.parametrize("left", [MINUTE, 0, -MINUTE])
async def test_a_token_about_to_end_is_refreshed_before_it_is_used(office: Office, left: int) -> None:
    """By the tenant's own client, in less than half the lease; the account and the profile stay."""
    credential = await office.hand_over(expires_at=NOON + left)
    newest = await office.here.newest(credential)

    assert (newest.access_token, newest.expires_at) == ("A2", NOON + 600 * MINUTE)
    assert (newest.account, newest.email, newest.profile_id) == (
        credential.account,
        credential.email,
        credential.profile_id,
    )
    assert (office.endpoint.clients[0].id, office.endpoint.limits) == (f"client-of-{TENANT}", [LONGEST_CALL])
    assert await office.is_in_order()


async def test_whoever_still_has_the_old_token_gets_the_new_one(office: Office) -> None:
    """In the middle of a listing, say; without a second refresh, and also where nobody knows when it ends."""
    credential = await office.hand_over()
    first = await office.here.after_refusal(credential)
    again = [await office.here.newest(credential), await office.here.after_refusal(credential)]

    assert (again, office.endpoint.uses) == ([first, first], ["R1"])


async def test_a_refresh_keeps_a_sign_in_whose_profile_nobody_can_read(office: Office) -> None:
    """Listings made before and after are of one account."""
    credential = await office.hand_over(profile=None)
    renewed = await office.here.after_refusal(credential)

    assert (renewed.account, renewed.generation) == (credential.account, 2)


async def test_a_new_sign_in_as_somebody_else_is_used_for_nothing_that_was_begun_before(office: Office) -> None:
    """What is read would be taken for the first one's."""
    old = await office.hand_over(profile=None)
    await office.hand_over(profile=None)

    for ask in (office.here.newest, office.here.after_refusal):
        with pytest.raises(UpstreamBusyError, match="as somebody else"):
            await ask(old)


async def test_where_nothing_is_kept_any_more_a_sign_in_is_needed(office: Office) -> None:
    """The user was erased meanwhile."""
    credential = await office.hand_over()
    await office.scene.store.users.erase(TENANT, "ann", now=NOON)

    for ask in (office.here.newest, office.here.after_refusal):
        with pytest.raises(SignInRequiredError):
            await ask(credential)


# --- by whom --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_ten_who_want_it_at_once_refresh_once(office: Office, seed: int) -> None:
    """Each in a process of its own; all go on with the same new token, and only one permit was needed."""
    credential = await office.hand_over()
    chance = Random(seed)
    renewed = await asyncio.gather(*(office.process(Turns(chance)).after_refusal(credential) for _ in range(10)))

    assert {one.access_token for one in renewed} == {"A2"}
    assert (office.endpoint.uses, len(office.permits.held)) == (["R1"], 1)
    assert await office.is_in_order()


async def test_others_wait_for_the_holder_only_so_long(office: Office) -> None:
    """Then they say when it is worth asking again; a token that has not ended yet is used meanwhile."""
    credential = await office.hand_over(expires_at=NOON + MINUTE)
    heard: list[object] = []

    async def others() -> None:
        heard.append((await office.here.newest(credential)).access_token)
        with pytest.raises(UpstreamBusyError, match="being refreshed") as busy:
            await office.here.after_refusal(credential)
        heard.append(busy.value.retry_after)

    office.endpoint.meanwhile = others
    await office.here.newest(credential)

    assert heard == ["A1", LEASE - 3 * SECOND]
    assert await office.is_in_order()


async def test_a_holder_whose_caller_is_gone_ends_what_it_began(office: Office) -> None:
    """The page was closed; what Zapier hands out is kept all the same, and the process waits for that."""
    credential = await office.hand_over()
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        asked.set()
        await answered.wait()

    office.endpoint.meanwhile = slow
    calling = asyncio.create_task(office.here.after_refusal(credential))
    await asked.wait()
    calling.cancel()
    with suppress(asyncio.CancelledError):
        await calling
    ending = asyncio.create_task(office.here.settle())
    await asyncio.sleep(0)
    has_waited = not ending.done()
    answered.set()
    await ending

    assert has_waited
    assert await office.is_in_order()


async def test_a_refresh_counts_for_its_user(office: Office) -> None:
    """Whoever has their tokens refused again and again holds no more permits by it than one user may."""
    await office.here.after_refusal(await office.hand_over())

    assert office.permits.users == [(TENANT, "ann")]


async def test_without_a_permit_nothing_is_begun(office: Office) -> None:
    """Nor with no client secret: no intent is written that others would wait for."""
    credential = await office.hand_over()
    office.permits.room = 0
    with pytest.raises(UpstreamBusyError):
        await office.here.after_refusal(credential)
    found = await office.scene.store.credentials.kept(TENANT, "ann")

    assert found is not None
    assert (found.refresh, office.endpoint.uses) == (None, [])


# --- when it goes wrong ---------------------------------------------------------------------------------------


async def test_a_refusal_needs_a_sign_in_and_says_so(office: Office) -> None:
    """To the sessions too; then nobody asks again."""
    credential = await office.hand_over()
    session = await office.scene.session("ann")
    office.endpoint.number = 7
    for _ in range(2):
        with pytest.raises(SignInRequiredError):
            await office.here.after_refusal(credential)

    assert (await office.stands(), office.endpoint.uses) == (REFUSED, ["R1"])
    assert await office.events(session) == [(EventName.SIGN_IN_NEEDED, "refresh_refused")]
    assert office.ends.all == [RefreshEnd.REFUSED]


async def test_a_refusal_for_now_is_asked_again_later_and_loses_nothing(office: Office) -> None:
    """As often as it takes; until then nobody asks."""
    credential, wait = await office.hand_over(), 5 * SECOND
    for number in range(1, 4):
        office.endpoint.goes("busy")
        waits = []
        for _ in range(2):
            with pytest.raises(UpstreamBusyError) as busy:
                await office.here.after_refusal(credential)
            waits.append(busy.value.retry_after)
        assert (waits, len(office.endpoint.uses)) == ([wait, wait], number)
        office.scene.clock.advance(wait)

    assert (await office.here.after_refusal(credential)).access_token == "A2"
    assert office.ends.all == [*[RefreshEnd.PUT_OFF] * 3, RefreshEnd.REFRESHED]


async def test_a_client_that_zapier_refuses_is_asked_for_once_a_minute(office: Office) -> None:
    """Whichever user needs it: each request would cost a permit, and only who runs the deployment can mend it."""
    credential = await office.hand_over()
    office.endpoint.goes("wrong client")
    with pytest.raises(UpstreamBusyError):
        await office.here.after_refusal(credential)
    office.scene.clock.advance(PAUSE)
    with pytest.raises(UpstreamUnavailableError, match="client id and secret"):
        await office.here.after_refusal(credential)
    asked = len(office.endpoint.uses), len(office.permits.held)
    office.scene.clock.advance(MINUTE)
    renewed = await office.here.after_refusal(credential)

    assert (asked, renewed.access_token) == ((1, 1), "A2")
    assert office.ends.all == [RefreshEnd.CLIENT_REFUSED, RefreshEnd.REFRESHED]


async def test_an_answer_that_is_lost_is_asked_for_once_more_and_then_said_to_be_lost(office: Office) -> None:
    """A new sign-in, or a put, recovers from it."""
    credential = await office.hand_over()
    session = await office.scene.session("ann")
    office.endpoint.goes("lost")
    with pytest.raises(UpstreamBusyError) as busy:
        await office.here.after_refusal(credential)
    meanwhile = await office.stands()
    office.scene.clock.advance(busy.value.retry_after)
    with pytest.raises(SignInRequiredError):
        await office.here.after_refusal(credential)
    lost = await office.stands()
    await office.hand_over()

    assert (meanwhile, lost, office.endpoint.uses) == ((CredentialState.ACTIVE, None), LOST, ["R1", "R1"])
    assert await office.events(session) == [
        (EventName.SIGN_IN_NEEDED, "refresh_outcome_lost"),
        (EventName.SIGNED_IN, None),
    ]
    assert await office.is_in_order()
    assert office.ends.all == [RefreshEnd.UNANSWERED, RefreshEnd.OUTCOME_LOST]


async def test_a_request_that_zapier_never_heard_is_made_once_more_and_good(office: Office) -> None:
    """Nobody has to sign in."""
    credential = await office.hand_over()
    office.endpoint.goes("never heard")
    with pytest.raises(UpstreamBusyError) as busy:
        await office.here.after_refusal(credential)
    office.scene.clock.advance(busy.value.retry_after)
    renewed = await office.here.after_refusal(credential)

    assert (renewed.access_token, office.endpoint.uses) == ("A2", ["R1", "R1"])
    assert await office.is_in_order()


async def test_two_answers_that_tell_nothing_are_not_followed_by_a_third(office: Office) -> None:
    """It ends in a sign-in, said, and not in a loop."""
    credential = await office.hand_over()
    office.endpoint.goes("never heard", "never heard")
    for _ in range(3):
        with suppress(ZapwrightError):
            await office.here.after_refusal(credential)
        office.scene.clock.advance(LEASE)

    assert (await office.stands(), office.endpoint.uses) == (LOST, ["R1", "R1"])


async def test_a_holder_that_wakes_up_after_its_lease_overrides_what_was_said_of_it(office: Office) -> None:
    """Others had used its token once more, and believed its answer lost; the sessions hear that all is well."""
    credential = await office.hand_over()
    session = await office.scene.session("ann")

    async def stopped() -> None:
        office.endpoint.meanwhile = None
        office.scene.clock.advance(LEASE)
        with pytest.raises(SignInRequiredError):
            await office.process().after_refusal(credential)
        assert await office.stands() == LOST

    office.endpoint.meanwhile = stopped
    renewed = await office.here.after_refusal(credential)

    assert renewed.access_token == "A2"
    assert await office.is_in_order()
    assert await office.events(session) == [
        (EventName.SIGN_IN_NEEDED, "refresh_outcome_lost"),
        (EventName.SIGNED_IN, None),
    ]


async def test_a_sign_in_while_a_refresh_is_under_way_wins(office: Office) -> None:
    """Its tokens are newer than what the refresh brings; whoever waited for that goes on with them."""
    credential = await office.hand_over()

    async def sign_in() -> None:
        await office.scene.here.credentials.put(
            TENANT, "ann", NewTokens(access_token="S1", refresh_token="SR1"), profile=ANN, now=NOON
        )

    office.endpoint.meanwhile = sign_in
    renewed = await office.here.after_refusal(credential)
    found = await office.scene.store.credentials.kept(TENANT, "ann")

    assert found is not None
    assert (renewed.access_token, found.refresh_token) == ("S1", "SR1")


async def test_tokens_are_kept_though_the_store_is_away_for_a_while(office: Office) -> None:
    """Nobody else has them: it is waited for, for most of a minute; and when its answer was lost, once is enough."""
    credential = await office.hand_over()
    script = Script()
    script.goes("credentials.renew", lost_answer(), times=len(PATIENCE_WITH_TOKENS) - 1)
    script.goes("credentials.renew", lost_answer(), when="after")
    renewed = await office.process(script).after_refusal(credential)

    assert (renewed.access_token, renewed.generation, office.endpoint.uses) == ("A2", 2, ["R1"])
    assert sum(PATIENCE_WITH_TOKENS) > 45 * SECOND


async def test_an_intent_whose_answer_was_lost_is_known_again(office: Office) -> None:
    """It is written once, used once, and its permit not lost."""
    credential = await office.hand_over()
    script = Script()
    script.goes("credentials.note_refresh", lost_answer(), when="after")
    renewed = await office.process(script).after_refusal(credential)

    assert (renewed.access_token, office.endpoint.uses, len(office.permits.held)) == ("A2", ["R1"], 1)


async def test_an_intent_that_cannot_be_written_costs_no_permit_and_no_token(office: Office) -> None:
    """The store is away: nothing is used."""
    credential = await office.hand_over()
    script = Script()
    script.goes("credentials.note_refresh", lost_answer(), times=10)
    with pytest.raises(StoreUnavailableError):
        await office.process(script).after_refusal(credential)

    assert (office.endpoint.uses, office.permits.held) == ([], [])


@pytest.mark.parametrize("how", ["well", "lost", "busy"])
async def test_a_holder_killed_at_any_moment_burns_no_token_silently(how: str) -> None:
    """Afterwards either what is kept is what Zapier takes, or a sign-in is needed, which is said with its reason.

    It is needed only where the holder died between Zapier's taking the token and the commit of what it handed out.
    """
    ends = []
    for moment in range(100):
        office = Office()
        credential = await office.hand_over()
        session = await office.scene.session("ann")
        office.endpoint.goes(how)  # type: ignore[arg-type]
        fuse = Fuse(moment)
        dying = office.process(fuse)
        with suppress(Killed, ZapwrightError):
            await dying.after_refusal(credential)
        with suppress(Killed):
            await dying.settle()
        for _ in range(3):
            office.scene.clock.advance(LEASE)
            with suppress(ZapwrightError):
                await office.here.after_refusal(credential)
        await office.scene.here.sweep()

        needs_sign_in = (await office.kept()).state is CredentialState.NEEDS_SIGN_IN
        ends.append(needs_sign_in)
        if needs_sign_in:
            assert await office.stands() == LOST, fuse.log[-1]
            assert await office.events(session) == [(EventName.SIGN_IN_NEEDED, "refresh_outcome_lost")]
        else:
            assert await office.is_in_order(), fuse.log[-1]
        assert len(office.endpoint.uses) <= (3 if how == "busy" else 2)
        if not fuse.is_dead:
            break

    assert len(ends) > 5
    assert set(ends) == {"well": {False, True}, "lost": {True}, "busy": {False}}[how]
