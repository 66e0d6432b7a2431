"""Users who connect accounts while everything fails that can: a deployment lived in, from one event to the next.

What is decided beforehand is a `Plan`; `World(plan).live()` lets it happen. Pages repeat what was not answered, as
pages do. Only the world knows whose each authentication is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Final

from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StaleVersionError, StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamError, UpstreamUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.session import MINUTE, SECOND, HintKind, Instant, Millis, SessionKey, Step, StepState, WatchKey
from orchestrator.core.signals import Context, Hinted, MessageReceived, PopupCancelled, PopupOpened, Signal
from orchestrator.engine import NewSession, NewStep
from orchestrator.store.limits import Limits
from tests.support.interference import Call, Fuse, Killed, lost_answer
from tests.support.scenes import TENANT, Process, Scene

SWEEP_EVERY: Final[Millis] = 10 * SECOND
AFTERWARDS: Final[Millis] = 13 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One popup: all times are milliseconds after the event before.

    `finishes` is None for a user who gives up. `message` is None when it is lost. `says` are the page's hints after the
    login has ended; a page that is `gone` sends none, and nobody looks at it again.
    """

    app_id: str
    starts: Millis = 0
    finishes: Millis | None = 30 * SECOND
    lag: Millis = 0
    message: Millis | None = None
    says: tuple[HintKind, ...] = ()
    false_close: bool = False
    cancels: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One session of a user, with one step for each login."""

    user: str
    logins: tuple[Login, ...]
    starts: Millis = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that will happen beside what the deployment does.

    `shared`: all users have one Zapier account. `signed_out`: user → (when, for how long). `failures`: when Zapier's
    next listing fails, and with a 429 or not. `…_deaths`: after how many moments each worker and API process is killed.
    """

    journeys: tuple[Journey, ...]
    shared: bool = False
    signed_out: tuple[tuple[str, Millis, Millis], ...] = ()
    failures: tuple[tuple[Millis, bool], ...] = ()
    truncated: tuple[Millis, Millis] | None = None
    worker_deaths: tuple[int, ...] = ()
    api_deaths: tuple[int, ...] = ()
    loses_answers: bool = False
    limit: int = 60


class Chaos:
    """Around a process's ports: its death, and answers that do not arrive."""

    def __init__(self, fuse: Fuse, *, chance: Random | None) -> None:
        self.fuse = fuse
        self._chance = chance

    async def __call__(self, name: str, call: Call) -> Any:
        """Make the call, if the process lives, and lose one answer in ten of those that can be lost."""
        fate = self._chance.random() if self._chance and name == "sessions.commit" else 1.0
        if fate < 0.05:
            raise lost_answer()
        answer = await self.fuse(name, call)
        if fate < 0.1:
            raise lost_answer()
        return answer


class Mortals:
    """Processes of one kind: when one is killed, the next takes its place."""

    def __init__(self, scene: Scene, deaths: tuple[int, ...], *, chance: Random | None) -> None:
        self._scene = scene
        self._deaths = iter(deaths)
        self._chance = chance
        self.killed = 0
        self.now = self._next()

    async def attempt(self, use: Callable[[Process], Awaitable[object]]) -> bool:
        """Use the process; says whether it survived."""
        try:
            await use(self.now)
        except Killed:
            self.killed += 1
            self.now = self._next()
            return False
        return True

    def _next(self) -> Process:
        return self._scene.process(Chaos(Fuse(next(self._deaths, None)), chance=self._chance))


@dataclass(slots=True)
class Life:
    """What became of one login. `own` is the authentication it makes."""

    journey: Journey
    login: Login
    number: int
    place: int
    session_id: str = ""
    step_id: str = ""
    has_ended: bool = False

    @property
    def key(self) -> SessionKey:
        """Its session."""
        return SessionKey(tenant_id=TENANT, session_id=self.session_id)

    @property
    def own(self) -> str:
        """The authentication that this login makes."""
        return f"own-{self.number}"

    @property
    def attempt_id(self) -> str:
        """The page's own id of the popup."""
        return f"at-{self.number}"


Deed = Callable[[Process], Awaitable[object]]


