"""What builders and pages can do with sessions: the use cases behind the API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import field
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from orchestrator.commits import Applied, Commits
from orchestrator.core import decide as decisions
from orchestrator.core.decide import Decision, decide
from orchestrator.core.decide.steps import MOST_STEPS
from orchestrator.core.errors.actions import ActionNotFoundError
from orchestrator.core.errors.attempts import AttemptStaleError, CandidatesFoundError
from orchestrator.core.errors.base import NotFoundError
from orchestrator.core.errors.credentials import CredentialRefusedError, SignInRequiredError
from orchestrator.core.errors.requests import IdempotencyKeyReusedError
from orchestrator.core.errors.sessions import AliasTakenError, IllegalSignalError, TooManyStepsError
from orchestrator.core.errors.store import ReferenceTakenError
from orchestrator.core.errors.tenants import ClientMissingError
from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.interventions import Act
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.credentials import Credential, CredentialState, CredentialStore, NewTokens, Standing
from orchestrator.core.ports.sessions import Outcome, ReceiptStore, SessionStore
from orchestrator.core.ports.tenants import UserStore
from orchestrator.core.ports.tokens import Client
from orchestrator.core.ports.upstream import AppPage, CatalogAction, CatalogApp, Upstream
from orchestrator.core.ports.watches import WatchStore
from orchestrator.core.required import active, require_open, step_of
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    Action,
    App,
    Attempt,
    Authentication,
    Channel,
    Connect,
    Instant,
    JsonObject,
    Listing,
    Millis,
    Session,
    SessionKey,
    Step,
    StepState,
    shard_of,
)
from orchestrator.core.signals import (
    NO_CONTEXT,
    ActionChosen,
    AppChosen,
    AuthenticationSelected,
    AuthenticationsRefreshed,
    Context,
    Hinted,
    MessageReceived,
    OpeningSignal,
    PopupCancelled,
    PopupOpened,
    Signal,
)
from orchestrator.core.terms import ANY_TERMS, RECEIPT_KEPT, Terms
from orchestrator.core.values import replace, value

PICKED_WITHIN: Final[Millis] = MINUTE
"""How long a picker's listing confirms what is picked from it."""

SEEN_WITHIN: Final[Millis] = 10 * SECOND
"""How long a listing answers whether an authentication that Zapier refuses is still there."""


@value
class NewStep:
    """A step a session begins with."""

    alias: str | None = None
    app_id: str | None = None


@value
class NewSession:
    """What a session begins with. `ttl` None takes the policy's."""

    tenant_id: str
    user_id: str
    title: str | None = None
    reference: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    steps: tuple[NewStep, ...] = ()
    ttl: Millis | None = None


@value
class Picker:
    """What to show for a step that needs an authentication. `listed_at` is when Zapier said so."""

    session: Session
    step: Step
    authentications: tuple[Authentication, ...]
    listed_at: Instant | None


@value
class OpenedPopup:
    """An attempt and where its popup goes; `duplicate` when another request had begun it before."""

    session: Session
    attempt: Attempt
    url: str
    outcome: Outcome
    is_replay: bool = False


