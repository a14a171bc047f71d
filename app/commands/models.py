"""``setup``."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial

from core.settings import LoadedSettings, Settings


def setup(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Fetch and unpack the models of the settings, load them, and say how long it took."""
    from app.services import Services

    started = time.perf_counter()
    settings = loaded.settings
    if arguments.verify:
        _verify(settings)
    services = Services(settings, progress=show_progress)
    services.embedder.encode_query("ready?")
    print(f"embedder   {settings.embedder.model}, by {services.embedder.engine}")
    reader = services.reader
    print(f"reader     {settings.reader.model}, by {reader.engine}" if reader else "reader     none")
    writer = services.writer_model
    if writer is None:
        print("generator  none: answers are the reader's words, or quotes")
    else:
        n_tokens = writer.count_tokens("ready?")
        print(f"generator  {settings.generator.model}, by {settings.generator.backend}: {n_tokens} tokens in 'ready?'")
    services.close()
    print(f"ready in {time.perf_counter() - started:.1f} s")
    return 0


def _verify(settings: Settings) -> None:
    """Hash the files of the models that are known or were fetched, whatever was noted of them before.

    Raises:
        ModelDamaged: One is cut short.
        ModelHashMismatch: One is not what it was.
    """
    from llm.registry import is_registered, resolve

    writes = settings.generator.backend in ("llamacpp", "transformers")
    for name in (settings.embedder.model, *([settings.generator.model] if writes else [])):
        if is_registered(name):
            resolve(name, settings.models_dir, partial(show_progress, name), verify=True)
            print(f"verified   {name}")


def show_progress(name: str, done: int, total: int) -> None:
    """Show on standard error how far a model has been fetched."""
    if not sys.stderr.isatty() and done < total:
        return
    share = f"{done / total:4.0%}" if total else f"{done / 2**20:6.1f} MiB"
    end = "\n" if total and done >= total else "\r"
    print(f"{name}  {share} of {total / 2**20:.0f} MiB", end=end, file=sys.stderr, flush=True)
