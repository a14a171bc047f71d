"""Records become grounded examples: rewording, overlap, splits, prompts, questions of a corpus, and the command."""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.condense import condense
from app.evidence import EvidenceScorer
from app.model_commands import VERBS, main, verb_parser
from app.model_commands.grounding_run import build_examples
from app.model_commands.mining import BlindEmbedder, PassageBase, found_before, pool_of, pools_of
from app.model_commands.pairs import _rivals
from app.prompts import REFUSAL, grounded_messages
from app.services import Services
from core.errors import EmptySplit, MalformedInput, MissingPath, TrainingLeak
from core.records import Hit, Language, Locator, Message
from core.settings import Settings
from core.tables import load
from llm.training.assembling import balanced, pairs
from llm.training.attacks import ATTACKS, BAITS, with_attack
from llm.training.chinese_questions import ask_chinese
from llm.training.chinese_sentences import chinese_sentence
from llm.training.conflicts import conflict_of
from llm.training.corpus_questions import questions_of
from llm.training.dressing import as_hit, dressed
from llm.training.english_questions import ask_english
from llm.training.english_sentences import english_sentence
from llm.training.examples import Example, ExampleBuilder, Recipe, Role, Serving, roles
from llm.training.normalize import holds
from llm.training.overlap import check_file, held_out
from llm.training.question_forms import Asking
from llm.training.readers import FORMATS
from llm.training.records import Passage, Record
from llm.training.splits import split
from llm.training.table_questions import ask_table
from llm.training.tables import table_records
from llm.training.unanswerable import swapped

GOLD = "The north bridge was opened in 1903. It is 40 m long and carries trams."
OTHERS = (
    "The south bridge was closed for repairs. Trams were sent around it.",
    "The harbour has four cranes. Each crane lifts 30 t.",
    "The town hall stands on the square. Its tower can be climbed.",
    "The old market sells fish. It opens at six.",
    "The tram depot holds fifty cars. Its roof is of glass.",
)


def bridge(**changes: Any) -> Record:
    start = GOLD.index("1903")
    record = Record(
        id="bridge",
        question="when was the north bridge opened",
        language="en",
        kind="number",
        answer="The north bridge was opened in 1903.",
        span="1903",
        passages=(Passage(text=GOLD, title="North bridge", spans=((start, start + 4),)),),
        document="North bridge",
        source="bridges.jsonl:1",
    )
    return replace(record, **changes)


def serving(found: Sequence[str] = OTHERS, *, budget_tokens: int = 300) -> Serving:
    weigh = EvidenceScorer(BlindEmbedder()).weigh

    def write(question: str, hits: Sequence[Hit], evidence: Sequence[Any], language: Language) -> tuple[Message, ...]:
        return grounded_messages(
            question,
            hits,
            evidence,
            language=language,
            count_tokens=n_words,
            budget_tokens=budget_tokens,
            max_passages=3,
        )

    return Serving(
        search=lambda question, record: [as_hit(text, source=f"{i}.md") for i, text in enumerate(found)],
        weigh=lambda question, hits, turn: (weigh(question, hits, turn=turn).evidence, hits),
        write=write,
        condense=condense,
        count_tokens=n_words,
        refusal=REFUSAL,
    )


def n_words(text: str) -> int:
    return len(text.split())


def built(record: Record, role: Role = "plain", *, seed: int = 0, found: Sequence[str] = OTHERS) -> Example | None:
    return ExampleBuilder(serving(found), Recipe(seed=seed)).build(record, role)


def said(example: Example | None) -> str:
    assert example is not None
    return example.messages[-1].content


