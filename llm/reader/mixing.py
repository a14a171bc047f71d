"""Training records -> the mixture of pairs the reader is trained on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.records import Message
from llm.reader.pairs import (
    IGNORED,
    Known,
    Pair,
    altered,
    elsewhere,
    holding,
    lacking,
    supported,
    window_of,
)
from llm.training.records import Passage, Record

_LONGEST_APART = 400  # characters; spans further apart are of two answers
_NEIGHBOURS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What stands before and after a passage in its document, in order."""

    before: tuple[Passage, ...]
    after: tuple[Passage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How many pairs of each kind come with one that holds the answer, on average.

    ``folder_rivals`` come with a question asked of a folder, near misses too: its other passages are nearer than any of
    a public set.
    """

    rivals: float = 0.85
    folder_rivals: float = 1.7
    altered: float = 0.22
    elsewhere: float = 0.25
    checked: float = 0.2
    checked_right: float = 0.45


def known_of(
    record: Record,
    rivals: Sequence[Passage],
    *,
    dress: Callable[[Passage], str],
    parts: Mapping[tuple[str, str], Part],
    stand: Callable[[str, Sequence[Message]], str],
    chosen: random.Random,
) -> Known | None:
    """Return a record as a question with its passage, or None where it has no passage or its answer is of several.

    Passages that are parts of documents come with some of what stands before and after, as search joins neighbours.

    Args:
        record: The question.
        rivals: Other passages that were retrieved for it, best first.
        dress: Gives a passage the context line it is read with.
        parts: Where passages stand in their documents: :func:`parts_of`.
        stand: Gives a follow-up what it follows, as serving does.
        chosen: Draws how much comes with each.
    """
    if len(record.passages) != 1:
        return None
    passage = _joined(record.passages[0], _part_of(record), chosen)
    spans = passage.spans
    if spans and max(b for _, b in spans) - min(a for a, _ in spans) > _LONGEST_APART:
        spans = spans[:1]
    return Known(
        question=stand(record.question, record.history),
        context=dress(passage),
        passage=passage.text,
        spans=spans,
        negatives=tuple(
            (dress(rival), _joined(rival, parts.get((record.collection, rival.text)), chosen).text)
            for rival in rivals
            if rival.text != record.passages[0].text
        ),
        language=record.language,
        kind=record.kind,
        closed=bool(record.collection),
    )


def parts_of(records: Iterable[Record]) -> dict[tuple[str, str], Part]:
    """Return where the passages of documents stand, by their collection and text."""
    return {(record.collection, record.passages[0].text): part for record in records if (part := _part_of(record))}


def _part_of(record: Record) -> Part | None:
    if record.place is None or len(record.passages) != 1:
        return None
    return Part(before=record.distractors[: record.place], after=record.distractors[record.place :])


def _joined(passage: Passage, part: Part | None, chosen: random.Random) -> Passage:
    """Return the passage with up to two neighbours on each side, its spans moved to match."""
    if part is None:
        return passage
    before = part.before[len(part.before) - chosen.randint(0, min(_NEIGHBOURS, len(part.before))) :]
    after = part.after[: chosen.randint(0, min(_NEIGHBOURS, len(part.after)))]
    front = "".join(f"{each.text}\n\n" for each in before)
    back = "".join(f"\n\n{each.text}" for each in after)
    spans = tuple((a + len(front), b + len(front)) for a, b in passage.spans)
    return replace(passage, text=f"{front}{passage.text}{back}", spans=spans)


def mixed(
    known: Sequence[Known], *, names: Sequence[str], count: Callable[[str], int], seed: int, mix: Mix
) -> list[Pair]:
    """Return pairs in a drawn order; the same for the same seed.

    Args:
        known: The questions.
        names: Names of passages, to alter questions with.
        count: Counts the embedder's tokens.
        seed: Of every choice.
        mix: The shares.
    """
    chosen = random.Random(seed)
    pairs = [pair for each in known for pair in _pairs_of(each, names, count, chosen, mix)]
    chosen.shuffle(pairs)
    return pairs


def _pairs_of(
    known: Known, names: Sequence[str], count: Callable[[str], int], chosen: random.Random, mix: Mix
) -> Iterator[Pair]:
    if not known.spans:
        if known.kind in ("unanswerable", "yes_no"):
            yield _without_span(known, count, chosen)
        if known.kind == "unanswerable" and known.closed:
            yield from (replace(pair, relevant=IGNORED) for pair in _rivals_of(known, count, chosen, mix))
        return
    yield holding(known, count, chosen)
    yield from _rivals_of(known, count, chosen, mix)
    others = [
        altered(known, names, count, chosen) if chosen.random() < mix.altered else None,
        elsewhere(known, count, chosen) if chosen.random() < mix.elsewhere else None,
    ]
    if chosen.random() < mix.checked:
        others.append(supported(known, count, chosen, right=chosen.random() < mix.checked_right))
    yield from (pair for pair in others if pair is not None)


def _rivals_of(known: Known, count: Callable[[str], int], chosen: random.Random, mix: Mix) -> Iterator[Pair]:
    """Yield as many windows of other passages as the mix says on average."""
    wanted = mix.folder_rivals if known.closed else mix.rivals
    for _ in range(int(wanted) + (chosen.random() < wanted % 1)):
        if pair := lacking(known, count, chosen):
            yield pair


def _without_span(known: Known, count: Callable[[str], int], chosen: random.Random) -> Pair:
    """Return what a question without a span teaches: that its passage does not answer, or that it is relevant."""
    text = window_of(known.passage, count, chosen, about=known.question)
    asks_nothing = known.kind == "unanswerable"
    return Pair(
        question=known.question,
        context=known.context,
        text=text,
        relevant=IGNORED if asks_nothing else 1,
        holds=0 if asks_nothing else IGNORED,
        language=known.language,
        kind=known.kind,
    )
