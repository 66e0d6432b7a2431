"""What a decision asks for beside the new session, and what it relied on.

Effects and guards travel in the same commit as the session: all of it happens, or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from orchestrator.core.values import value

if TYPE_CHECKING:
    from orchestrator.core.session import Instant


@value
class Due:
    """When a watch wants its next check: at `strong` because of a signal, at `quiet` without news.

    `visible_until`: the page of somebody who waits is in front of them until then.
    """

    strong: Instant | None = None
    quiet: Instant | None = None
    visible_until: Instant = 0

    @property
    def soonest(self) -> Instant | None:
        """The earlier of the two."""
        return _sooner(self.strong, self.quiet)

    def __or__(self, other: Due) -> Due:
        """Combine two so that neither waits longer than alone."""
        return Due(
            strong=_sooner(self.strong, other.strong),
            quiet=_sooner(self.quiet, other.quiet),
            visible_until=max(self.visible_until, other.visible_until),
        )


def _sooner(one: Instant | None, other: Instant | None) -> Instant | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


@value
class Wait:
    """The step waits on its app's watch; the watch is due no later than `due`."""

    app_id: str
    step_id: str
    due: Due


@value
class StopWaiting:
    """The step waits on this app's watch no more."""

    app_id: str
    step_id: str


@value
class OpenPopup:
    """A popup is open from which an authentication may arise until `until`, whatever becomes of the step."""

    app_id: str
    step_id: str
    attempt_id: str
    until: Instant


@value
class ClosePopup:
    """That popup has yielded its authentication; nothing more can arise from it."""

    app_id: str
    step_id: str
    attempt_id: str


@value
class ClaimAuthentication:
    """The authentication was settled on the step; difference gives it to nobody any more."""

    app_id: str
    step_id: str
    authentication_id: str
    by_difference: bool


@value
class ReleaseClaim:
    """The step had the authentication by difference alone, and has it no more: it is unclaimed again."""

    app_id: str
    step_id: str
    authentication_id: str


@value
class EndCheck:
    """The check that holds the app's watch has read a complete listing, begun then, of so many pages; it is over.

    `due` is when the watch is due after everything that the commit writes; None: never. The commit relies on the
    check's lease, and on the version of the watch for which that was computed.
    """

    app_id: str
    begun_at: Instant
    pages: int
    due: Due | None


WatchEffect: TypeAlias = Wait | StopWaiting | OpenPopup | ClosePopup | ClaimAuthentication | ReleaseClaim
"""What a step asks for of its app's watch."""

Effect: TypeAlias = WatchEffect | EndCheck


@value
class Unclaimed:
    """Relies on: nobody has claimed this authentication since `since` (0: ever)."""

    app_id: str
    authentication_id: str
    since: Instant = 0


@value
class NoOtherPopup:
    """Relies on: no popup for this app, other than those of this step, may still yield an authentication."""

    app_id: str
    step_id: str


@value
class LeaseHeld:
    """Relies on: the watch is still leased under this token."""

    app_id: str
    token: str


@value
class Untouched:
    """Relies on: no commit has touched the watch since it had this version."""

    app_id: str
    version: int


Guard: TypeAlias = Unclaimed | NoOtherPopup | LeaseHeld | Untouched
