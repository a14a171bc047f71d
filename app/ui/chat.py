"""The chat tab: what is shown of a conversation, and what its buttons do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.conversations import Conversation, Conversations
from app.security import owner_of
from app.texts import count, say
from app.ui.parts import QUIET, html
from app.ui.render import escaped, turn_html, turns_html
from core.records import Language, SearchFilter
from core.text import detect_language

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase
    from core.interfaces import StoredSource

EXAMPLES_FILE = Path(__file__).parents[2] / "examples" / "questions.jsonl"
N_EXAMPLES = 4
# Buttons inside the conversation speak to the server through these two events.
_TRANSCRIPT_JS = """
element.addEventListener('click', (event) => {
  const example = event.target.closest('[data-ask]');
  if (example) trigger('ask', { question: example.dataset.ask });
  const again = event.target.closest('[data-again]');
  if (again) trigger('again', { turn: again.dataset.again });
});
"""

Update = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTab:
    """The parts of the chat tab that events read and write."""

    transcript: gr.HTML
    current: gr.HTML
    question: gr.Textbox
    scope: gr.Dropdown
    new: gr.Button
    conversation: gr.State

    @property
    def shown(self) -> list[Any]:
        """What every event of a turn updates, in order."""
        return [self.transcript, self.current, self.question, self.conversation]


def build_chat(language: Language) -> ChatTab:
    """Lay out the chat tab."""
    conversation = gr.State("")
    with gr.Column(elem_id="chat"):
        with gr.Row(elem_id="chat-bar"):
            scope = gr.Dropdown(
                choices=[],
                value=[],
                multiselect=True,
                label=say("chat.scope", language),
                show_label=False,
                container=False,
                elem_id="scope",
                min_width=120,
            )
            new = gr.Button(say("chat.new", language), size="sm", elem_id="new-chat", min_width=40)
        with gr.Column(elem_id="chat-scroll"):
            transcript = html(js=_TRANSCRIPT_JS, elem_id="transcript")
            current = html(elem_id="current")
        with gr.Column(elem_id="composer"):
            question = gr.Textbox(
                label=say("chat.question", language),
                placeholder=say("chat.placeholder", language),
                show_label=False,
                container=False,
                lines=1,
                max_lines=8,
                submit_btn=True,
                stop_btn=False,
                elem_id="question",
            )
            html(f'<p class="hint">{say("chat.hint", language)}</p>', elem_id="hint")
    return ChatTab(
        transcript=transcript,
        current=current,
        question=question,
        scope=scope,
        new=new,
        conversation=conversation,
    )


class ChatEvents:
    """What happens when something on the chat tab is used."""

    def __init__(self, knowledge_base: KnowledgeBase, conversations: Conversations, language: Language) -> None:
        self.knowledge_base = knowledge_base
        self.conversations = conversations
        self.language = language

    def connect(self, tab: ChatTab) -> None:
        """Bind the tab's events."""
        asks = {**QUIET, "outputs": tab.shown}
        once = {**asks, "queue": False}
        inputs = [tab.question, tab.scope, tab.conversation]
        tab.question.submit(self.ask, inputs, **asks)
        tab.transcript.ask(self.ask_example, [tab.scope, tab.conversation], **asks)
        tab.transcript.again(self.ask_again, [tab.scope, tab.conversation], **asks)
        tab.question.stop(self.stop, [tab.conversation], **{**once, "outputs": None})
        tab.new.click(self.begin, None, **once)

    def ask(self, question: str, scope: list[str], conversation_id: str, request: gr.Request) -> Iterator[Update]:
        """Ask what was typed, and show the answer as it is written."""
        conversation = self._conversation(request, conversation_id)
        if not question.strip():
            yield self._shown(conversation)
            return
        turn = conversation.ask(self.knowledge_base, question, filter=_filter(scope))
        if turn is None:
            gr.Info(say("chat.busy", self.language))
        yield from self._follow(conversation, clear=turn is not None)

    def ask_example(
        self, scope: list[str], conversation_id: str, request: gr.Request, event: gr.EventData
    ) -> Iterator[Update]:
        """Ask the example that was clicked."""
        yield from self.ask(str(event.question), scope, conversation_id, request)

    def ask_again(
        self, scope: list[str], conversation_id: str, request: gr.Request, event: gr.EventData
    ) -> Iterator[Update]:
        """Answer a question anew."""
        conversation = self._conversation(request, conversation_id)
        conversation.ask_again(self.knowledge_base, str(event.turn), filter=_filter(scope))
        yield from self._follow(conversation, clear=False)

    def stop(self, conversation_id: str, request: gr.Request) -> None:
        """Stop the answer that is being written."""
        running = self._conversation(request, conversation_id).running
        if running:
            running.stop()

    def begin(self, request: gr.Request) -> Update:
        """Begin a new conversation."""
        return self._shown(self.conversations.new(_owner(request)))

    def load(self, request: gr.Request) -> Iterator[Update]:
        """Show the conversation of this browser, and go on with the answer that is being written."""
        yield from self._follow(self._conversation(request, ""), clear=False)

    def welcome(self, conversation_id: str, request: gr.Request) -> Any:
        """Show an empty conversation with today's documents."""
        conversation = self._conversation(request, conversation_id)
        return gr.skip() if conversation.turns else self._welcome()

    def scope_choices(self) -> Any:
        """Return the collection picker with today's collections."""
        names = self.knowledge_base.collections()
        return gr.Dropdown(choices=names, visible=len(names) > 1)

    def _conversation(self, request: gr.Request, conversation_id: str) -> Conversation:
        return self.conversations.get(_owner(request), conversation_id)

    def _follow(self, conversation: Conversation, *, clear: bool) -> Iterator[Update]:
        running = conversation.running
        if running is None:
            yield self._shown(conversation, clear=clear)
            return
        ended = turns_html([t.state for t in conversation.turns if t is not running], self.language)
        composer = _composer(busy=True, clear=clear)
        yield ended, turn_html(running.state, self.language), composer, conversation.id
        for state in running.watch():
            if state.running:
                yield gr.skip(), turn_html(state, self.language), gr.skip(), gr.skip()
        yield self._shown(conversation, clear=False)

    def _shown(self, conversation: Conversation, *, clear: bool = False) -> Update:
        """Return the whole conversation at rest."""
        turns = [turn.state for turn in conversation.turns]
        said = turns_html(turns, self.language) if turns else self._welcome()
        composer = _composer(busy=False, clear=clear)
        return said, "", composer, conversation.id

    def _welcome(self) -> str:
        sources = self.knowledge_base.documents()
        return welcome_html(len(sources), example_questions(sources, self.language), self.language)


