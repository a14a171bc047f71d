"""The literal tables of file types: what reads each, and how each is recognized."""

from __future__ import annotations

_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"
DOCX = f"{_OOXML}.wordprocessingml.document"
PPTX = f"{_OOXML}.presentationml.presentation"
XLSX = f"{_OOXML}.spreadsheetml.sheet"
ODT, ODS, ODP = f"{_ODF}.text", f"{_ODF}.spreadsheet", f"{_ODF}.presentation"

PARSERS: dict[str, str] = {
    "application/pdf": "ingest.parsers.pdf:parse",
    "image/png": "ingest.parsers.image:parse",
    "image/jpeg": "ingest.parsers.image:parse",
    "image/tiff": "ingest.parsers.image:parse",
    "image/bmp": "ingest.parsers.image:parse",
    "image/gif": "ingest.parsers.image:parse",
    "image/webp": "ingest.parsers.image:parse",
    DOCX: "ingest.parsers.word:parse",
    PPTX: "ingest.parsers.powerpoint:parse",
    XLSX: "ingest.parsers.excel:parse",
    ODT: "ingest.parsers.opendocument:parse",
    ODS: "ingest.parsers.opendocument:parse",
    ODP: "ingest.parsers.opendocument:parse",
    "application/msword": "ingest.parsers.legacy_office:parse",
    "application/vnd.ms-powerpoint": "ingest.parsers.legacy_office:parse",
    "application/vnd.ms-excel": "ingest.parsers.legacy_office:parse",
    "application/vnd.ms-outlook": "ingest.parsers.msg:parse",
    "message/rfc822": "ingest.parsers.eml:parse",
    "application/epub+zip": "ingest.parsers.epub:parse",
    "application/rtf": "ingest.parsers.rtf:parse",
    "text/csv": "ingest.parsers.csv_table:parse",
    "text/tab-separated-values": "ingest.parsers.csv_table:parse",
    "text/html": "ingest.parsers.webpage:parse",
    "text/markdown": "ingest.parsers.markdown_text:parse",
    "text/asciidoc": "ingest.parsers.asciidoc:parse",
    "text/plain": "ingest.parsers.plain:parse",
    "application/json": "ingest.parsers.json_records:parse",
    "application/jsonl": "ingest.parsers.json_records:parse_lines",
    "text/x-c": "ingest.parsers.source_code:parse",
    "text/x-cpp": "ingest.parsers.source_code:parse",
    "text/x-csharp": "ingest.parsers.source_code:parse",
    "text/x-config": "ingest.parsers.source_code:parse",
    "text/x-css": "ingest.parsers.source_code:parse",
    "text/x-go": "ingest.parsers.source_code:parse",
    "text/x-java": "ingest.parsers.source_code:parse",
    "text/x-javascript": "ingest.parsers.source_code:parse",
    "text/x-kotlin": "ingest.parsers.source_code:parse",
    "text/x-lua": "ingest.parsers.source_code:parse",
    "text/x-php": "ingest.parsers.source_code:parse",
    "text/x-python": "ingest.parsers.source_code:parse",
    "text/x-r": "ingest.parsers.source_code:parse",
    "text/x-ruby": "ingest.parsers.source_code:parse",
    "text/x-rust": "ingest.parsers.source_code:parse",
    "text/x-scala": "ingest.parsers.source_code:parse",
    "text/x-shell": "ingest.parsers.source_code:parse",
    "text/x-sql": "ingest.parsers.source_code:parse",
    "text/x-swift": "ingest.parsers.source_code:parse",
    "text/x-typescript": "ingest.parsers.source_code:parse",
    "text/xml": "ingest.parsers.source_code:parse",
}

