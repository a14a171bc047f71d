"""Find tables whose cells are drawn: rules that meet make a grid, and words belong to the cell they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ingest.parsers.pdf_cells import Cell, Table, TableRow, cell_text, is_number, is_year, reverse
from ingest.parsers.pdf_flow import join_lines
from ingest.parsers.pdf_layout import Rule, Segment, Word, is_right_to_left

_NEAR = 3.5  # points within which rules meet
_MAX_CELL = 300  # characters on average; more is a page laid out in frames
_MAX_RULES = 1500  # a page with more is a drawing


@dataclass(slots=True)
class _Grid:
    xs: list[float]
    ys: list[float]
    rules: list[Rule]


def drawn_tables(words: Sequence[Word], rules: Sequence[Rule]) -> tuple[list[Table], list[Word]]:
    """Return the tables whose cells are drawn on the page, and the words that stand in none of them."""
    tables: list[Table] = []
    left = list(words)
    for grid in _grids(rules):
        inside = [w for w in left if _within(w, grid)]
        table = _filled_in(grid, inside)
        if table is not None:
            tables.append(table)
            taken = {id(w) for w in inside}
            left = [w for w in left if id(w) not in taken]
    return tables, left


def _within(word: Word, grid: _Grid) -> bool:
    x, y = (word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2
    return grid.xs[0] <= x <= grid.xs[-1] and grid.ys[0] <= y <= grid.ys[-1]


def _grids(rules: Sequence[Rule]) -> list[_Grid]:
    level = [r for r in rules if r.level and r.x1 - r.x0 > 8]
    standing = [r for r in rules if not r.level and r.y1 - r.y0 > 5]
    if not standing or len(level) < 2 or len(level) + len(standing) > _MAX_RULES:
        return []
    grids = []
    for group in _connected([*level, *standing]):
        across, down = [r for r in group if r.level], [r for r in group if not r.level]
        if len(across) < 2 or not down:
            continue
        ends = [min(r.x0 for r in across), max(r.x1 for r in across)]
        xs = _clustered([*((r.x0 + r.x1) / 2 for r in down), *ends])
        ys = _clustered([*((r.y0 + r.y1) / 2 for r in across), *(r.y0 for r in down), *(r.y1 for r in down)])
        if len(xs) >= 3 and len(ys) >= 3:
            grids.append(_Grid(xs, ys, group))
    return sorted(grids, key=lambda g: (g.ys[0], g.xs[0]))


def _connected(rules: list[Rule]) -> list[list[Rule]]:
    """Group rules that touch, directly or through others."""
    groups: list[list[Rule]] = []
    left = list(rules)
    while left:
        group, frontier = [], [left.pop()]
        while frontier:
            rule = frontier.pop()
            group.append(rule)
            touching = [r for r in left if _touch(rule, r)]
            frontier.extend(touching)
            found = {id(r) for r in touching}
            left = [r for r in left if id(r) not in found]
        groups.append(group)
    return groups


def _touch(a: Rule, b: Rule) -> bool:
    return a.x0 - _NEAR <= b.x1 and b.x0 - _NEAR <= a.x1 and a.y0 - _NEAR <= b.y1 and b.y0 - _NEAR <= a.y1


def _clustered(values: Sequence[float]) -> list[float]:
    """Return sorted values, those that nearly coincide taken as one."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][-1] <= _NEAR:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [median(group) for group in groups]


def _filled_in(grid: _Grid, words: Sequence[Word]) -> Table | None:
    """Put words into the cells of a grid; None when it is a frame or a drawing rather than a table."""
    n_rows, n_columns = len(grid.ys) - 1, len(grid.xs) - 1
    owners = _owners(grid)
    cells: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        row = _slot(grid.ys, (word.y0 + word.y1) / 2)
        column = _slot(grid.xs, (word.x0 + word.x1) / 2)
        cells.setdefault(owners[row][column], []).append(word)
    if len({r for r, _ in cells}) < 2 or len({c for _, c in cells}) < 2:
        return None
    found = {at: _cell_lines(inside) for at, inside in cells.items()}
    bold = {at: all(word.bold for word in inside) for at, inside in cells.items()}
    if sum(len(line.text) for lines in found.values() for line in lines) / len(found) > _MAX_CELL:
        return None
    table = Table()
    for r in range(n_rows):
        lines = [found.get((r, c), []) for c in range(n_columns)]
        depths = {len(cell) for cell in lines if cell}
        if not depths:
            continue
        if len(depths) == 1 and max(depths) >= 3 and sum(map(bool, lines)) > 1:
            # Rows of values within one drawn row stand line by line.
            table.rows.extend(TableRow([_cell(cell[i : i + 1]) for cell in lines]) for i in range(max(depths)))
        else:
            table.rows.append(TableRow([_cell(cell) for cell in lines]))
    _drop_empty_columns(table)
    top = min(r for r, _ in cells)
    distinct = all(b for (r, _), b in bold.items() if r == top) and not all(bold.values())
    values = any(is_number(c) and not is_year(c) for c in table.rows[0].texts[1:])
    # Two columns without a distinct first row are names and values, such as a form's.
    table.has_header = not values and (distinct or len(table.rows[0].cells) > 2)
    if sum(any(is_right_to_left(line.text) for line in lines) for lines in found.values()) * 2 > len(found):
        reverse(table)
    return table


def _drop_empty_columns(table: Table) -> None:
    kept = [i for i in range(len(table.rows[0].cells)) if any(row.cells[i].text for row in table.rows)]
    for row in table.rows:
        row.cells = [row.cells[i] for i in kept]


def _slot(edges: Sequence[float], at: float) -> int:
    return next((i for i in range(len(edges) - 2, 0, -1) if at >= edges[i]), 0)


def _owners(grid: _Grid) -> list[list[tuple[int, int]]]:
    """Return for each cell the top left cell of the merged cell that it belongs to."""
    standing = [r for r in grid.rules if not r.level]
    level = [r for r in grid.rules if r.level]
    owners: list[list[tuple[int, int]]] = []
    for r in range(len(grid.ys) - 1):
        y = (grid.ys[r] + grid.ys[r + 1]) / 2
        owners.append([])
        for c in range(len(grid.xs) - 1):
            x = (grid.xs[c] + grid.xs[c + 1]) / 2
            if c and not any(
                abs((s.x0 + s.x1) / 2 - grid.xs[c]) <= _NEAR and s.y0 - 1 <= y <= s.y1 + 1 for s in standing
            ):
                owners[r].append(owners[r][c - 1])
            elif r and not any(
                abs((s.y0 + s.y1) / 2 - grid.ys[r]) <= _NEAR and s.x0 - 1 <= x <= s.x1 + 1 for s in level
            ):
                owners[r].append(owners[r - 1][c])
            else:
                owners[r].append((r, c))
    return owners


def _cell_lines(words: Sequence[Word]) -> list[Segment]:
    """Return the lines of a cell, top to bottom; words that run up or down, such as narrow headings, make one."""
    if any(word.turn for word in words):
        return [Segment(list(words))]
    lines: list[list[Word]] = []
    for word in words:
        if lines and lines[-1][0].y0 < (word.y0 + word.y1) / 2 < lines[-1][0].y1:
            lines[-1].append(word)
        else:
            lines.append([word])
    return [Segment(line) for line in sorted(lines, key=lambda line: line[0].y0)]


def _cell(lines: Sequence[Segment]) -> Cell:
    cell = Cell()
    for line in lines:
        cell.add("", line.bounds)
    cell.text = cell_text(join_lines([line.text for line in lines]))
    return cell
