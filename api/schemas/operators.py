"""The shapes of what operators are answered. Moments are ISO 8601 in UTC with milliseconds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api.schemas import answers
from api.schemas.answers import Shape
from api.schemas.fields import At
from orchestrator.core.health import UNFINISHED
from orchestrator.core.session import BrowserFamily, Reason, SessionStatus, StepState

LostRate = Annotated[
    float | None,
    Field(description="`without_message` ÷ (`by_message` + `without_message`); null when none was resolved."),
]
Unfinished = Annotated[int, Field(description=UNFINISHED)]


class WaitingFor(Shape):
    """That somebody waits for a popup, since when, and whether that is too long.

    `heard_at`: the oldest signal that the user is done and that no check has answered. `stuck`: `signal` when that was
    more than 30 seconds ago, `check` when a check is overdue by as much, null when neither is so.
    """

    since: At
    heard_at: At | None
    stuck: Literal["signal", "check"] | None


class FoundSession(answers.OperatorsSession):
    """A session as operators see it."""

    reason: Reason | None
    waiting: WaitingFor | None


class FoundSessionPage(Shape):
    """Sessions, youngest first. `cursor` leads on, null at the end."""

    sessions: tuple[FoundSession, ...]
    cursor: str | None


# --- overview -------------------------------------------------------------------------------------------------


class StatusCount(Shape):
    """How many sessions have a status."""

    status: SessionStatus
    sessions: int


class StateCount(Shape):
    """How many sessions that are being built are in a state."""

    state: StepState
    sessions: int


class ReasonCount(Shape):
    """How many sessions that are being built need an authentication for a reason."""

    reason: Reason
    sessions: int


class OldestWaiting(Shape):
    """Who has waited longest for a popup."""

    session_id: str
    tenant_id: str
    since: At


class FunnelHour(Shape):
    """How many sessions came how far in an hour that began `at`; each is counted once for each stage.

    `connected`: by a popup of `popup_opened`. A session gets `ready` without one, too: by an account that was chosen or
    that an own app's fields made, or because its apps need none.
    """

    at: At
    begun: int
    app_chosen: int
    popup_opened: int
    connected: int
    ready: int
    created: int
    expired: int
    cancelled: int


class Baseline(Shape):
    """What is usual for the app: its own last 24 hours, without the time that is held against them."""

    lost_rate: float
    resolved: int


class Jump(Shape):
    """An app's popups lose their messages more often than chance allows for, in the last `minutes`.

    `browser`: in this family of browsers alone; null: in all of them. `since`: the first minute in which one was lost.
    """

    since: At
    minutes: int
    browser: BrowserFamily | None
    lost_rate: float
    resolved: int
    baseline: Baseline


class Jumped(Shape):
    """An app whose lost rate jumped."""

    app_id: str
    title: str | None
    jump: Jump


class BudgetSide(Shape):
    """One of Zapier's limits: how many permits are held now. `limit` null: there is none.

    `cooldown_until`: Zapier refused, and nothing is asked before then; null otherwise.
    """

    kind: Literal["egress", "partner"]
    name: str
    tenants: tuple[str, ...]
    held: int
    limit: int | None
    cooldown_until: At | None


class Overview(Shape):
    """Everything at a glance. `funnel` has the last hours, the present one last."""

    at: At
    sessions: int
    statuses: tuple[StatusCount, ...]
    states: tuple[StateCount, ...]
    reasons: tuple[ReasonCount, ...]
    waiting: int
    stuck: int
    oldest_waiting: OldestWaiting | None
    funnel: tuple[FunnelHour, ...]
    budget: tuple[BudgetSide, ...]
    jumps: tuple[Jumped, ...]


# --- popup health ---------------------------------------------------------------------------------------------


class Popups(Shape):
    """What became of popups. `offered`: the user was asked which account is meant, or was told that none was seen."""

    opened: int
    by_message: int
    without_message: int
    offered: int
    unfinished: Unfinished
    cancelled: int
    blocked: int
    lost_rate: LostRate


class BrowserPopups(Popups):
    """The popups in one family of browsers."""

    browser: BrowserFamily


class AppHealth(Shape):
    """An app: its sessions now, and its popups in the last 24 hours."""

    app_id: str
    title: str | None
    sessions: int
    waiting: int
    popups: Popups
    baseline: Baseline | None
    jump: Jump | None
    browsers: tuple[BrowserPopups, ...]


class AppHealthList(Shape):
    """Apps, those that jumped first, then those with the most sessions and popups. `unfinished_means`, in words."""

    at: At
    apps: tuple[AppHealth, ...]
    unfinished_means: str


class PopupsHour(Popups):
    """The popups of an hour that began `at`."""

    at: At


class AppStory(AppHealth):
    """An app with its sessions by state and reason, and its popups by the hour, the present one last."""

    at: At
    states: tuple[StateCount, ...]
    reasons: tuple[ReasonCount, ...]
    hours: tuple[PopupsHour, ...]
    unfinished_means: str


# --- budget, watches, workers ---------------------------------------------------------------------------------


class Calls(Shape):
    """Calls to one of Zapier's endpoints for a tenant: in this minute and the one before, and in the last hour.

    Of those in the last hour, `refused` were answered 429, and `failed` had no answer that can be used.
    """

    tenant_id: str
    endpoint: str
    lately: int
    last_hour: int
    refused: int
    failed: int


class Budget(Shape):
    """Zapier's limits and what is held of them, and the calls that were made."""

    sides: tuple[BudgetSide, ...]
    calls: tuple[Calls, ...]


