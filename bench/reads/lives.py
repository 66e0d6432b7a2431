"""The lives of sessions, by chance but the same at every run: how each began, and the signals that came then."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from orchestrator.core.health import HOUR
from orchestrator.core.ports.upstream import ZapMade
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    Action,
    App,
    Authentication,
    BrowserFamily,
    Connect,
    HintKind,
    Instant,
    Listing,
    Session,
    Step,
    shard_of,
)
from orchestrator.core.signals import (
    ActionChosen,
    AppChosen,
    AuthenticationsListed,
    Context,
    Hinted,
    InputsGiven,
    MessageReceived,
    PopupBlocked,
    PopupCancelled,
    PopupOpened,
    SessionCancelled,
    Signal,
    TimePassed,
    ZapAnswered,
    ZapRequested,
)
from orchestrator.core.tenants import DEFAULT_TENANT

TENANTS: Final = {DEFAULT_TENANT: 60, "acme": 20, "globex": 10, "initech": 5, "umbrella": 5}
APPS: Final = tuple(f"App{number:02}CLIAPI" for number in range(60))
WHALE: Final = "whale"
"""A user with many more sessions than anybody else."""

USERS: Final = 20_000
SPREAD: Final = 23 * HOUR
"""Lives began within so long before now."""

_ACCOUNT: Final = "account-1"
_ATTEMPT: Final = "attempt-0001"
_TTL: Final = 24 * HOUR
_POPULARITY: Final = [1 / (place + 1) for place in range(len(APPS))]
_BROWSERS: Final = {
    BrowserFamily.CHROME: 60,
    BrowserFamily.SAFARI: 20,
    BrowserFamily.EDGE: 10,
    BrowserFamily.FIREFOX: 8,
    BrowserFamily.OTHER: 2,
}

Happening: TypeAlias = tuple[Instant, Signal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A session as it begins, and what happens to it, in order."""

    session: Session
    happens: tuple[Happening, ...]


class _Told:
    """One life while it is told: `at` is the moment that has come."""

    def __init__(self, chance: random.Random, session: Session) -> None:
        self.session = session
        self.step = session.steps[0].id
        self.at = session.created_at
        self.app = chance.choices(APPS, _POPULARITY)[0]
        self.browser = chance.choices(list(_BROWSERS), list(_BROWSERS.values()))[0]
        self.chance = chance

    def later(self, least: int, most: int) -> Instant:
        """Let some seconds pass."""
        self.at += self.chance.randrange(least * SECOND, most * SECOND)
        return self.at

    def chosen(self, *, needs_auth: bool = True) -> Happening:
        """The app is chosen."""
        at = self.later(1, 60)
        connect = Connect(url=f"https://zapier.example/connect/{self.app}", read_at=at) if needs_auth else None
        listing = self._listing(at) if needs_auth else None
        app = App(id=self.app, title=f"App {self.app[3:5]}", image="https://cdn.example/i.png", hex_color="ff4f00")
        return at, AppChosen(step_id=self.step, app=app, connect=connect, listing=listing)

    def opened(self) -> Happening:
        """The popup is opened."""
        context = Context(browser=self.browser, elapsed_ms=None)
        return self.later(1, 20), PopupOpened(step_id=self.step, attempt_id=_ATTEMPT, context=context)

    def finished(self) -> Happening:
        """The user says that they are through."""
        return self.later(5, 60), Hinted(step_id=self.step, attempt_id=_ATTEMPT, kind=HintKind.FINISHED)

    def message(self) -> Happening:
        """The popup's message comes."""
        return self.later(5, 60), MessageReceived(step_id=self.step, attempt_id=_ATTEMPT, authentication_id="1")

    def listed(self, *ids: str) -> Happening:
        """A check sees these authentications."""
        at = self.later(1, 5)
        signal = AuthenticationsListed(listing=self._listing(at, *ids), checks=(at,), claims={}, popups=())
        return at, signal

    def filled(self) -> Iterator[Happening]:
        """The action is chosen, and its fields are filled."""
        action = Action(key="new_contact", action_type="read")
        yield self.later(5, 60), ActionChosen(step_id=self.step, action=action)
        inputs = {"channel": "#general", "text": "Hello " * 8}
        yield self.later(5, 60), InputsGiven(step_id=self.step, inputs=dict(inputs))

    def _listing(self, at: Instant, *ids: str) -> Listing:
        known = (Authentication(id=f"{self.session.id}-{one}", title=f"Account {one}") for one in ("old", *ids))
        return Listing(app_id=self.app, authentications=tuple(known), begun_at=at, account=_ACCOUNT)


