"""A deployment in one test: the use cases composed as a process composes them, on a store, a Zapier and a clock.

scene = Scene()
await scene.sign_in("ann")
session = await scene.session("ann", "slack")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.checking import Checker
from orchestrator.commits import Applied, Commits
from orchestrator.core.events import Event, EventName
from orchestrator.core.ports.budget import Budget, Share
from orchestrator.core.ports.credentials import CredentialStore
from orchestrator.core.ports.sessions import SessionStore
from orchestrator.core.ports.store import Store
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.ports.watches import DueWatch, Urgency, Watch, WatchStore
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    SECOND,
    Action,
    Authentication,
    HintKind,
    Millis,
    Session,
    Step,
    WatchKey,
)
from orchestrator.core.signals import ActionChosen, Hinted, MessageReceived
from orchestrator.core.tenants import Tenant
from orchestrator.creation import LOOK_LIMIT, Creator
from orchestrator.credentials import ToldCredentials
from orchestrator.engine import Engine, NewSession, NewStep, OpenedPopup
from orchestrator.filling import Filler
from orchestrator.following import Following
from orchestrator.queries import Queries
from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from orchestrator.supplying import Supplier
from orchestrator.sweeping import Sweeper
from tests.support.clocks import CountedIds, ManualClock
from tests.support.interference import Around, undisturbed, wrapped
from tests.support.upstreams import EGRESS, PARTNER, MemoryUpstream, Zapier
from tests.support.zapier import a_client

TENANT: Final = "default"
SHARDS: Final = 2
LEASE: Final[Millis] = 30 * SECOND
SEND: Final = Action(key="send", action_type="write")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the deployment: the use cases on its own ports."""

    sessions: SessionStore
    watches: WatchStore
    budget: Budget
    credentials: CredentialStore
    upstream: Upstream
    commits: Commits
    engine: Engine
    queries: Queries
    following: Following
    checker: Checker
    creator: Creator
    filler: Filler
    supplier: Supplier
    sweeper: Sweeper
    clock: ManualClock
    ids: CountedIds

    async def look(self) -> int:
        """Check every watch that is due and that the budget has room for; return how many complete listings came."""
        due = await self.watches.peek(now=self.clock.now(), limit=100)
        return sum([await self.check(watch) for watch in due])

    async def check(self, watch: DueWatch) -> bool:
        """Do for one due watch what dispatcher and worker do: permits, lease, check."""
        share = Share.STRONG if watch.urgency is Urgency.STRONG else Share.QUIET
        now = self.clock.now()
        grant = await self.budget.take(watch.pages, egress=EGRESS, partner=PARTNER, share=share, now=now)
        token = self.ids.new("ck")
        is_ours = len(grant.permits) == watch.pages and await self.watches.lease(
            [watch.key], token=token, now=now, until=now + LEASE
        )
        if not is_ours:
            await self.budget.give_back(grant.permits)
            return False
        return await self.checker.check(watch.key, token=token, permits=grant.permits)

    async def sweep(self) -> int:
        """Sweep every shard once."""
        return sum([await self.sweeper.sweep(shard) for shard in range(SHARDS)])


