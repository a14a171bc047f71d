"""Text in its many dialects: pages, markup, tables, records and code, read clean and placed exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import DamagedDocument, NoText
from core.records import Document, Section, SourceFile
from ingest.builder import DocumentBuilder, ListItem, ParseOptions
from ingest.outline import heading_level
from ingest.types import media_type_of, parse_file

Read = Callable[[str | bytes, str], Document]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def parsed(content: str | bytes, name: str) -> Document:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        source = SourceFile(
            path=name, location=str(path), sha256="0" * 64, media_type=media_type_of(path), size_bytes=1, modified=0.0
        )
        return parse_file(path, source, ParseOptions(ocr=False))

    return parsed


def texts(document: Document) -> list[str]:
    return [section.text for section in document.sections]


def headings(document: Document) -> list[tuple[str, int]]:
    return [(section.text, section.level) for section in document.sections if section.kind == "heading"]


# --- the builder ------------------------------------------------------------------------------------------------------


def source() -> SourceFile:
    return SourceFile(path="a", location="/a", sha256="0" * 64, media_type="text/plain", size_bytes=1, modified=0.0)


def test_what_no_store_can_hold_is_replaced_without_moving_anything() -> None:
    builder = DocumentBuilder(source=source(), title="t\ud800")
    builder.add_text("a\x00b\ud800c")
    document = builder.build()
    assert document.text == "a b\ufffdc"
    assert document.title == "t\ufffd"
    document.text.encode("utf-8")


def test_a_list_is_one_section_and_code_keeps_its_first_indent() -> None:
    builder = DocumentBuilder(source=source())
    builder.add_list([ListItem(text="a\nb", depth=2), ListItem(text="c", depth=3, marker="1."), ListItem(text=" ")])
    builder.add_text("\n\n    def f(self):\n        pass\n", kind="code")
    assert texts(builder.build()) == ["- a b\n  1. c", "    def f(self):\n        pass"]


def test_empty_cells_at_the_end_of_a_row_leave_no_bars() -> None:
    builder = DocumentBuilder(source=source())
    builder.add_table([["", "b", ""], ["c", "", ""]])
    assert texts(builder.build()) == ["| b\nc"]


# --- HTML -------------------------------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html><html><head><title>Shop</title><style>p {}</style></head><body>
<nav><a href=/>Home</a></nav><div role="navigation">Menu</div>
<main><h1>Returns</h1><p>Send it <b>back</b> within<br>30 days. <span hidden>never</span></p>
<ul><li>by post<ol start=3><li>boxed</li></ol></li><li><p>by hand</p></li></ul>
<dl><dt>RMA</dt><dd>return number</dd></dl>
<table><caption>Fees</caption><tr><th rowspan=2>Weight</th><th colspan=2>Fee</th></tr><tr><th>EU</th><th>US</th></tr>
<tr><td>1 kg</td><td>5</td><td>9</td></tr></table>
<pre>  a
 b</pre><script>alert(1)</script></main>
<footer><a href=/a>About the shop</a> <a href=/b>Contact</a></footer></body></html>"""


def test_a_page_keeps_its_text_in_order_and_loses_menus_scripts_and_hidden_parts(read: Read) -> None:
    document = read(PAGE, "a.html")
    assert document.title == "Shop"
    assert texts(document) == [
        "Returns",
        "Send it back within\n30 days.",
        "- by post\n  3. boxed\n- by hand",
        "- RMA\n  - return number",
        "Fees",
        "Weight | Fee\nWeight | EU | US\n1 kg | 5 | 9",
        "  a\n b",
    ]


def test_a_page_that_is_only_menus_is_read_with_them(read: Read) -> None:
    assert read("<html><body><nav><ul><li>Home<li>News</ul></nav></body></html>", "a.html").text == "- Home\n- News"


def test_a_table_that_only_arranges_the_page_is_walked_through(read: Read) -> None:
    long = "Dear customer, " * 60
    inner = f"<table><tr><td><h2>Notice</h2><p>{long}</p></td></tr></table>"
    page = f"<html><table><tr><td>{inner}</td><td>x</td></tr></table>"
    document = read(page, "a.html")
    assert headings(document) == [("Notice", 2)]
    assert not any(section.kind == "table" for section in document.sections)


def test_a_page_says_its_charset_and_a_page_without_text_says_so(read: Read) -> None:
    page = '<html><head><meta charset="gb2312"></head><p>退货政策</p></html>'.encode("gb18030")
    document = read(page, "a.html")
    assert (document.text, document.notes) == ("退货政策", ("read as GB18030",))
    with pytest.raises(NoText):
        read("<html><body><script>1</script></body></html>", "b.html")


# --- Markdown and AsciiDoc --------------------------------------------------------------------------------------------


