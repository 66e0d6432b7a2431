"""The shapes of request bodies. A key they do not know is refused, so that a misspelt one cannot pass unnoticed."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from api.schemas.fields import (
    AccessToken,
    ActionKey,
    ActionType,
    Alias,
    AppId,
    AttemptId,
    AuthenticationId,
    BrowserCode,
    BrowserName,
    Description,
    Elapsed,
    Email,
    EventNamed,
    Events,
    ExtensionS,
    Inputs,
    Kept,
    Lifetime,
    LinkTtl,
    Metadata,
    Origin,
    PersonName,
    Position,
    Reference,
    RefreshToken,
    ReturnUrl,
    SecretFields,
    SessionIdGiven,
    Title,
    Ttl,
    Url,
    UserId,
    WhyWanted,
    ZapId,
)
from orchestrator import engine, webhooks
from orchestrator.core import signals
from orchestrator.core.decide.steps import MOST_STEPS
from orchestrator.core.events import OUTCOMES, EventName
from orchestrator.core.session import SECOND, BrowserFamily, HintKind


class Body(BaseModel):
    """What every body keeps to: JSON's own types, none turned into another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NewCredential(Body):
    """A user's access to Zapier. Who gives the refresh token must not use it any more."""

    access_token: AccessToken
    expires_in: Lifetime | None = None
    refresh_token: RefreshToken | None = None


class NewStep(Body):
    """A step a session begins with."""

    alias: Alias | None = None
    app_id: AppId | None = None


class NewSession(Body):
    """A Zap that is going to be built."""

    user_id: UserId
    title: Title | None = None
    reference: Reference | None = Field(default=None, description="Your own id of what the session is for.")
    steps: Annotated[list[NewStep], Field(max_length=MOST_STEPS)] = []
    metadata: Metadata = {}
    ttl_s: Ttl | None = None

    def meant(self, tenant_id: str) -> engine.NewSession:
        """Return what is asked for."""
        return engine.NewSession(
            tenant_id=tenant_id,
            user_id=self.user_id,
            title=self.title,
            reference=self.reference,
            metadata=self.metadata,
            steps=tuple(engine.NewStep(alias=step.alias, app_id=step.app_id) for step in self.steps),
            ttl=None if self.ttl_s is None else self.ttl_s * SECOND,
        )


class NewDevelopmentSession(Body):
    """A session that a page makes for itself before the simulator."""

    user_id: UserId = "demo"
    signed_in: bool = True
    title: Title | None = None
    reference: Reference | None = None
    steps: Annotated[list[NewStep], Field(max_length=MOST_STEPS)] = []

    def meant(self, tenant_id: str) -> engine.NewSession:
        """Return what is asked for."""
        told = {name: value for name, value in vars(self).items() if name != "signed_in"}
        return NewSession(**told).meant(tenant_id)


class ClientTokenWish(Body):
    """For whose page a token is: `user_id` must be the session's, `origin` one of the tenant's."""

    user_id: UserId
    origin: Origin | None = Field(default=None, description="The page's; by default any of the tenant's.")


class ConnectLinkWish(Body):
    """Whom a connect link is for: `user_id` must be the session's."""

    user_id: UserId
    return_url: ReturnUrl | None = None
    ttl_s: LinkTtl = 3600


class Newcomer(Body):
    """Whom Zapier may make an account for, if they have none: it needs all three."""

    email: Email
    first_name: PersonName
    last_name: PersonName


class SignInWish(Body):
    """For which browser a sign-in is, and where it leads afterwards: by default its window, a popup, says what came."""

    browser: BrowserName
    return_url: ReturnUrl | None = None
    newcomer: Newcomer | None = None


class BrowserChoice(Body):
    """The browser that is let in."""

    code: BrowserCode

    def meant(self) -> str:
        """Return the code as it was made."""
        return self.code.replace("-", "").replace(" ", "").upper()


class SessionChange(Body):
    """What becomes different about a session."""

    title: Kept[Title] = None
    metadata: Kept[Metadata] = None


class StepAddition(Body):
    """A step that is put in, last unless `position` says where."""

    alias: Alias | None = None
    position: Position | None = None


class StepChange(Body):
    """What becomes different about a step."""

    alias: Kept[Alias] = None
    position: Kept[Position] = None


class AppChoice(Body):
    """The app a step uses."""

    app_id: AppId


class AuthenticationChoice(Body):
    """The authentication the user picked."""

    authentication_id: AuthenticationId


class SuppliedAuthentication(Body):
    """What an authentication for an app of the tenant's own is made of; nothing of `fields` is kept."""

    title: Title
    fields: SecretFields

    def values(self) -> dict[str, str]:
        """Return the fields as they are sent on."""
        return {name: value.get_secret_value() for name, value in self.fields.items()}