# --- rewording -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "span", "before", "sentence"),
    [
        ("who wrote the song", "Diane Warren", "", "Diane Warren wrote the song"),
        ("who is the mayor of Cork", "Ann Oke", "", "Ann Oke is the mayor of Cork"),
        ("who's the mayor of Cork", "Ann Oke", "", "Ann Oke is the mayor of Cork"),
        ("when did the dam break", "June 5, 1976", "", "The dam broke on June 5, 1976"),
        ("when does the season start", "May 2018", "", "The season starts in May 2018"),
        ("when was the bridge opened?", "1903", "opened in ", "The bridge was opened in 1903"),
        ("when is the next season coming out", "4 May 2018", "", "The next season is coming out on 4 May 2018"),
        ("what year did the mill close", "1880", "", "The mill closed in 1880"),
        ("where is the mill located", "the valley", "stands near ", "The mill is located near the valley"),
        ("where does the name come from", "Latin", "", "The name comes from Latin"),
        ("what is the capital of Wales", "Cardiff", "", "The capital of Wales is Cardiff"),
        ("what is the shell of a seed called", "a husk", "", "The shell of a seed is called a husk"),
        ("what does dc stand for", "direct current", "", "Dc stands for direct current"),
        ("what is the role of a fuse", "break the circuit", "", "The role of a fuse is to break the circuit"),
        ("how many floors are there at the hotel", "43", "", "There are 43 floors at the hotel"),
        ("how many floors does the hotel have", "43", "", "The hotel has 43 floors"),
        ("which team won the cup", "Leeds", "", "Leeds won the cup"),
        ("the first mayor of Cork was", "Ann Oke", "", "The first mayor of Cork was Ann Oke"),
    ],
)
def test_a_question_and_its_answer_make_a_sentence(question: str, span: str, before: str, sentence: str) -> None:
    assert english_sentence(question, span, before=before) == sentence


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("who did the queen marry", "Albert"),
        ("who is the queen married to", "Albert"),
        ("what channel is the show on", "Channel 4"),
        ("what is the bridge made of", "steel"),
        ("when was the treaty signed", "the year of the plague"),
        ("why is the sky blue", "scattering"),
        ("how old is it", "1988"),
        ("who plays the twins", "the brothers of Ann"),
        ("what was the season like", "was he had a streak"),
    ],
)
def test_where_no_rule_is_sure_the_bare_answer_stays(question: str, span: str) -> None:
    assert english_sentence(question, span) == ""


@pytest.mark.parametrize(
    ("question", "span", "sentence"),
    [
        ("范廷颂是什么时候被任为主教的？", "1963年", "范廷颂是1963年被任为主教的。"),
        ("扁嘴鹅主要分布在什么地方？", "澳大利亚", "扁嘴鹅主要分布在澳大利亚。"),
        ("《背影》的作者是谁？", "朱自清", "《背影》的作者是朱自清。"),
        ("玛黑区在哪个国家？", "法国", "玛黑区在法国。"),
        ("全镇有多少人？", "3000人", "全镇有3000人。"),
        ("他在哪一年去世？", "于1944年", "他在1944年去世。"),
    ],
)
def test_chinese_answers_take_the_place_of_what_asks(question: str, span: str, sentence: str) -> None:
    assert chinese_sentence(question, span) == sentence


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("为什么天是蓝的？", "因为散射"),
        ("谁在什么时候来的？", "1990年"),
        ("湖中什么产量最大？", "大闸蟹"),
        ("有几个级别？", "良好和不良"),
        ("1990年，他担任什么职务？", "1990年被擢升为署理"),
    ],
)
def test_chinese_rules_give_way_too(question: str, span: str) -> None:
    assert chinese_sentence(question, span) == ""


# --- examples --------------------------------------------------------------------------------------------------------


def test_an_example_holds_the_prompt_that_serving_writes_and_the_sentence() -> None:
    example = built(bridge())
    assert example is not None
    system, user, answer = example.messages
    direct = serving().write("x", [as_hit("One.", source="a")], [], "en")
    assert system == direct[0]
    assert user.content.startswith("Text:\n")
    assert "opened in 1903" in user.content
    assert user.content.rstrip("?").endswith("hen was the north bridge opened")
    assert answer.content == "The north bridge was opened in 1903."
    assert set(example.to_json()) == {"id", "language", "kind", "messages", "source"}


def test_a_bare_answer_is_given_where_that_is_the_style() -> None:
    assert said(ExampleBuilder(serving(), Recipe(style="span")).build(bridge(), "plain")) == "1903"


def test_without_its_passage_a_question_is_refused() -> None:
    for seed in range(5):
        example = built(bridge(), "absent", seed=seed)
        assert said(example) == REFUSAL["en"]
        assert example is not None
        assert example.kind == "absent"
        assert "1903" not in example.messages[1].content


def test_a_passage_that_holds_the_answer_is_no_negative() -> None:
    twin = "A plaque says that the bridge dates from 1903."
    for seed in range(8):
        example = built(bridge(), "absent", seed=seed, found=[twin, *OTHERS])
        assert example is not None
        assert twin not in example.messages[1].content


