"""A scripted Zapier and what a `ZapierClient` needs around it, with everything that was asked kept for the test."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import httpx

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.budget import Budget, Grant, Permit, Permits, Share, Usage
from orchestrator.core.ports.credentials import Credential, CredentialStore, NewTokens, Profile
from orchestrator.core.ports.tokens import Client, OAuth, Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.session import SECOND, Instant, Millis
from orchestrator.store.memory.around import MemoryCache
from orchestrator.store.memory.audit import MemoryCallLog
from orchestrator.store.memory.credentials import MemoryCredentialStore
from orchestrator.store.memory.state import State
from orchestrator.store.switchboard import Switchboard
from orchestrator.upkeep import Upkeep
from orchestrator.zapier import Limits, ZapierClient
from orchestrator.zapier.permits import PermitSource
from tests.support.clocks import CountedIds

NOON: Final[Instant] = 1_790_000_000_000
BASE: Final = "https://zapier.test"
TOKEN: Final = "token-of-ann"
APP: Final = "11111111-2222-3333-4444-555555555555"
OTHER_APP: Final = "99999999-2222-3333-4444-555555555555"
THIRD_APP: Final = "55555555-2222-3333-4444-555555555555"
CONNECT: Final = "https://zapier.com/engine/auth/start/ChatCLIAPI@1.0.0?redirect=x"

RefreshAnswer: TypeAlias = Tokens | TokensOver | TokensRefused | TokensUnknown
Scripted: TypeAlias = httpx.Response | Exception | Callable[[httpx.Request], Awaitable[httpx.Response]]


@dataclass(slots=True)
class ManualClock:
    """A clock that moves when a test says so, or when somebody sleeps by it."""

    at: Instant = NOON
    naps: list[Millis] = field(default_factory=list)

    def now(self) -> Instant:
        return self.at

    async def sleep(self, duration: Millis) -> None:
        self.naps.append(duration)
        self.at += duration


class RecordingBudget:
    """A budget that gives what a test says it has, and writes down what it is told."""

    def __init__(self) -> None:
        self.room = 1_000
        self.refusals: deque[Instant | None] = deque()
        self.is_away = False
        self.taken: list[Permit] = []
        self.shares: list[Share] = []
        self.users: list[str | None] = []
        self.told: list[tuple[str, str, Instant | None]] = []
        self.cooled: list[tuple[str, str, Instant]] = []

    async def take(
        self, wanted: int, *, egress: str, partner: str, share: Share, now: Instant, user: str | None = None
    ) -> Grant:
        if self.is_away:
            raise StoreUnavailableError(problem="away")
        self.shares.append(share)
        self.users.append(user)
        if self.refusals:
            return Grant(permits=(), retry_at=self.refusals.popleft())
        if self.room < wanted:
            return Grant(permits=(), retry_at=now + 30_000)
        self.room -= wanted
        permits = tuple(
            permit(f"p{len(self.taken) + number}", start_by=now + 15_000) for number in range(1, wanted + 1)
        )
        self.taken.extend(permits)
        return Grant(permits=permits)

    async def answered(self, permits: Sequence[Permit], *, now: Instant) -> None:
        self._tell("answered", permits, now)

    async def give_back(self, permits: Sequence[Permit]) -> None:
        self._tell("given back", permits, None)

    async def cool_down(self, *, egress: str, partner: str, until: Instant) -> None:
        if self.is_away:
            raise StoreUnavailableError(problem="away")
        self.cooled.append((egress, partner, until))

    async def usage(self, *, egress: str, partner: str, now: Instant) -> tuple[Usage, Usage]:
        raise NotImplementedError

    def _tell(self, what: str, permits: Sequence[Permit], at: Instant | None) -> None:
        if self.is_away:
            raise StoreUnavailableError(problem="away")
        self.told.extend((what, permit.id, at) for permit in permits)

    def fate_of(self, permit_id: str) -> list[str]:
        """Say what the budget was told about a permit."""
        return [what for what, told_id, _ in self.told if told_id == permit_id]


def permit(permit_id: str, *, start_by: Instant = NOON + 15_000) -> Permit:
    """Return a permit of the egress and the partner of these tests."""
    return Permit(id=permit_id, egress="out", partner="client-of-acme", start_by=start_by)


class NotingCache(MemoryCache):
    """A cache that remembers under which keys it was told something."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    async def put(self, key: str, value: bytes, *, now: Instant, until: Instant) -> None:
        self.keys.append(key)
        await super().put(key, value, now=now, until=until)


