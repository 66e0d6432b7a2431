"""The API itself: who may ask, what was asked, and the answer. Everything unpleasant happens in `gateway`."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from simulator.accounts import Bearer
from simulator.answers import (
    MALFORMED,
    Answer,
    Document,
    Page,
    Problem,
    RefusedError,
    action_document,
    app_document,
    authentication_document,
    list_document,
    page_url,
    profile_document,
    zap_document,
)
from simulator.apps import ACTION_TYPES, App
from simulator.faults import cut, first_of, next_origin, shifted
from simulator.gateway import Call, Handle
from simulator.switches import EndlessFault, FlipExpiredFault, Scopes
from simulator.world import AccessToken, Zap, ZapStep
from simulator.zaps import DraftReader

_Row = TypeVar("_Row")

#: Scopes that had another name (Zapier docs: oauth-scopes lists both): the new one and the old.
RENAMED: Final[Mapping[str, str]] = {"connection:read": "authentication", "connection:write": "authentication:write"}


@dataclass(frozen=True, slots=True)
class Paged:
    """Which part of a list was asked for."""

    limit: int
    offset: int


async def profile(call: Call) -> Answer:
    """`GET /v1/profiles/me`."""
    account = call.upstream.world.account(bearer_with(call, "profile").account)
    return Answer(200, profile_document(account))


async def list_apps(call: Call) -> Answer:
    """`GET /v2/apps`, most popular first. With a client id alone, links are not filled in."""
    bearer = _bearer_or_client(call, "zap")
    query = call.request.query_params
    category, ids, words = query.get("category"), query.get("ids"), query.get("query", "").casefold()
    if category and ids:
        raise RefusedError(400, Problem.of("ids", "`ids` cannot be combined with `category`."))
    wanted = {_uuid("ids", one.strip()) for one in ids.split(",") if one.strip()} if ids else None
    found = [
        app
        for app in call.upstream.world.catalogue.apps
        if (not category or category in app.categories)
        and (wanted is None or app.id in wanted)
        and words in app.title.casefold()
    ]
    if bearer is not None:
        for app_id in wanted or ():
            call.upstream.visits.asked(app_id, bearer.account)
    title_of, linked = call.switches.title_of, bearer is not None
    return _list(call, found, lambda app: app_document(app, call.origin, title=title_of(app), linked=linked))


async def list_authentications(call: Call) -> Answer:
    """`GET /v2/authentications`: those the account owns."""
    bearer = bearer_with(call, "connection:read")
    app = _app(call)
    call.upstream.visits.listed(app.id, bearer.account)
    found = call.upstream.world.listed(bearer.account, app.id, now=call.now)
    if call.switches.authentications.order == "newest":
        found.reverse()
    flipped = first_of(FlipExpiredFault, call.faults) is not None
    return _list(call, found, lambda one: authentication_document(one, flipped=flipped))


async def list_actions(call: Call) -> Answer:
    """`GET /v2/actions`: all of an app's, or those of one type, in one answer; their ids change."""
    _bearer_or_client(call, "zap")
    app = _app(call)
    action_type = call.request.query_params.get("action_type")
    if action_type is not None and action_type not in ACTION_TYPES:
        raise RefusedError(400, Problem.of("action_type", f"{action_type!r} is not a valid choice."))
    world, actions = call.upstream.world, call.switches.actions
    found = [
        action_document(app, action, world.action_id(action, now=call.now, actions=actions))
        for action in app.actions
        if action_type in (None, action.action_type) and action.key not in actions.gone
    ]
    page = Page(count=len(found), limit=call.switches.paging.default, offset=0)
    data = cut(found, limit=len(found), offset=0, faults=call.faults)
    return Answer(200, list_document(data, page, call.switches.answers))


async def list_zaps(call: Call) -> Answer:
    """`GET /v2/zaps`: those the account owns. The filter `inputs[KEY]` and `include_shared` have no effect."""
    bearer = bearer_with(call, "zap")
    return _list(call, call.upstream.world.zaps(bearer.account), lambda zap: _zap(call, zap))


async def create_zap(call: Call) -> Answer:
    """`POST /v2/zaps`: each call that is not refused creates another."""
    bearer = bearer_with(call, "zap:write")
    world = call.upstream.world
    reader = DraftReader(
        world=world,
        owner=bearer.account,
        now=call.now,
        actions=call.switches.actions,
        unknown=call.switches.answers.unknown,
        checks_inputs=call.switches.inputs.checked,
        most_steps=call.switches.zaps.most_steps,
    )
    draft = reader.read(body_of(call))
    zap = world.create_zap(bearer.account, title=draft.title, steps=draft.steps, now=call.now)
    document = _zap(call, zap, action_ids=[step.action for step in zap.steps])
    return Answer(201, {"data": document} if call.switches.answers.zap == "wrapped" else document)


async def nothing(call: Call) -> Answer:
    """Any other address: 401 without a token, 404 with one."""
    if call.bearer is None:
        raise RefusedError(401)
    raise RefusedError(404)


