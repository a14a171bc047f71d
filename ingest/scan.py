"""One pass over what was asked to be ingested: names, hashes and types, and each thing that is no readable file.

Only regular files are ever opened, without following a link and without waiting for a FIFO's writer. A file that the
store knows at its location with the same size and time is not opened at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import (
    CitadelError,
    DamagedDocument,
    DocumentError,
    EmptyFile,
    FileChanged,
    FileTooLarge,
    FileVanished,
    LinkOutside,
    MissingPath,
    NotRegularFile,
    UnreadableFile,
)
from core.records import SourceFile
from ingest.ignoring import IGNORE_FILE, IgnoreRules
from ingest.known import Known
from ingest.storable import storable_name
from ingest.types import LIBRARY_FAULTS, media_type_of

if TYPE_CHECKING:  # the module needs numpy, which a parser process can start without
    from core.interfaces import StoredSource

_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFailure:
    """Something that cannot be ingested, and why; ``location`` is its absolute path, or "" for none."""

    path: str
    location: str
    error: CitadelError


def scan(
    roots: Iterable[str | os.PathLike[str]],
    *,
    ignore: Iterable[str] = (),
    max_file_bytes: int = 200 * _MIB,
    known: Known | None = None,
    exclude: Sequence[str | os.PathLike[str]] = (),
) -> Iterator[SourceFile | FileFailure]:
    """Yield each file under ``roots`` once, in the order of the roots and of names, with what cannot be read.

    A file's path is relative to its root, for a root that is a file its name. Links are followed inside their root
    and after all else, so that a file goes by its real name. ``exclude`` are folders that are left out silently, such
    as the data directory.

    Raises:
        InvalidSetting: A pattern of ``ignore`` is malformed.
    """
    rules = IgnoreRules.of(ignore)
    left_out = {os.path.realpath(path) for path in exclude}
    walk = _Walk(known=known or Known(), max_file_bytes=max_file_bytes, visited=left_out)
    for root in roots:
        yield from walk.root(os.fspath(root), rules)


def identify(path: str, *, location: str, max_file_bytes: int) -> SourceFile:
    """Hash a regular file and look at its type.

    Raises:
        FileChanged: It changed twice while it was read.
        DocumentError: It is gone, empty, too large, unreadable, no regular file, or of an unknown type.
    """
    for _ in range(2):
        try:
            before, sha256 = _hash(location, path, max_file_bytes)
            media_type = _media_type(path, location)
            if same_file(before, os.lstat(location)):
                return SourceFile(
                    path=path,
                    location=location,
                    sha256=sha256,
                    media_type=media_type,
                    size_bytes=before.st_size,
                    modified=before.st_mtime,
                )
        except OSError as error:
            raise failure_of(error, path) from error
    raise FileChanged("changed while it was read", where=path, remedy="Ingest it again when nothing writes to it")


def _media_type(path: str, location: str) -> str:
    try:
        return media_type_of(Path(location))
    except DocumentError as error:  # it knows the file by its location alone
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise type(error)(error.what, where=path, remedy=error.remedy) from error
    except OSError:
        raise
    except LIBRARY_FAULTS as error:
        what = f"is of no type that can be told ({type(error).__name__})"
        raise DamagedDocument(what, where=path, remedy="Open it in its program and save it again") from error


def same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Return whether two looks at a path saw the same file with the same content, as far as size and time tell."""
    return (one.st_size, one.st_mtime_ns, one.st_ino) == (other.st_size, other.st_mtime_ns, other.st_ino)


