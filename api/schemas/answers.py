"""The shapes of answers. Moments are ISO 8601 in UTC with milliseconds; a field that has no value is null.

They are dataclasses: FastAPI describes them, msgspec writes them down several times faster than pydantic would, and
mypy sees to it that they are made as described.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, dataclass_transform

from pydantic import Field

from api.schemas.fields import At
from orchestrator.core.deliveries import DeliveryState
from orchestrator.core.endpoints import Pause
from orchestrator.core.events import EventName
from orchestrator.core.fields import Format, ValueType
from orchestrator.core.interventions import Intervention
from orchestrator.core.links import LinkState
from orchestrator.core.ports.credentials import CredentialState, SignInReason
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import (
    AttemptEnd,
    Channel,
    HintKind,
    JsonObject,
    Reason,
    SessionStatus,
    StepState,
    ZapState,
)
from orchestrator.core.why.findings import Verdict


class _Placed(type):
    """Gives what a class annotates places of its own: with no dictionary, its instances are made in half the time."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Placed:
        fields = [field for field in namespace.get("__annotations__", ()) if not field.startswith("_")]
        return super().__new__(cls, name, bases, {**namespace, "__slots__": tuple(fields)})


@dataclass_transform(kw_only_default=True)
class Shape(metaclass=_Placed):
    """What is shown. Made of a value of ours with the same names, none of them a moment, by `of`."""

    _names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._names = (*cls._names, *cls.__annotations__)
        dataclass(kw_only=True)(cls)

    def parts(self) -> dict[str, Any]:
        """Return what it shows, by name."""
        return {name: getattr(self, name) for name in self._names}

    @classmethod
    def of(cls, value: object) -> Self:
        """Show the fields of this shape that the value has."""
        return cls(**{name: getattr(value, name) for name in cls._names})


class App(Shape):
    """An app of Zapier's catalogue."""

    id: str
    title: str
    image: str | None
    hex_color: str | None


class Connect(Shape):
    """Where the connect popup goes. `fresh_until`: prepare the step anew before opening a popup after that."""

    url: str
    fresh_until: At | None
    message_origin: Annotated[str, Field(description="The only origin whose messages a page may believe.")]


class Authentication(Shape):
    """An account of the user at an app, connected at Zapier."""

    id: str
    title: str
    is_expired: bool


class Attempt(Shape):
    """The popup a step waits for. `next_check_at`: when Zapier will be asked next, null while nothing is planned."""

    id: str
    opened_at: At
    deadline: At
    next_check_at: At | None


class Evidence(Shape):
    """Why a step has its authentication, and when Zapier was seen to list it."""

    channels: tuple[Channel, ...]
    checked_at: At
    attempt_id: str | None


class Action(Shape):
    """What a step does."""

    key: str
    action_type: str


class Step(Shape):
    """One step of the Zap."""

    id: str
    position: int
    alias: str | None
    state: StepState
    reason: Reason | None
    app: App | None
    connect: Connect | None
    authentication: Authentication | None
    candidates: tuple[Authentication, ...]
    attempt: Attempt | None
    evidence: Evidence | None
    action: Action | None
    inputs: JsonObject


class SessionCredential(Shape):
    """Whether Zapier may be called for the session's user, and as whom: `account` is a masked e-mail address.

    `reason` says why a sign-in is needed, where it is.
    """

    state: CredentialState
    account: str | None
    reason: SignInReason | None


class ZapMatch(Shape):
    """A Zap of the user's that may be the session's."""

    id: str
    title: str
    editor_url: str | None


class Zap(Shape):
    """The Zap itself. While it is unknown, `matches` may be it."""

    state: ZapState
    id: str | None
    editor_url: str | None
    problem: str | None
    matches: tuple[ZapMatch, ...]


class Session(Shape):
    """One Zap being built by one user. `seq` grows with every event."""

    id: str
    user_id: str
    status: SessionStatus
    state: StepState
    seq: int
    title: str | None
    reference: str | None
    metadata: JsonObject
    created_at: At
    deadline: At
    credential: SessionCredential
    zap: Zap
    steps: tuple[Step, ...]


