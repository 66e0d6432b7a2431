"""The shapes of queries. A parameter they do not know is refused, like a key of a body."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from api.schemas.fields import (
    Age,
    AppId,
    AuditLimit,
    ChoiceWords,
    Cursor,
    DeliveryLimit,
    EventLimit,
    FieldId,
    KeyIdGiven,
    Omittable,
    Quoted,
    Seq,
    SessionIdGiven,
    SessionLimit,
    TenantIdGiven,
    UserId,
    Wait,
    WatchLimit,
    Words,
)
from orchestrator.core.deliveries import DeliveryState
from orchestrator.core.interventions import Intervention
from orchestrator.core.ports.audit import AuditQuery
from orchestrator.core.ports.sessions import SessionQuery
from orchestrator.core.ports.watches import WatchQuery
from orchestrator.core.ports.webhooks import DeliveryQuery, DeliverySearch, Trouble
from orchestrator.core.session import SECOND, Instant, Reason, SessionStatus, StepState
from orchestrator.core.waiting import STUCK_AFTER


class Parameters(BaseModel):
    """What every query keeps to."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _SessionSearch(Parameters):
    state: Omittable[StepState] = None
    status: Omittable[SessionStatus] = None
    user_id: Omittable[UserId] = None
    cursor: Omittable[Cursor] = None
    limit: SessionLimit = 50

    def meant(self, tenant_id: str | None, *, within: frozenset[str] | None = None) -> SessionQuery:
        """Return what is asked for."""
        return SessionQuery(
            tenant_id=tenant_id,
            within=within,
            state=self.state,
            status=self.status,
            user_id=self.user_id,
            cursor=self.cursor,
            limit=self.limit,
        )


class _OperatorsSearch(_SessionSearch):
    tenant_id: Omittable[TenantIdGiven] = Field(default=None, description="Only this tenant's; by default everybody's.")
    reason: Omittable[Reason] = None
    app_id: Omittable[AppId] = Field(default=None, description="Those with this app among their steps.")
    older_than_s: Omittable[Age] = Field(default=None, description="Those begun at least so many seconds ago.")
    younger_than_s: Omittable[Age] = Field(default=None, description="Those begun less than so many seconds ago.")
    stuck: bool = Field(default=False, description="Only those in which somebody is stuck.")
    q: Omittable[Quoted] = Field(
        default=None,
        description="What somebody quotes: a session's id or `reference`, an error's, a browser's code, a Zap's id; "
        "else a user's id.",
    )

    def wanted(self, *, sees: frozenset[str] | None, now: Instant) -> SessionQuery:
        """Return what is asked for, of these tenants."""
        return replace(
            self.meant(self.tenant_id),
            within=sees,
            reason=self.reason,
            app_id=self.app_id,
            quoted=self.q,
            begun_before=None if self.older_than_s is None else now - self.older_than_s * SECOND + 1,
            begun_from=None if self.younger_than_s is None else now - self.younger_than_s * SECOND + 1,
            stuck_at=now - STUCK_AFTER if self.stuck else None,
        )


class _Waiting(Parameters):
    after_seq: Omittable[Seq] = Field(default=None, description="Wait until the session's `seq` is greater.")
    wait_s: Wait = 20


class _EventSearch(Parameters):
    after: Seq = Field(default=0, description="Only events with a greater `seq`.")
    limit: EventLimit = 100


class _Streaming(Parameters):
    after: Omittable[Seq] = Field(
        default=None, description="Tell events with a greater `seq` first; by default only what happens from now on."
    )
    visible: bool = Field(default=False, description="The page is in front of its user.")


class _EndpointsSearch(Parameters):
    session_id: Omittable[SessionIdGiven] = Field(default=None, description="Those that hear of this session alone.")


class _DeliveriesSearch(Parameters):
    state: Omittable[DeliveryState] = None
    cursor: Omittable[Cursor] = None
    limit: DeliveryLimit = 50

    def meant(self, tenant_id: str, endpoint_id: str) -> DeliverySearch:
        """Return what is asked for."""
        return DeliverySearch(
            tenant_id=tenant_id, endpoint_id=endpoint_id, state=self.state, cursor=self.cursor, limit=self.limit
        )


