"""PPTX: each slide's title, text, tables, charts, pictures and notes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.exc import PackageNotFoundError

from core.errors import DamagedDocument
from core.records import Document, SourceFile
from ingest.archives import open_archive, parse_xml
from ingest.builder import DocumentBuilder, ListItem, ParseOptions
from ingest.grid import Grid
from ingest.parsers.ooxml import (
    A,
    PictureReader,
    R,
    add_chart,
    drawing_paragraphs,
    drawing_text,
    read_chart,
)

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
_FURNITURE = frozenset((PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.HEADER))
_BODIES = frozenset((PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT, PP_PLACEHOLDER.VERTICAL_BODY))
_TITLES = frozenset((PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE))


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a presentation; hidden slides are read too, and noted.

    Raises:
        DamagedDocument: python-pptx cannot read it.
    """
    with open_archive(path, name=source.path, options=options) as archive:
        try:
            if archive.fp is not None:
                archive.fp.seek(0)
            presentation = Presentation(archive.fp)
        except (PackageNotFoundError, KeyError, ValueError, AttributeError, TypeError) as error:
            said = f"cannot be read as a presentation ({type(error).__name__})"
            raise DamagedDocument(said, where=source.path, remedy="Open it in PowerPoint and save it again") from error
        builder = DocumentBuilder(source=source)
        reader = _SlideReader(builder, PictureReader(builder=builder, options=options))
        for number, slide in enumerate(presentation.slides, start=1):
            reader.read(slide, number)
        builder.title = reader.first_title or presentation.core_properties.title or ""
        builder.n_pages = len(presentation.slides)
        return builder.build()


class _SlideReader:
    """Adds slides to a builder; what stands on every slide is added once."""

    def __init__(self, builder: DocumentBuilder, pictures: PictureReader) -> None:
        self.builder, self.pictures = builder, pictures
        self.first_title = ""
        self._footers: set[str] = set()

    def read(self, slide: Any, number: int) -> None:
        """Add one slide: its title, its shapes in order, comments and notes."""
        builder = self.builder
        builder.close_headings()
        builder.place.slide = number
        if slide._element.get("show") == "0":
            builder.note(f"slide {number} is hidden")
        title = _title_shape(slide)
        if title is not None:
            said = " ".join(title.text_frame.text.split())
            builder.add_heading(said, level=1)
            self.first_title = self.first_title or said
        for shape in _in_order(slide.shapes):
            if title is None or shape.shape_id != title.shape_id:
                self._shape(shape, slide)
        self._comments(slide)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.replace("\v", "\n").strip()
            builder.add_text(f"Notes: {notes}" if notes else "")

    def _shape(self, shape: Any, slide: Any) -> None:
        kind = shape.placeholder_format.type if shape.is_placeholder else None
        if kind in _FURNITURE:
            return
        if shape._element.tag == f"{_P}grpSp":
            for inner in _in_order(shape.shapes):
                self._shape(inner, slide)
        elif getattr(shape, "has_table", False):
            self.builder.add_table(_table(shape.table))
        elif shape._element.tag == f"{_P}graphicFrame":
            self._graphic(shape, slide)
        elif getattr(shape, "has_text_frame", False):
            self._text(shape, kind)
        self._picture(shape, slide)

    def _text(self, shape: Any, kind: Any) -> None:
        text = shape.text_frame.text.strip()
        if kind == PP_PLACEHOLDER.FOOTER:
            if text in self._footers:
                return
            self._footers.add(text)
        items: list[ListItem] = []
        counts: dict[int, int] = {}
        for paragraph in shape.text_frame.paragraphs:
            said = drawing_text(paragraph._p)
            marker = _marker(paragraph._p, in_body=kind in _BODIES)
            if not said.strip():
                continue
            if not marker:
                self.builder.add_list(items)
                items = []
                counts.clear()
                self.builder.add_text(said)
                continue
            if marker == "1.":
                counts = {level: count for level, count in counts.items() if level <= paragraph.level}
                counts[paragraph.level] = counts.get(paragraph.level, 0) + 1
                marker = f"{counts[paragraph.level]}."
            items.append(ListItem(text=said, depth=paragraph.level, marker=marker))
        self.builder.add_list(items)

    def _graphic(self, frame: Any, slide: Any) -> None:
        for element in frame._element.iter(f"{{{_CHART}}}chart"):
            part = _related(slide, element.get(f"{R}id"))
            if part is not None:
                add_chart(self.builder, read_chart(parse_xml(part.blob, name=self.builder.source.path)))
        for element in frame._element.iter(f"{{{_DIAGRAM}}}relIds"):
            part = _related(slide, element.get(f"{R}dm"))
            if part is not None:
                root = parse_xml(part.blob, name=self.builder.source.path)
                self.builder.add_list([ListItem(text=text) for text in drawing_paragraphs(root)])

    def _picture(self, shape: Any, slide: Any) -> None:
        if shape._element.tag != f"{_P}pic" and not (shape.is_placeholder and shape._element.tag == f"{_P}sp"):
            return
        for blip in shape._element.iter(f"{A}blip"):
            part = _related(slide, blip.get(f"{R}embed"))
            if part is not None:
                self.pictures.add(part.blob, name=str(part.partname))

    def _comments(self, slide: Any) -> None:
        for relation in slide.part.rels.values():
            if relation.is_external or not relation.reltype.endswith("/comments"):
                continue
            root = parse_xml(relation.target_part.blob, name=self.builder.source.path)
            for comment in root.iter("{*}cm", "{*}reply"):
                own = [t for t in comment.iter("{*}text", f"{A}t") if _nearest_comment(t) is comment]
                text = " ".join(t.text or "" for t in own)
                self.builder.add_text(f"Comment: {text}" if text.strip() else "")


def _nearest_comment(element: Any) -> Any:
    return next(e for e in element.iterancestors() if e.tag.rpartition("}")[2] in ("cm", "reply"))


def _title_shape(slide: Any) -> Any | None:
    for shape in slide.placeholders:
        if shape.placeholder_format.type in _TITLES and shape.has_text_frame and shape.text_frame.text.strip():
            return shape
    return None


def _in_order(shapes: Any) -> Iterator[Any]:
    """Yield shapes as a file lists them, which is the order that a screen reader takes."""
    yield from shapes


def _related(slide: Any, relation_id: str | None) -> Any | None:
    relation = slide.part.rels.get(relation_id) if relation_id else None
    return None if relation is None or relation.is_external else relation.target_part


def _marker(paragraph: Any, *, in_body: bool) -> str:
    """Return "-" or "1." for a list item, "" for none; a body's paragraphs are items unless they say otherwise."""
    properties = paragraph.find(f"{A}pPr")
    if properties is not None:
        if properties.find(f"{A}buNone") is not None:
            return ""
        if properties.find(f"{A}buAutoNum") is not None:
            return "1."
        if properties.find(f"{A}buChar") is not None or properties.find(f"{A}buBlip") is not None:
            return "-"
    return "-" if in_body else ""


def _table(table: Any) -> list[list[str]]:
    grid = Grid()
    for row in table._tbl.tr_lst:
        grid.start_row()
        for cell in row.tc_lst:
            if cell.hMerge or cell.vMerge:
                continue
            text = " ".join(drawing_paragraphs(cell))
            grid.place(text, columns=cell.gridSpan, rows=cell.rowSpan)
        grid.end_row()
    return grid.finished()