class Engine:
    """Sessions of every tenant. Each method is safe to repeat; what happens twice is said by `Outcome`."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        commits: Commits,
        sessions: SessionStore,
        receipts: ReceiptStore,
        watches: WatchStore,
        credentials: CredentialStore,
        users: UserStore,
        upstream: Upstream,
        client_of: Callable[[str], Awaitable[Client | None]],
        clock: Clock,
        ids: Ids,
        policy: Policy,
        shards: int,
    ) -> None:
        self._commits = commits
        self._sessions = sessions
        self._receipts = receipts
        self._watches = watches
        self._credentials = credentials
        self._users = users
        self._upstream = upstream
        self._client_of = client_of
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._shards = shards
        self._turns: WeakValueDictionary[tuple[SessionKey, str], asyncio.Lock] = WeakValueDictionary()

    # --- sessions and steps ---

    async def create_session(self, new: NewSession, *, terms: Terms = ANY_TERMS) -> Applied:
        """Begin a session; with apps given, Zapier is asked first, and nothing is written unless all of it worked.

        While the user has a session with this reference that has not ended, that one is returned, as `duplicate`.
        Raises SignInRequiredError, AppNotFoundError, UpstreamError, AliasTakenError, TooManyStepsError,
        IdempotencyKeyReusedError, SessionNotFoundError when what the request made before is no longer kept.
        """
        _, credential = await asyncio.gather(
            self.bind(new.tenant_id, terms), self._credentials.standing(new.tenant_id, new.user_id)
        )
        earlier = await self._begun_before(new, terms)
        if earlier is not None:
            return earlier
        decision = await self._begun(new, credential)
        try:
            return await self._commits.begin(decision, idempotency=terms.idempotency)
        except ReferenceTakenError as taken:
            return await self._live(new, taken.session_id)

    async def bind(self, tenant_id: str, terms: Terms) -> None:
        """Tie the request's idempotency key to its body, whatever becomes of it.

        For a request whose body says where its effect is written, or that writes nothing. Raises
        IdempotencyKeyReusedError when the key was sent with another body.
        """
        if terms.idempotency is None:
            return
        now = self._clock.now()
        bound = await self._receipts.bind(tenant_id, terms.idempotency, now=now, until=now + RECEIPT_KEPT)
        if bound != terms.idempotency.fingerprint:
            raise IdempotencyKeyReusedError

    async def apply(
        self, key: SessionKey, signal: Signal, *, terms: Terms = ANY_TERMS, act: Act | None = None
    ) -> Applied:
        """Apply a signal that needs nothing of Zapier, perhaps as an operator's `act`. Raises as `Commits.apply`."""
        if isinstance(signal, PopupOpened | Hinted | MessageReceived | PopupCancelled):
            return await self._commits.apply(key, partial(self._with_watch, signal), terms=terms, recalled=True)
        return await self._commits.apply(key, signal, terms=terms, recalled=True, act=act)

    def new_step_id(self) -> str:
        """Return an id for a step that is about to be added."""
        return self._ids.new("st")

    def new_link_id(self) -> str:
        """Return an id for a connect link that is about to be made."""
        return self._ids.new("cl")

    async def search_apps(self, key: SessionKey, *, query: str | None, cursor: str | None) -> AppPage:
        """Search Zapier's apps as the session's user sees them."""
        session = await self._sessions.load(key)
        return await self._upstream.apps(await self._credential(session), query=query, cursor=cursor)

    async def choose_app(self, key: SessionKey, step_id: str, app_id: str, *, terms: Terms = ANY_TERMS) -> Applied:
        """Give a step its app; where it needs an authentication, list the user's first: that is the baseline."""
        session, credential = await self._with_credential(key)
        step = step_of(session, step_id)
        require_open(session)
        terms.check(session)
        if step.app is not None and step.app.id == app_id:
            return Applied(session=session, outcome=Outcome.DUPLICATE)
        chosen = await self._app_chosen(active(credential, user_id=session.user_id), step_id, app_id)
        return await self._commits.apply(key, chosen, terms=terms, read=session)

    async def list_actions(self, key: SessionKey, step_id: str) -> tuple[CatalogAction, ...]:
        """Return what the step's app can do."""
        session, step = await self._step(key, step_id)
        app_id = self._app_of(session, step, "list_actions").id
        return await self._upstream.actions(await self._credential(session), app_id)

    async def choose_action(
        self, key: SessionKey, step_id: str, action: Action, *, terms: Terms = ANY_TERMS
    ) -> Applied:
        """Give a step its action. Raises ActionNotFoundError when its app has none of this key and type."""
        session, step = await self._open_step(key, step_id)
        terms.check(session)
        app_id = self._app_of(session, step, "action_chosen").id
        actions = await self._upstream.actions(await self._credential(session), app_id)
        if not any((found.key, found.action_type) == (action.key, action.action_type) for found in actions):
            raise ActionNotFoundError(app_id=app_id, key=action.key, action_type=action.action_type)
        return await self._commits.apply(key, ActionChosen(step_id=step_id, action=action), terms=terms)

    # --- authentications and popups ---

    async def pick(self, key: SessionKey, step_id: str, *, refresh: bool) -> Picker:
        """Return the authentications to choose from; they are read anew when asked for or older than five minutes.

        While an attempt of the step is waited for the baseline stays as it is, whatever is read.
        """
        session, step = await self._step(key, step_id)
        if step.state is StepState.NO_AUTH_REQUIRED or step.app is None:
            self._app_of(session, step, "list_authentications")
            return Picker(session=session, step=step, authentications=(), listed_at=None)
        if refresh or not await self._is_fresh(session, step):
            listing = await self._list(session, step)
            if session.is_open and step.live_attempt is None:
                session = await self.refresh(session, step, listing)
            return Picker(
                session=session,
                step=session.step(step_id) or step,
                authentications=listing.authentications,
                listed_at=listing.begun_at,
            )
        baseline = step.baseline
        return Picker(
            session=session,
            step=step,
            authentications=baseline.authentications if baseline else (),
            listed_at=baseline.taken_at if baseline else None,
        )

    async def select(
        self,
        key: SessionKey,
        step_id: str,
        authentication_id: str,
        *,
        terms: Terms = ANY_TERMS,
        act: Act | None = None,
    ) -> Applied:
        """Settle a step on the user's choice; Zapier must list it, for this app, not expired.

        A picker's listing that shows it so confirms what was picked from it for a minute; else there is another one.
        As an `act` it is an operator's choice: the evidence says so, and Zapier is always asked.

        Raises IllegalSignalError for a step that needs none, AuthenticationNotUsableError for what is not listed or has
        expired, UpstreamUnavailableError when it is missing from a listing that is not complete.
        """
        session, step = await self._open_step(key, step_id)
        terms.check(session)
        app_id = self._app_of(session, step, "authentication_selected").id
        if step.state is StepState.NO_AUTH_REQUIRED:
            raise IllegalSignalError(
                session_id=key.session_id, step_id=step_id, state=step.state, signal="authentication_selected"
            )
        picked_from = None if act else await self._picked_from(session, step, authentication_id)
        listing = picked_from or await self._list(session, step)
        if not listing.complete and listing.get(authentication_id) is None:
            raise UpstreamUnavailableError(problem="the list of authentications is not complete")

        async def selected(current: Session) -> Signal:
            watch = await self._watches.load(current.watch_key(app_id), now=self._clock.now())
            return AuthenticationSelected(
                step_id=step_id,
                authentication_id=authentication_id,
                listing=listing,
                claims=watch.claims,
                channel=Channel.SELECTION if act is None else Channel.OPERATOR,
            )

        return await self._commits.apply(key, selected, terms=terms, act=act)

    async def look_again(self, key: SessionKey, step_id: str) -> tuple[Session, Step]:
        """Look whether a settled step's authentication, with which Zapier refused something, is still there.

        Whether it has expired or is gone is on the step then. A listing of the last ten seconds serves, and one reads
        for all who ask at the same time, so that trying without end costs little. Raises as `pick`.
        """
        async with self._turns.setdefault((key, step_id), asyncio.Lock()):
            session, step = await self._step(key, step_id)
            is_settled = step.state is StepState.RESOLVED and step.live_attempt is None
            if session.is_open and is_settled and not await self._is_fresh(session, step, age=SEEN_WITHIN):
                session = await self.refresh(session, step, await self._list(session, step))
        return session, step_of(session, step_id)

    async def open_popup(
        self,
        key: SessionKey,
        step_id: str,
        attempt_id: str | None,
        *,
        context: Context = NO_CONTEXT,
        terms: Terms = ANY_TERMS,
    ) -> OpenedPopup:
        """Begin an attempt. The same attempt id again returns the same attempt, and so does the same request.

        An id given by the page says that its popup may be open already, so Zapier is not asked and the baseline stays;
        `context` says for how long it has been open.
        Without one the baseline and the link are made fresh first. Raises CandidatesFoundError when that shows
        something connected meanwhile, AttemptStaleError when the step has another app than at the request's first time.
        """
        if attempt_id is None:
            session, step = await self._step(key, step_id)
            earlier = await self._commits.earlier(session.tenant_id, session.user_id, terms)
            if earlier is not None:
                return _opened(earlier, step_id)
            terms.check(session)
            require_open(session)
            if step.state in {StepState.NEEDS_AUTH, StepState.RESOLVED}:
                terms = terms.after(await self.prepare(session, step, terms))
        opening = PopupOpened(step_id=step_id, attempt_id=attempt_id or self._ids.new("at"), context=context)
        return _opened(await self.apply(key, opening, terms=terms), step_id)

    async def note_error(self, key: SessionKey, reference: str) -> None:
        """Note by what reference somebody may quote an error of this session.

        Raises SessionNotFoundError, also for another tenant's.
        """
        await self._sessions.load(key)
        await self._sessions.quote(key.session_id, reference)

    # --- users ---

    async def put_credential(
        self,
        tenant_id: str,
        user_id: str,
        access_token: str,
        *,
        expires_in: Millis | None,
        refresh_token: str | None = None,
    ) -> Credential:
        """Keep a user's tokens, which resumes what waited for them. With a refresh token refreshing them is ours.

        Raises CredentialRefusedError when Zapier answers 401 to the access token, ClientMissingError when no client
        secret is known to refresh it with; what was kept before is kept then, and the refresh token is not used.
        """
        if refresh_token is not None and await self._client_of(tenant_id) is None:
            raise ClientMissingError(tenant_id=tenant_id)
        try:
            profile = await self._upstream.profile(tenant_id, access_token, user_id=user_id)
        except SignInRequiredError as refused:
            raise CredentialRefusedError(user_id=user_id) from refused
        now = self._clock.now()
        expires_at = None if expires_in is None else now + expires_in
        tokens = NewTokens(access_token=access_token, refresh_token=refresh_token, expires_at=expires_at)
        return await self._credentials.put(tenant_id, user_id, tokens, profile=profile, now=now)

    async def erase_user(self, tenant_id: str, user_id: str) -> None:
        """Erase everything that is kept of a user. Raises as `UserStore.erase`."""
        await self._users.erase(tenant_id, user_id, now=self._clock.now())
        self._commits.recollection.drop_user(tenant_id, user_id)

    async def _credential(self, session: Session) -> Credential:
        found = await self._credentials.get(session.tenant_id, session.user_id)
        return active(found, user_id=session.user_id)

    async def _with_credential(self, key: SessionKey) -> tuple[Session, Credential | None]:
        """Return the session with its user's credential: by one exchange where it is recalled whose it is."""
        recalled = self._commits.recollection.find(key)
        if recalled is None:
            session = await self._sessions.load(key)
            return session, await self._credentials.get(session.tenant_id, session.user_id)
        reading = self._sessions.load(key), self._credentials.get(recalled.tenant_id, recalled.user_id)
        session, credential = await asyncio.gather(*reading)
        return session, credential

    # --- parts ---

    async def _with_watch(self, signal: OpeningSignal, session: Session) -> Signal:
        """Add what is known of the app's popups and claims where the signal is the first that is heard of its popup."""
        step = session.step(signal.step_id)
        is_just_opened = isinstance(signal, PopupOpened) and signal.context.elapsed_ms is None
        if is_just_opened or step is None or step.app is None or step.attempt(signal.attempt_id) is not None:
            return signal
        return replace(signal, watch=await self._watches.load(session.watch_key(step.app.id), now=self._clock.now()))

    async def _begun_before(self, new: NewSession, terms: Terms) -> Applied | None:
        """Look for what the request would make before Zapier is asked; without that the commit tells soon enough."""
        if not any(step.app_id for step in new.steps):
            return None
        earlier = await self._commits.earlier(new.tenant_id, new.user_id, terms)
        if earlier is not None or new.reference is None:
            return earlier
        session_id = await self._sessions.referred(new.tenant_id, new.user_id, new.reference)
        with suppress(NotFoundError):  # it ended, and was erased, between the two
            return None if session_id is None else await self._live(new, session_id)
        return None

    async def _live(self, new: NewSession, session_id: str) -> Applied:
        key = SessionKey(tenant_id=new.tenant_id, session_id=session_id)
        return Applied(session=await self._sessions.load(key), outcome=Outcome.DUPLICATE)

    async def _begun(self, new: NewSession, credential: Standing | None) -> Decision:
        session = self._blank(new, credential)
        chosen = await self._apps_of(session, new)
        now = self._clock.now()
        decision = decisions.found(session, policy=self._policy, now=now)
        for signal in chosen:
            following = decide(decision.session, signal, policy=self._policy, now=now)
            decision = _joined(decision, following)
        return decision

    def _blank(self, new: NewSession, credential: Standing | None) -> Session:
        now = self._clock.now()
        shard = shard_of(new.tenant_id, new.user_id, shards=self._shards)
        session_id = self._ids.new(f"zs{shard:02x}")
        aliases = [step.alias for step in new.steps if step.alias is not None]
        repeated = next((alias for alias in aliases if aliases.count(alias) > 1), None)
        if repeated is not None:
            raise AliasTakenError(session_id=session_id, alias=repeated)
        if len(new.steps) > MOST_STEPS:
            raise TooManyStepsError(session_id=session_id, limit=MOST_STEPS)
        return Session(
            id=session_id,
            tenant_id=new.tenant_id,
            user_id=new.user_id,
            title=new.title,
            reference=new.reference,
            metadata=new.metadata,
            created_at=now,
            updated_at=now,
            deadline=now + (self._policy.session_ttl if new.ttl is None else new.ttl),
            steps=tuple(Step(id=self.new_step_id(), alias=step.alias) for step in new.steps),
            signed_out=credential is None or credential.state is CredentialState.NEEDS_SIGN_IN,
            account=None if credential is None else credential.account,
        )

    async def _apps_of(self, session: Session, new: NewSession) -> list[AppChosen]:
        wanted = [(step.id, given.app_id) for step, given in zip(session.steps, new.steps, strict=True) if given.app_id]
        if not wanted:
            return []
        credential = await self._credential(session)
        app_ids = sorted({app_id for _, app_id in wanted})
        await self._upstream.learn_apps(credential, app_ids)
        first = {app_id: await self._app_chosen(credential, "", app_id) for app_id in app_ids}
        return [replace(first[app_id], step_id=step_id) for step_id, app_id in wanted]

    async def _app_chosen(self, credential: Credential, step_id: str, app_id: str) -> AppChosen:
        found: CatalogApp = await self._upstream.app(credential, app_id)
        listing = await self._upstream.authentications(credential, app_id) if found.connect else None
        return AppChosen(step_id=step_id, app=found.app, connect=found.connect, listing=listing)

    async def prepare(self, session: Session, step: Step, terms: Terms, *, anew: bool = False) -> Session:
        """Make the baseline and the popup address fresh before something new may arise.

        What an attempt may have made since the baseline was taken is looked for first, however fresh that is; `anew`:
        so is whatever else the user may have made. Raises CandidatesFoundError when that shows something.
        """
        was_tried = step.baseline is not None and any(
            attempt.opened_at >= step.baseline.taken_at for attempt in step.app_attempts
        )
        if not anew and not was_tried and await self._is_fresh(session, step) and self._is_link_fresh(step):
            return session
        shown = {found.id for found in step.candidates}
        session = await self.refresh(session, step, await self._list(session, step), seqs=terms.seqs)
        refreshed = step_of(session, step.id)
        is_found = refreshed.authentication is not None and refreshed.authentication != step.authentication
        if is_found or {found.id for found in refreshed.candidates} - shown:
            raise CandidatesFoundError(session_id=session.id, step_id=step.id)
        return session

    async def refresh(
        self, session: Session, step: Step, listing: Listing, *, seqs: frozenset[int] | None = None
    ) -> Session:
        """Take what was listed for a step just now, and return the session after it. Raises as `Commits.apply`."""
        connect = await self._link(session, listing.app_id)

        async def refreshed(current: Session) -> Signal:
            watch = await self._watches.load(current.watch_key(listing.app_id), now=self._clock.now())
            return AuthenticationsRefreshed(step_id=step.id, listing=listing, connect=connect, claims=watch.claims)

        return (await self._commits.apply(session.key, refreshed, terms=Terms(seqs=seqs))).session

    async def _link(self, session: Session, app_id: str) -> Connect | None:
        return (await self._upstream.app(await self._credential(session), app_id)).connect

    async def _list(self, session: Session, step: Step) -> Listing:
        app_id = self._app_of(session, step, "list_authentications").id
        return await self._upstream.authentications(await self._credential(session), app_id)

    async def _picked_from(self, session: Session, step: Step, authentication_id: str) -> Listing | None:
        """Return the listing that the step's picker shows, if it is young and shows this as usable."""
        if step.app is None or step.baseline is None or not await self._is_fresh(session, step, age=PICKED_WITHIN):
            return None
        listing = step.baseline.listing(step.app.id)
        return listing if any(found.id == authentication_id for found in listing.healthy) else None

    async def _is_fresh(self, session: Session, step: Step, *, age: Millis | None = None) -> bool:
        """Whether the baseline is young (by default: not too old to be one) and of the user's present account."""
        oldest = self._policy.baseline_fresh if age is None else age
        if step.baseline is None or self._clock.now() - step.baseline.taken_at > oldest:
            return False
        credential = await self._credentials.standing(session.tenant_id, session.user_id)
        return credential is not None and credential.account == step.baseline.account

    def _is_link_fresh(self, step: Step) -> bool:
        connect = step.connect
        return connect is not None and self._clock.now() - connect.read_at <= self._policy.baseline_fresh

    def _app_of(self, session: Session, step: Step, signal: str) -> App:
        if step.app is None:
            raise IllegalSignalError(session_id=session.id, step_id=step.id, state=step.state, signal=signal)
        return step.app

    async def _step(self, key: SessionKey, step_id: str) -> tuple[Session, Step]:
        session = await self._sessions.load(key)
        return session, step_of(session, step_id)

    async def _open_step(self, key: SessionKey, step_id: str) -> tuple[Session, Step]:
        session, step = await self._step(key, step_id)
        require_open(session)
        return session, step


def _opened(applied: Applied, step_id: str) -> OpenedPopup:
    session = applied.session
    step = step_of(session, step_id)
    attempt = step.attempt(applied.made or "")
    if attempt is None or step.app is None or step.connect is None or attempt.app_id != step.app.id:
        raise AttemptStaleError(session_id=session.id, step_id=step_id, attempt_id=applied.made or "")
    return OpenedPopup(
        session=session,
        attempt=attempt,
        url=step.connect.url,
        outcome=applied.outcome,
        is_replay=applied.is_replay,
    )


def _joined(one: Decision, following: Decision) -> Decision:
    return Decision(
        session=following.session,
        outcome=following.outcome,
        events=(*one.events, *following.events),
        effects=(*one.effects, *following.effects),
        guards=(*one.guards, *following.guards),
    )