def test_what_answers_stands_at_any_place() -> None:
    places: list[int] = []
    parts = serving()

    def weigh(question: str, hits: Sequence[Hit], turn: str) -> tuple[Sequence[Any], Sequence[Hit]]:
        places.append([hit.chunk.text for hit in hits].index(GOLD))
        return parts.weigh(question, hits, turn)

    for seed in range(60):
        ExampleBuilder(replace(parts, weigh=weigh), Recipe(seed=seed)).build(bridge(), "plain")
    assert set(places) == {0, 1, 2, 3, 4}


def said_user(example: Example | None) -> str:
    assert example is not None
    return example.messages[1].content


def test_yes_and_no_come_with_the_sentence_that_is_the_reason() -> None:
    record = bridge(kind="yes_no", question="was the north bridge opened in 1903", answer="Yes.", span="")
    assert said(built(record)) == "Yes. The north bridge was opened in 1903."
    unrelated = bridge(kind="yes_no", question="do whales sing songs at night", answer="No.", span="")
    builder = ExampleBuilder(serving(), Recipe())
    assert builder.build(unrelated, "plain") is None
    assert builder.skipped == Counter({"no reason found": 1})


def test_two_passages_that_disagree_are_both_named() -> None:
    example = built(bridge(), "conflict")
    answer = said(example)
    assert example is not None
    assert example.kind == "conflict"
    conflict = conflict_of(bridge(), chosen=random.Random("0 bridge"))
    assert conflict is not None
    assert conflict.said[0] == "1903" != conflict.said[1]
    assert answer.startswith("1903 according to North bridge, ")
    assert all(holds(example.messages[1].content, part) for part in conflict.said)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_attack_is_put_between_sentences_and_spans_follow(language: Language) -> None:
    assert len(set(ATTACKS[language])) >= 20
    text = GOLD if language == "en" else "北桥于1903年通车。桥长40米，可通电车。"
    start = text.index("1903")
    passage = Passage(text=text, spans=((start, start + 4),))
    for seed in range(60):
        chosen = random.Random(seed)
        attacked, bait = with_attack(passage, question="q", language=language, chosen=chosen)
        assert bait in BAITS[language]
        assert bait in attacked.text
        assert attacked.text[slice(*attacked.spans[0])] == "1903"


def test_an_attacked_passage_is_still_answered() -> None:
    examples = [built(bridge(), "injected", seed=seed) for seed in range(12)]
    assert {said(example) for example in examples} == {"The north bridge was opened in 1903."}
    assert any(example and example.kind == "injected" for example in examples)


def test_a_follow_up_is_made_to_stand_alone_as_in_serving() -> None:
    history = (
        Message(role="user", content="Tell me about the north bridge"),
        Message(role="assistant", content="Yes?"),
    )
    example = built(bridge(question="When was it opened?", history=history, kind="chat"))
    assert said_user(example).endswith("Question: Tell me about the north bridge When was it opened?")


def test_an_answer_that_the_prompt_cut_away_teaches_nothing() -> None:
    record = bridge(passages=(Passage(text=GOLD + " Nine." * 40, spans=((31, 35),)),), span="opened")
    far = replace(
        record, passages=(Passage(text="Zebra. " * 80 + "Xylophone.", spans=((560, 569),)),), span="Xylophone"
    )
    builder = ExampleBuilder(serving(budget_tokens=110), Recipe())
    assert builder.build(far, "plain") is None
    assert builder.skipped == Counter({"answer outside the prompt": 1})


def test_about_a_quarter_is_refused_whatever_cannot_be_answered_anyhow() -> None:
    records = [bridge(id=str(i)) for i in range(60)]
    records += [bridge(id=f"u{i}", answerable=False, answer="", kind="unanswerable") for i in range(20)]
    given = Counter(roles(records, Recipe(refusals=0.4, injected=0.1, conflicts=0.05)).values())
    assert given == Counter({"plain": 56, "absent": 12, "injected": 8, "conflict": 4})


