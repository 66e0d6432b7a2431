"""One simulated service, without HTTP."""

import pytest

from simulator.apps import App
from simulator.switches import SwitchError
from simulator.upstream import Counts, Upstream, system_clock
from simulator.world import World
from tests.support.simulation import SOME_TIME, ManualClock


@pytest.fixture(name="clock")
def manual_clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock()


@pytest.fixture(name="upstream")
def service(clock: ManualClock) -> Upstream:
    """A service in its seeded world."""
    return Upstream(World(), clock=clock, sleep=clock.sleep)


def app_of(upstream: Upstream, title: str = "Slack") -> App:
    """Return an app of the catalogue."""
    app = upstream.world.catalogue.find(title)
    assert app is not None
    return app


def test_a_finished_popup_is_listed_at_once(upstream: Upstream) -> None:
    """Unless a switch says otherwise."""
    slack = app_of(upstream)
    made = upstream.finish_popup("ann", slack)

    assert made == upstream.world.listed("ann", slack.id, now=SOME_TIME)


def test_a_finished_popup_may_be_listed_late_for_one_app(upstream: Upstream) -> None:
    """The switch counts for those connected while it is set."""
    slack, gmail = app_of(upstream), app_of(upstream, "Gmail")
    upstream.switch({"apps": {"Slack": {"listed_after_ms": 500}}})
    late, now = upstream.finish_popup("ann", slack)[0], upstream.finish_popup("ann", gmail)[0]

    assert (late.listed_at, now.listed_at) == (SOME_TIME + 500, 0)
    assert upstream.finish_popup("ann", slack, listed_after_ms=0)[0].listed_at == 0


def test_a_reconnection_keeps_the_id(upstream: Upstream) -> None:
    """It is the same connection, and healthy again."""
    slack = app_of(upstream)
    expired = upstream.finish_popup("ann", slack, is_expired=True)[0]
    repaired = upstream.reconnect(expired, slack)

    assert (expired.id, expired.title, False) == (repaired.id, repaired.title, repaired.is_expired)
    assert [repaired] == upstream.world.listed("ann", slack.id, now=SOME_TIME)


def test_a_reconnection_may_make_a_new_id(upstream: Upstream) -> None:
    """The old connection stays, and stays expired."""
    slack = app_of(upstream)
    expired = upstream.finish_popup("ann", slack, is_expired=True)[0]
    upstream.switch({"authentications": {"reconnect": "new_id"}})
    repaired = upstream.reconnect(expired, slack)

    assert repaired.id != expired.id
    assert (expired.title, False) == (repaired.title, repaired.is_expired)
    assert [expired, repaired] == upstream.world.listed("ann", slack.id, now=SOME_TIME)


def test_a_reset_goes_back_to_the_switches_of_the_start(clock: ManualClock) -> None:
    """Which need not be the defaults."""
    upstream = Upstream(World(), clock=clock, switches={"limits": {"ip": 7}})
    upstream.switch({"limits": {"ip": 8}, "rules": {"r": {"fault": "hang"}}})
    upstream.counts.add("other", "200")
    upstream.reset()

    assert (upstream.switches.limits.ip, upstream.switches.rules, upstream.counts.total) == (7, {}, 0)


def test_a_bad_patch_changes_nothing(upstream: Upstream) -> None:
    """Not even its good half."""
    before = upstream.switches
    with pytest.raises(SwitchError):
        upstream.switch({"limits": {"ip": 8, "partner": "many"}})

    assert before is upstream.switches


def test_counts_know_how_requests_ended() -> None:
    """By endpoint and outcome, and in sum."""
    counts = Counts()
    for outcome in ("200", "429", "429", "dropped"):
        counts.add("GET /v2/apps", outcome)
    counts.add("other", "404")

    assert (counts.total, counts.refused, counts.by_endpoint["GET /v2/apps"]["dropped"]) == (5, 2, 1)


def test_the_system_clock_tells_milliseconds() -> None:
    """Some time after this was written, and before the year 3000."""
    assert 1_700_000_000_000 < system_clock() < 32_503_680_000_000
