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
    EndCheck,
    Guard,
    LeaseHeld,
    NoOtherPopup,
    OpenPopup,
    ReleaseClaim,
    StopWaiting,
    Unclaimed,
    Untouched,
    Wait,
)
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.ports.budget import Permit, Share
from orchestrator.core.ports.credentials import NewTokens, Refresh, Standing
from orchestrator.core.ports.sessions import Receipt, SessionQuery, Written
from orchestrator.core.ports.watches import Settlement, WatchQuery
from orchestrator.core.session import App, Instant, Session, SessionStatus, Step, StepState, WatchKey, shard_of
from orchestrator.core.terms import Idempotency
from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import Store, open_store
from tests.contract.store.conftest import SEALING_KEY
from tests.support.store_values import NOON, SHARDS, TENANT, a_receipt, a_record, a_session, next_commit
from tests.support.valkey import ValkeyServer

LIMITS: Final = Limits(egress=8, partner=12, strong_reserve=1, quiet_reserve=2)
USERS: Final = ["user-1", "user-2"]
APPS: Final = ["app-1", "app-2"]
STEPS: Final = ["st1", "st2"]
TOKENS: Final = ["t1", "t2"]
NAMES: Final = ["a", "b", "c"]
REFERENCES: Final = ["order-1", "order-2"]
RECEIPTS: Final = ["r1", "r2"]
HOUR: Final = 3_600_000
STATES: Final = [StepState.CHOOSE_APP, StepState.NEEDS_AUTH, StepState.RESOLVED]
WATCHES: Final = [WatchKey(tenant_id=TENANT, user_id="user-1", app_id=app) for app in APPS]

apps = st.sampled_from(APPS)
steps = st.sampled_from(STEPS)
names = st.sampled_from(["n1", "n2"])
spans = st.sampled_from([-20, -5, 0, 1, 10, 40])
"""Milliseconds from now; few, so that everything meets everything."""


a_step = st.builds(Step, id=steps, state=st.sampled_from(STATES), app=st.builds(App, id=apps, title=st.just("App")))


refreshes = st.builds(Refresh, id=names, tries=st.integers(1, 2), until=st.just(NOON))


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
        st.builds(StopWaiting, **where),
        st.builds(OpenPopup, attempt_id=names, until=instants(now), **where),
        st.builds(ClosePopup, attempt_id=names, **where),
        st.builds(ClaimAuthentication, authentication_id=names, by_difference=st.booleans(), **where),
        st.builds(ReleaseClaim, authentication_id=names, **where),
    )


def guards(now: Instant) -> st.SearchStrategy[Guard]:
    """Give anything a commit may rely on."""
    return st.one_of(
        st.builds(Unclaimed, app_id=apps, authentication_id=names, since=st.just(0) | instants(now)),
        st.builds(NoOtherPopup, app_id=apps, step_id=steps),
        st.builds(LeaseHeld, app_id=apps, token=st.sampled_from(TOKENS)),
        st.builds(Untouched, app_id=apps, version=st.integers(0, 3)),
    )


references = st.none() | st.sampled_from(REFERENCES)


