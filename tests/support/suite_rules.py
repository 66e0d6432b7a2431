"""The rules of a whole run, as a pytest plugin.

Tests marked `partner_schema` need the Partner API's published schema, whose path is in ZAPWRIGHT_PARTNER_SCHEMA.
Without it they are deselected, and the header and the summary say so. Where CI is set, a run of the whole suite must
have collected them, and nothing may be skipped: otherwise the run fails.

Tests marked `redis_server` need Debian's redis-server, those marked `prometheus` its prometheus (with promtool), those
marked `npm_packages` what npm brings to `clients/node`.
Without it they are deselected too, and the summary says so; where CI is set they run all the same, and fail.

Tests marked `browser` need Debian's Chromium and what moves its windows. `make test` installs them where it can;
without them a run that holds such tests does not begin, wherever it is.

An async test whose time is over fails in its own event loop. The alarm of pytest-timeout, which comes a little later,
would leave its task behind, and whoever needs that loop next, if only to clean up, would wait without end.
"""

import asyncio
import functools
import inspect
import os
import shutil
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SCHEMA_VARIABLE = "ZAPWRIGHT_PARTNER_SCHEMA"
SCHEMA_MARKER = "partner_schema"
SERVER_MARKER = "redis_server"
SERVER_PROGRAM = "redis-server"
PROMETHEUS_MARKER = "prometheus"
PROMETHEUS_PROGRAMS = ("prometheus", "promtool")
PACKAGES_MARKER = "npm_packages"
PACKAGES_STAMP = Path("clients", "node", "node_modules", ".installed")
"""There once npm has brought all of them, and not only some."""

OWN_SHARE = "own_share"
"""The option that says what a test may take by itself, of the time that it may take with its fixtures."""

BROWSER_MARKER = "browser"
BROWSER_FOLDER = Path("tests", "browser")
BROWSER_PROGRAMS = ("chromium", "Xvfb", "openbox", "xdotool")

_record = pytest.StashKey["Record"]()


@dataclass
class Record:
    """What a run must answer for; of a run on several processes, each process has one and the first gathers them."""

    skipped: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    of_schema: int = 0


def in_ci() -> bool:
    """Tell whether this run decides if a change lands."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def is_whole_suite(config: pytest.Config) -> bool:
    """Tell whether nothing on the command line narrows the run."""
    narrowed = config.option.keyword or config.option.markexpr or config.option.deselect or config.option.ignore
    whole = {config.rootpath, *(config.rootpath / path for path in config.getini("testpaths"))}
    asked = {(config.invocation_params.dir / argument).resolve() for argument in config.args}

    return not narrowed and not whole.isdisjoint(asked)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run say how long before the alarm an async test ends."""
    parser.addini(OWN_SHARE, "of its time, what an async test may take without its fixtures", default="0.8")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Bound an async test where it runs."""
    if inspect.iscoroutinefunction(pyfuncitem.obj) and (limit_s := _limit_s(pyfuncitem)):
        pyfuncitem.obj = _bounded(pyfuncitem.obj, limit_s * float(pyfuncitem.config.getini(OWN_SHARE)))
    return (yield)


def _limit_s(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    limit = marker.args[0] if marker else item.config.getini("timeout")
    return float(limit or 0)


def _bounded(test: Callable[..., Awaitable[None]], limit_s: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(limit_s):
            await test(*args, **kwargs)

    return bounded


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing skipped."""
    config.stash[_record] = Record()
    config.pluginmanager.register(_SkipWatch(config.stash[_record].skipped))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Raise `pytest.UsageError` when the schema's path is wrong, or the whole suite would lack schema or browser."""
    path = os.environ.get(SCHEMA_VARIABLE)
    if path and not Path(path).is_file():
        raise pytest.UsageError(f"{SCHEMA_VARIABLE} names no file: {path}")
    if in_ci() and is_whole_suite(session.config) and not path:
        raise pytest.UsageError(f"CI needs {SCHEMA_VARIABLE}")
    if is_whole_suite(session.config) and (session.config.rootpath / BROWSER_FOLDER).is_dir():
        _want_browser()


def pytest_report_header() -> str:
    """Say where the published schema is, or that it is not."""
    path = os.environ.get(SCHEMA_VARIABLE)
    return f"partner schema: {path or f'none; tests marked {SCHEMA_MARKER} are left out'}"


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Leave out what needs something that is not there, but for tests of the browser.

    Raises `pytest.UsageError` when they are left without one. (One of several processes cannot; its tests fail.)
    """
    config.stash[_record].of_schema = sum(item.get_closest_marker(SCHEMA_MARKER) is not None for item in items)

    if not os.environ.get(SCHEMA_VARIABLE):
        _leave_out(SCHEMA_MARKER, config, items, why=f"{SCHEMA_VARIABLE} is not set")
    if not in_ci() and shutil.which(SERVER_PROGRAM) is None:
        _leave_out(SERVER_MARKER, config, items, why=f"{SERVER_PROGRAM} is not installed")
    if not in_ci() and None in map(shutil.which, PROMETHEUS_PROGRAMS):
        _leave_out(PROMETHEUS_MARKER, config, items, why="prometheus is not installed")
    if not in_ci() and not (config.rootpath / PACKAGES_STAMP).is_file():
        _leave_out(PACKAGES_MARKER, config, items, why="npm brought no packages")
    yield
    if not hasattr(config, "workerinput") and any(item.get_closest_marker(BROWSER_MARKER) for item in items):
        _want_browser()


def _want_browser() -> None:
    missing = [program for program in BROWSER_PROGRAMS if shutil.which(program) is None]
    if missing:
        raise pytest.UsageError(
            f"the browser's tests need {', '.join(missing)}: run `make test` as root on Debian, install them yourself, "
            f"or leave these tests out by -m 'not {BROWSER_MARKER}'"
        )


def _leave_out(marker: str, config: pytest.Config, items: list[pytest.Item], *, why: str) -> None:
    marked = [item for item in items if item.get_closest_marker(marker)]
    if marked:
        config.hook.pytest_deselected(items=marked)
        config.stash[_record].left_out[why] = len(marked)
        items[:] = [item for item in items if item not in marked]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped anything, or the whole suite when no test of the schema was in it."""
    record = session.config.stash[_record]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"], output["of_schema"] = record.left_out, record.of_schema
    elif _failures(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Gather what one of several processes has to answer for; each collected the whole suite."""
    output = getattr(node, "workeroutput", {})
    record = node.config.stash[_record]
    record.left_out |= output.get("left_out", {})
    record.of_schema = max(record.of_schema, output.get("of_schema", 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and what must not be."""
    for why, count in config.stash[_record].left_out.items():
        terminalreporter.write_line(f"{count} deselected: {why}")
    for failure in _failures(config):
        terminalreporter.write_line(failure, red=True)


def _failures(config: pytest.Config) -> list[str]:
    if not in_ci():
        return []
    record = config.stash[_record]
    failures = [f"skipped, which fails a run in CI: {nodeid}" for nodeid in record.skipped]
    if is_whole_suite(config) and not record.of_schema:
        failures.append(f"CI needs tests marked {SCHEMA_MARKER}: 0 collected")
    return failures


class _SkipWatch:
    """Remembers what was skipped, whole modules included."""

    def __init__(self, skipped: list[str]) -> None:
        self._skipped = skipped

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)
