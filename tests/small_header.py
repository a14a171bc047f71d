"""How a browser goes from section to section: by the header that every page has."""

from __future__ import annotations

from playwright.sync_api import Page


def go_to(page: Page, section: str) -> None:
    """Follow the header's link to a section, as ``chat`` or ``documents``; on a phone they are in a menu."""
    link = page.locator(f".bar [data-section='{section}']")
    page.locator(".top").wait_for()
    if not link.is_visible():
        page.locator(".where").click()
    link.click()
