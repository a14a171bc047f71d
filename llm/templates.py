"""Chat templates as data: how a conversation is written for ChatML, Llama 2 and Llama 3.

What users and documents say is made harmless first: a control token inside it, such as ``<|im_end|>`` or ``[INST]``, is
broken by a space, so that no text can end its own turn and begin another. A rendered prompt may therefore be tokenized
with its control tokens recognized.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from core.errors import MalformedInput
from core.records import Message

TemplateName = Literal["chatml", "llama-2", "llama-3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """How one family of models writes a conversation; ``{}`` stands for a turn's text.

    Attributes:
        bos: What begins the text; Llama 2 begins each exchange with it.
        answer: What is put last to let the model speak.
        stop: Texts at which the model has ended its turn.
        trim: Whether white space around a turn's text is dropped.
        system_in_user: Whether the system's text stands inside the first turn of the user.
    """

    name: TemplateName
    bos: str
    system: str
    user: str
    assistant: str
    answer: str
    stop: tuple[str, ...]
    trim: bool
    system_in_user: bool = False


TEMPLATES: dict[str, ChatTemplate] = {
    "chatml": ChatTemplate(
        name="chatml",
        bos="",
        system="<|im_start|>system\n{}<|im_end|>\n",
        user="<|im_start|>user\n{}<|im_end|>\n",
        assistant="<|im_start|>assistant\n{}<|im_end|>\n",
        answer="<|im_start|>assistant\n",
        stop=("<|im_end|>", "<|im_start|>", "<|endoftext|>"),
        trim=False,
    ),
    # Touvron et al. 2023, section 3.3, and the reference code's `chat_completion`.
    "llama-2": ChatTemplate(
        name="llama-2",
        bos="<s>",
        system="<<SYS>>\n{}\n<</SYS>>\n\n",
        user="[INST] {} [/INST]",
        assistant=" {} </s>",
        answer="",
        stop=("</s>", "[INST]", "<<SYS>>"),
        trim=True,
        system_in_user=True,
    ),
    # The Llama 3 model card's prompt format.
    "llama-3": ChatTemplate(
        name="llama-3",
        bos="<|begin_of_text|>",
        system="<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
        user="<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
        assistant="<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
        answer="<|start_header_id|>assistant<|end_header_id|>\n\n",
        stop=("<|eot_id|>", "<|end_of_text|>", "<|eom_id|>", "<|start_header_id|>"),
        trim=True,
    ),
}

# A template is told by a marker in the file's own template, else by the model's name, in this order.
_MARKERS = (("<|im_start|>", "chatml"), ("<|start_header_id|>", "llama-3"), ("[INST]", "llama-2"))
_NAMES = (
    (re.compile(r"llama[-_ ]?3", re.IGNORECASE), "llama-3"),
    (re.compile(r"llama[-_ ]?2|codellama|mistral|mixtral", re.IGNORECASE), "llama-2"),
)
_CONTROL = re.compile(r"<\|[^\s|<>]{1,48}\|>|\[/?INST\]|<</?SYS>>|</?s>", re.IGNORECASE)


def template_for(model_name: str, *, chat_template: str = "") -> ChatTemplate:
    """Return the template of a model: by the template in its file where there is one, else by its name, else ChatML."""
    for marker, name in _MARKERS:
        if marker in chat_template:
            return TEMPLATES[name]
    return TEMPLATES[next((name for pattern, name in _NAMES if pattern.search(model_name)), "chatml")]


def render(
    messages: Sequence[Message],
    template: ChatTemplate,
    *,
    add_generation_prompt: bool = True,
    control_tokens: Collection[str] = (),
) -> str:
    """Write a conversation as the model expects it, its beginning-of-text token included.

    Turns of one role that follow one another are joined by an empty line.

    Args:
        messages: The turns; a system turn may only come first.
        template: How to write them.
        add_generation_prompt: Whether to end with what lets the model speak.
        control_tokens: Further control tokens of the model's own vocabulary to make harmless in the turns' text.

    Raises:
        MalformedInput: There is no turn of the user, or the turns are in an order the template cannot say.
    """
    turns = [
        Message(role=turn.role, content=neutralise(turn.content, control_tokens=control_tokens))
        for turn in _joined(messages)
    ]
    system = turns.pop(0).content if turns and turns[0].role == "system" else ""
    if not turns or turns[0].role != "user" or any(turn.role == "system" for turn in turns):
        raise MalformedInput("a conversation is a system turn at most, then user and assistant in turn, the user first")
    clean = str.strip if template.trim else str
    written = template.bos
    opening = template.system.replace("{}", clean(system)) if system else ""
    if not template.system_in_user:
        written += opening
    for number, turn in enumerate(turns):
        text = clean(turn.content)
        if turn.role == "assistant":
            written += template.assistant.replace("{}", text)
            continue
        if number and template.system_in_user:
            written += template.bos
        if not number and template.system_in_user:
            text = opening + text
        written += template.user.replace("{}", text)
    return written + (template.answer if add_generation_prompt else "")


def neutralise(text: str, *, control_tokens: Collection[str] = ()) -> str:
    """Break every control token in ``text`` with a space after its first character; other text is unchanged."""
    pattern = _CONTROL
    if control_tokens:
        longest_first = sorted(control_tokens, key=len, reverse=True)
        pattern = re.compile(f"{_CONTROL.pattern}|{'|'.join(map(re.escape, longest_first))}", re.IGNORECASE)
    while pattern.search(text):
        text = pattern.sub(lambda found: f"{found.group()[0]} {found.group()[1:]}", text)
    return text


def _joined(messages: Sequence[Message]) -> list[Message]:
    joined: list[Message] = []
    for turn in messages:
        if joined and joined[-1].role == turn.role:
            joined[-1] = Message(role=turn.role, content=f"{joined[-1].content}\n\n{turn.content}")
        else:
            joined.append(turn)
    return joined
