"""Authentications of an app of the partner's own, made of the fields its users filled in.

What the reference leaves open is decided here: another app is refused, a field that the app does not ask for is, and
so are credentials that its service does not know. Those are the ones with `WRONG` in them.
"""

from collections.abc import Mapping
from typing import Any, Final

from simulator.answers import (
    MALFORMED,
    Answer,
    Page,
    Problem,
    RefusedError,
    authentication_document,
    list_document,
)
from simulator.apps import App
from simulator.gateway import Call, Handle
from simulator.routes import bearer_with, body_of

WRONG: Final = "wrong"
LONGEST_TITLE: Final = 255


async def create_authentication(call: Call) -> Answer:
    """`POST /v2/authentications`: each call that is not refused makes another; the answer is a list of that one."""
    bearer = bearer_with(call, "connection:write")
    body = body_of(call)
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise RefusedError(400, MALFORMED)
    title, app = _title(data.get("title")), _app(call, data.get("app"))
    _check(app, data.get("authentication_fields"))
    (made,) = call.upstream.finish_popup(bearer.account, app, title=title)
    page = Page(count=1, limit=1, offset=0)
    return Answer(201, list_document([authentication_document(made)], page, call.switches.answers))


def _title(title: Any) -> str:  # noqa: ANN401 - JSON has no closer type
    if not isinstance(title, str) or not 1 <= len(title) <= LONGEST_TITLE:
        raise RefusedError(400, Problem.at("/data/title", f"Expected a text of 1 to {LONGEST_TITLE} characters."))
    return title


def _app(call: Call, app_id: Any) -> App:  # noqa: ANN401
    app = call.upstream.world.catalogue.by_id.get(app_id) if isinstance(app_id, str) else None
    if app is None:
        raise RefusedError(call.switches.answers.unknown, Problem.at("/data/app", "No app has this id."))
    if not app.asks:
        raise RefusedError(400, Problem.at("/data/app", "Authentications can be added for your own app only."))
    return app


def _check(app: App, fields: Any) -> None:  # noqa: ANN401
    """Refuse what the app's service would; like some services it says in its answer what it was given."""
    pointer = "/data/authentication_fields"
    if not isinstance(fields, dict):
        raise RefusedError(400, Problem.at(pointer, "Expected an object."))
    problems = [Problem.at(f"{pointer}/{name}", "This field is required.") for name in app.asks if not fields.get(name)]
    problems += [Problem.at(f"{pointer}/{name}", "Unknown field.") for name in fields if name not in app.asks]
    if problems:
        raise RefusedError(400, *problems)
    if wrong := [name for name, value in fields.items() if WRONG in str(value)]:
        given = f"{app.title} refused " + ", ".join(f"{name} {value!r}" for name, value in fields.items()) + "."
        sources = [{"pointer": f"{pointer}/{name}"} for name in wrong]
        raise RefusedError(400, *(Problem(given, code="invalid_credentials", source=source) for source in sources))


SUPPLIES: Final[Mapping[str, Handle]] = {"POST /v2/authentications": create_authentication}