class ScriptedZapier:
    """Gives the answers of a script in order, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._script: deque[Scripted] = deque()

    def answers(self, *script: Scripted) -> None:
        """Add to what will be answered."""
        self._script.extend(script)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert self._script, f"nobody expected {request.method} {request.url}"
        answer = self._script.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else await answer(request)

    @property
    def urls(self) -> list[str]:
        """The addresses that were asked, in order."""
        return [str(request.url) for request in self.requests]


async def own_client_id(tenant_id: str) -> str:
    """Return a tenant's client id."""
    return f"client-of-{tenant_id}"


class ScriptedOAuth:
    """A token endpoint that gives the answers of a script in order, and knows what it was asked for."""

    def __init__(self, *script: RefreshAnswer) -> None:
        self.used: list[str] = []
        self.clients: list[Client] = []
        self._script = deque(script)

    def answers(self, *script: RefreshAnswer) -> None:
        """Add to what will be answered."""
        self._script.extend(script)

    async def exchange_code(
        self, client: Client, code: str, *, redirect_uri: str, limit: Millis, permit: Permit
    ) -> RefreshAnswer:
        raise NotImplementedError

    async def refresh(self, client: Client, refresh_token: str, *, limit: Millis, permit: Permit) -> RefreshAnswer:
        self.clients.append(client)
        self.used.append(refresh_token)
        assert self._script, "nobody expected a refresh"
        return self._script.popleft()


class FreePermits:
    """Permits for everybody, as long as there is `room`; `held` are those that nobody gave back, `users` who asked."""

    def __init__(self, *, room: int = 1_000) -> None:
        self.room = room
        self.held: list[Permit] = []
        self.users: list[tuple[str, str | None]] = []

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        self.users.append((tenant_id, user_id))
        if not self.room:
            raise UpstreamBusyError(retry_after=4_000)
        self.room -= 1
        self.held.append(permit(f"r{self.room}", start_by=NOON + 10**9))
        return self.held[-1]

    async def give_back(self, permits: Sequence[Permit]) -> None:
        for one in permits:
            self.held.remove(one)


async def a_client(tenant_id: str) -> Client | None:
    """Return as whom a tenant is known."""
    return Client(id=await own_client_id(tenant_id), secret="hush")


def an_access(
    credentials: CredentialStore,
    clock: Clock,
    *,
    oauth: OAuth | None = None,
    permits: Permits | None = None,
    ids: Ids | None = None,
    patience: Millis = 3_000,
    meter: Meter = UNMETERED,
) -> Upkeep:
    """Return who looks after the tokens; without `oauth` nobody may need it."""
    return Upkeep(
        credentials=credentials,
        oauth=oauth or ScriptedOAuth(),
        permits=permits or FreePermits(),
        client_of=a_client,
        clock=clock,
        ids=ids or CountedIds(),
        patience=patience,
        meter=meter,
    )


class UnwritableCredentials(MemoryCredentialStore):
    """Credentials that cannot be marked."""

    async def need_sign_in(self, *_: object, **__: object) -> bool:
        raise StoreUnavailableError(problem="away")


