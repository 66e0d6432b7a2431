"""A walk down an index whose members are grouped by what they are found by, in the order of age."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from orchestrator.store.scripts import Call, Reply

LOOKED_AT: Final = 2_000
"""Index members one run of `lua/find.lua` looks at, so that it never holds the server up."""


@dataclass(slots=True)
class Walk:
    """How far down one index we are, and the places that were found on the way."""

    index: str
    below: str
    found: list[str] = field(default_factory=list)
    goes_on: bool = True

    def call(self, prefixes: list[str], *, wanted: int, looked_at: int) -> Call:
        """Return the call that walks on."""
        return Call("find", [self.index], [self.below, wanted, looked_at, *prefixes])

    def advance(self, reply: Reply) -> None:
        """Take what the call found."""
        tag, below, places = reply
        self.goes_on = tag == b"more"
        self.below = below.decode()
        self.found += [place.decode() for place in places]
