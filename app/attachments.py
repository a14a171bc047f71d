"""Files attached to conversations: received, read one after another, found again after a restart, and gone with them.

A file lies in a folder of its own in that of its conversation, and its passages are in the conversation's hidden
collection, which :class:`app.people.own_knowledge_base.OwnKnowledgeBase` opens to the conversation's person alone.
Whatever is there and belongs to no file that is written down is swept away.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Timer
from typing import TYPE_CHECKING

from app.one_by_one import OneByOne
from app.people.attached import (
    Attached,
    AttachedFiles,
    Attachment,
    AttachmentState,
    conversations_with_files,
    unfinished,
)
from app.people.database import People
from app.people.quota import Quota
from app.receiving import Incoming, broken
from app.uploads import attached_collection, attachments_folder, conversation_of
from core.errors import (
    CitadelError,
    EmptyFile,
    FileTooLarge,
    StoreError,
    StoreLocked,
    UnknownCollection,
    UnknownSource,
    UnsupportedType,
    UploadBroken,
)

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase
    from app.people.own_knowledge_base import OwnKnowledgeBase

# An upload of which nothing has come for so long is given up; a page that goes on with it begins anew before.
STALLED_SECONDS = 60.0
LOCKED_SECONDS = 120.0  # how long a file waits for another process that writes
MAX_WAITS_PER_PERSON = 8
_LOOK_SECONDS = 0.2
_RETRY_SECONDS = 5.0
_KEPT_READINGS = 500
_MIB = 2**20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    running: bool


class _Reading:
    """A file that is read; it ends when it is read or removed."""

    def __init__(self, person_id: str, attachment: Attachment, read: Callable[[_Reading], None]) -> None:
        self.person_id, self.attachment = person_id, attachment
        self.stop = Event()
        self._read, self._ended = read, False

    @property
    def state(self) -> _Running:
        """Whether it is read still, or waits to be."""
        return _Running(not self._ended)

    def run(self) -> None:
        """Read it; whatever happens becomes the file's state."""
        try:
            if not self.stop.is_set():
                self._read(self)
        finally:
            self._ended = True

    def cancel(self) -> None:
        """End within about a second."""
        self.stop.set()


