"""Questions to begin with: of what the person may read, in their language, and made anew when a collection changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.people.records import Filled
from app.suggestions import MAX_QUESTION_CHARS, Suggestions, example_questions, heading_subjects
from core.errors import UnknownSource
from core.interfaces import StoredSource
from core.records import Chunk, Language, Locator

NO_FILE = Path("/nowhere")


class Shelf:
    """Documents with headings, by collection; notes what was read of them."""

    def __init__(self, **collections: dict[str, tuple[str, ...]]) -> None:
        self.collections = collections
        self.hidden: set[str] = set()
        self.read: list[str] = []

    def filled(self) -> list[Filled]:
        named = {name: self.documents(collection=name) for name in self.collections if name not in self.hidden}
        found = [Filled(name=name, n_documents=len(held), newest=held[-1]) for name, held in named.items() if held]
        return sorted(found, key=lambda each: -each.newest.ingested)

    def documents(self, *, collection: str | None = None) -> list[StoredSource]:
        return [
            _source(path, name, ingested=float(i))
            for i, (name, documents) in enumerate(self.collections.items())
            if collection in (None, name)
            for path in documents
        ]

    def chunks(self, path: str, *, collection: str | None = None) -> list[Chunk]:
        self.read.append(path)
        return [_chunk(heading) for heading in self.collections[collection or ""][path]]


def _source(path: str, collection: str, *, ingested: float = 0.0) -> StoredSource:
    title = path.partition(".")[0]
    language = "zh" if any("一" <= c <= "鿿" for c in title) else "en"
    return StoredSource(
        source_id=f"{collection}/{path}", path=path, collection=collection, location="/x", sha256="0", media_type="t",
        size_bytes=1, modified=0.0, ingested=ingested, title=title, n_chunks=1, n_pages=None, language=language,
        recipe="r",
    )  # fmt: skip


def _chunk(*headings: str) -> Chunk:
    return Chunk(id="c", source_id="s", text="t", locator=Locator(start=0, end=1, headings=headings), n_tokens=1)


def _of(shelf: Shelf, language: Language = "en", *, file: Path = NO_FILE) -> list[str]:
    return Suggestions(file=file).of(shelf, language)


def test_headings_become_questions_in_the_readers_language() -> None:
    shelf = Shelf(
        hr={
            "Handbook.pdf": ("1 Introduction", "2. Holidays and leave", "Who may work remotely?"),
            "员工手册.pdf": ("第三章 假期",),
        }
    )
    assert set(_of(shelf)) == {"What does “Handbook” say about holidays and leave?", "Who may work remotely?"}
    assert _of(shelf, "zh") == ["关于“假期”，《员工手册》是怎么说的？"]


def test_nothing_of_a_collection_that_one_may_not_read_is_suggested_or_read() -> None:
    shelf = Shelf(hr={"Handbook.pdf": ("Leave",)}, board={"Merger.pdf": ("The secret price",)})
    suggestions = Suggestions(file=NO_FILE)
    assert any("secret" in question for question in suggestions.of(shelf, "en"))
    shelf.read.clear()
    shelf.hidden.add("board")
    assert suggestions.of(shelf, "en") == ["What does “Handbook” say about leave?"]
    assert shelf.read == []


def test_a_collection_is_read_again_only_when_it_has_changed() -> None:
    shelf = Shelf(hr={"Handbook.pdf": ("Leave",)})
    suggestions = Suggestions(file=NO_FILE)
    first = suggestions.of(shelf, "en")
    assert suggestions.of(shelf, "en") == first
    assert shelf.read == ["Handbook.pdf"]
    shelf.collections["hr"]["Travel.pdf"] = ("Hotels and meals",)
    assert "What does “Travel” say about hotels and meals?" in suggestions.of(shelf, "en")
    del shelf.collections["hr"]["Travel.pdf"]
    shelf.collections["hr"]["Pay.pdf"] = ("Bonus and raise",)
    assert set(suggestions.of(shelf, "en")) == {*first, "What does “Pay” say about bonus and raise?"}


def test_collections_take_turns_and_the_newest_is_first() -> None:
    shelf = Shelf(
        old={f"Old {i}.pdf": ("Alpha wave", "Beta wave") for i in range(5)},
        new={f"New {i}.pdf": ("Gamma wave", "Delta wave") for i in range(5)},
    )
    asked = _of(shelf)
    assert len(asked) == len(set(asked)) == 4
    assert ["New" in question for question in asked] == [True, False, True, False]


def test_a_document_without_headings_is_asked_about_by_its_title() -> None:
    assert _of(Shelf(hr={"Price list.csv": ()})) == ["What does “Price list” say?"]
    assert _of(Shelf()) == []


def test_a_document_that_is_deleted_meanwhile_is_passed_over() -> None:
    class Emptied(Shelf):
        def chunks(self, path: str, *, collection: str | None = None) -> list[Chunk]:
            raise UnknownSource("there is no such document")

    assert _of(Emptied(hr={"Handbook.pdf": ("Leave",)})) == ["What does “Handbook” say?"]


def test_the_samples_own_questions_come_first_where_all_their_documents_are_there(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    cases = [
        {"question": "How long is the leave?", "sources": ["Handbook.pdf#page=3"]},
        {"question": "And then?", "sources": ["Other.pdf"], "history": [{"role": "user", "content": "x"}]},
        {"question": "What is not there?", "sources": ["Gone.pdf"]},
        {"question": "年假有几天？", "sources": ["Handbook.pdf"]},
        {"question": "What about aliens?", "sources": ["Handbook.pdf"], "answerable": False},
    ]
    file.write_text("\n".join(json.dumps(case) for case in cases), "utf-8")
    shelf = Shelf(hr={"Handbook.pdf": ("Leave",), "Other.pdf": ()})
    assert _of(shelf, file=file) == ["How long is the leave?"]
    assert example_questions(shelf.documents(), "zh", file=file) == ["年假有几天？"]


@pytest.mark.parametrize(
    ("heading", "language", "subject"),
    [
        ("3.2 Holidays and leave", "en", "Holidays and leave"),
        ("Chapter 4: Repairs", "en", "Repairs"),
        ("IV. Duties", "en", "Duties"),
        ("二、适用对象", "zh", "适用对象"),
        ("（三）报销流程", "zh", "报销流程"),
        ("第十二条 违约责任", "zh", "违约责任"),
        ("Introduction", "en", None),
        ("目录", "zh", None),
        ("附录", "zh", None),
        ("def run(self)", "en", None),
        ("logger_settings", "en", None),
        ("Attachment: a.csv", "en", None),
        ("INV-2025-0017", "en", None),
        ("x" * 80, "en", None),
        ("<b>Leave</b>", "en", None),
        ("假期", "en", None),
    ],
)
def test_headings_lose_their_numbers_and_those_that_say_nothing_are_left_out(
    heading: str, language: Language, subject: str | None
) -> None:
    found = heading_subjects([_chunk(heading), _chunk(heading)], title="Handbook", language=language)
    assert found == ([subject] if subject else [])


def test_a_heading_that_repeats_the_title_and_a_question_that_is_too_long_are_left_out() -> None:
    assert heading_subjects([_chunk("Staff handbook")], title="Staff Handbook 2025", language="en") == []
    long = Shelf(hr={"A title of some length for a rather dull report.pdf": ("A heading that is rather long as well",)})
    assert all(len(question) <= MAX_QUESTION_CHARS for question in _of(long))