# What a text is when its content leaves the choice to its name.
TEXT_EXTENSIONS: dict[str, str] = {
    **dict.fromkeys(("txt", "text", "log"), "text/plain"),
    **dict.fromkeys(("md", "markdown", "mdown", "mkd"), "text/markdown"),
    **dict.fromkeys(("adoc", "asciidoc", "asc"), "text/asciidoc"),
    **dict.fromkeys(("html", "htm", "xhtml"), "text/html"),
    "csv": "text/csv",
    **dict.fromkeys(("tsv", "tab"), "text/tab-separated-values"),
    "json": "application/json",
    **dict.fromkeys(("jsonl", "ndjson"), "application/jsonl"),
    "eml": "message/rfc822",
    **dict.fromkeys(("c", "h"), "text/x-c"),
    **dict.fromkeys(("cc", "cpp", "cxx", "hh", "hpp", "hxx", "cu"), "text/x-cpp"),
    "cs": "text/x-csharp",
    **dict.fromkeys(("cfg", "conf", "ini", "properties", "toml", "yaml", "yml", "env", "tf"), "text/x-config"),
    **dict.fromkeys(("css", "less", "scss"), "text/x-css"),
    "go": "text/x-go",
    "java": "text/x-java",
    **dict.fromkeys(("js", "cjs", "mjs", "jsx"), "text/x-javascript"),
    **dict.fromkeys(("kt", "kts"), "text/x-kotlin"),
    "lua": "text/x-lua",
    "php": "text/x-php",
    **dict.fromkeys(("py", "pyi"), "text/x-python"),
    "r": "text/x-r",
    "rb": "text/x-ruby",
    "rs": "text/x-rust",
    "scala": "text/x-scala",
    **dict.fromkeys(("bash", "sh", "zsh"), "text/x-shell"),
    "sql": "text/x-sql",
    "swift": "text/x-swift",
    **dict.fromkeys(("ts", "tsx", "vue"), "text/x-typescript"),
    **dict.fromkeys(("xml", "xsd", "xsl", "svg"), "text/xml"),
}
NAMED_FILES = {"dockerfile": "text/x-config", "makefile": "text/x-shell", "cmakelists.txt": "text/x-config"}

# What a name promises although the content is not text; several types may keep one promise.
BINARY_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "pdf": ("application/pdf",),
    **dict.fromkeys(("docx", "docm", "dotx", "dotm"), (DOCX,)),
    **dict.fromkeys(("pptx", "pptm", "ppsx", "ppsm", "potx"), (PPTX,)),
    **dict.fromkeys(("xlsx", "xlsm", "xltx", "xltm"), (XLSX,)),
    **dict.fromkeys(("odt", "ott"), (ODT,)),
    **dict.fromkeys(("ods", "ots"), (ODS,)),
    **dict.fromkeys(("odp", "otp"), (ODP,)),
    **dict.fromkeys(("doc", "dot"), ("application/msword",)),
    **dict.fromkeys(("ppt", "pps"), ("application/vnd.ms-powerpoint",)),
    **dict.fromkeys(("xls", "xlt"), ("application/vnd.ms-excel",)),
    "msg": ("application/vnd.ms-outlook",),
    "epub": ("application/epub+zip",),
    "rtf": ("application/rtf",),
    "png": ("image/png",),
    **dict.fromkeys(("jpg", "jpeg", "jpe"), ("image/jpeg",)),
    **dict.fromkeys(("tif", "tiff"), ("image/tiff",)),
    "bmp": ("image/bmp",),
    "gif": ("image/gif",),
    "webp": ("image/webp",),
}

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"{\\rtf", "application/rtf"),
)
OLE_STREAMS: tuple[tuple[str, str], ...] = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
)
ZIP_MEMBERS: tuple[tuple[str, str], ...] = (
    ("word/", DOCX),
    ("ppt/", PPTX),
    ("xl/", XLSX),
)
# Types that no parser reads, named so that the message can say what the file is.
KNOWN_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"ID3", "a sound recording"),
    (b"OggS", "a sound recording"),
    (b"RIFF", "a recording"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"\xd7\xcd\xc6\x9a", "a WMF drawing"),
)
