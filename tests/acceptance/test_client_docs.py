"""What docs/clients.md and docs/hosted-page.md show, run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.installation import Installation, everything_up
from tests.support.browsers import come_by
from tests.support.clients import NODE, ROOT
from tests.support.patience import RUNS_WITHIN_S

pytestmark = pytest.mark.slow

PAGE: Final = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
EXAMPLES: Final = re.findall(r"```(python|js) client\n(.*?)```", PAGE, re.DOTALL)
LINK_EXAMPLES: Final = re.findall(
    r"```python page\n(.*?)```", (ROOT / "docs" / "hosted-page.md").read_text(encoding="utf-8"), re.DOTALL
)
PRINTED: Final = ("New leads choose-app\n", "New leads choose-app\n", "not_ready True True\nsession_not_found\n")


def run(up: Installation, folder: Path, language: str, program: str, *arguments: str) -> str:
    """Run an example as whoever pastes it; return what it printed."""
    modules = folder / "node_modules"
    modules.mkdir(exist_ok=True)
    if not (modules / "zapwright-client").exists():
        (modules / "zapwright-client").symlink_to(ROOT / "clients" / "node")
    command = {"python": [sys.executable, "example.py"], "js": [NODE, "example.mjs"]}[language]
    (folder / command[1]).write_text(program, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "clients" / "python"), **up.variables}
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(name="up", scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything, on one machine."""
    with everything_up(tmp_path_factory.mktemp("docs") / "data") as installation:
        yield installation


@pytest.mark.parametrize(("place", "printed"), list(enumerate(PRINTED)))
def test_an_example_prints_what_the_page_says(up: Installation, tmp_path: Path, place: int, printed: str) -> None:
    """Whoever pastes it sees the same."""
    assert run(up, tmp_path, *EXAMPLES[place]) == printed


def test_the_connect_page_s_examples_do_what_their_page_says(up: Installation, tmp_path: Path) -> None:
    """A link is made; the browser that comes second is let in by the code that it is shown."""
    making, allowing = LINK_EXAMPLES
    made = run(up, tmp_path, "python", making + "    print(*step.values(), link.url)\n").splitlines()
    session, step, url = made[1].split()
    come_by(url)
    code = re.search(r'id="code"[^>]*>([^<]+)<', come_by(url))
    assert code is not None

    assert made[0] == "new True"
    assert run(up, tmp_path, "python", allowing, session, step, code[1]) == "opened\n"


def test_every_example_is_run() -> None:
    """None is added beside the table above, and what each prints is on the page."""
    assert len(EXAMPLES) == len(PRINTED)
    assert all(f"`{line}`" in PAGE for printed in PRINTED for line in printed.splitlines())
