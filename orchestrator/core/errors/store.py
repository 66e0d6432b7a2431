"""Errors between the store and us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors.base import ZapwrightError

if TYPE_CHECKING:
    from orchestrator.core.session import Session


class StoreError(ZapwrightError):
    """Something between the store and us."""

    code = "store"


class StoreUnavailableError(StoreError):
    """The store did not answer; what was asked may or may not have happened."""

    code = "store_unavailable"

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"the store did not answer ({problem}); repeat the request", problem=problem)


class StaleVersionError(StoreError):
    """Somebody else committed first: to what the one fact names, `session_id`, `endpoint_id`, `user_id` or `watch_id`.

    `found` is the session as it was just then, where that is known.
    """

    code = "stale_version"

    def __init__(self, *, found: Session | None = None, **changed: str) -> None:
        ((fact, name),) = changed.items()
        super().__init__(f"{fact.removesuffix('_id')} {name} changed meanwhile; read it and decide again", **changed)
        self.found = found


class GuardFailedError(StoreError):
    """What a decision relied on (claims, other openings) is no longer true; read it and decide again."""

    code = "guard_failed"

    def __init__(self, *, session_id: str) -> None:
        super().__init__(
            f"what was decided for session {session_id} relied on something that changed; decide again",
            session_id=session_id,
        )


class ReferenceTakenError(StoreError):
    """A session of the user that has not ended has this reference."""

    code = "reference_taken"

    def __init__(self, *, session_id: str, reference: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"session {session_id} has the reference {reference!r} already", session_id=session_id, reference=reference
        )


class LeaseLostError(StoreError):
    """The watch was leased to somebody else, who will check it."""

    code = "lease_lost"

    def __init__(self, *, app_id: str) -> None:
        super().__init__(f"the lease on the watch for app {app_id} was lost", app_id=app_id)


class LaneLostError(StoreError):
    """The lane was leased to somebody else, who will try what is due in it."""

    code = "lane_lost"

    def __init__(self, *, endpoint_id: str, session_id: str) -> None:
        super().__init__(
            f"the lease on the deliveries of session {session_id} to endpoint {endpoint_id} was lost",
            endpoint_id=endpoint_id,
            session_id=session_id,
        )
