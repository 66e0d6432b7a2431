"""Refreshing, decided: who may use a refresh token, what each answer means, and that deaths burn none silently."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.core.ports.credentials import Credential, CredentialState, Kept, Refresh, SignInReason
from orchestrator.core.ports.tokens import Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.session import MINUTE, Instant
from orchestrator.core.upkeep import (
    AHEAD,
    LEASE,
    LONGEST_CALL,
    MOST_TRIES,
    PAUSE,
    Await,
    Begin,
    NeedSignIn,
    Next,
    PutOff,
    SignInNeeded,
    UseNewer,
    after,
    intent,
    is_ending,
    what_next,
)

NOON: Instant = 1_790_000_000_000
HOUR = 60 * MINUTE
CREDENTIAL = Credential(
    tenant_id="t", user_id="u", generation=3, account="profile:1", access_token="A1", has_refresh_token=True
)
KEPT = Kept(credential=CREDENTIAL, refresh_token="R1")
TOKENS = Tokens(access_token="A2", refresh_token="R2", expires_in=10 * HOUR)


def refresh(*, tries: int = 1, until: Instant = NOON + LEASE) -> Refresh:
    """Return an intent."""
    return Refresh(id="rf1", tries=tries, until=until)


def test_a_call_ends_before_half_the_lease_is_over() -> None:
    """So a holder that lives has written what came of it before anybody takes over."""
    assert LONGEST_CALL < LEASE / 2


@pytest.mark.parametrize(
    ("kept", "generation", "expected"),
    [
        pytest.param(KEPT, 3, Begin(refresh_token="R1", tries=1), id="nobody is at it"),
        pytest.param(KEPT, 2, UseNewer(credential=CREDENTIAL), id="there are newer tokens"),
        pytest.param(
            replace(KEPT, refresh=refresh()), 2, UseNewer(credential=CREDENTIAL), id="newer, being refreshed themselves"
        ),
        pytest.param(
            replace(KEPT, refresh_token=None),
            3,
            NeedSignIn(reason=SignInReason.TOKEN_REFUSED),
            id="not ours to refresh",
        ),
        pytest.param(replace(KEPT, refresh=refresh()), 3, Await(until=NOON + LEASE), id="somebody is at it"),
        pytest.param(replace(KEPT, refresh=refresh(until=NOON + 1)), 3, Await(until=NOON + 1), id="for a moment more"),
        pytest.param(replace(KEPT, refresh=refresh(until=NOON)), 3, Begin(refresh_token="R1", tries=2), id="an orphan"),
        pytest.param(
            replace(KEPT, refresh=refresh(tries=2, until=NOON)),
            3,
            NeedSignIn(reason=SignInReason.REFRESH_OUTCOME_LOST),
            id="an orphan that was retried",
        ),
        pytest.param(replace(KEPT, refresh=refresh(tries=0, until=NOON + 1)), 3, PutOff(until=NOON + 1), id="put off"),
        pytest.param(
            replace(KEPT, refresh=refresh(tries=0, until=NOON)),
            3,
            Begin(refresh_token="R1", tries=1),
            id="put off until now",
        ),
    ],
)
def test_what_next(kept: Kept, generation: int, expected: Next) -> None:
    """For whoever has no use for the tokens of a generation."""
    assert what_next(kept, generation=generation, now=NOON) == expected


@pytest.mark.parametrize("generation", [2, 3])
def test_where_a_sign_in_is_needed_nothing_else_is_tried(generation: int) -> None:
    """Whatever there is to be used."""
    kept = replace(KEPT, credential=replace(CREDENTIAL, state=CredentialState.NEEDS_SIGN_IN))

    assert what_next(kept, generation=generation, now=NOON) == SignInNeeded()


@pytest.mark.parametrize(
    ("tries", "answer", "expected"),
    [
        (1, TOKENS, TOKENS),
        (2, TOKENS, TOKENS),
        (1, TokensOver(), NeedSignIn(reason=SignInReason.REFRESH_REFUSED)),
        (2, TokensOver(), NeedSignIn(reason=SignInReason.REFRESH_OUTCOME_LOST)),
        (1, TokensUnknown(problem="?"), refresh(tries=1, until=NOON + PAUSE)),
        (2, TokensUnknown(problem="?"), NeedSignIn(reason=SignInReason.REFRESH_OUTCOME_LOST)),
        (1, TokensRefused(problem="!"), refresh(tries=0, until=NOON + PAUSE)),
        (1, TokensRefused(problem="!", retry_after=7), refresh(tries=0, until=NOON + 7)),
        (2, TokensRefused(problem="!"), refresh(tries=1, until=NOON + PAUSE)),
    ],
    ids=repr,
)
def test_what_an_answer_means(
    tries: int, answer: Tokens | TokensOver | TokensRefused | TokensUnknown, expected: Tokens | NeedSignIn | Refresh
) -> None:
    """A refusal that used nothing up does not count as a try."""
    assert after(answer, refresh(tries=tries), now=NOON) == expected


@pytest.mark.parametrize(
    ("left", "expected"), [(None, False), (AHEAD + 1, False), (AHEAD, True), (0, True), (-HOUR, True)]
)
def test_a_token_ends_a_minute_before_its_end(left: int | None, *, expected: bool) -> None:
    """Nobody knows when one ends whose end was not told."""
    credential = replace(CREDENTIAL, expires_at=None if left is None else NOON + left)

    assert is_ending(credential, now=NOON) is expected


# --- holders that die, stop, and come late -------------------------------------------------------------------


@dataclass
class Holder:
    """Somebody who wrote an intent, and the answer that is on its way to them, if they have asked."""

    generation: int
    refresh_token: str
    refresh: Refresh
    answer: Tokens | TokensOver | TokensRefused | TokensUnknown | None = None


@dataclass
class Endpoint:
    """Zapier's, which takes each refresh token once."""

    good: str = "R1"
    taken: list[str] = field(default_factory=list)

    def ask(self, refresh_token: str, *, is_lost: bool) -> Tokens | TokensOver | TokensUnknown:
        if refresh_token != self.good:
            return TokensUnknown(problem="lost") if is_lost else TokensOver()
        self.taken.append(refresh_token)
        self.good = f"R{len(self.taken) + 1}"
        tokens = Tokens(access_token=f"A{len(self.taken) + 1}", refresh_token=self.good, expires_in=None)
        return TokensUnknown(problem="lost") if is_lost else tokens


