"""Which questions ask about all that there is, and when an answer says that it covers only what was found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.question_kind import QuestionKind, kind_uncovered, question_kind
from core.errors import UnknownSource
from core.records import Answer, Chunk, Citation, Hit, Locator

COUNT = [
    "How many contracts do we have?",
    "How many suppliers are there in China?",
    "How many documents mention the Brisa 300X?",
    "How many products are listed in the price list?",
    "How many complaints were there in June?",
    "In how many emails is the late delivery mentioned?",
    "What is the total number of employees?",
    "Count all open tickets.",
    "how many people are there in all departments",
    "How many stations were returned across all quarters?",
    "一共有多少份合同？",
    "总共有几家供应商？",
    "有多少个文档提到清风360？",
    "我们公司有多少名员工？",
    "统计一下投诉的数量",
    "几份会议纪要里说到了延期？",
    "公司目前有几台设备？",
    "员工总人数是多少？",
]
LIST = [
    "List all suppliers.",
    "Name every product with a battery.",
    "Give me all the deadlines in the contracts.",
    "What are all the open complaints?",
    "Which documents mention Huixin?",
    "In which emails does the customer complain?",
    "I need a complete list of spare parts.",
    "show me every invoice from May",
    "列出所有供应商。",
    "请列举全部产品型号。",
    "所有的合同分别是什么时候签的？",
    "一共有哪些产品？",
    "哪些合同提到了违约金？",
    "给出完整的备件清单",
    "全部客户的名单",
    "我们都有哪些传感器？",
]
EXTREME = [
    "Which product has the highest price?",
    "Who has the most days of leave?",
    "Which supplier delivers the fastest?",
    "Which of the loggers is the cheapest?",
    "Which release is the newest?",
    "Rank all products by price.",
    "What is the average price across all products?",
    "哪个产品最贵？",
    "谁的出差次数最多？",
    "价格最高的产品是哪个？",
    "哪家供应商的交货期最短？",
    "把产品按价格排序",
    "所有产品的平均价格是多少？",
]
NONE = [
    "How many days of paid annual leave do full-time employees have?",
    "How many working days are there in the notice period?",
    "How many hours do we work per week?",
    "How many percent discount do we get?",
    "How many employees does the Rotterdam office have?",
    "How many analogue inputs has the Halm-16?",
    "How many times may I extend the lease?",
    "How much does the Brisa 300X cost?",
    "List the steps to reset the logger.",
    "List all steps of the calibration.",
    "What are the opening hours?",
    "Which documents do I need for a business trip?",
    "Which documents are required for customs?",
    "What is the highest operating temperature of the Brisa 200?",
    "What is the most important rule for passwords?",
    "What is the latest date to hand in the expenses?",
    "On which day is the meeting at the latest?",
    "Compare the warranty of the Brisa 200 and the 300.",
    "What is the difference between Serra S2 and S3?",
    "Who approves travel above 2,000 EUR?",
    "Which of these is at most 5 kg?",
    "Is all data encrypted?",
    "What does the contract say about all risks?",
    "年假有多少天？",
    "一共有多少天年假？",
    "每周工作几个小时？",
    "产品的保修期总共几年？",
    "总共多少元？",
    "请假要提前几天？",
    "Halm-16有几个模拟输入？",
    "最高工作温度是多少？",
    "最多可以请几天假？",
    "最晚哪一天提交报销？",
    "报销需要哪些文件？",
    "校准有哪些步骤？",
    "清风260和清风360有什么区别？",
    "超过八年的机器还维修吗？",
    "谁批准两千元以上的差旅？",
    "最后一次会议是谁主持的？",
    "最近的会议是哪天？",
    "",
]


@pytest.mark.parametrize(
    ("question", "kind"),
    [(q, kind) for kind, questions in (("count", COUNT), ("list", LIST), ("extreme", EXTREME)) for q in questions]
    + [(q, None) for q in NONE],
)
def test_questions_about_all_that_there_is_are_told_from_those_that_a_passage_answers(
    question: str, kind: QuestionKind | None
) -> None:
    assert question_kind(question) == kind


TABLE = "Product | Price\nBrisa 200 | 310\nBrisa 300 | 420"


def _answered(text: str, passage: str, *, question: str = "Which product has the highest price?") -> Answer:
    start = text.index(passage)
    locator = Locator(start=start, end=start + len(passage))
    chunk = Chunk(id="c", source_id="s", text=passage, locator=locator, n_tokens=9)
    hit = Hit(chunk=chunk, source="p.xlsx", title="", collection="c", media_type="text/csv", score=1.0)
    other = replace(hit, chunk=replace(chunk, id="other"))
    cited = Citation(number=1, chunk_id="c", source="p.xlsx", collection="c", locator=locator, quote=passage)
    return Answer(question=question, text="Brisa 300.", citations=(cited,), hits=(hit, other))


def test_a_table_that_is_whole_in_the_cited_passage_is_all_there_is() -> None:
    for text in (TABLE, f"Prices\n\n{TABLE}\n\nAll in EUR."):
        assert kind_uncovered(_answered(text, TABLE), lambda _, text=text: text) is None  # type: ignore[misc]


def test_a_table_that_goes_on_is_a_part() -> None:
    for text in (f"{TABLE}\nHalm-16 | 900", f"Brisa 100 | 99\n{TABLE}"):
        assert kind_uncovered(_answered(text, TABLE), lambda _, text=text: text) == "extreme"  # type: ignore[misc]


def test_prose_several_passages_and_documents_that_changed_are_parts() -> None:
    prose = _answered("The Brisa 300 costs most.", "The Brisa 300 costs most.")
    assert kind_uncovered(prose, lambda _: "The Brisa 300 costs most.") == "extreme"
    answer = _answered(TABLE, TABLE)
    second = replace(answer.citations[0], number=2, chunk_id="other")
    assert kind_uncovered(replace(answer, citations=(*answer.citations, second)), lambda _: TABLE) == "extreme"
    assert kind_uncovered(answer, lambda _: "another text") == "extreme"

    def gone(_: Hit) -> str:
        raise UnknownSource("there is no such document")

    assert kind_uncovered(answer, gone) == "extreme"


def test_other_questions_and_refusals_have_nothing_to_say_of_it() -> None:
    assert kind_uncovered(_answered(TABLE, TABLE, question="What does the Brisa 300 cost?"), lambda _: "") is None
    assert kind_uncovered(replace(_answered(TABLE, TABLE), abstained=True), lambda _: "") is None
