"""Source code: one block a top-level definition, its name in the heading path, its lines as row numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode, encoding_note

_BRACES = (
    r"(?:@\w+\s+)*(?:(?:public|private|protected|internal|static|final|abstract|sealed|partial|open|data|export|default|"
    r"async|unsafe|inline|virtual|override|extern|const|constexpr)\s+)*"
)
_C_FUNCTION = r"(?:[A-Za-z_][\w:<>,*&~\s]*?[\s*&])?(?P<function>~?[A-Za-z_]\w*(?:::~?\w+)*)\s*\([^;]*$"
_CLASSLIKE = r"(?:class|struct|interface|enum|record|trait|object|namespace|union|module|protocol|extension|type)"

# What opens a definition at the start of a line, by media type; the name is the first group that matched.
_DEFINITIONS: dict[str, re.Pattern[str]] = {
    "text/x-python": re.compile(r"(?:async\s+)?def\s+(\w+)|class\s+(\w+)"),
    "text/x-ruby": re.compile(r"(?:def\s+(?:self\.)?([\w?!=]+))|(?:class|module)\s+([\w:]+)"),
    "text/x-go": re.compile(r"func\s+(?:\([^)]*\)\s*)?(\w+)|type\s+(\w+)"),
    "text/x-rust": re.compile(
        r"(?:pub(?:\([^)]*\))?\s+)?(?:async\s+|unsafe\s+|const\s+)*(?:fn|struct|enum|trait|mod|macro_rules!)\s+(\w+)|"
        r"(impl\b[^{]*)"
    ),
    "text/x-java": re.compile(_BRACES + _CLASSLIKE + r"\s+(\w+)"),
    "text/x-csharp": re.compile(_BRACES + _CLASSLIKE + r"\s+([\w.]+)"),
    "text/x-kotlin": re.compile(_BRACES + r"(?:fun\s+(?:<[^>]*>\s*)?([\w.]+)|" + _CLASSLIKE + r"\s+(\w+))"),
    "text/x-scala": re.compile(_BRACES + r"(?:case\s+)?(?:def|class|object|trait)\s+(\w+)"),
    "text/x-swift": re.compile(_BRACES + r"(?:func\s+(\w+)|" + _CLASSLIKE + r"\s+(\w+))"),
    "text/x-javascript": re.compile(
        r"(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:function\*?\s+(\w+)|class\s+(\w+)|"
        r"(?:const|let|var)\s+(\w+)\s*=\s*(?:async\s*)?(?:\(|function|\w+\s*=>))"
    ),
    "text/x-typescript": re.compile(
        r"(?:export\s+)?(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?\s+(\w+)|class\s+(\w+)|"
        r"(?:interface|enum|namespace|type)\s+(\w+)|(?:const|let|var)\s+(\w+)\b[^=]*=\s*(?:async\s*)?(?:\(|function))"
    ),
    "text/x-php": re.compile(_BRACES + r"(?:function\s+&?(\w+)|(?:class|interface|trait|enum)\s+(\w+))"),
    "text/x-c": re.compile(
        r"(?:typedef\s+)?(?:struct|enum|union)\s+(\w+)\s*\{?\s*$|(?!#|else|if|for|while|return)" + _C_FUNCTION
    ),
    "text/x-cpp": re.compile(
        r"(?:template\s*<.*>\s*)?(?:class|struct|enum(?:\s+class)?|namespace|union)\s+([\w:]+)[^;]*$|"
        r"(?!#|else|if|for|while|return)" + _C_FUNCTION
    ),
    "text/x-lua": re.compile(r"(?:local\s+)?function\s+([\w.:]+)"),
    "text/x-r": re.compile(r"([\w.]+)\s*(?:<-|=)\s*function\b"),
    "text/x-shell": re.compile(r"(?:function\s+)?([\w-]+)\s*\(\)|([\w./-]+):(?!=)"),
    "text/x-sql": re.compile(
        r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP(?:ORARY)?\s+)?(?:UNIQUE\s+)?"
        r"(?:TABLE|VIEW|INDEX|FUNCTION|PROCEDURE|TRIGGER|TYPE)\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.\"`\[\]]+)",
        re.I,
    ),
    "text/x-config": re.compile(
        r"\[+\s*([^\]\n]+?)\s*\]+\s*(?:[#;].*)?$|([\w.-]+):\s*$|(?:resource|module)\s+\"(.+)\"\s*\{"
    ),
    "text/x-css": re.compile(r"([^{}\s][^{}]*?)\s*\{"),
}
_LEADS = re.compile(r"\s*(?:@|#\[|//|/\*|\*|#(?!include|define|if|endif|else|pragma)|--|\"\"\"|\[)")
_MAX_LINES = 80  # of a block without definitions, cut at an empty line
_METHOD = {"text/x-python": re.compile(r"    (?:async\s+)?def\s+(\w+)")}


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a source file; the text is the file's own, verbatim but for empty lines between blocks."""
    text, encoding = decode(path.read_bytes())
    builder = DocumentBuilder(source=source, notes=list(encoding_note(encoding)))
    lines = text.split("\n")
    for first, last, names in _blocks(lines, source.media_type):
        builder.close_headings()
        for level, name in enumerate(names, start=1):
            builder.set_heading(name, level=level)
        builder.add_text("\n".join(lines[first:last]), kind="code", row_start=first + 1, row_end=last)
    return builder.build()


def _blocks(lines: list[str], media_type: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield ``[first, last)`` of each block, without empty lines at its ends, and the names it stands under."""
    opened = [(0, ()), *_definitions(lines, media_type)] if lines else []
    for (first, names), (last, _) in zip(opened, [*opened[1:], (len(lines), ())], strict=True):
        for begin, end in _pieces(lines, first, last) if not names else [(first, last)]:
            while begin < end and not lines[begin].strip():
                begin += 1
            while end > begin and not lines[end - 1].strip():
                end -= 1
            if begin < end:
                yield begin, end, names


def _definitions(lines: list[str], media_type: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    pattern, method = _DEFINITIONS.get(media_type), _METHOD.get(media_type)
    if pattern is None:
        return
    outer: tuple[str, ...] = ()
    last = 0
    for n, line in enumerate(lines):
        found = pattern.match(line)
        if found:
            outer = (_name(found),)
            last = _with_leads(lines, n, last)
            yield last, outer
        elif method and outer and (found := method.match(line)):
            last = _with_leads(lines, n, last + 1)
            yield last, (outer[0], _name(found))
        elif line and not line[0].isspace() and line[0] not in "})]#/*-" and outer and not lines[n - 1].strip():
            outer = ()  # code between definitions
            last = n
            yield n, ()


def _name(found: re.Match[str]) -> str:
    name = next((group for group in found.groups() if group), found.group())
    return " ".join(name.split())


def _with_leads(lines: list[str], n: int, floor: int) -> int:
    """Return where the comments and decorators begin that stand right above a definition."""
    while n > floor and lines[n - 1].strip() and _LEADS.match(lines[n - 1]):
        n -= 1
    return n


def _pieces(lines: list[str], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut a long stretch at empty lines."""
    begin = first
    for n in range(first, last):
        if n - begin >= _MAX_LINES and not lines[n].strip():
            yield begin, n
            begin = n
    yield begin, last
