"""Training files become records: every format, its odd spellings, and what is wrong with a line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import CitadelError, MalformedInput, MissingPath
from core.tables import load
from llm.training.detokenize import detokenize
from llm.training.readers import FORMATS, read_file
from llm.training.readers.quac import chosen
from llm.training.records import Record, record_from_json

QED = {
    "paragraph_text": "The bridge , built by O. Hale ( 1901 ) , is 40 m long . It was `` opened '' in May 1903 .",
    "question_text": "when was the bridge opened",
    "title_text": "Old Bridge",
    "answer_text": ["May 1903"],
    "answer_spans": [[79, 87]],
    "sentence_starts": [0, 56],
}
SQUAD = {
    "data": [
        {
            "title": "河港",
            "paragraphs": [
                {
                    "context": "河港建于1931年，主要运输木材。",
                    "qas": [
                        {"id": "a", "question": "河港建于哪一年？", "answers": [{"text": "1931年", "answer_start": 4}]},
                        {"id": "b", "question": "谁设计了河港？", "answers": [], "is_impossible": True},
                        {"id": "c", "question": "河港运输什么？", "answers": [{"text": "石油", "answer_start": 14}]},
                    ],
                }
            ],
        }
    ]
}
POLICY = {
    "data": [
        {
            "title": "shop.example",
            "paragraphs": [
                {
                    "context": "We keep logs. We store your address for two years to send parcels. Thanks.",
                    "qas": [
                        {
                            "question": "How long do you keep my data?",
                            "type": "Retention|||Period|||Stated",
                            "answers": [{"text": "for two years", "answer_start": 36}],
                        }
                    ],
                },
                {"context": "Children may not use this shop.", "qas": []},
            ],
        }
    ]
}
QUAC = {
    "passage": "Mara joined the Gulls in 1990. She left in 1994, after a quarrel with her coach.",
    "question": "question1: When did she join?\nquestion2: Why did she leave?\nquestion3: Where did she go?",
    "answer": "possible answers for question1:\nin 1990. Mara joined the Gulls in 1990.\n"
    "possible answers for question2:\nafter a quarrel with her coach. a quarrel with her coach.\n"
    "possible answers for question3:\nCANNOTANSWER CANNOTANSWER",
}
HOTPOT = {
    "question": "Which river flows past the birthplace of Ann Oke?",
    "answer": "the Tarn",
    "supporting_facts": [["Ann Oke", 0], ["Bray", 0]],
    "context": [
        ["Ann Oke", ["Ann Oke was born in Bray."]],
        ["Bray", ["Bray lies on the Tarn.", " It is small."]],
        ["Cork", ["Cork is a city."]],
    ],
}
MUSIQUE = {
    "question": "Which river flows past the birthplace of Ann Oke?",
    "answer": "the Tarn",
    "answerable": True,
    "paragraphs": [
        {"title": "Bray", "paragraph_text": "Bray lies on the Tarn.", "is_supporting": True},
        {"title": "Cork", "paragraph_text": "Cork is a city.", "is_supporting": False},
    ],
}
PAIR = {
    "chosen": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Help me\n\nAssistant: Gladly.",
    "rejected": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Help me\n\nAssistant: No.",
}
FEEDBACK = {
    "question": "How long is the warranty?",
    "passages": [
        {"text": "The warranty is two years.", "source": "terms.pdf", "cited": True},
        {"text": "Shipping is free.", "source": "ship.md", "cited": False},
    ],
    "answer": "Three years.",
    "verdict": "down",
    "corrected": "two years",
}


def written(folder: Path, *rows: dict[str, Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def only(folder: Path, *rows: dict[str, Any], name: str = "rows.jsonl") -> tuple[str, list[Record]]:
    format, records, wrong = read_file(written(folder, *rows, name=name))
    assert not wrong
    return format, records


def test_every_reader_of_the_table_is_there() -> None:
    for module in FORMATS.values():
        assert callable(load(f"{module}:fits"))
        assert callable(load(f"{module}:read"))


def test_tokenized_text_is_put_back_and_its_spans_follow(tmp_path: Path) -> None:
    format, [record] = only(tmp_path, QED)
    [passage] = record.passages
    assert format == "qed"
    assert passage.text == 'The bridge, built by O. Hale (1901), is 40 m long. It was "opened" in May 1903.'
    assert [passage.text[start:end] for start, end in passage.spans] == ["May 1903"]
    assert record.answer == "The bridge was opened in May 1903."
    assert (record.span, record.kind, record.source) == ("May 1903", "span", "rows.jsonl:1")


@pytest.mark.parametrize(
    ("tokenized", "plain"),
    [
        ("Germany , who won ; all", "Germany, who won; all"),
        ("the Union 's forces do n't", "the Union's forces don't"),
        ("the boys ' room", "the boys' room"),
        ("Rome -- not the ' Old Town ' -- won", "Rome – not the 'Old Town ' – won"),
        ("live - action , 1912 -- 1930", "live-action, 1912–1930"),
        ("`` I 'm a Man '' ( Green ) 3 : 09", '"I\'m a Man" (Green) 3:09'),
        ("at 5 ° C it costs $ 20 [ 1 ] .", "at 5°C it costs $20 [1]."),
        ("already fine, isn't it?", "already fine, isn't it?"),
    ],
)
def test_tokens_are_joined_as_people_write(tokenized: str, plain: str) -> None:
    text, places = detokenize(tokenized)
    assert text == plain
    assert len(places) == len(tokenized) + 1
    assert places[-1] == len(text)
    assert places == sorted(places)


def test_squad_gives_a_record_a_question_and_names_the_one_that_is_wrong(tmp_path: Path) -> None:
    path = written(tmp_path, SQUAD, name="zh.json")
    format, records, wrong = read_file(path, on_error="collect")
    assert format == "squad"
    assert [record.answerable for record in records] == [True, False]
    assert records[0].answer == "河港建于1931年。"
    assert records[0].language == "zh"
    assert [error.where for error in wrong] == ["zh.json#0/0/2"]
    with pytest.raises(MalformedInput, match=r"zh\.json#0/0/2"):
        read_file(path)


def test_a_policy_answers_with_the_whole_sentence_and_only_its_own_paragraphs_do_not(tmp_path: Path) -> None:
    format, [record] = only(tmp_path, POLICY, name="policy.json")
    assert format == "policyqa"
    assert record.answer == "We store your address for two years to send parcels."
    assert [passage.text for passage in record.distractors] == ["Children may not use this shop."]


@pytest.mark.parametrize(("verdict", "said"), [("True", "Yes."), ("no", "No."), (False, "No.")])
def test_a_verdict_is_yes_or_no(tmp_path: Path, verdict: object, said: str) -> None:
    row = {"question": "is it far", "passage": "Context (1): It is.", "answer": verdict}
    _, [record] = only(tmp_path, row)
    assert record.answer == said
    assert record.passages[0].text == "It is."


def test_a_verdict_of_maybe_says_nothing(tmp_path: Path) -> None:
    rows = [{"question": "is it far", "passage": "It is.", "answer": answer} for answer in ("maybe", "yes")]
    assert [record.source for record in only(tmp_path, *rows)[1]] == ["rows.jsonl:2"]


def test_a_dialogue_becomes_follow_ups_with_their_history(tmp_path: Path) -> None:
    format, records = only(tmp_path, QUAC)
    assert format == "quac"
    assert [record.answerable for record in records] == [True, True, False]
    assert [message.content for message in records[2].history][:2] == ["When did she join?", records[0].answer]
    assert records[0].answer == "She joined in 1990."
    assert records[1].span == "a quarrel with her coach."
    assert len({record.document for record in records}) == 1


def test_answers_that_run_together_are_parted_by_the_passage() -> None:
    text = "In May 1983, she married Nikos, a composer, with whom she worked."
    assert chosen(text, "she married Nikos, In May 1983, she married Nikos, a composer,") == "she married Nikos,"
    assert chosen(text, "CANNOTANSWER CANNOTANSWER she married Nikos,") == ""
    with pytest.raises(ValueError, match="not parts"):
        chosen(text, "she wed Nikos")


def test_hops_keep_what_supports_apart_from_what_does_not(tmp_path: Path) -> None:
    for row, n_gold in ((HOTPOT, 2), (MUSIQUE, 1)):
        _, [record] = only(tmp_path, row, name="hops.json")
        assert record.kind == "multi_hop"
        assert len(record.passages) == n_gold
        assert [passage.title for passage in record.distractors] == ["Cork"]


def test_a_pair_keeps_both_answers_and_what_went_before(tmp_path: Path) -> None:
    format, [record] = only(tmp_path, PAIR, name="pairs.jsonl.gz")
    assert format == "preferences"
    assert (record.question, record.answer, record.rejected) == ("Help me", "Gladly.", "No.")
    assert [message.content for message in record.history] == ["Hi", "Hello."]


def test_feedback_trains_on_the_correction_and_keeps_what_was_wrong(tmp_path: Path) -> None:
    format, [record] = only(tmp_path, FEEDBACK)
    assert format == "feedback"
    assert (record.answer, record.rejected) == ("two years", "Three years.")
    assert record.passages[0].text[slice(*record.passages[0].spans[0])] == "two years"
    assert len(record.distractors) == 1


def test_feedback_that_should_have_been_a_refusal_is_unanswerable(tmp_path: Path) -> None:
    row = {**FEEDBACK, "corrected": "", "reason": "not in documents"}
    _, [record] = only(tmp_path, row)
    assert (record.answerable, record.kind, record.rejected) == (False, "unanswerable", "Three years.")


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    for row in (QED, FEEDBACK, QUAC):
        for record in only(tmp_path, row)[1]:
            assert record_from_json(json.loads(json.dumps(record.to_json()))) == record
            assert only(tmp_path, record.to_json())[0] == "records"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "Expecting"),
        ('["a list"]', "no JSON object"),
        (json.dumps({**QED, "answer_text": ["Paris"]}), "not in its passage"),
        (json.dumps({**QED, "question_text": "?"}), "no words"),
        (json.dumps({k: v for k, v in QED.items() if k != "answer_text"}), "lacks 'answer_text'"),
    ],
)
def test_a_malformed_line_is_named_with_its_file(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text(f"{json.dumps(QED)}\n{line}\n{json.dumps(QED)}\n")
    with pytest.raises(MalformedInput, match=r"mixed\.jsonl:2") as raised:
        read_file(path)
    assert said in str(raised.value)
    _, records, [wrong] = read_file(path, on_error="collect")
    assert [record.source for record in records] == ["mixed.jsonl:1", "mixed.jsonl:3"]
    assert wrong.where == "mixed.jsonl:2"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jsonl", b""),
        ("strange.jsonl", b'{"colour": "red"}'),
        ("cut.jsonl.gz", gzip.compress(b'{"a": 1}')[:12]),
        ("binary.jsonl", b"\xff\xfe\x00"),
    ],
)
def test_a_file_that_holds_no_records_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CitadelError, match=name.partition(".")[0]):
        read_file(tmp_path / name, on_error="collect")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPath, match=r"gone\.jsonl"):
        read_file(tmp_path / "gone.jsonl")


def test_the_public_sets_are_read(shared_data: Path) -> None:
    for name in ("qed_train.jsonl", "boolq.jsonl", "quac.jsonl"):
        rows = []
        with (shared_data / "train" / name).open(encoding="utf-8") as file:
            rows = [next(file) for _ in range(25)]
        format, records, wrong = _read_rows(rows)
        assert len(records) >= 20, format
        assert len(wrong) <= 1
        for record in records:
            for passage in record.passages:
                for start, end in passage.spans:
                    assert passage.text[start:end].strip() == passage.text[start:end]


def _read_rows(rows: list[str]) -> tuple[str, list[Record], list[MalformedInput]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(rows), "utf-8")
        return read_file(path, on_error="collect")


WRITTEN = {
    "id": "w-1",
    "language": "en",
    "title": "Pump P4 > Service",
    "passages": [
        {"heading": "2 Plan", "text": "By hand.\n\nPart | Every | Torque\nSeal | 300 h | 4 Nm\nBelt | 900 h | 4 Nm"},
        {"heading": "3 Faults", "text": "E4 means that the pump is dry. Fill it before it is started again."},
    ],
    "questions": [
        {"question": "torque of the belt", "passage": 0, "answer": "4 Nm", "in": "Belt | 900 h | 4 Nm",
         "kind": "table", "said": "The belt takes 4 Nm."},
        {"question": "What does E4 mean?", "passage": 1, "answer": "the pump is dry", "kind": "span",
         "said": "E4 means that the pump is dry."},
        {"question": "What does E5 mean?", "passage": 1, "answer": None, "kind": "unanswerable"},
    ],
}  # fmt: skip


@pytest.mark.parametrize("document", [f"w-{i}" for i in range(12)])
def test_a_written_document_gives_a_record_a_question(tmp_path: Path, document: str) -> None:
    path = tmp_path / "written.jsonl"
    path.write_text(json.dumps({**WRITTEN, "id": document}), "utf-8")
    name, (belt, fault, near_miss), wrong = read_file(path)
    assert (name, wrong) == ("written", [])
    assert (belt.answer, belt.kind, belt.document) == ("The belt takes 4 Nm.", "table", document)
    for record, said in ((belt, "4 Nm"), (fault, "the pump is dry")):
        (passage,) = record.passages
        assert [passage.text[a:b] for a, b in passage.spans] == [said]
    before, _, _ = belt.passages[0].text.rpartition("4 Nm")
    assert before.endswith(("Belt | 900 h | ", "Part: Belt; Every: 900 h; Torque: ")), "of the right row"
    assert belt.distractors[0].text == fault.passages[0].text
    assert not near_miss.answerable
    assert near_miss.passages[0].spans == ()


def test_a_written_follow_up_has_what_it_follows_for_its_history(tmp_path: Path) -> None:
    torque, fault, near_miss = WRITTEN["questions"]
    follow_ups = [{**fault, "question": "And what is wrong at E4?", "after": 0}, {**near_miss, "after": 1}]
    path = tmp_path / "written.jsonl"
    path.write_text(json.dumps({**WRITTEN, "questions": [torque, *follow_ups, {**fault, "after": 3}]}), "utf-8")
    _, (_, first, second), (wrong,) = read_file(path, on_error="collect")
    assert [message.content for message in first.history] == ["torque of the belt", "The belt takes 4 Nm."]
    assert [message.role for message in second.history] == ["user", "assistant", "user", "assistant"]
    assert "comes later" in str(wrong)


def test_a_written_folder_and_the_language_that_is_asked_in_are_kept(tmp_path: Path) -> None:
    torque, fault, near_miss = WRITTEN["questions"]
    path = tmp_path / "written.jsonl"
    asked = [torque, {**fault, "question": "E4是什么意思？", "asked_in": "zh"}, near_miss]
    path.write_text(json.dumps({**WRITTEN, "collection": "pumps", "questions": asked}), "utf-8")
    _, records, _ = read_file(path)
    assert [record.language for record in records] == ["en", "zh", "en"]
    assert {record.collection for record in records} == {"pumps"}


def test_some_tables_are_laid_out_as_fields(tmp_path: Path) -> None:
    path = tmp_path / "written.jsonl"
    path.write_text("".join(json.dumps({**WRITTEN, "id": f"w-{i}"}) + "\n" for i in range(40)), "utf-8")
    _, records, _ = read_file(path)
    as_fields = [record for record in records if record.kind == "table" and "Part: Seal; " in record.passages[0].text]
    assert 2 <= len(as_fields) <= 20


def test_a_written_answer_that_stands_twice_is_named(tmp_path: Path) -> None:
    twice = {**WRITTEN["questions"][0], "in": None}
    path = tmp_path / "written.jsonl"
    path.write_text(json.dumps({**WRITTEN, "questions": [twice, *WRITTEN["questions"][1:]]}), "utf-8")
    _, records, (wrong,) = read_file(path, on_error="collect")
    assert len(records) == 2
    assert "written.jsonl:1, question 0" in str(wrong)
    assert "more than once" in str(wrong)


def test_the_documents_written_for_training_are_whole_and_those_held_out_are_apart() -> None:
    folder = Path("llm/training/written")
    sides: dict[str, set[str]] = {}
    both = {"en", "zh"}
    for name, languages, most_unanswerable in (
        ("english", {"en"}, 0.2),
        ("chinese", {"zh"}, 0.25),
        ("held_out", both, 0.2),
        ("held_out_pairs", both, 0.25),
        ("folders", both, 0.42),
        ("held_out_folders", both, 0.42),
    ):
        _, records, wrong = read_file(folder / f"{name}.jsonl", on_error="collect")
        assert not wrong
        assert {record.language for record in records} == languages
        assert 0.08 < sum(not record.answerable for record in records) / len(records) < most_unanswerable
        sides[name] = {record.document for record in records}
    assert not (sides["held_out"] | sides["held_out_pairs"]) & (sides["english"] | sides["chinese"])
    assert not sides["held_out"] & sides["held_out_pairs"]
    folders, held_out = ({name.split("-")[0] for name in sides[side]} for side in ("folders", "held_out_folders"))
    assert not folders & held_out
