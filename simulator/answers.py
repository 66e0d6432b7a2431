"""Answers as documents: errors, list envelopes and resources in the shapes that Zapier documents.

What the documentation leaves open, or says twice and differently, follows the switches.
"""

import email.utils
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from simulator.accounts import Account
from simulator.apps import Action, App
from simulator.switches import Answers, Limits
from simulator.world import Authentication, Zap

Document: TypeAlias = dict[str, Any]

#: `code`, `title` and `detail` by status. Documented are those of 400 and 500; the others are in their style.
_NAMED: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("invalid", "ValidationError", "Invalid input."),
    401: ("unauthenticated", "User Not Authenticated", "A valid access token is needed for this resource."),
    403: ("permission_denied", "PermissionDenied", "This token does not have the scope that this resource needs."),
    404: ("not_found", "NotFound", "Not found."),
    409: ("conflict", "Conflict", "The request conflicts with the state of the resource."),
    413: ("request_too_large", "RequestTooLarge", "The request is too large."),
    429: ("throttled", "Throttled", "Request was throttled."),
    500: ("error", "APIException", "A server error occurred."),
    503: ("service_unavailable", "ServiceUnavailable", "The service is unavailable for the moment."),
    504: ("gateway_timeout", "GatewayTimeout", "The service did not answer in time."),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a document and headers, before anything spoils them."""

    status: int
    document: Document
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    detail: str
    code: str | None = None
    title: str | None = None
    source: dict[str, str] | None = None

    @classmethod
    def at(cls, pointer: str, detail: str) -> "Problem":
        """A problem with a member of the body, named by JSON pointer."""
        return cls(detail=detail, source={"pointer": pointer})

    @classmethod
    def of(cls, parameter: str, detail: str) -> "Problem":
        """A problem with a parameter of the query."""
        return cls(detail=detail, source={"parameter": parameter})


class RefusedError(Exception):
    """The API refuses the request."""

    def __init__(self, status: int, *problems: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: " + "; ".join(problem.detail for problem in problems))
        self.status = status
        self.problems = problems
        self.headers = headers or {}


MALFORMED: Final = Problem("Malformed request.", code="parse_error", title="ParseError")


def error_answer(refused: RefusedError, shape: Answers) -> Answer:
    """Return the error envelope (Zapier docs: errors)."""
    code, title, detail = _NAMED.get(refused.status, _NAMED[500 if refused.status >= 500 else 400])  # noqa: PLR2004
    problems = refused.problems or (Problem(detail),)
    if shape.errors == "strings":
        return Answer(refused.status, {"errors": [problem.detail for problem in problems]}, refused.headers)
    status: int | str = refused.status if shape.error_status == "integer" else str(refused.status)
    errors = [
        {
            "status": status,
            "code": problem.code or code,
            "title": problem.title or title,
            "detail": problem.detail,
            "source": problem.source,
            "meta": {
                "source": "ZAPIER",
                "full_details": {"message": problem.detail, "code": problem.code or code},
            },
        }
        for problem in problems
    ]
    return Answer(refused.status, {"errors": errors}, refused.headers)


def waiting_headers(limits: Limits, *, limit: int, now: int, until: int) -> dict[str, str]:
    """Return the headers of a 429 or 503 that lasts until `until` (Unix ms).

    `X-RateLimit-Limit` is what the reference says it is, requests per hour; the limits themselves are per minute.
    """
    headers = {
        "X-RateLimit-Limit": str(limit * 3_600_000 // limits.window_ms),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(-(-until // 1000)),
    }
    match limits.retry_after:
        case "seconds":
            headers["Retry-After"] = str(max(1, -(-(until - now) // 1000)))
        case "date":
            headers["Retry-After"] = email.utils.formatdate(-(-until // 1000), usegmt=True)
        case "garbage":
            headers["Retry-After"] = "in a while"
        case "absent":
            pass
    return headers


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and where its neighbours are."""

    count: int
    limit: int | None
    offset: int
    next: str | None = None
    prev: str | None = None


def list_document(data: Sequence[Document], page: Page, shape: Answers) -> Document:
    """Return the list envelope (Zapier docs: responses)."""
    document: Document = {}
    if shape.links:
        document["links"] = {"next": page.next, shape.prev: page.prev}
    if shape.meta:
        document["meta"] = {"count": page.count, "limit": page.limit, "offset": page.offset}
    return document | {"data": data}


def page_url(base: str, query: Sequence[tuple[str, str]], *, limit: int, offset: int) -> str:
    """Return the address of another page: `limit` and `offset` changed, every other parameter kept."""
    kept = [(name, value) for name, value in query if name not in {"limit", "offset"}]
    return f"{base}?{urlencode([*kept, ('limit', limit), ('offset', offset)])}"


#: Where a connect link comes back to at Zapier.
REDIRECT: Final = "/v2/authentications/redirect"


@lru_cache(maxsize=1024)
def app_document(app: App, origin: str, *, title: str, linked: bool) -> Document:
    """Return an app (Zapier docs: get-apps), shared, not to be changed. Not `linked`: its links are empty."""
    picture = f"{origin}/images/{app.slug}.svg"
    return {
        "id": app.id,
        "type": "app",
        "title": title,
        "description": app.description,
        "image": picture,
        "images": {f"url_{size}x{size}": f"{picture}?size={size}" for size in (16, 32, 64, 128)},
        "hex_color": app.hex_color,
        "categories": [{"slug": slug} for slug in app.categories],
        "action_types": app.action_types,
        "links": {"connect_new_authentication": connect_link(app, origin)} if linked else {},
    }


def connect_link(app: App, origin: str) -> str | None:
    """Return where a user connects an account; None for an app that needs no authentication."""
    if app.implementation is None:
        return None
    redirect = quote(origin + REDIRECT, safe="")
    return f"{origin}/engine/auth/start/{app.implementation}?redirect={redirect}"


def authentication_document(authentication: Authentication, *, flipped: bool = False) -> Document:
    """Return an authentication (Zapier docs: get-authentications); `flipped`: with the wrong `is_expired`."""
    return {
        "type": "authentication",
        "id": authentication.id,
        "app": authentication.app,
        "title": authentication.title,
        "is_expired": authentication.is_expired != flipped,
    }


def action_document(app: App, action: Action, action_id: str) -> Document:
    """Return an action under the id it has this time (Zapier docs: get-actions)."""
    return {
        "id": action_id,
        "key": action.key,
        "type": "action",
        "action_type": action.action_type,
        "app": app.id,
        "is_instant": action.is_instant,
        "title": action.title,
        "description": action.description,
    }


def profile_document(account: Account) -> Document:
    """Return an account (Zapier docs: user profile)."""
    return {
        "id": account.id,
        "first_name": account.first_name,
        "last_name": account.last_name,
        "full_name": f"{account.first_name} {account.last_name}",
        "email": account.email,
        "email_confirmed": True,
        "timezone": "UTC",
    }


def zap_document(zap: Zap, steps: list[Document], *, origin: str) -> Document:
    """Return a Zap (Zapier docs: create a Zap)."""
    return {
        "type": "zap",
        "id": zap.id,
        "is_enabled": True,
        "last_successful_run_date": None,
        "updated_at": datetime.fromtimestamp(zap.created_at / 1000, UTC).isoformat(timespec="seconds"),
        "title": zap.title,
        "links": {"html_editor": f"{origin}/editor/{editor_number(zap)}?utm_source=partner&utm_medium=embed"},
        "steps": steps,
    }


def editor_number(zap: Zap) -> int:
    """Return the number in the editor's address, which is not the Zap's id."""
    return 100_000_000 + zap.serial
