"""A script's header is its contract: it names every key and argument that the script uses, and no other."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.structure.tree import ROOT

SCRIPTS: Final = sorted((ROOT / "orchestrator" / "store" / "lua").glob("*.lua"))
USE: Final = re.compile(r"\b(KEYS|ARGV)\[(\d+)\]")
USE_OF_MANY: Final = re.compile(r"\b(KEYS|ARGV)\b(?!\[\d+\])")
MENTION: Final = re.compile(r"\b(KEYS|ARGV)\[(\d+)(?:(\.\.)(\d*))?\]")
MOST: Final = 64


def header_and_body(source: str) -> tuple[str, str]:
    """Split a script after the comment that follows its first line; the body loses its comments."""
    lines = source.splitlines()
    end = next((number for number, line in enumerate(lines[1:], 1) if not line.startswith("--")), len(lines))
    body = [line.partition("--")[0] for line in lines[end:]]

    return "\n".join(lines[1:end]), "\n".join(body)


def mentioned(header: str) -> dict[str, set[int]]:
    """Give the numbers that a header names: `ARGV[2]`, `ARGV[2..4]`, and `ARGV[2..]` for all from 2 on."""
    numbers: dict[str, set[int]] = {"KEYS": set(), "ARGV": set()}
    for table, first, many, last in MENTION.findall(header):
        end = int(last or MOST) if many else int(first)
        numbers[table] |= set(range(int(first), end + 1))
    return numbers


def faults(source: str) -> list[str]:
    """Say in what a script's header and body differ."""
    header, body = header_and_body(source)
    named = mentioned(header)
    found = [] if source.startswith("#!lua") else ["does not begin with #!lua"]
    for table in ("KEYS", "ARGV"):
        used = {int(number) for name, number in USE.findall(body) if name == table}
        is_open = table in USE_OF_MANY.findall(body)
        found += [f"{table}[{number}] is used, not named" for number in sorted(used - named[table])]
        if is_open and MOST not in named[table]:
            found.append(f"{table} is used as a list, and the header names no {table}[n..]")
        if not is_open:
            found += [f"{table}[{number}] is named, not used" for number in sorted(named[table] - used)]
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_header_names_what_the_script_uses(script: Path) -> None:
    """Whoever calls a script reads its header only."""
    assert faults(script.read_text(encoding="utf-8")) == []


def test_there_are_scripts() -> None:
    """The rule above is about something."""
    assert SCRIPTS


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("#!lua\n-- KEYS[1] a\nreturn KEYS[1] .. KEYS[2]", "KEYS[2] is used, not named"),
        ("#!lua\n-- ARGV[1] a ARGV[2] b\nreturn ARGV[1]", "ARGV[2] is named, not used"),
        ("#!lua\n-- ARGV[1] a\nreturn unpack(ARGV)", "ARGV is used as a list, and the header names no ARGV[n..]"),
        ("-- KEYS[1] a\n-- of b\nreturn KEYS[1]", "does not begin with #!lua"),
    ],
    ids=["unnamed key", "stale argument", "list without a range", "no first line"],
)
def test_a_header_that_lies_is_found(source: str, fault: str) -> None:
    """The rule bites."""
    assert fault in faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "#!lua name=a\n-- a: b.\n-- KEYS[1] a  KEYS[2..3] b\nreturn KEYS[1] .. KEYS[2] .. KEYS[3] -- not KEYS[4]",
        "#!lua\n-- ARGV[1] a, ARGV[2..] pairs\nfor i = 2, #ARGV, 2 do redis.call('DEL', ARGV[i]) end\nreturn ARGV[1]",
    ],
    ids=["ranges", "list"],
)
def test_a_header_that_tells_the_truth_passes(source: str) -> None:
    """Ranges name what is used one by one, and open ranges what is used as a list."""
    assert faults(source) == []
