"""What becomes of connect links: one of a step is live, and belongs to the browser that continued on it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.errors.links import (
    BrowserNotFoundError,
    ConnectLinkOverError,
    TooManyBrowsersError,
)
from orchestrator.core.events import EventName
from orchestrator.core.links import USABLE, state_of
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.required import link_of
from orchestrator.core.session import Browser, ConnectLink, LinkEnd, Step, StepState
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.signals import ConnectLinkAllowed, ConnectLinkMade, ConnectLinkOpened, ConnectLinkRevoked

MOST_LINKS_KEPT: Final = 4
"""So that whoever comes by an older one is told that there is a newer."""

MOST_BROWSERS_WAIT: Final = 5
"""A link that got into many hands must not make its session grow."""

_MAY_CONNECT: Final = frozenset({StepState.NEEDS_AUTH, StepState.AWAITING_POPUP})


def made(draft: Draft, step: Step, signal: ConnectLinkMade) -> None:
    """Add a link for the step's app, in the place of the one there was; it ends with the session at the latest."""
    if step.link(signal.link_id) is not None:
        return draft.nothing(Outcome.DUPLICATE)
    if step.state not in _MAY_CONNECT:
        raise draft.illegal(step, "connect_link_made")
    link = ConnectLink(
        id=signal.link_id,
        digest=signal.digest,
        made_at=draft.now,
        expires_at=min(draft.now + signal.ttl, draft.session.deadline),
        return_url=signal.return_url,
    )
    earlier = (old if old.ended else replace(old, ended=LinkEnd.REPLACED) for old in step.links)
    draft.put(replace(step, links=(*earlier, link)[-MOST_LINKS_KEPT:]))
    return draft.tell(EventName.CONNECT_LINK_MADE, step, link_id=link.id)


def opened(draft: Draft, step: Step, signal: ConnectLinkOpened) -> None:
    """Give the link to the first browser that continues; any other one waits to be let in. Twice is fine."""
    link = _usable(draft, step, signal.link_id)
    browser = Browser(digest=signal.browser, code=signal.code, at=draft.now)
    if link.browser is None:
        _give(draft, step, link, browser)
        return draft.tell(EventName.CONNECT_LINK_OPENED, step, link_id=link.id)
    if any(browser.digest == known.digest for known in (link.browser, *link.waiting)):
        return draft.nothing(Outcome.DUPLICATE)
    if len(link.waiting) >= MOST_BROWSERS_WAIT:
        raise TooManyBrowsersError(link_id=link.id, limit=MOST_BROWSERS_WAIT)
    _put(draft, step, replace(link, waiting=(*link.waiting, browser)))
    return draft.tell(EventName.CONNECT_LINK_CONTESTED, step, link_id=link.id, code=browser.code)


def allowed(draft: Draft, step: Step, signal: ConnectLinkAllowed) -> None:
    """Give the link to a browser that waits; the one it belonged to is let in no more. Twice is fine."""
    link = _usable(draft, step, signal.link_id)
    if link.browser is not None and link.browser.code == signal.code:
        return draft.nothing(Outcome.DUPLICATE)
    browser = next((waiting for waiting in link.waiting if waiting.code == signal.code), None)
    if browser is None:
        raise BrowserNotFoundError(link_id=link.id, browser_code=signal.code)
    _give(draft, step, link, replace(browser, at=draft.now))
    return draft.tell(EventName.CONNECT_LINK_ALLOWED, step, link_id=link.id, code=browser.code)


def revoked(draft: Draft, step: Step, signal: ConnectLinkRevoked) -> None:
    """Let nobody in any more. One that has ended already changes nothing."""
    link = link_of(draft.session, step, signal.link_id)
    if link.ended is not None:
        return draft.nothing(Outcome.DUPLICATE)
    _put(draft, step, replace(link, ended=LinkEnd.REVOKED))
    return draft.tell(EventName.CONNECT_LINK_REVOKED, step, link_id=link.id)


def _give(draft: Draft, step: Step, link: ConnectLink, browser: Browser) -> None:
    """From now on there is time to connect, however late the link was opened."""
    enough = min(draft.now + draft.policy.attempt_visible, draft.session.deadline)
    waiting = tuple(other for other in link.waiting if other.digest != browser.digest)
    given = replace(link, browser=browser, waiting=waiting, expires_at=max(link.expires_at, enough))
    _put(draft, step, given)


def _usable(draft: Draft, step: Step, link_id: str) -> ConnectLink:
    link = link_of(draft.session, step, link_id)
    state = state_of(link, step, draft.session, now=draft.now)
    if state not in USABLE:
        raise ConnectLinkOverError(session_id=draft.session.id, step_id=step.id, link_id=link.id, state=state)
    return link


def _put(draft: Draft, step: Step, link: ConnectLink) -> None:
    links = tuple(link if link.id == old.id else old for old in step.links)
    draft.put(replace(step, links=links))
