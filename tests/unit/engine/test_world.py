"""A deployment lived in: whatever fails and whoever dies, what a user connected reaches that user's step alone."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.core.session import MINUTE, SECOND, HintKind, StepState
from tests.support.lives import Journey, Life, Login, Plan, World

USERS = st.sampled_from(["ann", "bob", "eve"])
MOMENTS = st.integers(0, 8 * 60).map(lambda second: second * SECOND)
LOGINS = st.builds(
    Login,
    app_id=st.sampled_from(["slack", "slack", "gmail"]),
    starts=st.sampled_from([0, 2 * SECOND, 40 * SECOND, 4 * MINUTE]),
    finishes=st.sampled_from([None, 10 * SECOND, 31 * SECOND, 59 * SECOND, 3 * MINUTE]),
    lag=st.sampled_from([0, 0, 0, 900, 8 * SECOND]),
    message=st.sampled_from([None, None, 0, 200, 45 * SECOND]),
    says=st.lists(st.sampled_from([HintKind.FOCUS, HintKind.FINISHED, HintKind.CLOSED]), max_size=3).map(tuple),
    false_close=st.booleans(),
    cancels=st.sampled_from([False, False, False, True]),
    gone=st.sampled_from([False, False, True]),
)
JOURNEYS = st.builds(
    Journey,
    user=USERS,
    logins=st.lists(LOGINS, min_size=1, max_size=3).map(tuple),
    starts=st.sampled_from([0, 1 * SECOND, 70 * SECOND]),
)
DEATHS = st.lists(st.integers(0, 90), max_size=12).map(tuple)
PLANS = st.builds(
    Plan,
    journeys=st.lists(JOURNEYS, min_size=1, max_size=4).map(tuple),
    shared=st.sampled_from([False, False, False, True]),
    signed_out=st.lists(st.tuples(USERS, MOMENTS, MOMENTS.map(lambda at: at // 2 + SECOND)), max_size=2).map(tuple),
    failures=st.lists(st.tuples(MOMENTS, st.booleans()), max_size=6).map(tuple),
    truncated=st.none() | st.tuples(MOMENTS, MOMENTS.map(lambda at: at // 4 + SECOND)),
    worker_deaths=DEATHS,
    api_deaths=DEATHS,
    loses_answers=st.booleans(),
    limit=st.sampled_from([60, 60, 14]),
)


async def fate(world: World, life: Life) -> str:
    """Say in one word what became of a login that ended."""
    step = await world.step(life)
    if step.authentication is not None and step.authentication.id == life.own:
        return "resolved"
    if step.state is StepState.NEEDS_AUTH and any(shown.id == life.own for shown in step.candidates):
        return "offered"
    return f"left in {step.state}"


async def lived(plan: Plan) -> World:
    """Let a plan happen, and see that nobody was ever given another's, and that Zapier's limits were kept."""
    world = World(plan)
    await world.live()
    for life in world.lives:
        assert set(await world.resolutions(life)) <= {life.own}, life
    assert world.scene.zapier.busiest_minute <= plan.limit
    return world


def is_alone(world: World, life: Life, *, may_differ: bool) -> bool:
    """Say whether nothing but this login explains what it made, so that a difference suffices."""
    login = life.login
    is_clear = not any(world.rivals(life)) and not (world.plan.shared and len(world.lives) > 1)
    return is_clear and may_differ and not login.cancels and login.lag == 0


async def assert_nothing_is_lost(plan: Plan) -> World:
    """Every login that ended is resolved, or shown to a user who left.

    One that a message names, or that alone explains what is new, is resolved without its user.
    """
    world = await lived(plan)
    for life in world.lives:
        if not life.has_ended:
            continue
        attempt = (await world.step(life)).attempt(life.attempt_id)
        assert attempt is not None
        fates = {"resolved"}
        if life.login.gone and life.login.message is None:
            if not is_alone(world, life, may_differ=not attempt.offers_only):
                fates.add("offered")
            if attempt.offers_only:
                fates.add("left in needs-auth")
        assert await fate(world, life) in fates, life
    return world


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(PLANS)
@example(Plan(journeys=(Journey(user="ann", logins=(Login(app_id="slack"),)),)))
@example(
    Plan(
        journeys=(
            Journey(user="ann", logins=(Login(app_id="slack"), Login(app_id="slack", starts=20 * SECOND))),
            Journey(user="ann", logins=(Login(app_id="slack", message=0),), starts=SECOND),
        ),
        worker_deaths=(5, 17, 29, 31),
        loses_answers=True,
    )
)
def test_whatever_fails_nothing_is_lost_and_nothing_is_wrong(plan: Plan) -> None:
    """Messages lost and late, users who leave, tokens refused and renewed, Zapier failing, processes killed."""
    asyncio.run(assert_nothing_is_lost(plan))
