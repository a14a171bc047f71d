"""The chat tab: what is shown of a conversation, and what its buttons do."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.conversations import Asks, Conversation, Conversations
from app.people.feedback import Ratings
from app.people.history import History
from app.question_kind import kind_uncovered
from app.suggestions import Suggestions
from app.texts import explain, say
from app.ui.attachments import button_html, now_html, place_html, waiting_html
from app.ui.history import history_html
from app.ui.parts import QUIET, html, inform, warn
from app.ui.render import Beside, conversation_html, escaped, turn_html
from app.ui.shelves import named_shelves
from app.ui.welcome import welcome_html
from app.web.visitors import Visitors
from core.errors import Throttled, UnknownConversation
from core.records import Hit, Language, SearchFilter

if TYPE_CHECKING:
    from app.people.own_knowledge_base import OwnKnowledgeBase
    from app.turns import TurnState

# What the page asks of the server, beside what Gradio's own parts do; the scripts of the page call these.
_TRANSCRIPT_JS = """
const citadel = (window.citadel ??= {});
citadel.ask = (question) => trigger('ask', { question });
citadel.again = (turn, question) => trigger('again', { turn, question });
citadel.open = (conversation) => trigger('open', { conversation });
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

    @property
    def opened(self) -> list[Any]:
        """What showing another conversation updates, in order."""
        return [*self.shown, self.scope]


