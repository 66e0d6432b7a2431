"""What actions ask for and give: fields, choices, outputs, and carrying one out.

Zapier knows an action by an id that does not last (Zapier docs: hardcoding an action). It is looked up shortly before
each use; a reading that is refused under an id that was kept is made once more under a new one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from orchestrator.core.errors.actions import ActionNotFoundError
from orchestrator.core.errors.upstream import (
    StepTestFailedError,
    StepTestUnknownError,
    UpstreamBusyError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from orchestrator.core.fields import Form, invalidates
from orchestrator.core.ports.credentials import Credential
from orchestrator.core.ports.upstream import ActionUse, ChoicePage, Output, StepTestRun
from orchestrator.core.session import SECOND, Instant, JsonObject, Millis
from orchestrator.core.values import replace
from orchestrator.zapier import fieldwire
from orchestrator.zapier.address import ApiAddress
from orchestrator.zapier.calls import Calls, Reading, body_of
from orchestrator.zapier.catalog import Catalog, key_of
from orchestrator.zapier.exchange import Answer, NotSent, Request
from orchestrator.zapier.limits import Limits
from orchestrator.zapier.permits import PermitSource
from orchestrator.zapier.refusals import problem_of
from orchestrator.zapier.shelf import Shelf

Value = TypeVar("Value")

_GONE: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
_FIRST_PAGE: Final = "1"
_LONGEST_PAGE: Final = 512
_FIELDS: Final = "/v2/actions/{action_id}/inputs"
_CHOICES: Final = "/v2/actions/{action_id}/inputs/{input_id}/choices"
_OUTPUTS: Final = "/v2/actions/{action_id}/outputs"
_TEST: Final = "/v2/actions/{action_id}/test"

MOST_FORMS_KEPT: Final = 4
"""Of one action and authentication: of steps that share them, or while a choice is made and taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadForm:
    """What an action asked for with inputs of these digests: what a user fills in is not kept."""

    inputs: JsonObject
    body: str
    begun_at: Instant

    @property
    def form(self) -> Form:
        return fieldwire.form(self.body.encode())

    def form_with(self, inputs: JsonObject) -> Form | None:
        """Return the form if it is the one with other inputs, too."""
        form = self.form
        return None if invalidates(form, self.inputs, _digests(inputs)) else form


