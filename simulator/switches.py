"""What can be set while the simulator runs: one document, changed by JSON merge patch (RFC 7396).

Where Zapier's documentation is silent or contradicts itself, the answer is a switch, and the defaults follow its
present reference. `rules` holds the faults: each has a name, says which requests it meets and what happens to them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

from simulator.accounts import AccountName
from simulator.apps import App, Catalogue

Endpoint: TypeAlias = Literal[
    "GET /v1/profiles/me",
    "GET /v2/actions",
    "GET /v2/apps",
    "GET /v2/authentications",
    "GET /v2/zaps",
    "POST /oauth/token/",
    "POST /v2/actions/{action_id}/inputs",
    "POST /v2/actions/{action_id}/inputs/{input_id}/choices",
    "POST /v2/actions/{action_id}/outputs",
    "POST /v2/actions/{action_id}/test",
    "POST /v2/authentications",
    "POST /v2/zaps",
]
ENDPOINTS: Final[tuple[str, ...]] = get_args(Endpoint)
#: The endpoints that answer with a list.
LISTS: Final = frozenset({"GET /v2/actions", "GET /v2/apps", "GET /v2/authentications", "GET /v2/zaps"})
#: The lists that come in pages.
PAGED: Final = LISTS - {"GET /v2/actions"}
#: The endpoints that are asked about one app.
OF_ONE_APP: Final = frozenset({"GET /v2/actions", "GET /v2/authentications"})

Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**9)]
Millis: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]
Positive: TypeAlias = Annotated[int, Meta(ge=1, le=10**9)]
When: TypeAlias = Literal["before", "after"]
Scope: TypeAlias = Literal["profile", "zap", "zap:write", "connection:read", "connection:write"]
Reconnection: TypeAlias = Literal["keeps_id", "new_id"]
#: The values of `Cross-Origin-Opener-Policy` that cut a popup off from the page that opened it.
OpenerPolicy: TypeAlias = Literal["same-origin", "same-origin-allow-popups", "noopener-allow-popups"]


class SwitchError(ValueError):
    """The document would not be valid; the message says where and why. Nothing was changed."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the document: every member has a default, and a member it does not know is refused."""


class Limits(Section, frozen=True):
    """Rate limits (Zapier docs: rate-limiting)."""

    ip: Count = 60  #: requests in a window from one address; 0: no limit
    partner: Count = 150  #: requests in a window by one partner; 0: no limit
    window_ms: Annotated[int, Meta(ge=1, le=10**9)] = 60_000
    cooldown_ms: Millis = 60_000
    cooldown_extends: bool = False  #: a request during the cooldown begins it again
    retry_after: Literal["seconds", "date", "absent", "garbage"] = "seconds"


class Answers(Section, frozen=True):
    """Shapes in which versions of the documentation differ, and statuses that none of them gives."""

    media_type: Literal["application/json", "application/vnd.api+json"] = "application/json"
    prev: Literal["prev", "previous"] = "prev"
    links: bool = True  #: whether lists have `links`
    meta: bool = True  #: whether lists have `meta`
    errors: Literal["objects", "strings"] = "objects"
    error_status: Literal["integer", "string"] = "integer"
    zap: Literal["bare", "wrapped"] = "bare"
    unknown: Literal[400, 404] = 400  #: for an unknown app, action or authentication
    undeclared: Literal["ignored", "refused"] = "ignored"  #: what becomes of members that a body should not have


class Paging(Section, frozen=True):
    """Page sizes: the documented default, and a maximum small enough that clients have to follow links."""

    default: Positive = 10
    max: Positive = 25


class Actions(Section, frozen=True):
    """How unstable action ids are."""

    stable_ms: Millis = 0  #: how long look-ups give the same ids; 0: new ones each time
    valid_ms: Millis = 600_000  #: how long an id is accepted after that
    gone: tuple[str, ...] = ()  #: keys of actions that no app has any more


class Choices(Section, frozen=True):
    """How the choices of a field come: their page size, and what their pages are called."""

    size: Positive = 100
    pages: Literal["numbers", "names"] = "numbers"


class Inputs(Section, frozen=True):
    """Whether a Zap is refused whose inputs are not what its actions ask for; undocumented."""

    checked: bool = False


class Outputs(Section, frozen=True):
    """What is said of the outputs of an action; the documentation spells their type in two ways."""

    samples: bool = True  #: whether they have one
    type: Literal["output_field", "output_fields"] = "output_field"