def test_refusals_beyond_the_share_are_left_out() -> None:
    kinds = ["span"] * 30 + ["absent"] * 20 + ["unanswerable"] * 4
    kept = Counter(example["kind"] for example in balanced([{"kind": kind} for kind in kinds], refusals=0.25))
    assert kept == Counter({"span": 30, "absent": 6, "unanswerable": 4})
    assert len(balanced([{"kind": "absent"}], refusals=1)) == 1


def test_the_same_seed_makes_the_same_examples() -> None:
    assert built(bridge(), seed=3) == built(bridge(), seed=3)
    assert len({said_user(built(bridge(), seed=seed)) for seed in range(6)}) > 1


def test_passages_carry_the_headings_and_file_names_of_real_corpora() -> None:
    shown = {dressed(Passage(text=f"{GOLD} {i}", title="North bridge"), seed=0).chunk.context for i in range(60)}
    assert "North bridge" in shown
    assert "" in shown
    assert any(context.startswith("North bridge > ") for context in shown)
    assert len({dressed(Passage(text=GOLD), seed=0).source for _ in range(3)}) == 1


def test_pairs_are_in_the_form_that_preference_training_reads() -> None:
    alone = bridge(id="p", kind="preference", passages=(), question="Help me", answer="Gladly.", rejected="No.")
    grounded = bridge(id="g", rejected="In 1850.")
    example = built(grounded)
    assert example is not None
    one, other = pairs([alone, grounded, bridge()], [example.to_json()])
    assert one["prompt"] == [{"role": "user", "content": "Help me"}]
    assert other["prompt"][0]["role"] == "system"
    assert other["rejected"] == [{"role": "assistant", "content": "In 1850."}]


def test_made_up_tables_hold_their_answers() -> None:
    for language in ("en", "zh"):
        records = list(table_records(40, language=language, seed=1))  # type: ignore[arg-type]
        assert sum(not record.answerable for record in records) == 4
        for record in records:
            [passage] = record.passages
            assert [passage.text[a:b] for a, b in passage.spans] == ([record.span] if record.answerable else [])
            assert not record.answerable or holds(record.answer, record.span)


# --- splits and overlap ----------------------------------------------------------------------------------------------


def test_no_document_is_on_both_sides() -> None:
    records = [
        bridge(id=f"{i}", document=f"doc {i % 40}", passages=(Passage(text=f"Text {i % 40} or {i % 60}."),))
        for i in range(240)
    ]
    training, validation = split(records, validation=0.2, seed=1)
    assert len(training) + len(validation) == 240
    assert not {r.document for r in training} & {r.document for r in validation}
    assert not {r.passages[0].text for r in training} & {r.passages[0].text for r in validation}
    assert split(records, validation=0.2, seed=1) == (training, validation)


def test_the_documents_of_a_folder_stay_on_one_side() -> None:
    records = [
        bridge(id=f"r{i}", document=f"d{i}", passages=(Passage(text=f"Passage {i}."),), collection=f"c{i % 20}")
        for i in range(200)
    ]
    training, validation = split(records, validation=0.3, seed=1)
    assert not {r.collection for r in training} & {r.collection for r in validation}


def test_a_side_without_records_is_an_error() -> None:
    with pytest.raises(EmptySplit, match="leave 1 to train on and 0 to validate on"):
        split([bridge()], validation=0.2, seed=4)
    with pytest.raises(EmptySplit):
        split([], validation=0.0, seed=0)


LONG = "It was in the spring of that year that the council at last agreed to pay for the new bridge over the river."


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (bridge(question="WHEN was the North Bridge opened??"), "question"),
        (bridge(question="other", passages=(Passage(text=f"“{LONG}”"),)), "passage"),
        (bridge(question="other", passages=(Passage(text=f"Some say this. {LONG} So they do."),)), "13-gram"),
        (bridge(question="other", distractors=(Passage(text=LONG.upper()),)), "passage"),
        (
            bridge(
                question="other",
                passages=(Passage(text="文" + "桥于春天开工并在两年以后的秋天正式建成通车供电车与行人使用" * 1),),
            ),
            "13-gram",
        ),
        (bridge(question="other"), None),
    ],
)
def test_what_is_held_out_is_found_however_it_is_written(tmp_path: Path, record: Record, reason: str | None) -> None:
    row = {"question": "When was the north bridge opened?", "context": [LONG]}
    (tmp_path / "dev.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "notes.md").write_text("北桥于春天开工并在两年以后的秋天正式建成通车供电车与行人使用。")
    (tmp_path / "more" / "picture.bin").write_bytes(b"\x00")
    held = held_out([tmp_path], read_document=lambda path: path.read_text() if path.suffix == ".md" else "")
    assert [Path(path).name for path in held.unread] == ["picture.bin"]
    leak = held.leak_of(record)
    assert (leak[0] if leak else None) == reason


def test_a_held_out_path_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPath, match="gone"):
        held_out([tmp_path / "gone"], read_document=lambda _: "")


