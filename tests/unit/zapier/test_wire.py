"""Zapier's answers in the shapes its documentation shows, and in shapes it never should have."""

import json
from collections.abc import Callable

import pytest
from msgspec import UNSET

from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.ports.credentials import Profile
from orchestrator.core.ports.upstream import ZapDraft, ZapMade, ZapStep
from orchestrator.core.session import Authentication
from orchestrator.zapier import wire
from tests.support.zapier import APP, CONNECT, action_row, app_row, connection, page

Reader = Callable[[bytes], object]


def body(document: object) -> bytes:
    """Write a document as an answer has it."""
    return json.dumps(document).encode()


# --- lists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("envelope", "next_link", "is_last", "count"),
    [
        ({"links": {"next": None, "prev": None}, "meta": {"count": 3}}, None, True, 3),
        ({"links": {"next": "u", "previous": None}, "meta": {"count": 3, "limit": None}}, "u", False, 3),
        ({"links": {}, "meta": {}}, None, False, None),
        ({"links": None, "meta": None}, None, False, None),
        ({"meta": {"count": 3, "offset": None}}, None, False, 3),
        ({}, None, False, None),
        ({"links": {"next": None}, "meta": {"count": None}}, None, True, None),
    ],
)
def test_links_and_meta_may_be_missing(
    envelope: dict[str, object], next_link: str | None, is_last: bool, count: int | None
) -> None:
    """Silence is kept apart from an explicit null."""
    found = wire.authentications(body(envelope | {"data": []}))

    assert found == wire.Page(rows=(), next_link=next_link, is_last=is_last, count=count)


@pytest.mark.parametrize("app", [APP, {"id": APP, "type": "app", "title": "Chat", "links": None}])
def test_the_app_of_an_authentication_is_a_uuid_or_an_object(app: object) -> None:
    """Both are documented."""
    found = wire.authentications(body(page([connection("a1", app=app, is_expired=True)])))

    authentication = Authentication(id="a1", title="Chat (a1)", is_expired=True)
    assert found.rows == (wire.AuthenticationRow(authentication=authentication, app_id=APP),)


@pytest.mark.parametrize("authentication_id", ["0049509", "b3eYnwl", "49509"])
def test_an_id_is_text_however_numeric_it_looks(authentication_id: str) -> None:
    """Ids are compared as text, and leading zeros matter."""
    found = wire.authentications(body(page([connection(authentication_id)])))

    assert found.rows[0].authentication.id == authentication_id


@pytest.mark.parametrize("title", [None, "", 7, ["x"]])
def test_an_authentication_without_a_usable_title_shows_its_id(title: object) -> None:
    """A picker needs something to show."""
    found = wire.authentications(body(page([connection("a1", title=title)])))

    assert found.rows[0].authentication.title == "a1"


@pytest.mark.parametrize(
    "row",
    [
        None,
        "a1",
        [],
        {},
        connection("a1") | {"id": None},
        connection("a1") | {"id": ""},
        connection("a1") | {"id": True},
        connection("a1") | {"id": 1.5},
        connection("a1") | {"id": 49509},
        connection("a1") | {"id": "x" * 256},
        connection("a1", app=None),
        connection("a1", app=7),
        connection("a1", app={"title": "Chat"}),
        connection("a1", is_expired=None),
        connection("a1", is_expired="false"),
        connection("a1", is_expired=0),
        {name: value for name, value in connection("a1").items() if name != "is_expired"},
        {name: value for name, value in connection("a1").items() if name != "app"},
    ],
)
def test_a_row_that_cannot_be_read_spoils_its_page(row: object) -> None:
    """Leaving it out would make what is there look like what is not."""
    with pytest.raises(UpstreamUnavailableError):
        wire.authentications(body(page([connection("a0"), row])))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"\xff\xfe",
        b"<html></html>",
        b'{"data": [',
        b"[" * 100_000,
        b'{"data": ' + b"[" * 100_000,
        b'{"data": [], "x": ' + b'{"a":' * 100_000,
        body({"errors": []}),
        body({"data": None}),
        body({"data": {}}),
        body({"data": [], "meta": {"count": -1}}),
        body({"data": [], "meta": {"count": "3"}}),
        body({"data": [], "meta": {"count": 1.5}}),
        body({"data": [], "meta": {"count": True}}),
        body({"data": [], "meta": []}),
        body({"data": [], "links": []}),
        body({"data": [], "links": {"next": 7}}),
        body([page([])]),
        b'{"data": [], "links": {"next": "\\ud800"}}',
        b'{"data": [], "meta": {"count": 1e999}}',
    ],
)
@pytest.mark.parametrize("read", [wire.authentications, wire.actions, wire.apps])
def test_what_is_no_list_is_no_usable_answer(read: Reader, document: bytes) -> None:
    """Truncated, deep, of other types or not JSON: one kind of error."""
    with pytest.raises(UpstreamUnavailableError):
        read(document)


