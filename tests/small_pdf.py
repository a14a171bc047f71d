"""PDFs written by hand, small and exact, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.records import SourceFile

LETTER = (612, 792)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: its content stream and what its dictionary says; ``extra`` is written as it is."""

    content: str = ""
    size: tuple[float, float] = LETTER
    rotate: int = 0
    crop: tuple[float, float, float, float] | None = None
    extra: str = ""


def text(x: float, y: float, words: str, *, size: float = 11, bold: bool = False, mode: int = 0) -> str:
    """Return the operators that show ``words`` with their baseline at (x, y), y counted from the bottom."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{'B' if bold else 'R'} {size} Tf {mode} Tr 1 0 0 1 {x} {y} Tm ({escaped}) Tj ET\n"


def lines(x: float, y: float, texts: Sequence[str], *, size: float = 11, leading: float = 13.5) -> str:
    """Return the operators that show lines one below the other."""
    return "".join(text(x, y - i * leading, line, size=size) for i, line in enumerate(texts))


def rule(x0: float, y0: float, x1: float, y1: float) -> str:
    """Return the operators that draw a hairline."""
    return f"0.5 w {x0} {y0} m {x1} {y1} l S\n"


def pdf_bytes(pages: Sequence[Page], *, objects: Sequence[str] = (), catalog: str = "", info: str = "") -> bytes:
    """Return a PDF.

    Objects 1 to 5 are catalog, page tree, the two fonts and the information dictionary; ``objects`` follow from 6;
    page ``i`` is object ``6 + len(objects) + 2 * i``.
    """
    first = 6 + len(objects)
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(pages)))
    bodies = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        f"<< {info} >>",
        *objects,
    ]
    for i, page in enumerate(pages):
        width, height = page.size
        crop = f"/CropBox [{' '.join(map(str, page.crop))}]" if page.crop else ""
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] {crop} /Rotate {page.rotate}"
            f" /Resources << /Font << /R 3 0 R /B 4 0 R >> >> /Contents {first + 2 * i + 1} 0 R {page.extra} >>"
        )
        bodies.append(f"<< /Length {len(page.content.encode('cp1252'))} >>\nstream\n{page.content}\nendstream")
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    start = len(out)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}".encode()
    out += f"trailer\n<< /Size {len(bodies) + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def source_of(path: Path, *, media_type: str = "application/pdf") -> SourceFile:
    """Return the record of a file as the scan would."""
    return SourceFile(
        path=path.name,
        location=str(path),
        sha256="0" * 64,
        media_type=media_type,
        size_bytes=path.stat().st_size,
        modified=0.0,
    )
