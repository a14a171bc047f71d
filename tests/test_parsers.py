"""Every row of the table of parsers, on a real small file of its type; then mail and old Office files in depth."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from PIL import Image, ImageDraw, ImageFont

from core.errors import DamagedDocument, DocumentError, EncryptedDocument, NeedsLibreOffice, ParseTimeout
from core.records import Document, SourceFile
from ingest.builder import ParseOptions
from ingest.formats import ODP, ODS, ODT
from ingest.parsers import legacy_office
from ingest.parsers.lzfu import decompress
from ingest.types import LIBRARY_FAULTS, PARSERS, media_type_of, parse_file
from tests.attack_texts import ATTACK_TEXTS

SAID = "warranty 24 months"

# --- sample files, one maker a format ---------------------------------------------------------------------------------


def word() -> bytes:
    document = docx.Document()
    document.add_paragraph(SAID)
    return saved(document)


def slides() -> bytes:
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = SAID
    return saved(deck)


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active["A1"] = SAID
    return saved(book)


def saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def opendocument(kind: str, body: str) -> bytes:
    names = ("office", "text", "table", "style", "presentation")
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in names)
    spaces += ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
    content = f"<office:document-content {spaces}><office:body>{body}</office:body></office:document-content>"
    return packed({"mimetype": kind, "content.xml": content})


def packed(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def book() -> bytes:
    container = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    package = (
        '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Manual</dc:title></metadata><manifest>'
        '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        '</manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    page = "<html><body><h1>{}</h1><p>{}</p></body></html>"
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/book.opf": package,
            "OEBPS/a.xhtml": page.format("Chapter 1", SAID),
            "OEBPS/b.xhtml": page.format("Chapter 2", "the end"),
        }
    )


def pdf() -> bytes:
    stream = f"BT /F1 12 Tf 72 700 Td ({SAID}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj{body}endobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF"
    return f"{out}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def picture(kind: str) -> Callable[[], bytes]:
    def make() -> bytes:
        image = Image.new("RGB", (560, 90), "white")
        ImageDraw.Draw(image).text((20, 20), SAID, fill="black", font=ImageFont.load_default(size=44))
        buffer = io.BytesIO()
        image.save(buffer, kind)
        return buffer.getvalue()

    return make


def compound_file(entries: dict[str, bytes]) -> bytes:
    """Write an OLE compound file (version 3); "folder/name" puts a stream into a storage."""
    free, end, fat_mark = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    nodes: list[dict[str, object]] = [{"name": "Root Entry", "kind": 5, "kids": [], "data": b""}]

    def node(path: str, kind: int, data: bytes = b"") -> int:
        folder, _, name = path.rpartition("/")
        existing = next((n for n, e in enumerate(nodes) if e.get("path") == path), None)
        if existing is not None:
            return existing
        parent = node(folder, 1) if folder else 0
        nodes.append({"name": name, "kind": kind, "kids": [], "data": data, "path": path})
        nodes[parent]["kids"].append(len(nodes) - 1)  # type: ignore[attr-defined]
        return len(nodes) - 1

    for path, data in entries.items():
        node(path, 2, data)
    mini, mini_fat = b"", []
    for entry in nodes:
        data = bytes(entry["data"])  # type: ignore[call-overload]
        n_sectors = -(-len(data) // 64)
        entry["start"] = len(mini_fat) if data else end
        mini_fat += [len(mini_fat) + i + 1 for i in range(n_sectors - 1)] + ([end] if n_sectors else [])
        mini += data.ljust(n_sectors * 64, b"\0")
    siblings: dict[int, int] = {}
    for entry in nodes:
        kids: list[int] = entry["kids"]  # type: ignore[assignment]
        siblings.update(pairwise(kids))
    nodes[0]["data"], directory = mini, b""

    def chain(first: int, count: int) -> list[int]:
        return [first + i + 1 for i in range(count - 1)] + [end] if count else []

    n_directory, n_mini = -(-len(nodes) // 4), -(-len(mini) // 512)
    n_mini_fat = -(-len(mini_fat) // 128)
    fat = [fat_mark, *chain(1, n_directory), *chain(1 + n_directory, n_mini_fat)]
    fat += chain(1 + n_directory + n_mini_fat, n_mini)
    nodes[0]["start"] = 1 + n_directory + n_mini_fat if n_mini else end
    for n, entry in enumerate(nodes):
        name = f"{entry['name']}\0".encode("utf-16-le")
        kids = entry["kids"]  # type: ignore[assignment]
        directory += name.ljust(64, b"\0") + struct.pack(
            "<HBBIII16xI16xIQ",
            len(name),
            entry["kind"],
            1,
            free,
            siblings.get(n, free),
            kids[0] if kids else free,
            0,
            entry["start"] if entry["kind"] in (2, 5) else 0,
            len(entry["data"]),  # type: ignore[arg-type]
        )
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 1 + n_directory if n_mini_fat else end, n_mini_fat, end, 0)
    header += struct.pack("<I", 0).ljust(109 * 4, b"\xff")
    sectors = struct.pack(f"<{len(fat)}I", *fat).ljust(512, b"\xff") + directory.ljust(n_directory * 512, b"\0")
    sectors += struct.pack(f"<{len(mini_fat)}I", *mini_fat).ljust(n_mini_fat * 512, b"\xff")
    return header + sectors + mini.ljust(n_mini * 512, b"\0")


def properties(values: dict[int, bytes | str | int], *, at: str = "", header: int = 32) -> dict[str, bytes]:
    """Return the streams of an Outlook object: strings as Unicode, bytes as binary, numbers in place."""
    table, streams = b"\0" * header, {}
    for pid, value in values.items():
        if isinstance(value, int):
            table += struct.pack("<HHIQ", 3, pid, 6, value)
            continue
        kind, content = (0x1F, value.encode("utf-16-le")) if isinstance(value, str) else (0x102, value)
        table += struct.pack("<HHIQ", kind, pid, 6, len(content))
        streams[f"{at}__substg1.0_{pid:04X}{kind:04X}"] = content
    return {f"{at}__properties_version1.0": table, **streams}


def outlook() -> bytes:
    attached = "__attach_version1.0_#00000000/"
    return compound_file(
        {
            **properties({0x37: "Delivery 交货", 0x1000: SAID, 0xC1A: "Ann", 0xC1F: "ann@x.org", 0xE04: "Bob"}),
            **properties({0x3707: "价目.csv", 0x3701: b"item,price\npump,120\n", 0x3705: 1}, at=attached, header=8),
        }
    )


def mail() -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"], message["Date"] = (
        "a@x.org",
        "b@x.org",
        "Terms",
        "Mon, 3 Mar 2025",
    )
    message.set_content(SAID)
    return message.as_bytes()


def old(stream: str) -> Callable[[], bytes]:
    return lambda: compound_file({stream: b"old"})


CODE = {
    "c": f"/* {SAID} */\nint main(void)\n{{\n}}\n",
    "cpp": f"class Pump {{ // {SAID}\n}};\n",
    "cs": f"class Pump {{ }} // {SAID}\n",
    "toml": f'[pump]\nsaid = "{SAID}"\n',
    "css": f"/* {SAID} */\na {{ color: red }}\n",
    "go": f"// {SAID}\nfunc Run() {{\n}}\n",
    "java": f"class Pump {{ }} // {SAID}\n",
    "js": f"function run() {{ return '{SAID}' }}\n",
    "kt": f'fun run() = "{SAID}"\n',
    "lua": f"function run() return '{SAID}' end\n",
    "php": f"<?php\nfunction run() {{ return '{SAID}'; }}\n",
    "py": f"def run():\n    return '{SAID}'\n",
    "r": f"run <- function() '{SAID}'\n",
    "rb": f"def run\n  '{SAID}'\nend\n",
    "rs": f"fn run() {{}} // {SAID}\n",
    "scala": f"object Pump // {SAID}\n",
    "sh": f"run() {{\n  echo {SAID}\n}}\n",
    "sql": f"CREATE TABLE pump (id int); -- {SAID}\n",
    "swift": f"func run() {{}} // {SAID}\n",
    "ts": f"interface Pump {{}} // {SAID}\n",
    "xml": f'<?xml version="1.0"?><pump>{SAID}</pump>\n',
}
TEXTS = {
    "txt": SAID,
    "md": f"# Pump\n\n{SAID}",
    "adoc": f"= Pump\n\n{SAID}",
    "html": f"<html><body><p>{SAID}</p></body></html>",
    "csv": f"item,said\npump,{SAID}\n",
    "tsv": f"item\tsaid\npump\t{SAID}\n",
    "json": f'{{"pump": "{SAID}"}}',
    "jsonl": f'{{"pump": "{SAID}"}}\n{{"pump": 2}}\n',
    "rtf": f"{{\\rtf1\\ansi {SAID}\\par}}",
}
_TEXT_BODY = f"<office:text><text:p>{SAID}</text:p></office:text>"
_ROW = f"<table:table-row><table:table-cell><text:p>{SAID}</text:p></table:table-cell></table:table-row>"
_SHEET_BODY = f'<office:spreadsheet><table:table table:name="S">{_ROW}</table:table></office:spreadsheet>'
_SLIDE = f"<draw:page><draw:frame><draw:text-box><text:p>{SAID}</text:p></draw:text-box></draw:frame></draw:page>"
SAMPLES: dict[str, Callable[[], bytes]] = {
    "a.pdf": pdf,
    "a.png": picture("PNG"),
    "a.jpg": picture("JPEG"),
    "a.tif": picture("TIFF"),
    "a.bmp": picture("BMP"),
    "a.gif": picture("GIF"),
    "a.webp": picture("WEBP"),
    "a.docx": word,
    "a.pptx": slides,
    "a.xlsx": workbook,
    "a.odt": lambda: opendocument(ODT, _TEXT_BODY),
    "a.ods": lambda: opendocument(ODS, _SHEET_BODY),
    "a.odp": lambda: opendocument(ODP, f"<office:presentation>{_SLIDE}</office:presentation>"),
    "a.doc": old("WordDocument"),
    "a.ppt": old("PowerPoint Document"),
    "a.xls": old("Workbook"),
    "a.msg": outlook,
    "a.eml": mail,
    "a.epub": book,
    **{f"a.{extension}": text.encode for extension, text in {**TEXTS, **CODE}.items()},
}


def parsed(path: Path, *, options: ParseOptions | None = None) -> Document:
    source = SourceFile(
        path=path.name,
        location=str(path),
        sha256="0" * 64,
        media_type=media_type_of(path),
        size_bytes=path.stat().st_size,
        modified=0.0,
    )
    return parse_file(path, source, options or ParseOptions(ocr=False))


@pytest.mark.parametrize("extension", ["md", "html", "txt", "csv", "eml", "rtf", "adoc", "py"])
def test_attack_texts_are_read_or_refused_for_a_reason_of_ours(extension: str, tmp_path: Path) -> None:
    path, refused = tmp_path / f"a.{extension}", []
    for text in ATTACK_TEXTS:
        path.write_bytes(text.encode("utf-8", "replace"))
        try:
            parsed(path)
        except DocumentError as error:
            refused.append(error)
    by_library = [str(error) for error in refused if isinstance(error.__cause__, LIBRARY_FAULTS)]
    assert by_library == []
    assert len(refused) < len(ATTACK_TEXTS) // 2


@pytest.fixture
def soffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named soffice that "converts" by copying a sample, and writes down how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("a.docx", "a.pptx", "a.xlsx"):
        (folder / name).write_bytes(SAMPLES[name]())
    program = folder / "soffice"
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\nargs = sys.argv[1:]\n"
        f"open({str(folder / 'called')!r}, 'w').write('\\n'.join(args))\n"
        "kind = args[args.index('--convert-to') + 1]\nout = args[args.index('--outdir') + 1]\n"
        f"shutil.copy({str(folder)!r} + '/a.' + kind, out + '/document.' + kind)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


# --- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_each_type_is_recognized_and_read(tmp_path: Path, soffice: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(SAMPLES[name]())
    document = parsed(path, options=ParseOptions(ocr=True))
    assert SAID in document.text.replace("  ", " ")
    assert document.source.path == name
    for section in document.sections:
        assert section.text == document.text[section.locator.start : section.locator.end]
        assert section.text == section.text.rstrip()


def test_every_row_of_the_table_has_a_sample(tmp_path: Path) -> None:
    found = set()
    for name, make in SAMPLES.items():
        (tmp_path / name).write_bytes(make())
        found.add(media_type_of(tmp_path / name))
    assert found == set(PARSERS)


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub", "a.msg", "a.pdf"])
def test_a_file_cut_short_fails_with_a_clear_error_or_gives_what_is_there(tmp_path: Path, name: str) -> None:
    whole = SAMPLES[name]()
    for share in (0.3, 0.6, 0.9):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        outcome: Document | None = None
        with contextlib.suppress(DamagedDocument):
            outcome = parsed(tmp_path / name)
        assert outcome is None or outcome.text


# --- old Office files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "suffix"), [("a.doc", "docx"), ("a.ppt", "pptx"), ("a.xls", "xlsx")])
def test_an_old_office_file_without_libreoffice_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / name).write_bytes(SAMPLES[name]())
    with pytest.raises(NeedsLibreOffice) as caught:
        parsed(tmp_path / name)
    assert "sudo apt install libreoffice" in caught.value.remedy
    assert f"save the file as .{suffix}" in caught.value.remedy


def test_libreoffice_gets_a_profile_and_a_folder_of_its_own(tmp_path: Path, soffice: Path) -> None:
    path = tmp_path / "--odd name;$(x).doc"
    path.write_bytes(SAMPLES["a.doc"]())
    document = parsed(path)
    called = (soffice / "called").read_text().split("\n")
    assert "converted by LibreOffice" in document.notes
    assert document.source.media_type == "application/msword"
    assert any(argument.startswith("-env:UserInstallation=file://") for argument in called)
    assert not any("odd name" in argument for argument in called)
    assert not Path(called[-1]).exists()


def test_a_file_that_libreoffice_cannot_read_is_damaged(tmp_path: Path, soffice: Path) -> None:
    (soffice / "soffice").write_text(f"#!{sys.executable}\n")
    (tmp_path / "a.doc").write_bytes(SAMPLES["a.doc"]())
    with pytest.raises(DamagedDocument, match="LibreOffice"):
        parsed(tmp_path / "a.doc")


def test_a_libreoffice_that_hangs_is_ended(tmp_path: Path, soffice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_office, "TIMEOUT_SECONDS", 0.2)
    (soffice / "soffice").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    (tmp_path / "a.doc").write_bytes(SAMPLES["a.doc"]())
    with pytest.raises(ParseTimeout):
        parsed(tmp_path / "a.doc")


def test_an_office_file_under_a_password_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(compound_file({"EncryptedPackage": b"x", "EncryptionInfo": b"y"}))
    with pytest.raises(EncryptedDocument, match="password"):
        parsed(tmp_path / "a.docx")


# --- mail -------------------------------------------------------------------------------------------------------------


def with_attachments() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ann <a@x.org>", "Bob <b@x.org>", "报价 Offer"
    message["Date"] = "Mon, 3 Mar 2025 10:00:00 +0800"
    message.set_content("Please see the files.")
    message.add_alternative("<p>Please see the <b>files</b>.</p>", subtype="html")
    book = openpyxl.Workbook()
    book.active.title = "Prices"
    book.active.append(["Item", "Price"])
    book.active.append(["Pump", 120])
    message.add_attachment(saved(book), maintype="application", subtype="octet-stream", filename="prices.bin")
    message.add_attachment(b"PK\x03\x04broken", maintype="application", subtype="zip", filename="broken.docx")
    message.add_attachment(
        "公司实行每周五天工作制。".encode("gb18030"), maintype="text", subtype="plain", filename="规定.txt"
    )
    return message


def test_a_mail_reads_headers_body_and_attachments_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(with_attachments().as_bytes())
    document = parsed(tmp_path / "m.eml")
    assert document.title == "报价 Offer"
    assert document.sections[1].text.split("\n")[:2] == ["From: Ann <a@x.org>", "To: Bob <b@x.org>"]
    assert document.text.count("Please see the files.") == 1
    table = next(section for section in document.sections if section.kind == "table")
    assert table.text == "Item | Price\nPump | 120"
    assert table.locator.headings == ("报价 Offer", "Attachment: prices.bin", "Prices")
    assert (table.locator.sheet, table.locator.row_start, table.locator.row_end) == ("Prices", 1, 2)
    assert document.sections[-1].text == "公司实行每周五天工作制。"
    assert document.sections[-1].locator.headings[-1] == "Attachment: 规定.txt"


def test_an_attachment_that_cannot_be_read_is_a_note_and_never_fails_the_mail(tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(with_attachments().as_bytes())
    notes = parsed(tmp_path / "m.eml").notes
    assert "attachment broken.docx was not read: it is truncated or damaged" in notes
    assert "read as GB18030" in notes


def test_mails_within_mails_are_read_to_a_depth(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "level 0", "a@x.org", "b@x.org"
    message.set_content("body 0")
    for level in range(1, 7):
        outer = EmailMessage()
        outer["Subject"], outer["From"], outer["To"] = f"level {level}", "a@x.org", "b@x.org"
        outer.set_content(f"body {level}")
        outer.add_attachment(message)
        message = outer
    (tmp_path / "m.eml").write_bytes(message.as_bytes())
    document = parsed(tmp_path / "m.eml")
    assert [f"body {n}" in document.text for n in range(6, -1, -1)] == [True] * 4 + [False] * 3
    assert any("was not read: it lies more than 3 mails deep" in note for note in document.notes)


def test_attachments_share_the_limit_on_size(tmp_path: Path) -> None:
    message = with_attachments()
    message.add_attachment(b"x" * 50_000, maintype="text", subtype="plain", filename="long.txt")
    (tmp_path / "m.eml").write_bytes(message.as_bytes())
    document = parsed(tmp_path / "m.eml", options=ParseOptions(ocr=False, max_unpacked_bytes=40_000))
    assert "xxx" not in document.text
    assert any("larger than the limit" in note for note in document.notes)


def test_an_outlook_message_reads_as_mail_does(tmp_path: Path) -> None:
    (tmp_path / "m.msg").write_bytes(outlook())
    document = parsed(tmp_path / "m.msg")
    assert document.title == "Delivery 交货"
    assert "From: Ann <ann@x.org>\nTo: Bob" in document.text
    assert document.sections[-1].text == "item | price\npump | 120"
    assert document.sections[-1].locator.headings == ("Delivery 交货", "Attachment: 价目.csv")


def test_a_message_attached_to_an_outlook_message_is_read(tmp_path: Path) -> None:
    inner = "__attach_version1.0_#00000000/__substg1.0_3701000D/"
    path = tmp_path / "m.msg"
    path.write_bytes(
        compound_file(
            {
                **properties({0x37: "Outer", 0x1000: "see below"}),
                **properties({0x3705: 5}, at="__attach_version1.0_#00000000/", header=8),
                **properties({0x37: "Inner", 0x1000: SAID}, at=inner, header=24),
            }
        )
    )
    document = parsed(path)
    assert document.sections[-1].text == SAID
    assert document.sections[-1].locator.headings == ("Outer", "Attachment: Inner", "Inner")


def test_a_body_that_outlook_compressed_is_unpacked() -> None:
    # The two examples of [MS-OXRTFCP] 3: text, and a run that overlaps itself.
    text = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232 0af32068656c090020627705b06c647d0a800fa0".replace(
            " ", ""
        )
    )
    assert decompress(text) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    run = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompress(run) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    with pytest.raises(DamagedDocument):
        decompress(b"short")