@dataclass(order=True, slots=True)
class _Due:
    at: Instant
    number: int
    deed: Deed = field(compare=False)


class World:
    """A deployment, its users, and Zapier."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        reserves = {"strong_reserve": 2, "quiet_reserve": 4}
        self.scene = Scene(limits=Limits(egress=plan.limit, partner=plan.limit + 10, **reserves))
        chance = Random(1) if plan.loses_answers else None
        self.workers = Mortals(self.scene, plan.worker_deaths, chance=chance)
        self.api = Mortals(self.scene, plan.api_deaths, chance=chance)
        self.lives: list[Life] = []
        self._agenda: list[_Due] = []
        self._numbers = count()
        self._watches: set[WatchKey] = set()
        self._tokens: dict[str, int] = {}

    async def live(self) -> None:
        """Let everything happen; who is still there looks at the page once more in the end."""
        for user in sorted({journey.user for journey in self.plan.journeys}):
            await self._sign_in(user)(self.scene.here)
        self._plan()
        await self._pass()
        for life in self.lives:
            self._later(0, self._look_at_page(life))
        await self._pass()

    async def _pass(self) -> None:
        """Let what is planned happen, and then as much time pass as an attempt may take."""
        swept = self.scene.clock.now()
        end: Instant | None = None
        while end is None or self.scene.clock.now() < end:
            await self._do_what_is_due()
            await self.workers.attempt(Process.look)
            if self.scene.clock.now() >= swept + SWEEP_EVERY:
                swept = self.scene.clock.now()
                await self.workers.attempt(_swept)
            await self._wait(swept + SWEEP_EVERY)
            if not self._agenda:
                end = end or self.scene.clock.now() + AFTERWARDS

    async def step(self, life: Life) -> Step:
        """Read the step of a login."""
        step = (await self.scene.store.sessions.load(life.key)).step(life.step_id)
        assert step is not None
        return step

    async def resolutions(self, life: Life) -> list[str]:
        """Read every authentication that the step was ever given."""
        page = await self.scene.store.sessions.events(life.session_id, after=0, limit=1_000)
        return [
            str(event.data["authentication_id"])
            for event in page.events
            if event.name is EventName.AUTH_RESOLVED and event.step_id == life.step_id
        ]

    def rivals(self, life: Life) -> Iterator[Life]:
        """Give the other logins whose authentications this one's user sees for this one's app."""
        for other in self.lives:
            same_user = self.plan.shared or other.journey.user == life.journey.user
            if other is not life and same_user and other.login.app_id == life.login.app_id:
                yield other

    # --- the agenda ---

    def _plan(self) -> None:
        numbers = count()
        for journey in self.plan.journeys:
            lives = [Life(journey, login, next(numbers), place) for place, login in enumerate(journey.logins)]
            self.lives += lives
            self._later(journey.starts, self._begin(journey, lives))
        for user, at, duration in self.plan.signed_out:
            if user in self._tokens:
                self._later(at, self._refuse(user))
                self._later(at + duration, self._sign_in(user))
        for at, is_busy in self.plan.failures:
            self._later(at, self._fail(is_busy=is_busy))
        if self.plan.truncated:
            at, duration = self.plan.truncated
            self._later(at, self._truncate(True))
            self._later(at + duration, self._truncate(False))

    def _later(self, delay: Millis, deed: Deed) -> None:
        heappush(self._agenda, _Due(self.scene.clock.now() + delay, next(self._numbers), deed))

    async def _do_what_is_due(self) -> None:
        while self._agenda and self._agenda[0].at <= self.scene.clock.now():
            deed = heappop(self._agenda).deed
            try:
                if not await self.api.attempt(deed):
                    self._later(SECOND, deed)
            except (UpstreamError, StoreUnavailableError, StaleVersionError, SignInRequiredError):
                self._later(2 * SECOND, deed)

    async def _wait(self, until: Instant) -> None:
        """Go to the next moment at which anything is to be done."""
        now = self.scene.clock.now()
        checks = (await self.scene.store.watches.next_checks(self._watches)).values()
        moments = [until, *(at for at in checks if at is not None)]
        if self._agenda:
            moments.append(self._agenda[0].at)
        soonest = min(moments)
        self.scene.clock.at = max(now + 100, soonest)

    # --- what users do ---

    def _sign_in(self, user: str) -> Deed:
        async def put(process: Process) -> None:
            number = self._tokens.get(user, 0) + 1
            token = f"{user}-{number}"
            self.scene.zapier.sign_in(token, account="all" if self.plan.shared else user)
            await process.engine.put_credential(TENANT, user, token, expires_in=None)
            self._tokens[user] = number

        return put

    def _begin(self, journey: Journey, lives: list[Life]) -> Deed:
        async def create(process: Process) -> None:
            steps = tuple(NewStep(app_id=login.app_id) for login in journey.logins)
            new = NewSession(tenant_id=TENANT, user_id=journey.user, steps=steps)
            session = (await process.engine.create_session(new)).session
            for life in lives:
                life.session_id, life.step_id = session.id, session.steps[life.place].id
                self._later(life.login.starts, self._open(life))

        return create

    def _open(self, life: Life) -> Deed:
        async def open_popup(process: Process) -> None:
            await process.engine.apply(life.key, PopupOpened(step_id=life.step_id, attempt_id=life.attempt_id))
            self._watches.add(WatchKey(tenant_id=TENANT, user_id=life.journey.user, app_id=life.login.app_id))
            login = life.login
            if login.false_close:
                self._later(5 * SECOND, self._say(life, self._hint(life, HintKind.CLOSED)))
            if login.gone:
                self._later(6 * SECOND, self._say(life, self._hint(life, HintKind.CLOSED, gone=True)))
            if login.cancels:
                signal = PopupCancelled(step_id=life.step_id, attempt_id=life.attempt_id)
                self._later(7 * SECOND, self._say(life, signal))
            if login.finishes is not None:
                self._later(login.finishes, self._finish(life))

        return open_popup

    def _finish(self, life: Life) -> Deed:
        async def finish(_: Process) -> None:
            login = life.login
            account = "all" if self.plan.shared else life.journey.user
            self.scene.zapier.connect(account, login.app_id, life.own, lag=login.lag)
            life.has_ended = True
            if login.message is not None:
                message = MessageReceived(step_id=life.step_id, attempt_id=life.attempt_id, authentication_id=life.own)
                self._later(login.message, self._say(life, message))
            for place, kind in enumerate(() if login.gone else login.says):
                self._later((place + 1) * 700, self._say(life, self._hint(life, kind)))
            if not login.gone:
                self._later(3 * MINUTE, self._look_at_page(life))

        return finish

    def _hint(self, life: Life, kind: HintKind, *, gone: bool = False) -> Hinted:
        return Hinted(step_id=life.step_id, attempt_id=life.attempt_id, kind=kind, context=Context(gone=gone))

    def _say(self, life: Life, signal: Signal) -> Deed:
        async def say(process: Process) -> None:
            await process.engine.apply(life.key, signal)

        return say

    def _look_at_page(self, life: Life) -> Deed:
        async def look(process: Process) -> None:
            if life.login.gone or not life.session_id:
                return
            picker = await process.engine.pick(life.key, life.step_id, refresh=False)
            shown = {one.id for one in (*picker.step.candidates, *picker.authentications)}
            if picker.step.state is StepState.NEEDS_AUTH and life.own in shown:
                await process.engine.select(life.key, life.step_id, life.own)

        return look

    # --- what Zapier does ---

    def _refuse(self, user: str) -> Deed:
        async def refuse(_: Process) -> None:
            self.scene.zapier.refuse(f"{user}-{self._tokens[user]}")

        return refuse

    def _fail(self, *, is_busy: bool) -> Deed:
        async def fail(_: Process) -> None:
            failure = UpstreamBusyError(retry_after=20 * SECOND) if is_busy else UpstreamUnavailableError(problem="502")
            self.scene.zapier.fail("authentications", failure)

        return fail

    def _truncate(self, truncates: bool) -> Deed:
        async def truncate(_: Process) -> None:
            self.scene.zapier.truncates = truncates

        return truncate


async def _swept(process: Process) -> None:
    await process.sweep()
