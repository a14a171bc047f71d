"""Records keep their ranges: locators narrow with their boxes and survive JSON; ids come from content alone."""

from __future__ import annotations

import pytest

from core.records import Box, Locator, chunk_id

LINES = (
    Box(page=2, x0=0.1, y0=0.2, x1=0.9, y1=0.22, start=10, end=50),
    Box(page=3, x0=0.1, y0=0.1, x1=0.5, y1=0.12, start=50, end=70),
)
WHERE = Locator(start=10, end=70, page=2, page_end=3, headings=("A", "B"), boxes=LINES, row_start=4)


def test_a_narrowed_locator_keeps_the_boxes_and_pages_of_its_range() -> None:
    first = WHERE.narrowed(start=12, end=40)
    assert (first.page, first.page_end, len(first.boxes)) == (2, 2, 1)
    last = WHERE.narrowed(start=55, end=70)
    assert (last.page, last.page_end, last.headings) == (3, 3, ("A", "B"))


def test_a_quote_in_the_middle_of_a_line_is_marked_there_alone() -> None:
    box = WHERE.narrowed(start=20, end=30).boxes[0]
    assert (box.start, box.end) == (20, 30)
    assert box.x0 == pytest.approx(0.1 + 0.8 * 10 / 40)
    assert box.x1 == pytest.approx(0.1 + 0.8 * 20 / 40)


def test_narrowing_twice_is_narrowing_once() -> None:
    once = WHERE.narrowed(start=20, end=30).boxes[0]
    twice = WHERE.narrowed(start=15, end=60).narrowed(start=20, end=30).boxes[0]
    assert (twice.x0, twice.x1, twice.start, twice.end) == pytest.approx((once.x0, once.x1, once.start, once.end))


def test_a_range_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="not inside"):
        WHERE.narrowed(start=0, end=20)


def test_a_locator_survives_json() -> None:
    assert Locator.from_json(WHERE.to_json()) == WHERE
    assert Locator.from_json(Locator(start=0, end=1).to_json()) == Locator(start=0, end=1)


def test_an_id_depends_on_source_place_and_text_alone() -> None:
    same = chunk_id(source_id="s", start=0, end=1, text="a")
    assert chunk_id(source_id="s", start=0, end=1, text="a") == same
    others = {
        chunk_id(source_id="t", start=0, end=1, text="a"),
        chunk_id(source_id="s", start=1, end=2, text="a"),
        chunk_id(source_id="s", start=0, end=1, text="b"),
    }
    assert len(others | {same}) == 4
