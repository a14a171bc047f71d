"""Citadel as a LangChain tool."""

from __future__ import annotations

from typing import Protocol

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, Field

from core.records import Answer, place_of


class Asks(Protocol):
    """What the tool needs of a knowledge base."""

    def ask(self, question: str) -> Answer:
        """Answer a question from the documents."""


class _Question(BaseModel):
    question: str = Field(description="A complete question in English or Chinese")


def ask_tool(kb: Asks) -> BaseTool:
    """Return a tool that answers from the documents; its artifact is the :class:`Answer`."""

    def run(question: str) -> tuple[str, Answer]:
        answer = kb.ask(question)
        return as_text(answer), answer

    return StructuredTool.from_function(
        run,
        name="ask_documents",
        description=(
            "Answer a question from the user's own documents. Returns the answer with numbered quotes, or says that "
            "the documents do not hold it."
        ),
        args_schema=_Question,
        response_format="content_and_artifact",
    )


def as_text(answer: Answer) -> str:
    """Return an answer as text: each sentence with its citation numbers, then the quotes."""
    if answer.abstained:
        return answer.text
    said = " ".join(answer.text[s.start : s.end] + "".join(f"[{n}]" for n in s.citations) for s in answer.sentences)
    quotes = [f"[{c.number}] {place_of(c)}: {c.quote}" for c in answer.citations]
    return "\n".join([said, *quotes])
