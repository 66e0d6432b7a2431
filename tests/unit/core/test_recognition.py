"""Recognising a Zap among others."""

from __future__ import annotations

import pytest

from orchestrator.core.recognition import ListedZap, ZapListing, is_contested, matches, title_of
from orchestrator.core.session import SECOND, Action, App, Authentication, Session, Step, Zap, ZapMatch, ZapState
from orchestrator.core.values import replace
from tests.support.stories import NOON, new_session

SEND = Action(key="send", action_type="WRITE")
HOOK = Action(key="hook", action_type="READ")
WANTED: Session = replace(
    new_session(),
    title="Greet",
    steps=(
        Step(id="s1", app=App(id="hooks", title="Hooks"), action=HOOK),
        Step(id="s2", app=App(id="chat", title="Chat"), action=SEND, authentication=Authentication(id="a1", title="A")),
    ),
    zap=Zap(intent_id="in1", intent_at=NOON),
)
IT = ListedZap(
    id="z1",
    title="Greet",
    updated_at=NOON,
    editor_url="https://x.test",
    authentications=(None, "a1"),
    actions=(HOOK, None),
)


def found(zap: ListedZap, *others: Session) -> tuple[ZapMatch, ...]:
    """Look for the wanted one in a list of one."""
    return matches(WANTED, ZapListing(zaps=(zap,)), others=others)


def test_a_zap_that_fits_in_everything_is_a_match() -> None:
    """Zapier's clock may be a minute behind, and actions that are not told say nothing."""
    match = (ZapMatch(id="z1", title="Greet", editor_url="https://x.test"),)

    assert found(IT) == found(replace(IT, updated_at=NOON - 60 * SECOND)) == match


@pytest.mark.parametrize(
    "other",
    [
        replace(IT, title="Greet "),
        replace(IT, updated_at=NOON - 60 * SECOND - 1),
        replace(IT, authentications=(None, "a2")),
        replace(IT, authentications=("a1", None)),
        replace(IT, authentications=(None, "a1", None), actions=(None, None, None)),
        replace(IT, authentications=(), actions=()),
        replace(IT, actions=(HOOK, HOOK)),
    ],
)
def test_a_zap_that_differs_in_anything_is_none(other: ListedZap) -> None:
    """Rather a person is asked."""
    assert found(other) == ()


def test_a_zap_that_another_session_made_is_none() -> None:
    """It fits, and is somebody's."""
    assert found(IT, replace(WANTED, zap=replace(WANTED.zap, id="z1", state=ZapState.CREATED))) == ()


CALLED = replace(WANTED.zap, state=ZapState.CREATING)
LOOKED_FOR = replace(WANTED.zap, state=ZapState.UNKNOWN, look_at=NOON)
LEFT = replace(WANTED.zap, state=ZapState.UNKNOWN, looks=2)


@pytest.mark.parametrize(
    ("zap", "title", "expected"),
    [
        (CALLED, "Greet", True),
        (LOOKED_FOR, "Greet", True),
        (LOOKED_FOR, "Another", False),
        (replace(LEFT, matches=(ZapMatch(id="z1", title="Greet"),)), "Greet", True),
        (LEFT, "Greet", False),
        (replace(CALLED, state=ZapState.FAILED), "Greet", False),
        (replace(CALLED, state=ZapState.CREATED, id="z2"), "Greet", False),
    ],
)
def test_a_zap_is_contested_where_another_session_may_have_made_it(zap: Zap, title: str, expected: bool) -> None:
    """One that called for a Zap like it and does not know what came of that; looked for to the end, it was seen."""
    other = replace(WANTED, title=title, zap=zap)

    assert is_contested(found(IT, other), ZapListing(zaps=(IT,)), others=[other]) is expected


def test_a_zap_without_title_is_called_after_its_apps() -> None:
    """In their order."""
    assert title_of(replace(WANTED, title=None)) == "Hooks → Chat"
