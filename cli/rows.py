"""Rows on a terminal, laid out so that whatever somebody may want to copy stays in one piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

Cell: TypeAlias = Text | str

LONGEST_WHOLE: Final = 48
"""Words of up to so many columns are never broken: every id of ours and of Zapier's, and most of other people's."""

_COMFORTABLE: Final = (24, 16)
"""So many columns at least for what is read in lines, if it has that much to say; or else so many."""

_GAP: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Values by their headers, in as many columns as there is room for.

    Where there is none for a column each, those of one group stand under one another, the empty ones left out; and
    where the groups have no room either, each value has its line, beside its header. `numbers` are to the right.
    A header under which nothing stands is left out.
    """

    groups: Sequence[Sequence[str]]
    rows: Sequence[Mapping[str, Cell]]
    numbers: frozenset[str] = frozenset()
    title: str | None = None

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Take the widest layout that fits."""
        filled = ([header for header in group if any(row[header] for row in self.rows)] for group in self.groups)
        groups = [group for group in filled if group]
        headers = [*chain.from_iterable(groups)]
        rows = [[_text(row[header]) for header in headers] for row in self.rows]
        in_groups = [", ".join(group) for group in groups], [_grouped(row, groups) for row in rows]
        layouts = (
            _Layout(headers=names, rows=values, comfortable=comfortable)
            for comfortable in _COMFORTABLE
            for names, values in ((headers, rows), in_groups)
        )
        fitting = next((layout for layout in layouts if layout.fits(options.max_width)), None)
        if self.title is not None:
            yield Text(self.title, style="italic")
        yield _one_by_one(headers, rows) if fitting is None else fitting.drawn(options.max_width, self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Columns beside one another."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Text]]
    comfortable: int

    def fits(self, width: int) -> bool:
        """Tell whether every column has as much room as it wants at least."""
        return sum(least for least, _ in self._wishes()) <= self._room(width)

    def drawn(self, width: int, numbers: frozenset[str]) -> Table:
        """Draw the columns: what is left when each has what it wants at least goes first to those that want little."""
        wishes = self._wishes()
        widths = [least for least, _ in wishes]
        spare = self._room(width) - sum(widths)
        by_wish = sorted((most - least, place) for place, (least, most) in enumerate(wishes))
        for wanting, (more, place) in zip(range(len(by_wish), 0, -1), by_wish, strict=True):
            given = min(more, spare // wanting)
            widths[place] += given
            spare -= given
        table = Table(box=None, header_style="bold", padding=(0, _GAP, 0, 0), pad_edge=False)
        for header, column in zip(self.headers, widths, strict=True):
            table.add_column(header, width=column, overflow="fold", justify="right" if header in numbers else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def _room(self, width: int) -> int:
        return width - _GAP * (len(self.headers) - 1)

    def _wishes(self) -> list[tuple[int, int]]:
        """Return for each column the width that it wants at least, and that of its longest line."""
        return [
            self._wish(header, [row[place].plain for row in self.rows]) for place, header in enumerate(self.headers)
        ]

    def _wish(self, header: str, texts: Sequence[str]) -> tuple[int, int]:
        word = max(cell_len(word) for text in (header, *texts) for word in text.split())
        line = max((cell_len(line) for text in texts for line in text.split("\n")), default=0)
        return max(min(word, LONGEST_WHOLE), min(line, self.comfortable)), max(line, cell_len(header))


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _grouped(row: Sequence[Text], groups: Sequence[Sequence[str]]) -> list[Text]:
    cells = iter(row)
    return [Text("\n").join([cell for _, cell in zip(group, cells, strict=False) if cell]) for group in groups]


def _one_by_one(headers: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, _GAP, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for place, row in enumerate(rows):
        if place:
            table.add_row()
        for header, cell in zip(headers, row, strict=True):
            if cell:
                table.add_row(header, cell)
    return table