class Deployment:
    """What is kept, as the store's two writes have it, and whoever is at it."""

    def __init__(self) -> None:
        self.now = NOON
        self.kept = KEPT
        self.endpoint = Endpoint()
        self.holders: list[Holder] = []
        self.lost_answers = 0
        self.ids = 0

    def want(self) -> None:
        """A call finds its token refused: that of the generation that is kept."""
        kept = self.kept
        match what_next(kept, generation=kept.credential.generation, now=self.now):
            case Begin() as begin:
                self.ids += 1
                written = intent(begin, refresh_id=f"rf{self.ids}", now=self.now)
                self.kept = replace(kept, refresh=written)
                self.holders.append(Holder(kept.credential.generation, begin.refresh_token, written))
            case NeedSignIn(reason=reason):
                self.need_sign_in(reason)
            case _:
                pass

    def ask(self, number: int, *, how: str) -> None:
        """A holder sends its request."""
        holder = self.pick(number)
        if holder is None or holder.answer is not None:
            return
        if how == "refused":
            holder.answer = TokensRefused(problem="busy")
            return
        if how == "never sent":
            holder.answer = TokensUnknown(problem="lost")
        else:
            holder.answer = self.endpoint.ask(holder.refresh_token, is_lost=how == "lost")
        self.lost_answers += isinstance(holder.answer, TokensUnknown)

    def hear(self, number: int) -> None:
        """A holder hears its answer, and writes what it means."""
        holder = self.pick(number)
        if holder is None or holder.answer is None:
            return
        self.holders.remove(holder)
        is_latest = self.kept.refresh == holder.refresh
        match after(holder.answer, holder.refresh, now=self.now):
            case Tokens() as tokens:
                self.renew(holder, tokens)
            case NeedSignIn(reason=reason) if is_latest:
                self.need_sign_in(reason)
            case Refresh() as left if is_latest:
                self.kept = replace(self.kept, refresh=left)
            case Refresh() if isinstance(holder.answer, TokensRefused):
                self.lost_answers += 1  # that nothing was used up was heard too late to count
            case _:
                pass

    def die(self, number: int) -> None:
        """A holder is killed, whatever it has heard."""
        holder = self.pick(number)
        if holder is not None:
            self.holders.remove(holder)
            self.lost_answers += 1

    def renew(self, holder: Holder, tokens: Tokens) -> None:
        credential = self.kept.credential
        if credential.generation == holder.generation:
            renewed = replace(
                credential,
                access_token=tokens.access_token,
                generation=credential.generation + 1,
                state=CredentialState.ACTIVE,
                reason=None,
            )
            self.kept = Kept(credential=renewed, refresh_token=tokens.refresh_token)

    def need_sign_in(self, reason: SignInReason) -> None:
        marked = replace(self.kept.credential, state=CredentialState.NEEDS_SIGN_IN, reason=reason)
        self.kept = replace(self.kept, credential=marked, refresh=None)

    def pick(self, number: int) -> Holder | None:
        return self.holders[number % len(self.holders)] if self.holders else None


