"""Every target says what it is for, and every target that a document names exists."""

import re
import subprocess
from typing import Final

from tests.structure.tree import ROOT, files

MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")
TERMINAL: Final = 80
PUBLIC: Final = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE))


def test_help_lists_every_target() -> None:
    """Nothing is hidden from `make help`, and no line is broken by an ordinary terminal."""
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    assert set(re.findall(r"^  make (\S+)", shown, re.MULTILINE)) == PUBLIC
    assert [line for line in shown.splitlines() if len(line) > TERMINAL] == []


def test_documents_name_targets_that_exist() -> None:
    """What a reader is told to type works."""
    named = {
        (page.name, target)
        for page in files(suffix=".md")
        for target in re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert {(page, target) for page, target in named if target not in PUBLIC} == set()
