"""The rules of a whole run, as a pytest plugin.

Tests marked `partner_schema` need the Partner API's published schema, whose path is in ZAPWRIGHT_PARTNER_SCHEMA.
Without it they are deselected, and the header and the summary say so. Where CI is set, a run of the whole suite must
have collected them, and nothing may be skipped: otherwise the run fails.

Tests marked `redis_server` need Debian's redis-server, those marked `npm_packages` what npm brings to `clients/node`.
Without it they are deselected too, and the summary says so; where CI is set they run all the same, and fail.

Tests marked `browser` need Debian's Chromium and what moves its windows. `make test` installs them where it can;
without them a run that holds such tests does not begin, wherever it is.
"""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

SCHEMA_VARIABLE = "ZAPWRIGHT_PARTNER_SCHEMA"
SCHEMA_MARKER = "partner_schema"
SERVER_MARKER = "redis_server"
SERVER_PROGRAM = "redis-server"
PACKAGES_MARKER = "npm_packages"
PACKAGES_FOLDER = Path("clients", "node", "node_modules", "express")
BROWSER_MARKER = "browser"
BROWSER_PROGRAMS = ("chromium", "Xvfb", "openbox", "xdotool")

_skipped = pytest.StashKey[list[str]]()
_left_out = pytest.StashKey[dict[str, int]]()


def in_ci() -> bool:
    """Tell whether this run decides if a change lands."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def is_whole_suite(config: pytest.Config) -> bool:
    """Tell whether nothing on the command line narrows the run."""
    narrowed = config.option.keyword or config.option.markexpr or config.option.deselect or config.option.ignore
    whole = {config.rootpath, *(config.rootpath / path for path in config.getini("testpaths"))}
    asked = {(config.invocation_params.dir / argument).resolve() for argument in config.args}

    return not narrowed and not whole.isdisjoint(asked)


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing skipped."""
    config.stash[_skipped] = []
    config.stash[_left_out] = {}
    config.pluginmanager.register(_SkipWatch(config.stash[_skipped]))


def pytest_report_header() -> str:
    """Say where the published schema is, or that it is not."""
    path = os.environ.get(SCHEMA_VARIABLE)
    return f"partner schema: {path or f'none; tests marked {SCHEMA_MARKER} are left out'}"


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Leave out what needs the published schema when there is none.

    Raises `pytest.UsageError` when the schema is set to a file that is not there, when it must have been used and no
    test does, or when tests of the browser are left without one.
    """
    path = os.environ.get(SCHEMA_VARIABLE)
    if path and not Path(path).is_file():
        raise pytest.UsageError(f"{SCHEMA_VARIABLE} names no file: {path}")

    marked = [item for item in items if item.get_closest_marker(SCHEMA_MARKER)]
    if in_ci() and is_whole_suite(config) and not (path and marked):
        raise pytest.UsageError(f"CI needs {SCHEMA_VARIABLE} and tests marked {SCHEMA_MARKER}: {len(marked)} collected")

    if not path:
        _leave_out(SCHEMA_MARKER, config, items, why=f"{SCHEMA_VARIABLE} is not set")
    if not in_ci() and shutil.which(SERVER_PROGRAM) is None:
        _leave_out(SERVER_MARKER, config, items, why=f"{SERVER_PROGRAM} is not installed")
    if not in_ci() and not (config.rootpath / PACKAGES_FOLDER).is_dir():
        _leave_out(PACKAGES_MARKER, config, items, why="npm brought no packages")
    yield
    missing = [program for program in BROWSER_PROGRAMS if shutil.which(program) is None]
    if missing and any(item.get_closest_marker(BROWSER_MARKER) for item in items):
        raise pytest.UsageError(
            f"the browser's tests need {', '.join(missing)}: run `make test` as root on Debian, install them yourself, "
            f"or leave these tests out by -m 'not {BROWSER_MARKER}'"
        )


def _leave_out(marker: str, config: pytest.Config, items: list[pytest.Item], *, why: str) -> None:
    marked = [item for item in items if item.get_closest_marker(marker)]
    if marked:
        config.hook.pytest_deselected(items=marked)
        config.stash[_left_out][why] = len(marked)
        items[:] = [item for item in items if item not in marked]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped anything."""
    if in_ci() and session.config.stash[_skipped] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and what may not be skipped."""
    for why, count in config.stash[_left_out].items():
        terminalreporter.write_line(f"{count} deselected: {why}")
    if in_ci():
        for nodeid in config.stash[_skipped]:
            terminalreporter.write_line(f"skipped, which fails a run in CI: {nodeid}", red=True)


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
