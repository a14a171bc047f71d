"""Keep libraries' progress bars, tables and notices off the terminal: what matters is in our own log."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def quiet_transformers() -> None:
    """Switch off transformers' progress bars and its notices below errors, for good."""
    from transformers.utils import logging as theirs

    untyped: Any = theirs
    untyped.set_verbosity_error()
    untyped.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)


@contextmanager
def quiet_conversion() -> Iterator[None]:
    """Silence torch's tracing and NNCF while a model is converted."""
    import nncf
    from rich import get_console

    quiet_transformers()
    console = get_console()
    before, console.quiet = console.quiet, True
    nncf.set_log_level(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        console.quiet = before
        nncf.set_log_level(logging.INFO)
