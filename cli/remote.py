"""A running deployment, spoken to over HTTP: its API, and the simulator's control routes."""

from __future__ import annotations

import re
from typing import Any, Final, Self, TypeAlias

import httpx

from cli.errors import CommandError, UnknownError

Json: TypeAlias = dict[str, Any]

LONGEST_POLL_S: Final = 30
_LIMIT_S: Final = 45.0


class Remote:
    """One side that answers JSON. Used as a context manager.

    `key_from` is the variable that holds the key, `key_options` what another such key is made with. Raises CommandError
    for what can be no key.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, key_from: str | None = None, key_options: str = "--name NAME"
    ) -> None:
        if api_key and not re.fullmatch("[!-~]+", api_key):
            raise CommandError(f"what {key_from} holds is no key: it has spaces, line breaks or letters that none has")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = url
        self._key_from = key_from
        self._key_options = key_options
        self._client = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int | None) -> Json:
        """Read something. Raises CommandError."""
        return self.ask("GET", path, query={name: value for name, value in query.items() if value is not None})

    def ask(self, method: str, path: str, body: Json | None = None, *, query: Json | None = None) -> Json:
        """Ask for something, and return the answer's document ({} for none).

        Raises CommandError, UnknownError for a session that is not there.
        """
        try:
            answer = self._client.request(method, path, params=query, json=body)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise CommandError(
                f"{self._url} does not answer: {error}; `zapwright doctor` tells whether it runs, or hangs"
            ) from error
        document = _document(answer)
        is_ours = document is not None and (answer.is_success or self._key_from is None or "code" in document)
        if document is None or not is_ours:
            raise CommandError(
                f"{self._url} is no API of ours, or something before it answers in its place: "
                f"{answer.status_code} {answer.reason_phrase} to {method} {path}"
            )
        if answer.is_success:
            return document
        kind = UnknownError if document.get("code") == "session_not_found" else CommandError
        raise kind(self._said(document, answer))

    def _said(self, problem: Json, answer: httpx.Response) -> str:
        """Say what happened and what to do, and last by which reference the API's log has it."""
        detail = problem.get("detail") or problem.get("title") or problem.get("error") or answer.reason_phrase
        if self._key_from is not None:
            detail = _OF_THE_KEY.get(problem.get("code", ""), "{detail}").format(
                detail=detail, key=self._key_from, options=self._key_options
            )
        reference = problem.get("reference")
        return f"{detail} (reference {reference})" if reference else str(detail)


_OF_THE_KEY: Final = {
    "unauthorized": "the API does not know the key in {key}, or no longer: `zapwright api-keys` lists and makes keys",
    "scope_missing": "{detail}, and the one in {key} has not: `zapwright api-keys create {options}` makes another",
    "endpoint_not_found": "{detail} with `zapwright webhooks list`; the key in {key} may be of another tenant",
}


def _document(answer: httpx.Response) -> Json | None:
    """Return the document of an answer ({} for none), None for what is no document."""
    try:
        document = answer.json() if answer.content else {}
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
