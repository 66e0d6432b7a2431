"""What people are told to type exists: in the documents, and in what our programs say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.core import TyperGroup

from cli.main import app
from tests.structure.tree import ROOT

PACKAGES: Final = ("api", "cli", "dashboard", "orchestrator", "workers")
DOCUMENTS: Final = [ROOT / "README.md", ROOT / "deploy" / "kubernetes" / "README.md", *(ROOT / "docs").rglob("*.md")]
SOURCES: Final = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
COMMANDS: Final = typer.main.get_command(app)

_QUOTED: Final = re.compile(r"`[^`\n]*?\bzapwright ([^`\n]+)`")
_TYPED: Final = re.compile(r"^(?:docker compose exec .* )?zapwright ([^#\n]+)", re.MULTILINE)
_BLOCK: Final = re.compile(r"```(?:ba)?sh[^\n]*\n(.*?)```", re.DOTALL)


def told(path: Path) -> Iterator[str]:
    """Give every command of ours that a file tells people to type."""
    text = path.read_text(encoding="utf-8")
    yield from _QUOTED.findall(text)
    for block in _BLOCK.findall(text):
        yield from _TYPED.findall(block)


def unknown(line: str) -> list[str]:
    """Return what a command line names that there is not."""
    command, words = COMMANDS, line.replace("=", " ").split()
    while isinstance(command, TyperGroup) and words and re.fullmatch("[a-z][a-z-]*", words[0]):
        if words[0] not in command.commands:
            return [line]
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return [word for word in words if word.startswith("--") and word not in options]


@pytest.mark.parametrize("path", [*DOCUMENTS, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_people_are_told_exists(path: Path) -> None:
    """With the options that it is told with."""
    assert [(line, unknown(line)) for line in told(path) if unknown(line)] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    """Neither by its name, nor by its option."""
    assert [unknown(line) for line in ("sessions lost", "why SESSION --apps x", "why SESSION --app x")] == [
        ["sessions lost"],
        ["--apps"],
        [],
    ]


@pytest.mark.parametrize("name", ["operators", "runbooks"])
def test_who_is_woken_reads_first_how_to_get_the_command(name: str) -> None:
    """Before the first command; here, and in the containers."""
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    before = _BLOCK.split(text)[0]

    assert [way for way in (". .venv/bin/activate", "docker compose exec", "kubectl exec") if way not in before] == []


def test_an_environment_that_is_activated_has_the_command() -> None:
    """As the documents say."""
    script = f". {sys.prefix}/bin/activate && command -v zapwright"
    found = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True)

    assert found.stdout.strip() == f"{sys.prefix}/bin/zapwright"
