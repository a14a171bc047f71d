"""A local Hugging Face folder or GGUF file through transformers and torch, on the processor."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, PrivateAttr

from core.errors import BackendFailed, BackendUnavailable, ModelDamaged, ModelMissing, ModelUnfit, QuestionTooLong
from core.settings import GeneratorSettings
from llm.backends.base import GroundedChatModel, Request, until_stop
from llm.backends.model_files import Progress, find_gguf
from llm.gguf_files import read_gguf
from llm.quiet import quiet_transformers
from llm.templates import TEMPLATES, ChatTemplate, render, template_for

log = logging.getLogger(__name__)

# The pattern of Llama 3's tokenizer.json.
_LLAMA_3_CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_UNFINISHED = "\ufffd"  # what a part of a character decodes to
_WINDOW_TOKENS = 16  # decoded again with each token, so that one that changes its neighbour's spacing reads right


def open_model(
    settings: GeneratorSettings, models_dir: Path, progress: Progress | None = None
) -> TransformersChatModel:
    """Open a model's folder, a GGUF file, or a registered GGUF.

    Raises:
        ModelError: It is missing, damaged or unfit, or what loads it is not installed.
    """
    path, tokenizer, model = load_model(settings, models_dir, progress)
    stated = getattr(tokenizer, "chat_template", None) or ""
    name = settings.model if "/" not in settings.model else path.stem
    template = (
        template_for(name, chat_template=str(stated)) if settings.template == "auto" else TEMPLATES[settings.template]
    )
    trained = int(getattr(model.config, "max_position_embeddings", 0) or settings.n_ctx)
    return TransformersChatModel(
        model_name=name,
        n_ctx=min(settings.n_ctx, trained),
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        template=template,
        tokenizer=tokenizer,
        model=model,
    )


def load_model(
    settings: GeneratorSettings, models_dir: Path, progress: Progress | None = None
) -> tuple[Path, Any, Any]:
    """Return the folder or file of a model, its tokenizer, and the model in torch; raises as :func:`open_model`."""
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        check_folder(folder)
        return folder, *_load(folder, {}, settings)
    file = find_gguf(settings.model, models_dir, progress, adapter=settings.adapter).path
    return file, *_load(file.parent, {"gguf_file": file.name}, settings)


class TransformersChatModel(GroundedChatModel):
    """A causal model in torch; each conversation has its own cache, so many may be written at once."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    template: ChatTemplate
    _tokenizer: Any = PrivateAttr()
    _model: Any = PrivateAttr()

    def __init__(self, *, tokenizer: Any, model: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self._tokenizer, self._model = tokenizer, model

    def count_tokens(self, text: str) -> int:
        """Count the model's tokens in ``text``."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def close(self) -> None:
        """Free the model; what is being written ends with an error at its next token."""
        self._model = None

    def _write(self, request: Request) -> Iterator[str]:
        control = set(self._tokenizer.all_special_tokens)
        prompt = render(request.messages, self.template, control_tokens=control)
        ids = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        room = self.n_ctx - len(ids)
        if room < 1:
            remedy = "Ask a shorter question, or raise generator.n_ctx"
            raise QuestionTooLong(f"the prompt is {len(ids)} tokens, the model holds {self.n_ctx}", remedy=remedy)
        pieces = self._pieces(ids, min(request.max_tokens, room), request.temperature)
        yield from until_stop(pieces, (*self.template.stop, *request.stop))

    def _pieces(self, ids: list[int], limit: int, temperature: float) -> Iterator[str]:
        """Yield text token by token; no thread, so that closing stops at once."""
        ends = _end_tokens(self._model, self._tokenizer)
        cache: Any = None
        fresh, written, shown = ids, list[int](), ""
        for _ in range(limit):
            token, cache = self._step(fresh, cache, temperature)
            if token in ends:
                return
            fresh = [token]
            written.append(token)
            text = self._tokenizer.decode(written, skip_special_tokens=False)
            if not text.endswith(_UNFINISHED) and len(text) > len(shown):
                yield text[len(shown) :]
                # Only the last tokens are decoded again: the cost of a token must not grow with the answer.
                written = written[-_WINDOW_TOKENS:]
                shown = self._tokenizer.decode(written, skip_special_tokens=False)

    def _step(self, fresh: list[int], cache: Any, temperature: float) -> tuple[int, Any]:
        import torch

        model = self._model
        if model is None:
            raise BackendFailed("the model was closed", where=self.model_name, remedy="Open it again")
        try:
            with torch.inference_mode():
                out = model(input_ids=torch.tensor([fresh]), past_key_values=cache, use_cache=True, logits_to_keep=1)
                scores = out.logits[0, -1].float()
                if temperature == 0:
                    return int(scores.argmax()), out.past_key_values
                chances = torch.softmax(scores / temperature, dim=-1)
                return int(torch.multinomial(chances, 1)), out.past_key_values
        except (RuntimeError, IndexError, ValueError) as error:
            raise BackendFailed(f"torch failed ({_first_line(error)})", where=self.model_name) from error


def check_folder(folder: Path) -> None:
    """Check that a folder holds a Llama-architecture model with weights that are no pickle.

    Raises:
        ModelMissing, ModelDamaged, ModelUnfit: It does not.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        remedy = "Name a folder with config.json, tokenizer and weights, or a .gguf file"
        raise ModelMissing("is no model's folder: config.json is missing", where=folder.name, remedy=remedy) from None
    except ValueError as error:
        raise ModelDamaged(f"its config.json is malformed ({error})", where=folder.name) from error
    if config.get("model_type") != "llama":
        what = f"is a {config.get('model_type', 'unknown')!r} model, not a Llama"
        raise ModelUnfit(what, where=folder.name, remedy="Name a Llama-architecture model, or serve it elsewhere")
    if not any(folder.glob("*.safetensors")):
        remedy = "Fetch the weights as .safetensors; pickled weights are not loaded"
        raise ModelMissing("holds no .safetensors weights", where=folder.name, remedy=remedy)


def _load(folder: Path, options: dict[str, str], settings: GeneratorSettings) -> tuple[Any, Any]:
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except (ImportError, OSError) as error:
        remedy = "Install the requirements, or choose another generator.backend"
        raise BackendUnavailable("transformers is not installed", where="generator.backend", remedy=remedy) from error
    from llm.embedders.torch_engine import computes_bfloat16

    quiet_transformers()
    torch.set_num_threads(settings.threads or os.cpu_count() or 1)
    dtype = torch.bfloat16 if computes_bfloat16() and settings.load_bits == "as-stored" else torch.float32
    if options and settings.load_bits == "4":
        remedy = "Run it with generator.backend=llamacpp, as a Q4 file if it is to be small"
        raise ModelUnfit("a GGUF file cannot be loaded in 4 bits here", where=options["gguf_file"], remedy=remedy)
    extra = _four_bits(torch) if settings.load_bits == "4" else {}
    try:
        tokenizer: Any
        model: Any
        if options:
            tokenizer, model = load_gguf(folder / options["gguf_file"], dtype)
        else:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                str(folder), dtype=dtype, local_files_only=True, use_safetensors=True, **extra
            )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        where = options.get("gguf_file") or folder.name
        what = f"cannot be loaded ({_first_line(error)})"
        raise ModelDamaged(what, where=where, remedy="Fetch the model again") from error
    if not options and settings.adapter not in ("none", "default"):
        model = _with_adapter(model, folder, settings)
    model.eval()
    return tokenizer, _eight_bits(torch, model) if settings.load_bits == "8" else model