def receipts(now: Instant) -> st.SearchStrategy[Receipt]:
    """Give receipts of few requests, some of them no longer good."""
    return st.builds(
        a_receipt,
        name=st.sampled_from(RECEIPTS),
        fingerprint=st.sampled_from(["f1", "f2"]),
        until=instants(now),
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


class CommitsAgree(Agreement):
    """Decisions about several sessions."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[tuple[str, str], Session] = {}
        self.commits = 0

    def commit(self, name: str, user: str, *, repeat: bool = False, **parts: object) -> None:
        """Commit on the session as it was last committed, or on none."""
        self.commits += 1
        before = self.sessions.get((name, user)) or a_session(name, user=user, created_at=self.now)
        commit = next_commit(before, commit_id=f"commit-{self.commits}", now=self.now, **parts)  # type: ignore[arg-type]
        answers = [self.both("sessions.commit", commit) for _ in range(1 + repeat)]
        if isinstance(answers[0], Written):
            self.sessions[name, user] = commit.session


class SessionsAgree(CommitsAgree):
    """Rivals, lists, the sweeper's questions, and what is kept beside a session."""

    @rule(data=st.data(), name=st.sampled_from(NAMES), user=st.sampled_from(USERS), repeat=st.booleans())
    def decide(self, data: st.DataObject, name: str, user: str, repeat: bool) -> None:
        """A decision, perhaps sent twice."""
        self.commit(
            name,
            user,
            repeat=repeat,
            events=data.draw(st.integers(0, 2)),
            record=data.draw(st.none() | st.just(a_record())),
            wake_at=data.draw(st.none() | instants(self.now)),
            steps=tuple(data.draw(st.lists(a_step, max_size=2))),
            ended=data.draw(st.sampled_from([None, None, SessionStatus.EXPIRED])),
            receipt=data.draw(st.none() | receipts(self.now)),
            **({} if (name, user) in self.sessions else {"reference": data.draw(references)}),
        )

    @rule(user=st.sampled_from(USERS))
    def erase(self, user: str) -> None:
        """A user is erased."""
        self.both("users.erase", TENANT, user, now=self.now)
        self.sessions = {name: session for name, session in self.sessions.items() if name[1] != user}

    @rule(name=st.sampled_from(RECEIPTS), fingerprint=st.sampled_from(["f1", "f2"]))
    def bind(self, name: str, fingerprint: str) -> None:
        """A request without a session comes, perhaps again, perhaps with another body."""
        idempotency = Idempotency(name=name, fingerprint=fingerprint)
        self.both("receipts.bind", TENANT, idempotency, now=self.now, until=self.now + HOUR)

    @rule(user=st.sampled_from(USERS))
    def repeat(self, user: str) -> None:
        """Requests of the user come again."""
        for reference in REFERENCES:
            self.both("sessions.referred", TENANT, user, reference)
        for name in RECEIPTS:
            self.both("receipts.find", TENANT, user, name, now=self.now)

    @rule(limit=st.integers(1, 2))
    def forget(self, limit: int) -> None:
        """The sweeper erases receipts."""
        for shard in range(SHARDS):
            self.both("receipts.forget", shard, now=self.now, limit=limit)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def rival(self, data: st.DataObject) -> None:
        """A decision on a version from before."""
        session = self.sessions[data.draw(st.sampled_from(sorted(self.sessions)))]
        stale = replace(session, version=session.version - 1)
        self.both("sessions.commit", next_commit(stale, commit_id="stale", now=self.now))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        """The sweeper erases a session, as it was seen."""
        session = self.sessions.pop(data.draw(st.sampled_from(sorted(self.sessions))))
        self.both("sessions.purge", session)

    @rule(
        state=st.none() | st.sampled_from(STATES),
        status=st.none() | st.sampled_from([SessionStatus.BUILDING, SessionStatus.EXPIRED]),
        user_id=st.none() | st.sampled_from(USERS),
        app_id=st.none() | apps,
        quoted=st.none() | st.sampled_from(REFERENCES),
        limit=st.integers(1, 4),
    )
    def find(self, limit: int, **wanted: Any) -> None:
        """An operator reads a list to its end."""
        query = SessionQuery(tenant_id=TENANT, limit=limit, **wanted)
        page = self.both("sessions.find", query)
        while page.cursor is not None:
            rest = replace(query, cursor=page.cursor)
            page = self.both("sessions.find", rest)

    @invariant()
    def everything_is_equal(self) -> None:
        """All that can be read of every session, and of all together."""
        self.both("census.situations", [TENANT])
        self.both("census.apps", [TENANT])
        for user in sorted(set(USERS)):
            self.both("sessions.of_user", TENANT, user)
        for shard in range(SHARDS):
            self.both("sessions.to_wake", shard, now=self.now, limit=3)
        for session in self.sessions.values():
            for read in ("load", "signals"):
                self.both(f"sessions.{read}", session.key if read == "load" else session.id)
            self.both("sessions.events", session.id, after=0)


class WatchesAgree(CommitsAgree):
    """Who waits, what is claimed, checks that end well, badly, late or never, pauses, and forgetting."""

    def __init__(self) -> None:
        super().__init__()
        self.leases: list[tuple[WatchKey, str]] = []
        self.generation = 0
        self.standing: Standing | None = None

    @rule(data=st.data(), name=st.sampled_from(NAMES[:2]), is_guarded=st.booleans())
    def decide(self, data: st.DataObject, name: str, is_guarded: bool) -> None:
        """A decision about some watches, perhaps relying on something."""
        relied_on = [data.draw(guards(self.now))] if is_guarded else []
        self.commit(name, "user-1", effects=data.draw(st.lists(effects(self.now), max_size=3)), guards=relied_on)

    @rule(name=st.sampled_from(NAMES[:2]), step=steps)
    def signal(self, name: str, step: str) -> None:
        """Somebody says that they have finished: a check is due now, another one later."""
        for app in APPS:
            due = Due(strong=self.now, quiet=self.now + 40, visible_until=self.now + 10)
            self.commit(name, "user-1", effects=[Wait(app_id=app, step_id=step, due=due)])

    @rule(token=st.sampled_from(TOKENS), span=st.sampled_from([5, 60]), limit=st.integers(1, len(APPS)))
    def lease(self, token: str, span: int, limit: int) -> None:
        """A dispatcher takes what is due."""
        keys = WATCHES[:limit]
        taken = self.both("watches.lease", keys, token=token, now=self.now, until=self.now + span)
        self.leases += [(key, token) for key in taken]

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), is_stale=st.sampled_from([False, False, True]))
    def settle(self, data: st.DataObject, is_stale: bool) -> None:
        """A checker ends its check, perhaps too late, perhaps twice."""
        key, token = data.draw(st.sampled_from(self.leases[-2:]))
        watch = self.both("watches.load", key, now=self.now)
        settlement = Settlement(
            key=key,
            token=token,
            version=watch.version - is_stale,
            now=self.now,
            due=data.draw(st.none() | dues(self.now)),
            checked_at=data.draw(st.none() | instants(self.now)),
            pages=data.draw(st.integers(1, 2)),
            failures=data.draw(st.integers(0, 1)),
            retry_at=data.draw(st.none() | instants(self.now)),
            paused_for=data.draw(st.none() | st.integers(0, 3)),
        )
        self.both("watches.settle", settlement)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), name=st.sampled_from(NAMES[:2]), is_stale=st.sampled_from([False, False, True]))
    def conclude(self, data: st.DataObject, name: str, is_stale: bool) -> None:
        """A checker ends its check by a commit, perhaps too late, perhaps twice."""
        key, token = data.draw(st.sampled_from(self.leases[-2:]))
        watch = self.both("watches.load", key, now=self.now)
        end = EndCheck(
            app_id=key.app_id,
            begun_at=data.draw(instants(self.now)),
            pages=data.draw(st.integers(1, 2)),
            due=data.draw(st.none() | dues(self.now)),
        )
        relied_on = [
            LeaseHeld(app_id=key.app_id, token=token),
            Untouched(app_id=key.app_id, version=watch.version - is_stale),
        ]
        wanted = [*data.draw(st.lists(effects(self.now), max_size=2)), end]
        self.commit(name, "user-1", effects=wanted, guards=relied_on)

    @rule(is_meant=st.sampled_from([True, False, False, False]))
    def erase(self, is_meant: bool) -> None:
        """The user is erased, now and then."""
        if is_meant:
            self.both("users.erase", TENANT, "user-1", now=self.now)
            self.sessions.clear()

    @rule(refresh_token=st.none() | names)
    def sign_in(self, refresh_token: str | None) -> None:
        """A new credential is put."""
        tokens = NewTokens(access_token="t", refresh_token=refresh_token)
        credential = self.both("credentials.put", TENANT, "user-1", tokens, profile=None, now=self.now)
        self.generation = credential.generation

    @rule(is_late=st.sampled_from([False, False, True]), refresh=st.none() | refreshes)
    def refuse(self, is_late: bool, refresh: Refresh | None) -> None:
        """Zapier refuses a token, perhaps one that was replaced, or says that a refresh token is over."""
        generation = self.generation - is_late
        self.both("credentials.need_sign_in", TENANT, "user-1", generation=generation, refresh=refresh)

    @rule(is_late=st.sampled_from([False, False, True]), before=st.none() | refreshes, after=refreshes)
    def want_to_refresh(self, is_late: bool, before: Refresh | None, after: Refresh) -> None:
        """Somebody writes an intent over one that they read, or over none."""
        generation = self.generation - is_late
        self.both("credentials.note_refresh", TENANT, "user-1", generation=generation, before=before, after=after)

    @rule(is_late=st.sampled_from([False, False, True]), refresh=refreshes)
    def renew(self, is_late: bool, refresh: Refresh) -> None:
        """A refresh brings tokens."""
        renewed = self.both(
            "credentials.renew",
            TENANT,
            "user-1",
            NewTokens(access_token="t", refresh_token="r", expires_at=self.now),
            generation=self.generation - is_late,
            refresh_id=refresh.id,
            now=self.now,
        )
        self.generation = renewed.generation if renewed else self.generation

    @rule(is_late=st.booleans())
    def tell(self, is_late: bool) -> None:
        """The sessions are told how the credential is, or was when it was last read."""
        self.standing = (not is_late and self.both("credentials.standing", TENANT, "user-1")) or self.standing
        if self.standing is not None:
            self.both("credentials.told", self.standing)

    @rule(span=spans, limit=st.integers(1, 2))
    def forget(self, span: int, limit: int) -> None:
        """The sweeper forgets old claims."""
        shard = shard_of(TENANT, "user-1", shards=SHARDS)
        self.both("watches.forget_claims", shard, before=self.now + span, limit=limit)

    @invariant()
    def everything_is_equal(self) -> None:
        """All that can be read of every watch and queue, now and later."""
        for key in WATCHES:
            self.both("watches.load", key, now=self.now)
        self.both("watches.next_checks", WATCHES)
        self.both("watches.find", WatchQuery(limit=1))
        self.both("watches.find", WatchQuery())
        self.both("credentials.untold", shard_of(TENANT, "user-1", shards=SHARDS), limit=1)
        self.both("credentials.kept", TENANT, "user-1")
        for limit, span in ((1, 0), (9, 0), (9, 30)):
            self.both("watches.peek", now=self.now + span, limit=limit)


class BudgetsAgree(Agreement):
    """Takers of several addresses and partners, answers, returns and refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.permits: list[Permit] = []

    egress = st.sampled_from(["e1", "e2"])
    partner = st.sampled_from(["p1", "p2"])

    @rule(
        wanted=st.integers(0, 6),
        egress=egress,
        partner=partner,
        share=st.sampled_from(Share),
        user=st.sampled_from([None, "ann", "bob"]),
    )
    def take(self, wanted: int, egress: str, partner: str, share: Share, user: str | None) -> None:
        """Somebody wants to call Zapier."""
        taking = {"egress": egress, "partner": partner, "share": share, "now": self.now, "user": user}
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
    return settings(max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))


@pytest.fixture
def machines(valkey: ValkeyServer) -> Iterator[None]:
    """The server the machines use."""
    Agreement.server = valkey
    yield
    del Agreement.server


@pytest.mark.slow
@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize("machine", [SessionsAgree, WatchesAgree, BudgetsAgree])
def test_memory_and_valkey_agree(machine: type[Agreement], examples: settings) -> None:
    """Every answer, every error and everything that can be read afterwards is the same."""
    run_state_machine_as_test(machine, settings=examples)