def test_markdown_reads_without_its_markup(read: Read) -> None:
    document = read(
        "---\ntitle: Guide\ntags: [a, b]\n---\n# Set *up*\n\nSee [the **docs**](http://x.org) and `run`.\n\n"
        "1. one\n   - two\n\n| A | B |\n|---|---|\n| 1 | 2 |\n\n```sh\nmake  run\n```\n\n<div>raw</div>\n",
        "a.md",
    )
    assert document.title == "Guide"
    assert texts(document) == [
        "title: Guide\ntags: a, b",
        "Set up",
        "See the docs and run.",
        "1. one\n  - two",
        "A | B\n1 | 2",
        "make  run",
        "raw",
    ]
    assert document.sections[4].table_header == "A | B"
    assert document.sections[-1].locator.headings == ("Set up",)


def test_a_rule_at_the_top_of_markdown_is_not_front_matter(read: Read) -> None:
    assert texts(read("---\n\nHello\n\n---\n", "a.md")) == ["Hello"]


def test_asciidoc_reads_without_its_markup(read: Read) -> None:
    document = read(
        "= Manual\n:firm: Acme\n\nFrom {firm}, *bold* and _soft_ and `code`,\nsee https://x.org[the site].\n\n"
        "== Steps\n\n. open\n. close\n** shut\n\nTerm:: meaning\n\n[source]\n----\na = 1\n  b\n----\n\n"
        ".Sizes\n|===\n|A |B\n\n|1\n|2\n2+|both\n|===\n\n// remark\n////\nlong remark\n////\nNOTE: mind it\n",
        "a.adoc",
    )
    assert texts(document) == [
        "Manual",
        "From Acme, bold and soft and code, see the site.",
        "Steps",
        "1. open\n2. close\n  - shut\n    - Term: meaning",
        "a = 1\n  b",
        "Sizes",
        "A | B\n1 | 2\nboth",
        "NOTE: mind it",
    ]
    assert headings(document) == [("Manual", 1), ("Steps", 2)]


# --- plain text -------------------------------------------------------------------------------------------------------


def test_plain_text_keeps_its_lines_and_finds_its_headings(read: Read) -> None:
    document = read(
        "Pump Manual\n===========\n\nFirst line\nsecond line\n\n1.2 Safety rules\n\nWear gloves.\n\n- a\n- b\n", "a.txt"
    )
    assert document.title == "Pump Manual"
    assert texts(document) == ["Pump Manual", "First line\nsecond line", "1.2 Safety rules", "Wear gloves.", "- a\n- b"]
    assert document.sections[-1].kind == "list"
    assert document.sections[-1].locator.headings == ("Pump Manual", "1.2 Safety rules")


def test_chinese_chapters_are_headings_even_without_empty_lines(read: Read) -> None:
    document = read("员工手册\n第一章 总则\n本手册适用于全体员工。\n第二章 休假\n年假十天。\n", "a.txt")
    assert headings(document) == [("第一章 总则", 1), ("第二章 休假", 1)]
    assert document.sections[-1].locator.headings == ("第二章 休假",)


def test_a_numbered_list_is_not_a_row_of_headings(read: Read) -> None:
    assert headings(read("1. Open the box\n\n2. Take it out\n\n3. Close it\n", "a.txt")) == []


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("1.2.3 Scope", 3),
        ("Chapter 4 Repairs", 1),
        ("Appendix A", 1),
        ("第三节 考勤", 2),
        ("一、适用范围", 2),
        ("（二）请假流程", 3),
        ("附录一", 1),
        ("The pump runs at 3.5 bar.", None),
        ("第一章的内容如下：", None),
        ("1.5 kg", None),
    ],
)
def test_lines_are_headings_by_how_they_are_written(line: str, level: int | None) -> None:
    assert heading_level(line, stands_alone=True) == level


# --- tables of text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a,b\n1,2\n", "a.csv"),
        ("a;b\n1;2\n", "a.csv"),
        ("a\tb\n1\t2\n", "a.tsv"),
        ("a|b\n1|2\n", "a.csv"),
        ('"a","b"\n"1","2"', "a.csv"),
        ("\ufeffa,b\r\n1,2\r\n", "a.csv"),
        ("a, b\n1, 2\n", "a.txt.csv"),
    ],
)
def test_each_separator_is_found(read: Read, content: str, name: str) -> None:
    section = read(content, name).sections[0]
    assert (section.text, section.table_header) == ("a | b\n1 | 2", "a | b")


def test_rows_are_numbered_as_a_spreadsheet_would_and_the_header_is_carried_on(read: Read) -> None:
    document = read('item,note\npump,"two\nlines, one cell"\n\nvalve,short,extra\n', "a.csv")
    assert texts(document) == ["item | note\npump | two lines, one cell", "valve | short | extra"]
    rows = [(section.locator.row_start, section.locator.row_end) for section in document.sections]
    assert rows == [(1, 2), (4, 4)]
    assert document.sections[1].table_header == "item | note"


def test_a_quotation_mark_that_is_never_closed_does_not_swallow_the_table(read: Read) -> None:
    rows = "\n".join(f"{n},x" for n in range(500))
    document = read(f'size,name\n3" pipe,a\n"4 pipe,b\n{rows}\n', "a.csv")
    assert document.text.endswith("499 | x")
    assert any("never closed" in note for note in document.notes)


