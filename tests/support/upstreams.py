"""Zapier in memory: what users do there, and the port `Upstream` kept to the letter, failing at a test's word.

    zapier = Zapier(clock)
    zapier.sign_in("token", account="ann")
    zapier.connect("ann", "slack", "a1")
    zapier.fail("authentications", UpstreamUnavailableError(problem="502"))
    upstream = MemoryUpstream(zapier, clock=clock, credentials=store.credentials, budget=store.budget)

Every request takes a permit, takes time by the clock, and is kept in `requests` with the moment it was sent.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from orchestrator.core.errors.actions import ActionNotFoundError, AppNotFoundError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.fields import Form, InputField
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Budget, Permit, Share
from orchestrator.core.ports.credentials import Credential, CredentialStore, Profile
from orchestrator.core.ports.upstream import (
    ActionUse,
    AppPage,
    AuthenticationMade,
    AuthenticationNotMade,
    AuthenticationUnknown,
    CatalogAction,
    CatalogApp,
    ChoicePage,
    Output,
    StepTestRun,
    Upstream,
    ZapDraft,
    ZapMade,
    ZapNotMade,
    ZapUnknown,
)
from orchestrator.core.recognition import ZapListing
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    Action,
    App,
    Authentication,
    Connect,
    Instant,
    JsonObject,
    Listing,
    Millis,
)

EGRESS: Final = "here"
PARTNER: Final = "partner"
PATIENCE: Final[Millis] = 3 * SECOND
PAGE_SIZE: Final = 10
WINDOW: Final[Millis] = MINUTE
PLAIN: Final = Form(parts=(InputField(id="text", title="Text"),))

Happening: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that reached Zapier."""

    name: str
    at: Instant


@dataclass(slots=True)
class Connected:
    """An authentication at Zapier; it is listed from `listed_at` on."""

    authentication: Authentication
    listed_at: Instant


@dataclass(slots=True)
class Account:
    """One Zapier account: its authentications by app and id."""

    profile: Profile | None
    apps: defaultdict[str, dict[str, Connected]] = field(default_factory=lambda: defaultdict(dict))


