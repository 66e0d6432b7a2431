"""The composition root: one process's Zapwright, put together from its settings."""

from __future__ import annotations

import asyncio
import gc
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from orchestrator.checking import Checker
from orchestrator.clock import Measure, RandomIds, SystemClock
from orchestrator.commits import Commits
from orchestrator.core.endpoints import Networks
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.store import Store
from orchestrator.core.ports.tokens import OAuth
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.ports.webhooks import Post
from orchestrator.core.ports.workers import Queues
from orchestrator.core.schedule import Policy
from orchestrator.core.session import SECOND, Millis
from orchestrator.creation import Creator
from orchestrator.credentials import ToldCredentials
from orchestrator.delivering import Courier
from orchestrator.directory import Directory
from orchestrator.engine import Engine
from orchestrator.filling import Filler
from orchestrator.following import Following
from orchestrator.insight import Insight
from orchestrator.interventions import Interventions
from orchestrator.metrics import Metrics
from orchestrator.oversight import Oversight
from orchestrator.posting import AiohttpPost
from orchestrator.queries import Queries
from orchestrator.recollection import Recollection
from orchestrator.sampling import Sampler
from orchestrator.settings import ZAPIERS_API_URL, Settings, millis
from orchestrator.signing import BYTES_OF_SECRET, secret_of
from orchestrator.signing_in import SignIns
from orchestrator.store.limits import QUIET_RESERVE, STRONG_RESERVE, UNLIMITED, Limits
from orchestrator.store.opening import open_store
from orchestrator.store.workers import RedisQueues
from orchestrator.supplying import Supplier
from orchestrator.sweeping import Sweeper
from orchestrator.upkeep import Upkeep
from orchestrator.webhooks import Webhooks
from orchestrator.zapier.client import ZapierClient
from orchestrator.zapier.limits import Limits as CallLimits
from orchestrator.zapier.oauth import ZapierOAuth
from orchestrator.zapier.permits import PermitSource

CONNECTIONS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)
"""To Zapier; kept longer than httpx does by default, so that few checks begin with a TLS handshake."""

LIMIT_OF_FULL_RESERVES = 60
"""A limit smaller than this has smaller reserves, in proportion."""

TICK: Final[Millis] = 10 * SECOND