class Scene:
    """Everything that processes share, and one process that nothing disturbs."""

    def __init__(
        self, store: Store | None = None, *, policy: Policy | None = None, limits: Limits | None = None
    ) -> None:
        self.clock = ManualClock()
        self.ids = CountedIds()
        self.policy = policy or Policy()
        self.store: Store = store or MemoryStore(shards=SHARDS, limits=limits or Limits())
        self.zapier = Zapier(self.clock)
        self.here = self.process()

    def process(
        self, around: Around = undisturbed, *, policy: Policy | None = None, look_limit: Millis = LOOK_LIMIT
    ) -> Process:
        """Start a process with something around all its ports."""
        sessions = wrapped(self.store.sessions, "sessions", around)
        receipts = wrapped(self.store.receipts, "receipts", around)
        watches = wrapped(self.store.watches, "watches", around)
        budget = wrapped(self.store.budget, "budget", around)
        kept = wrapped(self.store.credentials, "credentials", around)
        users = wrapped(self.store.users, "users", around)
        clock, ids, policy = self.clock, self.ids, policy or self.policy
        commits = Commits(sessions=sessions, receipts=receipts, watches=watches, clock=clock, ids=ids, policy=policy)
        credentials = ToldCredentials(kept, sessions=sessions, commits=commits)
        client: Upstream = MemoryUpstream(self.zapier, clock=clock, credentials=credentials, budget=budget)
        upstream = wrapped(client, "upstream", around)
        queries = Queries(sessions=sessions, watches=watches, credentials=credentials, clock=clock)
        engine = Engine(
            commits=commits,
            sessions=sessions,
            receipts=receipts,
            watches=watches,
            credentials=credentials,
            users=users,
            upstream=upstream,
            client_of=a_client,
            clock=clock,
            ids=ids,
            policy=policy,
            shards=SHARDS,
        )
        creator = Creator(
            engine=engine,
            commits=commits,
            sessions=sessions,
            credentials=credentials,
            upstream=upstream,
            clock=clock,
            ids=ids,
            policy=policy,
            look_limit=look_limit,
        )
        return Process(
            sessions=sessions,
            watches=watches,
            budget=budget,
            credentials=credentials,
            upstream=upstream,
            commits=commits,
            engine=engine,
            queries=queries,
            following=Following(queries=queries, commits=commits, changes=self.store.changes, clock=clock),
            checker=Checker(
                commits=commits,
                watches=watches,
                credentials=credentials,
                upstream=upstream,
                clock=clock,
                chance=lambda: 0.5,
            ),
            creator=creator,
            filler=Filler(
                engine=engine,
                commits=commits,
                sessions=sessions,
                credentials=credentials,
                upstream=upstream,
                ids=ids,
            ),
            supplier=Supplier(
                engine=engine,
                commits=commits,
                sessions=sessions,
                watches=watches,
                credentials=credentials,
                upstream=upstream,
                tenant_of=self.tenant_of,
                clock=clock,
                ids=ids,
            ),
            sweeper=Sweeper(
                audit=wrapped(self.store.audit, "audit", around),
                creator=creator,
                commits=commits,
                sessions=sessions,
                receipts=receipts,
                watches=watches,
                credentials=credentials,
                sign_ins=self.store.sign_ins,
                clock=clock,
                policy=policy,
            ),
            clock=clock,
            ids=ids,
        )

    # --- users ---

    async def tenant_of(self, tenant_id: str) -> Tenant:
        """Return the tenant, whose own app is `slack`."""
        return Tenant(id=tenant_id, name=tenant_id, own_apps=("slack=username+password",), created_at=0)

    async def sign_in(
        self, user: str, *, token: str | None = None, account: str | None = None, profile: bool = True
    ) -> None:
        """Put a credential of this user, of the Zapier account of the same name if none is given."""
        token = token or f"token-of-{user}"
        self.zapier.sign_in(token, account=account or user, profile=profile)
        await self.here.engine.put_credential(TENANT, user, token, expires_in=None)

    async def session(self, user: str, *apps: str | None, ttl: Millis | None = None) -> Session:
        """Begin a session with these apps."""
        steps = tuple(NewStep(app_id=app) for app in apps)
        new = NewSession(tenant_id=TENANT, user_id=user, steps=steps, ttl=ttl)
        return (await self.here.engine.create_session(new)).session

    async def ready(self, user: str) -> Session:
        """Begin a session of one step that needs no authentication and lacks nothing."""
        session = await self.session(user, "clock")
        chosen = ActionChosen(step_id=session.steps[0].id, action=SEND)
        return (await self.here.engine.apply(session.key, chosen)).session

    async def waiting(self, user: str, attempt_id: str = "at-1") -> Session:
        """Begin a session of one step whose popup is open."""
        session = await self.session(user, "slack")
        return (await self.open(session, attempt_id)).session

    # --- pages ---

    async def open(self, session: Session, attempt_id: str | None = None, *, step: int = 0) -> OpenedPopup:
        """Open the popup of a step."""
        return await self.here.engine.open_popup(session.key, session.steps[step].id, attempt_id)

    async def hint(
        self, session: Session, kind: HintKind = HintKind.FINISHED, *, attempt_id: str = "at-1", step: int = 0
    ) -> Applied:
        """Say what a page saw."""
        signal = Hinted(step_id=session.steps[step].id, attempt_id=attempt_id, kind=kind)
        return await self.here.engine.apply(session.key, signal)

    async def message(
        self, session: Session, authentication_id: str, *, attempt_id: str = "at-1", step: int = 0
    ) -> Applied:
        """Have the popup's message arrive."""
        signal = MessageReceived(
            step_id=session.steps[step].id, attempt_id=attempt_id, authentication_id=authentication_id
        )
        return await self.here.engine.apply(session.key, signal)

    # --- what became of it ---

    async def now(self, session: Session) -> Session:
        """Read the session."""
        return await self.store.sessions.load(session.key)

    async def step(self, session: Session, step: int = 0) -> Step:
        """Read one of its steps."""
        return (await self.now(session)).steps[step]

    async def given(self, session: Session, step: int = 0) -> str | None:
        """Read the id of the authentication a step has."""
        authentication: Authentication | None = (await self.step(session, step)).authentication
        return authentication.id if authentication else None

    async def events(self, session: Session) -> tuple[Event, ...]:
        """Read all its events."""
        return (await self.store.sessions.events(session.id, after=0, limit=1_000)).events

    async def told(self, session: Session) -> list[EventName]:
        """Read the names of its events."""
        return [event.name for event in await self.events(session)]

    async def watch(self, user: str, app_id: str = "slack") -> Watch:
        """Read a watch."""
        key = WatchKey(tenant_id=TENANT, user_id=user, app_id=app_id)
        return await self.store.watches.load(key, now=self.clock.now())

    async def held(self) -> int:
        """Read how many permits are held."""
        by_egress, _ = await self.store.budget.usage(egress=EGRESS, partner=PARTNER, now=self.clock.now())
        return by_egress.held

    async def pass_time(self, duration: Millis, *, tick: Millis = SECOND) -> None:
        """Let time pass with a worker running."""
        until = self.clock.now() + duration
        while self.clock.now() < until:
            await self.here.look()
            self.clock.advance(tick)
        await self.here.sweep()