@pytest.mark.parametrize(
    "document",
    [
        body({"data": [{"id": "tok3n", "app": "tok3n", "is_expired": "tok3n"}]}),
        body({"data": "tok3n"}),
        b'{"data": tok3n}',
        b"tok3n",
    ],
)
def test_a_complaint_quotes_nothing_of_the_answer(document: bytes) -> None:
    """Whoever reads the error sees where and what kind, never what."""
    with pytest.raises(UpstreamUnavailableError) as failure:
        wire.authentications(document)

    assert "tok3n" not in str(failure.value)


# --- apps and actions -----------------------------------------------------------------------------------------


def test_an_app_is_read_with_its_connect_link() -> None:
    """The link is given with the moment it was read."""
    found = wire.apps(body(page([app_row()]))).rows[0].at(7)

    assert found is not None
    assert found.connect is not None
    assert (found.app.id, found.app.title, found.app.image, found.app.hex_color) == (
        APP,
        "Chat",
        "https://zapier.test/chat.png",
        "1d8f5a",
    )
    assert (found.connect.url, found.connect.read_at) == (CONNECT, 7)
    assert (found.description, found.action_types) == ("Talks.", ("READ", "WRITE"))


def test_a_stated_null_means_that_no_authentication_is_needed() -> None:
    """Only that means it."""
    found = wire.apps(body(page([app_row(link=None)]))).rows[0].at(7)

    assert found is not None
    assert found.connect is None


@pytest.mark.parametrize(
    "row",
    [
        app_row(links=None),
        app_row(links={}),
        {"id": APP},
        app_row(link=""),
        app_row(link=7),
        app_row(link="/engine/auth"),
        app_row(link="javascript:alert(1)"),
        app_row(link="data:text/html,x"),
        app_row(link="https://"),
        app_row(link="https://ann:secret@zapier.com/x"),
        app_row(link="https://[::1/x"),
        app_row(link="https://zapier.com/" + "x" * 9_000),
    ],
)
def test_a_link_that_is_not_stated_or_not_usable_says_nothing(row: dict[str, object]) -> None:
    """Neither that the app needs an authentication, nor that it needs none."""
    found = wire.apps(body(page([row]))).rows[0]

    assert (found.link, found.at(7)) == (UNSET, None)


def test_what_only_decorates_an_app_may_be_anything() -> None:
    """Two fields are required by the oldest schema; the rest is shown if it can be."""
    odd = {"title": 7, "description": None, "image": "javascript:x", "hex_color": "red;", "action_types": [1, "READ"]}
    found = wire.apps(body(page([app_row() | odd]))).rows[0]

    assert (found.app.title, found.app.image, found.app.hex_color) == (APP, None, None)
    assert (found.description, found.action_types) == ("", ("READ",))


def test_text_is_kept_short() -> None:
    """What Zapier writes is stored in sessions, and bounded there."""
    found = wire.apps(body(page([app_row(title="x" * 10_000)]))).rows[0]

    assert len(found.app.title) == 500


