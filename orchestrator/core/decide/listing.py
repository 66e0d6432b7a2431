"""What a listing of the user's authentications means for the steps that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from orchestrator.core import machine
from orchestrator.core.attribution import Found, NothingNew, Offered, attribute, barred_since, news
from orchestrator.core.decide.popups import MOST_MESSAGES_KEPT
from orchestrator.core.effects import ClosePopup, NoOtherPopup, ReleaseClaim, Unclaimed
from orchestrator.core.errors.attempts import AuthenticationNotUsableError
from orchestrator.core.events import EventName
from orchestrator.core.machine import Trigger
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.schedule import LISTING_LAG
from orchestrator.core.session import (
    SECOND,
    Attempt,
    AttemptEnd,
    Authentication,
    Baseline,
    Channel,
    Evidence,
    HintKind,
    Listing,
    Message,
    Step,
    StepState,
)
from orchestrator.core.signals import ClaimContested
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.signals import (
        AuthenticationSelected,
        AuthenticationsListed,
        AuthenticationsRefreshed,
        ClaimDoubted,
    )

LISTINGS_UNTIL_NOTHING_NEW = 3
LISTINGS_UNTIL_NOT_VISIBLE = 4
NOT_VISIBLE_AFTER = 30 * SECOND
_AT_REST = frozenset({StepState.NEEDS_AUTH, StepState.RESOLVED})


def listed(draft: Draft, signal: AuthenticationsListed) -> None:
    """Apply a check's listing to every step of the app. A session that is closed takes nothing from it.

    Confirmed messages come first, so that what they settle is not taken for another step's news.
    """
    if not draft.session.is_open:
        return draft.nothing(Outcome.STALE)
    draft.claims |= signal.claims
    listing = signal.listing
    steps = [step for step in draft.session.steps if step.app is not None and step.app.id == listing.app_id]
    for step in steps:
        if (confirmed := _confirmed(step, listing)) is not None:
            _resolve_by_message(draft, step, confirmed, listing)
    if listing.complete:
        for step in steps:
            if draft.step(step.id) == step:
                _step_listed(draft, step, signal)
    return None


def refreshed(draft: Draft, step: Step, signal: AuthenticationsRefreshed) -> None:
    """Offer what is new, then let the listing be the baseline. While an attempt is waited for, nothing changes."""
    listing = signal.listing
    is_at_rest = step.state in _AT_REST and step.live_attempt is None
    if step.app is None or step.app.id != listing.app_id or not is_at_rest:
        return draft.nothing(Outcome.STALE)
    draft.claims |= signal.claims
    if (confirmed := _confirmed(step, listing)) is not None:
        _resolve_by_message(draft, step, confirmed, listing)
    elif step.state is StepState.RESOLVED:
        _look_after(draft, step, listing)
    else:
        _offer(draft, step, listing)
    step = draft.step(step.id)
    draft.put(replace(_as_listed(step, listing), connect=signal.connect or step.connect))
    return draft.tell(EventName.AUTHENTICATIONS_REFRESHED, step)


def selected(draft: Draft, step: Step, signal: AuthenticationSelected) -> None:
    """Settle the step on the user's choice, if Zapier lists it as usable now, for the app the step has now."""
    listing = signal.listing
    if step.app is None or not machine.allows(step.state, Trigger.SELECTED):
        raise draft.illegal(step, Trigger.SELECTED)
    authentication = listing.get(signal.authentication_id) if listing.app_id == step.app.id else None
    if authentication is None or authentication.is_expired:
        unlisted = "Zapier does not list it for this user and app; take one of those it lists"
        why = "it has expired; connect it again" if authentication else unlisted
        raise AuthenticationNotUsableError(
            session_id=draft.session.id, step_id=step.id, authentication_id=signal.authentication_id, why=why
        )
    is_same = step.authentication is not None and step.authentication.id == authentication.id
    if is_same and step.evidence is not None and not step.evidence.is_difference_alone:
        return draft.nothing(Outcome.DUPLICATE)
    draft.claims |= signal.claims
    evidence = Evidence(channels=(signal.channel,), checked_at=listing.begun_at)
    return resolve(draft, _as_listed(step, listing), authentication, evidence, trigger=Trigger.SELECTED)


