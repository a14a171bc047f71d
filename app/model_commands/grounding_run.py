"""Build grounded examples with the parts that answer questions; what was built is kept, and gone on with."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.condense import condense
from app.evidence import Evidence, EvidenceScorer, Scorer
from app.model_commands.mining import (
    BlindEmbedder,
    PassageBase,
    RememberingEmbedder,
    Side,
    found_before,
    pool_of,
    pools_of,
)
from app.prompts import REFUSAL, grounded_messages
from app.reading import ReadingScorer
from app.services import Services
from core.errors import BackendUnavailable
from core.interfaces import PassageEmbedder
from core.records import Hit, Language, Message
from core.settings import Settings
from llm.training.examples import ExampleBuilder, Recipe, Serving, passages_of, roles
from llm.training.records import Record

CountTokens = Callable[[str], int]


def searching_parts(services: Services, *, blind: bool) -> tuple[PassageEmbedder, Scorer]:
    """Return what searches and what weighs: those that serve, or such as know words alone and cost nothing."""
    if blind:
        return BlindEmbedder(), EvidenceScorer(BlindEmbedder()).weigh
    embedder = RememberingEmbedder(services.embedder)
    if services.reader is None:
        return embedder, EvidenceScorer(embedder).weigh
    return embedder, ReadingScorer(services.reader, EvidenceScorer(embedder), k=services.settings.retrieval.k).weigh


def token_counter(services: Services) -> CountTokens:
    """Return the generator's own count of a text's tokens.

    Raises:
        BackendUnavailable: No generator is set.
    """
    writer = services.writer_model
    if writer is None:
        raise BackendUnavailable(
            "prompts are measured in the generator's tokens and there is none",
            where="generator.backend=none",
            remedy="Set generator.backend and generator.model to what is to be trained",
        )
    return lru_cache(maxsize=200_000)(writer.count_tokens)


def build_examples(
    sides: dict[Side, Sequence[Record]],
    *,
    settings: Settings,
    recipe: Recipe,
    embedder: PassageEmbedder,
    weigh: Scorer,
    count_tokens: CountTokens,
    prompt_tokens: int,
    hits: Sequence[Path],
    work: Path,
) -> tuple[dict[Side, list[dict[str, Any]]], Counter[str]]:
    """Return the examples of each side and why records gave none.

    Args:
        sides: The records; a side's negatives are passages of that side alone, of a folder where it names one.
        settings: The settings that serve.
        recipe: How examples are made.
        embedder: What searches for passages that come near.
        weigh: What weighs their sentences.
        count_tokens: The generator's own count.
        prompt_tokens: The longest prompt.
        hits: Files of search results to use before searching.
        work: Where the passages' index and unfinished work are kept.
    """
    pools = pools_of(sides, passages_of)
    known = [found_before(path, pools, seed=recipe.seed) for path in hits]
    base: list[PassageBase] = []

    def search(question: str, record: Record, side: Side) -> Sequence[Hit]:
        pool = pool_of(record, side)
        for lookup in known:
            if (found := lookup(record.question, pool)) is not None:
                return found
        if not base:
            base.append(PassageBase(pools, embedder=embedder, folder=work, seed=recipe.seed))
        return base[0].search(question, pool)

    def weigh_all(question: str, passages: Sequence[Hit], turn: str) -> tuple[Sequence[Evidence], Sequence[Hit]]:
        weighed = weigh(question, passages, turn=turn)
        return weighed.evidence, weighed.hits or passages

    def write(
        question: str, passages: Sequence[Hit], evidence: Sequence[Any], language: Language
    ) -> tuple[Message, ...]:
        return grounded_messages(
            question,
            passages,
            evidence,
            language=language,
            count_tokens=count_tokens,
            budget_tokens=prompt_tokens,
            max_passages=settings.generator.prompt_passages,
        )

    made: dict[Side, list[dict[str, Any]]] = {}
    skipped: Counter[str] = Counter()
    try:
        for side, records in sides.items():
            serving = Serving(
                search=lambda question, record, side=side: search(question, record, side),  # type: ignore[misc]
                weigh=weigh_all,
                write=write,
                condense=condense,
                count_tokens=count_tokens,
                refusal=REFUSAL,
            )
            signature = [
                repr(recipe),
                embedder.fingerprint,
                str(prompt_tokens),
                settings.generator.model,
                *map(str, hits),
            ]
            kept = work / f"examples-{side}-{_fingerprint(records, signature)}.jsonl"
            made[side] = list(_built(records, ExampleBuilder(serving, recipe), recipe, kept, skipped))
    finally:
        for each in base:
            each.close()
    return made, skipped


def _built(
    records: Sequence[Record], builder: ExampleBuilder, recipe: Recipe, kept: Path, skipped: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Yield the example of each record, from the kept lines of a run that was ended where they are there."""
    from tqdm import tqdm

    done = _kept_lines(kept)
    given = roles(records, recipe)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a", encoding="utf-8") as file:
        for record in tqdm(records, desc="examples", file=sys.stderr, disable=not sys.stderr.isatty()):
            if record.id not in done:
                example = builder.build(record, given[record.id])
                why = next(iter(builder.skipped), "")
                builder.skipped.clear()
                done[record.id] = {"id": record.id, "example": example and example.to_json(), "skipped": why}
                file.write(json.dumps(done[record.id], ensure_ascii=False) + "\n")
            line = done[record.id]
            if line["example"]:
                yield line["example"]
            else:
                skipped[line["skipped"]] += 1


def _kept_lines(kept: Path) -> dict[str, dict[str, Any]]:
    """Return what a run that was ended left, by record; its last line may be torn and is done again."""
    if not kept.is_file():
        return {}
    whole, _, torn = kept.read_bytes().rpartition(b"\n")
    if torn:
        with kept.open("r+b") as file:
            file.truncate(len(whole) + 1 if whole else 0)
    return {line["id"]: line for line in map(json.loads, whole.decode().split("\n")) if line} if whole else {}


def _fingerprint(records: Sequence[Record], settings: Sequence[str]) -> str:
    digest = hashlib.sha256("\0".join(settings).encode())
    for record in records:
        digest.update(json.dumps(record.to_json()).encode())
    return digest.hexdigest()[:16]
