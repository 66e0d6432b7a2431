"""Errors about webhook endpoints, and what is delivered to them."""

from __future__ import annotations

from orchestrator.core.errors.base import NotFoundError, ZapwrightError


class EndpointNotFoundError(NotFoundError):
    """No webhook endpoint has this id."""

    code = "endpoint_not_found"

    def __init__(self, *, endpoint_id: str) -> None:
        super().__init__(f"no webhook endpoint has the id {endpoint_id!r}: list them", endpoint_id=endpoint_id)


class DeliveryNotFoundError(NotFoundError):
    """The endpoint was not sent this event, or the record of it is gone."""

    code = "delivery_not_found"

    def __init__(self, *, endpoint_id: str, session_id: str, seq: int) -> None:
        super().__init__(
            f"endpoint {endpoint_id} has no delivery of event {seq} of session {session_id!r}; list its deliveries",
            endpoint_id=endpoint_id,
            session_id=session_id,
            seq=seq,
        )


class DeliveryUnderWayError(ZapwrightError):
    """Something of the delivery's lane is being tried just now: asking for it again might send it twice."""

    code = "delivery_under_way"

    def __init__(self, *, endpoint_id: str, session_id: str, seq: int) -> None:
        super().__init__(
            f"event {seq} of session {session_id!r} may be on its way to {endpoint_id}: see what comes of it first",
            endpoint_id=endpoint_id,
            session_id=session_id,
            seq=seq,
        )


class EndpointUrlRefusedError(ZapwrightError):
    """Messages are not sent to this URL."""

    code = "endpoint_url_refused"

    def __init__(self, *, why: str) -> None:
        super().__init__(f"this URL cannot be a webhook endpoint: {why}", why=why)


class TooManyEndpointsError(ZapwrightError):
    """There are as many webhook endpoints as there may be."""

    code = "too_many_endpoints"

    def __init__(self, *, most: int, of: str) -> None:
        super().__init__(f"a {of} has {most} webhook endpoints at most: delete one first", most=most, of=of)
