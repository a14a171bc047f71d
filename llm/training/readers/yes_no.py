"""Yes/no questions over a passage or a contract: BoolQ and what is shaped like it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.errors import MalformedInput
from core.text import detect_language
from llm.training.records import Passage, Record

_VERDICTS = {"true": True, "yes": True, "false": False, "no": False, "是": True, "否": False}
_WORDS = {"en": ("Yes.", "No."), "zh": ("是。", "否。")}
_LABEL = re.compile(r"^Context \(\d+\): ?", re.M)


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is a question with a verdict."""
    return "answer" in item and "question" in item and bool({"passage", "contract"} & item.keys())


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield the record; one whose verdict is "maybe" says nothing and is passed over."""
    verdict = str(item["answer"]).strip().casefold()
    if verdict == "maybe":
        return
    if verdict not in _VERDICTS:
        raise ValueError(f"the answer {verdict[:40]!r} is neither yes nor no")
    question = item["question"].strip()
    text = _LABEL.sub("", item.get("passage") or item["contract"]).replace("``", '"').replace("''", '"').strip()
    language = detect_language(question + text)
    title = item.get("title", "")
    yield Record(
        id=where,
        question=question,
        language=language,
        kind="yes_no",
        answer=_WORDS[language][0 if _VERDICTS[verdict] else 1],
        passages=(Passage(text=text, title=title),),
        document=title or text,
        source=where,
    )
