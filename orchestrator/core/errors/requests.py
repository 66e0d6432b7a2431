"""Errors about requests that come again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors.base import ZapwrightError

if TYPE_CHECKING:
    from orchestrator.core.session import Millis


class IdempotencyError(ZapwrightError):
    """The request's idempotency key was used before."""

    code = "idempotency"


class IdempotencyKeyReusedError(IdempotencyError):
    """The idempotency key was used for a request with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this idempotency key was used with another body; use a new key for a new request")


class IdempotencyInFlightError(IdempotencyError):
    """The first request with this idempotency key is still being carried out."""

    code = "idempotency_in_flight"

    def __init__(self, *, retry_after: Millis) -> None:
        self.retry_after = retry_after
        super().__init__(
            "the first request with this idempotency key is still being carried out; repeat it a little later",
            retry_after_ms=retry_after,
        )
