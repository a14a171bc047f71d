"""Records -> grounded examples, in exactly the prompt that serving uses.

What searches, weighs and writes the prompt comes as arguments: the caller gives what answers questions, so that a
model is trained on what it will read.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from core.records import Hit, Language, Message
from core.text import content_terms
from llm.training.attacks import with_attack
from llm.training.conflicts import Conflict, conflict_of
from llm.training.dressing import dressed
from llm.training.normalize import holds
from llm.training.records import Passage, Record

Role = Literal["plain", "absent", "injected", "conflict"]
N_PASSAGES = {1: 0.1, 2: 0.15, 3: 0.2, 4: 0.15, 5: 0.4}
_FIRST = 0.5  # how often what answers comes first; elsewhere else
_REASON_SHARE = 0.6
_LONGEST_REASON = 240


class Evidence(Protocol):
    """A sentence ``[start, end)`` of ``hits[hit]``."""

    @property
    def hit(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What answers questions, as functions.

    Args:
        search: Question and the record it is of -> passages, best first.
        weigh: Standalone question, passages, what was typed -> their sentences, best first, and the passages that
            these count, which may be in another order.
        write: Standalone question, passages, sentences, language -> the prompt.
        condense: A question and its history -> a question that stands alone.
        count_tokens: The generator's own count.
        refusal: What is said where the passages do not answer.
    """

    search: Callable[[str, Record], Sequence[Hit]]
    weigh: Callable[[str, Sequence[Hit], str], tuple[Sequence[Evidence], Sequence[Hit]]]
    write: Callable[[str, Sequence[Hit], Sequence[Any], Language], tuple[Message, ...]]
    condense: Callable[[str, Sequence[Message]], str]
    count_tokens: Callable[[str], int]
    refusal: Mapping[Language, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How examples are made; shares are of all examples."""

    seed: int = 0
    style: Literal["sentence", "span"] = "sentence"
    refusals: float = 0.25
    injected: float = 0.06
    conflicts: float = 0.02
    longest_prompt_tokens: int = 400
    longest_answer_tokens: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A prompt with the answer that is right for it."""

    id: str
    language: Language
    kind: str
    messages: tuple[Message, ...]
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return the example as JSON values."""
        return {
            "id": self.id,
            "language": self.language,
            "kind": self.kind,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    """A record as it is shown: with a rival passage, or an attack and the bait that it wants said."""

    record: Record
    conflict: Conflict | None = None
    bait: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the model reads, and what it was made of."""

    prompt: str
    hits: Sequence[Hit]
    evidence: Sequence[Evidence]
    gold: Sequence[Hit]


def roles(records: Sequence[Record], recipe: Recipe) -> dict[str, Role]:
    """Return what becomes of each record, by its id; what cannot be answered anyhow counts as refused."""
    n_refused = sum(not record.answerable for record in records)
    free = [record for record in records if record.answerable and record.passages]
    chosen = random.Random(recipe.seed)
    chosen.shuffle(free)
    given: dict[str, Role] = {record.id: "plain" for record in records}
    wanted = max(0, round(recipe.refusals * len(records)) - n_refused)
    for record in [r for r in free if _may_be_absent(r)][:wanted]:
        given[record.id] = "absent"
    free = [record for record in free if given[record.id] == "plain"]
    n_conflicts, n_injected = (round(share * len(records)) for share in (recipe.conflicts, recipe.injected))
    conflicting = [record for record in free if conflict_of(record, chosen=random.Random(0))][:n_conflicts]
    given.update({record.id: "conflict" for record in conflicting})
    plain = [record for record in free if given[record.id] == "plain"]
    given.update({record.id: "injected" for record in plain[:n_injected]})
    return given


def _may_be_absent(record: Record) -> bool:
    """Return whether other passages than the record's own surely do not answer."""
    return not record.distractors or record.kind == "multi_hop"


class ExampleBuilder:
    """Makes one example of a record; ``skipped`` counts why others were not made."""

    def __init__(self, serving: Serving, recipe: Recipe) -> None:
        self._serving = serving
        self._recipe = recipe
        self.skipped: Counter[str] = Counter()

    def build(self, record: Record, role: Role) -> Example | None:
        """Return the example, or None where none that is right can be made."""
        chosen = random.Random(f"{self._recipe.seed} {record.id}")
        question = typed(record.question, chosen) if record.language == "en" else record.question
        standalone = self._serving.condense(question, record.history)
        negatives = self._negatives(record, standalone)
        staged = self._staged(record, role, question, chosen)
        gold = [] if role == "absent" else [dressed(p, seed=self._recipe.seed) for p in staged.record.passages]
        found = _mixed(gold, negatives, chosen)
        if not found:
            self._count("no passages")
            return None
        evidence, hits = self._serving.weigh(standalone, found, question)
        if not evidence:
            self._count("no sentences")
            return None
        messages = self._serving.write(standalone, hits, evidence, record.language)
        if sum(self._serving.count_tokens(m.content) for m in messages) > self._recipe.longest_prompt_tokens:
            self._count("prompt too long")
            return None
        read = _Read(prompt=messages[-1].content, hits=hits, evidence=evidence, gold=gold)
        answer = self._answer(staged, role, read)
        if not answer:
            return None
        if self._serving.count_tokens(answer) > self._recipe.longest_answer_tokens:
            self._count("answer too long")
            return None
        return Example(
            id=record.id,
            language=record.language,
            kind=_kind(staged, role, read.prompt),
            messages=(*messages, Message(role="assistant", content=answer)),
            source=record.source,
        )

    def _staged(self, record: Record, role: Role, question: str, chosen: random.Random) -> _Staged:
        if role == "conflict" and (conflict := conflict_of(record, chosen=chosen)):
            return _Staged(record=replace(record, passages=conflict.passages), conflict=conflict)
        if role == "injected":
            at = chosen.randrange(len(record.passages))
            passage, bait = with_attack(record.passages[at], question=question, language=record.language, chosen=chosen)
            passages = (*record.passages[:at], passage, *record.passages[at + 1 :])
            return _Staged(record=replace(record, passages=passages), bait=bait)
        return _Staged(record=record)

    def _negatives(self, record: Record, standalone: str) -> list[Hit]:
        """Return passages that come near and do not answer, best first."""
        if record.distractors:
            return [dressed(passage, seed=self._recipe.seed) for passage in record.distractors]
        own = {passage.text for passage in record.passages}
        titles = {passage.title for passage in record.passages if passage.title} if not record.span else set()
        answers = [p.text[start:end] for p in record.passages for start, end in p.spans] or [record.span]
        found = self._serving.search(standalone, record)
        return [
            hit
            for hit in found
            if hit.chunk.text not in own
            and hit.title not in titles
            and not any(holds(hit.chunk.text, answer) for answer in answers)
        ]

    def _answer(self, staged: _Staged, role: Role, read: _Read) -> str:
        record = staged.record
        if role == "absent" or not record.answerable:
            return self._serving.refusal[record.language]
        if staged.conflict:
            seen = all(holds(read.prompt, part) for part in staged.conflict.said)
            return staged.conflict.answer if seen else self._count("answer outside the prompt")
        if record.kind == "yes_no":
            return self._with_reason(record, read)
        answers = [p.text[start:end] for p in record.passages for start, end in p.spans]
        if not all(holds(read.prompt, answer) for answer in answers):
            return self._count("answer outside the prompt")
        return record.answer if self._recipe.style == "sentence" else record.span or record.answer

    def _with_reason(self, record: Record, read: _Read) -> str:
        """Return "Yes." or "No." with the sentence of its passage that is most about the question."""
        wanted = content_terms(record.question)
        shares = [
            (len(content_terms(item.text) & wanted), item)
            for item in read.evidence
            if read.hits[item.hit] in read.gold and len(item.text) <= _LONGEST_REASON and holds(read.prompt, item.text)
        ]
        n_shared, reason = max(shares, key=lambda share: share[0], default=(0, None))
        if reason and n_shared >= _REASON_SHARE * len(wanted):
            said = " ".join(reason.text.split())
            return f"{record.answer}{said}" if record.language == "zh" else f"{record.answer} {said}"
        return self._count("no reason found")

    def _count(self, reason: str) -> str:
        self.skipped[reason] += 1
        return ""


def _kind(staged: _Staged, role: Role, prompt: str) -> str:
    """Return the role where the prompt shows it, else the record's own kind."""
    if role == "absent" or (role == "conflict" and staged.conflict):
        return role
    return "injected" if staged.bait and holds(prompt, staged.bait) else staged.record.kind


def typed(question: str, chosen: random.Random) -> str:
    """Return an English question as some would type it: half of those in small letters are made proper."""
    if question != question.lower() or chosen.random() < 0.5:
        return question
    return f"{question[0].upper()}{question[1:].rstrip('?')}?"


def _mixed(gold: Sequence[Hit], negatives: Sequence[Hit], chosen: random.Random) -> list[Hit]:
    """Return one to five passages, what answers at any place."""
    n_passages = chosen.choices(list(N_PASSAGES), list(N_PASSAGES.values()))[0]
    hits = list(negatives[: max(n_passages - len(gold), 0 if gold else 1)])
    for hit in gold:
        hits.insert(0 if chosen.random() < _FIRST else chosen.randint(0, len(hits)), hit)
    return hits


def passages_of(records: Sequence[Record]) -> list[Passage]:
    """Return every passage of the records once, in order."""
    found = {p.text: p for record in records for p in (*record.passages, *record.distractors)}
    return list(found.values())