#: Each endpoint and what answers it.
ROUTES: Final[Mapping[str, Handle]] = {
    "GET /v1/profiles/me": profile,
    "GET /v2/actions": list_actions,
    "GET /v2/apps": list_apps,
    "GET /v2/authentications": list_authentications,
    "GET /v2/zaps": list_zaps,
    "POST /v2/zaps": create_zap,
}


def bearer_with(call: Call, scope: str) -> Bearer:
    """Return whose token it is. Raises RefusedError: 401 without a good one, 403 without the scope."""
    if call.bearer is None:
        raise RefusedError(401)
    issued = call.upstream.world.issued(call.bearer.token)
    granted = issued.scope if isinstance(issued, AccessToken) else None
    if not opens(scope, granted=granted, scopes=call.switches.scopes):
        raise RefusedError(403)
    return call.bearer


def opens(scope: str, *, granted: str | None, scopes: Scopes) -> bool:
    """Whether a token with the `granted` scopes (None: with all) may do what needs `scope`, named by its new name."""
    if scope in scopes.missing:
        return False
    old = RENAMED.get(scope, scope)
    good = {"both": {old, scope}, "old": {old}, "new": {scope}}[scopes.names]
    return granted is None or not good.isdisjoint(granted.split())


def _bearer_or_client(call: Call, scope: str) -> Bearer | None:
    """Return whose token it is, None for a client id without a token. Raises RefusedError."""
    return None if call.client_id is not None else bearer_with(call, scope)


def _app(call: Call) -> App:
    """Return the app that was asked about. Raises RefusedError."""
    given = call.request.query_params.get("app")
    if not given:
        raise RefusedError(400, Problem.of("app", "This parameter is required."))
    app = call.upstream.world.catalogue.by_id.get(_uuid("app", given))
    if app is None:
        raise RefusedError(call.switches.answers.unknown, Problem.of("app", "No app has this id."))
    return app


def _uuid(parameter: str, text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as problem:
        raise RefusedError(400, Problem.of(parameter, f"{text!r} is not a valid UUID.")) from problem


def _whole(call: Call, parameter: str, default: int, *, least: int) -> int:
    text = call.request.query_params.get(parameter)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < least:  # noqa: PLR2004
        raise RefusedError(400, Problem.of(parameter, f"Expected a whole number, {least} or more."))
    return int(text)


def _list(call: Call, rows: Sequence[_Row], render: Callable[[_Row], Document]) -> Answer:
    """Return the page of `rows` that was asked for."""
    paging = call.switches.paging
    limit = min(_whole(call, "limit", paging.default, least=1), paging.max)
    offset = _whole(call, "offset", 0, least=0)
    rows = shifted(rows, call.faults)
    data = [render(row) for row in cut(rows, limit=limit, offset=offset, faults=call.faults)]
    page = _page(call, Paged(limit, offset), count=len(rows))
    return Answer(200, list_document(data, page, call.switches.answers))


def _page(call: Call, paged: Paged, *, count: int) -> Page:
    path, query = call.request.url.path, call.request.query_params.multi_items()
    limit, offset = paged.limit, paged.offset
    is_last = offset + limit >= count and first_of(EndlessFault, call.faults) is None
    elsewhere = next_origin(call.origin, call.faults)
    return Page(
        count=count,
        limit=limit,
        offset=offset,
        next=None if is_last else page_url(elsewhere + path, query, limit=limit, offset=offset + limit),
        prev=page_url(call.origin + path, query, limit=limit, offset=max(0, offset - limit)) if offset else None,
    )


def _zap(call: Call, zap: Zap, *, action_ids: Sequence[str] = ()) -> Document:
    """Return a Zap, its actions under the ids they have now, or those given; with what `expand` asks to expand."""
    expand = set(call.request.query_params.get("expand", "").split(","))
    documents = []
    for position, step in enumerate(zap.steps):
        action_id = action_ids[position] if action_ids else None
        documents.append(_step(call, step, action_id, expand))
    return zap_document(zap, documents, origin=call.origin)


def _step(call: Call, step: ZapStep, action_id: str | None, expand: set[str]) -> Document:
    world = call.upstream.world
    found = world.catalogue.action(step.app, step.key, step.action_type)
    action: Any = action_id or step.action
    if found is not None and action_id is None:
        action = world.action_id(found, now=call.now, actions=call.switches.actions)
    if found is not None and "steps.action" in expand:
        action = action_document(world.catalogue.by_id[step.app], found, action)
    authentication: Any = step.authentication
    if authentication is not None and "steps.authentication" in expand:
        connected = world.authentication(authentication)
        authentication = authentication_document(connected) if connected is not None else authentication
    return {"action": action, "authentication": authentication, "inputs": step.inputs, "title": None}


def body_of(call: Call) -> Any:  # noqa: ANN401 - JSON has no closer type
    """Return the request's document. Raises RefusedError: 413 for a big one, 400 for what is not JSON."""
    if call.body is None:
        raise RefusedError(413)
    try:
        return msgspec.json.decode(call.body)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise RefusedError(400, MALFORMED) from problem
