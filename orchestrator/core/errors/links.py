"""Errors about connect links, and the browsers that come by them."""

from __future__ import annotations

from orchestrator.core.errors.base import NotFoundError, SignalRefusedError


class ConnectLinkNotFoundError(NotFoundError):
    """The step has no connect link with this id."""

    code = "connect_link_not_found"

    def __init__(self, *, session_id: str, step_id: str, link_id: str) -> None:
        super().__init__(
            f"step {step_id} of session {session_id} has no connect link {link_id!r}; make a new one",
            session_id=session_id,
            step_id=step_id,
            link_id=link_id,
        )


class BrowserNotFoundError(NotFoundError):
    """No browser with this code waits to be let in."""

    code = "browser_not_found"

    def __init__(self, *, link_id: str, browser_code: str) -> None:
        super().__init__(
            f"no browser with the code {browser_code} waits for connect link {link_id}; list the links to see which do",
            link_id=link_id,
            browser_code=browser_code,
        )


class ConnectLinkOverError(SignalRefusedError):
    """The connect link is used up, or good for nobody any more."""

    code = "connect_link_over"

    def __init__(self, *, session_id: str, step_id: str, link_id: str, state: str) -> None:
        self.state = state
        super().__init__(
            f"connect link {link_id} of step {step_id} of session {session_id} is {state}; make a new one if needed",
            session_id=session_id,
            step_id=step_id,
            link_id=link_id,
            state=state,
        )


class TooManyBrowsersError(SignalRefusedError):
    """As many browsers wait for the connect link as may."""

    code = "too_many_browsers"

    def __init__(self, *, link_id: str, limit: int) -> None:
        super().__init__(
            f"{limit} browsers wait for connect link {link_id} already: let one of them in, or make a new link",
            link_id=link_id,
            limit=limit,
        )
