"""Answers as they are kept: whole, so that a reload shows exactly what was shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.records import Answer, Chunk, Citation, Hit, Locator, Sentence, Timings


def answer_to_plain(answer: Answer) -> dict[str, Any]:
    """Return every field of an answer as JSON values."""
    return {
        "question": answer.question,
        "text": answer.text,
        "citations": [
            {
                "number": citation.number,
                "chunk_id": citation.chunk_id,
                "source": citation.source,
                "collection": citation.collection,
                "locator": citation.locator.to_json(),
                "quote": citation.quote,
            }
            for citation in answer.citations
        ],
        "sentences": [[sentence.start, sentence.end, list(sentence.citations)] for sentence in answer.sentences],
        "hits": [_hit_to_plain(hit) for hit in answer.hits],
        "model": answer.model,
        "timings": asdict(answer.timings),
        "abstained": answer.abstained,
        "language": answer.language,
        "confidence": answer.confidence,
    }


def answer_from_plain(plain: Mapping[str, Any]) -> Answer:
    """Undo :func:`answer_to_plain`."""
    return Answer(
        **{
            **plain,
            "citations": tuple(
                Citation(**{**citation, "locator": Locator.from_json(citation["locator"])})
                for citation in plain["citations"]
            ),
            "sentences": tuple(
                Sentence(start=start, end=end, citations=tuple(numbers)) for start, end, numbers in plain["sentences"]
            ),
            "hits": tuple(_hit_from_plain(hit) for hit in plain["hits"]),
            "timings": Timings(**plain["timings"]),
        }
    )


def to_text(plain: object) -> str:
    """Return JSON values as one line that any database holds: what is no valid Unicode is escaped."""
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(plain, separators=(",", ":"))
    return text


def _hit_to_plain(hit: Hit) -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "chunk": {
            "id": chunk.id,
            "source_id": chunk.source_id,
            "text": chunk.text,
            "locator": chunk.locator.to_json(),
            "n_tokens": chunk.n_tokens,
            "context": chunk.context,
        },
        "source": hit.source,
        "title": hit.title,
        "collection": hit.collection,
        "media_type": hit.media_type,
        "score": float(hit.score),
        "ranks": {name: int(rank) for name, rank in hit.ranks.items()},
        "scores": {name: float(score) for name, score in hit.scores.items()},
        "duplicates": list(hit.duplicates),
    }


def _hit_from_plain(plain: Mapping[str, Any]) -> Hit:
    chunk = plain["chunk"]
    return Hit(
        **{
            **plain,
            "chunk": Chunk(**{**chunk, "locator": Locator.from_json(chunk["locator"])}),
            "duplicates": tuple(plain["duplicates"]),
        }
    )
