"""Follow folders: ingest them, and again whenever something in them changes, until told to stop."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import watchfiles

from core.errors import MissingPath, StoreError
from ingest.ignoring import IGNORE_FILE, IgnoreRules
from ingest.pipeline import Pipeline
from ingest.reports import IngestReport
from ingest.runs import OnEvent
from ingest.storable import storable_name

log = logging.getLogger(__name__)

# A program that saves writes, renames and touches; an ingest waits until this long nothing has changed.
_QUIET_MILLISECONDS = 400
_LONGEST_WAIT_MILLISECONDS = 5000


def watch(
    pipeline: Pipeline,
    roots: Sequence[str | os.PathLike[str]],
    *,
    collection: str,
    on_event: OnEvent | None = None,
    on_report: Callable[[IngestReport], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Ingest folders and files, then follow what is added, changed and removed until ``stop`` is set.

    Each change leads to an ingest with removal of what is gone. It looks at the names and times of all files, and
    opens those alone that have changed, so that it misses nothing and costs little. What goes wrong in one, such as
    a full disk, is logged, and the next change tries again.

    Args:
        pipeline: What to ingest with.
        roots: Folders and files.
        collection: Where to.
        on_event: Called with the events of every ingest.
        on_report: Called with the report of every ingest.
        stop: Set it to end.

    Raises:
        MissingPath: A root is not there to be watched.
    """
    stop = stop or threading.Event()
    places = [Path(root) for root in roots]
    for place in places:
        if not place.exists():
            raise MissingPath("does not exist", where=storable_name(os.fspath(place)), remedy="Check the spelling")

    def ingest() -> None:
        try:
            report = pipeline.ingest(places, collection=collection, sync=True, on_event=on_event, stop=stop)
        except StoreError as error:
            log.error("%s", error)
        else:
            if on_report is not None:
                on_report(report)

    # The watch starts before the first ingest, or what changes meanwhile would go unseen.
    changes = watchfiles.watch(
        *(os.path.realpath(place) for place in places),
        watch_filter=_Interesting(pipeline, places),
        debounce=_LONGEST_WAIT_MILLISECONDS,
        step=_QUIET_MILLISECONDS,
        stop_event=stop,
        rust_timeout=200,
        yield_on_timeout=True,
        ignore_permission_denied=True,
        raise_interrupt=True,
    )
    first = True
    for changed in changes:
        if stop.is_set():
            return
        if first or changed:
            ingest()
        first = False


class _Interesting:
    """Lets through changes of what an ingest would look at; a database that is written is none of them."""

    def __init__(self, pipeline: Pipeline, roots: Sequence[Path]) -> None:
        self._rules = IgnoreRules.of(pipeline.settings.ignore)
        self._excluded = [Path(os.path.realpath(folder)) for folder in pipeline.exclude]
        self._roots = [Path(os.path.realpath(root)) for root in roots]

    def __call__(self, change: watchfiles.Change, path: str) -> bool:
        place = Path(path)
        if any(place.is_relative_to(folder) for folder in self._excluded):
            return False
        root = next((root for root in self._roots if place.is_relative_to(root)), place.parent)
        inner = place.relative_to(root)
        if inner.name == IGNORE_FILE:
            return True
        return not any(self._rules.ignores(part, is_folder=True) for part in inner.parts)
