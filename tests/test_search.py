"""Searching: what is stored is found, what is deleted is not, and passages read whole."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import EmbedderMismatch, EmptyQuestion, UnknownCollection
from core.records import Box, Chunk, Hit, Locator, SearchFilter, chunk_id
from core.settings import RetrievalSettings
from indexes.knowledge_base import KnowledgeIndex
from indexes.passages import MOST_TOKENS, joined_locator
from indexes.retriever import CitadelRetriever
from indexes.store import Store
from tests.small_store import HashingEmbedder, ingestible, open_writer

PARAGRAPHS = [
    "Annual leave is twenty-five days for everyone.",
    "Sick leave needs a doctor's note after the third day.",
    "The coffee machine is cleaned on Fridays.",
    "员工每年享有十五天带薪年假。",
    "The router blinks red when the line is down.",
]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Store]:
    with open_writer(tmp_path) as store:
        yield store


def _index(store: Store, **settings: object) -> KnowledgeIndex:
    return KnowledgeIndex(store, HashingEmbedder(), RetrievalSettings(**settings))  # type: ignore[arg-type]


def _sources(hits: list[Hit]) -> list[str]:
    return [hit.source for hit in hits]


def test_an_empty_store_finds_nothing_and_says_so_quietly(writer: Store) -> None:
    index = _index(writer)
    index.warm()
    assert index.search("anything") == []


def test_a_blank_query_is_the_askers_fault(writer: Store) -> None:
    with pytest.raises(EmptyQuestion):
        _index(writer).search(" \n ")


@pytest.mark.parametrize("fusion", ["scores", "ranks"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("how many days of annual leave", "0.txt"),
        ("red blinking router", "4.txt"),
        ("每年的年假有多少天？", "3.txt"),
        ("員工每年享有幾天年假？", "3.txt"),
    ],
)
def test_a_question_finds_its_passage(writer: Store, fusion: str, query: str, found: str) -> None:
    for i, paragraph in enumerate(PARAGRAPHS):
        writer.put([ingestible(f"{i}.txt", paragraph)], collection="default")
    hits = _index(writer, fusion=fusion).search(query, k=3)
    assert hits[0].source == found
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].ranks == {"dense": 1, "sparse": 1}
    assert 0 < hits[0].scores["dense"] <= 1.0001
    assert hits[0].scores["sparse"] > 0


def test_what_a_chunk_stands_under_is_searched_but_not_quoted(writer: Store) -> None:
    writer.put([ingestible("a.txt", "It weighs two kilograms.", context="Kestrel pump")], collection="default")
    writer.put([ingestible("b.txt", "It weighs nine kilograms.", context="Heron valve")], collection="default")
    hit = _index(writer).search("how heavy is the heron valve")[0]
    assert (hit.source, hit.chunk.text) == ("b.txt", "It weighs nine kilograms.")


def test_a_deleted_document_is_invisible_at_once_to_both_searchers(writer: Store, tmp_path: Path) -> None:
    reader = _index(Store.open(tmp_path, writer=False))
    for i, paragraph in enumerate(PARAGRAPHS):
        writer.put([ingestible(f"{i}.txt", paragraph)], collection="default")
    writer.rebuild()
    query = "annual leave twenty-five days"
    assert reader.search(query)[0].source == "0.txt"
    writer.delete("0.txt", collection="default")
    for weights in ({}, {"dense_weight": 0.0}, {"sparse_weight": 0.0}):
        index = _index(Store.open(tmp_path, writer=False), **weights)
        assert "0.txt" not in _sources(index.search(query, k=10))
    assert "0.txt" not in _sources(reader.search(query, k=10))


def test_a_replaced_document_answers_with_its_new_words_alone(writer: Store) -> None:
    index = _index(writer)
    for days in ("twenty", "thirty"):
        writer.put([ingestible("a.txt", f"Leave is {days} days.")], collection="default")
        assert [hit.chunk.text for hit in index.search("leave days")] == [f"Leave is {days} days."]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (SearchFilter(collections=("two",)), {"b.pdf"}),
        (SearchFilter(collections=("one", "two")), {"a/x.txt", "a/y.txt", "b.pdf"}),
        (SearchFilter(sources=("a/*",)), {"a/x.txt", "a/y.txt"}),
        (SearchFilter(sources=("a/y.txt", "b.pdf")), {"a/y.txt", "b.pdf"}),
        (SearchFilter(media_types=("application/pdf",)), {"b.pdf"}),
        (SearchFilter(modified_after=20.0), {"a/y.txt", "b.pdf"}),
        (SearchFilter(modified_before=20.0), {"a/x.txt", "a/y.txt"}),
        (SearchFilter(modified_after=20.0, modified_before=20.0, collections=("one",)), {"a/y.txt"}),
        (SearchFilter(sources=("nothing*",)), set()),
    ],
)
def test_filters_let_through_what_they_name(writer: Store, filter: SearchFilter, expected: set[str]) -> None:
    writer.put([ingestible("a/x.txt", "leave days one", collection="one", modified=10.0)], collection="one")
    writer.put([ingestible("a/y.txt", "leave days two", collection="one", modified=20.0)], collection="one")
    pdf = ingestible("b.pdf", "leave days three", collection="two", modified=30.0, media_type="application/pdf")
    writer.put([pdf], collection="two")
    assert set(_sources(_index(writer).search("leave days", filter=filter))) == expected


def test_a_filter_does_not_starve_the_result(writer: Store) -> None:
    many = [ingestible(f"many/{i}.txt", f"leave days leave days number {i}") for i in range(200)]
    writer.put(
        [*many, *(ingestible(f"few/{i}.txt", f"about something else {i}") for i in range(4))], collection="default"
    )
    hits = _index(writer, candidates=5).search("leave days", k=4, filter=SearchFilter(sources=("few/*",)))
    assert sorted(_sources(hits)) == [f"few/{i}.txt" for i in range(4)]


def test_an_unknown_collection_is_named_with_the_nearest(writer: Store) -> None:
    writer.put([ingestible("a.txt", "words", collection="contracts")], collection="contracts")
    with pytest.raises(UnknownCollection, match="contracts"):
        _index(writer).search("words", filter=SearchFilter(collections=("contract",)))


def test_copies_are_shown_once_and_remembered(writer: Store) -> None:
    for name in ("a.txt", "b.md", "c.html"):
        writer.put(
            [ingestible(name, "The warranty runs for two years from delivery of the goods.")], collection="default"
        )
    other = "The warranty runs for three years from delivery of the goods."
    writer.put([ingestible("d.txt", other)], collection="default")
    hits = _index(writer).search("how long is the warranty", k=5)
    assert [(hit.source, hit.duplicates) for hit in hits] in (
        [("a.txt", ("b.md", "c.html")), ("d.txt", ())],
        [("d.txt", ()), ("a.txt", ("b.md", "c.html"))],
    )


def test_neighbours_are_joined_to_a_passage_that_is_the_documents_own_text(writer: Store) -> None:
    parts = ["Leave is granted by the manager.", "Leave must be asked for in writing.", "Cats are not allowed."]
    item = ingestible("a.txt", *parts, locators=[{"page": 1}, {"page": 2}, {"page": 2}])
    writer.put([item, ingestible("b.txt", "Unrelated words on leave.")], collection="default")
    hits = _index(writer).search("leave manager writing", k=2)
    joined = hits[0].chunk
    assert joined.text == "\n\n".join(parts[:2]) == item.document.text[joined.locator.start : joined.locator.end]
    assert (joined.locator.page, joined.locator.page_end) == (1, 2)
    assert joined.id == chunk_id(source_id=joined.source_id, start=0, end=len(joined.text), text=joined.text)
    apart = _index(writer, merge_neighbours=False).search("leave manager writing", k=2)
    assert all(hit.chunk in item.chunks or hit.source == "b.txt" for hit in apart)


def test_a_joined_passage_keeps_within_its_length_and_its_slide(writer: Store) -> None:
    long = [f"leave rule {i} " + f"filler{i} " * 100 for i in range(6)]
    slides = [{"slide": 1}, {"slide": 2}]
    writer.put([ingestible("long.txt", *long)], collection="default")
    writer.put(
        [ingestible("deck.pptx", "leave on slide one", "leave on slide two", locators=slides)], collection="default"
    )
    hits = _index(writer).search("leave rule slide", k=6)
    assert all(hit.chunk.n_tokens <= MOST_TOKENS for hit in hits)
    assert sum(hit.source == "deck.pptx" for hit in hits) == 2


def test_every_passage_is_verbatim_and_none_overlap_whatever_is_asked(writer: Store) -> None:
    source = random.Random(5)
    words = "leave days pump valve router red line 年假 天 公司 manager writing".split()
    texts = {}
    for i in range(25):
        item = ingestible(f"{i}.txt", *(" ".join(source.choices(words, k=12)) for _ in range(source.randint(1, 9))))
        texts[f"{i}.txt"] = item.document.text
        writer.put([item], collection="default")
    index = _index(writer)
    for _ in range(60):
        hits = index.search(" ".join(source.choices(words, k=3)), k=source.randint(1, 10))
        seen: list[tuple[str, int, int]] = []
        for hit in hits:
            place = hit.chunk.locator
            assert texts[hit.source][place.start : place.end] == hit.chunk.text
            assert all(hit.source != s or place.end <= a or b <= place.start for s, a, b in seen)
            seen.append((hit.source, place.start, place.end))


def test_the_answer_is_the_same_however_the_store_came_about(tmp_path: Path) -> None:
    items = [ingestible(f"{i}.txt", f"leave rule {i % 4}", f"pump {i} and valve") for i in range(20)]
    with open_writer(tmp_path / "at once") as once, open_writer(tmp_path / "bit by bit") as slowly:
        once.put(items, collection="default")
        once.rebuild()
        index = _index(slowly)
        for item in items:
            slowly.put([ingestible(item.document.source.path, "an older version")], collection="default")
        for item in items:
            slowly.put([item], collection="default")
            index.search("leave")
        for query in ("leave rule 3", "pump 7 valve"):
            first, second = _index(once).search(query, k=8), index.search(query, k=8)
            assert [(h.source, h.chunk.id) for h in first] == [(h.source, h.chunk.id) for h in second]
            assert [h.score for h in first] == pytest.approx([h.score for h in second], abs=1e-5)


def test_the_vectors_of_another_embedder_are_not_searched(writer: Store) -> None:
    writer.put([ingestible("a.txt", "words")], collection="default")

    class Other(HashingEmbedder):
        fingerprint = "other"

    index = KnowledgeIndex(writer, Other(), RetrievalSettings())
    for call in (index.warm, lambda: index.search("words")):
        with pytest.raises(EmbedderMismatch, match="hashing-64"):
            call()


def test_searches_go_on_from_many_threads_while_documents_come_and_go(writer: Store, tmp_path: Path) -> None:
    index = _index(Store.open(tmp_path, writer=False))
    writer.put([ingestible("kept.txt", "the kept leave rule", "second kept leave rule")], collection="default")
    failures: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                assert "kept.txt" in _sources(index.search("kept leave rule", k=5))
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(25):
        writer.put([ingestible(f"{i % 5}.txt", f"leave {i}", f"leave rule {i}", f"rule {i}")], collection="default")
        writer.delete(f"{(i + 2) % 5}.txt", collection="default")
    writer.rebuild()
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_retriever_gives_langchain_documents(writer: Store) -> None:
    writer.put([ingestible("a.pdf", "Leave is twenty days.", locators=[{"page": 3}])], collection="default")
    retriever = CitadelRetriever(index=_index(writer), k=1, filter=SearchFilter(collections=("default",)))
    document = retriever.invoke("leave days")[0]
    assert document.page_content == "Leave is twenty days."
    assert document.metadata["source"] == "a.pdf"
    assert document.metadata["page"] == 3
    assert (document.metadata["start"], document.metadata["end"]) == (0, 21)
    assert document.metadata["collection"] == "default"
    assert retriever.batch(["leave", "days"])[1][0].id == document.id


def test_locators_of_neighbours_are_put_together() -> None:
    box = Box(page=4, x0=0.1, y0=0.1, x1=0.2, y1=0.2, start=0, end=5)
    later = replace(box, page=5, start=12, end=20)
    first = Locator(start=0, end=10, page=4, page_end=4, row_start=1, row_end=5, headings=("A", "B"), boxes=(box,))
    second = Locator(
        start=8, end=20, page=4, page_end=5, row_start=5, row_end=9, headings=("A", "C"), boxes=(box, later)
    )
    joined = joined_locator([first, second])
    assert (joined.start, joined.end, joined.page, joined.page_end) == (0, 20, 4, 5)
    assert (joined.row_start, joined.row_end, joined.headings, joined.boxes) == (1, 9, ("A",), (box, later))


def test_a_chunk_overlapping_its_neighbour_is_not_read_twice(writer: Store) -> None:
    item = ingestible("a.txt", "Leave is asked for in writing and granted by the manager in person.")
    text, owner = item.document.text, item.chunks[0].source_id
    spans = [(0, 42), (34, len(text))]
    chunks = tuple(
        Chunk(
            id=chunk_id(source_id=owner, start=start, end=end, text=text[start:end]),
            source_id=owner,
            text=text[start:end],
            locator=Locator(start=start, end=end),
            n_tokens=10,
        )
        for start, end in spans
    )
    vectors = HashingEmbedder().encode_passages([chunk.text for chunk in chunks])
    writer.put([replace(item, chunks=chunks, vectors=vectors)], collection="default")
    assert [hit.chunk.text for hit in _index(writer).search("leave granted in writing by the manager")] == [text]


def test_passages_that_grow_towards_each_other_become_one(writer: Store) -> None:
    item = ingestible("a.txt", "pump valve first", "pump middle", "pump valve last")
    writer.put([item, ingestible("b.txt", "pump elsewhere with many other words in it")], collection="default")
    hits = _index(writer).search("pump valve", k=3)
    assert [hit.chunk.text for hit in hits if hit.source == "a.txt"] == [item.document.text]


def test_a_neighbour_that_would_not_be_shown_itself_is_not_joined(writer: Store) -> None:
    writer.put([ingestible("a.txt", "pump valve", "cats and dogs")], collection="default")
    writer.put([ingestible("b.txt", "pump and other things")], collection="default")
    assert _index(writer).search("pump valve", k=1)[0].chunk.text == "pump valve"


def test_a_source_left_out_makes_room_for_the_next(writer: Store) -> None:
    for i, paragraph in enumerate(PARAGRAPHS):
        writer.put([ingestible(f"{i}.txt", paragraph)], collection="default")
    index = _index(writer)
    everything = _sources(index.search("how many days of annual leave", k=5))
    left = index.search("how many days of annual leave", k=5, filter=SearchFilter(without=(everything[0],)))
    assert _sources(left) == everything[1:]
    assert index.search("leave", filter=SearchFilter(without=("*.txt",))) == []
    assert index.search("leave", filter=SearchFilter(sources=("0.txt",), without=("0.txt",))) == []