class ClientToken(Shape):
    """What a page needs: the token, where to send it, and for which session; get another before `expires_at`."""

    token: str
    expires_at: At
    api_url: str
    session_id: str


class CreatedSession(Session):
    """A session that was begun, with a token for its user's page."""

    client_token: ClientToken


class OperatorsSession(Session):
    """A session, and whose it is."""

    tenant_id: str


class SessionPage(Shape):
    """Sessions, youngest first. `cursor` leads on, null at the end."""

    sessions: tuple[Session, ...]
    cursor: str | None


class AddedStep(Shape):
    """The id of a step that was added, and the session with it."""

    step_id: str
    session: Session


class Event(Shape):
    """One fact. `seq` counts the session's events from 1."""

    seq: int
    name: EventName
    at: At
    step_id: str | None
    data: JsonObject


class EventPage(Shape):
    """Events in order. `truncated`: older ones that were asked for are no longer kept; read the session."""

    events: tuple[Event, ...]
    truncated: bool


class MessageData(Shape):
    """An event, and its session as it was when the message was written down: `session.seq` may be greater than `seq`.

    `schema` is the version of the event's `data`.
    """

    seq: int
    name: EventName
    at: At
    step_id: str | None
    data: JsonObject
    schema: int
    session: Session


class WebhookMessage(Shape):
    """What is sent to a webhook endpoint (Standard Webhooks). `timestamp`: when it happened, like `data.at`."""

    type: EventName
    timestamp: At
    data: MessageData


class Webhook(Shape):
    """An endpoint: where events are sent. `session_id`: those of this session alone, null for those of every session.

    `paused`: why nothing is sent just now: `requested`, `gone` (it answered 410) or `dead` (it received nothing for
    three days).
    """

    id: str
    url: str
    session_id: str | None
    events: tuple[EventName, ...]
    description: str
    created_at: At
    paused: Pause | None
    paused_at: At | None


class CreatedWebhook(Webhook):
    """An endpoint with its newest secret, which is shown this once."""

    secret: str


class WebhookList(Shape):
    """Endpoints, oldest first."""

    webhooks: tuple[Webhook, ...]


class WebhookTested(Shape):
    """What came of a made-up event. `status` null: no answer came, and `problem` says why."""

    received: bool
    status: int | None
    took_ms: int
    problem: str | None
    answer: str


class Try(Shape):
    """One POST of a delivery. `status` null: no answer came, for the `problem`; `answer` is how its body begins."""

    at: At
    took_ms: int
    status: int | None
    problem: str | None
    answer: str


class Delivery(Shape):
    """One event on its way to an endpoint. `failures` count since it was last replayed; `tries` are the newest ones."""

    session_id: str
    seq: int
    event: EventName
    message_id: str
    state: DeliveryState
    created_at: At
    next_try_at: At | None
    failures: int
    tries: tuple[Try, ...]


class DeliveryPage(Shape):
    """Deliveries, youngest first. `cursor` leads on, null at the end."""

    deliveries: tuple[Delivery, ...]
    cursor: str | None


class SignalRecord(Shape):
    """A signal that was heard, and what became of it; `detail` is the code of a refusal."""

    at: At
    signal: str
    outcome: Outcome
    step_id: str | None
    attempt_id: str | None
    detail: str | None


class SignalLog(Shape):
    """The session's newest signals, oldest first."""

    signals: tuple[SignalRecord, ...]


class OperatorsMe(Shape):
    """Who a key is. `tenants`: those it sees, null: every one."""

    key_id: str
    name: str
    role: Literal["viewer", "operator"]
    tenants: tuple[str, ...] | None


class AuditEntry(Shape):
    """What an operator did, or was refused: who, when, to what, why, and what became of it.

    `about`: the authentication, the time or the delivery (endpoint and `seq`) it was about. `detail` is the code of a
    refusal.
    """

    id: str
    at: At
    key_id: str
    key_name: str
    action: Intervention
    tenant_id: str
    session_id: str
    step_id: str | None
    about: str | None
    reason: str
    outcome: Outcome
    detail: str | None


