"""HTML pages, and what a browser and a scanner make of them: PDF with text, scanned PDF, PNG and JPEG."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
import time
from html import escape
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from PIL import Image

from making.manuscript import Block, Manuscript

DPI = 150
WHEN = time.strptime("2025-08-04 09:00:00", "%Y-%m-%d %H:%M:%S")  # the date stamped in every file
PDF_WHEN = time.strftime("D:%Y%m%d%H%M%S+00'00'", WHEN).encode()

FONTS = {
    "en": '"Liberation Serif", "DejaVu Serif"',
    "zh": '"Noto Sans CJK SC", "Liberation Sans"',
}
STYLES = {
    "report": "h1 { color: #14513a; border-bottom: 3px solid #14513a } h2 { color: #14513a }",
    "manual": 'body, h1, h2 { font-family: "Liberation Sans", "Noto Sans CJK SC" } h1 { background: #1d3c63; '
    "color: white; padding: 10pt } h2 { color: #1d3c63 } th { background: #dfe7f1 }",
    "columns": "main { column-count: 2; column-gap: 9mm; text-align: justify } h1 { column-span: all; "
    "font-size: 22pt } body { font-size: 10pt } h2 { font-size: 12pt }",
    "letter": "h1 { text-align: center; letter-spacing: .04em; margin: 10mm 0 8mm }",
}
PAGE = """<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 24mm 22mm 22mm; @top-left {{ content: "{header}"; font: 8.5pt {font}; color: #555 }}
  @bottom-right {{ content: counter(page) " / " counter(pages); font: 8.5pt {font}; color: #555 }} }}
body {{ font: 12pt/1.55 {font}; margin: 0 }} h1 {{ font-size: 21pt; line-height: 1.2; margin: 0 0 6mm }}
h2 {{ font-size: 14pt; margin: 6mm 0 2mm; break-after: avoid }} p {{ margin: 0 0 3mm }} li {{ margin: 0 0 1mm }}
table {{ border-collapse: collapse; margin: 2mm 0 5mm; width: 100%; break-inside: avoid }}
th, td {{ border: .6pt solid #888; padding: 1.2mm 2mm; text-align: left; vertical-align: top }}
th {{ background: #eee }} .break {{ break-before: page }} {style}
</style></head><body><main>{body}</main></body></html>"""


def html_of(blocks: tuple[Block, ...]) -> str:
    """Return the blocks as HTML that is XML as well."""
    return "\n".join(_element(block) for block in blocks)


def _element(block: Block) -> str:
    if block.kind == "heading":
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if block.kind == "paragraph":
        return f"<p>{escape(block.text)}</p>"
    if block.kind == "table":
        head, *body = block.rows
        rows = [_row(head, tag="th"), *(_row(row, tag="td") for row in body)]
        return f"<table>{''.join(rows)}</table>"
    tag = "ul" if block.kind == "bullets" else "ol"
    return f"<{tag}>{''.join(f'<li>{escape(item)}</li>' for item in block.lines)}</{tag}>"


def _row(cells: tuple[str, ...], *, tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _whole_page(manuscript: Manuscript) -> str:
    body = '<div class="break"></div>'.join(html_of(page) for page in manuscript.pages)
    return PAGE.format(
        language=manuscript.language,
        title=escape(manuscript.title),
        header=manuscript.head["header"],
        font=FONTS[manuscript.language[:2]],
        style=STYLES[manuscript.head["style"]],
        body=body,
    )


def print_pdf(manuscript: Manuscript) -> bytes:
    """Print a manuscript with Chromium: real text, an outline of its headings, a fixed date.

    Raises:
        FileNotFoundError: Chromium is not installed.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise FileNotFoundError("Chromium is needed to print the PDF files; install it and run again")
    with tempfile.TemporaryDirectory() as folder:
        page, printed = Path(folder, "page.html"), Path(folder, "page.pdf")
        page.write_text(_whole_page(manuscript), "utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--generate-pdf-document-outline"]
        command = [browser, *options, f"--print-to-pdf={printed}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return re.sub(rb"D:\d{14}\+00'00'", PDF_WHEN, printed.read_bytes())


def scan(manuscript: Manuscript) -> list[Image.Image]:
    """Return the printed pages as a scanner sees them: grey, a little turned, with specks of dust."""
    turned = float(manuscript.head["scan"])
    dust = np.random.default_rng(seed=len(manuscript.title))
    return [
        _scanned(page.render(scale=DPI / 72, grayscale=True).to_pil(), degrees=turned, dust=dust)
        for page in pdfium.PdfDocument(print_pdf(manuscript))
    ]


def _scanned(page: Image.Image, *, degrees: float, dust: np.random.Generator) -> Image.Image:
    turned = page.rotate(degrees, resample=Image.Resampling.BICUBIC, fillcolor=255)
    grey = np.asarray(turned, dtype=np.float32) * 0.86 + 30
    specks = dust.random(grey.shape) < 0.0004
    grey[specks] = dust.uniform(60, 180, size=int(specks.sum()))
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def _with_grain(page: Image.Image) -> Image.Image:
    grain = np.random.default_rng(seed=7).normal(0, 3.5, size=(page.height, page.width))
    return Image.fromarray((np.asarray(page) + grain).clip(0, 255).astype(np.uint8))


def write_pdf(manuscript: Manuscript, path: Path) -> None:
    """Write a PDF with text or, where the head asks for a scan, one of pictures only."""
    if "scan" not in manuscript.head:
        path.write_bytes(print_pdf(manuscript))
        return
    first, *others = (_with_grain(page) for page in scan(manuscript))
    first.save(
        path, "PDF", save_all=True, append_images=others, resolution=DPI, quality=45, creationDate=WHEN, modDate=WHEN
    )


def write_png(manuscript: Manuscript, path: Path) -> None:
    """Write the first page as a PNG of eight greys, cut below its last line."""
    page = _cut(scan(manuscript)[0])
    buffer = io.BytesIO()
    page.quantize(8).save(buffer, "PNG", optimize=True, dpi=(DPI, DPI))
    path.write_bytes(buffer.getvalue())


def write_jpg(manuscript: Manuscript, path: Path) -> None:
    """Write the first page as a grainy JPEG, cut below its last line."""
    _with_grain(_cut(scan(manuscript)[0])).save(path, "JPEG", quality=60, dpi=(DPI, DPI))


def _cut(page: Image.Image) -> Image.Image:
    """Cut the page to its upper part: certificates are short, and the page number stays on the scanner."""
    return page.crop((0, 0, page.width, int(page.height * 0.78)))