COLLECTED_AFTER: Final = (50_000, 20, 50)
"""Objects made and not freed before the youngest are collected; collections of one age before one of the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zapwright:
    """Everything a process of ours works with."""

    settings: Settings
    metrics: Metrics
    sampler: Sampler
    store: Store
    clock: Clock
    ids: Ids
    policy: Policy
    limits: Limits
    http: httpx.AsyncClient
    upstream: Upstream
    oauth: OAuth
    upkeep: Upkeep
    commits: Commits
    engine: Engine
    sign_ins: SignIns
    queries: Queries
    oversight: Oversight
    following: Following
    checker: Checker
    filler: Filler
    creator: Creator
    supplier: Supplier
    sweeper: Sweeper
    directory: Directory
    courier: Courier
    webhooks: Webhooks
    insight: Insight
    interventions: Interventions


def compose(  # noqa: PLR0913 - all that can stand in the world's place
    settings: Settings,
    *,
    store: Store,
    http: httpx.AsyncClient,
    clock: Clock,
    ids: Ids,
    chance: Callable[[], float] = random.random,
    upstream: Upstream | None = None,
    oauth: OAuth | None = None,
    post: Post | None = None,
    queues: Queues | None = None,
    metrics: Metrics | None = None,
) -> Zapwright:
    """Put a Zapwright together on a store and a clock of the caller's choice; `upstream` and `oauth` in Zapier's place.

    Webhook messages go by `post`, by default over sockets, which the caller then closes. How much lies in the queues is
    told by `queues`, if anybody can tell. What happens is counted by `metrics`; what the store counts itself, by those
    that it was opened with.
    """
    policy, limits, metrics = settings.policy(), rate_limits(settings), metrics or Metrics()
    commits = Commits(
        sessions=store.sessions,
        receipts=store.receipts,
        watches=store.watches,
        clock=clock,
        ids=ids,
        policy=policy,
        meter=metrics,
    )
    credentials = ToldCredentials(store.credentials, sessions=store.sessions, commits=commits)
    secret = settings.zapier_client_secret
    directory = Directory(
        tenants=store.tenants,
        api_keys=store.api_keys,
        default=settings.default_tenant(),
        clock=clock,
        default_secret=secret.get_secret_value() if secret else None,
    )
    oauth = oauth or ZapierOAuth(
        token_url=settings.token_url(), http=http, budget=store.budget, clock=clock, meter=metrics
    )
    permits = PermitSource(
        budget=store.budget,
        clock=clock,
        egress=settings.egress_group,
        partner_of=directory.partner_of,
        patience=millis(settings.interactive_wait_s),
    )
    upkeep = Upkeep(
        credentials=credentials,
        oauth=oauth,
        permits=permits,
        client_of=directory.client_of,
        clock=clock,
        ids=ids,
        patience=millis(settings.interactive_wait_s),
        call_limit=millis(settings.call_limit_s),
        meter=metrics,
    )
    upstream = upstream or ZapierClient(
        base_url=settings.zapier_api_url or ZAPIERS_API_URL,
        http=http,
        permits=permits,
        access=upkeep,
        calls=store.calls,
        cache=store.cache,
        clock=clock,
        limits=CallLimits(call_limit=millis(settings.call_limit_s)),
        meter=metrics,
    )
    courier = Courier(
        deliveries=store.deliveries,
        endpoints=store.endpoints,
        post=post or posting(settings, clock),
        clock=clock,
        chance=chance,
        limit=millis(settings.webhook_limit_s),
        meter=metrics,
    )
    queries = Queries(sessions=store.sessions, watches=store.watches, credentials=credentials, clock=clock)
    engine = Engine(
        commits=commits,
        sessions=store.sessions,
        receipts=store.receipts,
        watches=store.watches,
        credentials=credentials,
        users=store.users,
        upstream=upstream,
        client_of=directory.client_of,
        clock=clock,
        ids=ids,
        policy=policy,
        shards=settings.shards,
    )
    creator = Creator(
        engine=engine,
        commits=commits,
        sessions=store.sessions,
        credentials=credentials,
        upstream=upstream,
        clock=clock,
        ids=ids,
        policy=policy,
    )
    webhooks = Webhooks(
        endpoints=store.endpoints,
        deliveries=store.deliveries,
        sessions=store.sessions,
        queries=queries,
        courier=courier,
        clock=clock,
        ids=ids,
        networks=Networks.of(settings.webhook_allowed_networks),
        new_secret=new_secret,
    )
    oversight = Oversight(
        sessions=store.sessions,
        census=store.census,
        watches=store.watches,
        budget=store.budget,
        deliveries=store.deliveries,
        endpoints=store.endpoints,
        workers=store.workers,
        queues=queues,
        queries=queries,
        directory=directory,
        clock=clock,
        egress=settings.egress_group,
        shards=settings.shards,
    )
    return Zapwright(
        settings=settings,
        metrics=metrics,
        sampler=Sampler(
            census=store.census,
            deliveries=store.deliveries,
            endpoints=store.endpoints,
            directory=directory,
            oversight=oversight,
            clock=clock,
            shards=settings.shards,
        ),
        store=store,
        clock=clock,
        ids=ids,
        policy=policy,
        limits=limits,
        http=http,
        upstream=upstream,
        oauth=oauth,
        upkeep=upkeep,
        commits=commits,
        engine=engine,
        sign_ins=SignIns(
            store=store.sign_ins,
            credentials=credentials,
            upstream=upstream,
            oauth=oauth,
            client_of=directory.client_of,
            clock=clock,
            ids=ids,
            authorize_url=settings.authorize_url(),
            scopes=settings.zapier_scopes,
            limit=millis(settings.call_limit_s),
            shards=settings.shards,
            meter=metrics,
        ),
        queries=queries,
        oversight=oversight,
        following=Following(queries=queries, commits=commits, changes=store.changes, clock=clock),
        checker=Checker(
            commits=commits,
            watches=store.watches,
            credentials=credentials,
            upstream=upstream,
            clock=clock,
            chance=chance,
        ),
        filler=Filler(
            engine=engine,
            commits=commits,
            sessions=store.sessions,
            credentials=credentials,
            upstream=upstream,
            ids=ids,
        ),
        creator=creator,
        supplier=Supplier(
            engine=engine,
            commits=commits,
            sessions=store.sessions,
            watches=store.watches,
            credentials=credentials,
            upstream=upstream,
            tenant_of=directory.tenant,
            clock=clock,
            ids=ids,
        ),
        sweeper=Sweeper(
            creator=creator,
            commits=commits,
            sessions=store.sessions,
            receipts=store.receipts,
            watches=store.watches,
            audit=store.audit,
            credentials=credentials,
            sign_ins=store.sign_ins,
            clock=clock,
            policy=policy,
        ),
        directory=directory,
        courier=courier,
        webhooks=webhooks,
        insight=Insight(
            sessions=store.sessions,
            watches=store.watches,
            credentials=credentials,
            budget=store.budget,
            endpoints=store.endpoints,
            deliveries=store.deliveries,
            audit=store.audit,
            calls=store.calls,
            workers=store.workers,
            oversight=oversight,
            directory=directory,
            clock=clock,
            policy=policy,
            egress=settings.egress_group,
        ),
        interventions=Interventions(
            commits=commits,
            engine=engine,
            webhooks=webhooks,
            watches=store.watches,
            credentials=credentials,
            budget=store.budget,
            workers=store.workers,
            audit=store.audit,
            directory=directory,
            clock=clock,
            ids=ids,
            egress=settings.egress_group,
        ),
    )


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    redis_url: str,
    transport: httpx.AsyncBaseTransport | None = None,
    upstream: Upstream | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[Zapwright]:
    """Open the store and the connections of one process, and close them afterwards.

    Requests to Zapier go by `transport`, by default over sockets; with `upstream` none are made. What happens is
    counted by `metrics`.

    Raises StoreUnfitError when the store is not one to trust (evicting, too old, other shards), StoreUnavailableError
    when it does not answer.
    """
    metrics = metrics or Metrics()
    store = open_store(
        redis_url,
        shards=settings.shards,
        limits=rate_limits(settings),
        credential_keys=tuple(key.get_secret_value() for key in settings.credential_keys),
        replicas=settings.store_replicas,
        meter=metrics,
    )
    clock = SystemClock()
    post = posting(settings, clock)
    queues = RedisQueues(settings.queues_url(redis_url))
    http = httpx.AsyncClient(trust_env=False, follow_redirects=False, limits=CONNECTIONS, transport=transport)
    try:
        await store.check()
        clock.offset = await store.clock_offset(clock.now)
        zapwright = compose(
            settings,
            store=store,
            http=http,
            clock=clock,
            ids=RandomIds(),
            upstream=upstream,
            post=post,
            queues=queues,
            metrics=metrics,
        )
        ticking = asyncio.create_task(tick(clock, store.clock_offset, zapwright.commits.recollection))
        try:
            yield zapwright
        finally:
            await zapwright.upkeep.settle()
            ticking.cancel()
    finally:
        await post.aclose()
        await queues.aclose()
        await http.aclose()
        await store.aclose()


async def tick(clock: SystemClock, measure: Measure, recollection: Recollection, *, every: Millis = TICK) -> None:
    """Let go of what a process has recalled for too long, though nothing happens, and correct its clock; for ever."""
    while True:
        await clock.sleep(every)
        recollection.let_go()
        await clock.correct(measure)


def posting(settings: Settings, clock: Clock) -> AiohttpPost:
    """Return what carries webhook messages; nothing is connected yet."""
    networks = Networks.of(settings.webhook_allowed_networks)
    return AiohttpPost(networks=networks, limit=millis(settings.webhook_limit_s), clock=clock)


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return secret_of(secrets.token_bytes(BYTES_OF_SECRET))


def settle_down() -> None:
    """Tell the garbage collector that what is there now stays; called once, when a process has started.

    Everything a library made at import is looked at by every full collection, which holds all requests up for tens of
    milliseconds. What a request leaves behind is freed by counting references; cycles are few, and can wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


def rate_limits(settings: Settings) -> Limits:
    """Return Zapier's rate limits as the settings have them; of a small one less is held back for those who wait.

    Where there are none, nobody takes anything from anybody, and what one user does is not bounded either.
    """
    given = [limit for limit in (settings.rate_limit_egress, settings.rate_limit_partner) if limit != UNLIMITED]
    smallest = min(given, default=LIMIT_OF_FULL_RESERVES)
    quiet, strong = (reserve * smallest // LIMIT_OF_FULL_RESERVES for reserve in (QUIET_RESERVE, STRONG_RESERVE))
    return Limits(
        egress=settings.rate_limit_egress,
        partner=settings.rate_limit_partner,
        user=settings.rate_limit_user if given else UNLIMITED,
        call_limit=millis(settings.call_limit_s),
        quiet_reserve=min(quiet, QUIET_RESERVE),
        strong_reserve=min(strong, STRONG_RESERVE),
    )
