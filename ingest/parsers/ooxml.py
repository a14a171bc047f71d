"""What Word, Excel and PowerPoint files share: relations between parts, charts, and pictures with text in them."""

from __future__ import annotations

import hashlib
import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from core.errors import BombSuspected, DamagedDocument
from ingest.archives import parse_xml, read_member
from ingest.builder import DocumentBuilder, ParseOptions

R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_CHART_KINDS = frozenset(
    "barChart bar3DChart lineChart line3DChart pieChart pie3DChart areaChart area3DChart scatterChart doughnutChart "
    "radarChart bubbleChart stockChart surfaceChart surface3DChart ofPieChart".split()
)
_PICTURE_ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp")
_LEAST_PICTURE_BYTES = 1_500  # icons and rules have no text
MAX_PICTURES = 60  # a document; each takes about a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A link from one part of a package to another; ``kind`` is the last word of its type."""

    kind: str
    target: str


def relations(archive: zipfile.ZipFile, part: str, *, name: str) -> dict[str, Relation]:
    """Return the relations of a part by id; those that lead out of the package are left out."""
    folder, _, file = part.rpartition("/")
    content = read_member(archive, f"{folder}/_rels/{file}.rels" if folder else f"_rels/{file}.rels")
    if content is None:
        return {}
    found: dict[str, Relation] = {}
    for element in parse_xml(content, name=name):
        target = element.get("Target") or ""
        if element.get("TargetMode") == "External" or not target:
            continue
        path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        found[element.get("Id") or ""] = Relation(kind=(element.get("Type") or "").rpartition("/")[2], target=path)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart's words and values; the first row of ``rows`` names the series, the first column the categories."""

    title: str
    rows: list[list[str]]


def read_chart(root: Any) -> Chart:
    """Return what a DrawingML chart says, from the values that were stored with it."""
    chart = root.find(f"{C}chart")
    chart = root if chart is None else chart
    heading = chart.find(f"{C}title")
    series = [found for kind in chart.iter() if _local(kind) in _CHART_KINDS for found in kind.findall(f"{C}ser")]
    names = [_joined(one.find(f"{C}tx")) or f"Series {n}" for n, one in enumerate(series, start=1)]
    columns = [_points(one.find(f"{C}val"), one.find(f"{C}yVal")) for one in series]
    categories: dict[int, str] = {}
    for one in series:
        for index, text in _points(one.find(f"{C}cat"), one.find(f"{C}xVal")).items():
            categories.setdefault(index, text)
    indices = sorted({index for column in columns for index in column} | set(categories))
    rows = [["", *names]] if series else []
    rows += [[categories.get(i, str(i + 1)), *(column.get(i, "") for column in columns)] for i in indices]
    return Chart(title=_joined(heading), rows=rows)


def add_chart(builder: DocumentBuilder, chart: Chart) -> None:
    """Add a chart as its title and a table of its values."""
    builder.add_text(chart.title, kind="caption")
    builder.add_table(chart.rows)


def drawing_paragraphs(element: Any) -> Iterator[str]:
    """Yield the text of each DrawingML paragraph under an element, where it has any."""
    for paragraph in element.iter(f"{A}p"):
        text = drawing_text(paragraph)
        if text.strip():
            yield text


def drawing_text(paragraph: Any) -> str:
    """Return the text of one DrawingML paragraph, a line break within it as "\\n"."""
    pieces = []
    for inner in paragraph.iter(f"{A}t", f"{A}br", f"{A}tab"):
        pieces.append("\n" if inner.tag == f"{A}br" else "\t" if inner.tag == f"{A}tab" else inner.text or "")
    return "".join(pieces)


@dataclass(slots=True)
class PictureReader:
    """Recognizes the text in a document's pictures, each picture once."""

    builder: DocumentBuilder
    options: ParseOptions
    _seen: set[bytes] = field(default_factory=set)

    def add(self, content: bytes | None, *, name: str) -> None:
        """Add the text that a picture shows, one line a line; a picture that cannot be read becomes a note."""
        text = self.text(content, name=name)
        if text:
            self.builder.add_text(text)

    def text(self, content: bytes | None, *, name: str) -> str:
        """Return the text that a picture shows, "" for none, for a drawing, and for one that was read before."""
        if not self.options.ocr or not content or not name.lower().endswith(_PICTURE_ENDS):
            return ""
        digest = hashlib.sha256(content).digest()
        if len(content) < _LEAST_PICTURE_BYTES or digest in self._seen:
            return ""
        if len(self._seen) >= MAX_PICTURES:
            self.builder.note(f"only the first {MAX_PICTURES} pictures were searched for text")
            return ""
        self._seen.add(digest)
        from ingest.ocr import recognize_image  # loads its models, which most documents do not need

        try:
            lines = recognize_image(content)
        except (DamagedDocument, BombSuspected) as error:
            self.builder.note(f"picture {posixpath.basename(name)} was not searched for text: it {error.what}")
            return ""
        return "\n".join(line.text for line in lines)


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _joined(element: Any | None) -> str:
    """Return the words of a title or a series' name, whether written or stored from cells."""
    if element is None:
        return ""
    written = " ".join(" ".join(drawing_paragraphs(element)).split())
    return written or " ".join(v.text or "" for v in element.iter(f"{C}v")).strip()


def _points(*holders: Any | None) -> dict[int, str]:
    """Return stored values by index; of categories in several levels, the innermost."""
    holder = next((found for found in holders if found is not None), None)
    if holder is None:
        return {}
    levels = holder.findall(f".//{C}lvl")
    points = (levels[0] if levels else holder).iter(f"{C}pt")
    return {int(p.get("idx") or 0): _number(p.findtext(f"{C}v") or "") for p in points}


def _number(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return text
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.12g}"
