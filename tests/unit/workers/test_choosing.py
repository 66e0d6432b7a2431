"""Which watches get which permits: the pure part."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.ports.budget import Permit, Share
from orchestrator.core.ports.watches import DueWatch, Urgency
from orchestrator.core.session import WatchKey
from workers.choosing import NEVER, allot, askings, fair_order

TENANTS = ("acme", "birch", "cedar")


def a_watch(
    user: str, *, tenant: str = "acme", urgency: Urgency = Urgency.QUIET, due: int = 0, pages: int = 1
) -> DueWatch:
    """Return a due watch."""
    return DueWatch(key=WatchKey(tenant_id=tenant, user_id=user, app_id="app"), urgency=urgency, due=due, pages=pages)


def some_permits(number: int) -> tuple[Permit, ...]:
    """Return so many permits."""
    return tuple(Permit(id=str(one), egress="here", partner="p", start_by=0) for one in range(number))


def a_partner(tenant: str) -> str:
    """Two tenants share a partner."""
    return "shared" if tenant in {"acme", "birch"} else tenant


watches = st.lists(
    st.builds(
        a_watch,
        st.integers(0, 10**6).map(str),
        tenant=st.sampled_from(TENANTS),
        urgency=st.sampled_from(Urgency),
        due=st.integers(0, 50),
        pages=st.integers(1, 4),
    ),
    max_size=40,
    unique_by=lambda watch: watch.key,
)
turns = st.dictionaries(st.sampled_from(TENANTS), st.integers(0, 100))


@given(watches, turns)
def test_everybody_is_in_the_order_once(due: list[DueWatch], served: dict[str, int]) -> None:
    """Ordering loses and invents nothing."""
    ordered = fair_order(due, served=served)

    assert Counter(due) == Counter(ordered)


@given(watches, turns)
def test_nothing_goes_before_something_more_urgent(due: list[DueWatch], served: dict[str, int]) -> None:
    """Urgency comes before fairness."""
    ordered = fair_order(due, served=served)

    assert sorted(watch.urgency for watch in ordered) == [watch.urgency for watch in ordered]


@given(watches, turns, st.sampled_from(Urgency), st.integers(0, 40))
def test_tenants_take_turns(due: list[DueWatch], served: dict[str, int], urgency: Urgency, cut: int) -> None:
    """Wherever the permits end, no tenant was served twice more than another that still wants some."""
    same = [watch for watch in fair_order(due, served=served) if watch.urgency is urgency]
    got = Counter(watch.key.tenant_id for watch in same[:cut])
    waiting = {watch.key.tenant_id for watch in same[cut:]}

    assert all(got[tenant] >= most - 1 for tenant in waiting for most in got.values())


@given(watches, turns)
def test_a_tenants_longest_due_goes_first(due: list[DueWatch], served: dict[str, int]) -> None:
    """Within a tenant and an urgency, age decides."""
    ordered = fair_order(due, served=served)
    lines = [
        [watch.due for watch in ordered if (watch.key.tenant_id, watch.urgency) == (tenant, urgency)]
        for tenant in TENANTS
        for urgency in Urgency
    ]

    assert [sorted(line) for line in lines] == lines


def test_who_was_served_the_longest_ago_begins() -> None:
    """With room for one check at a time, tenants still take turns."""
    due = [a_watch("a", tenant="acme", due=1), a_watch("b", tenant="birch", due=2), a_watch("c", tenant="cedar", due=3)]

    ordered = fair_order(due, served={"acme": 7, "birch": 5})

    assert [watch.key.tenant_id for watch in ordered] == ["cedar", "birch", "acme"]
    assert min([7, 5]) > NEVER


@given(watches, turns)
def test_askings_keep_the_order(due: list[DueWatch], served: dict[str, int]) -> None:
    """Cut into askings and put together again, the order is the same, and neighbours differ."""
    ordered = fair_order(due, served=served)
    asked = list(askings(ordered, partner_of=a_partner))

    assert ordered == tuple(watch for asking in asked for watch in asking.watches)
    assert all((one.partner, one.share) != (two.partner, two.share) for one, two in pairwise(asked))


@given(watches)
def test_only_strong_signals_get_the_strong_share(due: list[DueWatch]) -> None:
    """Checks without news leave more of the budget to others."""
    shares = {
        (watch.urgency, asking.share)
        for asking in askings(fair_order(due, served={}), partner_of=a_partner)
        for watch in asking.watches
    }

    assert shares <= {(Urgency.STRONG, Share.STRONG), (Urgency.VISIBLE, Share.QUIET), (Urgency.QUIET, Share.QUIET)}


@given(watches, st.integers(0, 60))
def test_no_permit_is_given_twice_and_none_gets_lost(due: list[DueWatch], number: int) -> None:
    """What was taken is either given to one watch or left over."""
    permits = some_permits(number)
    allotment = allot(due, permits)

    assert permits == (*(permit for _, given in allotment.given for permit in given), *allotment.rest)
    assert all(len(given) == watch.pages for watch, given in allotment.given)


@given(watches, st.integers(0, 60))
def test_nobody_is_passed_over(due: list[DueWatch], number: int) -> None:
    """Permits go to the first in line; the first who goes without wants more than is left."""
    allotment = allot(due, some_permits(number))
    served = len(allotment.given)

    assert due[:served] == [watch for watch, _ in allotment.given]
    assert served == len(due) or due[served].pages > len(allotment.rest)
