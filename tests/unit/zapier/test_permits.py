"""Where permits come from, how long is waited for them, and what becomes of each."""

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.ports.budget import Share
from orchestrator.zapier.permits import PermitSource
from tests.support.zapier import NOON, ManualClock, RecordingBudget, own_client_id, permit


@pytest.fixture
def budget() -> RecordingBudget:
    """A budget with room."""
    return RecordingBudget()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at noon."""
    return ManualClock()


@pytest.fixture
def source(budget: RecordingBudget, clock: ManualClock) -> PermitSource:
    """Permits for calls that may wait three seconds."""
    return PermitSource(budget=budget, clock=clock, egress="out", partner_of=own_client_id, patience=3_000)


async def test_given_permits_are_drawn_first(source: PermitSource, budget: RecordingBudget) -> None:
    """A check pays with what it was given, then takes more of its share."""
    async with source.purse("acme", given=[permit("a"), permit("b")], share=Share.STRONG) as purse:
        drawn = [(await purse.draw()).id for _ in range(3)]

    assert drawn == ["a", "b", "p1"]
    assert (budget.shares, budget.told) == ([Share.STRONG], [])


async def draw_and_fail(source: PermitSource) -> None:
    """Use one of three permits, then fail."""
    async with source.purse("acme", given=[permit("a"), permit("b"), permit("c")]) as purse:
        await purse.draw()
        raise KeyError


async def test_what_is_left_is_given_back(source: PermitSource, budget: RecordingBudget) -> None:
    """Also when the call fails."""
    with pytest.raises(KeyError):
        await draw_and_fail(source)

    assert budget.told == [("given back", "b", None), ("given back", "c", None)]


async def test_a_permit_that_is_too_old_is_not_used(
    source: PermitSource, budget: RecordingBudget, clock: ManualClock
) -> None:
    """It is given back, and another one taken; its last moment is still good."""
    given = [permit("late", start_by=NOON - 1), permit("just", start_by=NOON)]

    async with source.purse("acme", given=given, share=Share.STRONG) as purse:
        drawn = [(await purse.draw()).id, (await purse.draw()).id]

    assert drawn == ["just", "p1"]
    assert budget.told == [("given back", "late", None)]


async def test_a_check_does_not_wait(source: PermitSource, budget: RecordingBudget, clock: ManualClock) -> None:
    """It says when to ask again."""
    budget.refusals.append(NOON + 700)
    purse = source.purse("acme", share=Share.STRONG)

    with pytest.raises(UpstreamBusyError) as busy:
        await purse.draw()

    assert (busy.value.retry_after, clock.naps) == (700, [])


async def test_a_check_does_not_even_ask_twice(source: PermitSource, budget: RecordingBudget) -> None:
    """A budget that says "now" and gives nothing is not asked in a loop."""
    budget.refusals.append(NOON)
    purse = source.purse("acme", share=Share.STRONG)

    with pytest.raises(UpstreamBusyError):
        await purse.draw()

    assert budget.shares == [Share.STRONG]


async def test_a_call_that_a_user_waits_on_waits_too(
    source: PermitSource, budget: RecordingBudget, clock: ManualClock
) -> None:
    """Until the budget says to ask again, as often as fits into its patience."""
    budget.refusals.extend([NOON + 1_000, NOON + 2_500])

    drawn = await source.purse("acme").draw()

    assert (drawn.id, clock.naps, clock.now()) == ("p1", [1_000, 1_500], NOON + 2_500)
    assert budget.shares == [Share.INTERACTIVE] * 3


async def test_what_a_user_waits_on_is_bounded_by_what_one_user_may_hold(
    source: PermitSource, budget: RecordingBudget
) -> None:
    """Across the user's sessions and pages; the same name at another tenant is somebody else. Checks are nobody's."""
    for purse in (
        source.purse("acme", "ann"),
        source.purse("other", "ann"),
        source.purse("acme"),
        source.purse("acme", "ann", share=Share.STRONG),
    ):
        await purse.draw()

    assert budget.users == ["acme ann", "other ann", None, None]


async def test_patience_ends(source: PermitSource, budget: RecordingBudget, clock: ManualClock) -> None:
    """When the permit would come too late the answer comes at once, and says when."""
    budget.refusals.extend([NOON + 2_000, NOON + 42_000])

    with pytest.raises(UpstreamBusyError) as busy:
        await source.purse("acme").draw()

    assert (busy.value.retry_after, clock.naps) == (40_000, [2_000])


async def test_a_budget_that_names_no_time_is_asked_every_second(
    source: PermitSource, budget: RecordingBudget, clock: ManualClock
) -> None:
    """And one that names a time that is over, not faster than twenty times a second."""
    budget.refusals.extend([None, NOON])

    await source.purse("acme").draw()

    assert clock.naps == [1_000, 50]


async def test_without_a_budget_there_is_no_permit(source: PermitSource, budget: RecordingBudget) -> None:
    """It fails closed."""
    budget.is_away = True

    with pytest.raises(StoreUnavailableError):
        await source.purse("acme").draw()


async def test_a_budget_that_is_away_does_not_spoil_an_answer(source: PermitSource, budget: RecordingBudget) -> None:
    """What it is not told it holds for longer, which is safe."""
    async with source.purse("acme", given=[permit("a")]) as purse:
        drawn = await purse.draw()
        budget.is_away = True
        await purse.answered(drawn)
        await purse.not_used(drawn)
        await purse.cool_down(drawn, until=NOON + 1)

    assert (budget.told, budget.cooled) == ([], [])


async def test_a_purse_that_was_closed_gives_nothing_back_again(source: PermitSource, budget: RecordingBudget) -> None:
    """Each permit is given back once."""
    purse = source.purse("acme", given=[permit("a")])
    async with purse:
        pass
    async with purse:
        pass

    assert budget.fate_of("a") == ["given back"]
