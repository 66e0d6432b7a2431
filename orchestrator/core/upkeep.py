"""Keeping a credential usable: who may refresh its tokens, and what each answer means.

A refresh token is dead as soon as Zapier has taken it, and its answer brings the only other one. So a refresh is one
holder's at a time, who writes the intent first. Who finds an intent whose time is over knows that its holder died or
never learnt what became of it: the token is used once more. Refused then, it was taken the first time and its answer is
lost: that is said, and the user signs in again. An answer that comes late after all is taken, whatever was said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from orchestrator.core.ports.credentials import Credential, CredentialState, Kept, Refresh, SignInReason
from orchestrator.core.ports.tokens import Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis

LEASE: Final[Millis] = 30 * SECOND
"""How long an intent keeps others away."""

LONGEST_CALL: Final[Millis] = 10 * SECOND
"""How long Zapier may take to answer: under half the lease, so that a holder that lives has ended before it."""

AHEAD: Final[Millis] = MINUTE
"""So long before its end a token is refreshed by whoever needs it."""

MOST_TRIES: Final = 2
"""How often a refresh token is used at most."""

PAUSE: Final[Millis] = 10 * SECOND
"""How long after an answer that tells nothing, or a refusal that names no time, nobody tries again."""


class RefreshEnd(StrEnum):
    """What came of using a refresh token.

    `superseded`: others had put tokens meanwhile. `refused` and `outcome_lost`: the user has to sign in again.
    `put_off`: nothing was used up. `unanswered`: it is tried once more. `client_refused`: Zapier knows no such client.
    """

    REFRESHED = "refreshed"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    OUTCOME_LOST = "outcome_lost"
    PUT_OFF = "put_off"
    UNANSWERED = "unanswered"
    CLIENT_REFUSED = "client_refused"


@dataclass(frozen=True, kw_only=True)
class UseNewer:
    """There are other tokens by now."""

    credential: Credential


@dataclass(frozen=True, kw_only=True)
class Await:
    """Somebody is at it until then, unless they died."""

    until: Instant


@dataclass(frozen=True, kw_only=True)
class PutOff:
    """Zapier refused for now: nobody asks before then."""

    until: Instant


@dataclass(frozen=True, kw_only=True)
class Begin:
    """The refresh token may be used. It is used the first time, or once more."""

    refresh_token: str
    tries: int


@dataclass(frozen=True, kw_only=True)
class NeedSignIn:
    """Only a sign-in helps, which is to be written."""

    reason: SignInReason


@dataclass(frozen=True, kw_only=True)
class SignInNeeded:
    """Only a sign-in helps, as is known already."""


Next: TypeAlias = UseNewer | Await | PutOff | Begin | NeedSignIn | SignInNeeded


def what_next(kept: Kept, *, generation: int, now: Instant) -> Next:
    """Say what whoever has no use for the tokens of `generation` does: Zapier refused them, or they are about to end.

    Tokens of an older generation than those that are kept are no reason for anything but reading again.
    """
    if kept.credential.state is not CredentialState.ACTIVE:
        return SignInNeeded()
    if kept.credential.generation > generation:
        return UseNewer(credential=kept.credential)
    if kept.refresh_token is None:
        return NeedSignIn(reason=SignInReason.TOKEN_REFUSED)
    refresh = kept.refresh
    if refresh is None:
        return Begin(refresh_token=kept.refresh_token, tries=1)
    if now < refresh.until:
        return Await(until=refresh.until) if refresh.tries else PutOff(until=refresh.until)
    if refresh.tries >= MOST_TRIES:
        return NeedSignIn(reason=SignInReason.REFRESH_OUTCOME_LOST)
    return Begin(refresh_token=kept.refresh_token, tries=refresh.tries + 1)


def intent(begin: Begin, *, refresh_id: str, now: Instant) -> Refresh:
    """Return the intent to be written before the refresh token is used."""
    return Refresh(id=refresh_id, tries=begin.tries, until=now + LEASE)


def after(
    answer: Tokens | TokensOver | TokensRefused | TokensUnknown, refresh: Refresh, *, now: Instant
) -> Tokens | NeedSignIn | Refresh:
    """Say what is to be written after an answer: the tokens, that a sign-in is needed, or the intent as it is then.

    A refusal that used nothing up leaves the tries as they were. After an answer that tells nothing the token is used
    once more, after a while, but not a third time.
    """
    match answer:
        case Tokens():
            return answer
        case TokensOver():
            return NeedSignIn(reason=_reason(refresh))
        case TokensRefused(retry_after=wait):
            return Refresh(id=refresh.id, tries=refresh.tries - 1, until=now + (PAUSE if wait is None else wait))
        case TokensUnknown():
            if refresh.tries >= MOST_TRIES:
                return NeedSignIn(reason=SignInReason.REFRESH_OUTCOME_LOST)
            return Refresh(id=refresh.id, tries=refresh.tries, until=now + PAUSE)
        case _:
            assert_never(answer)


def _reason(refresh: Refresh) -> SignInReason:
    """Say why Zapier knows no such token: a first use tells of itself, a second one of the first."""
    return SignInReason.REFRESH_REFUSED if refresh.tries == 1 else SignInReason.REFRESH_OUTCOME_LOST


def is_ending(credential: Credential, *, now: Instant) -> bool:
    """Tell whether a token is about to end, or has ended; of one whose end nobody knows, Zapier tells."""
    return credential.expires_at is not None and credential.expires_at - now <= AHEAD


def end_of(
    answer: Tokens | TokensOver | TokensRefused | TokensUnknown, left: Tokens | NeedSignIn | Refresh, *, is_kept: bool
) -> RefreshEnd:
    """Name what came of it: of the answer, of what was `left` to be written, and of whether tokens were kept."""
    match left:
        case Tokens():
            return RefreshEnd.REFRESHED if is_kept else RefreshEnd.SUPERSEDED
        case NeedSignIn(reason=SignInReason.REFRESH_OUTCOME_LOST):
            return RefreshEnd.OUTCOME_LOST
        case NeedSignIn():
            return RefreshEnd.REFUSED
        case Refresh():
            if isinstance(answer, TokensUnknown):
                return RefreshEnd.UNANSWERED
            is_client_wrong = isinstance(answer, TokensRefused) and answer.is_client_wrong
            return RefreshEnd.CLIENT_REFUSED if is_client_wrong else RefreshEnd.PUT_OFF
        case _:
            assert_never(left)
