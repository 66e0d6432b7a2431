"""The operators' API, spoken to over HTTP, with the key of whoever is signed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx

from dashboard.sight import Json, Trouble

LIMIT_S: Final = 5.0
_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API said, and when it said so by its own clock (milliseconds)."""

    data: Json
    at: int


class RemoteError(Exception):
    """The API did not do what it was asked to."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.says)
        self.trouble = trouble


class UnreachableError(RemoteError):
    """The API did not answer, or not as an API of ours does: whether it did what it was asked to is not known."""

    def __init__(self, *, problem: str) -> None:
        super().__init__(Trouble(says="The API does not answer.", hint=problem))


class RefusedError(RemoteError):
    """The API answered with a problem: its `status`, its stable `code`, and the `reference` that its log has."""

    def __init__(self, *, status: int, code: str, detail: str, reference: str) -> None:
        hint = " · ".join(part for part in (code, reference and f"reference {reference}") if part)
        super().__init__(Trouble(says=detail or f"The API answered {status}.", hint=hint, status=status, code=code))
        self.status = status
        self.code = code


class Remote:
    """One API. Close it in the end."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        self._client = httpx.AsyncClient(
            base_url=url, timeout=LIMIT_S, limits=limits, trust_env=False, transport=transport, follow_redirects=False
        )

    async def read(self, path: str, *, key: str, query: Mapping[str, str] | None = None) -> Answer:
        """Read something of `/v1/operator`. Raises UnreachableError, RefusedError."""
        return await self._ask("GET", path, key=key, query=query)

    async def act(self, path: str, *, key: str, body: Json, idempotency_key: str) -> Answer:
        """Do something; the same key again does it no second time. Raises UnreachableError, RefusedError."""
        return await self._ask("POST", path, key=key, body=body, headers={"Idempotency-Key": idempotency_key})

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        key: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            answer = await self._client.request(
                method,
                f"/v1/operator{path}",
                params=query,
                json=body,
                headers={"Authorization": f"Bearer {key}", **(headers or {})},
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(problem=_problem(error)) from error
        except UnicodeEncodeError as error:  # a key that no header can carry is nobody's
            raise RefusedError(status=401, code="unauthorized", detail="", reference="") from error
        return _read(answer)


def _read(answer: httpx.Response) -> Answer:
    """Return what an answer holds. Raises UnreachableError, RefusedError."""
    try:
        document = answer.json() if answer.content else {}
    except ValueError as error:
        raise UnreachableError(problem=f"what answered {answer.status_code} there is no API of ours") from error
    if not isinstance(document, dict) or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UnreachableError(problem=_detail(document) or f"it answered {answer.status_code}")
    if not answer.is_success:
        raise RefusedError(
            status=answer.status_code,
            code=str(document.get("code", "")),
            detail=_detail(document),
            reference=str(document.get("reference", "")),
        )
    return Answer(data=document, at=_moment(answer.headers.get("date", "")))


def _problem(error: httpx.TransportError | httpx.InvalidURL) -> str:
    """Say why there was no answer; a time-out has no words of its own."""
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {LIMIT_S:.0f} s"
    return str(error) or "the connection was cut off"


def _detail(document: object) -> str:
    return str(document.get("detail") or document.get("title") or "") if isinstance(document, dict) else ""


def _moment(date: str) -> int:
    return round(parsedate_to_datetime(date).timestamp() * 1000)
