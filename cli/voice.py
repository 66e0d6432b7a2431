"""What a command says while it works: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Voice:
    """Says what happened, and what is being waited for."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._status: Status | None = None

    def say(self, line: str) -> None:
        """Say what happened."""
        self.console.print(line)

    def good(self, line: str) -> None:
        """Say that something is as it should be."""
        self.console.print(f"[green]✓[/] {line}")

    def bad(self, line: str) -> None:
        """Say that something is not as it should be."""
        self.console.print(f"[red]✗[/] {line}")

    @contextmanager
    def waiting(self, for_what: str) -> Iterator[None]:
        """Show what is being waited for; where nothing can be shown and taken back, say it."""
        if not self.console.is_terminal:
            self.console.print(f"  waiting for {for_what} …")
            yield
            return
        with self.console.status(f"waiting for {for_what} …") as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def update(self, for_what: str) -> None:
        """Say more exactly what is being waited for, where that can be shown."""
        if self._status is not None:
            self._status.update(f"waiting for {for_what} …")
