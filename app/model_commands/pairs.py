"""``python -m llm pairs``: files -> pairs to train the reader on, and pairs to judge it by."""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.condense import behind
from core.settings import LoadedSettings
from llm.training.records import Passage, Record

if TYPE_CHECKING:
    from app.services import Services
    from llm.reader.pairs import Pair

_N_RIVALS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    from app.model_commands.prepare import add_reading

    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="training data, of any format that is read")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="train.jsonl and held_out.jsonl go here")
    add_reading(parser)
    parser.add_argument("--validation", type=float, default=0.03, metavar="SHARE", help="of documents (default: 0.03)")
    parser.add_argument("--passes", type=int, default=2, help="windows of each question (default: 2)")


def run(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Read, part, search for rivals, mix and write; return 0."""
    from app.commands.evaluating import make_folder
    from app.model_commands.prepare import read_records, without_held_out
    from app.services import Services
    from llm.embedders import prepare_embedder
    from llm.embedders.base import read_tokenizer
    from llm.reader.pairs import write_pairs
    from llm.reader.windows import Framer
    from llm.training.splits import split

    make_folder(arguments.out)
    records, _ = read_records(arguments)
    records, removed = without_held_out(records, arguments.held_out, loaded)
    training, validation = split(records, validation=arguments.validation, seed=arguments.seed)
    services = Services(loaded.settings)
    try:
        embedder = prepare_embedder(loaded.settings.embedder, loaded.settings.models_dir)
        framer = Framer(read_tokenizer(embedder))
        count = lru_cache(maxsize=200_000)(lambda text: len(framer.pieces(text)[0]))
        for name, side, passes in (("train", training, arguments.passes), ("held_out", validation, 1)):
            rivals = _rivals(side, arguments, services, arguments.out / "work" / name)
            pairs = _pairs(side, rivals, count=count, passes=passes, seed=arguments.seed)
            write_pairs(arguments.out / f"{name}.jsonl", pairs)
            kinds = ", ".join(f"{kind} {n:,}" for kind, n in Counter(pair.kind for pair in pairs).most_common())
            print(f"{name}: {len(pairs):,} pairs of {len(side):,} questions: {kinds}")
    finally:
        services.close()
    print(f"removed, held out elsewhere: {dict(removed)}", file=sys.stderr)
    return 0


def _pairs(
    records: Sequence[Record],
    rivals: Callable[[Record], list[Passage]],
    *,
    count: Callable[[str], int],
    passes: int,
    seed: int,
) -> list[Pair]:
    from llm.reader.mixing import Mix, known_of, mixed, parts_of

    found = {record.id: rivals(record) for record in records}  # once, however many passes
    names = sorted({passage.title for record in records for passage in record.passages if passage.title})
    parts = parts_of(records)
    pairs: list[Pair] = []
    for turn in range(passes):
        read = partial(
            known_of,
            dress=partial(_context_of, seed=seed + turn),
            parts=parts,
            stand=behind,
            chosen=random.Random(seed + turn),
        )
        known = [each for record in records if (each := read(record, found[record.id]))]
        pairs += mixed(known, names=names, count=count, seed=seed + turn, mix=Mix())
    return pairs


def _context_of(passage: Passage, *, seed: int) -> str:
    from llm.training.dressing import dressed

    return dressed(passage, seed=seed).chunk.context


def _rivals(
    records: Sequence[Record], arguments: argparse.Namespace, services: Services, work: Path
) -> Callable[[Record], list[Passage]]:
    """Return what finds the passages of a record's side, or of its folder, that are retrieved for its question."""
    from app.model_commands.mining import BlindEmbedder, PassageBase, found_before, pool_of, pools_of

    pools = pools_of({"train": records, "validation": []}, _answering_passages)
    own = {pool: {passage.text: passage for passage in passages} for pool, passages in pools.items()}
    known = [found_before(path, pools, seed=arguments.seed) for path in arguments.hits]
    base: list[PassageBase] = []

    def find(record: Record) -> list[Passage]:
        pool = pool_of(record, "train")
        for search in known:
            if (hits := search(record.question, pool)) is not None:  # as files of results name it
                break
        else:
            if not base:
                embedder = BlindEmbedder() if arguments.retriever == "bm25" else services.embedder
                base.append(PassageBase(pools, embedder=embedder, folder=work, seed=arguments.seed))
            hits = base[0].search(behind(record.question, record.history), pool)
        return [own[pool][hit.chunk.text] for hit in hits][:_N_RIVALS]

    return find


def _answering_passages(records: Sequence[Record]) -> list[Passage]:
    return list({passage.text: passage for record in records for passage in record.passages}.values())
