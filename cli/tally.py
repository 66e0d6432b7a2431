"""What the calls to Zapier are for: a Zap of three popups, dynamic fields and mappings, built as a user would.

The simulator counts; what it has counted since the last entry is what the step in between was for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from cli.builder import CONTACTS, ENTRIES, ROWS, Builder, calls, created
from cli.remote import Json

THREE_POPUPS: Final = (ENTRIES, ROWS, CONTACTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """So many calls to an endpoint were for this."""

    what_for: str
    endpoint: str
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Everything that was asked, as the simulator counted it; `wrong` says what did not come out as it should."""

    entries: list[Entry]
    zaps: list[Json]
    upstream_calls: int
    wrong: list[str]


@dataclass(slots=True)
class Tally:
    """Keeps account of what one builder does."""

    builder: Builder
    entries: list[Entry] = field(default_factory=list)

    def keep(self) -> Account:
        """Have a Zap built, and return the account. Raises CommandError when something does not happen at all."""
        builder, before = self.builder, self.builder.stats()
        with self._entry("whose token it is"):
            builder.sign_in()
        builder.begin("Entries become rows and contacts")
        for name in builder.apps:
            self._connect(name)
        for name in builder.apps:
            with self._entry(f"{name}: what it can do"):
                builder.choose_action(name)
            sample = f"{builder.apps[0]}: a sample of what it gives"
            with self._entry(f"{name}: what it asks for, as it is filled", outputs=sample):
                builder.fill(name)
        with self._entry("the Zap"):
            builder.create()
        after = builder.stats()
        total = calls(before, after)
        wrong = builder.complaints(before, after)
        if total != sum(entry.calls for entry in self.entries):
            wrong.append("there were calls that were for nothing of this")
        return Account(entries=self.entries, zaps=created(before, after), upstream_calls=total, wrong=wrong)

    def _connect(self, name: str) -> None:
        builder = self.builder
        with self._entry("the apps to choose from, with their popup addresses"):
            app_id = builder.find_app(name)
        with self._entry(f"{name}: what is connected before the popup"):
            builder.give_app(name, app_id)
        with self._entry(f"{name}: whether what the popup says is true"):
            attempt_id = builder.open_popup(name)
            made = builder.connect(name)
            builder.signal(name, attempt_id, kind="message", authentication_id=made)
            builder.await_resolution(name)

    @contextmanager
    def _entry(self, what_for: str, *, outputs: str | None = None) -> Iterator[None]:
        """Note what is asked meanwhile; `outputs` says what those are read for, if not for the same."""
        before = _by_endpoint(self.builder.stats())
        yield
        after = _by_endpoint(self.builder.stats())
        counted = ((endpoint, count - before.get(endpoint, 0)) for endpoint, count in after.items())
        self.entries += [
            Entry(
                what_for=outputs if outputs is not None and endpoint.endswith("/outputs") else what_for,
                endpoint=endpoint,
                calls=count,
            )
            for endpoint, count in counted
            if count
        ]


def _by_endpoint(stats: Json) -> dict[str, int]:
    return {name: sum(outcomes.values()) for name, outcomes in stats["requests"]["by_endpoint"].items()}
