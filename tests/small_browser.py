"""A browser for tests of the pages, and what is asked of what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from benchmarks.serving import CHROMIUM_ARGUMENTS

# How much of the page's picture in the source pane is marker: of a passage, neither nothing nor everything.
MARKED = """() => {
  const picture = document.querySelector('#source-pane img');
  const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);
  const context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let yellow = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (pixels[i] > 240 && pixels[i + 1] > 200 && pixels[i + 2] < 120) yellow++;
  return yellow / (canvas.width * canvas.height);
}"""


@contextmanager
def chromium(path: str | None, *arguments: str) -> Iterator[Browser]:
    """Give a browser that asks nothing of its maker; ``path`` is where it lies, None for Playwright's own."""
    with sync_playwright() as playwright:
        quiet = [*CHROMIUM_ARGUMENTS, "--no-first-run", "--disable-sync", *arguments]
        launched = playwright.chromium.launch(executable_path=path, args=quiet)
        yield launched
        launched.close()
