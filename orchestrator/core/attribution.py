"""Whose is a new authentication? Three answers: nobody's yet, surely this step's, or only to be offered.

A difference of two listings resolves a step only where nothing else can explain it: one new id, claimed by nobody,
and no popup of another step that may still have made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.core.schedule import LISTING_LAG

if TYPE_CHECKING:
    from orchestrator.core.ports.watches import Claim, Popup, Waiter
    from orchestrator.core.session import Authentication, Baseline, Listing


@dataclass(frozen=True)
class NothingNew:
    """The listing shows nothing that the baseline lacks."""


@dataclass(frozen=True)
class Found:
    """This authentication can only be the step's."""

    authentication: Authentication


@dataclass(frozen=True)
class Offered:
    """These are new; which of them is the step's, only its user or a message can say."""

    candidates: tuple[Authentication, ...]


Verdict: TypeAlias = NothingNew | Found | Offered


def news(baseline: Baseline | None, listing: Listing, claims: Mapping[str, Claim]) -> tuple[Authentication, ...]:
    """Return what is new since the baseline: healthy now, and unlisted or expired then, and not claimed since.

    Without a baseline of the same Zapier account nothing can be called new.
    """
    if baseline is None or baseline.account != listing.account:
        return ()
    known = baseline.known
    return tuple(
        found for found in listing.healthy if known.get(found.id, True) and not is_claimed(found.id, baseline, claims)
    )


def is_claimed(authentication_id: str, baseline: Baseline | None, claims: Mapping[str, Claim]) -> bool:
    """Say whether a claim keeps the authentication from being new.

    A claim older than a baseline that knows the id does not: it was repaired since.
    """
    claim = claims.get(authentication_id)
    return claim is not None and claim.at >= barred_since(authentication_id, baseline)


def barred_since(authentication_id: str, baseline: Baseline | None) -> int:
    """Return the moment from which on a claim bars the authentication (0: any claim does).

    A baseline may show as expired what was repaired, and claimed, shortly before it was taken.
    """
    if baseline is None or authentication_id not in baseline.known:
        return 0
    return baseline.taken_at - LISTING_LAG


def attribute(
    new: tuple[Authentication, ...], *, waiter: Waiter, popups: tuple[Popup, ...], offers_only: bool
) -> Verdict:
    """Decide whose the new authentications are, seen from the step `waiter`.

    `popups` are all from which an authentication may still arise, the step's own included. `offers_only` when
    difference may not resolve at all: a Zapier profile that serves several users, or a baseline of doubtful age.
    """
    if not new:
        return NothingNew()
    others = any(popup.waiter != waiter for popup in popups)
    if len(new) == 1 and not others and not offers_only:
        return Found(new[0])
    return Offered(new)