class PopupOpening(Body):
    """A popup that is opened. A page that opened it already names the attempt itself."""

    attempt_id: AttemptId | None = None
    elapsed_ms: Elapsed | None = None


class PopupContext(Body):
    """What the page knows beside the signal."""

    visible: bool | None = Field(default=None, description="The page is in front of the user.")
    focused: bool | None = Field(default=None, description="The page has the keyboard.")
    gone: bool = Field(default=False, description="The page is being left and will send nothing more.")
    elapsed_ms: Elapsed | None = None


_ONLY_MESSAGES_NAME_AN_AUTHENTICATION: Final[JsonDict] = {
    "if": {"properties": {"authentication_id": {"type": "string"}}, "required": ["authentication_id"]},
    "then": {"properties": {"kind": {"const": "message"}}},
}


class PopupSignal(Body):
    """What a page saw of a popup, or its user said."""

    model_config = ConfigDict(json_schema_extra=_ONLY_MESSAGES_NAME_AN_AUTHENTICATION)

    attempt_id: AttemptId
    kind: Literal["message", "closed", "focus", "finished", "blocked", "cancelled"]
    authentication_id: AuthenticationId | None = Field(default=None, description="Only with `message`.")
    context: PopupContext = PopupContext()

    @model_validator(mode="after")
    def _only_messages_name_an_authentication(self) -> Self:
        if self.authentication_id is not None and self.kind != "message":
            raise ValueError("only a message names an authentication")
        return self

    def meant(self, step_id: str, browser: BrowserFamily = BrowserFamily.OTHER) -> signals.PopupSignal:
        """Return what is said, by a page in such a browser."""
        attempt_id, context = self.attempt_id, signals.Context(**vars(self.context), browser=browser)
        match self.kind:
            case "blocked":
                return signals.PopupBlocked(step_id=step_id, attempt_id=attempt_id, context=context)
            case "cancelled":
                return signals.PopupCancelled(step_id=step_id, attempt_id=attempt_id, context=context)
            case "message" if (authentication_id := self.authentication_id) is not None:
                return signals.MessageReceived(
                    step_id=step_id, attempt_id=attempt_id, authentication_id=authentication_id, context=context
                )
            case kind:
                return signals.Hinted(step_id=step_id, attempt_id=attempt_id, kind=HintKind(kind), context=context)


class ActionChoice(Body):
    """What a step does, by the names that stay."""

    key: ActionKey
    action_type: ActionType


class GivenInputs(Body):
    """What a step's fields are filled with, kept as given."""

    inputs: Inputs


class InputsChange(Body):
    """Fields that are filled anew, or emptied by null; the others stay as they are."""

    inputs: Inputs


class StepTest(Body):
    """The wish to carry a step's action out. It is not a rehearsal: what the action writes is written."""

    confirm: Literal[True] = Field(description="Somebody knows that the action is really carried out.")
    inputs: Inputs | None = Field(default=None, description="Values for this test, in place of the step's own.")


class InterventionWish(Body):
    """Why an operator does something."""

    reason: WhyWanted


class Extension(InterventionWish):
    """For how much longer a session goes on."""

    by_s: ExtensionS = 3600


class Binding(InterventionWish):
    """Which authentication a step gets."""

    authentication_id: AuthenticationId


class NewWebhook(Body):
    """Where events are to be sent. `session_id`: those of this session alone."""

    url: Url
    session_id: SessionIdGiven | None = None
    events: Events | None = None
    description: Description = ""

    def meant(self, tenant_id: str) -> webhooks.NewEndpoint:
        """Return what is asked for."""
        return webhooks.NewEndpoint(
            tenant_id=tenant_id,
            url=self.url,
            session_id=self.session_id,
            events=OUTCOMES if self.events is None else frozenset(self.events),
            description=self.description,
        )


class WebhookChange(Body):
    """What becomes different about an endpoint."""

    url: Kept[Url] = None
    events: Kept[Events] = None
    description: Kept[Description] = None
    paused: Kept[bool] = None

    def meant(self) -> webhooks.EndpointChange:
        """Return what is asked for."""
        return webhooks.EndpointChange(
            url=self.url,
            events=None if self.events is None else frozenset(self.events),
            description=self.description,
            paused=self.paused,
        )


class WebhookTest(Body):
    """Which event to make up."""

    event: EventNamed = EventName.AUTH_RESOLVED


class ZapRequest(Body):
    """The wish to create the Zap, or what a person says of one of unknown outcome.

    `again`: they looked, and an earlier call made none. `zap_id`: it is this one of the matches.
    """

    again: bool = False
    zap_id: ZapId | None = None
