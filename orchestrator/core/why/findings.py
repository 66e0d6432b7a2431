"""What is found: one thing there is to say, and all of them in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """How it stands, in a word."""

    OVER = "over"
    FINE = "fine"
    USER = "user"
    WORKING = "working"
    STUCK = "stuck"
    UNKNOWN = "unknown"


_GRAVEST: Final = (Verdict.UNKNOWN, Verdict.STUCK, Verdict.USER, Verdict.WORKING, Verdict.FINE, Verdict.OVER)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing there is to say: `code` stays the same, `says` and `do` are for people; `do` None: nothing to be done.

    `verdict` is what it alone makes of the whole. `can_wait`: what is under way is graver.
    """

    code: str
    says: str
    verdict: Verdict
    do: str | None = None
    step_id: str | None = None
    can_wait: bool = False


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Everything there is to say, the gravest first. `title`: what people call that of which it is said, if known."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    title: str | None = None

    @classmethod
    def of(cls, findings: Iterator[Finding], *, title: str | None) -> Diagnosis:
        """Put what was found in order; what is equally grave stays in its order."""
        ordered = tuple(sorted(findings, key=_gravity))
        return cls(verdict=ordered[0].verdict, findings=ordered, title=title)


def _gravity(finding: Finding) -> tuple[int, bool]:
    """Return by what findings are ordered: what can wait comes after what goes on by itself."""
    return _GRAVEST.index(Verdict.WORKING if finding.can_wait else finding.verdict), finding.can_wait
