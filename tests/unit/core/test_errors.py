"""The error tree."""

from importlib import import_module
from pkgutil import iter_modules

from orchestrator.core import errors
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.upstream import UpstreamBusyError


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


def test_a_busy_upstream_says_when_to_come_back() -> None:
    """The wait is a fact, in milliseconds, and is said in seconds."""
    error = UpstreamBusyError(retry_after=2_400)

    assert error.retry_after == 2_400
    assert "in 2 s" in str(error)
