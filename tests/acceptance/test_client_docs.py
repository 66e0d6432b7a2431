"""What docs/clients.md shows, run as it stands."""

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
from tests.support.clients import NODE, ROOT

pytestmark = pytest.mark.slow

PAGE: Final = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
EXAMPLES: Final = re.findall(r"```(python|js) client\n(.*?)```", PAGE, re.DOTALL)
PRINTED: Final = ("New leads choose-app\n", "New leads choose-app\n", "not_ready True True\nsession_not_found\n")


@pytest.fixture(name="up", scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything, on one machine."""
    with everything_up(tmp_path_factory.mktemp("docs") / "data") as installation:
        yield installation


@pytest.mark.parametrize(("place", "printed"), list(enumerate(PRINTED)))
def test_an_example_prints_what_the_page_says(up: Installation, tmp_path: Path, place: int, printed: str) -> None:
    """Whoever pastes it sees the same."""
    language, program = EXAMPLES[place]
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "zapwright-client").symlink_to(ROOT / "clients" / "node")
    command = {"python": [sys.executable, "example.py"], "js": [NODE, "example.mjs"]}[language]
    (tmp_path / command[1]).write_text(program, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "clients" / "python"), **up.variables}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_every_example_is_run() -> None:
    """None is added beside the table above, and what each prints is on the page."""
    assert len(EXAMPLES) == len(PRINTED)
    assert all(f"`{line}`" in PAGE for printed in PRINTED for line in printed.splitlines())
