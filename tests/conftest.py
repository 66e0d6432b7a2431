"""What every test may rely on: one event loop, bounded chance, and the rules of the whole run."""

import logging
import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.suite_rules", "tests.support.tables"]

# The machine's speed is no property of the code, so examples may take any time; in CI the same examples run each time.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# A shell's background job ignores Ctrl-C, and so would every process that a test starts to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a test, or a command that it runs in this process, sets for logging is gone after it."""
    root, chatty = logging.getLogger(), logging.getLogger("httpx")
    handlers, levels = list(root.handlers), (root.level, chatty.level)
    yield
    root.handlers = handlers
    root.level, chatty.level = levels
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests and fixtures run on asyncio, as the product does."""
    return "asyncio"
