from __future__ import annotations

import io
import zipfile
from pathlib import Path

import docx
import openpyxl
import pytest

from core.errors import (
    BombSuspected,
    DamagedDocument,
    DocumentError,
    EmptyFile,
    EncryptedDocument,
    UnsupportedType,
    WrongExtension,
)
from core.records import Document, SourceFile
from core.tables import load
from ingest import archives
from ingest.archives import open_archive, parse_xml
from ingest.builder import ParseOptions
from ingest.formats import DOCX, XLSX
from ingest.types import PARSERS, media_type_of, parse_file


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


def word_file(path: Path, text: str = "The warranty is two years.") -> Path:
    document = docx.Document()
    document.add_paragraph(text)
    document.save(str(path))
    return path


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("target", sorted(set(PARSERS.values())))
def test_every_parser_in_the_table_can_be_loaded(target: str) -> None:
    assert callable(load(target))


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.pdf", b"junk before\n%PDF-1.7\n", "application/pdf"),
        ("a.txt", b"<!DOCTYPE html><html><body>x</body></html>", "text/html"),
        ("a", b"<!-- saved -->\n<html><p>x", "text/html"),
        ("README.md", b"<div align=center>logo</div>\n# Title", "text/markdown"),
        ("a.txt", b'{"a": 1}', "application/json"),
        ("a.txt", b'{"a": 1}\n{"a": 2}\n', "application/jsonl"),
        ("a.txt", b"{not json}", "text/plain"),
        ("noname", b"From: a@x.org\nTo: b@x.org\nSubject: s\nDate: today\n\nbody", "message/rfc822"),
        ("notes.txt", b"Subject: groceries\n\nmilk", "text/plain"),
        ("a.txt", b"{\\rtf1 x}", "application/rtf"),
        ("tool", b"#!/usr/bin/env python3\nprint(1)\n", "text/x-python"),
        ("Makefile", b"all:\n\techo\n", "text/x-shell"),
        ("a.unknown", "会议纪要\n".encode("gb18030"), "text/plain"),
    ],
)
def test_the_content_decides_and_the_name_breaks_ties(
    tmp_path: Path, name: str, content: bytes, media_type: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert media_type_of(tmp_path / name) == media_type


def test_a_file_with_the_wrong_name_is_read_as_what_it_is_with_a_note(tmp_path: Path) -> None:
    document = parsed(word_file(tmp_path / "contract.pdf"))
    assert document.text == "The warranty is two years."
    assert document.notes[0] == f"the name ends in .pdf but the content is {DOCX}, and is read as that"


def test_a_right_name_gets_no_note(tmp_path: Path) -> None:
    assert parsed(word_file(tmp_path / "contract.docx")).notes == ()


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("a.txt", b"", EmptyFile, "is empty"),
        ("a.docx", bytes(range(256)) * 8, WrongExtension, "ends in .docx but its content is of no type that is known"),
        ("a.pdf", b"\x7fELF" + bytes(range(256)), WrongExtension, "ends in .pdf but its content is a program"),
        ("a.docx", packed({"song.mp3": b"x"}), WrongExtension, "holds other packed files"),
        ("a.docx", b"PK\x03\x04" + b"\0" * 100, DamagedDocument, "truncated or damaged"),
        ("a.zip", packed({"song.mp3": b"x"}), UnsupportedType, "ZIP archive"),
        ("a.bin", bytes(range(256)) * 8, UnsupportedType, "binary file of unknown type"),
        ("a.xlsb", packed({"xl/workbook.bin": b"x"}), UnsupportedType, "binary Excel"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, DamagedDocument, "truncated or damaged"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: bytes, error: type[DocumentError], said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as caught:
        media_type_of(tmp_path / name)
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_truncated_word_file_is_reported_as_damaged(tmp_path: Path) -> None:
    whole = word_file(tmp_path / "whole.docx").read_bytes()
    (tmp_path / "cut.docx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedDocument, match="truncated"):
        parsed(tmp_path / "cut.docx")


def test_a_member_that_does_not_match_its_checksum_is_damage(tmp_path: Path) -> None:
    document = bytearray(
        packed({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<a>" + b"text" * 50 + b"</a>"})
    )
    at = document.index(b"word/document.xml") + len(b"word/document.xml")
    document[at + 4] ^= 0xFF
    (tmp_path / "a.docx").write_bytes(document)
    with pytest.raises(DamagedDocument):
        parsed(tmp_path / "a.docx")


def test_a_part_that_is_cut_short_within_a_whole_workbook_is_damage(tmp_path: Path) -> None:
    book, buffer, path = openpyxl.Workbook(), io.BytesIO(), tmp_path / "a.xlsx"
    book.save(buffer)
    with zipfile.ZipFile(buffer) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for part in ("xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml"):
        path.write_bytes(packed({**members, part: members[part][:60]}))
        with pytest.raises(DamagedDocument):
            parsed(path)


def test_a_file_that_unpacks_beyond_the_limit_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "big.docx"
    path.write_bytes(
        packed({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<a>" + b" " * 3_000_000 + b"</a>"})
    )
    with pytest.raises(BombSuspected, match="would unpack to 2 MiB, more than the 1 MiB allowed"):
        parsed(path, options=ParseOptions(ocr=False, max_unpacked_bytes=2**20))


def test_a_member_that_unpacks_a_thousandfold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    path.write_bytes(packed({"[Content_Types].xml": b"<Types/>", "xl/worksheets/sheet1.xml": b"0" * (20 * 2**20)}))
    assert media_type_of(path) == XLSX
    with pytest.raises(BombSuspected, match="times its size"):
        parsed(path)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    path = tmp_path / "many.docx"
    path.write_bytes(packed({"word/document.xml": b"<a/>", **{f"word/{n}.xml": b"<a/>" for n in range(6)}}))
    with pytest.raises(BombSuspected, match="holds 7 packed files"):
        open_archive(path, name="many.docx", options=ParseOptions())


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_xml_that_declares_entities_is_refused_in_every_encoding(tmp_path: Path, codec: str) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?>{" " * 2**20}<!DOCTYPE d [<!ENTITY l0 "ha">{laughs}]><d>&l9;</d>'.encode(codec)
    path = tmp_path / "laughs.docx"
    path.write_bytes(packed({"[Content_Types].xml": b"<Types/>", "word/document.xml": bomb}))
    with pytest.raises(BombSuspected, match="declares XML entities"):
        parsed(path)
    with pytest.raises(BombSuspected):
        parse_xml(bomb, name="laughs.xml")


def test_a_zip_under_a_password_says_so(tmp_path: Path) -> None:
    locked = bytearray(packed({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<a/>"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = 0
        while (at := locked.find(signature, at)) >= 0:
            locked[at + offset] |= 1
            at += 4
    (tmp_path / "a.docx").write_bytes(locked)
    with pytest.raises(EncryptedDocument):
        parsed(tmp_path / "a.docx")