class Zapier:
    """The world behind the port. `takes` is how long a request takes; `truncates`: listings miss their last row."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[str, str] = {}
        self._refused: set[str] = set()
        self._failures: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._meanwhile: defaultdict[str, deque[Happening]] = defaultdict(deque)
        self.accounts: dict[str, Account] = {}
        self.catalog: dict[str, CatalogApp] = {}
        self.actions: dict[str, tuple[CatalogAction, ...]] = {}
        self.forms: dict[tuple[str, Action], Callable[[JsonObject], Form]] = {}
        self.takes: Millis = 200
        self.truncates = False
        self.lag: Millis = 0
        self.zap_answer: ZapMade | ZapNotMade | ZapUnknown = ZapMade(zap_id="zap-1", editor_url=None)
        self.supplied: list[tuple[str, str, Mapping[str, str]]] = []
        self.supply_answers: deque[AuthenticationNotMade | AuthenticationUnknown | None] = deque()
        self.zaps: list[ZapDraft] = []
        self.listed_zaps = ZapListing(zaps=())
        self.requests: list[Sent] = []
        self.ages: list[Millis | None] = []
        for app_id in ("slack", "gmail"):
            self.offer(app_id)
        self.offer("clock", needs_auth=False)

    def offer(self, app_id: str, *, needs_auth: bool = True) -> None:
        """Have this app in the catalogue, with one action to write and one to read."""
        connect = Connect(url=f"https://zapier.test/connect/{app_id}", read_at=0) if needs_auth else None
        self.catalog[app_id] = CatalogApp(app=App(id=app_id, title=app_id.title()), connect=connect)
        self.actions[app_id] = tuple(
            CatalogAction(id=f"{app_id}-{kind}-1", key="send", action_type=kind, title=kind)
            for kind in ("write", "read")
        )

    def sign_in(self, token: str, *, account: str, profile: bool = True) -> None:
        """Have a token of this account; `profile`: its scope allows to read whose it is."""
        self._tokens[token] = account
        known = Profile(id=account, email=f"{account}@example.com") if profile else None
        self.accounts.setdefault(account, Account(known)).profile = known

    def refuse(self, token: str) -> None:
        """Answer 401 to this token from now on."""
        self._refused.add(token)

    def connect(
        self, account: str, app_id: str, authentication_id: str, *, is_expired: bool = False, lag: Millis = 0
    ) -> Authentication:
        """Have an authentication, as if a popup was finished now; it is listed after `lag`."""
        made = Authentication(id=authentication_id, title=authentication_id.title(), is_expired=is_expired)
        self.accounts[account].apps[app_id][authentication_id] = Connected(made, self._clock.now() + lag)
        return made

    def disconnect(self, account: str, app_id: str, authentication_id: str) -> None:
        """Have it no more."""
        del self.accounts[account].apps[app_id][authentication_id]

    def fail(self, name: str, *failures: Exception) -> None:
        """Fail the next requests of a kind, one failure each."""
        self._failures[name].extend(failures)

    def meanwhile(self, name: str, happening: Happening) -> None:
        """Let something happen while the next request of a kind is under way, after Zapier has read."""
        self._meanwhile[name].append(happening)

    def sent(self, name: str) -> int:
        """Return how many requests of a kind were made."""
        return sum(request.name == name for request in self.requests)

    @property
    def busiest_minute(self) -> int:
        """The most requests that were sent within any one minute."""
        times = sorted(request.at for request in self.requests)
        first = most = 0
        for count, at in enumerate(times, start=1):
            while times[first] <= at - WINDOW:
                first += 1
            most = max(most, count - first)
        return most

    def account(self, token: str) -> Account | None:
        """Return the account a token opens, None when Zapier refuses it."""
        return None if token in self._refused or token not in self._tokens else self.accounts[self._tokens[token]]

    def name_of(self, token: str) -> str | None:
        """Return the name of the account a token opens, None when Zapier refuses it."""
        return None if self.account(token) is None else self._tokens[token]

    def listed(self, token: str, app_id: str) -> tuple[Authentication, ...]:
        """Return what a listing shows now."""
        account = self.account(token)
        connected = account.apps[app_id].values() if account else ()
        return tuple(one.authentication for one in connected if one.listed_at <= self._clock.now())

    async def request(self, name: str) -> Exception | None:
        """Take a request and the time it takes; return how it fails, if it does."""
        self.requests.append(Sent(name, self._clock.now()))
        await self._clock.sleep(self.takes)
        while self._meanwhile[name]:
            await self._meanwhile[name].popleft()()
        return self._failures[name].popleft() if self._failures[name] else None


class MemoryUpstream:
    """`Upstream` on a Zapier in memory."""

    def __init__(self, zapier: Zapier, *, clock: Clock, credentials: CredentialStore, budget: Budget) -> None:
        self._zapier = zapier
        self._clock = clock
        self._credentials = credentials
        self._budget = budget

    async def profile(
        self, tenant_id: str, access_token: str, *, user_id: str | None = None, permits: Sequence[Permit] = ()
    ) -> Profile | None:
        """Read whose token this is."""
        await self._request("profile", permit=await self._draw(deque(permits), share=Share.INTERACTIVE))
        account = self._zapier.account(access_token)
        if account is None:
            raise SignInRequiredError(user_id="")
        return account.profile

    async def apps(self, credential: Credential, *, query: str | None, cursor: str | None) -> AppPage:
        """Search the catalogue; it is one page."""
        await self._asked("apps", credential)
        found = (app for app_id, app in sorted(self._zapier.catalog.items()) if not query or query in app_id)
        return AppPage(apps=tuple(self._fresh(app) for app in found))

    async def app(self, credential: Credential, app_id: str) -> CatalogApp:
        """Return one app."""
        await self._asked("app", credential)
        if app_id not in self._zapier.catalog:
            raise AppNotFoundError(app_id=app_id)
        return self._fresh(self._zapier.catalog[app_id])

    async def learn_apps(self, credential: Credential, app_ids: Collection[str]) -> None:
        """Nothing is kept, so there is nothing to learn."""

    async def authentications(self, credential: Credential, app_id: str, *, permits: Sequence[Permit] = ()) -> Listing:
        """List what there is as the first request is sent, at ten a page."""
        begun_at, unused = self._clock.now(), deque(permits)
        listed = self._zapier.listed(credential.access_token, app_id)
        pages = max(1, -(-len(listed) // PAGE_SIZE))
        share = Share.STRONG if permits else Share.INTERACTIVE
        try:
            for page in range(pages):
                try:
                    await self._asked("authentications", credential, permit=await self._draw(unused, share=share))
                except UpstreamBusyError as busy:
                    raise UpstreamBusyError(retry_after=busy.retry_after, pages=pages if page else 1) from busy
        finally:
            await self.give_back(tuple(unused))
        return Listing(
            app_id=app_id,
            authentications=listed[:-1] if self._zapier.truncates else listed,
            begun_at=begun_at,
            account=credential.account,
            complete=not self._zapier.truncates,
            pages=pages,
        )

    async def actions(
        self, credential: Credential, app_id: str, *, age: Millis | None = None
    ) -> tuple[CatalogAction, ...]:
        """List the app's actions; nothing is kept, so all of it is read now."""
        self._zapier.ages.append(age)
        await self._asked("actions", credential)
        return self._zapier.actions.get(app_id, ())

    async def fields(self, credential: Credential, use: ActionUse) -> Form:
        """Return the form that was made for the action, by default one optional text; nothing is kept."""
        await self._asked("fields", credential)
        self._find(use)
        drawn = self._zapier.forms.get((use.app_id, use.action))
        return PLAIN if drawn is None else drawn(use.inputs)

    async def choices(self, credential: Credential, use: ActionUse, field_id: str, *, cursor: str | None) -> ChoicePage:
        """Return no choices."""
        await self._asked("choices", credential)
        self._find(use)
        return ChoicePage(choices=())

    async def outputs(self, credential: Credential, use: ActionUse, *, live: bool = False) -> tuple[Output, ...]:
        """Return one output."""
        await self._asked("outputs", credential)
        self._find(use)
        return (Output(id="id", title="Id"),)

    async def test(self, credential: Credential, use: ActionUse) -> StepTestRun:
        """Carry the action out: nothing comes of it."""
        self._find(use)
        await self._asked("test", credential)
        return StepTestRun(results=(), count=0)

    async def create_zap(
        self, credential: Credential, draft: ZapDraft, *, permit: Permit
    ) -> ZapMade | ZapNotMade | ZapUnknown:
        """Make one call, if it is not too late."""
        if self._clock.now() > permit.start_by:
            await self.give_back([permit])
            return ZapNotMade(status=None, problem="too late")
        self._zapier.zaps.append(draft)
        await self._request("zaps", permit=permit)
        return self._zapier.zap_answer

    async def make_authentication(
        self, credential: Credential, app_id: str, *, title: str, fields: Mapping[str, str], permit: Permit
    ) -> AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown:
        """Make one call, if it is not too late. An unknown answer is that of an authentication that was made."""
        if self._clock.now() > permit.start_by:
            await self.give_back([permit])
            return AuthenticationNotMade(status=None, problem="too late")
        account = self._zapier.name_of(credential.access_token)
        self._zapier.supplied.append((app_id, title, fields))
        answers = self._zapier.supply_answers
        answer = answers.popleft() if answers else None
        made: Authentication | None = None
        if account is not None and not isinstance(answer, AuthenticationNotMade):
            made = self._zapier.connect(account, app_id, f"own-{len(self._zapier.supplied)}", lag=self._zapier.lag)
        await self._request("supply", permit=permit)
        return answer or AuthenticationMade(authentication=made or Authentication(id="nobody's", title=title))

    def _find(self, use: ActionUse) -> None:
        names = use.action.key, use.action.action_type
        if not any((found.key, found.action_type) == names for found in self._zapier.actions.get(use.app_id, ())):
            raise ActionNotFoundError(app_id=use.app_id, key=use.action.key, action_type=use.action.action_type)

    async def zaps(self, credential: Credential) -> ZapListing:
        """List what a test says there is."""
        await self._asked("listed zaps", credential, permit=await self._draw(deque(), share=Share.STRONG))
        return self._zapier.listed_zaps

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        """Take one permit for a call a user waits on."""
        return await self._draw(deque(), share=Share.INTERACTIVE)

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """Give back permits that will not be used."""
        if permits:
            await self._budget.give_back(permits)

    async def _asked(self, name: str, credential: Credential, *, permit: Permit | None = None) -> None:
        await self._request(name, permit=permit or await self.permit(credential.tenant_id))
        if self._zapier.account(credential.access_token) is None:
            user = credential.tenant_id, credential.user_id
            await self._credentials.need_sign_in(*user, generation=credential.generation)
            raise SignInRequiredError(user_id=credential.user_id)

    async def _request(self, name: str, *, permit: Permit) -> None:
        failure = await self._zapier.request(name)
        now = self._clock.now()
        await self._budget.answered([permit], now=now)
        if isinstance(failure, UpstreamBusyError):
            until = now + failure.retry_after
            await self._budget.cool_down(egress=permit.egress, partner=permit.partner, until=until)
        if failure is not None:
            raise failure

    async def _draw(self, given: deque[Permit], *, share: Share) -> Permit:
        while given:
            permit = given.popleft()
            if self._clock.now() <= permit.start_by:
                return permit
            await self.give_back([permit])
        patient_until = self._clock.now() + (PATIENCE if share is Share.INTERACTIVE else 0)
        while True:
            now = self._clock.now()
            grant = await self._budget.take(1, egress=EGRESS, partner=PARTNER, share=share, now=now)
            if grant.permits:
                return grant.permits[0]
            again_at = max(now + 1, grant.retry_at or now + SECOND)
            if again_at > patient_until:
                raise UpstreamBusyError(retry_after=again_at - now)
            await self._clock.sleep(again_at - now)

    def _fresh(self, app: CatalogApp) -> CatalogApp:
        return replace(app, connect=app.connect and replace(app.connect, read_at=self._clock.now()))


if TYPE_CHECKING:
    _: type[Upstream] = MemoryUpstream