class Tests(Section, frozen=True):
    """What becomes of actions that are carried out to see what comes of it."""

    failing: tuple[str, ...] = ()  #: keys of actions that fail


class Zaps(Section, frozen=True):
    """What a Zap may be."""

    most_steps: Annotated[int, Meta(ge=1, le=100)] = 25  #: in 2024 it was two


class Authentications(Section, frozen=True):
    """What becomes of a connection that was just made."""

    listed_after_ms: Millis = 0  #: how long a new one stays out of lists
    reconnect: Reconnection = "keeps_id"  #: whether a repaired one keeps its id
    order: Literal["created", "newest"] = "created"  #: in which lists show them


class Hops(Section, frozen=True):
    """Which page of a popup sends a `Cross-Origin-Opener-Policy`, and which; absent: none."""

    first: OpenerPolicy | None = None  #: Zapier's page that the connect link leads to
    middle: OpenerPolicy | None = None  #: the app's login, at another origin
    last: OpenerPolicy | None = None  #: Zapier's page that sends the message


class Popups(Section, frozen=True):
    """What happens in a connect popup, and what the page that opened it hears of it."""

    coop: Hops = Hops()
    visitor: Literal["person", "allows", "denies", "closes", "stays"] = "person"  #: who walks through the pages
    visitor_ms: Millis = 600  #: how long one who is no person looks at each page
    account: AccountName | None = None  #: whom the browser is signed in to Zapier as, if not as whoever asked last
    account_wins: bool = False  #: whether it is so whatever the cookie says, until the user says otherwise on the way
    login: Literal["due", "new", "again"] = "due"  #: which of the account's authentications is repaired, or none
    redirects: Annotated[int, Meta(ge=0, le=10)] = 0  #: how many further ones come before the last page
    redirect_ms: Millis = 0  #: how long each of them takes
    message: Literal["sent", "none"] = "sent"
    message_after_ms: Millis = 0  #: how long the last page waits before it sends the message
    message_times: Annotated[int, Meta(ge=1, le=10)] = 1
    message_id: Literal["right", "other", "foreign", "unknown", "number", "object", "null", "absent"] = "right"
    message_bytes: Annotated[int, Meta(ge=0, le=2**24)] = 0  #: the size of a member that nobody asked for
    spoofs: tuple[Literal["frame", "window", "origin"], ...] = ()  #: who else sends a message, before the true one
    closes_after_ms: Millis | None = None  #: how long after its message the last page closes itself; absent: never


class OfApp(Section, frozen=True):
    """What may differ for one app; absent: as for all."""

    listed_after_ms: Millis | None = None
    reconnect: Reconnection | None = None
    popups: Popups | None = None
    title: Annotated[str, Meta(min_length=1, max_length=255)] | None = None  #: what it is called; found as before


class Scopes(Section, frozen=True):
    """OAuth scopes (Zapier docs: oauth-scopes)."""

    missing: tuple[Scope, ...] = ()
    names: Literal["both", "old", "new"] = "both"  #: by which of its names a renamed scope opens something


class Tokens(Section, frozen=True):
    """How long what the token endpoint hands out is good (Zapier docs: user-access-token)."""

    access_ms: Millis = 36_000_000
    code_ms: Millis = 120_000
    rotates: bool = True  #: a refresh token that was used is good no more; otherwise it is handed out again


class SignIn(Section, frozen=True):
    """What happens where a user is asked to let a client act for them; denials and faults are undocumented."""

    visitor: Literal["person", "allows", "denies", "stays"] = "person"  #: who walks through the pages
    visitor_ms: Millis = 600  #: how long one who is no person looks at each page
    account: AccountName | None = None  #: whom the browser is signed in as, unless the cookie says
    coop: OpenerPolicy | None = None  #: the `Cross-Origin-Opener-Policy` of every page; absent: none
    redirect_uris: tuple[str, ...] = ()  #: those that are registered; none: any is taken
    redirect_after_ms: Millis = 0  #: how long the way back takes
    state: Literal["kept", "other", "absent"] = "kept"  #: what is brought back of it
    denial: Literal["redirect", "page"] = "redirect"  #: whether who denies is led back


class Fault(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="fault", omit_defaults=True):
    """Which requests a rule meets: all, or those of one endpoint, app or account."""

    endpoint: Endpoint | None = None
    app: str | None = None  #: uuid or title; only requests that ask about one app are met
    user: str | None = None  #: the account's name
    times: Positive | None = None  #: how many requests are met before the rule ends; absent: any number
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0