def test_a_training_file_with_held_out_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text(json.dumps({"question": "when was the north bridge opened"}))
    held = held_out([tmp_path / "dev.jsonl"], read_document=lambda _: "")
    example = built(bridge())
    assert example is not None
    clean = json.dumps({"messages": [{"role": "user", "content": "Text:\nx\n\nQuestion: what else"}]})
    (tmp_path / "train.jsonl").write_text(f"{clean}\n{json.dumps(example.to_json())}\n")
    with pytest.raises(TrainingLeak, match=r"train\.jsonl:2: 1 of 2 lines .* by a question of dev\.jsonl"):
        check_file(tmp_path / "train.jsonl", held)
    (tmp_path / "clean.jsonl").write_text(clean)
    assert check_file(tmp_path / "clean.jsonl", held) == 1
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(MalformedInput, match=r"broken\.jsonl:1"):
        check_file(tmp_path / "broken.jsonl", held)


# --- questions of a corpus -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "sentence", "question", "answer"),
    [
        (
            ask_english,
            "The notice period of a tenant is 30 days.",
            "What is the notice period of a tenant?",
            "30 days",
        ),
        (
            ask_english,
            "The KX-200 pump was tested in May 2021.",
            "When was the KX-200 pump tested?",
            "in May 2021",
        ),
        (
            ask_english,
            "A torque key is a tool that tightens a bolt to a set force.",
            "What is a torque key?",
            "a tool that tightens a bolt to a set force",
        ),
        (ask_english, "Serial number: KX-88", "What is the serial number?", "KX-88"),
        (
            ask_english,
            "To reset the pump, hold the red key for five seconds.",
            "How do I reset the pump?",
            "hold the red key for five seconds",
        ),
        (ask_chinese, "试用期为3个月。", "试用期为多少个月？", "3个月"),
        (ask_chinese, "公司于2008年5月成立。", "公司是什么时候成立的？", "2008年5月"),
        (ask_chinese, "扭力扳手是一种按设定力矩拧紧螺栓的工具。", "什么是扭力扳手？", "一种按设定力矩拧紧螺栓的工具"),
        (ask_chinese, "联系电话：021-5555", "联系电话是什么？", "021-5555"),
    ],
)
def test_a_plain_sentence_gives_a_question(
    ask: Callable[[str], Any], sentence: str, question: str, answer: str
) -> None:
    [asking] = ask(sentence)
    assert asking.question == question
    assert sentence[asking.start : asking.end] == answer


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (ask_english, "This is a tool that tightens bolts."),
        (ask_english, "Their notice period is 30 days."),
        (ask_english, "Note: see page 4"),
        (ask_english, "He was born in 1950."),
        (ask_chinese, "其试用期为3个月。"),
        (ask_chinese, "说明：见第四页"),
        (ask_chinese, "我们是来自各地的朋友们共同组成的。"),
    ],
)
def test_a_sentence_that_leans_on_another_gives_none(ask: Callable[[str], Any], sentence: str) -> None:
    assert not list(ask(sentence))


def test_a_cell_is_asked_for_by_its_row_and_column() -> None:
    text = "Model | Price | Weight\nKX-1 | 40 EUR | 2 kg\nKX-2 | 50 EUR | \nKX-2 | 60 EUR | 3 kg"
    asked = list(ask_table(text))
    assert [(a.question, text[a.start : a.end]) for a in asked] == [
        ("What is the price for KX-1?", "40 EUR"),
        ("What is the weight for KX-1?", "2 kg"),
    ]
    [carried] = ask_table("型一 | 40元", header="型号 | 价格")
    assert (carried.question, carried.answer) == ("型一的价格是什么？", "型一的价格是40元。")
    assert not list(ask_table("1 | 2\n3 | 4"))


