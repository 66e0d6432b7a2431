"""A running deployment, spoken to over HTTP: its API, and the simulator's control routes."""

from __future__ import annotations

from typing import Any, Final, Self, TypeAlias

import httpx

from cli.errors import CommandError, RefusedError

Json: TypeAlias = dict[str, Any]

LONGEST_POLL_S: Final = 30
_LIMIT_S: Final = 45.0


class Remote:
    """One side that answers JSON. Used as a context manager."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = url
        self._client = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int | None) -> Json:
        """Read something. Raises CommandError."""
        return self.ask("GET", path, query={name: value for name, value in query.items() if value is not None})

    def ask(self, method: str, path: str, body: Json | None = None, *, query: Json | None = None) -> Json:
        """Ask for something, and return the answer's document ({} for none). Raises CommandError."""
        try:
            answer = self._client.request(method, path, params=query, json=body)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise CommandError(
                f"{self._url} does not answer: {error}; is it running? `zapwright up` starts it"
            ) from error
        if not answer.is_success:
            detail, code = _problem(answer)
            raise RefusedError(f"{method} {path}: {answer.status_code} {detail}", code=code)
        return dict(answer.json()) if answer.content else {}


def _problem(answer: httpx.Response) -> tuple[str, str | None]:
    """Return what an answer says of what was wrong, and its code if it has one."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return answer.reason_phrase, None
    detail = document.get("detail") or document.get("title") or document.get("error") or answer.reason_phrase
    return str(detail), document.get("code")
