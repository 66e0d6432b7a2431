"""The store in plain dicts and the one on Valkey agree, whatever is asked of them in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from operator import attrgetter
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from orchestrator.core.effects import (
    ClaimAuthentication,
    ClosePopup,
    Due,
    Effect,
    Guard,
    LeaseHeld,
    NoOtherPopup,
    OpenPopup,
    StopWaiting,
    Unclaimed,
    Wait,
)
from orchestrator.core.errors import ZapwrightError
from orchestrator.core.ports import PAUSED, Permit, SessionQuery, Settlement, Share
from orchestrator.core.session import App, Instant, Session, SessionStatus, Step, StepState, WatchKey
from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import Store, open_store
from tests.contract.store.conftest import SEALING_KEY
from tests.support.store_values import NOON, SHARDS, TENANT, AnyStore, a_record, a_session, next_commit
from tests.support.valkey import ValkeyServer

LIMITS: Final = Limits(egress=8, partner=12, strong_reserve=1, quiet_reserve=2)
USERS: Final = ["user-1", "user-1", "user-1", "user-2"]
APPS: Final = ["app-1", "app-2"]
STEPS: Final = ["st1", "st2"]
TOKENS: Final = ["t1", "t2"]
NAMES: Final = ["a", "b", "c"]

apps = st.sampled_from(APPS)
steps = st.sampled_from(STEPS)
names = st.sampled_from(["n1", "n2"])
spans = st.sampled_from([-20, -5, 0, 1, 10, 40])
"""Milliseconds from now; few, so that everything meets everything."""


def instants(now: Instant) -> st.SearchStrategy[Instant]:
    """Give moments around now."""
    return spans.map(lambda span: now + span)


def dues(now: Instant) -> st.SearchStrategy[Due]:
    """Give wishes of a watch."""
    maybe = st.none() | instants(now)
    return st.builds(Due, strong=maybe, quiet=maybe, visible_until=st.just(0) | instants(now))


def effects(now: Instant) -> st.SearchStrategy[Effect]:
    """Give anything a commit may ask for."""
    where = {"app_id": apps, "step_id": steps}
    return st.one_of(
        st.builds(Wait, due=dues(now), **where),
        st.builds(Wait, due=st.just(Due(strong=now, quiet=now)), **where),
        st.builds(StopWaiting, **where),
        st.builds(OpenPopup, attempt_id=names, until=instants(now), **where),
        st.builds(ClosePopup, attempt_id=names, **where),
        st.builds(ClaimAuthentication, authentication_id=names, by_difference=st.booleans(), **where),
    )


def guards(now: Instant) -> st.SearchStrategy[Guard]:
    """Give anything a commit may rely on."""
    return st.one_of(
        st.builds(Unclaimed, app_id=apps, authentication_id=names, since=st.just(0) | instants(now)),
        st.builds(NoOtherPopup, app_id=apps, step_id=steps),
        st.builds(LeaseHeld, app_id=apps, token=st.sampled_from(TOKENS)),
    )


class Agreement(RuleBasedStateMachine):
    """Two stores of which everything is asked, and which must give the same answers."""

    server: ClassVar[ValkeyServer]

    def __init__(self) -> None:
        super().__init__()
        self.server.flush()
        self._runner = asyncio.Runner()
        self._memory = MemoryStore(shards=SHARDS, limits=LIMITS)
        self._valkey = self._run(self._opened())
        self.now = NOON

    def teardown(self) -> None:
        self._run(self._valkey.aclose())
        self._runner.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine)

    async def _opened(self) -> Store:
        return open_store(self.server.url, shards=SHARDS, limits=LIMITS, credential_keys=[SEALING_KEY])

    def both(self, operation: str, *args: object, **named: object) -> Any:
        """Ask both, and return the answer they agree on."""
        answers = []
        for store in (self._memory, self._valkey):
            try:
                answers.append(self._run(attrgetter(operation)(store)(*args, **named)))
            except ZapwrightError as error:
                answers.append((type(error), error.facts))
        expected, actual = answers

        assert expected == actual
        return expected

    @rule(span=st.integers(1, 50))
    def time_passes(self, span: int) -> None:
        """Clocks do not run backwards."""
        self.now += span


class SessionsAndWatchesAgree(Agreement):
    """Commits of several sessions and users, checks, pauses and the sweeper's work."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[tuple[str, str], Session] = {}
        self.leases: list[tuple[WatchKey, str]] = []
        self.commits = 0

    def session(self, name: str, user: str) -> Session:
        """Return the session as it was last committed, or as it is before that."""
        return self.sessions.get((name, user)) or a_session(name, user=user, created_at=self.now)

    @rule(data=st.data(), name=st.sampled_from(NAMES), user=st.sampled_from(USERS), repeat=st.booleans())
    def commit(self, data: st.DataObject, name: str, user: str, repeat: bool) -> None:
        """A decision, perhaps sent twice, perhaps on a version that is no longer there."""
        self.commits += 1
        state = data.draw(st.sampled_from(StepState))
        commit = next_commit(
            self.session(name, user),
            commit_id=f"commit-{self.commits}",
            events=data.draw(st.integers(0, 2)),
            now=self.now,
            effects=data.draw(st.lists(effects(self.now), min_size=1, max_size=4)),
            guards=data.draw(st.just([]) | st.just([]) | st.lists(guards(self.now), max_size=1)),
            record=data.draw(st.none() | st.just(a_record())),
            wake_at=data.draw(st.none() | instants(self.now)),
            steps=(Step(id="st1", state=state, app=App(id="app-1", title="A")),),
            ended=data.draw(st.sampled_from([None, None, None, SessionStatus.EXPIRED])),
        )
        answers = [self.both("sessions.commit", commit) for _ in range(1 + repeat)]
        if answers[0] is None:
            self.sessions[name, user] = commit.session

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def rival(self, data: st.DataObject) -> None:
        """A commit on a version from before."""
        session = data.draw(st.sampled_from(sorted(self.sessions.values(), key=lambda session: session.id)))
        stale = replace(session, version=session.version - 1)
        commit = next_commit(stale, commit_id="stale", now=self.now, effects=[wait_now(self.now)])
        self.both("sessions.commit", commit)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        """The sweeper erases a session, as it was seen."""
        known = data.draw(st.sampled_from(sorted(self.sessions)))
        session = self.sessions.pop(known)
        self.both("sessions.purge", session)

    @rule(user=st.sampled_from(USERS), token=st.sampled_from(TOKENS), span=st.integers(1, 60))
    def lease(self, user: str, token: str, span: int) -> None:
        """A dispatcher takes what is due."""
        keys = [WatchKey(tenant_id=TENANT, user_id=user, app_id=app) for app in APPS]
        taken = self.both("watches.lease", keys, token=token, now=self.now, until=self.now + span)
        self.leases += [(key, token) for key in taken]

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """A checker ends its check, perhaps too late, perhaps twice."""
        key, token = data.draw(st.sampled_from(self.leases[-3:]))
        watch = self.both("watches.load", key, now=self.now)
        settlement = Settlement(
            key=key,
            token=token,
            version=watch.version - data.draw(st.sampled_from([0, 0, 0, 1])),
            now=self.now,
            due=data.draw(st.none() | dues(self.now)),
            checked_at=data.draw(st.none() | instants(self.now)),
            pages=data.draw(st.integers(1, 3)),
            failures=data.draw(st.integers(0, 3)),
            retry_at=data.draw(st.none() | instants(self.now) | st.just(PAUSED)),
        )
        self.both("watches.settle", settlement)

    @rule(user=st.sampled_from(USERS))
    def resume(self, user: str) -> None:
        """A new credential was put."""
        self.both("watches.resume", TENANT, user, now=self.now)

    @rule(shard=st.integers(0, SHARDS - 1), span=spans, limit=st.integers(1, 3))
    def forget(self, shard: int, span: int, limit: int) -> None:
        """The sweeper forgets old claims."""
        self.both("watches.forget_claims", shard, before=self.now + span, limit=limit)

    @rule(shard=st.integers(0, SHARDS - 1), limit=st.integers(1, 5))
    def wake(self, shard: int, limit: int) -> None:
        """The sweeper asks what to look at."""
        self.both("sessions.to_wake", shard, now=self.now, limit=limit)

    @rule(
        state=st.none() | st.sampled_from(StepState),
        status=st.none() | st.sampled_from([SessionStatus.BUILDING, SessionStatus.EXPIRED]),
        user_id=st.none() | st.sampled_from(USERS),
        limit=st.integers(1, 4),
    )
    def find(self, state: StepState | None, status: SessionStatus | None, user_id: str | None, limit: int) -> None:
        """An operator reads a list to its end."""
        query = SessionQuery(tenant_id=TENANT, state=state, status=status, user_id=user_id, limit=limit)
        page = self.both("sessions.find", query)
        while page.cursor is not None:
            rest = replace(query, cursor=page.cursor)
            page = self.both("sessions.find", rest)

    @invariant()
    def everything_is_equal(self) -> None:
        """All that can be read of sessions, watches and queues."""
        expected, actual = (self._run(read_all(store, now=self.now)) for store in (self._memory, self._valkey))

        assert expected == actual


