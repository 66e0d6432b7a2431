"""Decisions are recorded in one form (docs/adr/0001-record-decisions.md)."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.structure.tree import ROOT

RECORDS: Final = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
SECTIONS: Final = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]


def test_numbers_have_no_gap() -> None:
    """A record is replaced, never removed."""
    numbers = [int(record.name[:4]) for record in RECORDS]

    assert numbers == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_says_all_there_is_to_say(record: Path) -> None:
    """Title with its number, date and status, and the five sections in order."""
    text = record.read_text(encoding="utf-8")

    assert text.startswith(f"# {record.name[:4]}. ")
    assert re.search(r"^Date: \d{4}-\d\d-\d\d · Status: (proposed|accepted|replaced by \d{4})$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
