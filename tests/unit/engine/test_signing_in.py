"""Signing in, where two come at once, somebody dies, or something is away: nothing is given twice, or to the wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, Literal

import pytest

from orchestrator.core.errors.credentials import SignInRefusedError, SignInRequiredError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.tenants import ClientMissingError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamUnavailableError
from orchestrator.core.metering import Unmetered
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import Credential, Profile
from orchestrator.core.ports.tokens import Client, Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.session import MINUTE, Instant, Millis
from orchestrator.core.sign_ins import Failure, SignIn, SignInState, name_for
from orchestrator.signing_in import SignIns, SignInWish
from orchestrator.store.memory import MemoryStore
from tests.support.interference import Around, Call, Fuse, Killed, Script, undisturbed, wrapped
from tests.support.stories import NOON

HERE: Final = "https://app.example"
BROWSER: Final = "browser-secret"
CALLBACK: Final = "https://api.example/zapier-sign-in/callback"
TOKENS: Final = Tokens(access_token="at", refresh_token="rt", expires_in=60 * MINUTE)
ANN: Final = Profile(id="p1", email="ann@example.com")
Answer = Tokens | TokensOver | TokensRefused | TokensUnknown


@dataclass
class Zapier:
    """Zapier, which says what a test has it say."""

    answer: Answer = TOKENS
    profile_or_trouble: Profile | Exception | None = ANN
    exchanged: list[tuple[str, str, str]] = field(default_factory=list)
    counted_for: list[tuple[str, str | None]] = field(default_factory=list)
    room: int = 100
    held: list[str] = field(default_factory=list)
    read_with: list[str] = field(default_factory=list)

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        self.counted_for.append((tenant_id, user_id))
        if self.room == len(self.held):
            raise UpstreamBusyError(retry_after=1_000)
        self.held.append(f"p{len(self.counted_for)}")
        return Permit(id=self.held[-1], egress="e", partner="p", start_by=NOON + MINUTE)

    async def give_back(self, permits: Sequence[Permit]) -> None:
        for permit in permits:
            self.held.remove(permit.id)

    async def profile(
        self, tenant_id: str, access_token: str, *, user_id: str | None = None, permits: Sequence[Permit] = ()
    ) -> Profile | None:
        self.read_with += [f"{permit.id} of {user_id}" for permit in permits]
        if isinstance(self.profile_or_trouble, Exception):
            raise self.profile_or_trouble
        return self.profile_or_trouble

    async def exchange_code(
        self, client: Client, code: str, *, redirect_uri: str, limit: Millis, permit: Permit
    ) -> Answer:
        self.exchanged.append((client.id, code, redirect_uri))
        await asyncio.sleep(0)
        return self.answer


class Ends(Unmetered):
    """Writes down how sign-ins end."""

    def __init__(self) -> None:
        self.all: list[Failure | None] = []

    def signed_in(self, failure: Failure | None) -> None:
        self.all.append(failure)


@dataclass
class Clock:
    """A clock that stands."""

    at: Instant = NOON

    def now(self) -> Instant:
        return self.at

    async def sleep(self, duration: Millis) -> None:
        self.at += duration


@dataclass
class Eraser:
    """Erases Ann at one moment: just before, or just after, one of a process's calls."""

    store: MemoryStore
    at: int

    async def __call__(self, name: str, call: Call) -> Any:
        await self._pass()
        answer = await call()
        await self._pass()
        return answer

    async def _pass(self) -> None:
        if self.at == 0:
            await self.store.users.erase("acme", "ann", now=NOON)
        self.at -= 1


_ids = count()
"""No scene has an id that another has: some share a store."""