class AuditPage(Shape):
    """Entries, youngest first. `cursor` leads on, null at the end."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None


class HintSeen(Shape):
    """A reason to look that was noted on an attempt."""

    kind: HintKind
    at: At


class StoryAttempt(Shape):
    """One opening of the connect popup. `ended` null: it is waited for.

    `offers_only`: the listing it began with was too old, so that what appears is only offered. `pending_messages`:
    messages whose authentication Zapier does not list yet. `visible_until`: until then its page is taken to be in front
    of the user.
    """

    id: str
    step_id: str
    app_id: str
    opened_at: At
    deadline: At
    ended: AttemptEnd | None
    offers_only: bool
    hints: tuple[HintSeen, ...]
    pending_messages: int
    visible_until: At | None
    page_gone: bool


class StoryWatch(Shape):
    """What is known of the user's authentications for an app, on which steps wait.

    `checks`: when the latest complete listings began. `next_check_at` null: no check is planned. `retry_at`: Zapier is
    left alone until then after `failures`. `paused`: until the user signs in to Zapier. `leased_until`: a worker has it
    until then. `waiting` counts steps of any session, `popups` those from which an authentication may still arise.
    """

    app_id: str
    next_check_at: At | None
    checks: tuple[At, ...]
    failures: int
    retry_at: At | None
    paused: bool
    leased_until: At | None
    waiting: int
    popups: int


class UpstreamCall(Shape):
    """One call to Zapier. `status` null: no answer came, for the `problem`."""

    at: At
    endpoint: str
    app_id: str | None
    status: int | None
    problem: str | None
    took_ms: int


class StoryDelivery(Delivery):
    """A delivery, and to which endpoint."""

    webhook_id: str


class Finding(Shape):
    """One thing there is to say: `code` for programs, `says` and, where there is something to do, `do` for people."""

    code: str
    step_id: str | None
    says: str
    do: str | None


class Why(Shape):
    """What is going on with a session or an app, the most important first.

    `about` is its id, `title` what people call it, if that is known.
    `verdict`: `over`, `fine`, `user` (it is the user's turn), `working` (it goes on by itself), `stuck` (somebody has
    to help) or `unknown` (no such app has been seen here).
    """

    about: str
    title: str | None
    verdict: Verdict
    findings: tuple[Finding, ...]


class Story(Shape):
    """All that is known of a session; lists are oldest first, and hold the newest where there are more.

    `timeline` has the newest 200 signals, `events` those after the `after` that was asked for (`events_truncated`: some
    of these are no longer kept), `calls` those made for its user since it began, for its apps or none. `diagram` is the
    machine (Mermaid); the states of the session's steps are in it.
    """

    session: OperatorsSession
    why: Why
    diagram: str
    attempts: tuple[StoryAttempt, ...]
    watches: tuple[StoryWatch, ...]
    timeline: tuple[SignalRecord, ...]
    events: tuple[Event, ...]
    events_truncated: bool
    calls: tuple[UpstreamCall, ...]
    deliveries: tuple[StoryDelivery, ...]
    audit: tuple[AuditEntry, ...]


class Intervened(Shape):
    """What became of an intervention, in a sentence, and the session after it."""

    outcome: Outcome
    says: str
    session: OperatorsSession


class CheckPlanned(Intervened):
    """A check that was asked for. `check_at`: when it is made at the earliest; later while calls of others come first.

    `cooldown_until`: Zapier has refused everything until then.
    """

    check_at: At | None
    cooldown_until: At | None


class FoundApp(App):
    """An app of Zapier's catalogue, as a search finds it."""

    description: str
    action_types: tuple[str, ...]
    needs_authentication: bool


class AppPage(Shape):
    """Apps, the most popular first. `cursor` leads on, null at the end."""

    apps: tuple[FoundApp, ...]
    cursor: str | None


class FoundAction(Action):
    """Something an app can do."""

    title: str
    description: str
    is_instant: bool