def test_an_action_is_read() -> None:
    """Its id, and the two names that last."""
    found = wire.actions(body(page([action_row() | {"is_instant": True, "title": None}]))).rows[0]

    assert (found.id, found.key, found.action_type) == ("core:abc", "send", "WRITE")
    assert (found.title, found.description, found.is_instant) == ("send", "Sends.", True)


@pytest.mark.parametrize("name", ["id", "key", "action_type"])
def test_an_action_without_its_names_is_no_usable_answer(name: str) -> None:
    """A Zap is made of them."""
    with pytest.raises(UpstreamUnavailableError):
        wire.actions(body(page([action_row() | {name: None}])))


# --- single things --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {"id": 88, "email": "ann@example.test"},
        {"data": {"id": 88, "email": "ann@example.test"}},
        [{"id": 88, "email": "ann@example.test"}],
    ],
)
def test_a_profile_comes_bare_wrapped_or_alone_in_an_array(document: object) -> None:
    """Prose and schema disagree."""
    assert wire.profile(body(document)) == Profile(id="88", email="ann@example.test")


@pytest.mark.parametrize("document", [{}, {"id": None}, [], [{"id": 1}, {"id": 2}], {"data": [{"id": 1}]}, 7, None])
def test_what_is_no_profile_is_no_usable_answer(document: object) -> None:
    """Nobody is signed in as somebody unknown."""
    with pytest.raises(UpstreamUnavailableError):
        wire.profile(body(document))


@pytest.mark.parametrize("email", [None, 7, ""])
def test_a_profile_may_have_no_address(email: object) -> None:
    """The id is what counts."""
    assert wire.profile(body({"id": "88", "email": email})) == Profile(id="88", email=None)


EDITOR = "https://zapier.com/editor/77?utm_source=partner"


@pytest.mark.parametrize(
    ("document", "made"),
    [
        ({"id": "77", "links": {"html_editor": EDITOR}}, ZapMade(zap_id="77", editor_url=EDITOR)),
        ({"data": {"id": "77", "links": {"html_editor": EDITOR}}}, ZapMade(zap_id="77", editor_url=EDITOR)),
        ([{"id": "77"}], ZapMade(zap_id="77", editor_url=None)),
        ({"id": "77", "links": None}, ZapMade(zap_id="77", editor_url=None)),
        ({"id": "77", "links": {"html_editor": "javascript:x"}}, ZapMade(zap_id="77", editor_url=None)),
        ({"id": "77", "steps": [{"inputs": None, "title": None}]}, ZapMade(zap_id="77", editor_url=None)),
    ],
)
def test_a_zap_comes_bare_or_wrapped(document: object, made: ZapMade) -> None:
    """Both are documented; only the id has to be there."""
    assert wire.zap(body(document)) == made


def test_a_step_without_authentication_says_so() -> None:
    """The key is always there, and null is written out; an alias only where there is one."""
    steps = (
        ZapStep(action_id="core:1", authentication_id="a1", inputs={"x": [1, {"y": "{{z}}"}]}, alias="first"),
        ZapStep(action_id="core:2", authentication_id=None, inputs={}),
    )
    written = json.loads(wire.zap_request(ZapDraft(title="Greet", steps=steps)))

    expected = [
        {"action": "core:1", "authentication": "a1", "inputs": {"x": [1, {"y": "{{z}}"}]}, "alias": "first"},
        {"action": "core:2", "authentication": None, "inputs": {}},
    ]
    assert written == {"data": {"title": "Greet", "steps": expected}}


def nested(depth: int) -> dict[str, object]:
    """Return objects in objects."""
    found: dict[str, object] = {}
    for _ in range(depth):
        found = {"x": found}
    return found


@pytest.mark.parametrize("inputs", [{"x": object()}, {"x": "\ud800"}, nested(100_000)], ids=["type", "text", "depth"])
def test_what_json_cannot_hold_is_not_written(inputs: dict[str, object]) -> None:
    """It is an error before anything is sent."""
    step = ZapStep(action_id="core:1", authentication_id=None, inputs=inputs)

    with pytest.raises(ValueError, match="JSON"):
        wire.zap_request(ZapDraft(title="Greet", steps=(step,)))
