"""Zapier: what it is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.core.fields import Form
from orchestrator.core.mapping import FieldFlaw
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import Credential, Profile
from orchestrator.core.recognition import ZapListing
from orchestrator.core.session import Action, App, Authentication, Connect, JsonObject, Listing, Millis


@dataclass(frozen=True, kw_only=True)
class CatalogApp:
    """An app as a user's token sees it: `connect` is None when it needs no authentication."""

    app: App
    connect: Connect | None
    description: str = ""
    action_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AppPage:
    """One page of a search; `cursor` continues it."""

    apps: tuple[CatalogApp, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class CatalogAction:
    """An action as Zapier lists it. `id` is good for a moment only; `key` with `action_type` is for keeps."""

    id: str
    key: str
    action_type: str
    title: str
    description: str = ""
    is_instant: bool = False


@dataclass(frozen=True, kw_only=True)
class ActionUse:
    """An action as it is about to be used: by its lasting names, with an authentication and the inputs so far.

    The inputs are compiled: what they hold is what Zapier reads.
    """

    app_id: str
    action: Action
    authentication_id: str | None
    inputs: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the values a field may have; `id` is what is put in."""

    id: str
    label: str


@dataclass(frozen=True, kw_only=True)
class ChoicePage:
    """Choices in Zapier's order; `cursor` continues them."""

    choices: tuple[Choice, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """Something a step will give to later ones."""

    id: str
    title: str
    sample: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepTestRun:
    """What came of carrying out an action: results of the app's own shape, and how many there are in all."""

    results: tuple[JsonObject, ...] = field(repr=False)
    count: int


@dataclass(frozen=True, kw_only=True)
class AuthenticationMade:
    """Zapier answered 201."""

    authentication: Authentication


@dataclass(frozen=True, kw_only=True)
class AuthenticationNotMade:
    """Zapier surely did not make it: never connected, or 400, 401, 403, 404, 429. `retry_after`: it asks to wait.

    `flaws` are those that it finds in particular fields.
    """

    status: int | None
    problem: str
    retry_after: Millis | None = None
    flaws: tuple[FieldFlaw, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AuthenticationUnknown:
    """Anything else: it may exist."""

    problem: str


@dataclass(frozen=True, kw_only=True)
class ZapStep:
    """A step as `POST /v2/zaps` wants it; `authentication_id` None is sent as an explicit null."""

    action_id: str
    authentication_id: str | None
    inputs: JsonObject
    alias: str | None = None


@dataclass(frozen=True, kw_only=True)
class ZapDraft:
    """A Zap to be created."""

    title: str
    steps: tuple[ZapStep, ...]


@dataclass(frozen=True, kw_only=True)
class ZapMade:
    """Zapier answered 201."""

    zap_id: str
    editor_url: str | None


@dataclass(frozen=True, kw_only=True)
class ZapNotMade:
    """Zapier surely did not make it: never connected, or 400, 401, 403, 404, 429."""

    status: int | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class ZapUnknown:
    """Anything else: it may exist."""

    problem: str


class Upstream(Protocol):
    """Zapier's Partner API, every call under a permit.

    Reads raise SignInRequiredError on 401 (after marking the credential), UpstreamBusyError when no permit comes in
    time or on 429 (after cooling the budget down), UpstreamRefusedError on another 4xx, UpstreamUnavailableError
    on anything that is no usable answer. With `permits` given a call uses those first and never waits for more;
    without, it waits up to the interactive limit for each. Permits that were not used are given back.
    """

    async def profile(
        self, tenant_id: str, access_token: str, *, user_id: str | None = None, permits: Sequence[Permit] = ()
    ) -> Profile | None:
        """Read whose token this is; None when its scope does not allow to. A 401 marks nothing.

        `user_id`: the user by whose doing it is read.
        """
        ...

    async def apps(self, credential: Credential, *, query: str | None, cursor: str | None) -> AppPage:
        """Search the catalogue, popup addresses at most a minute old. Raises ValueError for a cursor not of ours."""
        ...

    async def app(self, credential: Credential, app_id: str) -> CatalogApp:
        """Return one app. Raises AppNotFoundError."""
        ...

    async def learn_apps(self, credential: Credential, app_ids: Collection[str]) -> None:
        """Read several apps with one call where that is possible, so that `app` need not read each."""
        ...

    async def authentications(self, credential: Credential, app_id: str, *, permits: Sequence[Permit] = ()) -> Listing:
        """List the user's authentications for the app: every page. Never cached."""
        ...

    async def actions(
        self, credential: Credential, app_id: str, *, age: Millis | None = None
    ) -> tuple[CatalogAction, ...]:
        """List the app's actions, read at most `age` ago; by default they may be ten minutes old.

        Ids that are about to be used were read at most a minute ago; 0 reads them now.
        """
        ...

    async def fields(self, credential: Credential, use: ActionUse) -> Form:
        """Return what the action asks for, at most a minute old.

        The id by which Zapier knows the action is looked up shortly before this and the following three; raises
        ActionNotFoundError when the app has it no more.
        """
        ...

    async def choices(self, credential: Credential, use: ActionUse, field_id: str, *, cursor: str | None) -> ChoicePage:
        """Return one page of a field's choices, at most a minute old. Raises ValueError for a cursor not of ours."""
        ...

    async def outputs(self, credential: Credential, use: ActionUse, *, live: bool = False) -> tuple[Output, ...]:
        """Return what the action will give; with `live` the samples are the user's own, which takes longer."""
        ...

    async def test(self, credential: Credential, use: ActionUse) -> StepTestRun:
        """Carry the action out with one call, never repeated.

        Raises StepTestFailedError when it failed, StepTestUnknownError when nobody knows whether it was, and
        what reads raise where it surely was not.
        """
        ...

    async def create_zap(
        self, credential: Credential, draft: ZapDraft, *, permit: Permit
    ) -> ZapMade | ZapNotMade | ZapUnknown:
        """Make one call, or none when the permit came too late. It is never repeated here."""
        ...

    async def make_authentication(
        self, credential: Credential, app_id: str, *, title: str, fields: Mapping[str, str], permit: Permit
    ) -> AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown:
        """Make an authentication for an app of the tenant's own, with one call or none when the permit came too late.

        It is never repeated here. What the fields hold is in nothing that is returned, kept or logged.
        """
        ...

    async def zaps(self, credential: Credential) -> ZapListing:
        """List the user's Zaps, every page; nobody waits for it, so it waits for no permit. Never cached."""
        ...

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        """Take one permit for a call a user waits on. Raises UpstreamBusyError."""
        ...

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """Give back permits that will not be used."""
        ...
