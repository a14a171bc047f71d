"""Lay out table cells that span rows and columns."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_COLUMNS = 1_000
MAX_SPAN_ROWS = 10_000


@dataclass(slots=True)
class Grid:
    """Cells placed row by row; a spanning cell's text stands in every place it covers, so that each row reads whole.

    A cell that takes most of its row, such as a title across the table, is written once, and a row with nothing but
    what hangs down from above is left out.
    """

    rows: list[list[str]] = field(default_factory=list)
    _spans: list[list[tuple[int, int]]] = field(default_factory=list)  # of each row: first column, columns
    _own_text: bool = False
    _hanging: dict[int, tuple[int, str]] = field(default_factory=dict)  # column -> rows left, text from above

    def start_row(self) -> None:
        """Begin a row."""
        self.rows.append([])
        self._spans.append([])
        self._own_text = False

    def place(self, text: str, *, columns: int = 1, rows: int = 1) -> None:
        """Put a cell at the next free place of the row."""
        self._fill_hanging()
        row = self.rows[-1]
        self._own_text = self._own_text or bool(text.strip())
        columns = max(1, min(columns, MAX_COLUMNS - len(row)))
        self._spans[-1].append((len(row), columns))
        for _ in range(columns):
            if rows > 1:
                self._hanging[len(row)] = (min(rows, MAX_SPAN_ROWS), text)
            row.append(text)

    def continue_from_above(self, *, columns: int = 1) -> bool:
        """Repeat the cell above at the next place, as formats do that mark a span in each row; False at the top."""
        self._fill_hanging()
        row, above = self.rows[-1], self.rows[-2] if len(self.rows) > 1 else []
        if len(row) >= len(above):
            return False
        row.extend([above[len(row)]] * columns)
        return True

    def end_row(self) -> None:
        """Finish a row: what hangs down from above takes its places."""
        self._fill_hanging(to_end=True)
        self._hanging = {column: (left - 1, text) for column, (left, text) in self._hanging.items() if left > 1}
        if not self._own_text:
            self.rows.pop()
            self._spans.pop()

    def finished(self) -> list[list[str]]:
        """Return the rows, all of one width, without columns that are empty throughout."""
        width = max((len(row) for row in self.rows), default=0)
        padded = [row + [""] * (width - len(row)) for row in self.rows]
        for row, spans in zip(padded, self._spans, strict=True):
            for first, columns in spans:
                if spans_most(columns, width):
                    row[first + 1 : first + columns] = [""] * (columns - 1)
        kept = [column for column in range(width) if any(row[column].strip() for row in padded)]
        return [[row[column] for column in kept] for row in padded]

    def _fill_hanging(self, *, to_end: bool = False) -> None:
        row = self.rows[-1]
        while len(row) in self._hanging:
            row.append(self._hanging[len(row)][1])
        if to_end:
            for column in sorted(self._hanging):
                if column >= len(row):
                    row.extend([""] * (column - len(row)))
                    row.append(self._hanging[column][1])


def spans_most(columns: int, width: int) -> bool:
    """Whether a cell of so many columns takes more than half of a row, so that repeating it would say nothing."""
    return columns > 1 and columns * 2 > width
