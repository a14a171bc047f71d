"""Questions about the documents of a knowledge base, as records and as cases."""

from __future__ import annotations

import sys
from collections import Counter

from app.knowledge_base import KnowledgeBase
from core.errors import EmptySplit
from core.records import Hit
from core.settings import Settings
from llm.training.corpus_questions import MadeCase, questions_of


def corpus_cases(
    settings: Settings, *, collection: str | None, unanswerable: float
) -> tuple[list[MadeCase], Counter[str]]:
    """Return the questions that rules make of the documents, and why others were dropped.

    Raises:
        UnknownCollection: There is no such collection.
        EmptySplit: The documents give no question.
    """
    with KnowledgeBase.open(settings=settings) as kb:
        passages = every_passage(kb, collection=collection)
        made, dropped = questions_of(
            passages, find=lambda question: kb.services.index.search(question, k=1), unanswerable=unanswerable
        )
    print(f"{len(passages)} passages: {len(made)} questions", file=sys.stderr)
    if not made:
        raise EmptySplit(
            f"{len(passages)} passages gave no question that finds its own passage",
            where=collection or "",
            remedy="Ingest documents with definitions, figures or tables, or write cases by hand",
        )
    return made, dropped


def every_passage(kb: KnowledgeBase, *, collection: str | None) -> list[Hit]:
    """Return every passage of a collection, or of all, in the order of the documents."""
    return [
        Hit(
            chunk=chunk,
            source=source.path,
            title=source.title,
            collection=source.collection,
            media_type=source.media_type,
            score=0.0,
        )
        for source in kb.documents(collection=collection)
        for chunk in kb.services.store.chunks(source.source_id)
    ]
