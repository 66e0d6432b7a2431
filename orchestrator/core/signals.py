"""What can happen to a session: a closed union of facts, each with what was learnt before it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from orchestrator.core.ports.credentials import CredentialState, SignInReason
from orchestrator.core.ports.upstream import (
    AuthenticationMade,
    AuthenticationNotMade,
    AuthenticationUnknown,
    ZapMade,
    ZapNotMade,
    ZapUnknown,
)
from orchestrator.core.ports.watches import Claim, Popup, Watch
from orchestrator.core.session import (
    Action,
    App,
    BrowserFamily,
    Channel,
    Connect,
    HintKind,
    Instant,
    JsonObject,
    Listing,
    Millis,
    Picked,
    ZapMatch,
)
from orchestrator.core.values import value


@value
class Context:
    """What the page knows beside the signal itself; None where it did not say.

    `gone`: the page is being left and will send nothing more. `elapsed_ms`: since it opened the popup. `browser`: its
    browser's family, by what that says of itself.
    """

    visible: bool | None = None
    focused: bool | None = None
    gone: bool = False
    elapsed_ms: int | None = None
    browser: BrowserFamily = BrowserFamily.OTHER


NO_CONTEXT: Final = Context()


@value
class SessionChanged:
    """New title or metadata; None keeps what is there."""

    title: str | None = None
    metadata: JsonObject | None = None


@value
class DeadlinesExtended:
    """An operator lets the session, and the popups that are waited for, go on for so much longer."""

    by: Millis


@value
class SessionCancelled:
    """The session is wanted no more."""


@value
class StepAdded:
    """A new step, at `position` (0 is first; None is last)."""

    step_id: str
    alias: str | None = None
    position: int | None = None


@value
class StepChanged:
    """A step's place or alias; None keeps what is there."""

    step_id: str
    alias: str | None = None
    position: int | None = None


@value
class StepRemoved:
    """The step is wanted no more."""

    step_id: str


@value
class StepReset:
    """The step starts over."""

    step_id: str


@value
class AppChosen:
    """An app for a step. `connect` and `listing` are None exactly when it needs no authentication."""

    step_id: str
    app: App
    connect: Connect | None
    listing: Listing | None


@value
class AuthenticationsRefreshed:
    """The step's picker was read anew."""

    step_id: str
    listing: Listing
    connect: Connect | None
    claims: Mapping[str, Claim]


@value
class AuthenticationSelected:
    """The user chose an authentication, or an operator (`channel`); `listing` is what Zapier says now."""

    step_id: str
    authentication_id: str
    listing: Listing
    claims: Mapping[str, Claim]
    channel: Channel = Channel.SELECTION


@value
class FieldsSent:
    """The fields of an authentication are about to be sent to Zapier: the intent comes first, then one call."""

    step_id: str
    app_id: str
    attempt_id: str


@value
class FieldsAnswered:
    """What came of the one call of an intent."""

    step_id: str
    attempt_id: str
    answer: AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown
    claims: Mapping[str, Claim]


@value
class PopupOpened:
    """The connect popup was opened, by the page itself if it named the attempt: just now, unless the page says when."""

    step_id: str
    attempt_id: str
    context: Context = Context()
    watch: Watch | None = None


@value
class Hinted:
    """A page saw something, or its user said so."""

    step_id: str
    attempt_id: str
    kind: HintKind
    context: Context = Context()
    watch: Watch | None = None


@value
class MessageReceived:
    """`zapier.popup.close` came with an id. It is a hint until Zapier lists the id."""

    step_id: str
    attempt_id: str
    authentication_id: str
    context: Context = Context()
    watch: Watch | None = None


@value
class PopupCancelled:
    """The user wants to wait no longer."""

    step_id: str
    attempt_id: str
    context: Context = Context()
    watch: Watch | None = None


@value
class PopupBlocked:
    """The browser opened no popup."""

    step_id: str
    attempt_id: str
    context: Context = Context()


@value
class CheckWanted:
    """An operator wants Zapier to be asked now for what the step waits for."""

    step_id: str


@value
class PageSeen:
    """A page of the session is in front of its user, and stays so until somebody says otherwise."""


@value
class ConnectLinkMade:
    """A connect link for a step, to be opened within `ttl`; `digest` is its token's."""

    step_id: str
    link_id: str
    digest: str
    ttl: Millis
    return_url: str | None = None


