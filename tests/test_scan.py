"""A scan finds each file once, names what is no readable file, and opens nothing that it should not."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import ingest.scan
from core.errors import InvalidSetting
from core.interfaces import StoredSource
from core.records import SourceFile
from ingest.known import Known
from ingest.scan import FileFailure, scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    write(folder, {"b.txt": "beta", "a.md": "# alpha", "sub/c.txt": "gamma"})
    return folder


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def paths(found: Iterable[SourceFile | FileFailure]) -> list[str]:
    return [one.path for one in found]


def failures(found: Iterable[SourceFile | FileFailure]) -> dict[str, str]:
    return {one.path: one.error.code for one in found if isinstance(one, FileFailure)}


def known(found: Iterable[SourceFile | FileFailure], *, recipe: str = "recipe", age: float = 60.0) -> Known:
    """Return what a store would know after storing these, ``age`` seconds after they were written."""
    stored = {
        one.path: StoredSource(
            source_id="s", path=one.path, collection="c", location=one.location, sha256=one.sha256,
            media_type=one.media_type, size_bytes=one.size_bytes, modified=one.modified, ingested=one.modified + age,
            title="", n_chunks=1, n_pages=None, language="en", recipe="recipe",
        )
        for one in found if isinstance(one, SourceFile)
    }  # fmt: skip
    return Known(stored, recipe=recipe)


def test_files_are_found_in_order_with_paths_below_the_folder_that_was_given(folder: Path) -> None:
    found = list(scan([folder]))
    assert paths(found) == ["a.md", "b.txt", "sub/c.txt"]
    first = found[0]
    assert isinstance(first, SourceFile)
    assert first.sha256 == hashlib.sha256(b"# alpha").hexdigest()
    assert first.media_type == "text/markdown"
    assert first.size_bytes == 7
    assert first.location == str(folder / "a.md")
    assert first.modified == (folder / "a.md").stat().st_mtime


def test_a_single_file_goes_by_its_name(folder: Path) -> None:
    assert paths(scan([folder / "sub" / "c.txt"])) == ["c.txt"]


def test_overlapping_roots_give_each_file_once(folder: Path) -> None:
    assert paths(scan([folder / "sub", folder, folder / "b.txt"])) == ["c.txt", "a.md", "b.txt"]


def test_files_of_one_name_in_two_folders_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    write(tmp_path, {"x/docs/a.txt": "one", "y/docs/a.txt": "two", "z/docs/a.txt": "three"})
    roots = [tmp_path / n / "docs" for n in "xyz"]
    assert paths(scan(roots)) == ["a.txt", "docs/a.txt", "z/docs/a.txt"]


def test_a_file_does_not_take_the_name_of_a_stored_one_that_is_still_there(tmp_path: Path) -> None:
    write(tmp_path, {"x/a.txt": "one", "y/a.txt": "two"})
    stored = known(scan([tmp_path / "x"]))
    assert paths(scan([tmp_path / "y"], known=stored)) == ["y/a.txt"]


def test_a_file_takes_the_name_of_a_stored_one_that_is_gone(tmp_path: Path) -> None:
    write(tmp_path, {"x/a.txt": "one", "y/a.txt": "two"})
    stored = known(scan([tmp_path / "x"]))
    (tmp_path / "x" / "a.txt").unlink()
    assert paths(scan([tmp_path / "y"], known=stored)) == ["a.txt"]


def test_a_stored_file_keeps_its_name_when_another_root_leads_to_it(folder: Path) -> None:
    stored = known(scan([folder]))
    (folder / "sub" / "c.txt").write_text("changed")
    assert paths(scan([folder / "sub"], known=stored)) == ["sub/c.txt"]


def test_a_missing_root_is_reported_and_the_others_are_scanned(folder: Path) -> None:
    found = list(scan([folder / "nowhere", folder / "sub"]))
    assert failures(found) == {str(folder / "nowhere"): "missing_path"}
    assert paths(found)[1:] == ["c.txt"]


def test_an_empty_file_and_one_that_is_too_large_are_reported(folder: Path) -> None:
    write(folder, {"empty.txt": "", "large.txt": "x" * 2000})
    found = list(scan([folder], max_file_bytes=1000))
    assert failures(found) == {"empty.txt": "empty_file", "large.txt": "file_too_large"}
    assert len(found) == 5


def test_a_type_that_is_not_read_is_reported_by_the_path_that_was_given(folder: Path) -> None:
    (folder / "sub" / "program.bin").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 4)
    (failure,) = [one for one in scan([folder]) if isinstance(one, FileFailure)]
    assert failure.path == "sub/program.bin"
    assert failure.error.where == "sub/program.bin"
    assert str(folder) not in str(failure.error)


def test_fifos_and_sockets_are_reported_and_never_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a FIFO waits for a writer that may never come."""
    os.mkfifo(folder / "pipe.txt")
    monkeypatch.chdir(folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        assert failures(scan([folder])) == {"pipe.txt": "not_regular_file", "sock": "not_regular_file"}
        assert failures(scan([folder / "pipe.txt"])) == {"pipe.txt": "not_regular_file"}


def test_a_file_that_may_not_be_read_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = os.open

    def refusing(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if str(path).endswith("b.txt"):
            raise PermissionError(13, "Permission denied")
        return really_open(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refusing)
    found = list(scan([folder]))
    assert failures(found) == {"b.txt": "unreadable_file"}
    assert len(found) == 3


def test_a_folder_that_may_not_be_listed_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_scandir = os.scandir

    def refusing(path: str) -> Any:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return really_scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = list(scan([folder]))
    assert failures(found) == {"sub": "unreadable_file"}
    assert len(found) == 3


def test_a_file_that_goes_away_during_the_scan_is_reported(folder: Path) -> None:
    found = []
    for one in scan([folder]):
        found.append(one)
        (folder / "b.txt").unlink(missing_ok=True)
    assert failures(found) == {"b.txt": "file_vanished"}
    assert len(found) == 3


class _Appending:
    """Stands in for hashing: the file grows while it is read, the first ``times`` times."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.left, self.really = path, times, hashlib.file_digest

    def __call__(self, file: Any, name: str) -> Any:
        digest = self.really(file, name)
        if self.left > 0:
            self.left -= 1
            with self.path.open("a") as grown:
                grown.write("more")
        return digest


def test_a_file_that_changes_while_it_is_hashed_is_hashed_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.scan.hashlib, "file_digest", _Appending(folder / "a.md", 1))
    (found,) = scan([folder / "a.md"])
    assert isinstance(found, SourceFile)
    assert found.sha256 == hashlib.sha256(b"# alphamore").hexdigest()


def test_a_file_that_keeps_changing_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.scan.hashlib, "file_digest", _Appending(folder / "a.md", 9))
    assert failures(scan([folder / "a.md"])) == {"a.md": "file_changed"}


@pytest.mark.parametrize(
    "name", ["two\nlines\x1b[31m.txt", "n" * 251 + ".txt", "字" * 83 + ".txt", " space .txt", "-rf.txt", "q'\"`$.txt"]
)
def test_a_name_of_any_kind_is_found_as_it_is(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "text"})
    assert paths(scan([tmp_path])) == [name]


def test_a_name_that_is_no_utf_8_is_escaped_and_the_file_is_found(tmp_path: Path) -> None:
    """Such a name reached the database, which cannot hold it, and the file failed."""
    place = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(place, "w") as file:
        file.write("text")
    (found,) = scan([tmp_path])
    assert found.path == "caf\\xe9.txt"
    found.path.encode()
    assert os.path.samefile(found.location, place)


def test_a_link_to_a_file_that_is_scanned_anyway_gives_nothing_twice(folder: Path) -> None:
    (folder / "again.txt").symlink_to("sub/c.txt")
    (folder / "shelf").symlink_to("sub", target_is_directory=True)
    assert paths(scan([folder])) == ["a.md", "b.txt", "sub/c.txt"]


def test_a_link_inside_the_folder_to_what_is_ignored_is_followed(folder: Path) -> None:
    write(folder, {".hidden/d.txt": "delta"})
    (folder / "shown").symlink_to(".hidden", target_is_directory=True)
    assert paths(scan([folder])) == ["a.md", "b.txt", "sub/c.txt", "shown/d.txt"]


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "sub" / "up").symlink_to("..", target_is_directory=True)
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    found = list(scan([folder]))
    assert failures(found) == {"one": "unreadable_file", "two": "unreadable_file"}
    assert len(found) == 5


def test_links_out_of_the_folder_and_to_nowhere_are_reported(tmp_path: Path, folder: Path) -> None:
    write(tmp_path, {"secret.txt": "secret", "shelf-of-others/d.txt": "delta"})
    (folder / "out.txt").symlink_to("../secret.txt")
    (folder / "beside").symlink_to("../shelf-of-others", target_is_directory=True)
    (folder / "dead.txt").symlink_to("nothing")
    found = list(scan([folder]))
    assert failures(found) == {"out.txt": "link_outside", "beside": "link_outside", "dead.txt": "file_vanished"}
    assert len(found) == 6


def test_a_link_that_is_the_root_itself_is_followed(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "way").symlink_to(folder)
    assert paths(scan([tmp_path / "way"])) == ["a.md", "b.txt", "sub/c.txt"]
    (tmp_path / "named.md").symlink_to(folder / "a.md")
    assert paths(scan([tmp_path / "named.md"])) == ["named.md"]


def test_what_is_never_a_document_is_left_out(folder: Path) -> None:
    junk = [".git/config", "node_modules/x/readme.md", "__pycache__/m.txt", "~$letter.docx", ".DS_Store", "Thumbs.db"]
    write(folder, dict.fromkeys([*junk, "half.tmp", ".env"], "junk"))
    assert paths(scan([folder])) == ["a.md", "b.txt", "sub/c.txt"]


def test_settings_add_patterns_and_take_defaults_back(folder: Path) -> None:
    write(folder, {"keep.tmp": "kept"})
    assert paths(scan([folder], ignore=["sub/", "!keep.tmp"])) == ["a.md", "b.txt", "keep.tmp"]


def test_a_malformed_pattern_in_the_settings_is_an_error_of_its_own(folder: Path) -> None:
    with pytest.raises(InvalidSetting, match="pattern"):
        list(scan([folder], ignore=["!"]))


def test_ignore_files_hold_in_their_folder_and_the_deepest_wins(folder: Path) -> None:
    write(folder, {"sub/deep/d.txt": "d", "sub/deep/e.log": "e", "sub/f.txt": "f", "g.txt": "g"})
    write(folder, {".citadelignore": "*.txt\n# a remark\n", "sub/.citadelignore": "!c.txt\n/deep/*.log\n"})
    assert paths(scan([folder])) == ["a.md", "sub/c.txt"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"!\n"])
def test_an_ignore_file_that_cannot_be_used_is_reported_and_left_aside(folder: Path, content: bytes) -> None:
    (folder / "sub" / ".citadelignore").write_bytes(content)
    found = list(scan([folder]))
    assert failures(found) == {"sub/.citadelignore": "unreadable_file"}
    assert "sub/c.txt" in paths(found)


def test_a_file_that_is_named_outright_is_not_ignored(folder: Path) -> None:
    write(folder, {".notes.txt": "notes"})
    assert paths(scan([folder / ".notes.txt"])) == [".notes.txt"]


def test_excluded_folders_are_left_out_without_a_word(folder: Path) -> None:
    assert paths(scan([folder], exclude=[folder / "sub"])) == ["a.md", "b.txt"]


def test_a_folder_deeper_than_python_recurses_is_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    depth = sys.getrecursionlimit() + 200
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    Path("deep.txt").write_text("deep")
    assert paths(scan([tmp_path])) == ["d/" * depth + "deep.txt"]
    os.unlink("deep.txt")
    for _ in range(depth):  # what removes temporary folders recurses too
        os.chdir("..")
        os.rmdir("d")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened for hashing."""
    names: list[str] = []
    really_open = os.open

    def noting(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        names.append(os.path.basename(path))
        return really_open(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", noting)
    return names


def test_unchanged_files_are_not_opened(folder: Path, opened: list[str]) -> None:
    before = list(scan([folder]))
    opened.clear()
    assert list(scan([folder], known=known(before))) == before
    assert opened == []


@pytest.mark.parametrize("why", ["touched", "grown", "other recipe", "stored at once"])
def test_files_that_may_have_changed_are_opened(folder: Path, opened: list[str], why: str) -> None:
    before = list(scan([folder]))
    status = (folder / "b.txt").stat()
    if why == "touched":
        os.utime(folder / "b.txt", (status.st_atime, status.st_mtime + 5))
    if why == "grown":
        (folder / "b.txt").write_text("beta and more")
        os.utime(folder / "b.txt", (status.st_atime, status.st_mtime))
    stored = known(
        before, recipe="new" if why == "other recipe" else "recipe", age=0.5 if why == "stored at once" else 60
    )
    opened.clear()
    list(scan([folder], known=stored))
    assert "b.txt" in opened


def test_a_scan_goes_on_while_another_thread_fills_the_folder(tmp_path: Path) -> None:
    stop = threading.Event()

    def churn() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            place = tmp_path / f"{n % 50}.txt"
            place.unlink(missing_ok=True) if n % 3 == 0 else place.write_text("text " * (n % 9))

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        codes: set[str] = set()
        for _ in range(30):
            codes |= set(failures(scan([tmp_path])).values())
    finally:
        stop.set()
        churning.join()
    assert codes <= {"file_vanished", "file_changed", "empty_file"}


def test_paths_are_sequences_of_any_kind(folder: Path) -> None:
    roots: Sequence[str | Path] = (str(folder / "sub"), folder / "a.md")
    assert paths(scan(iter(roots))) == ["c.txt", "a.md"]
