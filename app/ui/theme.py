"""Colours and type: system fonts only, since the pages load nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base, Font
from gradio.themes.utils import colors, sizes

FOLDER = Path(__file__).parent
# Joined in this order: of two rules that weigh the same, the later one counts.
_SHEETS = ("base", "chat", "answers", "history", "sources", "documents", "attachments")
STYLES = tuple(FOLDER / f"{name}.css" for name in _SHEETS)
_PARTS = ("page", "sources", "asking", "connection", "history", "feedback", "attachments")
SCRIPTS = tuple(FOLDER / f"{name}.js" for name in _PARTS)
_INK = colors.Color(
    name="ink", c50="#f7f8f8", c100="#eef0f0", c200="#e0e4e4", c300="#c7cdcd", c400="#98a1a1", c500="#6b7575",
    c600="#4c5656", c700="#364040", c800="#232b2b", c900="#171d1d", c950="#0f1414",
)  # fmt: skip
_SPRUCE = colors.Color(
    name="spruce", c50="#eef6f3", c100="#d6eae2", c200="#aed6c7", c300="#7dbba6", c400="#4c9c84", c500="#2c7f68",
    c600="#1c6653", c700="#175344", c800="#144337", c900="#11372e", c950="#081f1a",
)  # fmt: skip


def theme() -> Base:
    """Return the theme of every page."""
    made = Base(
        primary_hue=_SPRUCE,
        secondary_hue=_SPRUCE,
        neutral_hue=_INK,
        radius_size=sizes.radius_md,
        text_size=sizes.text_md,
        font=[Font("sans-serif")],  # base.css names the families
        font_mono=[Font("monospace")],
    )
    return made.set(
        body_background_fill="#fbfbfa",
        body_background_fill_dark="#121717",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="#5b6666",
        body_text_color_subdued_dark="#9aa6a5",
        input_placeholder_color="#5b6666",
        input_placeholder_color_dark="#9aa6a5",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1a2121",
        background_fill_secondary="*neutral_50",
        background_fill_secondary_dark="#161c1c",
        border_color_primary="*neutral_200",
        border_color_primary_dark="#2c3535",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_title_text_weight="500",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1a2121",
        input_border_width="1px",
        input_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_400",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="transparent",
        button_secondary_background_fill_dark="transparent",
        button_border_width="1px",
        button_large_radius="10px",
        button_small_radius="8px",
    )
