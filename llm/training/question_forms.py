"""A question that a rule made of a sentence or table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llm.training.records import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question, the ``[start, end)`` characters of its answer, and the answer as a sentence."""

    question: str
    kind: Kind
    start: int
    end: int
    answer: str

    def moved(self, by: int) -> Asking:
        """Return the same with the answer ``by`` characters later."""
        return replace(self, start=self.start + by, end=self.end + by)