class Stage:
    """A client of the scripted Zapier, and what it works with."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        credentials: type[MemoryCredentialStore] = MemoryCredentialStore,
        calls: type[MemoryCallLog] = MemoryCallLog,
    ) -> None:
        self.zapier = ScriptedZapier()
        self.budget = RecordingBudget()
        self.clock = ManualClock()
        state = State(shards=1)
        self.credentials = credentials(state, Switchboard())
        self.calls = calls(state)
        self.oauth = ScriptedOAuth()
        self.cache = NotingCache()
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self.zapier.handle))
        self.client = ZapierClient(
            base_url=BASE,
            http=self.http,
            permits=PermitSource(
                budget=self.budget,
                clock=self.clock,
                egress="out",
                partner_of=own_client_id,
                patience=3 * SECOND,
            ),
            access=an_access(self.credentials, self.clock, oauth=self.oauth),
            calls=self.calls,
            cache=self.cache,
            clock=self.clock,
            limits=limits,
        )

    async def sign_in(
        self,
        user_id: str = "ann",
        *,
        token: str = TOKEN,
        profile: Profile | None = None,
        refresh_token: str | None = None,
        expires_at: Instant | None = None,
    ) -> Credential:
        """Keep a token for a user of the tenant `acme`."""
        return await self.credentials.put(
            "acme",
            user_id,
            NewTokens(access_token=token, refresh_token=refresh_token, expires_at=expires_at),
            profile=profile,
            now=self.clock.now(),
        )


_: type[Budget] = RecordingBudget


# --- answers --------------------------------------------------------------------------------------------------


def answer(body: object, *, status: int = 200, **headers: str) -> httpx.Response:
    """Return a JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers=named)


def raw(body: bytes, *, status: int = 200, **headers: str) -> httpx.Response:
    """Return an answer with exactly this body."""
    return httpx.Response(status, content=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


def refusal(status: int, *, code: str = "error", detail: str = "No.", **headers: str) -> httpx.Response:
    """Return an answer with the documented error envelope."""
    return answer({"errors": [{"status": status, "code": code, "detail": detail}]}, status=status, **headers)


def connection(
    authentication_id: str, *, app: object = APP, is_expired: object = False, **more: object
) -> dict[str, Any]:
    """Return an authentication as Zapier lists it."""
    row = {"type": "authentication", "id": authentication_id, "app": app, "title": f"Chat ({authentication_id})"}
    return row | {"is_expired": is_expired} | more


def page(
    rows: Iterable[object], *, count: int | None = None, following: str | None = None, **more: object
) -> dict[str, Any]:
    """Return a list envelope; `count` is by default the number of its rows."""
    data = list(rows)
    meta = {"count": len(data) if count is None else count, "limit": 10, "offset": 0}
    return {"links": {"next": following, "prev": None}, "meta": meta, "data": data} | more


def app_row(app_id: str = APP, *, link: object = CONNECT, **more: object) -> dict[str, Any]:
    """Return an app as Zapier lists it to a user."""
    row = {"type": "app", "id": app_id, "title": "Chat", "description": "Talks.", "hex_color": "1d8f5a"}
    shown = {"image": "https://zapier.test/chat.png", "action_types": ["READ", "WRITE"]}
    return row | shown | {"links": {"connect_new_authentication": link}} | more


def action_row(action_id: str = "core:abc", *, key: str = "send", action_type: str = "WRITE") -> dict[str, Any]:
    """Return an action as Zapier lists it."""
    row = {"type": "action", "id": action_id, "key": key, "action_type": action_type, "app": APP}
    return row | {"title": "Send Message", "description": "Sends.", "is_instant": False}


def pages_of(
    rows: Sequence[object], *, size: int, path: str = f"/v2/authentications?app={APP}&limit={10}"
) -> list[Any]:
    """Cut rows into answers that lead from one to the next."""
    starts = range(0, len(rows), size)
    return [
        answer(
            page(
                rows[start : start + size],
                count=len(rows),
                following=f"{BASE}{path}&offset={start + size}" if start + size < len(rows) else None,
            )
        )
        for start in starts
    ]


class TornStream(httpx.AsyncByteStream):
    """A body that ends too early: after its pieces comes the error."""

    def __init__(self, *pieces: bytes, error: Exception) -> None:
        self._pieces = pieces
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        raise self._error


def torn(status: int = 200, *, error: Exception | None = None, **headers: str) -> httpx.Response:
    """Return an answer whose body breaks off."""
    stream = TornStream(b'{"data": [', error=error or httpx.ReadError("reset"))
    return httpx.Response(status, stream=stream, headers={n.replace("_", "-"): v for n, v in headers.items()})


def sent_json(request: httpx.Request) -> Any:
    """Return the document a request carried."""
    return json.loads(request.content)
