"""Files that are text inside: RTF, EPUB, EML and CSV in another encoding."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from xml.sax.saxutils import escape

from making.manuscript import Block, Manuscript
from making.office import write_zip
from making.pages import WHEN, html_of

RTF_HEAD = r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\froman Times New Roman;}}"


def write_rtf(manuscript: Manuscript, path: Path) -> None:
    """Write an RTF; what ASCII lacks becomes ``\\u`` escapes."""
    title = rf"{{\info{{\title {_rtf(manuscript.title)}}}}}"
    header = rf"{{\header\pard\fs18 {_rtf(manuscript.head['header'])}\par}}"
    body = "\n".join(_rtf_block(block) for block in manuscript.blocks)
    path.write_text(f"{RTF_HEAD}{title}{header}\n{body}\n}}\n", "ascii")


def _rtf(text: str) -> str:
    plain = "".join(f"\\{c}" if c in "\\{}" else c for c in text)
    return "".join(c if ord(c) < 128 else f"\\u{ord(c)}?" for c in plain)


def _rtf_block(block: Block) -> str:
    if block.kind == "heading":
        return rf"\pard\sa160\b\fs{36 - 4 * block.level} {_rtf(block.text)}\b0\par"
    if block.kind == "table":
        return "\n".join(_rtf_row(row) for row in block.rows)
    mark = "" if block.kind == "paragraph" else r"\bullet\tab "
    return "\n".join(rf"\pard\sa120\fs22 {mark}{_rtf(line)}\par" for line in block.lines)


def _rtf_row(row: tuple[str, ...]) -> str:
    edges = "".join(rf"\cellx{4500 * number}" for number in range(1, len(row) + 1))
    cells = "".join(rf"{_rtf(cell)}\cell " for cell in row)
    return rf"\trowd{edges}\pard\intbl\fs22 {cells}\row"


def write_epub(manuscript: Manuscript, path: Path) -> None:
    """Write an EPUB 3 with one chapter for each page of the manuscript."""
    names = [f"chapter{number}.xhtml" for number in range(1, len(manuscript.pages) + 1)]
    media_type = "application/xhtml+xml"
    items = "".join(f'<item id="c{at}" href="{name}" media-type="{media_type}"/>' for at, name in enumerate(names))
    spine = "".join(f'<itemref idref="c{at}"/>' for at in range(len(names)))
    links = "".join(
        f'<li><a href="{name}">{escape(page[0].text)}</a></li>'
        for name, page in zip(names, manuscript.pages, strict=True)
    )
    identity = hashlib.sha256(manuscript.title.encode()).hexdigest()[:16]
    write_zip(
        path,
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<?xml version="1.0"?><container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="content.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
            "content.opf": '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
            'unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f'<dc:identifier id="id">tarwen:{identity}</dc:identifier><dc:title>{escape(manuscript.title)}</dc:title>'
            f"<dc:language>{manuscript.language}</dc:language>"
            f'<meta property="dcterms:modified">{time.strftime("%Y-%m-%dT%H:%M:%SZ", WHEN)}</meta></metadata>'
            '<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
            f"{items}</manifest><spine>{spine}</spine></package>",
            "nav.xhtml": _xhtml("Contents", f'<nav epub:type="toc"><ol>{links}</ol></nav>'),
            **{name: _xhtml(page[0].text, html_of(page)) for name, page in zip(names, manuscript.pages, strict=True)},
        },
    )


def _xhtml(title: str, body: str) -> str:
    names = 'xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"'
    return f'<?xml version="1.0"?><html {names}><head><title>{escape(title)}</title></head><body>{body}</body></html>'


def write_eml(manuscript: Manuscript, path: Path) -> None:
    """Write a mail; a second page of the manuscript becomes its attachment."""
    head = manuscript.head
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Date"] = head["from"], head["to"], head["date"]
    if head["cc"]:
        mail["Cc"] = head["cc"]
    mail["Subject"] = manuscript.title
    mail["Message-ID"] = f"<{hashlib.sha256(manuscript.title.encode()).hexdigest()[:20]}@tarwen.example>"
    mail.set_content(manuscript.raw_pages[0] + "\n")
    if "attachment" in head:
        mail.add_attachment(manuscript.raw_pages[1] + "\n", subtype="csv", filename=head["attachment"])
        mail.set_boundary("=_tarwen")
    path.write_bytes(mail.as_bytes())


def write_csv(manuscript: Manuscript, path: Path) -> None:
    """Write the table of a manuscript as CSV in the encoding that its head names."""
    lines = io.StringIO()
    ((_, rows),) = manuscript.sheets()
    csv.writer(lines).writerows(rows)
    path.write_bytes(lines.getvalue().encode(manuscript.head["encoding"]))