async def read_all(store: AnyStore, *, now: Instant) -> list[object]:
    """Read everything about the users of these tests; an error is an answer too."""
    users = sorted(set(USERS))
    sessions = [a_session(name, user=user).id for name in NAMES for user in users]
    watches = [WatchKey(tenant_id=TENANT, user_id=user, app_id=app) for user in users for app in APPS]
    answers = await asyncio.gather(
        *(store.sessions.load(session_id) for session_id in sessions),
        *(store.sessions.events(session_id, after=0) for session_id in sessions),
        *(store.sessions.signals(session_id) for session_id in sessions),
        *(store.sessions.of_user(TENANT, user) for user in users),
        *(store.watches.load(key, now=now) for key in watches),
        *(store.watches.peek(now=now, limit=limit) for limit in (1, 9)),
        store.watches.next_checks(watches),
        store.sessions.find(SessionQuery(tenant_id=TENANT)),
        return_exceptions=True,
    )
    return [repr(answer) if isinstance(answer, ZapwrightError) else answer for answer in answers]


def wait_now(now: Instant) -> Wait:
    """Return the effect that a step waits, at once."""
    return Wait(app_id="app-1", step_id="st1", due=Due(strong=now))


class BudgetsAgree(Agreement):
    """Takers of several addresses and partners, answers, returns and refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.permits: list[Permit] = []

    egress = st.sampled_from(["e1", "e2"])
    partner = st.sampled_from(["p1", "p2"])

    @rule(wanted=st.integers(0, 6), egress=egress, partner=partner, share=st.sampled_from(Share))
    def take(self, wanted: int, egress: str, partner: str, share: Share) -> None:
        """Somebody wants to call Zapier."""
        taking = {"egress": egress, "partner": partner, "share": share, "now": self.now}
        grant = self.both("budget.take", wanted, **taking)
        self.permits += grant.permits

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), is_answered=st.booleans())
    def end(self, data: st.DataObject, is_answered: bool) -> None:
        """Calls were answered, or never sent; sometimes both is said, or twice."""
        permits = data.draw(st.lists(st.sampled_from(self.permits), max_size=3))
        if is_answered:
            self.both("budget.answered", permits, now=self.now)
        else:
            self.both("budget.give_back", permits)

    @rule(egress=egress, partner=partner, span=st.integers(-10, 90_000))
    def cool_down(self, egress: str, partner: str, span: int) -> None:
        """Zapier refused."""
        self.both("budget.cool_down", egress=egress, partner=partner, until=self.now + span)

    @rule(span=st.integers(1_000, 50_000))
    def much_time_passes(self, span: int) -> None:
        """Permits end."""
        self.now += span

    @invariant()
    def everything_is_equal(self) -> None:
        """What each side holds."""
        for egress, partner in (("e1", "p1"), ("e2", "p2")):
            self.both("budget.usage", egress=egress, partner=partner, now=self.now)


@pytest.fixture
def examples() -> settings:
    """Enough to meet every pair of operations, and no more than seconds."""
    return settings(max_examples=60, stateful_step_count=30, suppress_health_check=list(HealthCheck))


@pytest.fixture
def machines(valkey: ValkeyServer) -> Iterator[None]:
    """The server the machines use."""
    Agreement.server = valkey
    yield
    del Agreement.server


@pytest.mark.slow
@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize("machine", [SessionsAndWatchesAgree, BudgetsAgree])
def test_memory_and_valkey_agree(machine: type[Agreement], examples: settings) -> None:
    """Every answer, every error and everything that can be read afterwards is the same."""
    run_state_machine_as_test(machine, settings=examples)
