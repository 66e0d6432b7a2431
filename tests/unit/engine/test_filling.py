"""Filling a step: what a change takes with it, and what that takes with it in turn."""

from __future__ import annotations

from orchestrator.core.fields import Form, InputField
from orchestrator.core.session import JsonObject, Session
from tests.support.scenes import SEND, Scene


def russian_dolls(inputs: JsonObject) -> Form:
    """Ask for `a`; while that is 1 also for `b`, and while `b` is filled for `c`; each may bring others with it."""
    fields = [InputField(id="a", title="A", invalidates=True)]
    if inputs.get("a") == "1":
        fields.append(InputField(id="b", title="B", invalidates=True))
    if "b" in inputs:
        fields.append(InputField(id="c", title="C", invalidates=True))
    if "c" in inputs:
        fields.append(InputField(id="d", title="D"))
    return Form(parts=tuple(fields))


async def nested(scene: Scene) -> Session:
    """Begin a session whose one step asks for such fields."""
    await scene.sign_in("ann")
    scene.zapier.forms["clock", SEND] = russian_dolls
    return await scene.ready("ann")


async def test_what_goes_with_a_change_takes_with_it_what_it_had_brought() -> None:
    """However deep: what is shown in the end is what Zapier asks for of what is left."""
    scene = Scene()
    session = await nested(scene)
    step_id = session.steps[0].id
    await scene.here.filler.fill(session.key, step_id, {"a": "1", "b": "x"})
    await scene.here.filler.fill(session.key, step_id, {"c": "x", "d": "x"})
    filled = await scene.here.filler.fill(session.key, step_id, {"a": "2"})

    assert filled.cleared == ("b", "c", "d")
    assert filled.step.inputs == {"a": "2"}
    assert list(filled.form.inputs) == ["a"]
    assert filled.problems == ()


async def test_what_is_filled_by_the_change_itself_stays_though_nobody_asks_for_it() -> None:
    """It is said to be unknown, so that nothing typed is lost without a word."""
    scene = Scene()
    session = await nested(scene)
    filled = await scene.here.filler.fill(session.key, session.steps[0].id, {"a": "2", "d": "x"})

    assert filled.step.inputs == {"a": "2", "d": "x"}
    assert [(flaw.field, flaw.code) for flaw in filled.problems] == [("d", "unknown_field")]


async def test_a_change_that_takes_nothing_with_it_asks_once() -> None:
    """Once for the form as it was, and once for what may have come."""
    scene = Scene()
    session = await nested(scene)
    scene.zapier.requests.clear()
    await scene.here.filler.fill(session.key, session.steps[0].id, {"a": "1"})

    assert scene.zapier.sent("fields") == 2
