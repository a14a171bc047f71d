"""Check a written GGUF file against the model it was made of: the same words, and nearly the same probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ModelUnfit
from llm.backends.llamacpp import Engine
from llm.gguf_files import read_gguf
from llm.number_formats import NumberFormat

# Mean difference of the logarithms of the ten likeliest tokens' probabilities. llama.cpp keeps what it has read in
# float16, and with Q8_0 multiplies in 8 bits. Formats of fewer bits differ by more: perplexity is what judges them.
TOLERANCES: dict[NumberFormat, float] = {"F32": 0.02, "F16": 0.02, "BF16": 0.1, "Q8_0": 0.2}
PROBES = (
    "The warranty runs for two years from the date of delivery, unless the contract says",
    "Text:\nThe meeting on 12/03/2025 decided that §4.2 isn't valid; it's 1,250.75 € now.\n\nQuestion: How much",
    "文本：保修期为两年，自交货之日起计算。问题：保修期",
)
_LIKELIEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two models are apart: the ``largest`` and ``mean`` difference, of ``n`` probabilities compared."""

    largest: float
    mean: float
    n: int


def compare(path: Path, model: Any, tokenizer: Any, *, lora: Path | None = None, threads: int = 0) -> Agreement:
    """Return how far llama.cpp's reading of a file is from transformers' of the model it was made of.

    Args:
        path: The GGUF file.
        model: The model in torch, in float32.
        tokenizer: Its tokenizer.
        lora: A GGUF adapter that llama.cpp puts beside the file.
        threads: Processor threads; 0: all cores.

    Raises:
        ModelUnfit: A text is cut into other tokens than by the tokenizer.
    """
    import torch

    engine = Engine(read_gguf(path), n_ctx=512, threads=threads, lora=lora)
    differences: list[float] = []
    try:
        for text in PROBES:
            tokens = engine.tokenize(text, control=False)
            if tokens != list(tokenizer(text, add_special_tokens=False)["input_ids"]):
                remedy = "Convert the model with llama.cpp's own script"
                raise ModelUnfit("cuts text into other tokens than its tokenizer", where=path.name, remedy=remedy)
            with torch.inference_mode():
                theirs = model(input_ids=torch.tensor([tokens])).logits[0, -1].float().log_softmax(-1)
            ours = engine.next_log_probabilities(tokens, n=_LIKELIEST)
            differences += [abs(value - float(theirs[token])) for token, value in ours.items()]
    finally:
        engine.close()
    return Agreement(largest=max(differences), mean=sum(differences) / len(differences), n=len(differences))


def check_agreement(agreement: Agreement, number_format: NumberFormat, *, where: str) -> None:
    """Check that a file is as near to its model as its number format allows.

    Raises:
        ModelUnfit: It is not.
    """
    allowed = TOLERANCES.get(number_format)
    if allowed is not None and agreement.mean > allowed:
        what = f"differs from the model it was made of by {agreement.mean:.2f} in the mean, more than {allowed}"
        raise ModelUnfit(what, where=where, remedy="Do not use it, and report what it was made of")