def taken_back(draft: Draft, step: Step, signal: ClaimContested | ClaimDoubted) -> None:
    """Take back what difference alone had given: it was confirmed as another step's, or may be."""
    held, evidence = step.authentication, step.evidence
    if held is None or evidence is None or held.id != signal.authentication_id:
        return _remember_popups(draft, step, signal)
    if not evidence.is_difference_alone:
        return draft.nothing(Outcome.STALE)
    if isinstance(signal, ClaimContested):
        return _need_auth(draft, step, Trigger.CLAIMED_ELSEWHERE, candidates=(held,))
    step = _unsettled(draft, step, held, evidence)
    return _need_auth(draft, step, Trigger.DOUBTED, candidates=(held,))


def _remember_popups(draft: Draft, step: Step, signal: ClaimContested | ClaimDoubted) -> None:
    """Let popups be open still of which only a difference said that they were not, where the step has given that up.

    It has something else by now, or nothing; the popup that seemed to have yielded what it had may yield yet. What it
    has now by difference is not in doubt here: that has a claim of its own.
    """
    current = step.evidence.attempt_id if step.evidence is not None and step.evidence.is_difference_alone else None
    silent = [
        attempt
        for attempt in step.attempts
        if attempt.app_id == signal.app_id
        and attempt.ended is AttemptEnd.SETTLED
        and not attempt.settled
        and attempt.id != current
    ]
    if not silent:
        return draft.nothing(Outcome.STALE)
    for attempt in silent:
        draft.remember_popup(step, attempt)
    released = signal.authentication_id
    return draft.ask(ReleaseClaim(app_id=signal.app_id, step_id=step.id, authentication_id=released))


def _unsettled(draft: Draft, step: Step, held: Authentication, evidence: Evidence) -> Step:
    """Let the authentication be anybody's again, and the popup that seemed to have yielded it be open still."""
    attempts = []
    for attempt in step.attempts:
        is_the_one = attempt.id == evidence.attempt_id
        attempts.append(replace(attempt, ended=AttemptEnd.OFFERED) if is_the_one else attempt)
        if is_the_one:
            draft.ask(ReleaseClaim(app_id=attempt.app_id, step_id=step.id, authentication_id=held.id))
            draft.remember_popup(step, attempt)
    return draft.put(replace(step, attempts=tuple(attempts)))


def _step_listed(draft: Draft, step: Step, signal: AuthenticationsListed) -> None:
    if step.state is StepState.RESOLVED:
        _look_after(draft, step, signal.listing)
    elif step.live_attempt is not None:
        _await(draft, step, signal)
    elif step.state is StepState.NEEDS_AUTH and step.app_attempts:
        _offer(draft, step, signal.listing)


def _confirmed(step: Step, listing: Listing) -> tuple[Attempt, Message, Authentication] | None:
    """Return the latest message whose id Zapier lists as healthy."""
    healthy = {found.id: found for found in listing.healthy}
    heard = [
        (attempt, message, healthy[message.authentication_id])
        for attempt in step.app_attempts
        for message in attempt.messages
        if message.authentication_id in healthy
    ]
    return max(heard, key=lambda one: one[1].at, default=None)


def _resolve_by_message(
    draft: Draft, step: Step, confirmed: tuple[Attempt, Message, Authentication], listing: Listing
) -> None:
    attempt, _, authentication = confirmed
    is_new = any(found.id == authentication.id for found in news(step.baseline, listing, draft.claims))
    channels = (Channel.MESSAGE, Channel.DIFFERENCE) if is_new else (Channel.MESSAGE,)
    evidence = Evidence(channels=channels, checked_at=listing.begun_at, attempt_id=attempt.id)
    draft.ask(ClosePopup(app_id=attempt.app_id, step_id=step.id, attempt_id=attempt.id))
    resolve(draft, _as_listed(step, listing), authentication, evidence, trigger=Trigger.MESSAGE_CONFIRMED)