def test_numbers_in_the_first_row_are_no_header(read: Read) -> None:
    assert read("1,2\n3,4\n", "a.csv").sections[0].table_header == ""


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_json_reads_as_paths_and_tables(read: Read) -> None:
    document = read(
        '{"name": "shop", "open": true, "tags": ["a", "b"], "server": {"port": 8080, "tls": {"on": false}},'
        ' "items": [{"id": 1, "price": 2.5}, {"id": 2, "price": null}], "deep": [{"x": {"y": 1}}, 2]}',
        "a.json",
    )
    assert document.title == "shop"
    assert texts(document) == [
        "name: shop\nopen: true\ntags: a, b",
        "server.port: 8080",
        "server.tls.on: false",
        "items",
        "id | price\n1 | 2.5\n2",
        "deep[1].x.y: 1",
        "deep[2]: 2",
    ]
    assert document.sections[4].locator.headings == ("items",)


def test_each_record_of_json_lines_is_a_section_with_its_row(read: Read) -> None:
    document = read('{"q": "a", "n": {"m": 1}}\n\n{"q": "b"}\nbroken\n', "a.jsonl")
    assert texts(document) == ["q: a\nn.m: 1", "q: b", "broken"]
    assert [section.locator.row_start for section in document.sections] == [1, 3, 4]
    assert document.notes == ("1 lines are not JSON and are kept as text",)


def test_broken_json_says_where(read: Read) -> None:
    with pytest.raises(DamagedDocument, match="line 2 column"):
        read('{"a": 1,\n oops}', "a.json")
    with pytest.raises(DamagedDocument, match="nested too deeply"):
        read("[" * 100_000 + "]" * 100_000, "b.json")


def test_half_of_a_character_in_json_does_not_reach_the_text(read: Read) -> None:
    assert read('{"a": "x\\ud83d"}', "a.json").text == "a: x\ufffd"


# --- code, RTF --------------------------------------------------------------------------------------------------------


def names(section: Section) -> tuple[str, ...]:
    return section.locator.headings


def test_code_is_cut_at_its_definitions_and_numbered_by_lines(read: Read) -> None:
    code = "import os\n\n\n# Adds.\n@cache\ndef add(a, b):\n    return a + b\n\n\n"
    code += "class Pump:\n    x = 1\n\n    def run(self):\n        pass\n\n\nmain()\n"
    document = read(code, "a.py")
    assert [(names(s), s.locator.row_start, s.locator.row_end) for s in document.sections] == [
        ((), 1, 1),
        (("add",), 4, 7),
        (("Pump",), 10, 11),
        (("Pump", "run"), 13, 14),
        ((), 17, 17),
    ]
    assert all(section.text in code for section in document.sections)


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("a.js", "export async function load(x) {\n}\n\nconst go = (y) => y;\n", ["load", "go"]),
        ("a.ts", "export interface Pump {\n}\n\nexport class Tank {\n}\n", ["Pump", "Tank"]),
        ("a.go", "func (p *Pump) Run() {\n}\n\ntype Tank struct {\n}\n", ["Run", "Tank"]),
        ("a.rs", "pub fn run() {\n}\n\nimpl Pump for Tank {\n}\n", ["run", "impl Pump for Tank"]),
        ("a.java", "public final class Pump {\n}\n", ["Pump"]),
        ("a.c", "static int run(int a,\n               int b)\n{\n}\n\nstruct pump {\n};\n", ["run", "pump"]),
        ("a.sql", "CREATE TABLE IF NOT EXISTS pump (id int);\ncreate view v as select 1;\n", ["pump", "v"]),
        ("a.rb", "class Pump\nend\n\ndef self.run\nend\n", ["Pump", "run"]),
        ("a.toml", "[server]\nport = 1\n\n[[rules]]\na = 2\n", ["server", "rules"]),
    ],
)
def test_each_language_names_its_definitions(read: Read, name: str, code: str, expected: list[str]) -> None:
    assert [names(section)[0] for section in read(code, name).sections] == expected


def test_rtf_reads_code_pages_headings_and_tables(read: Read) -> None:
    chinese = "".join(f"\\'{byte:02x}" for byte in "退货政策".encode("gb18030"))
    document = read(
        "{\\rtf1\\ansi\\ansicpg936{\\fonttbl{\\f0\\fcharset134 SimSun;}}"
        "{\\stylesheet{\\s1\\outlinelevel0 heading 1;}}"
        f"\\pard\\s1\\f0 {chinese}\\par\\pard\\f0 \\u36864?\\u-10179?\\u-8704? ok\\par"
        "\\trowd\\cellx1\\cellx2 a\\cell b\\cell\\row\\trowd 1\\cell 2\\cell\\row\\pard end\\par}",
        "a.rtf",
    )
    assert texts(document) == ["退货政策", "退😀 ok", "a | b\n1 | 2", "end"]
    assert headings(document) == [("退货政策", 1)]
