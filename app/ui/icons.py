"""Small pictures that are drawn in the colour of the text around them."""

from __future__ import annotations


def icon(path: str, *, size: int = 16) -> str:
    """Return a line drawing of 24 by 24 units, shown at ``size`` px."""
    return (
        f'<svg viewBox="0 0 24 24" width="{size}" height="{size}" fill="none" stroke="currentColor" stroke-width="1.8" '
        f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{path}</svg>'
    )


COPY = icon('<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 0 1 2-2h8"/>')
AGAIN = icon('<path d="M20 11a8 8 0 1 0-2.3 6.3"/><path d="M20 4v7h-7"/>')
NOTHING_FOUND = icon('<circle cx="11" cy="11" r="7"/><path d="m20 20-4-4"/><path d="M8.5 11h5"/>')
PENCIL = icon('<path d="M4 20h4L19 9a2 2 0 0 0-4-4L4 16z"/><path d="m13.5 6.5 4 4"/>')
THUMB_UP = icon(
    '<path d="M7 11v9H4v-9z"/><path d="M7 11l4-8a2.5 2.5 0 0 1 2 3l-.6 3H19a2 2 0 0 1 2 2.3l-1 6A2 2 0 0 1 18 20H7"/>'
)
THUMB_DOWN = icon(
    '<path d="M7 13V4H4v9z"/><path d="M7 13l4 8a2.5 2.5 0 0 0 2-3l-.6-3H19a2 2 0 0 0 2-2.3l-1-6A2 2 0 0 0 18 4H7"/>'
)
SIDE = icon('<rect x="3" y="4.5" width="18" height="15" rx="2.5"/><path d="M9 4.5v15"/>', size=18)
PLUS = icon('<path d="M12 5v14M5 12h14"/>')
DOTS = icon('<path d="M6 12h.01M12 12h.01M18 12h.01"/>', size=18)
DOWNLOAD = icon('<path d="M12 4v11"/><path d="m7.5 11 4.5 4.5 4.5-4.5"/><path d="M5 20h14"/>')
CLIP = icon(
    '<path d="m20 11-8.500 8.500a4.950 4.950 0 0 1-7-7L13 4a3.300 3.300 0 0 1 4.700 4.700l-8.500 8.500'
    'a1.650 1.650 0 0 1-2.350-2.350L14.500 7.200"/>',
    size=20,
)
SHEET = icon(
    '<path d="M13.500 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8.500z"/><path d="M13.500 3v5.500H19"/>',
    size=18,
)
CROSS = icon('<path d="M6 6l12 12M18 6 6 18"/>')