def _connected(told: _Told) -> Iterator[Happening]:
    """Its message comes, and Zapier lists what it named."""
    yield told.chosen()
    yield told.opened()
    at, _ = told.message()
    named = f"{told.session.id}-new"
    yield at, MessageReceived(step_id=told.step, attempt_id=_ATTEMPT, authentication_id=named)
    yield told.listed("new")


def _created(told: _Told) -> Iterator[Happening]:
    yield from _connected(told)
    yield from told.filled()
    yield told.later(1, 20), ZapRequested(intent_id="zi1")
    made = ZapMade(zap_id=f"zap-{told.session.id}", editor_url="https://zapier.example/editor/1")
    yield told.later(1, 3), ZapAnswered(intent_id="zi1", answer=made)


def _lost(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    yield told.opened()
    yield told.finished()
    yield told.listed("new")


def _ready(told: _Told) -> Iterator[Happening]:
    yield from _connected(told)
    yield from told.filled()


def _timed_out(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    yield told.opened()
    told.at += 11 * MINUTE
    yield told.listed()


def _ambiguous(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    yield told.opened()
    yield told.listed("new", "newer")


def _given_up(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    yield told.opened()
    yield told.later(5, 60), PopupCancelled(step_id=told.step, attempt_id=_ATTEMPT)


def _blocked(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    yield told.opened()
    yield told.later(1, 2), PopupBlocked(step_id=told.step, attempt_id=_ATTEMPT)


def _cancelled(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    yield told.later(5, 60), SessionCancelled()


def _expired(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    told.at = told.session.deadline
    yield told.later(1, 2), TimePassed(checks={})


def _just_begun(_: _Told) -> Iterator[Happening]:
    yield from ()


def _chosen(told: _Told) -> Iterator[Happening]:
    yield told.chosen()


def _without(told: _Told) -> Iterator[Happening]:
    yield told.chosen(needs_auth=False)


def _waiting(told: _Told) -> Iterator[Happening]:
    yield told.chosen()
    yield told.opened()


def _stuck(told: _Told) -> Iterator[Happening]:
    yield from _waiting(told)
    yield told.finished()


LIVES: Final[dict[Callable[[_Told], Iterator[Happening]], int]] = {
    _created: 38,
    _lost: 4,
    _ready: 5,
    _timed_out: 8,
    _ambiguous: 3,
    _given_up: 5,
    _blocked: 3,
    _cancelled: 5,
    _expired: 8,
    _just_begun: 7,
    _chosen: 5,
    _without: 4,
    _waiting: 3,
    _stuck: 2,
}
"""How many of a hundred sessions live so."""

_ALONE: Final = frozenset({_lost, _ambiguous, _waiting, _stuck})
"""Lives that another one of the same user would change."""

_RECENT: Final = frozenset({_waiting, _stuck})


def life(number: int, *, now: Instant, shards: int) -> Life:
    """Return the life of this number; of all that began within a day before now, it is always the same one."""
    chance = random.Random(number)
    (tenant_id,) = chance.choices(list(TENANTS), list(TENANTS.values()))
    (kind,) = chance.choices(list(LIVES), list(LIVES.values()))
    user_id = _user(chance, number, alone=kind in _ALONE)
    ago = chance.randrange(4 * MINUTE, 8 * MINUTE) if kind in _RECENT else chance.randrange(HOUR, SPREAD)
    created_at = now - ago
    deadline = created_at + (ago // 2 if kind is _expired else _TTL)
    shard = shard_of(tenant_id, user_id, shards=shards)
    session = Session(
        id=f"zs{shard:02x}{number:020d}",
        tenant_id=tenant_id,
        user_id=user_id,
        created_at=created_at,
        updated_at=created_at,
        deadline=deadline,
        title=f"Zap number {number}",
        reference=f"order-{number}" if number % 2 else None,
        metadata={"plan": "pro", "number": number},
        steps=(Step(id=f"zp{number:020d}"),),
    )
    return Life(session=session, happens=tuple(kind(_Told(chance, session))))


def _user(chance: random.Random, number: int, *, alone: bool) -> str:
    if alone:
        return f"alone-{number}"
    return WHALE if chance.random() < 0.02 else f"user-{chance.randrange(USERS):05}"
