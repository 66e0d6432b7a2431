"""What a page is drawn from, as values: what is known of each of its things, and who looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dashboard.visits import Told, Visit

Json: TypeAlias = dict[str, Any]

NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something could not be read or done: in words, with what helps to find out more.

    `status` None: there was no answer.
    """

    says: str
    hint: str = ""
    status: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of one thing: `data` as it was `at` (milliseconds), and what went wrong when it was last asked for.

    Neither: it was not answered yet.
    """

    data: Json | None = None
    at: int = 0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one person sees on one page. `query` is of the page's address, `forms` names its forms' next answers."""

    seen: Mapping[str, Seen]
    visit: Visit
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    told: Told | None = None
    wish: str = ""

    def data(self, name: str) -> Json | None:
        """Return what is known of a thing."""
        return self.seen[name].data

    def given(self, path: str, name: str) -> str:
        """Return what a field of the form that goes there was filled with, when that was not done."""
        return self.told.form.get(name, "") if self.told is not None and self.told.path == path else ""

    @property
    def now(self) -> int:
        """The API's time at its last answer."""
        return max((one.at for one in self.seen.values()), default=0)

    @property
    def stands_at(self) -> int:
        """The API's time from which on something of the page could not be read anew; without trouble, `now`."""
        return min((one.at for one in self.seen.values() if one.trouble is not None), default=self.now)

    @property
    def trouble(self) -> Trouble | None:
        """What went wrong last, if something did."""
        return next((one.trouble for one in self.seen.values() if one.trouble is not None), None)
