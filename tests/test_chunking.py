"""Chunks follow a document's structure, keep to their limit, and are verbatim."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence

import pytest

from core.records import Box, Chunk, Document, SourceFile
from ingest.builder import DocumentBuilder
from ingest.chunking import split

SOURCE = SourceFile(
    path="shelf/manual.md", location="/shelf/manual.md", sha256="0" * 64, media_type="text/markdown", size_bytes=1,
    modified=0.0,
)  # fmt: skip


def words(text: str) -> list[tuple[int, int]]:
    """Tokenize: a Chinese character, a word or a mark is a token."""
    return [match.span() for match in re.finditer(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+|[^\w\s]", text)]


def chunked(document: Document, *, chunk_tokens: int = 60, overlap_tokens: int = 0, **options: str) -> list[Chunk]:
    return split(
        document,
        token_spans=words,
        chunk_tokens=chunk_tokens,
        overlap_tokens=overlap_tokens,
        source_id="source",
        **options,
    )


def built(title: str = "") -> DocumentBuilder:
    return DocumentBuilder(SOURCE, title=title)


def sentence(n_words: int, word: str = "word") -> str:
    return " ".join([word.capitalize(), *[word] * (n_words - 1)]) + "."


def random_document(seed: int) -> Document:
    """Build a document of every kind of section in random order and length, in two scripts."""
    dice = random.Random(seed)
    builder = built(title=dice.choice(["", "A title", "标题"]))
    english, chinese = (
        "pump valve seal 3.5 bar (see page 4), then; http://a.b/c".split(),
        "泵阀密封压力每年检查一次，记录。",
    )

    def text(n: int) -> str:
        if dice.random() < 0.4:
            return "".join(dice.choice(chinese) for _ in range(n))
        return " ".join(dice.choice([*english, "end. Next", "x" * dice.randint(1, 90)]) for _ in range(n))

    for _ in range(dice.randint(1, 40)):
        builder.place.page = (builder.place.page or 1) + dice.choice([0, 0, 0, 1])
        match dice.choice(["heading", "paragraph", "paragraph", "long", "list", "table", "code"]):
            case "heading":
                builder.add_heading(text(dice.randint(1, 12)), level=dice.randint(1, 3))
            case "paragraph":
                builder.add_text(text(dice.randint(1, 60)))
            case "long":
                builder.add_text(text(dice.randint(200, 900)))
            case "list":
                builder.add_text("- " + text(dice.randint(1, 20)), kind="list")
            case "table":
                rows = [[text(dice.randint(1, 4)) for _ in range(3)] for _ in range(dice.randint(1, 40))]
                builder.add_table(rows, first_row=dice.choice([None, 1]))
            case "code":
                lines = [text(dice.randint(0, 12)) for _ in range(dice.randint(1, 30))]
                builder.add_text("\n".join(["def f():", *lines]), kind="code")
    builder.add_text("The end.")
    return builder.build()


@pytest.mark.parametrize("seed", range(40))
def test_any_document_is_cut_verbatim_within_the_limit_and_without_losing_a_character(seed: int) -> None:
    document = random_document(seed)
    chunk_tokens = random.Random(seed).choice([32, 60, 190])
    chunks = chunked(document, chunk_tokens=chunk_tokens, overlap_tokens=12)
    covered = bytearray(len(document.text))
    for chunk in chunks:
        assert chunk.text == document.text[chunk.locator.start : chunk.locator.end]
        assert chunk.text.strip()
        assert chunk.n_tokens <= chunk_tokens
        assert len(words(chunk.embedded_text)) <= chunk_tokens + 2  # a token cut in two counts on both sides
        covered[chunk.locator.start : chunk.locator.end] = b"\1" * len(chunk.text)
    assert all(covered[i] for i, character in enumerate(document.text) if not character.isspace())


@pytest.mark.parametrize("seed", range(5))
def test_cutting_again_gives_the_same_chunks_under_ids_of_their_own(seed: int) -> None:
    document = random_document(seed)
    once, again = chunked(document, overlap_tokens=12), chunked(document, overlap_tokens=12)
    assert once == again
    assert len({chunk.id for chunk in once}) == len(once)


def test_no_chunk_lies_within_another() -> None:
    for seed in range(20):
        places = [(c.locator.start, c.locator.end) for c in chunked(random_document(seed), overlap_tokens=12)]
        assert places == sorted(places)
        assert all(end < next_end for (_, end), (_, next_end) in itertools.pairwise(places))


def test_a_short_document_is_one_chunk_with_its_title_as_context() -> None:
    builder = built(title="Leave policy")
    builder.add_text("Ask your lead.")
    builder.add_text("Ask a week ahead.")
    (chunk,) = chunked(builder.build())
    assert chunk.text == "Ask your lead.\n\nAsk a week ahead."
    assert chunk.context == "manual > Leave policy"
    assert chunk.embedded_text == "manual > Leave policy\nAsk your lead.\n\nAsk a week ahead."


def test_a_document_without_a_title_goes_by_its_file_and_by_nothing_when_told_so() -> None:
    builder = built()
    builder.add_text("Ask your lead.")
    assert chunked(builder.build())[0].context == "manual"
    assert chunked(builder.build(), label="")[0].context == ""


def test_sizable_sections_under_different_headings_stay_apart() -> None:
    builder = built(title="Manual")
    for name in ("Safety", "Cleaning"):
        builder.add_heading(name, level=1)
        builder.add_text(sentence(24))
    first, second = chunked(builder.build())
    assert first.text.startswith("Safety\n\n")
    assert second.text.startswith("Cleaning\n\n")
    assert second.locator.headings == ("Cleaning",)


def test_fragments_under_different_headings_go_together() -> None:
    builder = built(title="Manual")
    for name in ("Weight", "Width", "Depth"):
        builder.add_heading(name, level=2)
        builder.add_text("Two units.")
    (chunk,) = chunked(builder.build())
    assert chunk.locator.headings == ()
    assert chunk.context == "Manual"


def test_a_heading_never_ends_a_chunk_that_something_follows() -> None:
    for n_before in range(20, 58):
        builder = built()
        builder.add_text(sentence(n_before))
        builder.add_heading("Cleaning the pump", level=1)
        builder.add_text(sentence(50))
        chunks = chunked(builder.build())
        assert not any(chunk.text.endswith("Cleaning the pump") for chunk in chunks)


def test_the_heading_path_is_context_but_for_headings_that_stand_in_the_text() -> None:
    builder = built(title="Manual")
    builder.add_heading("Care", level=1)
    builder.add_heading("Cleaning", level=2)
    for _ in range(3):
        builder.add_text(sentence(40))
    first, second, _ = chunked(builder.build())
    assert first.text.startswith("Care\n\nCleaning\n\n")
    assert first.context == "Manual"
    assert second.context == "Manual > Care > Cleaning"
    assert second.locator.headings == ("Care", "Cleaning")


def test_a_title_that_is_the_first_heading_is_said_once() -> None:
    builder = built(title="Care  guide")
    builder.set_heading("Care Guide", level=1)
    builder.add_text("Wipe it.")
    assert chunked(builder.build())[0].context == "manual > Care guide"


def test_a_long_heading_path_is_trimmed_and_keeps_its_innermost_part() -> None:
    builder = built(title=sentence(30, "title"))
    builder.set_heading(sentence(30, "outer"), level=1)
    builder.set_heading("Inner part", level=2)
    builder.add_text("Wipe it.")
    (chunk,) = chunked(builder.build(), chunk_tokens=64)
    assert chunk.context == "manual > Inner part"


def test_a_paragraph_that_is_too_long_is_cut_between_sentences_into_like_pieces() -> None:
    builder = built()
    builder.add_text(" ".join(sentence(9) for _ in range(20)))
    chunks = chunked(builder.build(), label="")
    assert len(chunks) == 4
    assert all(chunk.text.startswith("Word") and chunk.text.endswith(".") for chunk in chunks)
    assert len({chunk.n_tokens for chunk in chunks}) == 1


def test_chinese_is_cut_between_sentences_too() -> None:
    builder = built()
    builder.add_text("每年检查一次水泵的密封件。" * 20)
    chunks = chunked(builder.build())
    assert len(chunks) > 3
    assert all(chunk.text.startswith("每年") and chunk.text.endswith("。") for chunk in chunks)


def test_a_sentence_that_is_too_long_is_cut_at_a_clause() -> None:
    builder = built()
    builder.add_text(", ".join(["check the seal and the valve of the pump"] * 12) + ".")
    chunks = chunked(builder.build())
    assert len(chunks) > 1
    assert all(chunk.text.endswith((",", ".")) for chunk in chunks)


def test_whole_sentences_are_repeated_where_a_paragraph_is_cut_and_nowhere_else() -> None:
    builder = built()
    sentences = [f"Point {n} is that valve {n} opens first." for n in range(30)]
    builder.add_text(" ".join(sentences))
    builder.add_text(sentence(55))
    *pieces, last = chunked(builder.build(), overlap_tokens=12, label="")
    for before, after in itertools.pairwise(pieces):
        shared = before.text[-(before.locator.end - after.locator.start) :]
        assert shared in sentences
        assert after.text.startswith(shared)
    assert last.locator.start > pieces[-1].locator.end


def table(n_rows: int, *, first_row: int | None = 1) -> Document:
    builder = built(title="Prices")
    builder.place.sheet = "2025"
    rows = [["part", "price"], *[[f"part{n}", str(n)] for n in range(n_rows)]]
    builder.add_table(rows, first_row=first_row)
    return builder.build()


def test_a_table_is_cut_between_rows_and_carries_its_header_as_context() -> None:
    chunks = chunked(table(60))
    assert chunks[0].text.startswith("part | price\n")
    assert chunks[0].context == "manual > Prices"
    for chunk in chunks[1:]:
        assert chunk.context == "manual > Prices\npart | price"
        assert all(re.fullmatch(r"part\d+ \| \d+", line) for line in chunk.text.split("\n"))


def test_a_chunk_of_a_table_names_its_rows_and_sheet() -> None:
    for chunk in chunked(table(60)):
        lines = chunk.text.split("\n")
        n_first = 1 if lines[0] == "part | price" else int(lines[0].rpartition(" ")[2]) + 2
        assert (chunk.locator.row_start, chunk.locator.row_end) == (n_first, n_first + len(lines) - 1)
        assert chunk.locator.sheet == "2025"


def test_rows_dropped_from_a_table_widen_the_rows_that_are_named_and_never_miss() -> None:
    rows = [["part", "price"], *[[f"part{n}", str(n)] if n % 3 else ["", ""] for n in range(60)]]
    builder = built()
    builder.add_table(rows, first_row=1)
    for chunk in chunked(builder.build()):
        true_rows = [int(n) + 2 for n in re.findall(r"part(\d+)", chunk.text)]
        assert chunk.locator.row_start is not None
        assert chunk.locator.row_end is not None
        assert chunk.locator.row_start <= true_rows[0]
        assert true_rows[-1] <= chunk.locator.row_end


def test_a_header_of_very_many_columns_leaves_room_for_the_rows() -> None:
    builder = built()
    header = [f"column{n}" for n in range(500)]
    builder.add_table([header, *[[str(n)] * 4 for n in range(30)]])
    chunks = chunked(builder.build())
    assert all(chunk.n_tokens <= 60 for chunk in chunks)
    assert chunks[-1].context.splitlines()[1].startswith("column0 | column1")


def test_code_is_cut_between_blank_lines_and_repeats_nothing() -> None:
    blocks = [f"def f{n}(a, b):\n    c = a + b\n    return c * {n}" for n in range(12)]
    builder = built()
    builder.add_text("\n\n".join(blocks), kind="code")
    chunks = chunked(builder.build(), overlap_tokens=20)
    assert len(chunks) > 1
    assert all(chunk.text.startswith("def f") for chunk in chunks)
    assert sum(chunk.text.count("def f") for chunk in chunks) == 12


def test_slides_and_sheets_are_never_mixed() -> None:
    builder = built()
    for n in (1, 2, 3):
        builder.place.slide = n
        builder.add_text("One word.")
    assert [chunk.locator.slide for chunk in chunked(builder.build())] == [1, 2, 3]


def boxes_on(page: int, text: str) -> list[Box]:
    half = len(text) // 2
    return [
        Box(page=page, x0=0.1, y0=0.1, x1=0.9, y1=0.2, start=0, end=half),
        Box(page=page, x0=0.1, y0=0.2, x1=0.9, y1=0.3, start=half, end=len(text)),
    ]


def paged(texts: Sequence[str], *, boxed: bool = True) -> Document:
    builder = built()
    for page, text in enumerate(texts, start=1):
        builder.place.page = page
        builder.add_text(text, boxes=boxes_on(page, text) if boxed else ())
    return builder.build()


def test_a_chunk_crosses_pages_to_avoid_a_fragment_and_says_so() -> None:
    (chunk,) = chunked(paged([sentence(30), "A last line."]))
    assert (chunk.locator.page, chunk.locator.page_end) == (1, 2)
    assert [box.page for box in chunk.locator.boxes] == [1, 1, 2, 2]


def test_a_chunk_does_not_cross_pages_between_sizable_texts() -> None:
    assert [chunk.locator.page for chunk in chunked(paged([sentence(22), sentence(22)]))] == [1, 2]


def test_a_chunk_does_not_cross_pages_when_no_boxes_tell_where_its_sentences_stand() -> None:
    assert len(chunked(paged([sentence(30), "A last line."], boxed=False))) == 2


def test_a_piece_of_a_section_has_the_boxes_that_show_it() -> None:
    first, *_, last = chunked(paged([" ".join(sentence(9) for _ in range(20))]))
    assert len(first.locator.boxes) == 1
    assert len(last.locator.boxes) == 1
    assert first.locator.boxes[0].y0 < last.locator.boxes[0].y0


@pytest.mark.parametrize("run", ["\U00013000" * 5000, "\u200b" * 5000, "a" * 5000])
def test_a_run_that_is_one_token_or_none_is_cut_to_a_readable_length(run: str) -> None:
    """A tokenizer may give one token for all characters it does not know, or none: a chunk was as long as the run."""

    def coarse(text: str) -> Iterator[tuple[int, int]]:
        return ((m.start(), m.end()) for m in re.finditer(r"[^\s\u200b]+", text))

    builder = built()
    builder.add_text(f"Before {run} after.")
    document = builder.build()
    chunks = split(
        document, token_spans=lambda text: list(coarse(text)), chunk_tokens=60, overlap_tokens=0, source_id="source"
    )
    assert max(len(chunk.text) for chunk in chunks) <= 60 * 32
    assert "".join(chunk.text for chunk in chunks).replace(" ", "") == document.text.replace(" ", "")


def test_a_long_text_is_tokenized_block_by_block() -> None:
    asked: list[int] = []

    def counting(text: str) -> list[tuple[int, int]]:
        asked.append(len(text))
        return words(text)

    builder = built()
    for _ in range(4000):
        builder.add_text(sentence(20))
    document = builder.build()
    split(document, token_spans=counting, chunk_tokens=190, overlap_tokens=24, source_id="source")
    assert max(asked) <= 100_000
    assert sum(asked) < len(document.text) + 10_000
