"""How operators are shown what they look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from api import views
from api.schemas import operators as shapes
from api.schemas.fields import moment, timestamp
from api.views import Views
from orchestrator.core.deliveries import Delivery
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.health import UNFINISHED, Fate, Jump, Rate, Stage
from orchestrator.core.ports.calls import CallEnd
from orchestrator.core.ports.census import Situation
from orchestrator.core.ports.webhooks import Reception
from orchestrator.core.ports.workers import WorkerReport
from orchestrator.core.session import Instant, SessionStatus
from orchestrator.core.waiting import stuck_by
from orchestrator.lately import AppHealth
from orchestrator.oversight import AppDetails, Called, Overview, Planned, Seen, Side, Staff, oldest

_FATES: Final = tuple((fate, fate.value) for fate in Fate)


def session(seen: Seen, views: Views, *, now: Instant) -> shapes.FoundSession:
    """Show a session."""
    shown = views.operators(seen.snapshot)
    waits = seen.waiting
    return shapes.FoundSession(
        **shown.parts(),
        reason=seen.snapshot.session.reason,
        waiting=None
        if waits is None
        else shapes.WaitingFor(
            since=timestamp(waits.since),
            heard_at=moment(waits.heard_at),
            stuck=stuck_by(waits, is_overdue=seen.is_overdue, now=now),
        ),
    )


def overview(found: Overview) -> shapes.Overview:
    """Show everything at a glance."""
    statuses: Counter[SessionStatus] = Counter()
    for situation, count in found.situations.items():
        statuses[situation.status] += count
    first = oldest(found.waiting)
    return shapes.Overview(
        at=timestamp(found.at),
        sessions=statuses.total(),
        statuses=tuple(
            shapes.StatusCount(status=status, sessions=statuses[status]) for status in SessionStatus if statuses[status]
        ),
        states=_states(found.situations),
        reasons=_reasons(found.situations),
        waiting=len(found.waiting),
        stuck=found.stuck,
        oldest_waiting=None
        if first is None
        else shapes.OldestWaiting(
            session_id=first.session_id, tenant_id=first.tenant_id, since=timestamp(first.waiting.since)
        ),
        funnel=tuple(_funnel_hour(at, stages) for at, stages in found.funnel),
        budget=tuple(map(side, found.sides)),
        jumps=tuple(
            shapes.Jumped(app_id=app.app_id, title=app.title, jump=_jump(app.jump)) for app in found.jumped if app.jump
        ),
    )


def apps(found: Iterable[AppHealth], *, at: Instant) -> shapes.AppHealthList:
    """Show apps."""
    return shapes.AppHealthList(
        at=timestamp(at), apps=tuple(shapes.AppHealth(**_app(app)) for app in found), unfinished_means=UNFINISHED
    )


def app(details: AppDetails, *, at: Instant) -> shapes.AppStory:
    """Show one app."""
    return shapes.AppStory(
        **_app(details.health),
        at=timestamp(at),
        states=_states(details.situations),
        reasons=_reasons(details.situations),
        hours=tuple(shapes.PopupsHour(at=timestamp(hour), **_popups(fates)) for hour, fates in details.hours),
        unfinished_means=UNFINISHED,
    )


def side(found: Side) -> shapes.BudgetSide:
    """Show one of Zapier's limits."""
    usage = found.usage
    return shapes.BudgetSide(
        kind="egress" if found.is_egress else "partner",
        name=usage.name,
        tenants=found.tenants,
        held=usage.held,
        limit=usage.limit or None,
        cooldown_until=moment(usage.cooldown_until or None),
    )


def budget(sides: Iterable[Side], calls: Iterable[Called]) -> shapes.Budget:
    """Show Zapier's limits, and the calls that were made."""
    return shapes.Budget(sides=tuple(map(side, sides)), calls=tuple(map(_calls, calls)))


def watch(planned: Planned, *, now: Instant) -> shapes.Watch:
    """Show a watch that will be checked."""
    found = planned.watch
    return shapes.Watch(
        tenant_id=found.key.tenant_id,
        user_id=found.key.user_id,
        app_id=found.key.app_id,
        urgency="strong" if planned.is_strong else "quiet",
        next_check_at=timestamp(planned.due),
        overdue_ms=max(0, now - planned.due),
        last_check_at=moment(found.checks[-1] if found.checks else None),
        checking=planned.is_leased,
        failures=found.failures,
        retry_at=moment(found.retry_at),
        waiters=tuple(map(shapes.Waiter.of, found.waiters)),
    )