class Attachments:
    """What is attached to the conversations of a server.

    Args:
        knowledge_base: The knowledge base, whole.
        people: The file of people.
        own: Returns the knowledge base as a person has it.
    """

    def __init__(
        self, knowledge_base: KnowledgeBase, people: People, *, own: Callable[[str], OwnKnowledgeBase]
    ) -> None:
        serve = knowledge_base.settings.serve
        self.max_mb = serve.max_upload_mb
        self.quota = Quota(people, quota_mb=serve.upload_quota_mb)
        self.folder = attachments_folder(knowledge_base.settings.data_dir)
        self._kb, self._people, self._own = knowledge_base, people, own
        self._readings: OneByOne[_Reading] = OneByOne(name="attachments", kept=_KEPT_READINGS)
        self._touched: dict[str, float] = {}
        self._waits: dict[tuple[str, str], Event] = {}  # by person and conversation, oldest first
        self._sweep_later: Timer | None = None
        self._lock = Lock()
        self._closing = False

    # --- looking ---------------------------------------------------------------------------------------------------

    def of(self, person_id: str, conversation_id: str) -> AttachedFiles:
        """Return what is attached to a conversation; nothing where the person has none such."""
        attached = Attached(self._people, person_id)
        found = attached.of(conversation_id)
        coming = [file for file in found.files if file.state == "uploading"]
        stalled = coming if coming and self._is_stalled(conversation_id) else []
        if stalled or not coming:
            self._forget_touch(conversation_id)
        for file in stalled:
            self._fail(attached, file, broken(file.name))
        return attached.of(conversation_id) if stalled else found

    def asked(self, own: OwnKnowledgeBase, person_id: str, conversation_id: str) -> OwnKnowledgeBase:
        """Return what answers a conversation's questions: the collections and its files, or these alone."""
        attached = self.of(person_id, conversation_id)
        if not attached.only and all(file.state != "ready" for file in attached.files):
            return own
        return own.with_attachments(conversation_id, alone=attached.only)

    def wait(
        self, person_id: str, conversation_id: str, *, is_there: Callable[[], bool] = lambda: True
    ) -> Iterator[AttachedFiles]:
        """Yield what is attached for as long as some of it is uploaded or read, and once more at the end.

        Ends too when nobody is there any more, or on :meth:`stop_waiting`; the last one is pending then.
        """
        stopped = Event()
        with self._lock:
            self._begin_waiting(person_id, conversation_id, stopped)
        try:
            while (found := self.of(person_id, conversation_id)).pending and is_there() and not stopped.is_set():
                yield found
                stopped.wait(_LOOK_SECONDS)
            yield found
        finally:
            with self._lock:
                if self._waits.get((person_id, conversation_id)) is stopped:  # not that of who waits since
                    del self._waits[person_id, conversation_id]

    def stop_waiting(self, person_id: str, conversation_id: str) -> None:
        """Let whoever waits for a conversation's files wait no longer."""
        with self._lock:
            stopped = self._waits.pop((person_id, conversation_id), None)
        if stopped is not None:
            stopped.set()

    def _begin_waiting(self, person_id: str, conversation_id: str, stopped: Event) -> None:
        """Note a wait; it ends an older one for the same files, and the oldest of too many: each holds a thread."""
        if older := self._waits.pop((person_id, conversation_id), None):
            older.set()
        own = [key for key in self._waits if key[0] == person_id]
        for key in own[: len(own) - MAX_WAITS_PER_PERSON + 1]:
            self._waits.pop(key).set()
        self._waits[person_id, conversation_id] = stopped

    def sending(self, conversation_id: str) -> None:
        """Note that a page is still sending a file, of which a proxy may hold back all until it has it whole."""
        self._touch(conversation_id)

    # --- attaching -------------------------------------------------------------------------------------------------

    def begin(self, person_id: str, conversation_id: str, name: str, *, size_bytes: int, anew: bool) -> Attachment:
        """Write down a file that will be uploaded; for the arguments see :meth:`Attached.add`.

        Raises:
            EmptyFile: It has no bytes.
            FileTooLarge: It is larger than ``serve.max_upload_mb``.
            UnknownConversation, TooManyAttachments, QuotaReached: As :meth:`Attached.add` says.
        """
        if size_bytes <= 0:
            raise EmptyFile("has no bytes", where=name, remedy="Check that it was saved in full")
        if size_bytes > self.max_mb * _MIB:
            what = f"has {size_bytes / _MIB:,.0f} MiB, and at most {self.max_mb:,} are taken"
            raise FileTooLarge(what, where=name, remedy="Split it, or ask an administrator to raise the limit")
        self._touch(conversation_id)
        attached = Attached(self._people, person_id)
        return attached.add(conversation_id, name, size_bytes=size_bytes, quota=self.quota, anew=anew)

    def open(self, person_id: str, conversation_id: str, attachment_id: str) -> Incoming | None:
        """Return what receives the bytes of a file that was begun; None for one that has arrived.

        Raises:
            UnknownConversation, UnknownAttachment: As :meth:`Attached.get` says.
            UploadBroken: It was given up.
            StoreError: It cannot be written.
        """
        file = Attached(self._people, person_id).get(conversation_id, attachment_id)
        if file.state in ("reading", "ready"):
            return None
        if file.state != "uploading":
            raise UploadBroken("the file is not expected any more", where=file.name, remedy="Attach it again")
        return Incoming(file, self._place(file), touch=lambda: self._touch(conversation_id))

    def received(self, person_id: str, incoming: Incoming) -> None:
        """Begin to read a file that has arrived.

        Raises:
            UnknownAttachment: It was removed meanwhile.
            UploadBroken: It has not arrived whole, or was given up.
            StoreError: It cannot be written.
        """
        file, attached = incoming.file, Attached(self._people, person_id)
        incoming.require_whole()
        # Before it is kept: of two that bring the same file, the later may not replace what the sooner brought.
        if not attached.change(file, "reading", of="uploading"):
            if attached.get(file.conversation, file.id).state in ("reading", "ready"):
                return  # it came twice, and the other was sooner
            raise UploadBroken("the file is not expected any more", where=file.name, remedy="Attach it again")
        try:
            incoming.keep()
        except CitadelError as error:
            self._fail(attached, replace(file, state="reading"), error)
            raise
        self._readings.put(_Reading(person_id, file, self._read))

    def remove(self, person_id: str, conversation_id: str, attachment_id: str) -> None:
        """Remove a file with its passages and its bytes.

        Raises:
            UnknownConversation, UnknownAttachment: As :meth:`Attached.get` says.
            StoreLocked: Another process writes.
        """
        attached = Attached(self._people, person_id)
        file = attached.get(conversation_id, attachment_id)
        for reading in self._readings.pieces:
            if reading.attachment.id == file.id:
                reading.cancel()
        self._forget_document(file)  # first, so that what cannot be deleted now is not said to be gone
        attached.remove(file)
        self._drop(file)  # again: it may have been read in between

    def ask_only(self, person_id: str, conversation_id: str, only: bool) -> None:
        """Ask a conversation's questions of its files alone, or no longer; raises UnknownConversation."""
        Attached(self._people, person_id).ask_only(conversation_id, only)

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read(self, reading: _Reading) -> None:
        """Read a file; what the server's end cuts off is read when it is back."""
        file, attached = reading.attachment, Attached(self._people, reading.person_id)
        outcome = ("error", str(CitadelError("something went wrong", remedy="Attach it again")))
        try:
            outcome = self._ingested(reading)
        except CitadelError as error:
            outcome = (error.code, str(error))
        finally:  # whatever else went wrong is in the log; nobody may wait for ever
            if not (self._closing and reading.stop.is_set()):
                code, said = outcome
                state: AttachmentState = "failed" if code else "ready"
                is_there = attached.change(file, state, of="reading", code=code, said=said)
                if code or not is_there:
                    self._drop(file)

    def _ingested(self, reading: _Reading) -> tuple[str, str]:
        """Read a file; return the code and the words of what went wrong, two times "" for nothing."""
        file, until = reading.attachment, time.monotonic() + LOCKED_SECONDS
        own, place = self._own(reading.person_id), self._place(reading.attachment)
        while True:
            try:
                report = own.attach(place, conversation_id=file.conversation, stop=reading.stop)
                break
            except StoreLocked:  # the command line ingests
                if time.monotonic() > until or reading.stop.wait(_RETRY_SECONDS):
                    raise
        if report.error is not None:
            raise report.error
        found = next((one for one in report.files if one.path == file.name), None)
        if found is not None:
            return found.error_code, found.error
        if report.cancelled:
            raise UploadBroken("its reading was stopped", where=file.name, remedy="Attach it again")
        raise UnsupportedType("is of no type that is read", where=file.name, remedy="Save it as PDF, DOCX or text")

    def _fail(self, attached: Attached, file: Attachment, error: CitadelError) -> None:
        if attached.change(file, "failed", of=file.state, code=error.code, said=str(error)):
            self._discard(file)

    # --- what is gone ----------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Delete what belongs to no file that is written down: of conversations and of persons that are gone.

        Where another process writes it is tried again until it is done; nobody can see any of it meanwhile.
        """
        if self._closing:
            return
        try:
            self._sweep()
        except StoreError as error:
            log.warning("what was attached is deleted later: %s", error)
            with self._lock:
                if self._sweep_later is None and not self._closing:
                    self._sweep_later = Timer(_RETRY_SECONDS, self._sweep_again)
                    self._sweep_later.daemon = True
                    self._sweep_later.start()

    def resume(self) -> None:
        """Go on after a restart: read what was not read yet, say what did not arrive, delete what is gone."""
        for person_id, file in unfinished(self._people):
            if file.state == "reading" and self._place(file).is_file():
                self._readings.put(_Reading(person_id, file, self._read))
            else:
                self._fail(Attached(self._people, person_id), file, broken(file.name))
        self.sweep()

    def close(self, *, patience_seconds: float = 5.0) -> None:
        """Stop reading; what was not read yet is when the server is back."""
        self._closing = True
        self._readings.close(patience_seconds=patience_seconds)

    def _sweep_again(self) -> None:
        with self._lock:
            self._sweep_later = None
        self.sweep()

    def _sweep(self) -> None:
        folders = [folder for folder in self.folder.glob("*") if folder.is_dir()]
        collections = [name for name in self._kb.services.store.collection_names() if conversation_of(name)]
        kept = conversations_with_files(self._people)  # after the look: what came meanwhile is not among the above
        for folder in folders:
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        for name in collections:
            if conversation_of(name) not in kept:
                with suppress(UnknownCollection):  # another sweep was faster
                    self._kb.delete_collection(name, beside=True)

    def _drop(self, file: Attachment) -> None:
        """Delete what is left of a file; its passages with the next sweep where another process writes."""
        self._discard(file)
        try:
            self._forget_document(file)
        except StoreError as error:
            log.warning("what was attached is deleted later: %s", error)
        self.sweep()

    def _forget_document(self, file: Attachment) -> None:
        collection, store = attached_collection(file.conversation), self._kb.services.store
        with suppress(UnknownCollection, UnknownSource):  # a sweep was faster
            if file.name in store.sources(collection=collection):
                self._kb.delete(file.name, collection=collection, beside=True)
            elif file.name in store.failures(collection=collection):
                self._kb.forget_failures([file.name], collection=collection, beside=True)

    def _discard(self, file: Attachment) -> None:
        shutil.rmtree(self._place(file).parent, ignore_errors=True)

    def _place(self, file: Attachment) -> Path:
        return self.folder / file.conversation / file.id / file.name

    # --- uploads that stall ----------------------------------------------------------------------------------------

    def _touch(self, conversation_id: str) -> None:
        with self._lock:
            self._touched[conversation_id] = time.monotonic()

    def _forget_touch(self, conversation_id: str) -> None:
        with self._lock:
            self._touched.pop(conversation_id, None)

    def _is_stalled(self, conversation_id: str) -> bool:
        with self._lock:
            return time.monotonic() - self._touched.setdefault(conversation_id, time.monotonic()) > STALLED_SECONDS
