"""Uploaded files that were kept and not read when the server ended are read when it is back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app.jobs import Jobs
from app.people.accounts import Accounts
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.quota import Quota
from app.people.records import Person
from app.upload_jobs import UploadJobs
from app.uploads import Uploads
from app.web.visitors import Visitors
from core.errors import StoreLocked
from core.interfaces import StoredSource
from ingest.reports import IngestReport
from tests.small_app import small_house
from tests.small_people import add
from tests.small_store import open_writer

PATIENCE_SECONDS = 60.0


class Desk:
    """Uploads of two editors over a small knowledge base, by a server that is started as often as one likes."""

    def __init__(self, visitors: Visitors, data: Path, ann: Person, bob: Person) -> None:
        self.visitors, self.data, self.ann, self.bob = visitors, data, ann, bob
        self.uploads = Uploads(data, max_mb=5, quota=Quota(visitors.people, quota_mb=0))
        self.jobs = Jobs()

    @property
    def reads(self) -> UploadJobs:
        return UploadJobs(self.jobs, self.uploads, self.visitors.own)

    def own(self, person: Person) -> OwnKnowledgeBase:
        return self.visitors.own(person.id)

    def keep(self, person: Person, collection: str, name: str, text: str = "The rent is 840 EUR.") -> Path:
        received = self.uploads.incoming_of(person.id) / "hash" / name
        received.parent.mkdir(parents=True, exist_ok=True)
        received.write_text(text, "utf-8")
        return self.uploads.keep(received, collection=collection, person_id=person.id)

    def restarted(self) -> list[str]:
        """Start anew, and return the names of the files that are gone on with."""
        self.jobs.close(patience_seconds=PATIENCE_SECONDS)
        self.jobs = Jobs()
        self.reads.resume()
        return [name for job in self.jobs._jobs.pieces for name in job.state.names]

    def ended(self) -> None:
        for job in self.jobs._jobs.pieces:
            *_, last = job.live.watch(pause_seconds=0.01)
            assert last.stage == "finished", last

    def stored(self, person: Person) -> dict[str, StoredSource]:
        return {source.path: source for source in self.own(person).documents()}


class ReadsUntilStopped:
    """Holds up what is queued behind it."""

    def ingest(self, *paths: str | Path, stop: Event | None = None, **options: Any) -> IngestReport:
        assert stop is not None
        assert stop.wait(PATIENCE_SECONDS)
        return IngestReport(files=(), seconds=0.0, cancelled=True)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with small_house(tmp_path) as (kb, people):
        made = Desk(
            Visitors(kb, people), kb.settings.data_dir, add(people, "Ann", "editor"), add(people, "Bob", "editor")
        )
        yield made
        made.jobs.close(patience_seconds=PATIENCE_SECONDS)


def test_what_was_kept_and_not_read_is_gone_on_with_once(desk: Desk) -> None:
    anns, bobs = desk.own(desk.ann).create_collection("Leases"), desk.own(desk.bob).create_collection("Leases")
    read = desk.keep(desk.ann, anns, "read.txt")
    failed = desk.keep(desk.ann, anns, "failed.pdf", "%PDF-1.7\nbroken")
    desk.reads.begin([read, failed], collection=anns, own=desk.own(desk.ann))
    desk.ended()
    desk.keep(desk.ann, anns, "one.txt")
    desk.keep(desk.ann, anns, "two.txt")
    desk.keep(desk.bob, bobs, "his.txt")
    assert sorted(desk.restarted()) == ["his.txt", "one.txt", "two.txt"]
    desk.ended()
    assert set(desk.stored(desk.ann)) == {"read.txt", "one.txt", "two.txt"}
    assert set(desk.stored(desk.bob)) == {"his.txt"}
    assert desk.restarted() == []


def test_a_newer_file_of_the_same_name_is_gone_on_with(desk: Desk) -> None:
    name = desk.own(desk.ann).create_collection("Leases")
    desk.reads.begin([desk.keep(desk.ann, name, "rent.txt")], collection=name, own=desk.own(desk.ann))
    desk.ended()
    before = desk.stored(desk.ann)["rent.txt"]
    desk.keep(desk.ann, name, "rent.txt", "The rent is 910 EUR.")
    assert desk.restarted() == ["rent.txt"]
    desk.ended()
    assert desk.stored(desk.ann)["rent.txt"].sha256 != before.sha256


def test_the_end_of_a_server_keeps_the_files_that_its_jobs_did_not_come_to(desk: Desk) -> None:
    name = desk.own(desk.ann).create_collection("Leases")
    desk.jobs.start([], collection=name, into=ReadsUntilStopped())
    place = desk.keep(desk.ann, name, "late.txt")
    queued = desk.reads.begin([place], collection=name, own=desk.own(desk.ann))
    assert desk.restarted() == ["late.txt"]
    assert queued.state.stage == "cancelled"
    desk.ended()
    assert set(desk.stored(desk.ann)) == {"late.txt"}


def test_a_job_that_is_cancelled_discards_what_it_did_not_come_to(desk: Desk) -> None:
    name = desk.own(desk.ann).create_collection("Leases")
    desk.jobs.start([], collection=name, into=ReadsUntilStopped())
    place = desk.keep(desk.ann, name, "unwanted.txt")
    desk.reads.begin([place], collection=name, own=desk.own(desk.ann)).cancel()
    assert not place.exists()
    assert desk.restarted() == []


def test_files_of_a_job_that_failed_as_a_whole_are_gone_on_with(desk: Desk) -> None:
    name = desk.own(desk.ann).create_collection("Leases")
    place = desk.keep(desk.ann, name, "lease.txt")
    with open_writer(desk.data):  # as another process would
        job = desk.reads.begin([place], collection=name, own=desk.own(desk.ann))
        *_, last = job.live.watch(pause_seconds=0.01)
    assert (last.stage, type(last.error)) == ("failed", StoreLocked)
    assert place.is_file()
    assert desk.restarted() == ["lease.txt"]
    desk.ended()


def test_files_of_who_may_no_longer_write_are_left_and_harm_nobody_elses(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    anns, bobs = desk.own(desk.ann).create_collection("Leases"), desk.own(desk.bob).create_collection("Leases")
    place = desk.keep(desk.ann, anns, "hers.txt")
    desk.keep(desk.bob, bobs, "his.txt")
    Accounts(desk.visitors.people).set_role(desk.ann.id, "reader")
    with caplog.at_level(logging.WARNING):
        assert desk.restarted() == ["his.txt"]
    desk.ended()
    assert place.is_file()
    assert desk.stored(desk.ann) == {}
