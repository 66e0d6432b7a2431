"""Single calls whose answers are looked at raw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec

from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Budget, Permit, Share
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis
from orchestrator.zapier.address import ApiAddress
from orchestrator.zapier.exchange import Answer, Exchange, NotSent, Request
from orchestrator.zapier.refusals import retry_after

Row: TypeAlias = Mapping[str, Any]

PATIENCE: Final[Millis] = 3 * MINUTE
_SHORTEST_PAUSE: Final[Millis] = 50


class HaltedError(Exception):
    """The API cannot be asked any further; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An answer as it came. `document` is None where the body is no JSON."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    document: Any = field(repr=False)
    took: Millis

    @property
    def rows(self) -> list[Row]:
        """What the list holds, or nothing."""
        data = self.document.get("data") if isinstance(self.document, dict) else None
        return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []

    def part(self, name: str) -> Row | None:
        """Return a member of the envelope that is an object."""
        found = self.document.get(name) if isinstance(self.document, dict) else None
        return found if isinstance(found, dict) else None

    @property
    def is_good(self) -> bool:
        """Whether it is what was asked for."""
        return self.status == HTTPStatus.OK and isinstance(self.document, dict)


class Lab:
    """Asks one thing at a time. Every call takes a permit that nothing more urgent wants; `calls` counts them."""

    def __init__(  # noqa: PLR0913 - the world around a call
        self,
        exchange: Exchange,
        *,
        address: ApiAddress,
        token: str,
        client_id: str | None,
        budget: Budget,
        clock: Clock,
        egress: str,
        partner: str,
    ) -> None:
        self.client_id = client_id
        self.calls = 0
        self.slowest: Millis = 0
        self.limit_headers: set[str] = set()
        self._exchange = exchange
        self._address = address
        self._token = token
        self._budget = budget
        self._clock = clock
        self._egress = egress
        self._partner = partner

    async def get(self, path: str, *, token: str | None = None, **query: str | int) -> Seen:
        """Read something, with the user's token or another; an empty one is not sent. Raises HaltedError."""
        return await self._ask("GET", path, None, token=token, query=query)

    async def post(self, path: str, data: object) -> Seen:
        """Send a body as the API wants it, wrapped in `data`. Raises HaltedError."""
        return await self._ask("POST", path, msgspec.json.encode({"data": data}), token=None, query={})

    async def pause(self, duration: Millis) -> None:
        """Let time go by."""
        await self._clock.sleep(duration)

    async def _ask(
        self, method: str, path: str, body: bytes | None, *, token: str | None, query: Mapping[str, str | int]
    ) -> Seen:
        url = self._address.endpoint(path, **query)
        request = Request(
            endpoint=f"{method} {path}",
            method=method,
            url=url,
            token=self._token if token is None else token,
            body=body,
        )
        permit = await self._permit()
        begun_at = self._clock.now()
        self.calls += 1
        outcome = await self._exchange.send(request)
        now = self._clock.now()
        if isinstance(outcome, NotSent):
            await self._budget.give_back([permit])
            raise HaltedError(f"not reached: {outcome.flaw}")
        if not isinstance(outcome, Answer):
            raise HaltedError(f"no answer: {outcome.flaw}")
        await self._answered(outcome, permit, now=now)
        self.slowest = max(self.slowest, now - begun_at)
        self.limit_headers |= {name.lower() for name in outcome.headers if name.lower().startswith("x-ratelimit")}
        return Seen(
            status=outcome.status, headers=outcome.headers, document=_document(outcome.body), took=now - begun_at
        )

    async def _permit(self) -> Permit:
        now = self._clock.now()
        until = now + PATIENCE
        while True:
            grant = await self._budget.take(1, egress=self._egress, partner=self._partner, share=Share.QUIET, now=now)
            if grant.permits:
                return grant.permits[0]
            again_at = max(now + SECOND if grant.retry_at is None else grant.retry_at, now + _SHORTEST_PAUSE)
            if again_at > until:
                raise HaltedError("the budget has no room for this: ask again when there is less to do")
            await self._clock.sleep(again_at - now)
            now = self._clock.now()

    async def _answered(self, answer: Answer, permit: Permit, *, now: Instant) -> None:
        said = answer.headers.get("Retry-After")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            until = now + retry_after(said, now=now)
            await self._budget.cool_down(egress=permit.egress, partner=permit.partner, until=until)
        await self._budget.answered([permit], now=now)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise HaltedError(f"refused by the limit (429), with Retry-After {said!r}: something else uses it up")


def _document(body: bytes) -> Any:  # noqa: ANN401 - JSON has no closer type
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
