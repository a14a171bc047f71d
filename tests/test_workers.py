"""Parser processes: a file may hang, eat memory, crash or lie, and costs itself alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import CitadelError
from core.records import Box, Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.processes import Limits
from ingest.scan import scan
from ingest.wire import document_from_json, document_to_json, error_from_json, error_to_json
from ingest.workers import Parsed, ParserPool

ROOT = Path(__file__).resolve().parent.parent

# What a file says is what its parser does.
PARSER = """
import contextlib, ctypes, dataclasses, io, os, signal, subprocess, sys, time
from core.errors import EncryptedDocument
from ingest.builder import DocumentBuilder
from ingest.wire import document_to_json, send

def nest(n):
    return nest(n + 1)

def parse(path, source, options):
    text = path.read_text()
    match text.split()[0]:
        case "hang": time.sleep(600)
        case "spin":
            while True: pass
        case "eat":
            eaten = []
            while True: eaten.append(bytearray(2**26))
        case "segfault": ctypes.string_at(0)
        case "abort": os.abort()
        case "leave": os._exit(7)
        case "oom-killed": os.kill(os.getpid(), signal.SIGKILL)
        case "bug": raise KeyError("words of the document")
        case "nest": nest(0)
        case "locked": raise EncryptedDocument("asks for a password", where=source.path)
        case "noisy": os.write(1, b"noise" * 50_000); print("noise"); sys.stderr.write("noise" * 50_000)
        case "lie":
            builder = DocumentBuilder(dataclasses.replace(source, path="another.txt"))
            builder.add_text("text")
            send(alias := io.BytesIO(), {"document": document_to_json(builder.build())})
            lies = {"length": b"\\xff" * 8, "words": b"\\0" * 7 + b"\\5words", "alias": alias.getvalue()}
            for place in range(3, 12):
                with contextlib.suppress(OSError):
                    os.write(place, lies[text.split()[1]])
            time.sleep(1 if text.split()[1] == "alias" else 600)
        case "grandchild":
            child = subprocess.Popen(["sleep", "600"])
            path.with_suffix(".pid").write_text(str(child.pid))
            time.sleep(600)
        case "grow-once" if not path.with_suffix(".grown").exists():
            path.with_suffix(".grown").touch()
            path.write_text(text + "more")
        case "grow": path.write_text(text + "more")
        case "vanish": path.unlink()
        case "big": text = text * 2_000_000
        case "pid": text = f"{os.getpid()}"
    builder = DocumentBuilder(source)
    builder.add_text(text)
    return builder.build()