class _WatchSearch(Parameters):
    tenant_id: Omittable[TenantIdGiven] = Field(default=None, description="Only this tenant's; by default everybody's.")
    cursor: Omittable[Cursor] = None
    limit: WatchLimit = 50

    def meant(self, within: frozenset[str] | None) -> WatchQuery:
        """Return what is asked for, of these tenants."""
        return WatchQuery(within=within, cursor=self.cursor, limit=self.limit)


class _DeliveriesOverview(Parameters):
    trouble: Annotated[Trouble, Field(description="Which of them; `failing` ones are pending, too.")] = Trouble.PENDING
    tenant_id: Omittable[TenantIdGiven] = Field(default=None, description="Only this tenant's; by default everybody's.")
    cursor: Omittable[Cursor] = None
    limit: DeliveryLimit = 50

    def meant(self, within: frozenset[str] | None) -> DeliveryQuery:
        """Return what is asked for, of these tenants."""
        return DeliveryQuery(trouble=self.trouble, within=within, cursor=self.cursor, limit=self.limit)


class _AuditSearch(Parameters):
    session_id: Omittable[SessionIdGiven] = None
    key_id: Omittable[KeyIdGiven] = Field(default=None, description="Who did it.")
    action: Omittable[Intervention] = None
    cursor: Omittable[Cursor] = None
    limit: AuditLimit = 50

    def meant(self, within: frozenset[str] | None) -> AuditQuery:
        """Return what is asked for."""
        return AuditQuery(
            within=within,
            session_id=self.session_id,
            key_id=self.key_id,
            action=self.action,
            cursor=self.cursor,
            limit=self.limit,
        )


class _Question(Parameters):
    session: Omittable[SessionIdGiven] = Field(default=None, description="About this session.")
    app: Omittable[AppId] = Field(default=None, description="About this app.")


class _AppSearch(Parameters):
    query: Omittable[Words] = None
    cursor: Omittable[Cursor] = None


class _Picking(Parameters):
    refresh: bool = Field(default=False, description="Ask Zapier now.")


class _ChoiceSearch(Parameters):
    field: FieldId
    query: Omittable[ChoiceWords] = None
    cursor: Omittable[Cursor] = None


class _OutputWish(Parameters):
    live: bool = Field(default=False, description="With samples of the user's own, which takes longer.")


SessionSearch = Annotated[_SessionSearch, Query()]
"""Which sessions to list: those that match every given value."""

OperatorsSearch = Annotated[_OperatorsSearch, Query()]
"""The same over all tenants."""

Waiting = Annotated[_Waiting, Query()]
"""Whether to wait for a change, and how long."""

EventSearch = Annotated[_EventSearch, Query()]
"""Which events to read."""

Streaming = Annotated[_Streaming, Query()]
"""From where to tell, and to whom."""

EndpointsSearch = Annotated[_EndpointsSearch, Query()]
"""Whose endpoints to list."""

DeliveriesSearch = Annotated[_DeliveriesSearch, Query()]
"""Which deliveries to list."""

WatchSearch = Annotated[_WatchSearch, Query()]
"""Which watches to list."""

DeliveriesOverview = Annotated[_DeliveriesOverview, Query()]
"""Which deliveries of all endpoints to list."""

AuditSearch = Annotated[_AuditSearch, Query()]
"""Which entries of the audit to list."""

Question = Annotated[_Question, Query()]
"""What is asked about: one session, or one app."""

AppSearch = Annotated[_AppSearch, Query()]
"""Which apps to look for."""

ChoiceSearch = Annotated[_ChoiceSearch, Query()]
"""Which choices of which field."""

OutputWish = Annotated[_OutputWish, Query()]
"""What outputs are to be shown with."""

Picking = Annotated[_Picking, Query()]
"""How current a listing must be."""
