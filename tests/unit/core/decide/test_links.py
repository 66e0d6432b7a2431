"""Whose a connect link is, told as stories."""

from orchestrator.core.decide.links import MOST_BROWSERS_WAIT, MOST_LINKS_KEPT
from orchestrator.core.errors.links import (
    BrowserNotFoundError,
    ConnectLinkNotFoundError,
    ConnectLinkOverError,
    TooManyBrowsersError,
)
from orchestrator.core.errors.sessions import IllegalSignalError, SessionLockedError
from orchestrator.core.events import EventName
from orchestrator.core.links import LinkState, state_of
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import MINUTE, ConnectLink, LinkEnd, StepState
from orchestrator.core.signals import (
    ConnectLinkAllowed,
    ConnectLinkMade,
    ConnectLinkOpened,
    ConnectLinkRevoked,
    SessionCancelled,
    StepReset,
)
from tests.support.stories import Story

HOUR = 60 * MINUTE


def made(link_id: str = "l1", *, ttl: int = HOUR, step_id: str = "s1") -> ConnectLinkMade:
    """Give the signal that makes a link."""
    return ConnectLinkMade(step_id=step_id, link_id=link_id, digest=f"digest of {link_id}", ttl=ttl)


def opened(browser: str = "phone", *, link_id: str = "l1") -> ConnectLinkOpened:
    """Give the signal that somebody continued in this browser."""
    return ConnectLinkOpened(step_id="s1", link_id=link_id, browser=browser, code=f"CODE-{browser}")


def allowed(browser: str, *, link_id: str = "l1") -> ConnectLinkAllowed:
    """Give the signal that this browser is let in."""
    return ConnectLinkAllowed(step_id="s1", link_id=link_id, code=f"CODE-{browser}")


def revoked(link_id: str = "l1") -> ConnectLinkRevoked:
    """Give the signal that the link is wanted no more."""
    return ConnectLinkRevoked(step_id="s1", link_id=link_id)


def linked(*, ttl: int = HOUR) -> Story:
    """Begin with a step that has a link."""
    story = Story().choose("slack", "old")
    story.feed(made(ttl=ttl), tells=[EventName.CONNECT_LINK_MADE])
    return story


def link(story: Story, link_id: str = "l1") -> ConnectLink:
    """Give the story's link as it is."""
    found = story.step().link(link_id)
    assert found is not None
    return found


def state(story: Story, link_id: str = "l1") -> LinkState:
    """Say what the story's link is good for."""
    return state_of(link(story, link_id), story.step(), story.session, now=story.now)


def test_a_link_is_made_once() -> None:
    """The same id again changes nothing."""
    story = linked()

    story.feed(made(), outcome=Outcome.DUPLICATE)
    assert state(story) is LinkState.NEW


def test_a_link_is_for_an_app_that_wants_an_account() -> None:
    """There must be one, it must need an authentication, and the step must not have it."""
    story = Story()
    story.refuse(made(), IllegalSignalError)
    story.feed(story.chosen("formatter", needs_auth=False))
    story.refuse(made(), IllegalSignalError)
    settled = Story().choose("slack", "mine").settle("mine")

    settled.refuse(made(), IllegalSignalError)


def test_a_link_can_be_made_while_a_popup_is_waited_for() -> None:
    """The user may have closed the laptop, and go on with the telephone."""
    story = Story().choose("slack", "old").open()

    story.feed(made(), tells=[EventName.CONNECT_LINK_MADE])


def test_the_newest_link_is_the_one_that_counts() -> None:
    """Who comes by an older one can be told so; very old ones are forgotten."""
    story = linked()
    for number in range(2, MOST_LINKS_KEPT + 2):
        story.feed(made(f"l{number}"))
    story.refuse(opened(link_id="l1"), ConnectLinkNotFoundError)
    story.refuse(opened(link_id="l2"), ConnectLinkOverError)

    assert [known.ended for known in story.step().links] == [LinkEnd.REPLACED] * (MOST_LINKS_KEPT - 1) + [None]


def test_a_revoked_link_is_not_called_a_replaced_one_later() -> None:
    """Its end stays what it was."""
    story = linked()
    story.feed(revoked())
    story.feed(made("l2"))

    assert (state(story), state(story, "l2")) == (LinkState.REVOKED, LinkState.NEW)