class StatusFault(Fault, frozen=True, tag="status"):
    """Answers with an error, before anything was done or after everything was.

    429 and 503 say when to come back: after so many seconds, or else when a limit would be over.
    """

    status: Annotated[int, Meta(ge=400, le=599)]
    when: When = "before"
    retry_after_s: Annotated[int, Meta(ge=0, le=86_400)] | None = None


class HtmlFault(Fault, frozen=True, tag="html"):
    """Answers with a page, as a gateway does."""

    status: Annotated[int, Meta(ge=200, le=599)] = 502
    when: When = "before"


class SlowFault(Fault, frozen=True, tag="slow"):
    """Lets the caller wait."""

    ms: Millis
    when: When = "before"


class HangFault(Fault, frozen=True, tag="hang"):
    """Never answers."""

    when: When = "before"


class DropFault(Fault, frozen=True, tag="drop"):
    """Closes the connection without an answer."""

    when: When = "before"


class TruncateFault(Fault, frozen=True, tag="truncate"):
    """Closes the connection halfway through the body it announced."""


class MalformedFault(Fault, frozen=True, tag="malformed"):
    """Answers with a body that is complete and not JSON."""


class WrongTypesFault(Fault, frozen=True, tag="wrong_types"):
    """Answers with JSON whose values, or whose envelope, have other types than promised."""

    where: Literal["fields", "envelope"] = "fields"


class OversizedFault(Fault, frozen=True, tag="oversized"):
    """Answers with a body of at least this many bytes, sent in pieces and with no length announced."""

    size: Annotated[int, Meta(ge=1, le=2**30)] = 16 * 2**20


class OAuthErrorFault(Fault, frozen=True, tag="oauth_error"):
    """The token endpoint refuses, in its own words, before anything was done or after everything was."""

    error: Annotated[str, Meta(pattern=r"^[a-z_]{1,64}$")] = "invalid_grant"
    status: Annotated[int, Meta(ge=400, le=499)] = 400
    when: When = "before"


class ShiftFault(Fault, frozen=True, tag="shift"):
    """Every page but the first is cut from a list that changed since.

    `insert`: one item more, so that an item comes twice. `remove`: one item less, so that one is missed. `move`: the
    last item is now the first: one comes twice, one is missed, and `meta.count` stays what it was.
    """

    how: Literal["insert", "remove", "move"] = "insert"


class DuplicateFault(Fault, frozen=True, tag="duplicate"):
    """A page's first item comes twice: added to the page, or in place of its last item."""

    how: Literal["extra", "instead"] = "extra"


class ForeignNextFault(Fault, frozen=True, tag="foreign_next"):
    """`links.next` points elsewhere whenever there is a next page."""

    origin: Annotated[str, Meta(pattern=r"^https?://[^/\s]+$")] = "https://elsewhere.example"


class EndlessFault(Fault, frozen=True, tag="endless"):
    """`links.next` is never null; pages behind the end begin again, or are empty."""

    how: Literal["repeat", "empty"] = "repeat"


class FlipExpiredFault(Fault, frozen=True, tag="flip_expired"):
    """Each `is_expired` is answered with its opposite."""


Rule: TypeAlias = (
    StatusFault
    | HtmlFault
    | SlowFault
    | HangFault
    | DropFault
    | TruncateFault
    | MalformedFault
    | WrongTypesFault
    | OversizedFault
    | OAuthErrorFault
    | ShiftFault
    | DuplicateFault
    | ForeignNextFault
    | EndlessFault
    | FlipExpiredFault
)

#: The endpoints that a fault can do anything to, where those are not all.
REACH: Final[Mapping[type[Fault], frozenset[str]]] = {
    ShiftFault: PAGED,
    DuplicateFault: LISTS,
    ForeignNextFault: PAGED,
    EndlessFault: PAGED,
    FlipExpiredFault: frozenset({"GET /v2/authentications"}),
    OAuthErrorFault: frozenset({"POST /oauth/token/"}),
}


