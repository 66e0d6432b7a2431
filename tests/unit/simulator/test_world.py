"""What the simulated service remembers."""

from pathlib import Path

import pytest

from simulator.apps import App
from simulator.journal import JournalError
from simulator.switches import Actions
from simulator.world import COLLECTED, COLLECTED_APP, COLLECTOR, World, ZapStep

NOW = 1_790_000_000_000


@pytest.fixture(name="world")
def world_in_memory() -> World:
    """A seeded world that is kept nowhere."""
    return World.open(None)


def app_of(world: World, title: str = "Slack") -> App:
    """Return an app of the catalogue."""
    app = world.catalogue.find(title)
    assert app is not None
    return app


def step(world: World) -> ZapStep:
    """Return a step of a Zap."""
    app = app_of(world, "Webhooks")
    return ZapStep(
        app=app.id, key="post", action_type="WRITE", action="core:x", authentication=None, alias=None, inputs={"a": 1}
    )


def test_the_seeded_collector_has_more_connections_than_fit_on_a_page(world: World) -> None:
    """35 for one app, all different."""
    found = world.listed(COLLECTOR, app_of(world, COLLECTED_APP).id, now=NOW)

    assert COLLECTED == len(found) == len({one.id for one in found}) == len({one.title for one in found})


def test_worlds_of_one_seed_are_alike(world: World) -> None:
    """The same story gives the same ids; another seed gives others."""
    slack = app_of(world)
    same, other = World(), World(seed="other")
    first, again, else_ = (each.connect("ann", slack)[0] for each in (world, same, other))

    assert first == again
    assert first.id != else_.id


def test_a_connection_is_listed_for_its_owner_and_app(world: World) -> None:
    """And for nobody else."""
    slack = app_of(world)
    made = world.connect("ann", slack)

    assert made == world.listed("ann", slack.id, now=NOW)
    assert world.listed("bob", slack.id, now=NOW) == []
    assert world.listed("ann", app_of(world, "Gmail").id, now=NOW) == []


def test_connections_are_named_after_app_and_account(world: World) -> None:
    """As Zapier does it, each with an account of its own."""
    made = world.connect("ann", app_of(world), count=2)

    assert [one.title for one in made] == ["Slack (ann@example.test)", "Slack (ann.2@example.test)"]


def test_a_late_connection_is_listed_when_its_time_comes(world: World) -> None:
    """Not a millisecond sooner."""
    slack = app_of(world)
    made = world.connect("ann", slack, listed_at=NOW + 5)

    assert world.listed("ann", slack.id, now=NOW + 4) == []
    assert made == world.listed("ann", slack.id, now=NOW + 5)


def test_an_action_id_is_new_each_time_and_goes_stale(world: World) -> None:
    """`key` is what lasts."""
    action, policy = app_of(world).actions[0], Actions(valid_ms=1_000)
    first, second = (world.action_id(action, now=NOW, actions=policy) for _ in range(2))
    found = world.action(first, now=NOW + 1_000, actions=policy)

    assert first != second
    assert found is not None
    assert (app_of(world), action) == (found.app, found.action)
    assert world.action(first, now=NOW + 1_001, actions=policy) is None


def test_an_action_id_may_be_the_same_for_a_while(world: World) -> None:
    """By the switch `stable_ms`."""
    action, policy = app_of(world).actions[0], Actions(stable_ms=10_000, valid_ms=0)
    start = NOW - NOW % 10_000
    ids = [world.action_id(action, now=start + offset, actions=policy) for offset in (0, 9_999, 10_000)]

    assert ids[0] == ids[1] != ids[2]
    assert world.action(ids[0], now=start + 9_999, actions=policy) is not None


def test_an_action_id_of_another_catalogue_is_unknown(world: World) -> None:
    """An id that outlived its action does no harm."""
    known = world.action("core:made-up", now=NOW, actions=Actions())

    assert known is None


def test_a_reset_gives_the_seeded_world_again(world: World) -> None:
    """With the same ids to come."""
    slack = app_of(world)
    first = world.connect("ann", slack)
    world.create_zap("ann", title="t", steps=[step(world)], now=NOW)
    world.revoke("sim-ann")
    world.reset()

    assert (world.listed("ann", slack.id, now=NOW), list(world.zaps()), world.is_revoked("sim-ann")) == ([], [], False)
    assert first == world.connect("ann", slack)


def everything(world: World) -> tuple[object, ...]:
    """Return all that a world remembers."""
    return list(world.authentications()), list(world.zaps()), world.is_revoked("sim-ann")


def test_a_world_is_found_again_as_it_was_left(tmp_path: Path) -> None:
    """Nothing has to be saved: what was not closed is complete as well."""
    world = World.open(tmp_path)
    slack = app_of(world)
    first, second, third = world.connect("ann", slack, count=3)
    world.amend(first, title="Work", is_expired=True)
    world.disconnect(second.id)
    world.create_zap("ann", title="t", steps=[step(world)], now=NOW)
    world.revoke("sim-ann")
    before = everything(world)
    world.close()
    again = World.open(tmp_path)

    assert before == everything(again)
    assert ["Work", third.title] == [one.title for one in again.listed("ann", slack.id, now=NOW)]


def test_an_id_is_never_given_twice_even_after_a_restart(tmp_path: Path) -> None:
    """Not when the newest connection was deleted and forgotten."""
    world = World.open(tmp_path)
    gone = world.connect("ann", app_of(world))[0]
    world.disconnect(gone.id)
    world.close()
    World.open(tmp_path).close()
    made = World.open(tmp_path).connect("ann", app_of(world))[0]

    assert made.id != gone.id


def test_a_change_that_was_torn_off_is_forgotten_as_a_whole(tmp_path: Path) -> None:
    """Ten connections made at once are there, or none is."""
    world = World.open(tmp_path)
    world.connect("ann", app_of(world))
    before = everything(world)
    world.connect("ann", app_of(world), count=10)
    world.close()
    journal = tmp_path / "world.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])

    assert before == everything(World.open(tmp_path))


def test_a_long_journal_is_made_short(tmp_path: Path) -> None:
    """It does not grow with the number of changes for ever."""
    world = World.open(tmp_path)
    for _ in range(6_000):
        world.revoke("sim-ann")
        world.revoke("sim-ann", revoked=False)
    world.close()

    assert (tmp_path / "world.jsonl").read_bytes().count(b"\n") < 3_000
    assert not World.open(tmp_path).is_revoked("sim-ann")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nonsense\n", "cannot be read"),
        (b'{"format":99,"seed":"zapwright","serial":1}\n', "has format 99"),
        (b'{"format":1,"seed":"other","serial":1}\n', "made with the seed 'other'"),
        (b'{"format":1,"seed":"zapwright","serial":1}\n{"put":[{"kind":"spaceship"}]}\n', "cannot be read"),
    ],
)
def test_a_directory_that_holds_something_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """It is left as it is, and free for the simulator that can read it."""
    (tmp_path / "world.jsonl").write_bytes(content)
    for _ in range(2):
        with pytest.raises(JournalError, match=message):
            World.open(tmp_path)

    assert content == (tmp_path / "world.jsonl").read_bytes()


def test_a_revoked_token_can_live_again(world: World) -> None:
    """One token, not its account."""
    world.revoke("sim-ann+phone")

    assert world.is_revoked("sim-ann+phone")
    assert not world.is_revoked("sim-ann")
    world.revoke("sim-ann+phone", revoked=False)
    assert not world.is_revoked("sim-ann+phone")


def test_deleting_what_is_not_there_changes_nothing(world: World) -> None:
    """And says so."""
    assert world.disconnect("nobody") is False