def test_a_link_belongs_to_the_browser_that_continued_first() -> None:
    """Which may continue again; another one waits, and is told of once."""
    story = linked()
    story.feed(opened("phone"), tells=[EventName.CONNECT_LINK_OPENED])
    story.feed(opened("phone"), outcome=Outcome.DUPLICATE)
    story.feed(opened("laptop"), tells=[EventName.CONNECT_LINK_CONTESTED])
    story.feed(opened("laptop"), outcome=Outcome.DUPLICATE)
    found = link(story)

    assert found.browser is not None
    assert (found.browser.digest, [waiting.digest for waiting in found.waiting]) == ("phone", ["laptop"])


def test_a_browser_that_is_let_in_takes_the_others_place() -> None:
    """A link is one browser's at a time; the one before may ask in its turn."""
    story = linked()
    for browser in ("phone", "laptop", "tablet"):
        story.feed(opened(browser))
    story.feed(allowed("laptop"), tells=[EventName.CONNECT_LINK_ALLOWED])
    story.feed(allowed("laptop"), outcome=Outcome.DUPLICATE)
    story.feed(opened("laptop"), outcome=Outcome.DUPLICATE)
    story.feed(opened("phone"), tells=[EventName.CONNECT_LINK_CONTESTED])
    found = link(story)

    assert found.browser is not None
    assert (found.browser.digest, [one.digest for one in found.waiting]) == ("laptop", ["tablet", "phone"])


def test_only_a_browser_that_waits_is_let_in() -> None:
    """A code that nobody was shown lets nobody in."""
    story = linked()
    story.refuse(allowed("laptop"), BrowserNotFoundError)
    story.feed(opened("phone"))

    story.refuse(allowed("laptop"), BrowserNotFoundError)


def test_few_browsers_wait() -> None:
    """A link that got into many hands does not make its session grow."""
    story = linked()
    for number in range(MOST_BROWSERS_WAIT + 1):
        story.feed(opened(f"b{number}"))

    story.refuse(opened("one too many"), TooManyBrowsersError)


def test_a_link_that_was_not_opened_in_time_is_expired() -> None:
    """It says so to whoever comes late."""
    story = linked(ttl=MINUTE).later(MINUTE)

    story.refuse(opened(), ConnectLinkOverError)
    assert state(story) is LinkState.EXPIRED


def test_who_opens_a_link_late_still_has_the_time_to_connect() -> None:
    """As long as a popup in front of a user is waited for."""
    story = linked(ttl=MINUTE).later(MINUTE - 1)
    story.feed(opened())
    story.later(story.policy.attempt_visible - 1)
    assert state(story) is LinkState.OPENED
    story.later(1)

    assert state(story) is LinkState.EXPIRED


def test_no_link_outlives_its_session() -> None:
    """Neither when it is made, nor when it is opened."""
    story = linked(ttl=48 * HOUR)
    assert link(story).expires_at == story.session.deadline
    story.later(24 * HOUR - MINUTE)
    story.feed(opened())

    assert link(story).expires_at == story.session.deadline


def test_a_link_whose_step_is_resolved_is_done() -> None:
    """Nobody can continue on it, and nothing is asked twice."""
    story = linked()
    story.feed(opened())
    story.settle("mine")

    story.refuse(opened(), ConnectLinkOverError)
    story.refuse(allowed("laptop"), ConnectLinkOverError)
    assert state(story) is LinkState.DONE


def test_a_link_is_revoked_once() -> None:
    """Nobody can continue on it afterwards."""
    story = linked()
    story.feed(revoked(), tells=[EventName.CONNECT_LINK_REVOKED])
    story.feed(revoked(), outcome=Outcome.DUPLICATE)

    story.refuse(opened(), ConnectLinkOverError)


def test_a_step_that_starts_over_has_no_use_for_its_link() -> None:
    """It was for another app; one that had been replaced stays so."""
    story = linked()
    story.feed(made("l2"))
    story.feed(StepReset(step_id="s1"), state=StepState.CHOOSE_APP)

    assert [known.ended for known in story.step().links] == [LinkEnd.REPLACED, LinkEnd.REVOKED]


def test_no_link_works_when_its_session_is_over() -> None:
    """What is locked stays so."""
    story = linked()
    story.feed(SessionCancelled())

    story.refuse(opened(), SessionLockedError)
    assert state(story) is LinkState.SESSION_OVER


def test_a_link_is_its_steps_own() -> None:
    """Another step's is not found."""
    story = Story("s1", "s2").choose("slack", "old")
    story.feed(made())

    story.refuse(ConnectLinkRevoked(step_id="s2", link_id="l1"), ConnectLinkNotFoundError)
