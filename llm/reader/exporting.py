"""Write a trained reader as the folder that is served, with what it must give for the fixed pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
from tokenizers import Tokenizer

from llm.reader import load_network
from llm.reader.network import ReaderNetwork
from llm.reader.serving import TorchReader
from llm.reader.weights import Manifest, pack, write_manifest


def export(
    network: ReaderNetwork,
    folder: Path,
    *,
    tokenizer: Tokenizer,
    words: npt.NDArray[Any],
    embedder: Path,
    embedder_sha256: str,
    recipe: dict[str, Any],
) -> Manifest:
    """Write weights and manifest into ``folder``; the references are those of the weights as written, in 8 bits.

    Args:
        network: What was trained.
        folder: Where to.
        tokenizer: The embedder's.
        words: The embedder's table of words.
        embedder: The embedder's folder; its name goes into the manifest.
        embedder_sha256: What the registry knows it by.
        recipe: How it was trained, for the record.
    """
    state = {name: values.detach().numpy() for name, values in network.state_dict().items()}
    manifest = Manifest(
        embedder=embedder.name,
        embedder_sha256=embedder_sha256,
        sha256=pack(state, folder),
        recipe=recipe,
        references=[],
    )
    write_manifest(folder, manifest)
    rows = TorchReader(tokenizer, words, load_network(folder, embedder)).read_references()
    said = [[round(float(value), 4) for value in row] for row in rows]
    manifest = replace(manifest, references=said)
    write_manifest(folder, manifest)
    return manifest