"""


@pytest.fixture
def parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the odd parser where parser processes find it, and return its name."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "odd_parser.py").write_text(PARSER)
    monkeypatch.syspath_prepend(str(folder))
    return "odd_parser:parse"


@pytest.fixture
def sources(tmp_path: Path) -> Callable[..., list[SourceFile]]:
    """Make a file for each behaviour."""

    def make(*behaviours: str) -> list[SourceFile]:
        folder = tmp_path / "files"
        folder.mkdir()
        for n, behaviour in enumerate(behaviours):
            (folder / f"{n}.txt").write_text(f"{behaviour} text ")
        return [found for found in scan([folder]) if isinstance(found, SourceFile)]

    return make


def pool_of(parser: str, *, n_workers: int = 1, seconds: float = 30.0, memory_bytes: int = 2**29) -> ParserPool:
    limits = Limits(seconds=seconds, memory_bytes=memory_bytes, file_bytes=2**30)
    return ParserPool(limits=limits, options=ParseOptions(), n_workers=n_workers, parser=parser)


def parse_all(pool: ParserPool, sources: list[SourceFile]) -> Iterator[Parsed]:
    with pool:
        for source in sources:
            pool.submit(source)
        while pool.n_pending:
            if parsed := pool.take(timeout=1):
                yield parsed


def error_of(parsed: Parsed) -> CitadelError:
    assert parsed.error is not None
    return parsed.error


@pytest.mark.parametrize(
    ("behaviour", "code", "said"),
    [
        ("eat", "parse_memory", "too much memory"),
        ("oom-killed", "parse_memory", "ran out of memory"),
        ("segfault", "parser_crashed", "SIGSEGV"),
        ("abort", "parser_crashed", "SIGABRT"),
        ("leave", "parser_crashed", "exit code 7"),
        ("bug", "parser_crashed", "KeyError"),
        ("nest", "damaged", "nested too deep"),
        ("locked", "encrypted", "password"),
        ("vanish", "file_vanished", "went away"),
        ("grow", "file_changed", "changed while it was read"),
    ],
)
def test_a_file_that_ends_its_parser_is_reported_and_the_next_is_parsed(
    parser: str, sources: Callable[..., list[SourceFile]], behaviour: str, code: str, said: str
) -> None:
    bad, good = parse_all(pool_of(parser), sources(behaviour, "plain"))
    assert error_of(bad).code == code
    assert said in str(error_of(bad))
    assert str(error_of(bad)).startswith("0.txt: ")
    assert "words of the document" not in str(error_of(bad))
    assert good.document is not None
    assert good.document.text == "plain text"


@pytest.mark.parametrize("behaviour", ["hang", "spin"])
def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_parsed(
    parser: str, sources: Callable[..., list[SourceFile]], behaviour: str
) -> None:
    bad, good = parse_all(pool_of(parser, seconds=1.0), sources(behaviour, "plain"))
    assert error_of(bad).code == "parse_timeout"
    assert good.document is not None


def test_a_hanging_file_does_not_hold_up_the_others(parser: str, sources: Callable[..., list[SourceFile]]) -> None:
    with pool_of(parser, n_workers=2, seconds=60) as pool:
        for source in sources("hang", *["plain"] * 5):
            pool.submit(source)
        for _ in range(5):
            parsed = pool.take(timeout=20)
            assert parsed is not None
            assert parsed.document is not None


def test_what_a_parser_prints_does_not_reach_the_answer(parser: str, sources: Callable[..., list[SourceFile]]) -> None:
    (parsed,) = parse_all(pool_of(parser), sources("noisy"))
    assert parsed.document is not None
    assert parsed.document.text == "noisy text"


@pytest.mark.parametrize("lie", ["lie length", "lie words", "lie alias"])
def test_an_answer_that_is_none_costs_the_file_alone(
    parser: str, sources: Callable[..., list[SourceFile]], lie: str
) -> None:
    """A parser that a file has taken over may write what it likes, such as a length that no memory holds."""
    bad, *_ = parse_all(pool_of(parser), sources(lie))
    assert error_of(bad).code == "parser_crashed"
    assert bad.source.path == "0.txt"


def test_the_file_after_one_that_lied_is_parsed(parser: str, sources: Callable[..., list[SourceFile]]) -> None:
    _, good = parse_all(pool_of(parser), sources("lie words", "plain"))
    assert good.document is not None


def test_a_process_that_cannot_be_started_is_reported_and_nobody_waits(
    parser: str, sources: Callable[..., list[SourceFile]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*args: object, **options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("ingest.processes.subprocess.Popen", refusing)
    codes = [error_of(parsed).code for parsed in parse_all(pool_of(parser), sources("plain", "plain"))]
    assert codes == ["parser_crashed", "parser_crashed"]


def test_a_process_is_replaced_after_many_files(
    parser: str, sources: Callable[..., list[SourceFile]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.workers._FILES_A_PROCESS", 2)
    pids = {parsed.document.text for parsed in parse_all(pool_of(parser), sources(*["pid"] * 5)) if parsed.document}
    assert len(pids) == 3


@pytest.mark.parametrize(
    "change",
    [{"title": 5}, {"text": None}, {"sections": [["paragraph", 0, "", {"start": "a", "end": 1}]]}, {"language": "xx"},
     {"sections": 1}, {"notes": [1]}, {"source": {}}, {"sections": [["paragraph", 0, "", {"start": 0, "end": 99}]]},
     {"sections": [["paragraph", 0, "", {"start": 0, "end": 1, "headings": [1]}]]}],
)  # fmt: skip
def test_a_document_that_is_none_is_refused(change: dict[str, object]) -> None:
    source = SourceFile(path="a", location="/a", sha256="0", media_type="text/plain", size_bytes=1, modified=0.0)
    builder = DocumentBuilder(source)
    builder.add_text("text")
    plain = document_to_json(builder.build())
    with pytest.raises((KeyError, TypeError, ValueError)):
        document_from_json({**plain, **change})


def test_a_file_that_changes_once_is_parsed_as_it_is_then(
    parser: str, sources: Callable[..., list[SourceFile]]
) -> None:
    (source,) = sources("grow-once")
    (parsed,) = parse_all(pool_of(parser), [source])
    assert parsed.document is not None
    assert parsed.document.text == "grow-once text more"
    assert parsed.source.sha256 != source.sha256
    assert parsed.document.source == parsed.source


def test_a_file_that_changed_since_the_scan_is_hashed_again(
    parser: str, sources: Callable[..., list[SourceFile]]
) -> None:
    (source,) = sources("plain")
    Path(source.location).write_text("other text altogether")
    (parsed,) = parse_all(pool_of(parser), [source])
    assert parsed.document is not None
    assert parsed.document.text == "other text altogether"
    assert parsed.source.size_bytes == len("other text altogether")


def test_a_document_of_many_megabytes_comes_through(parser: str, sources: Callable[..., list[SourceFile]]) -> None:
    (parsed,) = parse_all(pool_of(parser, memory_bytes=2**31), sources("big"))
    assert parsed.document is not None
    assert parsed.document.text == ("big text " * 2_000_000).rstrip()


def test_one_process_serves_many_files(parser: str, sources: Callable[..., list[SourceFile]]) -> None:
    pids = {parsed.document.text for parsed in parse_all(pool_of(parser), sources(*["pid"] * 5)) if parsed.document}
    assert len(pids) == 1


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool], *, patience_seconds: float = 20.0) -> bool:
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_closing_a_pool_kills_what_runs_and_what_that_has_started(
    parser: str, sources: Callable[..., list[SourceFile]]
) -> None:
    (source,) = sources("grandchild")
    note = Path(source.location).with_suffix(".pid")
    with pool_of(parser) as pool:
        pool.submit(source)
        assert eventually(lambda: note.exists() and bool(note.read_text()))
    assert eventually(lambda: not is_running(int(note.read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("behaviour", ["hang", "spin", "pid"])
def test_parser_processes_end_with_a_process_that_is_killed(
    tmp_path: Path, parser: str, sources: Callable[..., list[SourceFile]], behaviour: str
) -> None:
    """Whether at work or waiting for some; otherwise every killed ingest would leave processes behind."""
    (source,) = sources(behaviour)
    code = (
        "import sys, time, json\n"
        "from core.records import SourceFile\n"
        "from ingest.builder import ParseOptions\n"
        "from ingest.processes import Limits\nfrom ingest.workers import ParserPool\n"
        "pool = ParserPool(limits=Limits(seconds=600, memory_bytes=2**29, file_bytes=2**30), options=ParseOptions(),\n"
        f"                  n_workers=1, parser={parser!r})\n"
        f"pool.submit({source!r})\n"
        "while not pool._lanes[0]._child: time.sleep(0.01)\n"
        "time.sleep(0.3)\n"
        "print(pool._lanes[0]._child._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "code")])}
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert owner.stdout is not None
    try:
        pid = int(owner.stdout.readline())
        assert is_running(pid)
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        owner.stdout.close()
    assert eventually(lambda: not is_running(pid))


def test_a_document_is_the_same_after_the_wire() -> None:
    source = SourceFile(
        path="a\nb.pdf", location="/x/\udce9", sha256="0" * 64, media_type="application/pdf", size_bytes=3, modified=1.5
    )
    builder = DocumentBuilder(source, title="Title 标题")
    builder.place.page, builder.n_pages = 2, 4
    builder.add_heading("One", level=1)
    builder.add_text("Text 文", boxes=[Box(page=2, x0=0.1, y0=0.2, x1=0.3, y1=0.4, start=0, end=4)])
    builder.place.sheet = "S"
    builder.add_table([["a", "b"], ["1", "2"]], first_row=3)
    builder.notes.append("a note")
    document = builder.build()
    assert document_from_json(document_to_json(document)) == document


def test_every_error_is_the_same_after_the_wire() -> None:
    from core.errors import every_error

    for kind in every_error():
        error = kind("went wrong", where="a.txt", remedy="Mend it")
        rebuilt = error_from_json(error_to_json(error))
        assert type(rebuilt) is kind
        assert str(rebuilt) == str(error)


def test_text_that_no_database_holds_is_replaced_in_place() -> None:
    from ingest.storable import storable_text

    source = SourceFile(path="a", location="/a", sha256="0", media_type="text/plain", size_bytes=1, modified=0.0)
    builder = DocumentBuilder(source)
    builder.add_text("a\0b")
    builder.add_text("second")
    document: Document = storable_text(builder.build())
    assert "\0" not in document.text
    for section in document.sections:
        assert section.text == document.text[section.locator.start : section.locator.end]