@value
class ConnectLinkOpened:
    """Somebody continued on a connect link, in the browser whose cookie has this digest; `code` is for people."""

    step_id: str
    link_id: str
    browser: str
    code: str


@value
class ConnectLinkAllowed:
    """The backend lets the browser with this code in, instead of the one the link belonged to."""

    step_id: str
    link_id: str
    code: str


@value
class ConnectLinkRevoked:
    """The link is wanted no more."""

    step_id: str
    link_id: str


@value
class AuthenticationsListed:
    """A check's answer, with all that must be known to say whose a new authentication is.

    `checks` are the beginnings of the complete listings so far, this one included if it is complete.
    `popups` are those for (user, app) from which an authentication may still arise, of any session.
    """

    listing: Listing
    checks: tuple[Instant, ...]
    claims: Mapping[str, Claim]
    popups: tuple[Popup, ...]
    shared_profile: bool = False


@value
class ClaimContested:
    """The authentication a step has, or had, by difference alone was confirmed as another's."""

    step_id: str
    app_id: str
    authentication_id: str


@value
class ClaimDoubted:
    """The authentication a step has, or had, by difference alone may be of a popup that nobody had heard of."""

    step_id: str
    app_id: str
    authentication_id: str


@value
class ActionChosen:
    """What a step does."""

    step_id: str
    action: Action


@value
class InputsGiven:
    """What a step's fields are filled with, and which of them were picked from what its authentication offers."""

    step_id: str
    inputs: JsonObject
    picked: Picked | None = None


@value
class StepTestRequested:
    """The step's action is about to be carried out once, to see what comes of it."""

    step_id: str
    test_id: str


@value
class ZapRequested:
    """The Zap is about to be created: the intent comes first, then one call."""

    intent_id: str
    again: bool = False


@value
class ZapAnswered:
    """What came of the one call of an intent."""

    intent_id: str
    answer: ZapMade | ZapNotMade | ZapUnknown


@value
class ZapsListed:
    """The user's Zaps were looked through for the one of an intent; `matches` may be it.

    `complete`: Zapier was asked, and showed them all. `contested`: one of them may as well be another session's.
    """

    intent_id: str
    matches: tuple[ZapMatch, ...]
    complete: bool
    contested: bool = False


@value
class ZapsNotListed:
    """Zapier could not be asked for the user's Zaps, among which the one of an intent may be."""

    intent_id: str


@value
class ZapIdentified:
    """A person says which of the matches is the session's Zap."""

    zap_id: str


@value
class CredentialChanged:
    """The user must sign in to Zapier again, or has: to this account, as the store calls it."""

    state: CredentialState
    reason: SignInReason | None = None
    account: str | None = None


@value
class TimePassed:
    """Nothing happened; deadlines may have come. `checks` are those of each app's watch."""

    checks: Mapping[str, tuple[Instant, ...]]


BuilderSignal: TypeAlias = (
    StepChanged | StepRemoved | StepReset | AppChosen | ActionChosen | InputsGiven | StepTestRequested
)
"""What the builder of the Zap does to a step."""

AuthenticationSignal: TypeAlias = AuthenticationsRefreshed | AuthenticationSelected | ClaimContested | ClaimDoubted
"""What is said of a step's authentication outside a check."""

OpeningSignal: TypeAlias = PopupOpened | Hinted | MessageReceived | PopupCancelled
"""What may be the first that is heard of a popup; `watch` is then its app's, as it is now."""

PopupSignal: TypeAlias = OpeningSignal | PopupBlocked
"""What a page says of a popup."""

SupplySignal: TypeAlias = FieldsSent | FieldsAnswered
"""What becomes of the fields of an authentication."""

LinkSignal: TypeAlias = ConnectLinkMade | ConnectLinkOpened | ConnectLinkAllowed | ConnectLinkRevoked
"""What becomes of a connect link."""

StepSignal: TypeAlias = BuilderSignal | AuthenticationSignal | PopupSignal | SupplySignal | LinkSignal | CheckWanted

Signal: TypeAlias = (
    StepSignal
    | SessionChanged
    | SessionCancelled
    | DeadlinesExtended
    | StepAdded
    | PageSeen
    | AuthenticationsListed
    | ZapRequested
    | ZapAnswered
    | ZapsListed
    | ZapsNotListed
    | ZapIdentified
    | CredentialChanged
    | TimePassed
)
