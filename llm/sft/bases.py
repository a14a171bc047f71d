"""The base that is trained: a transformers folder or a GGUF file of the Llama architecture, unpacked for torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BackendUnavailable, ModelDamaged, ModelMissing
from core.tables import nearest
from llm.adapters import base_sha256
from llm.backends.transformers_local import check_folder, load_gguf
from llm.gguf_files import check_llama, read_gguf
from llm.quiet import quiet_transformers
from llm.registry import MODELS, is_registered, resolve
from llm.sft.recipe import Method
from llm.templates import TEMPLATES, ChatTemplate, template_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A model to be trained, with all that must not change between training and serving.

    ``name`` is the registered name, or the file's or folder's own; ``sha256`` is of its weights; ``path`` is the GGUF
    file or the folder.
    """

    name: str
    sha256: str
    path: Path
    tokenizer: Any
    model: Any
    template: ChatTemplate
    control_tokens: tuple[str, ...]


def open_base(name: str, models_dir: Path, *, template: str = "auto", method: Method = "lora") -> Base:
    """Load a base in float32, or, for QLoRA, in 4 bits on the GPU.

    Args:
        name: A registered name, a GGUF file or a folder.
        models_dir: Where fetched models are kept.
        template: A chat template's name; "auto": by what the model says of itself.
        method: How it is to be trained.

    Raises:
        ModelError: It is missing, damaged or no Llama, or 4 bits cannot be had here.
    """
    quiet_transformers()
    path = find_base(name, models_dir)
    known = name if name in MODELS else path.stem if path.is_file() else path.name
    if method == "qlora":
        check_qlora(path)
    tokenizer, model, stated, control = _from_folder(path, method) if path.is_dir() else _from_gguf(path)
    chosen = template_for(known, chat_template=stated) if template == "auto" else TEMPLATES[template]
    return Base(
        name=known,
        sha256=base_sha256(path),
        path=path,
        tokenizer=tokenizer,
        model=model,
        template=chosen,
        control_tokens=control,
    )


def find_base(name: str, models_dir: Path) -> Path:
    """Return the file or folder of a base as it was published, fetching a registered one that is not here.

    Raises:
        ModelError: It is missing, or cannot be fetched.
    """
    if is_registered(name):
        return resolve(name, models_dir)
    path = Path(name).expanduser()
    if not path.exists():
        near = nearest(name, MODELS)
        remedy = f"The nearest known model is {near}" if near else "Name a folder, a .gguf file or a registered model"
        raise ModelMissing("is no known model, no file and no folder", where=name, remedy=remedy)
    return path


def check_qlora(path: Path) -> None:
    """Check that 4-bit training can be had here.

    Raises:
        BackendUnavailable: There is no GPU, no bitsandbytes, or the base is a GGUF file.
    """
    from importlib.util import find_spec

    import torch

    remedy = "Train with --method lora"
    if not torch.cuda.is_available():
        raise BackendUnavailable("4-bit training needs a GPU, and there is none", where="--method qlora", remedy=remedy)
    if not find_spec("bitsandbytes"):
        remedy = "Install bitsandbytes, or train with --method lora"
        raise BackendUnavailable("4-bit training needs bitsandbytes", where="--method qlora", remedy=remedy)
    if path.is_file():
        remedy = "Name the model's transformers folder, or train with --method lora"
        raise BackendUnavailable("a GGUF file cannot be trained in 4 bits", where=path.name, remedy=remedy)


def _from_gguf(path: Path) -> tuple[Any, Any, str, tuple[str, ...]]:
    import torch

    file = read_gguf(path)
    check_llama(file)
    try:
        tokenizer, model = load_gguf(path, torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ModelDamaged(f"cannot be loaded ({error})", where=path.name, remedy="Fetch the model again") from error
    return tokenizer, model, file.chat_template, file.control_tokens


def _from_folder(path: Path, method: Method) -> tuple[Any, Any, str, tuple[str, ...]]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    check_folder(path)
    extra = _four_bits(torch) if method == "qlora" else {"dtype": torch.float32}
    loader: Any = AutoModelForCausalLM
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        model = loader.from_pretrained(str(path), local_files_only=True, use_safetensors=True, **extra)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        raise ModelDamaged(f"cannot be loaded ({error})", where=path.name, remedy="Fetch the model again") from error
    stated = getattr(tokenizer, "chat_template", None) or ""
    return tokenizer, model, str(stated), tuple(tokenizer.all_special_tokens)


def _four_bits(torch: Any) -> dict[str, Any]:
    """NormalFloat 4 bits with the scales quantized too, computed in bfloat16 (Dettmers et al. 2023)."""
    from transformers import BitsAndBytesConfig

    kind: Any = BitsAndBytesConfig
    config = kind(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config, "dtype": torch.bfloat16, "device_map": {"": torch.cuda.current_device()}}
