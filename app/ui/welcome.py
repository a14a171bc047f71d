"""What an empty conversation shows: what one can ask here, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence

from app.texts import count, say
from app.ui.render import escaped
from core.records import Language


def welcome_html(n_documents: int, examples: Sequence[str], language: Language, *, may_add: bool = True) -> str:
    """Return what an empty conversation shows."""
    if not n_documents and not may_add:
        return (
            f'<section class="welcome"><h2>{say("chat.hello_nothing", language)}</h2>'
            f"<p>{say('chat.hello_nothing_more', language)}</p></section>"
        )
    if not n_documents:
        return (
            f'<section class="welcome"><h2>{say("chat.hello_empty", language)}</h2>'
            f"<p>{say('chat.hello_empty_more', language)}</p>"
            f'<button type="button" class="go" data-section="documents">{say("chat.go_documents", language)}</button>'
            "</section>"
        )
    buttons = "".join(
        f'<li><button type="button" class="example" data-ask="{escaped(example)}">{escaped(example)}</button></li>'
        for example in examples
    )
    documents = count("app.status", language, n_documents)
    return (
        f'<section class="welcome"><h2>{say("chat.hello", language)}</h2>'
        f"<p>{say('chat.hello_more', language, documents=documents)}</p>"
        f'<ul class="examples" aria-label="{say("chat.examples", language)}">{buttons}</ul></section>'
    )
