"""Everything that can go wrong, named, with who is at fault.

```
CitadelError
├── UsageError              the question, setting or command is wrong
│   ├── UnknownSetting, InvalidSetting, UnknownCollection, UnknownSource
│   ├── EmptyQuestion, QuestionTooLong, MissingPath, PortInUse, MalformedInput, EmptySplit
│   ├── SignInNeeded, SignInFailed, Throttled (TooManyWaiting, TooBusy), NotAllowed, InvitationSpent, WeakPassword
│   ├── NameTaken, LastAdmin, UnknownPerson, UnknownConversation, UnknownEvaluation, UnknownTrial, AlreadyRunning
│   ├── UnknownFolder, UnknownAttachment, TooManyAttachments, UploadBroken, QuotaReached
├── DocumentError           one file is at fault; the others go on
│   ├── EmptyFile, UnreadableFile, FileVanished, FileChanged, NotRegularFile, LinkOutside
│   ├── UnsupportedType, WrongExtension, NeedsLibreOffice
│   ├── EncryptedDocument, DamagedDocument, NoText
│   ├── FileTooLarge, BombSuspected, ParseTimeout, ParseMemory, ParserCrashed
├── ModelError              a model is missing or unfit
│   ├── ModelMissing, ModelDamaged, ModelHashMismatch, ModelOffline, ModelUnfit, BackendUnavailable, BackendFailed
├── TrainingError           a training run cannot go on
│   ├── TrainingDiverged, TrainingMemory, TrainingLeak
└── StoreError              the data directory is at fault
    ├── StoreLocked, StoreDamaged, StoreTooNew, EmbedderMismatch, DiskFull
```

An error says what happened, where, and what to do. ``code`` names it for programs, ``http_status`` and
``exit_code`` map it to the ways in. Messages name files by the path the user gave or that is relative to what was
ingested, never by a path of the server that the user does not know.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CitadelError(Exception):
    """An error that a person can act on.

    Args:
        what: What happened, one sentence without a full stop.
        where: The file, setting or address it concerns, or "".
        remedy: What to do about it, one sentence without a full stop.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, self.where, self.remedy), vars(self)

    def __str__(self) -> str:
        said = f"{printable(self.where)}: {self.what}" if self.where else self.what
        return f"{said}. {self.remedy}." if self.remedy else f"{said}."


def _rebuild(kind: type[CitadelError], what: str, where: str, remedy: str) -> CitadelError:
    return kind(what, where=where, remedy=remedy)


