"""Our commands, for tests of files that start them."""

import os
import re
import subprocess
import sys

from tests.structure.tree import ROOT
from tests.support.patience import RUNS_WITHIN_S


def help_of(*command: str) -> str:
    """Run one of our commands with --help and give what it prints."""
    program = "from cli.main import main; main()"
    environment = os.environ | {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "120"}
    result = subprocess.run(
        [sys.executable, "-c", program, *command, "--help"],
        check=False,
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
        cwd=ROOT,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def unknown_options(command: list[str]) -> set[str]:
    """Give the options of a command line that its command does not have; fails where there is no such command."""
    name, *arguments = command
    options = {argument for argument in arguments if argument.startswith("--")}
    return options - set(re.findall(r"--[a-z-]+", help_of(name)))