class ActionList(Shape):
    """Everything an app can do."""

    actions: tuple[FoundAction, ...]


class FormField(Shape):
    """A field to be filled (`kind` input), or something to be read (info).

    `description` is Markdown or HTML of the app's developer: show it as text, or cleaned. `depends_on`: fields whose
    change empties this one. `invalidates`: once it is filled, other fields may come and go. `items`: the type of a
    list's items.
    """

    kind: Literal["input", "info", "fieldset"]
    id: str
    title: str
    description: str
    value_type: ValueType | None
    format: Format | None
    is_required: bool
    default: str | None
    placeholder: str
    depends_on: tuple[str, ...]
    invalidates: bool
    items: ValueType | None


class FormPart(FormField):
    """A field, or several that belong together (`kind` fieldset)."""

    fields: tuple[FormField, ...]


class FieldFlaw(Shape):
    """What is wrong with one field: `code` is for programs, `detail` for people."""

    field: str
    code: str
    detail: str


class Form(Shape):
    """What an action asks for, in the order to show it in, what it is filled with, and what is wrong with that."""

    fields: tuple[FormPart, ...]
    inputs: JsonObject
    problems: tuple[FieldFlaw, ...]


class Filling(Form):
    """A form after a change; `cleared` names the fields that were emptied because they depend on changed ones."""

    cleared: tuple[str, ...]
    session: Session


class Choice(Shape):
    """A value that a field may have; `id` is what it is filled with."""

    id: str
    label: str


class ChoicePage(Shape):
    """Choices in the app's order, out of so many that were `looked_through`. `cursor` leads on, null at the end."""

    choices: tuple[Choice, ...]
    looked_through: int
    cursor: str | None


class Output(Shape):
    """Something a step gives to later ones; `reference` is what their fields are filled with."""

    id: str
    title: str
    sample: str | None
    reference: JsonObject


class OutputList(Shape):
    """Everything a step gives."""

    outputs: tuple[Output, ...]


class StepTestRun(Shape):
    """What came of carrying an action out: results of the app's own shape, and how many there are in all."""

    results: tuple[JsonObject, ...]
    count: int


class OwnApp(Shape):
    """An app of the tenant's own: `fields` are what its authentications are made of, as far as the tenant says them."""

    fields: tuple[str, ...]


class Picker(Shape):
    """The authentications to choose from, as Zapier listed them at `listed_at`; reading them may change the session.

    `own_app`: the step's app is the tenant's own, so that an authentication can be made of fields; null where not.
    """

    authentications: tuple[Authentication, ...]
    listed_at: At | None
    own_app: OwnApp | None
    session: Session


class WaitingBrowser(Shape):
    """A browser that came by a connect link of another one's, by the code that its user is shown."""

    code: str
    since: At


class SignIn(Shape):
    """The address at which the named browser, and no other, signs its user in to Zapier. It is good once."""

    url: str
    opens_until: At


class ConnectLink(Shape):
    """A link to our own page for connecting one step's app. `opened_at`: since when it is its browser's."""

    id: str
    step_id: str
    state: LinkState
    made_at: At
    expires_at: At
    opened_at: At | None
    return_url: str | None
    waiting: tuple[WaitingBrowser, ...]


class CreatedConnectLink(ConnectLink):
    """A connect link, and the address to give to the session's user."""

    url: str


class ConnectLinkList(Shape):
    """The step's newest connect links, the newest first; only that one can be used."""

    links: tuple[ConnectLink, ...]


class OpenedPopup(Shape):
    """An attempt, and where its popup goes."""

    attempt_id: str
    url: str
    deadline: At


class HeardSignal(Shape):
    """What became of a popup signal, and the session after it."""

    outcome: Outcome
    session: Session


class Credential(Shape):
    """A user's access to Zapier, without the tokens; `account` is a masked e-mail address where Zapier told it.

    What has a refresh token is refreshed here.
    """

    user_id: str
    state: CredentialState
    account: str | None
    expires_at: At | None
    has_refresh_token: bool


class Health(Shape):
    """The process answers."""

    status: str
