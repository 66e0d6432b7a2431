"""Popups under way: who goes through which app's pages, and how far they have come.

A connect link names nobody, as the real one does: whose authentication comes of it is for the browser's session at
Zapier to say. Where a browser says nothing, it is taken to be that of the account which last asked for the app by its
id, or listed its authentications for the first time (an API may share one look-up of the app among its users).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from simulator.apps import App
from simulator.ids import keyed_digest

_MOST: Final = 10_000


@dataclass(slots=True)
class Visit:
    """One passing through an app's pages, from the connect link on."""

    id: str
    app: App
    account: str
    origin: str  #: Zapier's
    login_origin: str  #: the app's
    outcome: Literal["allowed", "denied"] | None = None
    repairs: str | None = None  #: id of the authentication that was signed in with again
    authentication: str | None = None  #: id of what came of it, once the last page was reached


class Visits:
    """The popups of one simulator. The oldest are forgotten where there are very many."""

    def __init__(self, *, seed: str) -> None:
        self._seed = seed
        self.counts: Final = Counter(begun=0, allowed=0, denied=0)
        self._visits: dict[str, Visit] = {}
        self._asked: dict[str, str] = {}
        self._listed: set[tuple[str, str]] = set()

    def asked(self, app_id: str, account: str) -> None:
        """Take the next popup for the app to be this account's."""
        self._asked[app_id] = account

    def listed(self, app_id: str, account: str) -> None:
        """Do so where the account lists its authentications for the app for the first time."""
        if (app_id, account) not in self._listed:
            self._listed.add((app_id, account))
            self._asked[app_id] = account

    def expected(self, app_id: str) -> str | None:
        """Return the account whose popup the next one for the app is taken to be, if any asked."""
        return self._asked.get(app_id)

    def begin(self, app: App, account: str, *, origin: str, login_origin: str) -> Visit:
        """Begin a visit; its id follows from the seed and from how many there were."""
        self.counts["begun"] += 1
        digest = keyed_digest(f"visit:{self.counts['begun']}".encode(), seed=self._seed, size=8)
        visit = Visit(id=digest.hex(), app=app, account=account, origin=origin, login_origin=login_origin)
        self._visits[visit.id] = visit
        if len(self._visits) > _MOST:
            del self._visits[next(iter(self._visits))]
        return visit

    def find(self, visit_id: str) -> Visit | None:
        """Return the visit with this id, if it is not forgotten."""
        return self._visits.get(visit_id)

    def end(self, visit: Visit, outcome: Literal["allowed", "denied"], *, repairs: str | None = None) -> None:
        """Let the user allow or deny, once: the first answer stands."""
        if visit.outcome is None:
            self.counts[outcome] += 1
            visit.outcome, visit.repairs = outcome, repairs
