"""What decisions ask for: due times and how they combine."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.effects import Due

MOMENT = st.none() | st.integers(0, 1000)
DUES = st.builds(Due, strong=MOMENT, quiet=MOMENT, visible_until=st.integers(0, 1000))


@given(DUES, DUES, DUES)
def test_dues_combine_in_any_order(one: Due, two: Due, three: Due) -> None:
    """Combining is commutative, associative and idempotent, and nobody waits longer for it."""
    assert one | two == two | one
    assert (one | two) | three == one | (two | three)
    assert one | one == one


@given(DUES, DUES)
def test_the_soonest_of_two_is_the_sooner_of_both(one: Due, two: Due) -> None:
    """Neither waits longer than alone."""
    soonest = [due.soonest for due in (one, two) if due.soonest is not None]

    assert (one | two).soonest == min(soonest, default=None)