def test_only_questions_that_find_their_own_passage_are_kept() -> None:
    texts = [
        "The notice period of a tenant is 30 days.",
        "The KX-200 pump was tested in May 2021.",
        "Colour: red",
        "Colour: blue",
    ]
    hits = [as_hit(text, source=f"{i}.md") for i, text in enumerate(texts)]
    hits[0] = replace(hits[0], chunk=replace(hits[0].chunk, locator=Locator(start=0, end=len(texts[0]), page=3)))
    made, dropped = questions_of(
        hits, find=lambda q: [hits[0 if "tenant" in q else 1 if "KX" in q else 2]], unanswerable=0.4
    )
    answerable = [case for case in made if case.record.answerable]
    assert [case.to_case()["answers"] for case in answerable] == [["30 days"], ["in May 2021"]]
    assert answerable[0].to_case()["sources"] == ["0.md#page=3"]
    assert dropped["asked of two passages"] == 1
    [absent] = [case.record for case in made if not case.record.answerable]
    assert absent.question.startswith("When was the KX-2")
    assert "KX-200" not in absent.question


def test_nothing_is_swapped_for_what_the_corpus_holds() -> None:
    everything = " ".join(f" kx {a}{b} " for a in range(10) for b in range(10))
    assert swapped("What did we sell in 2024/25?", absent_from="") == ""
    assert swapped("What is the price of KX-12?", absent_from=everything) == ""
    assert swapped("what is it", absent_from="") == ""


def test_an_asking_moves_with_its_sentence() -> None:
    asking = Asking(question="q", kind="span", start=1, end=3, answer="a")
    assert (asking.moved(10).start, asking.moved(10).end) == (11, 13)


# --- mining and the command ------------------------------------------------------------------------------------------


def test_each_side_searches_its_own_passages_and_the_index_is_used_again(tmp_path: Path) -> None:
    pools = {"train": [Passage(text=text) for text in OTHERS[:3]], "validation": [Passage(text=OTHERS[3])]}
    for _ in range(2):
        base = PassageBase(pools, embedder=BlindEmbedder(), folder=tmp_path, seed=0)
        assert base.search("where is the town hall", "train")[0].chunk.text == OTHERS[2]
        assert [hit.chunk.text for hit in base.search("the town hall", "validation")] == [OTHERS[3]]
        base.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_asked_of_a_folder_searches_that_folder(tmp_path: Path) -> None:
    records = [
        bridge(id=f"r{i}", passages=(Passage(text=text),), collection=folder)
        for i, (text, folder) in enumerate(zip(OTHERS[:4], ("north", "north", "south", ""), strict=True))
    ]
    pools = pools_of({"train": records, "validation": []}, lambda held: [r.passages[0] for r in held])
    assert {pool: len(passages) for pool, passages in pools.items()} == {
        "train": 1,
        "validation": 0,
        "train-north": 2,
        "train-south": 1,
    }
    base = PassageBase(pools, embedder=BlindEmbedder(), folder=tmp_path, seed=0)
    for record in records:
        found = {hit.chunk.text for hit in base.search("where is the town hall", pool_of(record, "train"))}
        assert found <= {r.passages[0].text for r in records if r.collection == record.collection}
        assert found
    base.close()


def test_rivals_come_from_the_folder_with_their_titles_and_a_follow_up_finds_what_it_follows(tmp_path: Path) -> None:
    def of(folder: str, i: int, text: str) -> Record:
        passage = Passage(text=text, title=f"{folder} {i}", context=f"{folder} {i} > Part")
        return bridge(id=f"{folder}{i}", passages=(passage,), collection=folder, document=f"{folder}{i}")

    records = [of(folder, i, f"{folder}: {text}") for folder in ("north", "south") for i, text in enumerate(OTHERS)]
    before = (Message(role="user", content=records[2].passages[0].text), Message(role="assistant", content="Yes."))
    asked = replace(records[0], question="And then?", history=before)
    arguments = argparse.Namespace(hits=[], retriever="bm25", seed=0)
    rivals = _rivals([*records, asked], arguments, Services(Settings()), tmp_path)
    for record in (records[1], records[-1], asked):
        found = rivals(record)
        assert found
        assert {p.context.split()[0] for p in found} == {record.collection}
    assert rivals(asked)[0].text == records[2].passages[0].text


