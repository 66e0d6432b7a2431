"""Calls that were made to Zapier, as they are kept and counted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol

from orchestrator.core.session import Instant, Millis


class CallEnd(StrEnum):
    """What is counted of calls to Zapier: it answered, it refused because of its limits (429), or did neither well."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, order=True)
class CallKind:
    """Calls of one kind: for a tenant, to one of Zapier's endpoints (`GET /v2/apps`)."""

    tenant_id: str
    endpoint: str


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One call to Zapier that was made for a user: what was asked, when, what was answered, how long it took.

    `status` None: no answer came, for the `problem`. `app_id` is the app that it was about, if it was about one.
    """

    at: Instant
    endpoint: str
    took: Millis
    status: int | None
    problem: str | None = None
    app_id: str | None = None

    @property
    def end(self) -> CallEnd:
        """What is counted of it."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return CallEnd.REFUSED
        is_answered = self.status is not None and self.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return CallEnd.ANSWERED if is_answered else CallEnd.FAILED


class CallLog(Protocol):
    """The newest calls made for each user, and how many were made for each tenant. Losing any of it loses nothing."""

    async def note(self, tenant_id: str, user_id: str, record: CallRecord) -> None:
        """Keep the record, and count it in its hour and its minute (`CensusStore`).

        The newest 50 of a user are kept, a week at most; of one who has no credential, as one who was erased, none.
        """
        ...

    async def of_user(self, tenant_id: str, user_id: str) -> tuple[CallRecord, ...]:
        """Return what is kept of the user's calls, oldest first."""
        ...
