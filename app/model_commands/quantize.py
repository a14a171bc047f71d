"""``python -m llm quantize``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from core.settings import LoadedSettings

if TYPE_CHECKING:
    from llm.adapters import Adapter
    from llm.quantizing import Written
    from llm.sft.examples import Example

_COLUMNS = ("format", "MB", "perplexity", "answer F1", "reads tok/s", "writes tok/s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``quantize`` takes."""
    from llm.number_formats import NUMBER_FORMATS

    parser.add_argument("model", metavar="MODEL", help="a registered name, a GGUF file or a transformers folder")
    parser.add_argument("--to", nargs="+", choices=NUMBER_FORMATS, default=["Q8_0"], metavar="FORMAT",
                        help=f"number formats: {', '.join(NUMBER_FORMATS)}")  # fmt: skip
    parser.add_argument("--adapter", type=Path, metavar="DIR", help="a trained adapter to merge into each")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go (default: measured and dropped)")
    parser.add_argument("--examples", type=Path, metavar="FILE", help="examples for perplexity and answer F1")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="most examples used (default: 200)")
    parser.add_argument("--no-speed", action="store_true", help="do not measure reading and writing")
    parser.add_argument("--no-check", action="store_true", help="do not compare with the same model in transformers")
    parser.add_argument("--lora", type=Path, metavar="FILE", help="write the adapter alone, as llama.cpp reads it")
    parser.add_argument("--json", action="store_true", help="one JSON object a format")


def run(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Write a model in number formats, and print what each costs and gains."""
    from app.commands.evaluating import make_folder
    from llm.adapters import base_sha256, read_adapter
    from llm.quantizing import as_gguf, write_formats
    from llm.registry import MODELS
    from llm.sft.bases import find_base
    from llm.sft.examples import read_examples

    if arguments.lora and not arguments.adapter:
        raise UsageError("there is no adapter to write", where="--lora", remedy="Name one with --adapter")
    models_dir = loaded.settings.models_dir
    source = find_base(arguments.model, models_dir)
    name = arguments.model if arguments.model in MODELS else source.stem if source.is_file() else source.name
    examples = read_examples(arguments.examples)[: arguments.limit] if arguments.examples else []
    adapter = read_adapter(arguments.adapter) if arguments.adapter else None
    if adapter:
        adapter.check_base(base_sha256(source), name=name)
        name = f"{name}-{adapter.folder.name}"
    for folder in filter(None, (arguments.out, arguments.lora and arguments.lora.parent)):
        make_folder(folder)
    with ExitStack() as stack:
        out = arguments.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citadel-")))
        file = stack.enter_context(as_gguf(source))
        if arguments.lora and adapter:
            _write_lora(adapter, file, arguments.lora)
        written = write_formats(file, arguments.to, out=out, name=name, adapter=adapter)
        if not arguments.no_check:
            _check(written, arguments.model, file, adapter, arguments.lora, loaded)
        _print(_rows(written, examples, loaded, speed=not arguments.no_speed), as_json=arguments.json)
    return 0


def _write_lora(adapter: Adapter, base: Path, to: Path) -> None:
    from llm.gguf_files import read_gguf
    from llm.gguf_writing import write_adapter

    write_adapter(adapter, read_gguf(base), to)
    print(f"{to.name}: the adapter alone, {to.stat().st_size / 1e6:.1f} MB")


def _check(
    written: Sequence[Written],
    name: str,
    file: Path,
    adapter: Adapter | None,
    lora: Path | None,
    loaded: LoadedSettings,
) -> None:
    """Compare every file, and the adapter put beside its base, with base and adapter in torch."""
    from llm.gguf_checking import check_agreement, compare
    from llm.sft.bases import open_base

    threads = loaded.settings.generator.threads
    base = open_base(name, loaded.settings.models_dir)
    tokenizer, model = base.tokenizer, base.model.eval()
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter.folder)).eval()
    for one in written:
        if one.path:
            agreement = compare(one.path, model, tokenizer, threads=threads)
            print(f"{one.number_format}: log-probabilities differ by {agreement.mean:.4f} in the mean, "
                  f"{agreement.largest:.4f} at most (n = {agreement.n})", file=sys.stderr)  # fmt: skip
            check_agreement(agreement, one.number_format, where=one.path.name)
    if lora and adapter:
        agreement = compare(file, model, tokenizer, lora=lora, threads=threads)
        check_agreement(agreement, "Q8_0", where=lora.name)
        print(
            f"{lora.name} beside its base: {agreement.mean:.4f} in the mean, {agreement.largest:.4f} at most",
            file=sys.stderr,
        )


def _rows(
    written: Sequence[Written], examples: Sequence[Example], loaded: LoadedSettings, *, speed: bool
) -> list[dict[str, Any]]:
    from llm.quantizing import measure_speeds

    settings = loaded.settings.generator
    files = {str(one.number_format): one.path for one in written if one.path}
    lines = [example.messages[-2].content for example in examples] or [__doc__ or ""]
    speeds = measure_speeds(files, lines, rounds=3, threads=settings.threads) if speed else {}
    rows: list[dict[str, Any]] = []
    for one in written:
        row: dict[str, Any] = {"format": one.number_format}
        if one.path is None:
            row["not written"] = one.reason
        else:
            row["MB"] = round(one.path.stat().st_size / 1e6, 1)
            if examples:
                row |= _quality(one.path, examples, template=settings.template, threads=settings.threads)
            if one.number_format in speeds:
                reads, writes = speeds[one.number_format]
                row |= {"reads tok/s": round(reads), "writes tok/s": round(writes, 1)}
        rows.append(row)
    return rows


def _quality(path: Path, examples: Sequence[Example], *, template: str, threads: int) -> dict[str, Any]:
    import torch

    from llm.backends.transformers_local import load_gguf
    from llm.gguf_files import read_gguf
    from llm.quantizing import answer_f1, answer_perplexity
    from llm.templates import TEMPLATES, template_for

    file = read_gguf(path)
    chosen = template_for(path.stem, chat_template=file.chat_template) if template == "auto" else TEMPLATES[template]
    tokenizer, model = load_gguf(path, torch.float32)
    value = answer_perplexity(model, tokenizer, examples, chosen, control_tokens=file.control_tokens)
    f1 = answer_f1(path, examples, chosen, threads=threads)
    return {"perplexity": round(value, 3), "answer F1": round(f1.value, 4), "n": len(examples)}


def _print(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    shown = [column for column in _COLUMNS if any(column in row for row in rows)]
    print("  ".join(f"{column:>12}" for column in shown))
    for row in rows:
        if "not written" in row:
            print(f"{row['format']:>12}  not written: {row['not written']}")
        else:
            print("  ".join(f"{row.get(column, '')!s:>12}" for column in shown))
    n = next((row["n"] for row in rows if "n" in row), 0)
    if n:
        print(f"perplexity of the answers and token F1 over n = {n} examples")
