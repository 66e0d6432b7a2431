"""Who is signed in, and for how long."""

from dashboard.visits import LONGEST_S, MOST, Scope, Visits
from tests.support.operators import Seconds

SEES_ALL = Scope(role="operator", tenants=None)
IDLE_S = 600.0


def _visits(clock: Seconds) -> Visits:
    return Visits(idle_s=IDLE_S, clock=clock)


def test_a_name_opens_what_it_was_given_for_and_no_other_does() -> None:
    """The key itself is in no name."""
    visits = _visits(Seconds())
    name = visits.begin("the-key", SEES_ALL)
    found = visits.find(name)

    assert found is not None
    assert found.key == "the-key"
    assert "the-key" not in repr(found)
    assert "the-key" not in name
    assert visits.find(name + "x") is None
    assert visits.find(None) is None


def test_who_does_nothing_is_signed_out_and_pages_that_refresh_do_nothing() -> None:
    """Only what a person does counts."""
    clock = Seconds()
    visits = _visits(clock)
    name = visits.begin("k", SEES_ALL)
    clock.now += IDLE_S
    assert visits.find(name, touch=True) is not None
    clock.now += IDLE_S
    visit = visits.find(name)
    assert visit is not None
    clock.now += 1

    assert not visits.is_live(visit)
    assert visits.find(name, touch=True) is None


def test_nobody_stays_for_longer_than_a_shift() -> None:
    """However busy they are."""
    clock = Seconds()
    visits = _visits(clock)
    name = visits.begin("k", SEES_ALL)
    while clock.now <= LONGEST_S:
        assert visits.find(name, touch=True) is not None
        clock.now += IDLE_S

    assert visits.find(name) is None


def test_signing_out_ends_what_is_open() -> None:
    """A page that still holds the visit sees that it has ended."""
    visits = _visits(Seconds())
    name = visits.begin("k", SEES_ALL)
    visit = visits.find(name)
    visits.end(name)

    assert visit is not None
    assert visit.ended
    assert visits.find(name) is None


def test_visits_are_bounded_and_the_longest_idle_goes_first() -> None:
    """Whoever has a key cannot fill the memory by signing in."""
    clock = Seconds()
    visits = _visits(clock)
    names = []
    for _ in range(MOST):
        clock.now += 0.01
        names.append(visits.begin("k", SEES_ALL))
    visits.find(names[0], touch=True)
    visits.begin("k", SEES_ALL)

    assert visits.find(names[0]) is not None
    assert visits.find(names[1]) is None


def test_only_operators_may_act() -> None:
    """A viewer looks."""
    visits = _visits(Seconds())
    may = {}
    for role in ("viewer", "operator"):
        visit = visits.find(visits.begin("k", Scope(role=role, tenants=None)))
        may[role] = visit is not None and visit.may_act

    assert may == {"viewer": False, "operator": True}
