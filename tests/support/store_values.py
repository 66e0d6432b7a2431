"""Sessions and commits for tests of the store, where only what a test is about needs to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from orchestrator.core.effects import Due, Effect, Guard, Wait
from orchestrator.core.events import Event, EventName
from orchestrator.core.interventions import AuditEntry, Intervention
from orchestrator.core.ports.credentials import Credential, NewTokens
from orchestrator.core.ports.sessions import Commit, Outcome, Receipt, SignalRecord
from orchestrator.core.session import Instant, JsonObject, Session, WatchKey, shard_of
from orchestrator.core.sign_ins import SignIn, id_prefix
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import Store

AnyStore = MemoryStore | Store

NOON: Final[Instant] = 1_790_000_000_000
SHARDS: Final = 4
TENANT: Final = "acme"
USER: Final = "user-1"
APP: Final = "app-1"
WATCH: Final = WatchKey(tenant_id=TENANT, user_id=USER, app_id=APP)


def session_id(name: str, *, user: str = USER, tenant: str = TENANT) -> str:
    """Return the id a session of this name has: it lies in its user's shard."""
    return f"zs{shard_of(tenant, user, shards=SHARDS):02x}{name:x>12}"


def a_session(name: str = "a", *, user: str = USER, tenant: str = TENANT, created_at: Instant = NOON) -> Session:
    """Return a session as it is before its first commit."""
    return Session(
        id=session_id(name, user=user, tenant=tenant),
        tenant_id=tenant,
        user_id=user,
        created_at=created_at,
        updated_at=created_at,
        deadline=created_at + 3_600_000,
    )


def a_sign_in(name: str = "a", *, user: str = USER, tenant: str = TENANT, made_at: Instant = NOON) -> SignIn:
    """Return a sign-in as it is begun: it lies in its user's shard."""
    return SignIn(
        id=f"{id_prefix(shard_of(tenant, user, shards=SHARDS))}{name:x>20}",
        tenant_id=tenant,
        user_id=user,
        browser="known",
        origins=("https://app.example",),
        digest="d1",
        made_at=made_at,
    )


def next_commit(
    before: Session,
    *,
    commit_id: str = "",
    events: int = 1,
    now: Instant = NOON,
    effects: Sequence[Effect] = (),
    guards: Sequence[Guard] = (),
    record: SignalRecord | None = None,
    wake_at: Instant | None = None,
    receipt: Receipt | None = None,
    audit: AuditEntry | None = None,
    **changes: object,
) -> Commit:
    """Return a commit that changes a session in these fields."""
    version = before.version + 1
    numbering: JsonObject = {
        "version": version,
        "commit_id": commit_id or f"commit-{version}",
        "seq": before.seq + events,
    }
    after: Session = replace(before, **(numbering | changes))  # type: ignore[arg-type]
    return Commit(
        session=after,
        expected_version=before.version,
        expected_commit_id=before.commit_id,
        now=now,
        events=tuple(an_event(before.seq + number) for number in range(1, events + 1)),
        effects=tuple(effects),
        guards=tuple(guards),
        record=record,
        wake_at=wake_at,
        receipt=receipt,
        audit=audit,
    )


def an_entry(
    name: str = "1", *, session: Session | None = None, at: Instant = NOON, key: str = "ak0", **changes: object
) -> AuditEntry:
    """Return what is kept of some act on a session."""
    session = session or a_session()
    entry = AuditEntry(
        id=f"au{name}",
        key_id=key,
        key_name="Ann",
        action=Intervention.CHECK_NOW,
        reason="They räng",
        tenant_id=session.tenant_id,
        session_id=session.id,
        at=at,
        outcome=Outcome.APPLIED,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


def an_event(seq: int, *, at: Instant = NOON) -> Event:
    """Return some event of this number."""
    return Event(seq=seq, name=EventName.STEP_CHANGED, at=at, step_id="st1", data={"number": seq})


def a_record(number: int = 1) -> SignalRecord:
    """Return some signal record."""
    return SignalRecord(at=NOON + number, signal="Finished", outcome=Outcome.APPLIED, step_id="st1")


def a_receipt(
    name: str = "r1",
    *,
    fingerprint: str = "f1",
    session: Session | None = None,
    commit_id: str = "commit-1",
    until: Instant = NOON + 1_000,
) -> Receipt:
    """Return the receipt of some request that made a step."""
    return Receipt(
        name=name,
        fingerprint=fingerprint,
        session_id=(session or a_session()).id,
        commit_id=commit_id,
        outcome=Outcome.APPLIED,
        made="st1",
        until=until,
    )


def wait(
    step: str = "st1",
    *,
    strong: Instant | None = None,
    quiet: Instant | None = None,
    visible_until: Instant = 0,
    app: str = APP,
) -> Wait:
    """Return the effect that a step waits."""
    return Wait(app_id=app, step_id=step, due=Due(strong=strong, quiet=quiet, visible_until=visible_until))


async def signed_in(store: AnyStore, *, user: str = USER, tenant: str = TENANT, now: Instant = NOON) -> Credential:
    """Put a new credential of a user's."""
    return await store.credentials.put(tenant, user, NewTokens(access_token="t"), profile=None, now=now)


async def committed(store: AnyStore, before: Session, **changes: object) -> Session:
    """Commit a change and return the session after it."""
    commit = next_commit(before, **changes)  # type: ignore[arg-type]
    await store.sessions.commit(commit)
    return commit.session
