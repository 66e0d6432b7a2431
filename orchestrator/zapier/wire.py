"""What Zapier's answers mean, and how its requests are written.

Answers are read tolerantly where Zapier's documentation disagrees with itself (`links` and `meta` may be missing, an
app is a uuid or an object, a Zap comes bare or in `data`), and strictly where a decision rests on them: ids, expiry,
counts and next links. What cannot be read raises UpstreamUnavailableError with a problem that quotes nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Generic, TypeAlias, TypeVar

import httpx
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.ports.credentials import Profile
from orchestrator.core.ports.upstream import CatalogAction, CatalogApp, ZapDraft, ZapMade, ZapStep
from orchestrator.core.recognition import ListedZap
from orchestrator.core.session import Action, App, Authentication, Connect, Instant, JsonObject

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
"""An id is text, however numeric it looks: a number in its place is no id. (Only a profile's id is a number.)"""

Number: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]

Value = TypeVar("Value")
Row = TypeVar("Row")

_LONGEST_TEXT: Final = 500
_LONGEST_ADDRESS: Final = 8_000
_MOST_ACTION_TYPES: Final = 20
_HEX_COLOR: Final = re.compile(r"(?:[0-9a-fA-F]{3}){1,2}")


# --- lists ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """One page of a list.

    `next_link` continues it; `is_last` means Zapier said that nothing does (an explicit null), which is more than not
    saying. `count` is how many rows the whole list has, None where Zapier does not say.
    """

    rows: tuple[Row, ...]
    next_link: str | None
    is_last: bool
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRow:
    """One authentication and the app it is for."""

    authentication: Authentication
    app_id: str


class _Links(Struct):
    next: str | UnsetType | None = UNSET


class _Meta(Struct):
    count: Number | None = None


class _Envelope(Struct, Generic[Row]):
    data: list[Row]
    links: _Links | None = None
    meta: _Meta | None = None


class _AppReference(Struct):
    id: Id


class _AuthenticationRow(Struct):
    id: Id
    app: str | _AppReference
    is_expired: bool
    title: object = None


class _ActionRow(Struct):
    id: Id
    key: Annotated[str, Meta(min_length=1, max_length=255)]
    action_type: Annotated[str, Meta(min_length=1, max_length=64)]
    title: object = None
    description: object = None
    is_instant: object = None


class _AppLinks(Struct):
    connect_new_authentication: object = UNSET


class _AppRow(Struct):
    id: Id
    title: object = None
    description: object = None
    image: object = None
    hex_color: object = None
    action_types: object = None
    links: _AppLinks | None = None


def authentications(body: bytes) -> Page[AuthenticationRow]:
    """Read a page of `GET /v2/authentications` (Zapier docs: get-authentications).

    A row without id, app or expiry makes the whole page useless: raises UpstreamUnavailableError.
    """
    return _page(read(body, _Envelope[_AuthenticationRow]), _authentication)


def actions(body: bytes) -> Page[CatalogAction]:
    """Read a page of `GET /v2/actions` (Zapier docs: get-actions). Raises UpstreamUnavailableError."""
    return _page(read(body, _Envelope[_ActionRow]), _action)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRow:
    """An app as one answer has it.

    `link` is its popup address, None where Zapier states that there is none, and UNSET where it states nothing usable:
    only a stated null means that the app needs no authentication (Zapier docs: get-apps, selecting-an-authentication).
    """

    app: App
    description: str
    action_types: tuple[str, ...]
    link: str | UnsetType | None

    def at(self, read_at: Instant) -> CatalogApp | None:
        """Return the app as it was at `read_at`; None when its popup address is not stated."""
        if self.link is UNSET:
            return None
        connect = Connect(url=self.link, read_at=read_at) if self.link is not None else None
        return CatalogApp(app=self.app, connect=connect, description=self.description, action_types=self.action_types)


def apps(body: bytes) -> Page[AppRow]:
    """Read a page of `GET /v2/apps` (Zapier docs: get-apps). Raises UpstreamUnavailableError."""
    return _page(read(body, _Envelope[_AppRow]), _app)


def _page(envelope: _Envelope[Value], row: Callable[[Value], Row]) -> Page[Row]:
    stated = UNSET if envelope.links is None else envelope.links.next
    return Page(
        rows=tuple(row(value) for value in envelope.data),
        next_link=None if stated is UNSET else stated,
        is_last=stated is None,
        count=None if envelope.meta is None else envelope.meta.count,
    )


def _authentication(row: _AuthenticationRow) -> AuthenticationRow:
    return AuthenticationRow(
        authentication=Authentication(id=row.id, title=_text(row.title) or row.id, is_expired=row.is_expired),
        app_id=row.app if isinstance(row.app, str) else row.app.id,
    )


def _action(row: _ActionRow) -> CatalogAction:
    return CatalogAction(
        id=row.id,
        key=row.key,
        action_type=row.action_type,
        title=_text(row.title) or row.key,
        description=_text(row.description),
        is_instant=row.is_instant is True,
    )


def _app(row: _AppRow) -> AppRow:
    color = _text(row.hex_color)
    kinds = row.action_types if isinstance(row.action_types, list) else []
    app = App(
        id=row.id,
        title=_text(row.title) or row.id,
        image=web_address(row.image),
        hex_color=color if _HEX_COLOR.fullmatch(color) else None,
    )
    return AppRow(
        app=app,
        description=_text(row.description),
        action_types=tuple(_text(kind) for kind in kinds[:_MOST_ACTION_TYPES] if isinstance(kind, str)),
        link=_connect_link(row),
    )


def _connect_link(row: _AppRow) -> str | UnsetType | None:
    stated = UNSET if row.links is None else row.links.connect_new_authentication
    if stated is None:
        return None
    return web_address(stated) or UNSET


def _text(value: object) -> str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def web_address(value: object) -> str | None:
    """Return the value if a browser may be sent there: an absolute http or https address; else None."""
    if not isinstance(value, str) or len(value) > _LONGEST_ADDRESS:
        return None
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, ValueError):
        return None
    return value if url.scheme in {"http", "https"} and url.raw_host and not url.userinfo else None


# --- single things --------------------------------------------------------------------------------------------


class _ZapStep(Struct):
    action: object = None
    authentication: str | _AppReference | None = None


class _ZapRow(Struct):
    id: Id
    title: str
    updated_at: datetime
    steps: list[_ZapStep]
    links: object = None


class _Names(Struct):
    key: str
    action_type: str


def zaps(body: bytes) -> Page[ListedZap | None]:
    """Read a page of `GET /v2/zaps` (Zapier docs: get-zaps); None for a Zap that cannot be read.

    A step's action is an id, which tells nothing, or an object. Raises UpstreamUnavailableError.
    """
    return _page(read(body, _Envelope[object]), _listed_zap)


def _listed_zap(row: object) -> ListedZap | None:
    try:
        found = msgspec.convert(row, _ZapRow)
    except msgspec.ValidationError:
        return None
    at = found.updated_at if found.updated_at.tzinfo else found.updated_at.replace(tzinfo=UTC)
    return ListedZap(
        id=found.id,
        title=found.title,
        updated_at=int(at.timestamp() * 1000),
        editor_url=_editor(found.links),
        authentications=tuple(_id_of(step.authentication) for step in found.steps),
        actions=tuple(_action_of(step.action) for step in found.steps),
    )


def _id_of(named: str | _AppReference | None) -> str | None:
    return named.id if isinstance(named, _AppReference) else named


def _action_of(told: object) -> Action | None:
    try:
        names = msgspec.convert(told, _Names)
    except msgspec.ValidationError:
        return None
    return Action(key=names.key, action_type=names.action_type)


def _editor(links: object) -> str | None:
    return web_address(links.get("html_editor") if isinstance(links, dict) else None)


class _Profile(Struct):
    id: Id | Number
    email: object = None


class _Zap(Struct):
    id: Id
    links: object = None


def profile(body: bytes) -> Profile:
    """Read `GET /v1/profiles/me` (Zapier docs: get-profile). Raises UpstreamUnavailableError."""
    found = _read_one(body, _Profile)
    return Profile(id=str(found.id), email=_text(found.email) or None)


def zap(body: bytes) -> ZapMade:
    """Read the Zap in the answer to `POST /v2/zaps` (Zapier docs: create-a-zap). Raises UpstreamUnavailableError."""
    found = _read_one(body, _Zap)
    return ZapMade(zap_id=found.id, editor_url=_editor(found.links))


def made_authentication(body: bytes) -> AuthenticationRow:
    """Read the answer to `POST /v2/authentications`: a list of what was made (Zapier docs: create-authentication).

    Raises UpstreamUnavailableError.
    """
    found = read(body, object)
    data = found.get("data") if isinstance(found, dict) and "id" not in found else found
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    try:
        return _authentication(msgspec.convert(data, _AuthenticationRow))
    except msgspec.ValidationError as error:
        raise malformed(error) from error


def authentication_request(app_id: str, *, title: str, fields: Mapping[str, str]) -> bytes:
    """Write the body of `POST /v2/authentications`. Raises ValueError when it holds what JSON cannot."""
    try:
        return msgspec.json.encode({"data": {"title": title, "app": app_id, "authentication_fields": dict(fields)}})
    except (TypeError, ValueError) as error:
        raise ValueError("the fields hold what JSON cannot") from error


def zap_request(draft: ZapDraft) -> bytes:
    """Write the body of `POST /v2/zaps`.

    A step without an authentication says so by an explicit null (Zapier docs: selecting-an-authentication). Raises
    ValueError when the draft holds what JSON cannot.
    """
    data = {"title": draft.title, "steps": [_step_request(step) for step in draft.steps]}
    try:
        return msgspec.json.encode({"data": data})
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("the Zap holds what JSON cannot") from error


def _step_request(step: ZapStep) -> JsonObject:
    request: JsonObject = {
        "action": step.action_id,
        "authentication": step.authentication_id,
        "inputs": step.inputs,
    }
    return request if step.alias is None else request | {"alias": step.alias}


# --- reading --------------------------------------------------------------------------------------------------


def read(body: bytes, kind: type[Value]) -> Value:
    """Read an answer as this. Raises UpstreamUnavailableError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from error


def _read_one(body: bytes, kind: type[Value]) -> Value:
    """Read one object: bare, in `data`, or as the only one of an array (Zapier's pages show each of these)."""
    found = read(body, object)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict) and "id" not in found:
        found = found.get("data")
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise malformed(error) from error


def malformed(error: Exception) -> UpstreamUnavailableError:
    """Say what is wrong with an answer; msgspec names places and types, never what it found there."""
    if isinstance(error, msgspec.ValidationError):
        return UpstreamUnavailableError(problem=f"an answer of another shape: {error}")
    if isinstance(error, RecursionError):
        return UpstreamUnavailableError(problem="JSON nested too deep")
    return UpstreamUnavailableError(problem="an answer that is not JSON")
