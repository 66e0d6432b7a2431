"""Whose a new authentication is."""

from orchestrator.core.attribution import Found, NothingNew, Offered, attribute, news
from orchestrator.core.ports.watches import Claim, Popup, Waiter
from orchestrator.core.schedule import LISTING_LAG
from orchestrator.core.session import Authentication, Baseline
from tests.support.stories import NOON, listing

ME, OTHER = Waiter(session_id="z", step_id="s1"), Waiter(session_id="z", step_id="s2")
MINE = Popup(waiter=ME, attempt_id="a1", until=NOON)
THEIRS = Popup(waiter=OTHER, attempt_id="a2", until=NOON)
NEW = Authentication(id="new", title="New")


def baseline(*known: str, expired: tuple[str, ...] = ()) -> Baseline:
    """Make a baseline."""
    made = Baseline.of(listing(*known, expired=expired, at=NOON))
    assert made is not None
    return made


def ids(found: tuple[Authentication, ...]) -> list[str]:
    """Name them."""
    return [one.id for one in found]


def test_what_the_baseline_lacks_is_new() -> None:
    """And what it has is not."""
    assert ids(news(baseline("old"), listing("old", "new", at=NOON + 1), {})) == ["new"]


def test_an_expired_one_that_was_repaired_is_new() -> None:
    """Connecting again may keep the id; one that is expired still is nobody's news."""
    shown = listing("mended", at=NOON + 1, expired=["broken"])

    assert ids(news(baseline(expired=("mended",)), shown, {})) == ["mended"]


def test_a_claimed_one_is_nobodys_news() -> None:
    """Difference gives an id at most once."""
    assert news(baseline(), listing("new", at=NOON + 1), {"new": Claim(at=NOON)}) == ()


def test_a_claim_from_before_the_baseline_does_not_bar_a_repair() -> None:
    """It expired after it was claimed."""
    shown = listing("mended", at=NOON + 1)

    assert ids(news(baseline(expired=("mended",)), shown, {"mended": Claim(at=NOON - LISTING_LAG - 1)})) == ["mended"]


def test_nothing_is_new_to_a_baseline_of_another_zapier_account() -> None:
    """Listings of two accounts are never compared."""
    assert news(baseline(), listing("new", at=NOON + 1, account="account-2"), {}) == ()
    assert news(None, listing("new", at=NOON + 1), {}) == ()


def test_one_new_authentication_and_no_other_popup_is_the_steps() -> None:
    """Nothing else explains it."""
    assert attribute((NEW,), waiter=ME, popups=(MINE,), offers_only=False) == Found(NEW)


def test_another_steps_popup_makes_it_an_offer() -> None:
    """It may have come from there."""
    assert attribute((NEW,), waiter=ME, popups=(MINE, THEIRS), offers_only=False) == Offered((NEW,))


def test_two_new_ones_or_a_doubtful_baseline_are_offers() -> None:
    """Never guessed."""
    two = (NEW, Authentication(id="newer", title="Newer"))

    assert attribute(two, waiter=ME, popups=(MINE,), offers_only=False) == Offered(two)
    assert attribute((NEW,), waiter=ME, popups=(MINE,), offers_only=True) == Offered((NEW,))
    assert attribute((), waiter=ME, popups=(MINE,), offers_only=True) == NothingNew()
