"""The error tree."""

import re
from importlib import import_module
from pkgutil import iter_modules

import pytest

from orchestrator.core import errors
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.sessions import IllegalSignalError, SessionLockedError, SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.machine import Trigger
from orchestrator.core.session import SessionStatus, StepState

SIGNALS = (*Trigger, "check_wanted", "connect_link_made", "inputs_given", "list_actions", "test_requested")
CLOSED = [status for status in SessionStatus if status not in {SessionStatus.BUILDING, SessionStatus.READY}]


def _leaves(error: type[ZapwrightError]) -> list[type[ZapwrightError]]:
    below = [leaf for child in error.__subclasses__() for leaf in _leaves(child)]
    return below or [error]


def test_every_error_that_is_raised_has_a_code_of_its_own() -> None:
    """Callers branch on codes."""
    for module in iter_modules(errors.__path__):
        import_module(f"{errors.__name__}.{module.name}")
    ours = [leaf for leaf in _leaves(ZapwrightError) if leaf.__module__.startswith(f"{errors.__name__}.")]
    codes = [leaf.code for leaf in ours]

    assert sorted(set(codes)) == sorted(codes)


def test_an_error_says_what_happened_to_which_session() -> None:
    """Its facts can be shown to whoever called."""
    error = SessionNotFoundError(session_id="zs00nothing")

    assert "zs00nothing" in str(error)
    assert error.facts == {"session_id": "zs00nothing"}


def test_what_changed_meanwhile_is_called_what_it_is() -> None:
    """An endpoint that others change all the time is no session, to people or to programs."""
    errors = [StaleVersionError(session_id="zs0"), StaleVersionError(endpoint_id="wh0")]

    assert [error.message.partition(" changed meanwhile;")[0] for error in errors] == ["session zs0", "endpoint wh0"]
    assert [error.facts for error in errors] == [{"session_id": "zs0"}, {"endpoint_id": "wh0"}]


def test_a_busy_upstream_says_when_to_come_back() -> None:
    """The wait is a fact, in milliseconds, and is said in seconds."""
    error = UpstreamBusyError(retry_after=2_400)

    assert error.retry_after == 2_400
    assert "in 2 s" in str(error)


@pytest.mark.parametrize("state", StepState)
def test_what_a_step_does_not_take_is_refused_in_words(state: StepState) -> None:
    """A person reads how the step stands and what to do instead; programs have the names of both among the facts."""
    errors = [IllegalSignalError(session_id="zs0", step_id="st0", state=state, signal=signal) for signal in SIGNALS]
    sentence = re.compile(r"step st0 of session zs0 (has|waits) [^_:]+: [^_]{15,}")

    assert [error.message for error in errors if not sentence.fullmatch(error.message) or state in error.message] == []
    assert [(error.facts["state"], error.facts["signal"]) for error in errors] == [(state, one) for one in SIGNALS]


@pytest.mark.parametrize("status", CLOSED)
def test_a_session_that_cannot_change_says_why_and_what_to_do(status: SessionStatus) -> None:
    """In words; the status is a fact."""
    error = SessionLockedError(session_id="zs0", status=status)

    assert error.message.startswith("nothing of session zs0 can change: ")
    assert ("; " in error.message, "_" in error.message) == (True, False)
    assert error.facts == {"session_id": "zs0", "status": status}


@pytest.mark.parametrize("status", [SessionStatus.BUILDING, SessionStatus.READY])
def test_a_session_whose_zap_nobody_looks_for_says_so(status: SessionStatus) -> None:
    """To whoever names a Zap that it should be."""
    error = SessionLockedError(session_id="zs0", status=status)

    assert error.message.startswith("no Zap of session zs0 is looked for: have it created")
    assert error.facts == {"session_id": "zs0", "status": status}
