"""What the default generator costs in each number format: reading, writing, perplexity, disk; the carried file is 1.00.

``python -m benchmarks.generators [--data ../shared/data] [--models data/models] [--lines 200] [--rounds 3]``

Reading is the time to the first token of a prompt of about 600 tokens that shares no beginning with another; writing is
64 tokens after that; both are the best of the rounds, the formats in turn. Perplexity is that of the file's weights,
computed in float32, on English paragraphs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch

from llm.backends.transformers_local import load_gguf
from llm.evaluating.perplexity import perplexity
from llm.gguf_writing import requantize
from llm.number_formats import NumberFormat
from llm.quantizing import measure_speeds
from llm.quiet import quiet_transformers
from llm.registry import no_progress, resolve

MODEL = "smollm2-135m-instruct"
FORMATS: tuple[NumberFormat, ...] = ("Q8_0", "Q4_0")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0: all cores")
    options = parser.parse_args()
    quiet_transformers()
    rows = [json.loads(line) for line in (options.data / "train/boolq.jsonl").open(encoding="utf-8")]
    lines = [str(row.get("passage") or row.get("context")) for row in rows][: options.lines]
    carried = resolve(MODEL, options.models)
    with tempfile.TemporaryDirectory() as folder:
        files = {"Q4_1 as carried": carried}
        for number_format in FORMATS:
            files[number_format] = Path(folder) / f"{number_format}.gguf"
            requantize(carried, files[number_format], number_format=number_format, progress=no_progress)
        speeds = measure_speeds(files, lines, rounds=options.rounds, threads=options.threads)
        first = next(iter(files))
        print(f"{'format':18}{'MB':>6}{'reads tok/s':>13}{'ratio':>7}{'writes tok/s':>14}   (best of {options.rounds})")
        for name, path in files.items():
            reads, writes = speeds[name]
            size, ratio = path.stat().st_size / 1e6, reads / speeds[first][0]
            print(f"{name:18}{size:6.0f}{reads:13.0f}{ratio:7.2f}{writes:14.1f}", flush=True)
        print(f"\n{'format':18}{'perplexity':>12}{'ratio':>8}   (n = {len(lines)} paragraphs)")
        losses: dict[str, float] = {}
        for name, path in files.items():
            tokenizer, model = load_gguf(path, torch.float32)
            losses[name] = perplexity(model, tokenizer, lines).value
            print(f"{name:18}{losses[name]:12.3f}{losses[name] / losses[first]:8.4f}", flush=True)


if __name__ == "__main__":
    main()