def test_search_results_of_before_are_used_again(tmp_path: Path) -> None:
    (tmp_path / "hits.json").write_text(json.dumps({"Where is the hall?": ["Gone .", OTHERS[2].replace(".", " .")]}))
    pools = {"train": [Passage(text=OTHERS[2])], "validation": []}
    search = found_before(tmp_path / "hits.json", pools, seed=0)
    found = search("where is the hall", "train")
    assert found is not None
    assert [hit.chunk.text for hit in found] == [OTHERS[2]]
    assert search("something else", "train") is None
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(MalformedInput, match=r"bad\.json"):
        found_before(tmp_path / "bad.json", pools, seed=0)


def test_work_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    records = [bridge(id=f"r{i}", source=f"b:{i}") for i in range(6)]
    records += [
        bridge(id=f"o{i}", passages=(Passage(text=text),), span="", answerable=False) for i, text in enumerate(OTHERS)
    ]
    counted: list[str] = []

    def run() -> list[dict[str, Any]]:
        made, _ = build_examples(
            {"train": records},
            settings=Settings(),
            recipe=Recipe(refusals=0),
            embedder=BlindEmbedder(),
            weigh=EvidenceScorer(BlindEmbedder()).weigh,
            count_tokens=lambda text: counted.append(text) or n_words(text),  # type: ignore[func-returns-value]
            prompt_tokens=300,
            hits=(),
            work=tmp_path,
        )
        return made["train"]

    whole = run()
    [kept] = tmp_path.glob("examples-train-*.jsonl")
    lines = kept.read_bytes().split(b"\n")
    kept.write_bytes(b"\n".join(lines[:7]) + b'\n{"id": "o')
    counted.clear()
    assert run() == whole
    assert counted
    counted.clear()
    assert run() == whole
    assert not counted


def test_every_verb_has_its_module() -> None:
    for module, text in VERBS.values():
        assert text
        assert callable(load(f"{module}:run"))
        assert callable(load(f"{module}:add_arguments"))
    folder = Path(__file__).resolve().parent.parent / "app" / "model_commands"
    reachable = {path.stem for path in folder.glob("*.py") if "\ndef add_arguments(" in path.read_text("utf-8")}
    assert reachable == set(VERBS)


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_command_writes_records_and_says_what_it_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"question": f"is number {i} even", "title": f"T{i}", "passage": f"Number {i} is known.", "answer": "yes"}
        for i in range(30)
    ]
    (tmp_path / "yes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{}\n")
    (tmp_path / "dev.jsonl").write_text(json.dumps({"question": "is number 3 even"}))
    common = [
        "prepare",
        str(tmp_path / "yes.jsonl"),
        "--records-only",
        "--validation",
        "0.3",
        "--out",
        str(tmp_path / "o"),
    ]
    held = ["--held-out", str(tmp_path / "dev.jsonl")]
    code, _, error = run_command(capsys, *common, *held)
    assert code == 2
    assert "error [malformed_input] yes.jsonl:31" in error
    code, out, _ = run_command(capsys, *common, *held, "--on-error", "collect", "--take", "yes_no=20", "--json")
    assert code == 0
    summary = json.loads(out)
    written = (tmp_path / "o" / "records.jsonl").read_text().splitlines()
    assert summary["records"]["train"] == len(written)
    assert summary["records"]["train"] + summary["records"]["validation"] in (19, 20)
    assert len(summary["malformed"]) == 1
    assert "is number 3 even" not in "".join(written)
    code, out, _ = run_command(capsys, "prepare", "--check", str(tmp_path / "o" / "records.jsonl"), *held)
    assert code == 0
    assert "share nothing" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("prepare",), "[usage]"),
        (("prepare", "gone.jsonl"), "[missing_path]"),
        (("prepare", "--tables", "4", "--take", "qed=many"), "[invalid_setting]"),
        (("prepare", "--check", "x.jsonl"), "[invalid_setting]"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = run_command(capsys, *arguments)
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_every_option_and_format_is_documented() -> None:
    guide = (Path(__file__).parent.parent / "docs" / "training.md").read_text("utf-8")
    parser = verb_parser("prepare")
    for action in parser._actions:
        for option in action.option_strings:
            assert option in ("-h", "--help") or option in guide, option
    for format in FORMATS:
        assert f"`{format}`" in guide
