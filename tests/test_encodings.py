from __future__ import annotations

import codecs
import random

import pytest

from ingest.encodings import decode, is_text

SIMPLIFIED = [
    "会议纪要",
    "退货政策：三十天内可退款。",
    "张伟的报告",
    "员工手册\n第一章 总则\n公司实行每周五天工作制。",
    "价格 120元",
    "电压 220V",
]
TRADITIONAL = [
    "會議紀錄",
    "退貨政策：三十天內可退款。",
    "員工手冊\n第一章 總則\n公司實行每週五天工作制。",
    "臺灣",
    "價格 120元",
]
WESTERN = ["café crème brûlée", "Müller & Söhne, 20°C", "It’s “quoted” – £5", "naïve", "Größe"]

ROUND_TRIPS = [
    *((text, "gb18030", "GB18030") for text in SIMPLIFIED),
    *((text, "big5", "Big5") for text in TRADITIONAL),
    *((text, "cp1252", "Windows-1252") for text in WESTERN),
    *((text, "utf-8", "UTF-8") for text in [*SIMPLIFIED, *TRADITIONAL, *WESTERN]),
    *((text, "utf-16-le", "UTF-16LE") for text in [*SIMPLIFIED, "hello there"]),
    *((text, "utf-16-be", "UTF-16BE") for text in [*SIMPLIFIED, "hello there"]),
]


@pytest.mark.parametrize(("text", "codec", "encoding"), ROUND_TRIPS)
def test_text_without_a_mark_comes_back_and_its_encoding_is_named(text: str, codec: str, encoding: str) -> None:
    data = text.encode(codec)
    assert decode(data) == (text, encoding)
    assert is_text(data)


@pytest.mark.parametrize(
    ("mark", "codec", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8", "UTF-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16LE"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16BE"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    ],
)
def test_a_byte_order_mark_decides_and_is_dropped(mark: bytes, codec: str, encoding: str) -> None:
    assert decode(mark + "第一章 Scope".encode(codec)) == ("第一章 Scope", encoding)


def test_a_declared_charset_is_believed_unless_the_bytes_are_utf8() -> None:
    assert decode("Привет".encode("cp1251"), declared="windows-1251")[0] == "Привет"
    assert decode("你好".encode("gb18030"), declared="gb2312") == ("你好", "GB18030")
    assert decode("你好".encode(), declared="gb2312") == ("你好", "UTF-8")
    assert decode("café".encode("cp1252"), declared="no-such-charset") == ("café", "Windows-1252")


def test_a_file_cut_within_a_character_is_still_recognized() -> None:
    data = "公司实行每周五天工作制，员工每年享有带薪年假。".encode("gb18030") * 3
    text, encoding = decode(data[:-1])
    assert encoding == "GB18030"
    assert text.startswith("公司实行每周五天工作制")


def test_one_bad_byte_in_utf8_does_not_turn_the_text_into_another_encoding() -> None:
    text, encoding = decode("退货政策：三十天内可退款。".encode() * 20 + b"\xff tail")
    assert encoding == "UTF-8"
    assert text.endswith(" tail")


def test_line_ends_of_every_system_become_one() -> None:
    assert decode(b"a\r\nb\rc\n")[0] == "a\nb\nc\n"


def test_binary_is_not_taken_for_text() -> None:
    assert not is_text(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 5)
    assert not is_text(bytes(range(256)) * 4)
    assert not any(is_text(random.Random(seed).randbytes(2000)) for seed in range(20))