class Scene:
    """A deployment with one browser before it."""

    def __init__(self, around: Around = undisturbed, *, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore(shards=4)
        self.zapier = Zapier()
        self.ends = Ends()
        self.client: Client | None = Client(id="acme-client", secret="s")
        self.clock = Clock()
        zapier: Any = self.zapier
        clock: Any = self.clock
        self.sign_ins = SignIns(
            store=wrapped(self.store.sign_ins, "sign_ins", around),
            credentials=wrapped(self.store.credentials, "credentials", around),
            upstream=zapier,
            oauth=wrapped(zapier, "oauth", around),
            client_of=self._client_of,
            clock=clock,
            ids=self,
            authorize_url="https://zapier.example/authorize",
            scopes=("zap", "zap:write"),
            limit=5_000,
            shards=4,
            meter=self.ends,
        )

    def new(self, prefix: str) -> str:
        return f"{prefix}{next(_ids):020d}"

    async def _client_of(self, tenant_id: str) -> Client | None:
        return self.client

    async def away(self) -> str:
        """Begin a sign-in of Ann's and open it; return the state that Zapier hands back."""
        wish = SignInWish(browser=name_for(HERE, BROWSER), origins=[HERE])
        begun = await self.sign_ins.begin("acme", "ann", wish)
        way = await self.sign_ins.open(begun.token, browser_secret=BROWSER, redirect_uri=CALLBACK)
        return way.rpartition("state=")[2]

    async def finish(self, state: str) -> SignIn:
        """Bring a code back."""
        return await self.sign_ins.finish(state, browser_secret=BROWSER, brought="code")

    async def sign_in(self) -> SignIn:
        """Go all the way."""
        return await self.finish(await self.away())

    async def credential(self) -> Credential | None:
        """Return what is kept of Ann's access."""
        return await self.store.credentials.get("acme", "ann")


async def test_what_somebody_brings_back_counts_for_them() -> None:
    """Zapier is asked about any code, real or made up: whoever makes them up uses no more than one user may."""
    scene = Scene()
    scene.zapier.answer = TokensOver()
    await scene.sign_in()

    assert scene.zapier.counted_for == [("acme", "ann")] * 2
    assert scene.zapier.held == ["p1"], "what was not used is given back"


async def test_whose_token_it_is_is_read_with_a_permit_that_was_there_before_the_code_was_used() -> None:
    """It counts for the user, too."""
    scene = Scene()
    await scene.sign_in()

    assert (scene.zapier.counted_for, scene.zapier.read_with) == ([("acme", "ann")] * 2, ["p2 of ann"])


async def test_a_code_becomes_the_users_credential() -> None:
    """With all that came with it, under the client that was asked for, to the letter of where it was sent."""
    scene = Scene()
    over = await scene.sign_in()
    credential = await scene.credential()

    assert (over.state, scene.ends.all) == (SignInState.SIGNED_IN, [None])
    assert scene.zapier.exchanged == [("acme-client", "code", CALLBACK)]
    assert credential is not None
    assert (credential.access_token, credential.expires_at, credential.profile_id) == ("at", NOON + 60 * MINUTE, "p1")
    assert credential.has_refresh_token


async def test_of_two_that_come_back_at_once_one_asks_zapier() -> None:
    """The other is refused; the code is used once."""
    scene = Scene()
    state = await scene.away()
    outcomes = await asyncio.gather(scene.finish(state), scene.finish(state), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["SignIn", "SignInRefusedError"]
    assert len(scene.zapier.exchanged) == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (TokensOver(), Failure.CODE_REFUSED),
        (TokensRefused(problem="not reached"), Failure.NOT_REACHED),
        (TokensRefused(problem="401", is_client_wrong=True), Failure.CLIENT_REFUSED),
        (TokensUnknown(problem="no answer"), Failure.ANSWER_LOST),
    ],
    ids=["used", "not reached", "client", "lost"],
)
async def test_whatever_zapier_answers_is_told_apart(answer: Answer, failure: Failure) -> None:
    """And what there was is kept."""
    scene = Scene()
    scene.zapier.answer = answer
    over = await scene.sign_in()

    assert (over.state, over.failure, scene.ends.all) == (SignInState.FAILED, failure, [failure])
    assert await scene.credential() is None


@pytest.mark.parametrize("room", [0, 1])
async def test_without_room_in_the_budget_for_all_of_it_nothing_is_asked(room: int) -> None:
    """And that can be tried again; nothing is held meanwhile."""
    scene = Scene()
    scene.zapier.room = room
    over = await scene.sign_in()

    assert (over.failure, scene.zapier.exchanged, scene.zapier.held) == (Failure.NOT_REACHED, [], [])


