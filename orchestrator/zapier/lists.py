"""Lists that come in pages: which next links are followed, and when a list can be called complete."""

from __future__ import annotations

from typing import TypeVar

import httpx

from orchestrator.core.session import Authentication, Instant, Listing
from orchestrator.zapier.address import ApiAddress, offset_of
from orchestrator.zapier.wire import AuthenticationRow, Page

Row = TypeVar("Row")


class Trail:
    """The way through one list, by Zapier's next links alone.

    `here` is the page to read now, None at the end; `flaw` says why the end is not the list's own: a link that leads
    elsewhere, back or nowhere, or more pages than are followed.
    """

    def __init__(self, first: httpx.URL, *, address: ApiAddress, max_pages: int) -> None:
        self.here: httpx.URL | None = first
        self.pages = 0
        self.flaw: str | None = None
        self.max_pages = max_pages
        self._address = address
        self._seen = {str(first)}

    def turn(self, page: Page[Row]) -> None:
        """Leave the page that was read for the next one."""
        here, self.here = self.here, None
        self.pages += 1
        if here is None or page.next_link is None:
            return
        following = self._address.own(page.next_link, seen_on=here)
        if following is None:
            self.flaw = "next link to another place"
        elif not page.rows or not self._advances(here, following):
            self.flaw = "next link that does not advance"
        elif self.pages >= self.max_pages:
            self.flaw = "more pages than are followed"
        else:
            self._seen.add(str(following))
            self.here = following

    def _advances(self, here: httpx.URL, following: httpx.URL) -> bool:
        offset = offset_of(following)
        return str(following) not in self._seen and (offset is None or offset > (offset_of(here) or 0))


class ListingDraft:
    """The authentications of one (user, app), gathered page by page.

    The listing is complete only where Zapier's own numbers prove it: no page broke the trail, every page names the same
    count, and that is the number of distinct ids. Of a list without counts (Zapier's guides abridge them) a single page
    is complete if its next link is an explicit null; silence on both, or several pages without counts, proves nothing.
    An id that comes twice, and a row of another app, show that pages shifted or that the question was misunderstood.
    One shift nothing shows: where one is deleted and another added between two pages, the count stays, and a third is
    missed.
    """

    def __init__(self, app_id: str, trail: Trail) -> None:
        self._app_id = app_id
        self._trail = trail
        self._begun_at: Instant | None = None
        self._found: dict[str, Authentication] = {}
        self._counts: list[int | None] = []
        self._is_flawed = False
        self._ended = False

    def add(self, page: Page[AuthenticationRow], *, begun_at: Instant) -> None:
        """Take in the page that was read from `begun_at` on, and turn to the next one.

        Rows of other apps and repeated ids are left out, and make the listing incomplete.
        """
        self._begun_at = begun_at if self._begun_at is None else self._begun_at
        self._counts.append(page.count)
        self._ended = page.is_last
        for row in page.rows:
            found = row.authentication
            if row.app_id != self._app_id or found.id in self._found:
                self._is_flawed = True
            else:
                self._found[found.id] = found
        self._trail.turn(page)

    @property
    def pages(self) -> int:
        """How many pages there are to follow, as far as is known: those read and, by Zapier's count, the rest."""
        read, rows = self._trail.pages, len(self._found)
        if self._trail.here is None or not rows:
            return max(read, 1)
        counted = -(-(self._counts[-1] or 0) * read // rows)
        return min(max(read + 1, counted), self._trail.max_pages)

    def listing(self, *, account: str) -> Listing:
        """Return what was gathered so far; it began with the first page."""
        return Listing(
            app_id=self._app_id,
            authentications=tuple(self._found.values()),
            begun_at=self._begun_at or 0,
            account=account,
            complete=self._trail.flaw is None and not self._is_flawed and self._is_proven,
            pages=self._trail.pages,
        )

    @property
    def _is_proven(self) -> bool:
        is_counted = set(self._counts) == {len(self._found)}
        return is_counted or (self._counts == [None] and self._ended)