def _look_after(draft: Draft, step: Step, listing: Listing) -> None:
    """Notice that a settled authentication has expired or is gone; connecting it again is then something new.

    One that was listed may be missing again for as long as Zapier needs to list it everywhere.
    """
    if step.authentication is None or step.evidence is None or not listing.complete:
        return
    found = listing.get(step.authentication.id)
    believed_until = step.evidence.checked_at + (0 if found else LISTING_LAG)
    if listing.begun_at <= believed_until or found in listing.healthy:
        return
    new = news(step.baseline, listing, draft.claims)
    step = _as_listed(step, listing)
    _need_auth(draft, step, Trigger.EXPIRED if found else Trigger.REVOKED, candidates=new)


def _as_listed(step: Step, listing: Listing) -> Step:
    return replace(step, baseline=_newer_baseline(step, listing))


def _newer_baseline(step: Step, listing: Listing) -> Baseline | None:
    """Return the newer of the step's baseline and what this listing makes; an incomplete one makes none."""
    made, had = Baseline.of(listing), step.baseline
    return had if made is None or (had is not None and had.taken_at > made.taken_at) else made


def _offer(draft: Draft, step: Step, listing: Listing) -> None:
    """Show what is new, keep what was shown and can still be used."""
    if step.baseline is not None and listing.begun_at < step.baseline.taken_at:
        return
    usable = {found.id: found for found in listing.healthy}
    kept = [usable[one.id] for one in step.candidates if one.id in usable]
    shown = {one.id for one in kept}
    new = [found for found in news(step.baseline, listing, draft.claims) if found.id not in shown]
    if not new and listing.complete and len(kept) == len(step.candidates):
        return
    candidates = (*kept, *new) if listing.complete else (*step.candidates, *new)
    if candidates != step.candidates:
        step = draft.put(replace(step, candidates=candidates))
        draft.tell(EventName.CANDIDATES_FOUND, step, candidates=[found.id for found in candidates])


def _await(draft: Draft, step: Step, signal: AuthenticationsListed) -> None:
    """Say what a listing means for a step that waits for an attempt.

    A message heard since then, of whichever attempt, is waited for; one heard before has had its time.
    """
    attempt, listing = step.live_attempt, signal.listing
    if attempt is None or listing.begun_at < attempt.opened_at:
        return
    new = news(step.baseline, listing, draft.claims)
    heard = [message.at for one in step.app_attempts for message in one.messages if message.at >= attempt.opened_at]
    if heard:
        if _is_not_visible(max(heard), signal):
            _need_auth(draft, step, Trigger.NOT_VISIBLE, candidates=new)
        return
    is_late = draft.now - attempt.opened_at > draft.policy.difference_longest
    verdict = attribute(
        new,
        waiter=draft.waiter(step),
        popups=signal.popups,
        offers_only=signal.shared_profile or attempt.offers_only or is_late,
    )
    match verdict:
        case Found(authentication):
            _resolve_by_difference(draft, step, attempt, authentication, signal)
        case Offered(candidates):
            _need_auth(draft, step, Trigger.OFFERED, candidates=candidates)
        case NothingNew():
            _wait_on(draft, step, attempt, signal)
        case _:
            assert_never(verdict)


def _is_not_visible(heard_at: int, signal: AuthenticationsListed) -> bool:
    since = [begun_at for begun_at in signal.checks if begun_at >= heard_at]
    return len(since) >= LISTINGS_UNTIL_NOT_VISIBLE and since[-1] - heard_at >= NOT_VISIBLE_AFTER


