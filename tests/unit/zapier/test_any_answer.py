"""Whatever Zapier answers, a call ends in a value or in one of the errors it promises."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.upstream import UpstreamError
from orchestrator.core.ports.credentials import Credential, Profile
from orchestrator.core.ports.upstream import AppPage, CatalogApp, ZapDraft, ZapMade, ZapNotMade, ZapStep, ZapUnknown
from orchestrator.core.session import Listing
from orchestrator.zapier import ZapierClient
from tests.support.zapier import APP, BASE, CONNECT, Stage, action_row, app_row, connection, page, permit

SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([APP, CONNECT, f"{BASE}/v2/authentications?offset=1", "core:1", "READ"])
)
NAMES: Final = st.sampled_from(
    [
        "data",
        "links",
        "meta",
        "next",
        "count",
        "id",
        "app",
        "title",
        "is_expired",
        "errors",
        "code",
        "detail",
        "key",
        "action_type",
        "connect_new_authentication",
        "html_editor",
        "email",
    ]
)
JSON: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5)
)
GOOD: Final = (
    page([connection("a1"), connection("a2", is_expired=True)]),
    page([app_row()]),
    page([action_row()]),
    {"id": 88, "email": "ann@example.test"},
    {"id": "77", "links": {"html_editor": "https://zapier.com/editor/77"}},
    {"errors": [{"status": 400, "code": "parse_error", "detail": "Malformed request."}]},
)


def places(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the way to every part of a document."""
    found = [path]
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, part in parts:
        found.extend(places(part, (*path, name)))
    return found


def replaced(document: Any, path: tuple[str | int, ...], value: object) -> object:
    """Return the document with one part exchanged."""
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = replaced(document[path[0]], path[1:], value)
    return copy


@st.composite
def spoiled(draw: st.DrawFn) -> object:
    """Return a good document with one part exchanged."""
    document = draw(st.sampled_from(GOOD))
    return replaced(document, draw(st.sampled_from(places(document))), draw(JSON))


BODIES: Final = (
    (JSON | spoiled()).map(lambda document: json.dumps(document).encode())
    | spoiled().map(lambda document: json.dumps(document).encode()[:-3])
    | st.binary(max_size=40)
)
STATUSES: Final = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 409, 429, 500, 503]) | st.integers(
    200, 599
)
HEADERS: Final = st.dictionaries(
    st.sampled_from(["Retry-After", "Content-Type", "Content-Encoding", "Location"]),
    st.sampled_from(["5", "Mon, 21 Sep 2026 14:13:50 GMT", "gzip", "identity", "?", "text/html"]),
    max_size=2,
)
CALLS: Final[dict[str, tuple[Callable[[ZapierClient, Credential], Awaitable[object]], type | tuple[type, ...]]]] = {
    "profile": (lambda client, _: client.profile("acme", "token"), (Profile, type(None))),
    "apps": (lambda client, credential: client.apps(credential, query="x", cursor=None), AppPage),
    "app": (lambda client, credential: client.app(credential, APP), CatalogApp),
    "actions": (lambda client, credential: client.actions(credential, APP), tuple),
    "authentications": (lambda client, credential: client.authentications(credential, APP), Listing),
    "check": (
        lambda client, credential: client.authentications(credential, APP, permits=[permit("given")]),
        Listing,
    ),
}
ZAP: Final = ZapDraft(title="Greet", steps=(ZapStep(action_id="core:1", authentication_id=None, inputs={}),))


@given(call=st.sampled_from(sorted(CALLS)), status=STATUSES, headers=HEADERS, body=BODIES)
async def test_a_read_ends_in_a_value_or_in_an_error_it_promises(
    call: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    """No answer is an accident."""
    stage = Stage()
    stage.zapier.answers(*(httpx.Response(status, stream=httpx.ByteStream(body), headers=headers) for _ in range(25)))
    make, kind = CALLS[call]
    try:
        found = await make(stage.client, await stage.sign_in())
    except (UpstreamError, SignInRequiredError, AppNotFoundError):
        return

    assert isinstance(found, kind)


@given(status=STATUSES, headers=HEADERS, body=BODIES)
async def test_creating_a_zap_ends_in_one_of_three_outcomes(status: int, headers: dict[str, str], body: bytes) -> None:
    """And it raises nothing; what cannot be understood is unknown, never taken for a failure."""
    stage = Stage()
    stage.zapier.answers(httpx.Response(status, stream=httpx.ByteStream(body), headers=headers))
    outcome = await stage.client.create_zap(await stage.sign_in(), ZAP, permit=permit("given"))

    if status in {400, 401, 403, 404, 429}:
        assert isinstance(outcome, ZapNotMade)
    else:
        assert isinstance(outcome, ZapMade if isinstance(outcome, ZapMade) and status == 201 else ZapUnknown)
