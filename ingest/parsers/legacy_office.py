"""Word, Excel and PowerPoint files of before 2007, turned into today's by LibreOffice where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from core.errors import DamagedDocument, NeedsLibreOffice, ParseTimeout
from core.records import Document, SourceFile
from core.tables import load
from ingest.builder import ParseOptions
from ingest.formats import DOCX, PARSERS, PPTX, XLSX

TIMEOUT_SECONDS = 120
_TARGETS = {
    "application/msword": ("docx", DOCX),
    "application/vnd.ms-excel": ("xlsx", XLSX),
    "application/vnd.ms-powerpoint": ("pptx", PPTX),
}
_PROGRAMS = ("soffice", "libreoffice")
_INSTALL = (
    "Install LibreOffice so that `soffice` is found (Debian and Ubuntu: `sudo apt install libreoffice`; macOS: "
    "`brew install --cask libreoffice`; Windows: `winget install TheDocumentFoundation.LibreOffice`), "
    "or save the file as .{suffix}"
)


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Convert an old Office file in a folder of its own, and parse what comes out.

    Raises:
        NeedsLibreOffice: LibreOffice is not installed.
        DamagedDocument: LibreOffice cannot read the file.
        ParseTimeout: It took longer than ``TIMEOUT_SECONDS``.
    """
    suffix, media_type = _TARGETS[source.media_type]
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        said = "is an old Office file, which is read through LibreOffice, and that is not installed"
        raise NeedsLibreOffice(said, where=source.path, remedy=_INSTALL.format(suffix=suffix))
    with tempfile.TemporaryDirectory(prefix="citadel-office-") as folder:
        converted = _convert(path, program=program, folder=Path(folder), suffix=suffix, source=source)
        document: Document = load(PARSERS[media_type])(converted, replace(source, media_type=media_type), options)
    notes = ("converted by LibreOffice", *document.notes)
    return replace(document, source=source, notes=notes)


def _convert(path: Path, *, program: str, folder: Path, suffix: str, source: SourceFile) -> Path:
    # A plain name of our own keeps odd names away from the command line; the profile, from the user's own LibreOffice.
    original = folder / f"document{path.suffix if path.suffix.isascii() else ''}"
    shutil.copyfile(path, original)
    (folder / "out").mkdir()
    command = [
        program,
        f"-env:UserInstallation={(folder / 'profile').as_uri()}",
        *("--headless", "--norestore", "--nolockcheck", "--convert-to", suffix),
        *("--outdir", str(folder / "out"), str(original)),
    ]
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        running.wait(TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        said = f"took LibreOffice more than {TIMEOUT_SECONDS} seconds"
        raise ParseTimeout(said, where=source.path, remedy=f"Save it as .{suffix}") from error
    finally:
        _end(running)
    converted = folder / "out" / f"document.{suffix}"
    if not converted.is_file():
        raise DamagedDocument("cannot be read by LibreOffice", where=source.path, remedy="Open it there and save it")
    return converted


def _end(running: subprocess.Popen[bytes]) -> None:
    """End the converter with the processes it started."""
    if running.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(running.pid, signal.SIGKILL)
        running.kill()
        running.wait()
