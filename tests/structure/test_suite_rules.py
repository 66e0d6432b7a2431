"""The rules of a whole run hold, shown by small suites that break them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import RUNS_WITHIN_S

ROOT = Path(__file__).resolve().parents[2]
MARKED = """
import pytest

@pytest.mark.partner_schema
def test_marked():
    pass
"""
OF_REDIS = """
import pytest

@pytest.mark.redis_server
def test_of_redis():
    pass
"""
PLAIN = "def test_plain(): pass\n"
SKIPPED = "import pytest\n\ndef test_skipped(): pytest.skip('no reason')\n"
MODULE_SKIPPED = "import pytest\n\npytest.skip('no reason', allow_module_level=True)\n"
EXPECTED_FAILURE = "import pytest\n\n@pytest.mark.xfail\ndef test_known(): assert False\n"


HANGING = """
import asyncio, pytest

@pytest.fixture(scope="module")
def anyio_backend(): return "asyncio"

@pytest.fixture(scope="module")
async def place():
    yield "here"
    print("cleaned up")

async def test_hangs(place): await asyncio.sleep(1_000)
async def test_next(place): assert place == "here"
"""


class Suite:
    """A suite of its own in an empty folder, run with our rules."""

    def __init__(self, folder: Path, *, options: tuple[str, ...]) -> None:
        self.folder = folder
        self.options = options
        self.schema = folder / "schema.yaml"
        self.schema.write_text("openapi: 3.0.0\n", encoding="utf-8")
        (folder / "tests").mkdir()
        (folder / "pyproject.toml").write_text(
            '[tool.pytest]\ntestpaths = ["tests"]\n'
            'markers = ["partner_schema: x", "redis_server: x", "npm_packages: x"]\n',
            encoding="utf-8",
        )

    def run(self, *sources: str, args: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        """Run pytest on these test modules with exactly this environment."""
        for number, source in enumerate(sources):
            (self.folder / "tests" / f"test_{number}.py").write_text(source, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-p", "tests.support.suite_rules", "-p", "no:cacheprovider"]
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        return subprocess.run(
            [*command, *self.options, *args],
            check=False,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=RUNS_WITHIN_S,
            env=variables | environment,
        )


@pytest.fixture(params=[(), ("-p", "xdist.plugin", "--numprocesses=2")], ids=["one process", "two processes"])
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Suite:
    """An empty suite; the same rules hold on one process and on several."""
    return Suite(tmp_path, options=request.param)


def test_without_the_schema_its_tests_are_left_out_and_the_run_says_so(suite: Suite) -> None:
    """A developer without the schema gets a green run that hides nothing."""
    result = suite.run(MARKED, PLAIN)

    assert result.returncode == 0
    assert "1 passed" in result.stdout
    assert "partner schema: none; tests marked partner_schema are left out" in result.stdout
    assert "1 deselected: ZAPWRIGHT_PARTNER_SCHEMA is not set" in result.stdout


def test_with_the_schema_its_tests_run(suite: Suite) -> None:
    """The variable is all that is needed."""
    result = suite.run(MARKED, PLAIN, ZAPWRIGHT_PARTNER_SCHEMA=str(suite.schema), CI="true")

    assert result.returncode == 0
    assert "2 passed" in result.stdout


def test_a_schema_that_is_not_there_ends_the_run(suite: Suite) -> None:
    """A wrong path is an error, not a reason to leave tests out."""
    result = suite.run(MARKED, ZAPWRIGHT_PARTNER_SCHEMA=str(suite.folder / "absent.yaml"))

    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "names no file" in result.stderr


@pytest.mark.parametrize("args", [(), ("tests",)], ids=["no argument", "the folder"])
def test_ci_fails_when_no_test_of_the_schema_was_collected(suite: Suite, args: tuple[str, ...]) -> None:
    """A suite that lost its marked tests cannot pass unnoticed."""
    result = suite.run(PLAIN, args=args, ZAPWRIGHT_PARTNER_SCHEMA=str(suite.schema), CI="true")

    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "tests marked partner_schema: 0 collected" in result.stdout


def test_ci_fails_when_the_schema_is_not_set(suite: Suite) -> None:
    """CI that forgot the variable cannot pass with the marked tests left out."""
    result = suite.run(MARKED, PLAIN, CI="true")

    assert result.returncode == pytest.ExitCode.USAGE_ERROR


def test_a_part_of_the_suite_may_run_in_ci_without_the_schema(suite: Suite) -> None:
    """Whoever asks for one file gets that file."""
    result = suite.run(PLAIN, args=("tests/test_0.py",), CI="true")

    assert result.returncode == 0


@pytest.mark.parametrize("source", [SKIPPED, MODULE_SKIPPED], ids=["test", "module"])
def test_ci_fails_when_anything_is_skipped(suite: Suite, source: str) -> None:
    """A skipped test is a test that did not run."""
    result = suite.run(MARKED, source, ZAPWRIGHT_PARTNER_SCHEMA=str(suite.schema), CI="true")

    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "skipped, which fails a run in CI: tests/test_1.py" in result.stdout


def test_elsewhere_a_skip_is_only_reported(suite: Suite) -> None:
    """A developer's machine may lack something."""
    result = suite.run(PLAIN, SKIPPED)

    assert result.returncode == 0
    assert "1 passed, 1 skipped" in result.stdout


def test_an_expected_failure_is_no_skip(suite: Suite) -> None:
    """It ran."""
    result = suite.run(MARKED, EXPECTED_FAILURE, ZAPWRIGHT_PARTNER_SCHEMA=str(suite.schema), CI="true")

    assert result.returncode == 0


def test_without_redis_server_its_tests_are_left_out_and_the_run_says_so(suite: Suite) -> None:
    """A developer without it gets a green run that hides nothing."""
    result = suite.run(OF_REDIS, PLAIN, PATH="")

    assert result.returncode == 0
    assert "1 passed" in result.stdout
    assert "1 deselected: redis-server is not installed" in result.stdout


def test_without_npms_packages_their_tests_are_left_out_and_the_run_says_so(suite: Suite) -> None:
    """A machine that reaches no npm registry still gets a green run that hides nothing; in CI they run."""
    marked = MARKED.replace("partner_schema", "npm_packages")
    result = suite.run(marked, PLAIN)
    in_ci = suite.run(marked, MARKED, ZAPWRIGHT_PARTNER_SCHEMA=str(suite.schema), CI="true")

    assert result.returncode == in_ci.returncode == 0
    assert "1 deselected: npm brought no packages" in result.stdout
    assert "2 passed" in in_ci.stdout


def test_in_ci_the_tests_of_redis_server_run_whether_it_is_there_or_not(suite: Suite) -> None:
    """Without it they fail for want of it."""
    result = suite.run(MARKED, OF_REDIS, PATH="", ZAPWRIGHT_PARTNER_SCHEMA=str(suite.schema), CI="true")

    assert result.returncode == 0
    assert "2 passed" in result.stdout


def test_what_hangs_hangs_nobody_else(tmp_path: Path) -> None:
    """Its time is over in its own loop: the next test has one, and fixtures are cleaned up."""
    plugins = ("-p", "anyio.pytest_plugin", "-p", "pytest_timeout")
    times = ("-o", "timeout=100", "-o", "own_share=0.02")  # whatever else is slow, the alarm is far
    result = Suite(tmp_path, options=()).run(HANGING, args=(*plugins, "-o", "anyio_mode=auto", *times, "-s"))

    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed" in result.stdout
    assert "TimeoutError" in result.stdout
    assert "cleaned up" in result.stdout