class Waiter(Shape):
    """A step that waits on a watch."""

    session_id: str
    step_id: str


class Watch(Shape):
    """A user and an app whose authentications are to be listed, since somebody waits for one.

    `urgency`: `strong` when a signal asks for the check, `quiet` without news. `overdue_ms`: for how long it has been
    due already. `checking`: a worker has it now. `retry_at`: after `failures` nothing is asked before then.
    """

    tenant_id: str
    user_id: str
    app_id: str
    urgency: Literal["strong", "quiet"]
    next_check_at: At
    overdue_ms: int
    last_check_at: At | None
    checking: bool
    failures: int
    retry_at: At | None
    waiters: tuple[Waiter, ...]


class WatchPage(Shape):
    """Watches that are to be checked, the next one first. `cursor` leads on, null at the end."""

    watches: tuple[Watch, ...]
    cursor: str | None


class Queue(Shape):
    """A queue of RQ's: how many batches lie in it. `depth` null: its server does not answer."""

    name: str
    depth: int | None


class Worker(Shape):
    """A worker process, and what it has in hand. `alive`: it was heard of within 30 seconds."""

    id: str
    host: str
    pid: int
    started_at: At
    seen_at: At
    alive: bool
    checks: int
    deliveries: int


class Workers(Shape):
    """The queues and the workers, the newest first. `outbox`: events that wait to be relayed."""

    at: At
    queues: tuple[Queue, ...]
    workers: tuple[Worker, ...]
    outbox: int


# --- webhooks -------------------------------------------------------------------------------------------------


class OperatorsDelivery(answers.Delivery):
    """A delivery, and whose it is."""

    tenant_id: str
    webhook_id: str


class OperatorsDeliveryPage(Shape):
    """Deliveries. `cursor` leads on, null at the end."""

    deliveries: tuple[OperatorsDelivery, ...]
    cursor: str | None


class OperatorsWebhook(answers.Webhook):
    """An endpoint of a tenant's, and how it receives: deliveries `pending` and `dead`, tries in a row that failed."""

    tenant_id: str
    pending: int
    dead: int
    failures: int
    received_at: At | None


class OperatorsWebhookList(Shape):
    """The endpoints that hear of every session of a tenant, by tenant and age."""

    webhooks: tuple[OperatorsWebhook, ...]
