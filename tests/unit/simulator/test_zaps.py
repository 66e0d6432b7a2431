"""What a request to create a Zap must hold."""

from typing import Any

import pytest

from simulator.answers import RefusedError
from simulator.apps import App
from simulator.switches import Actions
from simulator.world import World
from simulator.zaps import DraftReader
from tests.support.simulation import zap

NOW = 1_790_000_000_000
MISSING = object()


class Workshop:
    """A world in which `ann` builds Zaps."""

    def __init__(self) -> None:
        self.world = World()
        self.slack, self.gmail, self.webhooks = (self.app(title) for title in ("Slack", "Gmail", "Webhooks"))
        self.own = self.world.connect("ann", self.slack)[0].id
        self.expired = self.world.connect("ann", self.slack, is_expired=True)[0].id
        self.late = self.world.connect("ann", self.slack, listed_at=NOW + 1)[0].id
        self.shared = self.world.connect("bob", self.slack, shared_with="ann")[0].id
        self.other_app = self.world.connect("ann", self.gmail)[0].id
        self.reader = DraftReader(world=self.world, owner="ann", now=NOW, actions=Actions(), unknown=404)

    def app(self, title: str) -> App:
        """Return an app of the catalogue."""
        app = self.world.catalogue.find(title)
        assert app is not None
        return app

    def step(self, app: App | None = None, authentication: Any = None, **changes: Any) -> dict[str, Any]:
        """Return a step that is right but for `changes`; MISSING takes a member away."""
        action = self.world.action_id((app or self.webhooks).actions[0], now=NOW, actions=Actions())
        step = {"action": action, "inputs": {}, "authentication": authentication, **changes}
        return {name: value for name, value in step.items() if value is not MISSING}

    def refusal(self, body: object) -> tuple[int, list[str]]:
        """Return the status of a refusal, and where it says something is wrong."""
        with pytest.raises(RefusedError) as refused:
            self.reader.read(body)
        places = [problem.source["pointer"] if problem.source else "" for problem in refused.value.problems]
        return refused.value.status, places


@pytest.fixture(name="workshop")
def a_workshop() -> Workshop:
    """A fresh one."""
    return Workshop()


def test_a_right_draft_is_read(workshop: Workshop) -> None:
    """Actions by the names that last, everything else as it was sent."""
    body = zap(
        workshop.step(alias="hook_1"),
        workshop.step(workshop.slack, workshop.own, inputs={"text": "{{hook_1.body}}"}),
        title=" Two steps ",
    )
    draft = workshop.reader.read(body)

    assert draft.title == " Two steps "
    assert [("catch_hook", "hook_1", None), ("new_message", None, workshop.own)] == [
        (step.key, step.alias, step.authentication) for step in draft.steps
    ]
    assert draft.steps[1].inputs == {"text": "{{hook_1.body}}"}


@pytest.mark.parametrize("body", [None, [], "x", {}, {"data": None}, {"data": []}])
def test_a_body_without_data_is_malformed(workshop: Workshop, body: object) -> None:
    """The documented answer to what cannot be read."""
    assert workshop.refusal(body) == (400, [""])


@pytest.mark.parametrize("title", [None, "", "  ", 5])
def test_a_zap_needs_a_title(workshop: Workshop, title: Any) -> None:
    """Of some letters."""
    assert workshop.refusal(zap(workshop.step(), title=title)) == (400, ["/data/title"])


@pytest.mark.parametrize("steps", [None, {}, [], [{}] * 26])
def test_a_zap_needs_steps(workshop: Workshop, steps: Any) -> None:
    """One to twenty-five."""
    assert workshop.refusal({"data": {"title": "t", "steps": steps}}) == (400, ["/data/steps"])


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"action": MISSING}, "action"),
        ({"action": 5}, "action"),
        ({"inputs": MISSING}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"authentication": MISSING}, "authentication"),
        ({"alias": ""}, "alias"),
        ({"alias": "Hook"}, "alias"),
        ({"alias": "a-b"}, "alias"),
        ({"alias": "a" * 65}, "alias"),
        ({"alias": 5}, "alias"),
    ],
)
def test_a_step_that_is_wrong_is_refused_at_its_place(workshop: Workshop, changes: Any, place: str) -> None:
    """`authentication` must be there, even where it is null."""
    body = zap(workshop.step(), workshop.step(**changes))

    assert (400, [f"/data/steps/1/{place}"]) == workshop.refusal(body)


def test_a_step_that_is_no_object_is_refused(workshop: Workshop) -> None:
    """Whatever else it is."""
    assert workshop.refusal(zap("step")) == (400, ["/data/steps/0"])


def test_two_steps_cannot_have_one_alias(workshop: Workshop) -> None:
    """Nobody could tell whose output is meant."""
    body = zap(workshop.step(alias="a"), workshop.step(alias="a"))

    assert workshop.refusal(body) == (400, ["/data/steps/1/alias"])


def test_an_action_that_is_unknown_or_stale_is_not_there(workshop: Workshop) -> None:
    """With the status that the switch `unknown` gives."""
    stale = workshop.world.action_id(workshop.webhooks.actions[0], now=NOW - 600_001, actions=Actions())

    assert workshop.refusal(zap(workshop.step(action="core:nothing"))) == (404, ["/data/steps/0/action"])
    assert workshop.refusal(zap(workshop.step(action=stale))) == (404, ["/data/steps/0/action"])


@pytest.mark.parametrize("which", ["late", "shared", "other_app"])
def test_an_authentication_must_be_listed_for_the_account_and_the_app(workshop: Workshop, which: str) -> None:
    """A Zap cannot be made with a connection that one only shares."""
    body = zap(workshop.step(workshop.slack, getattr(workshop, which)))

    assert workshop.refusal(body) == (404, ["/data/steps/0/authentication"])


@pytest.mark.parametrize("given", [None, 5])
def test_an_app_that_needs_an_authentication_gets_one(workshop: Workshop, given: Any) -> None:
    """Null is for the others, and an id is a string even when it looks like a number."""
    body = zap(workshop.step(workshop.slack, given))

    assert workshop.refusal(body) == (400, ["/data/steps/0/authentication"])


def test_an_expired_authentication_is_refused(workshop: Workshop) -> None:
    """It is there, and of no use."""
    body = zap(workshop.step(workshop.slack, workshop.expired))

    assert workshop.refusal(body) == (400, ["/data/steps/0/authentication"])


def test_an_app_without_authentication_takes_none(workshop: Workshop) -> None:
    """Null, explicitly."""
    body = zap(workshop.step(workshop.webhooks, workshop.own))

    assert workshop.refusal(body) == (400, ["/data/steps/0/authentication"])


def test_everything_that_is_wrong_is_said_at_once(workshop: Workshop) -> None:
    """And what is merely unknown does not decide the status."""
    body = zap(workshop.step(action="core:nothing"), workshop.step(inputs=None), title="")

    assert workshop.refusal(body) == (400, ["/data/title", "/data/steps/0/action", "/data/steps/1/inputs"])