def printable(name: str, *, limit: int = 160) -> str:
    """Return a file name that is safe on one line of a terminal: control characters escaped, the middle elided."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    if len(safe) <= limit:
        return safe
    half = limit // 2 - 1
    return f"{safe[:half]}…{safe[-half:]}"


class UsageError(CitadelError):
    """What was asked is wrong."""

    code, http_status, exit_code = "usage", 400, 2


class UnknownSetting(UsageError):
    """No setting has this name."""

    code = "unknown_setting"


class InvalidSetting(UsageError):
    """A setting has a value it cannot take."""

    code = "invalid_setting"


class UnknownCollection(UsageError):
    """No collection has this name."""

    code, http_status = "unknown_collection", 404


class UnknownSource(UsageError):
    """No source has this name."""

    code, http_status = "unknown_source", 404


class EmptyQuestion(UsageError):
    """The question has no words."""

    code = "empty_question"


class QuestionTooLong(UsageError):
    """The question is longer than is answered."""

    code, http_status = "question_too_long", 413


class MissingPath(UsageError):
    """A path to ingest or read does not exist."""

    code, http_status = "missing_path", 404


class PortInUse(UsageError):
    """Another program listens where the server should."""

    code = "port_in_use"


class MalformedInput(UsageError):
    """A line of a file of questions, passages or cases is malformed."""

    code = "malformed_input"


class EmptySplit(UsageError):
    """A part of the data that should hold records holds none."""

    code = "empty_split"


class SignInNeeded(UsageError):
    """Nobody is signed in, or no longer."""

    code, http_status = "sign_in_needed", 401


class SignInFailed(UsageError):
    """The name and the password do not belong together; which of them is wrong is not said."""

    code, http_status = "sign_in_failed", 401


class Throttled(UsageError):
    """Too much was tried too fast.

    Args:
        what: As for every error.
        where: As for every error.
        remedy: As for every error.
        retry_after_seconds: How long to wait before the next try.
    """

    code, http_status = "throttled", 429

    def __init__(self, what: str, *, where: str = "", remedy: str = "", retry_after_seconds: float = 0.0) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.retry_after_seconds = retry_after_seconds


class TooManyWaiting(Throttled):
    """The person has as many questions in line as one may have."""

    code = "too_many_waiting"


class TooBusy(Throttled):
    """The line is full, whoever asks."""

    code, http_status = "too_busy", 503


class NotAllowed(UsageError):
    """The person may see this and may not do that with it."""

    code, http_status = "not_allowed", 403


class InvitationSpent(UsageError):
    """The invitation was used, has expired, was withdrawn or never was one."""

    code, http_status = "invitation_spent", 410


class WeakPassword(UsageError):
    """The password is too short or too easily guessed."""

    code = "weak_password"


class NameTaken(UsageError):
    """Another person, group or collection has this name."""

    code, http_status = "name_taken", 409


class LastAdmin(UsageError):
    """Nobody would be left who can administer."""

    code, http_status = "last_admin", 409


class UnknownPerson(UsageError):
    """There is no such person, group, session or invitation."""

    code, http_status = "unknown_person", 404


class UnknownConversation(UsageError):
    """The person has no such conversation or turn."""

    code, http_status = "unknown_conversation", 404


class UnknownEvaluation(UsageError):
    """No run of an evaluation has this number."""

    code, http_status = "unknown_evaluation", 404


class UnknownTrial(UsageError):
    """The person has no such trial to look at or to rate."""

    code, http_status = "unknown_trial", 404


class UnknownFolder(UsageError):
    """No followed folder has this id."""

    code, http_status = "unknown_folder", 404


class UnknownAttachment(UsageError):
    """The conversation has no such file."""

    code, http_status = "unknown_attachment", 404


class TooManyAttachments(UsageError):
    """The conversation has as many files as one may have."""

    code, http_status = "too_many_attachments", 409


class UploadBroken(UsageError):
    """The file did not arrive whole."""

    code = "upload_broken"


class QuotaReached(UsageError):
    """The person has uploaded as much as one may.

    Args:
        what: As for every error.
        where: As for every error.
        remedy: As for every error.
        used_mb: What their files take, in MiB.
        quota_mb: What they may take.
    """

    code, http_status = "quota_reached", 413

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", used_mb: float = 0.0, quota_mb: float = 0.0
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.used_mb, self.quota_mb = used_mb, quota_mb


class AlreadyRunning(UsageError):
    """What is to be started runs already, and only one may."""

    code, http_status = "already_running", 409


class DocumentError(CitadelError):
    """A file cannot be ingested; nothing else is harmed."""

    code, http_status, exit_code = "document", 422, 3


class EmptyFile(DocumentError):
    """The file has no bytes."""

    code = "empty_file"


class UnreadableFile(DocumentError):
    """The file may not be read."""

    code = "unreadable_file"


class FileVanished(DocumentError):
    """The file went away between the scan and the reading."""

    code = "file_vanished"


class FileChanged(DocumentError):
    """The file changed while it was read."""

    code = "file_changed"


class NotRegularFile(DocumentError):
    """The path is a FIFO, socket or device."""

    code = "not_regular_file"


class LinkOutside(DocumentError):
    """A link leads out of the folder that is ingested."""

    code = "link_outside"


class UnsupportedType(DocumentError):
    """No parser reads this type."""

    code = "unsupported_type"


class WrongExtension(DocumentError):
    """The content is of another type than the name says, and of none that can be read."""

    code = "wrong_extension"


class NeedsLibreOffice(DocumentError):
    """An old binary Office file needs LibreOffice, which is not installed."""

    code = "needs_libreoffice"


class EncryptedDocument(DocumentError):
    """The document asks for a password."""

    code = "encrypted"


class DamagedDocument(DocumentError):
    """The document is truncated or malformed."""

    code = "damaged"


class NoText(DocumentError):
    """The document holds no text, and none could be recognized."""

    code = "no_text"


class FileTooLarge(DocumentError):
    """The file is larger than the limit."""

    code = "file_too_large"


class BombSuspected(DocumentError):
    """The file would unpack or expand beyond the limit."""

    code = "bomb_suspected"


class ParseTimeout(DocumentError):
    """The file took longer to read than the limit."""

    code = "parse_timeout"


class ParseMemory(DocumentError):
    """The file took more memory to read than the limit."""

    code = "parse_memory"


class ParserCrashed(DocumentError):
    """The parser ended without an answer."""

    code = "parser_crashed"


class ModelError(CitadelError):
    """A model is missing or unfit."""

    code, http_status, exit_code = "model", 503, 4


class ModelMissing(ModelError):
    """A model's file or folder is not there."""

    code = "model_missing"


class ModelDamaged(ModelError):
    """A model's file is truncated or malformed."""

    code = "model_damaged"


class ModelHashMismatch(ModelError):
    """A model's file is not the one that was pinned."""

    code = "model_hash_mismatch"


class ModelOffline(ModelError):
    """A model has to be fetched and the network does not answer."""

    code = "model_offline"


class ModelUnfit(ModelError):
    """A model cannot do what is asked of it."""

    code = "model_unfit"


class BackendUnavailable(ModelError):
    """The library or server that runs a model is not there."""

    code = "backend_unavailable"


class BackendFailed(ModelError):
    """The library or server that runs a model failed while it ran."""

    code = "backend_failed"


class TrainingError(CitadelError):
    """A training run cannot go on."""

    code = "training"
    http_status = 422
    exit_code = 4


class TrainingDiverged(TrainingError):
    """The loss is no number any more."""

    code = "training_diverged"


class TrainingMemory(TrainingError):
    """A training step does not fit into memory."""

    code = "training_memory"


class TrainingLeak(TrainingError):
    """Training data hold what the result is to be judged on."""

    code = "training_leak"


class StoreError(CitadelError):
    """The data directory is at fault."""

    code, http_status, exit_code = "store", 503, 5


class StoreLocked(StoreError):
    """Another process writes to the data directory."""

    code = "store_locked"


class StoreDamaged(StoreError):
    """The database is damaged."""

    code = "store_damaged"


class StoreTooNew(StoreError):
    """The database was written by a newer Citadel."""

    code = "store_too_new"


class EmbedderMismatch(StoreError):
    """The stored vectors were made by another embedder."""

    code = "embedder_mismatch"


class DiskFull(StoreError):
    """No room is left on the disk."""

    code, http_status = "disk_full", 507


def every_error() -> list[type[CitadelError]]:
    """Return every error class, parents before children."""
    found: list[type[CitadelError]] = [CitadelError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found
