"""A commit as `lua/commit.lua` wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

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
from orchestrator.core.health import HOUR, NOTHING_COUNTED, counted
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.sessions import Commit
from orchestrator.core.ports.watches import KEPT_CHECKS, PAUSED, Waiter
from orchestrator.core.session import MINUTE, Instant, JsonObject, WatchKey, session_shard
from orchestrator.core.waiting import waiting
from orchestrator.store import keys
from orchestrator.store.codec import encode
from orchestrator.store.rules import (
    KEPT_EVENTS,
    KEPT_HOURS_S,
    KEPT_MINUTES_S,
    KEPT_OUTBOX,
    KEPT_POPUPS,
    KEPT_SIGNALS,
    audit_members,
    index_entries,
    is_ended,
)
from orchestrator.store.scripts import Argument, Call


def apps_of(commit: Commit) -> list[str]:
    """Return the apps whose watches the commit reads or changes, in the order in which the script counts them."""
    return list(dict.fromkeys(part.app_id for part in (*commit.guards, *commit.effects)))


def commit_call(commit: Commit, apps: Sequence[str]) -> Call:
    """Return the call that commits; `apps` are the commit's."""
    watches = [commit.session.watch_key(app_id) for app_id in apps]
    return Call("commit", _keys(commit, watches), _arguments(commit, watches))


def _keys(commit: Commit, watches: list[WatchKey]) -> list[str]:
    session = commit.session
    tenant_id, user_id = session.tenant_id, session.user_id
    shard = session_shard(session.id)
    touched = [
        keys.session(shard, session.id),
        keys.events(shard, session.id),
        keys.signals(shard, session.id),
        keys.outbox(shard),
        keys.wake(shard),
        keys.index(shard, tenant_id),
        keys.open_sessions(shard, tenant_id, user_id),
        keys.user_watches(shard, tenant_id, user_id),
        keys.strong(shard),
        keys.quiet(shard),
        keys.visible(shard),
        keys.kept(shard),
        keys.receipts(shard, tenant_id, user_id),
        keys.good_receipts(shard),
        keys.references(shard, tenant_id, user_id),
        keys.credential(shard, tenant_id, user_id),
        keys.waiting(shard, tenant_id),
        keys.hour(shard, commit.now - commit.now % HOUR),
        keys.minute(shard, commit.now - commit.now % MINUTE),
    ]
    for watch in watches:
        touched += (
            keys.watch(shard, watch),
            keys.waiters(shard, watch),
            keys.popups(shard, watch),
            keys.claims(shard, watch),
        )
    if commit.audit is not None:
        touched += keys.audit(shard), keys.audit_index(shard)
    if any(isinstance(effect, EndCheck) for effect in commit.effects):
        touched.append(keys.pages(shard))
    return touched


def _arguments(commit: Commit, watches: list[WatchKey]) -> list[Argument]:
    session = commit.session
    waits = waiting(session)
    numbers = {watch.app_id: number for number, watch in enumerate(watches, start=1)}
    guards = [{"watch": numbers[guard.app_id], **_guard(guard, session.id)} for guard in commit.guards]
    effects = [
        {"watch": numbers[effect.app_id], **_effect(effect, session.id, now=commit.now)} for effect in commit.effects
    ]
    arguments: list[Argument] = [
        session.id,
        commit.expected_version,
        session.commit_id,
        commit.now,
        encode(session),
        session.created_at,
        "\n".join(index_entries(session, waits=waits is not None)),
        int(is_ended(session)),
        "" if commit.wake_at is None else commit.wake_at,
        "" if commit.record is None else encode(commit.record),
        KEPT_EVENTS,
        KEPT_SIGNALS,
        KEPT_OUTBOX,
        keys.CHANGED + session.id,
        keys.DUE,
        PAUSED,
        encode(guards),
        encode(effects),
        encode([{"name": keys.watch_name(watch), "app": watch.app_id} for watch in watches]),
        *_receipt(commit),
        session.reference or "",
        keys.OUTGOING,
        "" if waits is None else keys.waiting_value(waits, session.tenant_id, session.user_id),
        *_counts(commit),
        KEPT_HOURS_S,
        KEPT_MINUTES_S,
        "" if commit.audit is None else _audit(commit.audit),
        commit.expected_commit_id,
        session.tenant_id,
    ]
    for event in commit.events:
        arguments += event.seq, encode(event)
    return arguments


def _counts(commit: Commit) -> tuple[str, str, str]:
    """Return what the commit's events add to the counts: stages, popups and titles, as lines."""
    found = counted(commit.session, commit.events)
    if found is NOTHING_COUNTED:
        return "", "", ""
    tenant_id = commit.session.tenant_id
    stages = [f"{stage}\n{keys.stage_field(tenant_id, stage)}" for stage in found.stages]
    popups = [keys.popup_field(popups, fate) for popups, fate in found.popups]
    titles = [f"{keys.title_field(app.id)}\n{' '.join(app.title.split())}" for app in found.apps]
    return "\n".join(stages), "\n".join(popups), "\n".join(titles)


def _audit(entry: AuditEntry) -> bytes:
    return encode({"id": entry.id, "members": audit_members(entry), "entry": encode(entry).decode()})


def _receipt(commit: Commit) -> list[Argument]:
    receipt, session = commit.receipt, commit.session
    if receipt is None:
        return ["", "", "", ""]
    member = keys.receipt_member(session.tenant_id, session.user_id, receipt.name)
    return [receipt.name, encode(receipt), receipt.until, member]


def _guard(guard: Guard, session_id: str) -> JsonObject:
    match guard:
        case Unclaimed(authentication_id=authentication_id, since=since):
            return {"kind": "unclaimed", "authentication": authentication_id, "since": since}
        case NoOtherPopup(step_id=step_id):
            return {"kind": "alone", "waiter": keys.waiter_member(Waiter(session_id=session_id, step_id=step_id))}
        case LeaseHeld(token=token):
            return {"kind": "lease", "token": token}
        case Untouched(version=version):
            return {"kind": "untouched", "version": version}
    assert_never(guard)


def _effect(effect: Effect, session_id: str, *, now: Instant) -> JsonObject:
    if isinstance(effect, EndCheck):
        due = effect.due or Due()
        ended = {"kind": "end", "begun": str(effect.begun_at), "most": KEPT_CHECKS, "pages": effect.pages}
        return {**ended, **_due(due)}
    waiter = Waiter(session_id=session_id, step_id=effect.step_id)
    member = keys.waiter_member(waiter)
    match effect:
        case Wait(due=due):
            return {"kind": "wait", "waiter": member, **_due(due)}
        case StopWaiting():
            return {"kind": "stop", "waiter": member}
        case OpenPopup(attempt_id=attempt_id, until=until):
            popup = keys.popup_member(waiter, attempt_id)
            return {"kind": "open", "popup": popup, "until": until, "most": KEPT_POPUPS}
        case ClosePopup(attempt_id=attempt_id):
            return {"kind": "close", "popup": keys.popup_member(waiter, attempt_id)}
        case ClaimAuthentication(authentication_id=authentication_id, by_difference=by_difference):
            claim = keys.claim_value(now, waiter if by_difference else None)
            return {"kind": "claim", "authentication": authentication_id, "claim": claim}
        case ReleaseClaim(authentication_id=authentication_id):
            return {"kind": "release", "authentication": authentication_id, "waiter": member}
    assert_never(effect)


def _due(due: Due) -> JsonObject:
    wanted = {"visible": due.visible_until, "strong": due.strong, "quiet": due.quiet}
    return {name: at for name, at in wanted.items() if at is not None}
