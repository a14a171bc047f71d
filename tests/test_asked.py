"""More questions over paragraphs that other files hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import MalformedInput, MissingPath
from llm.training.asked import opening, read_asked
from llm.training.records import Passage, Record

DAM = "The dam at Orrin was begun in 1911. It broke in 1923, was mended in 1924, and broke again."
FERRY = "渡轮每天两班，上午九点和下午四点。冬天停航。"
SHIPPED = Path(__file__).resolve().parent.parent / "llm" / "training" / "written" / "asked.jsonl"


def n_letters(text: str) -> int:
    return sum(c.isalnum() for c in text)


def held(text: str, document: str = "Dams") -> Record:
    return Record(
        id="r", question="is it", language="en", kind="yes_no", answer="Yes.",
        passages=(Passage(text=text, title="The dam"),), document=document,
    )  # fmt: skip


def line(text: str, *questions: dict[str, Any], letters: int = 0) -> dict[str, Any]:
    letters = letters or n_letters(text)
    return {"id": "a1", "language": "en", "opens": opening(text), "letters": letters, "questions": list(questions)}


def written(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "asked.jsonl"
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines), "utf-8")
    return path


def test_a_question_finds_its_paragraph_and_its_answer(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        line(
            DAM,
            {"question": "when did the dam at orrin burst", "answer": "1923"},
            {"question": "what befell it after repair", "answer": "broke", "in": "and broke again"},
            {"question": "who built the dam at orrin"},
        ),
    )
    records, n_missing, wrong = read_asked(path, [held(DAM)])
    assert (n_missing, wrong) == (0, [])
    first, second, third = records
    assert DAM[slice(*first.passages[0].spans[0])] == "1923"
    assert second.passages[0].spans[0][0] == DAM.rindex("broke")
    assert (third.answerable, third.kind, third.passages[0].text) == (False, "unanswerable", DAM)
    assert {record.document for record in records} == {"Dams"}
    assert [record.id for record in records] == ["a1#0", "a1#1", "a1#2"]


def test_marks_and_spaces_do_not_part_a_paragraph_from_its_questions(tmp_path: Path) -> None:
    asked = line(FERRY.replace("，", ", "), {"question": "冬天有船吗", "answer": "冬天停航"})
    records, n_missing, _ = read_asked(written(tmp_path, asked), [held(FERRY)])
    assert (n_missing, len(records), records[0].language) == (0, 1, "zh")


def test_only_as_much_is_read_as_was_asked_about(tmp_path: Path) -> None:
    start = DAM[: DAM.index(" It broke")]
    asked = {**line(DAM, {"question": "when did the dam break"}), "letters": n_letters(start)}
    (record,), _, _ = read_asked(written(tmp_path, asked), [held(DAM)])
    assert record.passages[0].text == start


def test_a_paragraph_that_no_file_holds_is_counted(tmp_path: Path) -> None:
    path = written(tmp_path, line(DAM, {"question": "when did it break", "answer": "1923"}))
    assert read_asked(path, [held(FERRY)]) == ([], 1, [])


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        json.dumps({"id": "a1", "questions": []}),
        line(DAM, {"question": "when", "answer": "1999"}),
        line(DAM, {"answer": "1923"}),
        line(DAM, {"question": "?", "answer": "1923"}),
    ],
)
def test_what_is_malformed_is_named_by_line_and_harms_nothing_else(tmp_path: Path, bad: dict[str, Any] | str) -> None:
    path = written(tmp_path, bad, line(DAM, {"question": "when did the dam burst", "answer": "1923"}))
    with pytest.raises(MalformedInput, match=r"asked\.jsonl:1"):
        read_asked(path, [held(DAM)])
    records, _, wrong = read_asked(path, [held(DAM)], on_error="collect")
    assert (len(records), len(wrong)) == (1, 1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPath):
        read_asked(tmp_path / "gone.jsonl", [])


def test_the_questions_that_come_with_the_project_are_whole() -> None:
    items = [json.loads(text) for text in SHIPPED.read_text("utf-8").splitlines()]
    assert len({item["id"] for item in items}) == len(items)
    for item in items:
        assert len(item["opens"]) == 16
        assert item["letters"] > 0
        assert item["questions"]
        assert all(each["question"].strip() for each in item["questions"]), item["id"]
        assert all(each.get("answer", "") in each.get("in", each.get("answer", "")) for each in item["questions"])
