"""Apps and actions, kept for a while where every process finds them.

What one user reads serves every user of the tenant where it is a fact about the app: a page of the catalogue, the
actions of an app. The popup address that a browser will be sent to is not: whether it belongs to the user whose token
read it is undocumented, so the details of one app are kept for each user alone, and the links on a page of the
catalogue serve nobody but that user. Nothing here is read by client id: such answers have no connect
links, and would make every app look as if it needed no authentication (Zapier docs: get-apps).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.errors.upstream import UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.ports.credentials import Credential
from orchestrator.core.ports.upstream import AppPage, CatalogAction, CatalogApp
from orchestrator.core.session import Instant, Millis
from orchestrator.zapier import wire
from orchestrator.zapier.address import ApiAddress, offset_of
from orchestrator.zapier.calls import Calls, Reading
from orchestrator.zapier.exchange import Request
from orchestrator.zapier.limits import Limits
from orchestrator.zapier.lists import Trail
from orchestrator.zapier.permits import PermitSource
from orchestrator.zapier.shelf import Shelf

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CURSOR: Final = re.compile(r"o([0-9]{1,9})")
_UNKNOWN_APP: Final = {400, 404}
_SEVERAL: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _ListedActions:
    actions: tuple[CatalogAction, ...]
    read_at: Instant


class Catalog:
    """Apps and actions as users see them, read from Zapier when no fresh enough copy is kept."""

    def __init__(
        self, calls: Calls, *, address: ApiAddress, permits: PermitSource, shelf: Shelf, limits: Limits
    ) -> None:
        self._calls = calls
        self._address = address
        self._permits = permits
        self._shelf = shelf
        self._limits = limits

    async def apps(self, credential: Credential, *, query: str | None, cursor: str | None) -> AppPage:
        """Return one page of the apps whose titles match, or of all.

        An app whose popup address Zapier does not state is left out: nobody could choose it. Whoever has it read may
        choose from it without a further call. A page whose next link cannot be followed is the last one.

        Raises ValueError for a cursor that is not ours, and what reads raise.
        """
        offset = _offset(cursor)
        words = " ".join((query or "").encode("utf-8", "replace").decode().split())

        async def read() -> AppPage:
            asked: dict[str, str | int] = {"limit": self._limits.search_size, "offset": offset}
            url = self._address.endpoint("/v2/apps", **(asked | {"query": words} if words else asked))
            reading = await self._read("GET /v2/apps", url, credential)
            page = wire.apps(reading.body)
            found = await self._learnt(credential, page, reading.begun_at)
            return AppPage(apps=tuple(found), cursor=self._cursor(page, url))

        key = key_of("apps", credential.tenant_id, words, str(offset))
        return await self._shelf.kept(key, AppPage, read, age=self._limits.catalogue_age)

    def _cursor(self, page: wire.Page[wire.AppRow], url: httpx.URL) -> str | None:
        following = self._address.own(page.next_link, seen_on=url) if page.next_link and page.rows else None
        offset = offset_of(following) if following else None
        return f"o{offset}" if offset is not None and offset > (offset_of(url) or 0) else None

    async def app(self, credential: Credential, app_id: str) -> CatalogApp:
        """Return one app as this user sees it, its popup address at most `link_age` old.

        Raises AppNotFoundError, without asking Zapier when the id is no uuid; UpstreamUnavailableError when Zapier
        does not state whether the app needs an authentication; and what reads raise.
        """
        if not _UUID.fullmatch(app_id):
            raise AppNotFoundError(app_id=app_id)

        async def read() -> CatalogApp:
            url = self._address.endpoint("/v2/apps", ids=app_id)
            try:
                reading = await self._read("GET /v2/apps", url, credential, app_id=app_id)
            except UpstreamRefusedError as error:
                if error.facts["status"] in _UNKNOWN_APP:
                    raise AppNotFoundError(app_id=app_id) from error
                raise
            return _only(reading, app_id)

        return await self._shelf.kept(_app_key(credential, app_id), CatalogApp, read, age=self._limits.link_age)

    async def learn_apps(self, credential: Credential, app_ids: Collection[str]) -> None:
        """Read with one call those that are not known, if they are several.

        What Zapier refuses to answer for all of them is left for `app` to ask for, which says what is wrong with which.
        """
        named = [app_id for app_id in app_ids if _UUID.fullmatch(app_id)]
        known = [await self._shelf.find(_app_key(credential, app_id), CatalogApp) for app_id in named]
        unknown = [app_id for app_id, found in zip(named, known, strict=True) if found is None]
        if len(unknown) < _SEVERAL:
            return
        url = self._address.endpoint("/v2/apps", ids=",".join(unknown), limit=len(unknown))
        try:
            reading = await self._read("GET /v2/apps", url, credential)
        except UpstreamRefusedError as error:
            if error.facts["status"] not in _UNKNOWN_APP:
                raise
            return
        await self._learnt(credential, wire.apps(reading.body), reading.begun_at)

    async def _learnt(self, credential: Credential, page: wire.Page[wire.AppRow], read_at: Instant) -> list[CatalogApp]:
        """Keep what a page says of each app for the user whose token read it, and return the apps."""
        found = [app for row in page.rows if (app := row.at(read_at)) is not None]
        until = read_at + self._limits.link_age
        await asyncio.gather(*(self._shelf.keep(_app_key(credential, one.app.id), one, until=until) for one in found))
        return found

    async def actions(
        self, credential: Credential, app_id: str, *, age: Millis | None = None
    ) -> tuple[CatalogAction, ...]:
        """Return every action of the app, read at most `age` ago, by default `catalogue_age`; 0 reads them now.

        A list that breaks off raises UpstreamUnavailableError: a missing action would look like one that is gone.
        """

        async def read() -> _ListedActions:
            started = self._calls.now()
            first = self._address.endpoint("/v2/actions", app=app_id)
            trail = Trail(first, address=self._address, max_pages=self._limits.max_pages)
            actions: list[CatalogAction] = []
            while trail.here is not None:
                page = wire.actions((await self._read("GET /v2/actions", trail.here, credential, app_id=app_id)).body)
                actions.extend(page.rows)
                trail.turn(page)
            if trail.flaw is not None:
                raise UpstreamUnavailableError(problem=trail.flaw)
            return _ListedActions(actions=tuple(actions), read_at=started)

        key = key_of("listed_actions", credential.tenant_id, app_id)
        longest = self._limits.catalogue_age
        since = self._calls.now() - (longest if age is None else age)
        listed = await self._shelf.kept(
            key, _ListedActions, read, age=longest, serves=lambda kept: kept.read_at > since
        )
        return listed.actions

    async def _read(
        self, endpoint: str, url: httpx.URL, credential: Credential, *, app_id: str | None = None
    ) -> Reading:
        request = Request(endpoint=endpoint, method="GET", url=url, app_id=app_id)
        async with self._permits.purse(credential.tenant_id, credential.user_id) as purse:
            return await self._calls.read(request, credential=credential, purse=purse)


def _only(reading: Reading, app_id: str) -> CatalogApp:
    rows = wire.apps(reading.body).rows
    row = next((row for row in rows if row.app.id == app_id), None)
    if row is None:
        raise AppNotFoundError(app_id=app_id)
    app = row.at(reading.begun_at)
    if app is None:
        raise UpstreamUnavailableError(problem="an app without a usable popup address, and without a null for none")
    return app


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValueError(f"not a cursor of a search: {cursor[:40]!r}")
    return int(match[1])


def _app_key(credential: Credential, app_id: str) -> str:
    return key_of("app", credential.tenant_id, credential.user_id, app_id)


def key_of(kind: str, *parts: str) -> str:
    """Name a kept answer; what users search for is not legible in it, and no part can reach into the next."""
    return f"zapier:{kind}:1:{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()}"