def _resolve_by_difference(
    draft: Draft, step: Step, attempt: Attempt, authentication: Authentication, signal: AuthenticationsListed
) -> None:
    listing = signal.listing
    app_id = listing.app_id
    since = barred_since(authentication.id, step.baseline)
    draft.rely_on(
        Unclaimed(app_id=app_id, authentication_id=authentication.id, since=since),
        NoOtherPopup(app_id=app_id, step_id=step.id),
    )
    own = [popup for popup in signal.popups if popup.waiter == draft.waiter(step)]
    if len(own) == 1:
        draft.ask(ClosePopup(app_id=app_id, step_id=step.id, attempt_id=own[0].attempt_id))
    channels = (Channel.SUPPLIED, Channel.DIFFERENCE) if attempt.supplied else (Channel.DIFFERENCE,)
    evidence = Evidence(channels=channels, checked_at=listing.begun_at, attempt_id=attempt.id)
    trigger = Trigger.SUPPLIED if attempt.supplied else Trigger.DIFFERENCE_FOUND
    resolve(draft, _as_listed(step, listing), authentication, evidence, trigger=trigger)


def _wait_on(draft: Draft, step: Step, attempt: Attempt, signal: AuthenticationsListed) -> None:
    """Nothing new: say so when the user has finished, give up when the deadline was before this listing."""
    listing = signal.listing
    finished_at = attempt.first(HintKind.FINISHED)
    looked = [] if finished_at is None else [begun_at for begun_at in signal.checks if begun_at >= finished_at]
    is_comparable = step.baseline is not None and step.baseline.account == listing.account
    if len(looked) >= LISTINGS_UNTIL_NOTHING_NEW and listing.healthy:
        _need_auth(draft, step, Trigger.NOTHING_NEW, candidates=listing.healthy)
    elif listing.begun_at > attempt.deadline:
        _need_auth(draft, step, Trigger.TIMED_OUT, candidates=() if is_comparable else listing.healthy)


def _need_auth(draft: Draft, step: Step, trigger: Trigger, *, candidates: tuple[Authentication, ...]) -> None:
    end = AttemptEnd.TIMED_OUT if trigger is Trigger.TIMED_OUT else AttemptEnd.OFFERED
    step = draft.end_live_attempts(step, end)
    step = draft.move(replace(step, authentication=None, evidence=None, candidates=candidates), trigger)
    draft.tell(EventName.AUTH_NEEDED, step, reason=step.reason, candidates=[found.id for found in candidates])


def resolve(draft: Draft, step: Step, authentication: Authentication, evidence: Evidence, *, trigger: Trigger) -> None:
    """Settle the step, whoever spoke for it. After a difference alone, a pending message may still win."""
    if step.app is None:
        raise draft.illegal(step, trigger)
    app_id, by_difference = step.app.id, evidence.is_difference_alone
    if not by_difference:
        claim = draft.claims.get(authentication.id)
        since = claim.at + 1 if claim else 0
        draft.rely_on(Unclaimed(app_id=app_id, authentication_id=authentication.id, since=since))
        step = _settle_messages(step)
    draft.claim(step, authentication.id, app_id=app_id, by_difference=by_difference)
    step = replace(
        draft.end_live_attempts(step, AttemptEnd.SETTLED),
        authentication=authentication,
        evidence=evidence,
        candidates=(),
    )
    step = draft.move(step, trigger)
    draft.tell(
        EventName.AUTH_RESOLVED,
        step,
        authentication_id=authentication.id,
        evidence=[channel.value for channel in evidence.channels],
    )


def _settle_messages(step: Step) -> Step:
    """Wait for no message any more, and know them all when they come again."""
    attempts = (
        replace(
            attempt,
            messages=(),
            settled=(*attempt.settled, *(message.authentication_id for message in attempt.messages))[
                -MOST_MESSAGES_KEPT:
            ],
        )
        for attempt in step.attempts
    )
    return replace(step, attempts=tuple(attempts))
