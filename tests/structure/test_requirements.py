"""What is pinned agrees with what is declared, is hashed, and is the same for running and for developing."""

import re
import tomllib
from typing import Final

import pytest

from tests.structure.tree import ROOT

NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
PINNED: Final = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name: str) -> dict[str, str]:
    """Give name → version of a requirements file."""
    return dict(PINNED.findall((ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")))


def declared(requirements: list[str | dict[str, str]]) -> set[str]:
    """Give the names of requirements, in the form that indexes use."""
    found = (NAME.match(line) for line in requirements if isinstance(line, str))
    return {match.group().lower().replace("_", "-") for match in found if match}


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_pin_has_a_hash(name: str) -> None:
    """pip refuses what is not the file we tested."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_is_declared_is_pinned() -> None:
    """`make lock` was run after pyproject.toml changed."""
    runtime = declared(PROJECT["project"]["dependencies"]) | declared(PROJECT["dependency-groups"]["build"])
    dev = runtime | declared(PROJECT["dependency-groups"]["dev"])

    assert runtime - pins("runtime").keys() == set()
    assert dev - pins("dev").keys() == set()


def test_developing_uses_the_versions_that_run() -> None:
    """The suite tests what is installed for use."""
    assert pins("runtime").items() - pins("dev").items() == set()
