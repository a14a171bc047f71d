"""The Python interface: what programs rely on, and two writers at a time."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import KnowledgeBase
from core.errors import EmptyQuestion, StoreLocked, UnknownCollection, UnknownSource
from core.records import Finished, Retrieved, SearchFilter, Token
from core.settings import load_settings
from indexes.store import Store
from tests.small_store import HashingEmbedder

NO_MODELS = ["generator.backend=none", "reader.model=none"]
TEXT = "The office in the Wijnhaven is leased until 31 March 2031. The yearly rent is 84,000 EUR."


@pytest.fixture
def kb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KnowledgeBase]:
    """A knowledge base of one document, without models."""
    monkeypatch.setattr("llm.embedders.open_embedder", lambda *_, **__: HashingEmbedder())
    settings = load_settings(overrides=[*NO_MODELS, "answer.refuse_below=0"], data_dir=tmp_path / "data")
    (tmp_path / "lease.txt").write_text(TEXT, "utf-8")
    with KnowledgeBase.open(settings=settings.settings) as opened:
        opened.ingest(tmp_path / "lease.txt", collection="office")
        yield opened


def test_a_question_is_answered_and_streamed_alike(kb: KnowledgeBase) -> None:
    answer = kb.ask("How high is the yearly rent?")
    events = list(kb.stream("How high is the yearly rent?"))
    assert "84,000 EUR" in answer.text
    assert isinstance(events[0], Retrieved)
    assert isinstance(events[-1], Finished)
    assert "".join(e.text for e in events if isinstance(e, Token)) == events[-1].answer.text == answer.text


def test_closing_frees_what_was_opened(kb: KnowledgeBase) -> None:
    chain = weakref.ref(kb.services.chain)
    kb.close()
    gc.collect()
    assert chain() is None


def test_it_is_a_langchain_retriever(kb: KnowledgeBase) -> None:
    documents = kb.as_retriever(k=1).invoke("yearly rent")
    assert documents[0].page_content == TEXT
    assert documents[0].metadata["source"] == "lease.txt"
    assert documents[0].metadata["collection"] == "office"


def test_it_is_a_langchain_tool_whose_artifact_is_the_answer(kb: KnowledgeBase) -> None:
    tool = kb.as_tool()
    call = {"name": tool.name, "args": {"question": "How high is the yearly rent?"}, "id": "1", "type": "tool_call"}
    message = tool.invoke(call)
    assert "84,000 EUR" in message.content
    assert "lease.txt" in message.content
    assert message.artifact.citations[0].source == "lease.txt"


def test_wrong_names_are_told_with_the_nearest(kb: KnowledgeBase) -> None:
    with pytest.raises(UnknownSource, match=r"nearest is lease\.txt"):
        kb.delete("lesae.txt")
    with pytest.raises(UnknownCollection, match="nearest is office"):
        kb.search("rent", filter=SearchFilter(collections=("offices",)))
    with pytest.raises(EmptyQuestion):
        kb.ask("?!")


def test_wrong_questions_raise_before_the_first_event(kb: KnowledgeBase) -> None:
    with pytest.raises(EmptyQuestion):
        kb.stream("  ")


def test_a_second_writer_is_told_so(kb: KnowledgeBase, tmp_path: Path) -> None:
    with Store.open(tmp_path / "data", writer=True), pytest.raises(StoreLocked, match="writes to this"):
        kb.ingest(tmp_path / "lease.txt")
    assert kb.ask("How high is the yearly rent?").citations


def test_a_deletion_during_an_ingest_says_so_and_questions_go_on(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.knowledge_base._PATIENCE_SECONDS", 0.1)
    reached, release = threading.Event(), threading.Event()

    def on_event(_: object) -> None:
        reached.set()
        release.wait(30)

    (tmp_path / "more.txt").write_text("More.", "utf-8")
    ingest = threading.Thread(target=lambda: kb.ingest(tmp_path / "more.txt", on_event=on_event))
    ingest.start()
    try:
        assert reached.wait(30)
        with pytest.raises(StoreLocked, match="an ingest is running"):
            kb.delete("lease.txt")
        assert "84,000" in kb.ask("How high is the yearly rent?").text
    finally:
        release.set()
        ingest.join(60)
    assert kb.delete("lease.txt").path == "lease.txt"
    assert not kb.search("yearly rent", filter=SearchFilter(collections=("office",)))
