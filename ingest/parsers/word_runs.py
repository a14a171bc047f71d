"""What is inside a Word paragraph: text, line ends, fields, note marks, equations, and what hangs on it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ingest.archives import parse_xml, read_member
from ingest.builder import DocumentBuilder
from ingest.parsers.equations import M, linear
from ingest.parsers.ooxml import A, C, PictureReader, R, Relation, add_chart, drawing_paragraphs, read_chart
from ingest.parsers.word_styles import W

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_VML = "{urn:schemas-microsoft-com:vml}"
_OMITTED = frozenset(("del", "moveFrom", "instrText", "delText", "rPr", "pPr", "rt", "txbxContent"))
_SYMBOLS = {"F0B7": "•", "F0A7": "▪", "F0FC": "✓", "F0FE": "☑", "F0A8": "☐", "F0E0": "→"}
_PAGE_FIELD = re.compile(r"\b(?:PAGE|NUMPAGES)\b")
_PAGE_WORDS = re.compile(r"page|of|第|页|頁|共|/|-|–|—|\d|\s", re.I)

Add = Callable[[], None]


class ParagraphReader:
    """Reads paragraphs; what cannot stand in their text (notes, charts, pictures) is kept for :meth:`hanging`."""

    def __init__(
        self,
        builder: DocumentBuilder,
        archive: zipfile.ZipFile,
        *,
        links: Mapping[str, Relation],
        pictures: PictureReader,
    ) -> None:
        self.builder, self.archive, self.links, self.pictures = builder, archive, links, pictures
        self.notes: dict[str, dict[str, str]] = {}
        self._hanging: list[Add] = []
        self._n_notes = 0

    def text(self, paragraph: Any) -> str:
        """Return a paragraph's text and remember what hangs on it."""
        return "".join(self._pieces(paragraph, remember=True)).strip()

    def plain(self, paragraph: Any) -> str:
        """Return a paragraph's text alone."""
        return "".join(self._pieces(paragraph, remember=False)).strip()

    def hanging(self) -> list[Add]:
        """Return, and forget, what adds the notes, charts and pictures of the paragraphs read so far."""
        found, self._hanging = self._hanging, []
        return found

    def text_boxes(self, paragraph: Any) -> Iterator[Any]:
        """Yield the contents of the text boxes that are anchored in a paragraph, outermost ones only."""
        for element in _chosen(paragraph):
            if element.tag == f"{W}txbxContent":
                yield element

    def has_page_number_only(self, root: Any) -> bool:
        """Whether a page header or footer shows nothing but a page number."""
        fields = "".join(e.text or "" for e in root.iter(f"{W}instrText"))
        fields += "".join(e.get(f"{W}instr") or "" for e in root.iter(f"{W}fldSimple"))
        shown = "".join(self.plain(p) for p in root.iter(f"{W}p"))
        return bool(_PAGE_FIELD.search(fields)) and not _PAGE_WORDS.sub("", shown)

    def _pieces(self, element: Any, *, remember: bool) -> Iterator[str]:
        for child in element:
            tag = child.tag
            if not isinstance(tag, str):
                continue
            name = tag.rpartition("}")[2]
            if tag.startswith(M):
                yield from _equation(child, name)
            elif tag == f"{_MC}AlternateContent":
                yield from self._pieces(_choice(child), remember=remember)
            elif name == "r" and _is_hidden(child):
                continue
            elif name == "sdt" and (box := child.find(f"{W}sdtPr/{_W14}checkbox")) is not None:
                checked = box.find(f"{_W14}checked")
                yield "[x]" if checked is not None and checked.get(f"{_W14}val") in ("1", "true") else "[ ]"
            elif name in ("drawing", "pict", "object"):
                if remember:
                    self._drawing(child)
            elif name in ("footnoteReference", "endnoteReference"):
                yield self._note(child, f"{name.removesuffix('Reference')}s") if remember else ""
            elif name not in _OMITTED:
                said = _said(child, name)
                yield said if said is not None else "".join(self._pieces(child, remember=remember))

    def _note(self, reference: Any, kind: str) -> str:
        text = self.notes.get(kind, {}).get(reference.get(f"{W}id"), "")
        if not text:
            return ""
        self._n_notes += 1
        mark = f"[{self._n_notes}]"
        self._hanging.append(partial(self.builder.add_text, f"{mark} {text}"))
        return mark

    def _drawing(self, drawing: Any) -> None:
        for element in _chosen(drawing):
            if element.tag == f"{A}blip" and element.get(f"{R}embed"):
                self._hang(element.get(f"{R}embed"), self._picture)
            elif element.tag == f"{_VML}imagedata" and element.get(f"{R}id"):
                self._hang(element.get(f"{R}id"), self._picture)
            elif element.tag == f"{C}chart" and element.get(f"{R}id"):
                self._hang(element.get(f"{R}id"), self._chart)
            elif element.tag == f"{_DIAGRAM}relIds":
                self._hang(element.get(f"{R}dm"), self._diagram)

    def _hang(self, relation_id: str | None, add: Callable[[str, bytes], None]) -> None:
        link = self.links.get(relation_id or "")
        content = read_member(self.archive, link.target) if link is not None else None
        if link is not None and content:
            self._hanging.append(partial(add, link.target, content))

    def _picture(self, name: str, content: bytes) -> None:
        self.pictures.add(content, name=name)

    def _chart(self, name: str, content: bytes) -> None:
        add_chart(self.builder, read_chart(parse_xml(content, name=self.builder.source.path)))

    def _diagram(self, name: str, content: bytes) -> None:
        for text in drawing_paragraphs(parse_xml(content, name=self.builder.source.path)):
            self.builder.add_text(text)


def _is_hidden(run: Any) -> bool:
    mark = run.find(f"{W}rPr/{W}vanish")
    return mark is not None and mark.get(f"{W}val") not in ("0", "false")


def _said(element: Any, name: str) -> str | None:
    """Return what an element of a run says by itself; None where its children say it."""
    if name == "t":
        return element.text or ""
    if name in ("br", "cr"):
        return "" if element.get(f"{W}type") in ("page", "column") else "\n"
    if name in ("tab", "ptab"):
        return "\t"
    if name == "noBreakHyphen":
        return "-"
    if name == "sym":
        return _SYMBOLS.get((element.get(f"{W}char") or "").upper(), "")
    return None


def _equation(element: Any, name: str) -> Iterator[str]:
    """Yield an equation; several in a paragraph of their own are on a line each."""
    if name == "oMathPara":
        yield "\n".join(linear(part) for part in element.findall(f"{M}oMath"))
    elif name == "oMath":
        yield linear(element)


def _choice(alternatives: Any) -> Any:
    """Return the branch of a choice that today's Word shows."""
    found = alternatives.find(f"{_MC}Choice")
    return found if found is not None else alternatives


def _chosen(element: Any) -> Iterator[Any]:
    """Yield the elements under one, of alternatives the first only, and nothing from within a text box."""
    for child in element:
        if not isinstance(child.tag, str):
            continue
        if child.tag == f"{_MC}AlternateContent":
            yield from _chosen(_choice(child))
            continue
        yield child
        if child.tag != f"{W}txbxContent":
            yield from _chosen(child)