async def test_a_client_that_goes_while_its_user_is_away_is_missed() -> None:
    """Before anybody is sent, it is an error; afterwards, the end of the sign-in."""
    scene = Scene()
    state = await scene.away()
    scene.client = None
    over = await scene.finish(state)

    assert (over.failure, scene.zapier.exchanged) == (Failure.CLIENT_REFUSED, [])
    with pytest.raises(ClientMissingError):
        await scene.away()


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (UpstreamUnavailableError(problem="away"), SignInState.SIGNED_IN),
        (UpstreamBusyError(retry_after=1_000), SignInState.SIGNED_IN),
        (None, SignInState.SIGNED_IN),
        (SignInRequiredError(user_id=""), SignInState.FAILED),
    ],
    ids=["away", "busy", "not allowed", "refused"],
)
async def test_a_token_is_worth_keeping_unless_zapier_refuses_it(trouble: Exception | None, state: SignInState) -> None:
    """Whose it is can be read later, and counts as nobody's known until then."""
    scene = Scene()
    scene.zapier.profile_or_trouble = trouble
    over = await scene.sign_in()

    assert over.state is state
    assert (await scene.credential() is not None) == (state is SignInState.SIGNED_IN)


async def test_a_process_may_die_at_any_moment() -> None:
    """The code is used once at most, a credential is there whole or not at all, and the user can sign in again."""
    living = Scene(fuse := Fuse())
    state = await living.away()
    before = fuse.count
    await living.finish(state)
    for at in range(before, fuse.count):
        scene = Scene(dying := Fuse(at))
        state = await scene.away()
        with pytest.raises(Killed):
            await scene.finish(state)
        survivor = Scene(store=scene.store)
        survivor.zapier = scene.zapier
        with suppress(SignInRefusedError):
            await survivor.finish(state)
        credential = await scene.credential()

        assert dying.is_dead
        assert credential is None or (credential.access_token, credential.has_refresh_token) == ("at", True)
        assert len(scene.zapier.exchanged) <= 1
        assert (await Scene(store=scene.store).sign_in()).state is SignInState.SIGNED_IN


async def test_a_user_who_is_erased_at_any_moment_of_it_is_not_brought_back() -> None:
    """Not even by tokens that Zapier handed out before."""
    living = Scene()
    state = await living.away()
    await Scene(fuse := Fuse(), store=living.store).finish(state)
    for at in range(fuse.count):
        scene = Scene()
        state = await scene.away()
        with suppress(SignInRefusedError):
            await Scene(Eraser(scene.store, at), store=scene.store).finish(state)

        assert await scene.credential() is None, fuse.log[at]


async def test_a_store_that_is_away_changes_nothing() -> None:
    """What was not written can be asked for again, in the same browser."""
    script = Script()
    scene = Scene(script)
    state = await scene.away()
    script.goes("sign_ins.move", StoreUnavailableError(problem="away"))
    with pytest.raises(StoreUnavailableError):
        await scene.finish(state)

    assert scene.zapier.exchanged == []
    assert (await scene.finish(state)).state is SignInState.SIGNED_IN


@pytest.mark.parametrize("when", ["instead", "after"])
async def test_tokens_that_were_handed_out_are_kept_though_the_store_is_away_just_then(
    when: Literal["instead", "after"],
) -> None:
    """The code is used up: without them the user would have to allow it once more."""
    script = Script()
    scene = Scene(script)
    state = await scene.away()
    script.goes("credentials.put", StoreUnavailableError(problem="away"), when=when, times=3)
    over = await scene.finish(state)
    credential = await scene.credential()

    assert over.state is SignInState.SIGNED_IN
    assert credential is not None
    assert credential.access_token == "at"
    assert len(scene.zapier.exchanged) == 1


async def test_what_came_of_it_is_shown_to_its_browser_alone() -> None:
    """Others are told that it is not theirs."""
    scene = Scene()
    over = await scene.sign_in()

    assert await scene.sign_ins.read(over.id, browser_secret=BROWSER) == replace(over)
    with pytest.raises(SignInRefusedError):
        await scene.sign_ins.read(over.id, browser_secret="another")