def _with_adapter(model: Any, folder: Path, settings: GeneratorSettings) -> Any:
    """Merge an adapter into a folder's model, or, where that is held in 4 bits, put it beside."""
    from llm.adapters import base_sha256, read_adapter

    adapter = read_adapter(Path(settings.adapter).expanduser())
    adapter.check_base(base_sha256(folder), name=folder.name)
    try:
        from peft import PeftModel
    except ImportError as error:
        remedy = "Install the requirements, or set generator.adapter=none"
        raise BackendUnavailable("peft is not installed", where="generator.adapter", remedy=remedy) from error
    beside: Any = PeftModel.from_pretrained(model, str(adapter.folder))
    return beside if settings.load_bits == "4" else beside.merge_and_unload()


def load_gguf(path: Path, dtype: Any) -> tuple[Any, Any]:
    """Return the tokenizer and torch model of a checked GGUF file, its weights unpacked to ``dtype``.

    ``AutoModelForCausalLM.from_pretrained`` would ask for accelerate, which nothing else here needs.
    """
    import torch
    from transformers import AutoConfig, LlamaForCausalLM
    from transformers import modeling_gguf_pytorch_utils as gguf_weights

    kind: Any = LlamaForCausalLM
    read: Any = gguf_weights.load_gguf_checkpoint
    config = AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name, local_files_only=True)
    with torch.device("meta"):
        shapes = kind(config)
    with redirect_stderr(StringIO()):  # a progress bar that no setting of transformers switches off
        weights = read(str(path), return_tensors=True, model_to_load=shapes)["tensors"]
    weights = {name: value.to(dtype) for name, value in weights.items()}
    if "lm_head.weight" not in weights:  # a small model's output is its words' matrix
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model = kind(config).to(dtype)
    model.load_state_dict(weights, strict=True, assign=True)
    return load_gguf_tokenizer(path), model.eval()


def load_gguf_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a checked GGUF file, cutting text as llama.cpp does.

    transformers reads the words and merges and leaves out how text is cut before: of SmolLM, that each digit stands
    alone, without which a line break before a number becomes another token.
    """
    from tokenizers import Regex, pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name, local_files_only=True)
    cut = read_gguf(path).fields.get("tokenizer.ggml.pre")
    if cut == "smollm":
        first: Any = pre_tokenizers.Digits(individual_digits=True)
        second = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    elif cut == "llama-bpe":
        first = pre_tokenizers.Split(Regex(_LLAMA_3_CUT), behavior="isolated")
        second = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    else:
        return tokenizer
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, second])
    return tokenizer


def _four_bits(torch: Any) -> dict[str, Any]:
    from importlib.util import find_spec

    if not find_spec("bitsandbytes"):
        remedy = "Install bitsandbytes, take a Q4 GGUF with the llamacpp backend, or set generator.load_bits=8"
        raise BackendUnavailable("4 bits need bitsandbytes", where="generator.load_bits", remedy=remedy)
    from transformers import BitsAndBytesConfig

    kind: Any = BitsAndBytesConfig
    config = kind(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    return {"quantization_config": config}


def _eight_bits(torch: Any, model: Any) -> Any:
    """Hold the matrices in int8 and quantize what they are multiplied with as it comes (dynamic quantization)."""
    from torch.ao import quantization

    quantize: Any = quantization.quantize_dynamic
    if torch.backends.quantized.engine == "none":
        raise BackendUnavailable("this torch has no 8-bit kernels", where="generator.load_bits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is to move to torchao one day; the torch that is pinned has it
        return quantize(model, {torch.nn.Linear}, dtype=torch.qint8)


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    stated = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = stated if isinstance(stated, list) else [stated]
    return {token for token in (*several, tokenizer.eos_token_id) if token is not None}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