def failure_of(error: OSError, path: str) -> DocumentError:
    """Return the error that a person can act on for one of the operating system."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return FileVanished("went away before it was read", where=path, remedy="Ingest again if it is back")
    if error.errno == errno.ELOOP:
        return UnreadableFile("the link leads in a circle", where=path, remedy="Remove or mend the link")
    reason = (error.strerror or type(error).__name__).lower()
    return UnreadableFile(f"cannot be read ({reason})", where=path, remedy="Check its permissions and the disk")


def check_regular(status: os.stat_result, path: str, *, max_file_bytes: int) -> None:
    """Refuse what is no regular file, is empty or too large.

    Raises:
        DocumentError: One of NotRegularFile, EmptyFile and FileTooLarge.
    """
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFile("is a FIFO, socket or device, not a file", where=path, remedy="Leave it out or ignore it")
    if status.st_size == 0:
        raise EmptyFile("has no bytes", where=path, remedy="Check that it was saved or copied in full")
    if status.st_size > max_file_bytes:
        size, limit = status.st_size / _MIB, max_file_bytes // _MIB
        remedy = "Raise ingest.max_file_mb to read it"
        raise FileTooLarge(f"is {size:,.0f} MiB, the limit is {limit:,} MiB", where=path, remedy=remedy)


def _hash(location: str, path: str, max_file_bytes: int) -> tuple[os.stat_result, str]:
    check_regular(os.lstat(location), path, max_file_bytes=max_file_bytes)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(location, flags), "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        check_regular(before, path, max_file_bytes=max_file_bytes)
        return before, hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class _Root:
    """A root as it was given and where it really is; ``folder`` is the folder that paths are relative to."""

    given: str
    real: str
    folder: str


@dataclass(slots=True)
class _Walk:
    """One scan: what was visited, by real path, so that overlapping roots and links give nothing twice."""

    known: Known
    max_file_bytes: int
    visited: set[str]

    def root(self, given: str, rules: IgnoreRules) -> Iterator[SourceFile | FileFailure]:
        shown = storable_name(given)
        try:
            real = os.path.realpath(given, strict=True)
            is_folder = stat.S_ISDIR(os.stat(real).st_mode)
        except FileNotFoundError:
            missing = MissingPath("does not exist", where=shown, remedy="Check the spelling")
            yield FileFailure(path=shown, location=os.path.abspath(given), error=missing)
            return
        except OSError as error:
            yield FileFailure(path=shown, location=os.path.abspath(given), error=failure_of(error, shown))
            return
        if not is_folder:
            # The name a person gave counts, not that of a link's target.
            name = os.path.basename(os.path.abspath(given))
            yield from self._file(_Root(given, real, os.path.dirname(real)), name, real)
            return
        root = _Root(given, real, real)
        links: list[tuple[str, str]] = []
        yield from self._folder(root, "", real, rules, links)
        while links:
            yield from self._link(root, *links.pop(0), rules, links)

    def _folder(
        self, root: _Root, path: str, location: str, rules: IgnoreRules, links: list[tuple[str, str]]
    ) -> Iterator[SourceFile | FileFailure]:
        waiting = [(path, location, rules)]
        while waiting:
            path, location, rules = waiting.pop()
            if location in self.visited:
                continue
            self.visited.add(location)
            try:
                entries = sorted(os.scandir(location), key=lambda entry: entry.name)
            except OSError as error:
                shown = storable_name(path or root.given)
                yield FileFailure(path=shown, location=location, error=failure_of(error, shown))
                continue
            if any(entry.name == IGNORE_FILE for entry in entries):
                try:
                    rules = self._with_ignore_file(rules, path, location)
                except DocumentError as error:
                    shown = storable_name(f"{path}/{IGNORE_FILE}".lstrip("/"))
                    yield FileFailure(path=shown, location=f"{location}/{IGNORE_FILE}", error=error)
            folders = []
            for entry in entries:
                inner = f"{path}/{entry.name}" if path else entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                if rules.ignores(inner, is_folder=is_folder):
                    continue
                if entry.is_symlink():
                    links.append((inner, entry.path))
                elif is_folder:
                    folders.append((inner, entry.path, rules))
                else:
                    yield from self._file(root, inner, entry.path)
            waiting.extend(reversed(folders))

    def _with_ignore_file(self, rules: IgnoreRules, path: str, location: str) -> IgnoreRules:
        file = os.path.join(location, IGNORE_FILE)
        shown = storable_name(f"{path}/{IGNORE_FILE}".lstrip("/"))
        try:
            if not stat.S_ISREG(os.lstat(file).st_mode):
                raise NotRegularFile("is not a file", where=shown, remedy="Make it a text file of patterns")
            return rules.inside(path, Path(file).read_text("utf-8-sig").splitlines())
        except OSError as error:
            raise failure_of(error, shown) from error
        except ValueError as error:  # a malformed pattern, or bytes that are no UTF-8
            raise UnreadableFile(
                f"holds no ignore patterns ({error})", where=shown, remedy="Mend it; it is left aside until then"
            ) from error

    def _link(
        self, root: _Root, path: str, location: str, rules: IgnoreRules, links: list[tuple[str, str]]
    ) -> Iterator[SourceFile | FileFailure]:
        shown = storable_name(path)
        error: CitadelError
        try:
            target = os.path.realpath(location, strict=True)
            mode = os.stat(target).st_mode
        except FileNotFoundError:
            error = FileVanished("is a link that leads nowhere", where=shown, remedy="Remove or mend the link")
            yield FileFailure(path=shown, location=location, error=error)
            return
        except OSError as os_error:
            yield FileFailure(path=shown, location=location, error=failure_of(os_error, shown))
            return
        if not is_inside(target, root.real):
            remedy = "Ingest the place that it leads to by its own path"
            error = LinkOutside("is a link out of the folder that is ingested", where=shown, remedy=remedy)
            yield FileFailure(path=shown, location=location, error=error)
        elif stat.S_ISDIR(mode):
            yield from self._folder(root, path, target, rules, links)
        else:
            yield from self._file(root, path, target)

    def _file(self, root: _Root, path: str, location: str) -> Iterator[SourceFile | FileFailure]:
        if location in self.visited:
            return
        self.visited.add(location)
        wanted = storable_name(path)
        stored = self.known.at(location)
        shown = stored.path if stored else wanted
        try:
            status = os.lstat(location)
            if stored and self.known.is_unchanged(stored, status):
                name = self.known.claim(wanted, root=root.folder, location=location, sha256=stored.sha256)
                yield _as_stored(stored, path=name, location=location)
                return
            found = identify(shown, location=location, max_file_bytes=self.max_file_bytes)
        except OSError as error:
            yield FileFailure(path=shown, location=location, error=failure_of(error, shown))
        except DocumentError as error:
            yield FileFailure(path=shown, location=location, error=error)
        else:
            name = self.known.claim(wanted, root=root.folder, location=location, sha256=found.sha256)
            yield replace(found, path=name)


def is_inside(location: str, folder: str) -> bool:
    """Return whether an absolute path is ``folder`` or lies in it; both without links."""
    return location == folder or location.startswith(folder.rstrip("/") + "/")


def _as_stored(stored: StoredSource, *, path: str, location: str) -> SourceFile:
    return SourceFile(
        path=path,
        location=location,
        sha256=stored.sha256,
        media_type=stored.media_type,
        size_bytes=stored.size_bytes,
        modified=stored.modified,
    )