NUMBER = st.integers(0, 3)
EVENTS = st.one_of(
    st.tuples(st.just("want")),
    st.tuples(st.just("ask"), NUMBER, st.sampled_from(["well", "well", "lost", "never sent", "refused"])),
    st.tuples(st.just("hear"), NUMBER),
    st.tuples(st.just("die"), NUMBER),
    st.tuples(st.just("wait"), st.sampled_from([1, PAUSE, LEASE])),
)


def happen(deployment: Deployment, event: tuple[object, ...]) -> None:
    """Let one thing happen."""
    match event:
        case ("ask", int(number), str(how)):
            deployment.ask(number, how=how)
        case ("hear", int(number)):
            deployment.hear(number)
        case ("die", int(number)):
            deployment.die(number)
        case ("wait", int(duration)):
            deployment.now += duration
        case _:
            deployment.want()


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=40))
@example(
    [("want",), ("wait", LEASE), ("ask", 0, "refused"), ("want",), ("wait", LEASE), ("ask", 1, "refused"), ("want",)]
)
def test_no_refresh_token_is_burnt_without_that_being_said(events: list[tuple[object, ...]]) -> None:
    """Whoever dies, stops or comes late.

    One intent is in force at a time, and each token is used twice at most. In the end, when all who live have heard
    their answers and time has passed, either the newest tokens are kept, or a sign-in is needed, which is said with its
    reason; and without any answer that is lost, or comes too late, it is never needed.
    """
    deployment = Deployment()
    for event in events:
        happen(deployment, event)
        in_force = [one for one in deployment.holders if deployment.now < one.refresh.until]
        assert len({one.refresh.id for one in in_force if one.generation == deployment.kept.credential.generation}) <= 1
        assert all(one.refresh.tries <= MOST_TRIES for one in deployment.holders)

    while deployment.holders:
        deployment.ask(0, how="well")
        deployment.hear(0)
    for _ in range(2 * MOST_TRIES + 1):
        deployment.now += LEASE
        deployment.want()
        deployment.ask(0, how="well")
        deployment.hear(0)
        if deployment.kept.credential.state is not CredentialState.ACTIVE:
            break

    credential = deployment.kept.credential
    if credential.state is CredentialState.ACTIVE:
        assert deployment.kept.refresh_token == deployment.endpoint.good
    else:
        assert credential.reason is SignInReason.REFRESH_OUTCOME_LOST
        assert deployment.lost_answers
