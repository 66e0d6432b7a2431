"""The changelog says what changed, by what it is and by who it is for."""

import re
from typing import Final

from tests.structure.tree import ROOT

LINES: Final = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
KINDS: Final = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
READERS: Final = re.compile(r"For (?:builders of editors|webhook backends|people who run it)(?:: .+)?")


def test_each_line_stands_below_its_kind_and_its_readers() -> None:
    """Those of Keep a Changelog, each once a release and in their order; below each, whom it concerns."""
    releases = "\n".join(LINES).split("\n## ")[1:]
    kinds = [re.findall(r"^### (.+)$", release, re.MULTILINE) for release in releases]
    readers = [line.removeprefix("#### ") for line in LINES if line.startswith("#### ")]
    homeless = [part for part in "\n".join(LINES).split("\n### ")[1:] if "\n- " in part.partition("\n#### ")[0]]

    assert kinds == [[kind for kind in KINDS if kind in found] for found in kinds]
    assert [reader for reader in readers if not READERS.fullmatch(reader)] == []
    assert homeless == []


def test_each_change_is_one_line_and_is_said_once() -> None:
    """A list that people can read, and search."""
    changes = [line for line in LINES[LINES.index("## [Unreleased]") :] if line and not line.startswith("#")]

    assert [line for line in changes if not re.fullmatch(r"- \S.*\.", line)] == []
    assert len(changes) == len(set(changes))