class Switches(Section, frozen=True):
    """The whole document."""

    limits: Limits = Limits()
    answers: Answers = Answers()
    paging: Paging = Paging()
    actions: Actions = Actions()
    choices: Choices = Choices()
    inputs: Inputs = Inputs()
    outputs: Outputs = Outputs()
    tests: Tests = Tests()
    zaps: Zaps = Zaps()
    authentications: Authentications = Authentications()
    popups: Popups = Popups()
    apps: dict[str, OfApp] = {}
    scopes: Scopes = Scopes()
    tokens: Tokens = Tokens()
    sign_in: SignIn = SignIn()
    rules: dict[str, Rule] = {}

    def listed_after_ms(self, app_id: str) -> int:
        """How long a new authentication of this app stays out of lists."""
        own = self.apps[app_id].listed_after_ms if app_id in self.apps else None
        return self.authentications.listed_after_ms if own is None else own

    def reconnection(self, app_id: str) -> Reconnection:
        """What becomes of the id of an authentication of this app that is repaired."""
        own = self.apps[app_id].reconnect if app_id in self.apps else None
        return own or self.authentications.reconnect

    def title_of(self, app: App) -> str:
        """What an app is called."""
        own = self.apps[app.id].title if app.id in self.apps else None
        return own or app.title

    def popups_of(self, app_id: str) -> Popups:
        """What happens in the popups of this app."""
        own = self.apps[app_id].popups if app_id in self.apps else None
        return own or self.popups


def parse_switches(document: object, *, catalogue: Catalogue) -> Switches:
    """Return the switches that `document` describes; what it leaves out has its default.

    Apps are named by title or uuid, and kept by uuid. Raises SwitchError.
    """
    try:
        switches = msgspec.convert(_with_app_ids(document, catalogue), Switches)
    except msgspec.ValidationError as problem:
        raise SwitchError(str(problem)) from problem
    for complaint in _complaints(switches):
        raise SwitchError(complaint)
    return switches


def changed(switches: Switches, patch: object, *, catalogue: Catalogue) -> Switches:
    """Return `switches` with a JSON merge patch applied: null takes a member back to its default.

    A rule that says which `fault` it is replaces the rule of that name; otherwise it changes it. Raises SwitchError.
    """
    if not isinstance(patch, dict):
        raise SwitchError("Expected `object`")
    before = msgspec.to_builtins(switches)
    for name in replaced_rules(patch):
        before["rules"].pop(name, None)
    return parse_switches(merged(before, _with_app_ids(patch, catalogue)), catalogue=catalogue)


def replaced_rules(patch: dict[str, Any]) -> list[str]:
    """Return the names of the rules that a patch sets anew."""
    rules = patch.get("rules")
    if not isinstance(rules, dict):
        return []
    return [name for name, rule in rules.items() if isinstance(rule, dict) and "fault" in rule]


def merged(target: object, patch: object) -> Any:  # noqa: ANN401 - JSON has no closer type
    """Apply a JSON merge patch (RFC 7396) and return the result; neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _with_app_ids(document: object, catalogue: Catalogue) -> object:
    """Return `document` with its apps named by uuid."""
    if not isinstance(document, dict):
        return document
    renamed = dict(document)
    if isinstance(apps := document.get("apps"), dict):
        renamed["apps"] = {_app_id(str(name), catalogue, at="$.apps"): value for name, value in apps.items()}
    if isinstance(rules := document.get("rules"), dict):
        renamed["rules"] = {name: _rule_with_app_id(name, rule, catalogue) for name, rule in rules.items()}
    return renamed


def _rule_with_app_id(name: str, rule: object, catalogue: Catalogue) -> object:
    if not isinstance(rule, dict) or not isinstance(rule.get("app"), str):
        return rule
    return rule | {"app": _app_id(rule["app"], catalogue, at=f"$.rules.{name}.app")}


def _app_id(name: str, catalogue: Catalogue, *, at: str) -> str:
    app = catalogue.find(name)
    if app is None:
        raise SwitchError(f"No app is called {name!r} - at `{at}`")
    return app.id


def _complaints(switches: Switches) -> Iterator[str]:
    """Say what the types cannot."""
    if switches.paging.default > switches.paging.max:
        yield "`default` must not exceed `max` - at `$.paging`"
    for name, rule in switches.rules.items():
        reach = REACH.get(type(rule), frozenset(ENDPOINTS))
        if rule.app is not None:
            reach &= OF_ONE_APP
        if not reach or (rule.endpoint is not None and rule.endpoint not in reach):
            met = ", ".join(sorted(reach)) or "no request"
            yield f"Such a rule meets {met} only - at `$.rules.{name}`"
        if not re.fullmatch(r"[\w.:-]{1,64}", name):
            yield f"{name!r} is no name for a rule: up to 64 letters, digits, `_`, `.`, `:`, `-` - at `$.rules`"