def workers(staff: Staff) -> shapes.Workers:
    """Show the workers and what waits for them."""
    return shapes.Workers(
        at=timestamp(staff.at),
        queues=tuple(shapes.Queue(name=name, depth=depth) for name, depth in staff.queues.items()),
        workers=tuple(_worker(report, now=staff.at) for report in staff.workers),
        outbox=staff.outbox,
    )


def delivery(kept: Delivery) -> shapes.OperatorsDelivery:
    """Show a delivery, and whose it is."""
    return shapes.OperatorsDelivery(
        **views.delivery(kept).parts(), tenant_id=kept.lane.tenant_id, webhook_id=kept.lane.endpoint_id
    )


def webhook(endpoint: Endpoint, reception: Reception) -> shapes.OperatorsWebhook:
    """Show an endpoint, and how it receives."""
    return shapes.OperatorsWebhook(
        **views.webhook(endpoint).parts(),
        tenant_id=endpoint.tenant_id,
        pending=reception.pending,
        dead=reception.dead,
        failures=reception.failures,
        received_at=moment(reception.received_at),
    )


def _calls(called: Called) -> shapes.Calls:
    return shapes.Calls(
        tenant_id=called.kind.tenant_id,
        endpoint=called.kind.endpoint,
        lately=called.lately,
        last_hour=sum(called.hour.values()),
        refused=called.hour.get(CallEnd.REFUSED, 0),
        failed=called.hour.get(CallEnd.FAILED, 0),
    )


def _worker(report: WorkerReport, *, now: Instant) -> shapes.Worker:
    return shapes.Worker(
        id=report.id,
        host=report.host,
        pid=report.pid,
        started_at=timestamp(report.started_at),
        seen_at=timestamp(report.seen_at),
        alive=report.is_alive(now=now),
        checks=report.checks,
        deliveries=report.deliveries,
    )


def _states(situations: Mapping[Situation, int]) -> tuple[shapes.StateCount, ...]:
    counts = _counts((situation.state, count) for situation, count in situations.items() if _is_built(situation))
    return tuple(shapes.StateCount(state=state, sessions=count) for state, count in counts)


def _reasons(situations: Mapping[Situation, int]) -> tuple[shapes.ReasonCount, ...]:
    counts = _counts((situation.reason, count) for situation, count in situations.items() if _is_built(situation))
    return tuple(shapes.ReasonCount(reason=reason, sessions=count) for reason, count in counts if reason is not None)


def _counts(pairs: Iterable[tuple[Any, int]]) -> list[tuple[Any, int]]:
    total: Counter[Any] = Counter()
    for name, count in pairs:
        total[name] += count
    return total.most_common()


def _is_built(situation: Situation) -> bool:
    return situation.status in {SessionStatus.BUILDING, SessionStatus.READY}


def _funnel_hour(at: Instant, stages: Mapping[Stage, int]) -> shapes.FunnelHour:
    return shapes.FunnelHour(at=timestamp(at), **{stage.value: stages[stage] for stage in Stage})


def _app(health: AppHealth) -> dict[str, Any]:
    return {
        "app_id": health.app_id,
        "title": health.title,
        "sessions": health.sessions.sessions,
        "waiting": health.sessions.waiting,
        "popups": shapes.Popups(**_popups(health.popups)),
        "baseline": None if health.usual is None else _baseline(health.usual),
        "jump": None if health.jump is None else _jump(health.jump),
        "browsers": tuple(
            shapes.BrowserPopups(browser=browser, **_popups(fates))
            for browser, fates in sorted(health.browsers.items())
        ),
    }


def _popups(fates: Mapping[Fate, int]) -> dict[str, Any]:
    return {**{name: fates.get(fate, 0) for fate, name in _FATES}, "lost_rate": _rounded(Rate.of(fates).value)}


def _baseline(usual: Rate) -> shapes.Baseline:
    return shapes.Baseline(lost_rate=_rounded(usual.value) or 0.0, resolved=usual.resolved)


def _jump(found: Jump) -> shapes.Jump:
    return shapes.Jump(
        since=timestamp(found.since),
        minutes=found.minutes,
        browser=found.browser,
        lost_rate=_rounded(found.recent.value) or 0.0,
        resolved=found.recent.resolved,
        baseline=_baseline(found.usual),
    )


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)