class Forms:
    """Actions as they are used, read from Zapier when no fresh enough copy is kept."""

    def __init__(
        self,
        calls: Calls,
        *,
        catalog: Catalog,
        address: ApiAddress,
        permits: PermitSource,
        shelf: Shelf,
        limits: Limits,
    ) -> None:
        self._calls = calls
        self._catalog = catalog
        self._address = address
        self._permits = permits
        self._shelf = shelf
        self._limits = limits

    async def fields(self, credential: Credential, use: ActionUse) -> Form:
        """Return what the action asks for.

        What was read with other inputs serves as well where nothing that differs lets fields come or go (Zapier docs:
        fields and fieldsets, `invalidates_input_fields`).
        """
        age = self._limits.link_age
        key = _key("forms", credential, replace(use, inputs={}))

        def serving(kept: tuple[_ReadForm, ...]) -> Form | None:
            young = (one for one in kept if self._calls.now() - one.begun_at < age)
            return next((form for one in young if (form := one.form_with(use.inputs)) is not None), None)

        async def read() -> tuple[_ReadForm, ...]:
            reading = await self._read(credential, use, _FIELDS)
            fieldwire.form(reading.body)
            now = _ReadForm(inputs=_digests(use.inputs), body=reading.body.decode(), begun_at=reading.begun_at)
            earlier = await self._shelf.find(key, tuple[_ReadForm, ...]) or ()
            return (now, *earlier[: MOST_FORMS_KEPT - 1])

        kept = await self._shelf.kept(
            key, tuple[_ReadForm, ...], read, age=age, serves=lambda kept: serving(kept) is not None
        )
        return serving(kept) or kept[0].form

    async def choices(self, credential: Credential, use: ActionUse, field_id: str, *, cursor: str | None) -> ChoicePage:
        """Return one page of a field's choices; a next link that cannot be followed ends them.

        Pages are named by Zapier, and not counted here (Zapier docs: get-choices).
        """
        page = _page(cursor)

        async def read() -> ChoicePage:
            reading = await self._read(credential, use, _CHOICES, input_id=field_id, page=page)
            found, link = fieldwire.choices(reading.body)
            following = self._following(link, page) if found else None
            return ChoicePage(choices=found, cursor=following)

        key = _key("choices", credential, use, field_id, page)
        return await self._shelf.kept(key, ChoicePage, read, age=self._limits.link_age)

    async def outputs(self, credential: Credential, use: ActionUse, *, live: bool) -> tuple[Output, ...]:
        """Return what the action will give."""

        async def read() -> tuple[Output, ...]:
            more: JsonObject = {"fetch_live_samples": True} if live else {}
            return fieldwire.outputs((await self._read(credential, use, _OUTPUTS, more=more)).body)

        key = _key("outputs", credential, use, str(live))
        age = self._limits.live_age if live else self._limits.link_age
        return await self._shelf.kept(key, tuple[Output, ...], read, age=age)

    async def test(self, credential: Credential, use: ActionUse) -> StepTestRun:
        """Carry the action out with one call, under an id that was just looked up."""
        action_id = await self._id(credential, use, age=0)
        request = self._request(use, _TEST, action_id)
        newest = await self._calls.newest(credential)
        token = newest.access_token
        async with self._permits.purse(credential.tenant_id, credential.user_id) as purse:
            outcome = await self._calls.act(request, credential=newest, purse=purse)
        match outcome:
            case NotSent():
                raise UpstreamUnavailableError(problem=f"not reached: {outcome.flaw}")
            case Answer(status=HTTPStatus.UNAUTHORIZED):
                await self._calls.after_refusal(newest)
                raise UpstreamBusyError(retry_after=SECOND, why="the user's token has just been refreshed")
            case Answer(status=HTTPStatus.TOO_MANY_REQUESTS):
                body_of(outcome, token=token, now=self._calls.now())  # raises UpstreamBusyError
            case Answer(status=HTTPStatus.BAD_REQUEST as status, flaw=None):
                raise StepTestFailedError(status=status, problem=problem_of(outcome.body, token=token))
            case Answer(status=HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND as status):
                raise UpstreamRefusedError(status=status, problem=problem_of(outcome.body, token=token))
            case Answer(status=HTTPStatus.OK, flaw=None):
                return _ran(outcome.body)
            case Answer(status=status):
                raise StepTestUnknownError(problem=f"status {status}")
            case _:
                pass
        raise StepTestUnknownError(problem=f"no answer: {outcome.flaw}")

    async def _read(
        self,
        credential: Credential,
        use: ActionUse,
        template: str,
        *,
        more: JsonObject | None = None,
        **names: str,
    ) -> Reading:
        """Read under the id the action has now. Raises ActionNotFoundError and what reads raise."""

        async def ask(action_id: str) -> Reading:
            request = self._request(use, template, action_id, more=more, **names)
            async with self._permits.purse(credential.tenant_id, credential.user_id) as purse:
                return await self._calls.read(request, credential=credential, purse=purse)

        return await self._under_its_id(credential, use, ask)

    async def _under_its_id(
        self, credential: Credential, use: ActionUse, ask: Callable[[str], Awaitable[Value]]
    ) -> Value:
        kept = await self._id(credential, use, age=self._limits.link_age)
        try:
            return await ask(kept)
        except UpstreamRefusedError as refused:
            if refused.facts["status"] not in _GONE:
                raise
            anew = await self._id(credential, use, age=0)
            if anew == kept:
                raise
        return await ask(anew)

    async def _id(self, credential: Credential, use: ActionUse, *, age: Millis) -> str:
        names = use.action.key, use.action.action_type
        for found in await self._catalog.actions(credential, use.app_id, age=age):
            if (found.key, found.action_type) == names:
                return found.id
        raise ActionNotFoundError(app_id=use.app_id, key=use.action.key, action_type=use.action.action_type)

    def _request(
        self,
        use: ActionUse,
        template: str,
        action_id: str,
        *,
        more: JsonObject | None = None,
        page: str | None = None,
        **names: str,
    ) -> Request:
        parts = {name: quote(text, safe="") for name, text in {"action_id": action_id, **names}.items()}
        url = self._address.endpoint(
            template.format(**parts), **({} if page in {None, _FIRST_PAGE} else {"page": page})
        )
        body = fieldwire.request(use, more or {})
        return Request(endpoint=f"POST {template}", method="POST", url=url, body=body, app_id=use.app_id)

    def _following(self, link: str | None, page: str) -> str | None:
        """Return what Zapier calls the next page."""
        url = self._address.own(link, seen_on=self._address.endpoint("/v2/actions")) if link else None
        if url is None:
            return None
        (named,) = parse_qs(urlsplit(str(url)).query).get("page", [""])[-1:]
        return f"p{named}" if named and named != page and len(named) <= _LONGEST_PAGE else None


def _digests(inputs: JsonObject) -> JsonObject:
    return {name: key_of("input", fieldwire.sorted_json({name: value})) for name, value in inputs.items()}


def _page(cursor: str | None) -> str:
    if cursor is None:
        return _FIRST_PAGE
    if not cursor.startswith("p") or len(cursor) == 1:
        raise ValueError(f"not a cursor of choices: {cursor[:40]!r}")
    return cursor[1:]


def _ran(body: bytes) -> StepTestRun:
    try:
        return fieldwire.test_run(body)
    except UpstreamUnavailableError as error:
        raise StepTestUnknownError(problem=str(error.facts["problem"])) from error


def _key(kind: str, credential: Credential, use: ActionUse, *more: str) -> str:
    """Name a kept answer: it is one user's, for one authentication and the inputs it was asked with."""
    inputs = fieldwire.sorted_json(use.inputs)
    action = use.app_id, use.action.key, use.action.action_type, use.authentication_id or ""
    return key_of(kind, credential.tenant_id, credential.user_id, credential.account, *action, inputs, *more)
