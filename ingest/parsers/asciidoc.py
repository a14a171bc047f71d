"""AsciiDoc: sections, lists, tables, blocks and admonitions, without the markup of the line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ListItem, ParseOptions
from ingest.encodings import decode, encoding_note
from ingest.grid import Grid

_HEADING = re.compile(r"^(={1,6}|#{1,6})\s+(\S.*)$")
_ATTRIBUTE = re.compile(r"^:(!?[\w-]+!?):\s*(.*)$")
_BLOCK_ATTRIBUTES = re.compile(r"^\[.*\]\s*$")
_BLOCK_TITLE = re.compile(r"^\.([^\s.].*)$")
_BULLET = re.compile(r"^(\s*)(\*{1,5}|-)\s+(\S.*)$")
_NUMBERED = re.compile(r"^(\s*)(\.{1,5}|\d+\.)\s+(\S.*)$")
_TERM = re.compile(r"^(\s*)(\S.*?)(:{2,4}|;;)(?:\s+(.*))?$")
_MACRO = re.compile(r"^(?:image|video|audio|include|toc)::(.*?)\[(.*?)\]\s*$")
_DIRECTIVE = re.compile(r"^(?:ifdef|ifndef|ifeval|endif)::.*\[.*\]\s*$")
_FENCE = re.compile(r"^(-{4,}|\.{4,}|`{3,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|--)(?:\w*)\s*$")
_VERBATIM = frozenset("-.`+")
_COMMENT = re.compile(r"^//(?!/)")
_TABLE_FENCE = re.compile(r"^[|,:!]={3,}\s*$")
# A cell's own format: span or repeat, alignment, style; styles are lower-case letters, and a cell "a" is not one.
_CELL = re.compile(r"(?:^|(?<=\s))((?:\d*(?:\.\d+)?[+*])?(?:[<^>]?(?:\.[<^>])?)?[adehlms]?)(?<!\\)\|")
_SPAN = re.compile(r"(\d*)(?:\.(\d+))?\+")
_INLINE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\[\[[^\]]*\]\]|\[#[\w-]+\](?=[#*_`])|\(\(\(.*?\)\)\)"), ""),
    (re.compile(r"(?:link|xref|mailto):[^\s\[]*\[([^\]]+)\]"), r"\1"),
    (re.compile(r"(?:https?|ftp)://[^\s\[\]]+\[([^\],^]+)[^\]]*\]"), r"\1"),
    (re.compile(r"<<[^,>]+,\s*([^>]+)>>"), r"\1"),
    (re.compile(r"<<([^,>]+)>>"), r"\1"),
    (re.compile(r"(?:btn|kbd|pass|stem|latexmath|menu|footnote|icon):\w*\[([^\]]*)\]"), r"\1"),
    (re.compile(r"image:[^\s\[:][^\s\[]*\[([^\],]*)[^\]]*\]"), r"\1"),
    (re.compile(r"(\*\*|__|``|##)(\S|\S.*?\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*\\])\*(\S|\S.*?\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_\\])_(\S|\S.*?\S)_(?![\w_])"), r"\1"),
    (re.compile(r"(?<![\w`\\])`\+?(\S|\S.*?\S)\+?`(?![\w`])"), r"\1"),
    (re.compile(r"(?<![\w#\\])#(\S|\S.*?\S)#(?![\w#])"), r"\1"),
    (re.compile(r"(?<=\w)[~^](\S+?)[~^]"), r"\1"),
    (re.compile(r"\\(?=[*_`#{\[<])"), ""),
)


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse an AsciiDoc file; files it would include are not read."""
    text, encoding = decode(path.read_bytes())
    builder = DocumentBuilder(source=source, notes=list(encoding_note(encoding)))
    _Reader(builder=builder, lines=text.expandtabs(4).split("\n")).read()
    return builder.build()