def _composer(*, busy: bool, clear: bool) -> Any:
    """Return the composer with its send button, or with stop while an answer is written."""
    changes: dict[str, Any] = {"submit_btn": not busy, "stop_btn": busy}
    if clear:
        changes["value"] = ""
    return gr.update(**changes)


def welcome_html(n_documents: int, examples: Sequence[str], language: Language) -> str:
    """Return what an empty conversation shows."""
    if not n_documents:
        return (
            f'<section class="welcome"><h2>{say("chat.hello_empty", language)}</h2>'
            f"<p>{say('chat.hello_empty_more', language)}</p>"
            f'<button type="button" class="go" data-tab="documents">{say("chat.go_documents", language)}</button>'
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


def example_questions(sources: Sequence[StoredSource], language: Language, *, file: Path = EXAMPLES_FILE) -> list[str]:
    """Return questions to begin with: the sample's own where it is loaded, else about the documents' titles."""
    known = {source.path for source in sources}
    chosen: list[str] = []
    used: set[str] = set()
    for case in _cases(file):
        names = {str(name).partition("#")[0] for name in case.get("sources", ())}
        question = str(case.get("question", ""))
        fits = case.get("answerable", True) and not case.get("history") and detect_language(question) == language
        if fits and names and names <= known and not names & used and len(question) <= 90:
            chosen.append(question)
            used |= names
    if chosen:
        step = max(1, len(chosen) // N_EXAMPLES)
        return chosen[::step][:N_EXAMPLES]
    titles = [s.title for s in sources if s.title and s.language == language] or [s.title for s in sources if s.title]
    return [say("chat.example_about", language, title=title[:60]) for title in dict.fromkeys(titles)][:N_EXAMPLES]


def _cases(file: Path) -> list[dict[str, Any]]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [case for line in lines if line.strip() and isinstance(case := json.loads(line), dict)]


def _filter(scope: Sequence[str] | None) -> SearchFilter:
    return SearchFilter(collections=tuple(scope or ()))


def _owner(request: gr.Request) -> str:
    """Return whose session a page belongs to; one without a cookie is its own for as long as it is open."""
    return owner_of(dict(request.cookies)) or str(request.session_hash)
