"""When a list that came in pages is complete, and where its links are no longer followed."""

import httpx
import pytest

from orchestrator.core.session import Authentication, Listing
from orchestrator.zapier.address import ApiAddress
from orchestrator.zapier.lists import ListingDraft, Trail
from orchestrator.zapier.wire import AuthenticationRow, Page
from tests.support.zapier import APP, BASE, OTHER_APP

FIRST = f"{BASE}/v2/authentications?app={APP}&limit=100"


def trail(*, max_pages: int = 20) -> Trail:
    """Return the way through a list that was just begun."""
    return Trail(httpx.URL(FIRST), address=ApiAddress(BASE), max_pages=max_pages)


def sheet(
    *ids: str, count: int | None = None, following: str | None = None, is_last: bool = True
) -> Page[AuthenticationRow]:
    """Return a page with these ids, the last one unless another follows."""
    return Page(
        rows=tuple(row(one) for one in ids),
        next_link=following,
        is_last=is_last and following is None,
        count=count,
    )


def row(authentication_id: str, app_id: str = APP) -> AuthenticationRow:
    """Return one row of a page."""
    return AuthenticationRow(authentication=Authentication(id=authentication_id, title="T"), app_id=app_id)


def following(offset: int) -> str:
    """Return the link to the page that begins there."""
    return f"{FIRST}&offset={offset}"


def gathered(*pages: Page[AuthenticationRow], max_pages: int = 20) -> Listing:
    """Return the listing of these pages, as far as their links lead."""
    way = trail(max_pages=max_pages)
    draft = ListingDraft(APP, way)
    for begun_at, one in enumerate(pages, start=1):
        assert way.here is not None, f"page {begun_at} would not be read"
        draft.add(one, begun_at=begun_at)
    return draft.listing(account="z1")


@pytest.mark.parametrize(("count", "pages"), [(None, 3), (3, 3), (5, 3), (6, 3), (7, 4), (2**62, 20)])
def test_how_many_pages_there_are_is_known_before_the_last(count: int | None, pages: int) -> None:
    """By Zapier's count when it gives one, and at least the one that is about to be read."""
    way = trail()
    draft = ListingDraft(APP, way)
    before = draft.pages
    for offset in (0, 2):
        draft.add(sheet(f"a{offset}", f"b{offset}", count=count, following=following(offset + 2)), begun_at=1)

    assert (before, draft.pages) == (1, pages)


def test_a_list_of_several_pages_is_one_listing() -> None:
    """It began with its first page, and has every row once."""
    listing = gathered(
        sheet("a", "b", count=5, following=following(2)),
        sheet("c", "d", count=5, following=following(4)),
        sheet("e", count=5),
    )

    assert [found.id for found in listing.authentications] == ["a", "b", "c", "d", "e"]
    assert (listing.app_id, listing.begun_at, listing.account) == (APP, 1, "z1")
    assert (listing.complete, listing.pages) == (True, 3)


@pytest.mark.parametrize(
    "pages",
    [
        [sheet(count=0)],
        [sheet("a", count=1)],
        [sheet("a", count=1, is_last=False)],
        [sheet("a", count=None, is_last=True)],
        [sheet(count=None, is_last=True)],
        [sheet("a", count=1, following=following(1)), sheet(count=1)],
    ],
    ids=["empty", "one", "no links", "no meta, but a null", "empty, no meta, but a null", "a last page without rows"],
)
def test_a_listing_whose_numbers_agree_is_complete(pages: list[Page[AuthenticationRow]]) -> None:
    """Absence means something then."""
    assert gathered(*pages).complete is True


@pytest.mark.parametrize(
    "pages",
    [
        [sheet("a", count=None, is_last=False)],
        [sheet("a", count=2)],
        [sheet("a", "b", count=1)],
        [sheet("a", "a", count=2)],
        [sheet("a", "a", count=1)],
        [sheet("a", count=2, following=following(1)), sheet("b", count=3)],
        [sheet("a", count=3, following=following(1)), sheet("b", count=2)],
        [sheet("a", count=2, following=following(1)), sheet("a", count=2)],
        [sheet("a", count=None, following=following(1)), sheet("b", count=None)],
        [sheet("a", count=2, following=following(1)), sheet("b", count=None)],
        [sheet("a", count=None, following=following(1)), sheet("b", count=2)],
    ],
    ids=[
        "neither meta nor links",
        "fewer than counted",
        "more than counted",
        "twice on a page",
        "twice, and counted once",
        "the count grew",
        "the count shrank",
        "the same on two pages",
        "pages without counts",
        "the second page without a count",
        "the first page without a count",
    ],
)
def test_a_listing_whose_numbers_do_not_prove_it_is_incomplete(pages: list[Page[AuthenticationRow]]) -> None:
    """What was seen was seen; what was not may exist all the same."""
    assert gathered(*pages).complete is False


def test_a_row_of_another_app_is_left_out_and_spoils_the_listing() -> None:
    """Zapier answered another question, at least in part."""
    strange = Page(rows=(row("a"), row("b", OTHER_APP)), next_link=None, is_last=True, count=1)
    listing = gathered(strange)

    assert [found.id for found in listing.authentications] == ["a"]
    assert listing.complete is False


@pytest.mark.parametrize(
    ("link", "flaw"),
    [
        ("https://elsewhere.test/v2/authentications?offset=1", "next link to another place"),
        (FIRST, "next link that does not advance"),
        (following(0), "next link that does not advance"),
        ("", "next link that does not advance"),
    ],
)
def test_a_link_that_leads_elsewhere_or_back_ends_the_list(link: str, flaw: str) -> None:
    """The listing ends there, incomplete."""
    way = trail()
    way.turn(sheet("a", count=2, following=link))

    assert (way.here, way.pages, way.flaw) == (None, 1, flaw)


def test_a_smaller_offset_than_before_ends_the_list() -> None:
    """Pages only go forward."""
    way = trail()
    way.turn(sheet("a", following=following(20)))
    way.turn(sheet("b", following=following(10)))

    assert way.flaw == "next link that does not advance"


def test_an_empty_page_that_is_not_the_last_ends_the_list() -> None:
    """It could go on like that for ever."""
    way = trail()
    way.turn(sheet(following=following(10)))

    assert way.flaw == "next link that does not advance"


def test_a_list_without_offsets_is_followed_until_it_repeats() -> None:
    """Where links carry something else than offsets, a link that was seen ends the list."""
    way = trail()
    way.turn(sheet("a", following="?page=b"))
    way.turn(sheet("b", following="?page=c"))
    assert way.flaw is None

    way.turn(sheet("c", following="?page=b"))

    assert way.flaw == "next link that does not advance"


def test_a_list_is_followed_for_so_many_pages_only() -> None:
    """A listing that breaks off is incomplete, even where its numbers agree."""
    listing = gathered(
        sheet("a", count=2, following=following(1)), sheet("b", count=2, following=following(2)), max_pages=2
    )

    assert (listing.complete, listing.pages) == (False, 2)