@dataclass(slots=True)
class _Reader:
    builder: DocumentBuilder
    lines: list[str]
    n: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    paragraph: list[str] = field(default_factory=list)
    items: list[ListItem] = field(default_factory=list)
    markers: list[str] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    continued: bool = False

    def read(self) -> None:
        """Add every block."""
        while self.n < len(self.lines):
            line = self.lines[self.n].rstrip()
            self.n += 1
            self._line(line)
        self._flush()

    def _line(self, line: str) -> None:
        stripped = line.strip()
        if not stripped:
            self._end_paragraph()
        elif stripped == "+":
            self._end_paragraph()
            self.continued = bool(self.items)
        elif _TABLE_FENCE.match(stripped):
            self._flush()
            self._table(self._until(stripped), separator="," if stripped[0] == "," else "|")
        elif _FENCE.match(stripped):
            self._fenced(stripped)
        elif self._is_silent(stripped):
            return
        elif heading := _HEADING.match(line):
            self._flush()
            title = self._inline(heading.group(2))
            self.builder.title = self.builder.title or title
            self.builder.add_heading(title, level=len(heading.group(1)))
        elif stripped.startswith("|") and not self.paragraph:
            self._flush()
            self.n -= 1
            self._table(self._bare_rows(), separator="|")
        elif caption := _BLOCK_TITLE.match(line):
            self._flush()
            self.builder.add_text(self._inline(caption.group(1)), kind="caption")
        elif not self._list_line(line):
            self._text(stripped)

    def _is_silent(self, line: str) -> bool:
        """Take lines that say something to the processor and nothing to a reader."""
        if attribute := _ATTRIBUTE.match(line):
            self.attributes[attribute.group(1)] = attribute.group(2)
            return not self.paragraph
        if macro := _MACRO.match(line):
            alternative = macro.group(2).split(",")[0].split("=")[0].strip()
            if line.startswith("image::") and alternative:
                self._end_paragraph()
            return True
        return bool(_DIRECTIVE.match(line) or _COMMENT.match(line) or _BLOCK_ATTRIBUTES.match(line)) or line in (
            "'''",
            "<<<",
        )

    def _list_line(self, line: str) -> bool:
        bullet, numbered = _BULLET.match(line), _NUMBERED.match(line)
        found = bullet or numbered
        if found:
            self._end_paragraph(keep_list=True)
            depth = self._depth(found.group(1), found.group(2))
            self.counts = {d: c for d, c in self.counts.items() if d <= depth}
            self.counts[depth] = self.counts.get(depth, 0) + 1
            marker = "-" if bullet else f"{self.counts[depth]}."
            self.items.append(ListItem(text=self._inline(found.group(3)), depth=depth, marker=marker))
            self.continued = True
            return True
        term = _TERM.match(line) if not self.paragraph else None
        if term:
            self._end_paragraph(keep_list=True)
            said = f"{self._inline(term.group(2))}: {self._inline(term.group(4) or '')}"
            self.items.append(ListItem(text=said, depth=self._depth(term.group(1), term.group(3))))
            self.continued = True
            return True
        return False

    def _depth(self, indent: str, marker: str) -> int:
        kind = indent + (marker if not marker[0].isdigit() else "1.")
        if kind in self.markers:
            del self.markers[self.markers.index(kind) + 1 :]
        else:
            self.markers.append(kind)
        return len(self.markers) - 1

    def _text(self, line: str) -> None:
        if self.items and self.continued:
            last = self.items[-1]
            joined = f"{last.text} {self._inline(line)}"
            self.items[-1] = ListItem(text=joined, depth=last.depth, marker=last.marker)
            return
        if self.items:
            self._flush()
        self.paragraph.append(line)

    def _end_paragraph(self, *, keep_list: bool = True) -> None:
        if self.paragraph:
            joined = re.sub(r"\s\+\n", "\v", "\n".join(self.paragraph)).replace("\n", " ").replace("\v", "\n")
            self.builder.add_text(self._inline(joined))
            self.paragraph.clear()
        self.continued = False
        if not keep_list:
            self._flush()

    def _flush(self) -> None:
        self._end_paragraph()
        self.builder.add_list(self.items)
        self.items.clear()
        self.markers.clear()
        self.counts.clear()

    def _fenced(self, fence: str) -> None:
        mark = fence[0] if fence != "--" else "="
        if mark == "/":
            self._until(fence)
            return
        if mark in _VERBATIM:
            self._flush()
            fence = "```" if mark == "`" else fence
            self.builder.add_text("\n".join(self._until(fence)), kind="code")
        else:  # example, sidebar, quote and open blocks hold ordinary blocks: only the fences go
            self._flush()

    def _until(self, fence: str) -> list[str]:
        first = self.n
        while self.n < len(self.lines) and self.lines[self.n].strip() != fence:
            self.n += 1
        self.n += 1
        return self.lines[first : self.n - 1]

    def _bare_rows(self) -> list[str]:
        first = self.n
        while self.n < len(self.lines) and self.lines[self.n].strip().startswith("|"):
            self.n += 1
        return self.lines[first : self.n]

    def _table(self, lines: list[str], *, separator: str) -> None:
        if separator == ",":
            self.builder.add_table([[self._inline(cell) for cell in line.split(",")] for line in lines if line.strip()])
            return
        grid = Grid()
        width = len(_cells(next((line for line in lines if line.strip()), "")))
        row: list[tuple[str, int, int]] = []
        for line in lines:
            cells = _cells(line)
            if not cells and row and line.strip():
                text, columns, rows = row[-1]
                row[-1] = (f"{text} {line.strip()}", columns, rows)
            full = sum(columns for _, columns, _ in row) >= width
            if row and (full or not line.strip()) and (cells or not line.strip()):
                self._add_row(grid, row)
                row = []
            row += cells
        self._add_row(grid, row)
        self.builder.add_table(grid.finished())

    def _add_row(self, grid: Grid, row: list[tuple[str, int, int]]) -> None:
        if row:
            grid.start_row()
            for text, columns, rows in row:
                grid.place(self._inline(text), columns=columns, rows=rows)
            grid.end_row()

    def _inline(self, text: str) -> str:
        text = re.sub(r"\{([\w-]+)\}", lambda found: self.attributes.get(found.group(1), found.group()), text)
        for pattern, replacement in _INLINE:
            text = pattern.sub(replacement, text)
        return text.strip()


def _cells(line: str) -> list[tuple[str, int, int]]:
    """Return the cells that start on a line: text, columns and rows spanned."""
    line = line.strip()
    pieces = list(_CELL.finditer(line)) if "|" in line else []
    starts = [(found.end(), found.group(1), found.start()) for found in pieces]
    for found in re.finditer(r"(?<=\S)\|", line):  # "|Cell 4 ||": cells without a space before the bar
        if all(found.end() != end for end, _, _ in starts):
            starts.append((found.end(), "", found.start()))
    starts.sort()
    cells = []
    for n, (begin, form, _) in enumerate(starts):
        end = starts[n + 1][2] if n + 1 < len(starts) else len(line)
        span = _SPAN.match(form)
        columns, rows = (int(span.group(1) or 1), int(span.group(2) or 1)) if span else (1, 1)
        cells.append((line[begin:end].strip(), columns, rows))
    return cells