def build_chat(language: Language) -> ChatTab:
    """Lay out the chat tab."""
    conversation = gr.State("")
    html(history_html(language), elem_id="history")
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
            html(place_html(language), elem_id="attached")
            with gr.Row(elem_id="asking"):
                html(button_html(language), elem_id="attach")
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

    def __init__(self, visitors: Visitors, conversations: Conversations, language: Language) -> None:
        self.visitors = visitors
        self.conversations = conversations
        self.language = language
        self.suggestions = Suggestions()

    def connect(self, tab: ChatTab) -> None:
        """Bind the tab's events."""
        asks = {**QUIET, "outputs": tab.shown}
        once = {**asks, "queue": False}
        inputs = [tab.question, tab.scope, tab.conversation]
        tab.question.submit(self.ask, inputs, **asks)
        tab.transcript.ask(self.ask_example, [tab.scope, tab.conversation], **asks)
        tab.transcript.again(self.ask_again, [tab.scope, tab.conversation], **asks)
        tab.transcript.open(self.open, None, **{**asks, "outputs": tab.opened})
        tab.question.stop(self.stop, [tab.conversation], **{**once, "outputs": None})
        tab.new.click(self.begin, None, **once)

    def ask(self, question: str, scope: list[str], conversation_id: str, request: gr.Request) -> Iterator[Update]:
        """Ask what was typed, and show the answer as it is written."""
        conversation = self._conversation(request, conversation_id)
        if not question.strip():
            yield self._shown(conversation, request)
            return
        idle = conversation.running is None
        if idle and not (yield from self._files_read(conversation, request)):
            return
        try:
            turn = conversation.ask(self._asked(conversation, request), question, filter=_filter(scope))
        except Throttled as error:  # what was typed stays
            warn(explain(error, self.language))
            yield _at_rest()
            return
        if turn is None:  # the page that asked it, or the eldest, follows it already
            inform(say("chat.busy", self.language))
            if idle:  # another page asked while this one waited for files
                yield from self._follow(conversation, request, clear=False)
            else:
                yield _unchanged()
            return
        yield from self._follow(conversation, request, clear=True)

    def ask_example(
        self, scope: list[str], conversation_id: str, request: gr.Request, event: gr.EventData
    ) -> Iterator[Update]:
        """Ask the example that was clicked."""
        yield from self.ask(str(event.question), scope, conversation_id, request)

    def ask_again(
        self, scope: list[str], conversation_id: str, request: gr.Request, event: gr.EventData
    ) -> Iterator[Update]:
        """Answer a question anew, or as it was edited; it and what followed it are replaced."""
        conversation = self._conversation(request, conversation_id)
        edited = str(getattr(event, "question", "") or "").strip()
        if conversation.running is None and not (yield from self._files_read(conversation, request)):
            return
        asked = self._asked(conversation, request)
        try:
            conversation.ask_again(asked, str(event.turn), filter=_filter(scope), question=edited)
        except Throttled as error:
            warn(explain(error, self.language))
        yield from self._follow(conversation, request, clear=False)

    def stop(self, conversation_id: str, request: gr.Request) -> None:
        """Stop the answer that is being written, or a question that waits for files."""
        conversation = self._conversation(request, conversation_id)
        self.visitors.attachments.stop_waiting(_owner(request), conversation.id)
        if running := conversation.running:
            running.stop()

    def begin(self, request: gr.Request) -> Update:
        """Begin a new conversation; an answer that is still written in the old one is left."""
        self.conversations.pages.turns_away(str(request.session_hash))
        return self._shown(self.conversations.new(_owner(request)), request)

    def load(self, request: gr.Request) -> Iterator[Update]:
        """Show the conversation that the page's address names, or an empty one."""
        yield from self._open(str(request.query_params.get("c", "")), request)

    def open(self, request: gr.Request, event: gr.EventData) -> Iterator[Update]:
        """Show the conversation that was chosen; an answer that is still written in another is left."""
        yield from self._open(str(event.conversation), request)

    def _open(self, conversation_id: str, request: gr.Request) -> Iterator[Update]:
        self.conversations.pages.turns_away(str(request.session_hash))
        found = self._found(request, conversation_id) if conversation_id else None
        if conversation_id and found is None:
            inform(say("chat.gone", self.language))
        conversation = found or self.conversations.new(_owner(request))
        conversation.resume(self._asked(conversation, request))
        scope = self._scope(request, conversation.turns[-1].state.scope if conversation.turns else ())
        for update in self._follow(conversation, request, clear=False):
            yield *update, scope
            scope = gr.skip()

    def welcome(self, conversation_id: str, request: gr.Request) -> Any:
        """Show an empty conversation with today's documents."""
        conversation = self._conversation(request, conversation_id)
        return gr.skip() if conversation.turns else self._welcome(conversation, request)

    def scope_choices(self, request: gr.Request) -> Any:
        """Return the collection picker with what the person may read today."""
        shelves = self._own(request).shelves()
        return gr.Dropdown(choices=named_shelves(shelves), visible=len(shelves) > 1)

    def _scope(self, request: gr.Request, asked: Sequence[str]) -> Any:
        """Return the picker with what was asked last, as far as it is still there."""
        shelves = self._own(request).shelves()
        still = [shelf.name for shelf in shelves if shelf.name in asked]
        return gr.Dropdown(choices=named_shelves(shelves), value=still, visible=len(shelves) > 1)

    def _own(self, request: gr.Request) -> OwnKnowledgeBase:
        return self.visitors.own(request.username)

    def _conversation(self, request: gr.Request, conversation_id: str) -> Conversation:
        found = self._found(request, conversation_id) if conversation_id else None
        return found or self.conversations.get(_owner(request), conversation_id)

    def _found(self, request: gr.Request, conversation_id: str) -> Conversation | None:
        """Return a conversation of the person's; one that has files and no turn yet is kept too."""
        owner = _owner(request)
        found = self.conversations.find(owner, conversation_id)
        if found is None:
            try:
                History(self.visitors.people, self.visitors.accounts.get(owner)).get(conversation_id)
            except UnknownConversation:
                return None
            found = self.conversations.restore(owner, conversation_id)
        return found

    def _asked(self, conversation: Conversation, request: gr.Request) -> Asks:
        """Return what answers: the knowledge base as the person has it, with the conversation's files."""
        return self.visitors.attachments.asked(self._own(request), _owner(request), conversation.id)

    def _files_read(self, conversation: Conversation, request: gr.Request) -> Generator[Update, None, bool]:
        """Wait for files that are still uploaded or read, and say so; return whether the question can be asked.

        What was typed stays until then, so that nothing is lost with the page or by a file that cannot be read.
        """
        attachments, owner = self.visitors.attachments, _owner(request)
        awaited = {file.id for file in attachments.of(owner, conversation.id).pending}
        if not awaited:
            return True
        busy = _composer(busy=True, clear=False)
        with self.conversations.pages.expecting(str(request.session_hash)) as is_there:
            said = ""
            for found in attachments.wait(owner, conversation.id, is_there=is_there):
                if found.pending and said != (said := waiting_html(found.pending, self.language)):
                    yield gr.skip(), said, busy, conversation.id
            if not is_there():  # gone, or shows another conversation
                return False
        if self._found(request, conversation.id) is None:  # deleted meanwhile
            inform(say("chat.gone", self.language))
            yield _at_rest()
            return False
        failed = [file.name for file in found.files if file.id in awaited and file.state == "failed"]
        if failed:
            warn(say("attach.not_asked", self.language, name=failed[0]))
        if failed or found.pending:
            yield _at_rest()
            return False
        return True

    def _follow(self, conversation: Conversation, request: gr.Request, *, clear: bool) -> Iterator[Update]:
        running = conversation.running
        if running is None:
            yield self._shown(conversation, request, clear=clear)
            return
        page = self.conversations.pages.expecting(str(request.session_hash))
        with page as is_there, running.watching(is_there) as states:
            before = [turn.state for turn in conversation.turns if turn is not running]
            ended = self._turns(conversation, before, request)
            composer = _composer(busy=True, clear=clear)
            yield ended, turn_html(running.state, self.language), composer, conversation.id
            for state in states:
                if not is_there():  # gone, or shows another conversation
                    return
                if state.running:
                    yield gr.skip(), turn_html(state, self.language), gr.skip(), gr.skip()
            if not is_there():
                return
        yield self._shown(conversation, request)

    def _shown(self, conversation: Conversation, request: gr.Request, *, clear: bool = False) -> Update:
        """Return the whole conversation at rest."""
        turns = [turn.state for turn in conversation.turns]
        said = self._turns(conversation, turns, request) if turns else self._welcome(conversation, request)
        composer = _composer(busy=False, clear=clear)
        return said, "", composer, conversation.id

    def _turns(self, conversation: Conversation, turns: Sequence[TurnState], request: gr.Request) -> str:
        own, person = self._own(request), self.visitors.accounts.get(_owner(request))
        ratings = Ratings(self.visitors.people, person).given(conversation.id)

        def text_of(hit: Hit) -> str:
            return own.document_text(hit.source, collection=hit.collection)

        beside = {
            turn.id: Beside(given=ratings.get(turn.id), uncovered=kind_uncovered(turn.answer, text_of))
            for turn in turns
            if turn.answer is not None
        }
        files = now_html(self.visitors.attachments.of(person.id, conversation.id), self.language)
        return conversation_html(conversation.id, turns, self.language, beside=beside) + files

    def _welcome(self, conversation: Conversation, request: gr.Request) -> str:
        own = self._own(request)
        n_documents = sum(filled.n_documents for filled in own.filled())
        examples = self.suggestions.of(own, self.language)
        said = welcome_html(n_documents, examples, self.language, may_add=own.access.role != "reader")
        attached = self.visitors.attachments.of(_owner(request), conversation.id)
        if attached.files:  # it is kept already, and has an address
            said = f'<div class="conversation" data-conversation="{escaped(conversation.id)}">{said}</div>'
        return said + now_html(attached, self.language)


def _unchanged() -> Update:
    return gr.skip(), gr.skip(), gr.skip(), gr.skip()


def _at_rest() -> Update:
    """Return what ends a wait: nothing is written or waited for, and what was typed stays."""
    return gr.skip(), "", _composer(busy=False, clear=False), gr.skip()


def _composer(*, busy: bool, clear: bool) -> Any:
    """Return the composer with its send button, or with stop while an answer is written."""
    changes: dict[str, Any] = {"submit_btn": not busy, "stop_btn": busy}
    if clear:
        changes["value"] = ""
    return gr.update(**changes)


def _filter(scope: Sequence[str] | None) -> SearchFilter:
    return SearchFilter(collections=tuple(scope or ()))


def _owner(request: gr.Request) -> str:
    """Return whose conversations a page shows: those of the person who is signed in."""
    return str(request.username)
