"""Every backend runs one contract, on a real Llama of two layers that is made here."""

from __future__ import annotations

import ctypes
import json
import logging
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser

from core.errors import (
    BackendFailed,
    BackendUnavailable,
    CitadelError,
    InvalidSetting,
    MalformedInput,
    ModelDamaged,
    ModelMissing,
    ModelUnfit,
    QuestionTooLong,
)
from core.settings import GeneratorSettings
from llm.backends import BACKENDS, GroundedChatModel, open_chat_model
from llm.backends.base import until_stop
from llm.backends.model_files import find_gguf
from llm.backends.scripted import ScriptedChatModel
from llm.gguf_files import read_gguf
from llm.gguf_writing import requantize
from llm.number_formats import NumberFormat
from tests.small_llama import CONTROL, N_CTX, write_gguf, write_llama


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder of a Llama that writes letters."""
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny-llama")


@pytest.fixture(scope="module")
def tiny_gguf(tiny: Path) -> Path:
    """The same model as a GGUF file in float32."""
    return write_gguf(tiny, tiny.parent / "tiny-llama.gguf")


class _Served(BaseHTTPRequestHandler):
    """OpenAI's chat API as far as it is used: spells the alphabet, or fails as the model's name says."""

    sent: list[int]
    broken: threading.Event

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request["model"].startswith("status-"):
            status = int(request["model"].removeprefix("status-"))
            self._say(status, {"error": {"message": "maximum context length is 512" if status == 400 else "no"}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if request["model"] == "garbage":
            self.wfile.write(b"data: {nonsense\n\n")
            return
        if request["model"] == "failing":
            self.wfile.write(b'data: {"error": {"message": "out of memory"}}\n\n')
            return
        self._spell(request)

    def _spell(self, request: dict[str, Any]) -> None:
        prompt = "".join(turn["content"] for turn in request["messages"])
        text = "".join(chr(97 + (len(prompt) + n) % 26) for n in range(request["max_tokens"]))
        for stop in request.get("stop", []):
            text = text.split(stop)[0]
        try:
            for letter in text:
                self._event({"choices": [{"delta": {"content": letter}, "finish_reason": None}]})
                type(self).sent.append(1)
                if request["model"] == "cut":
                    return
            self._event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            type(self).broken.set()

    def _event(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def _say(self, status: int, plain: dict[str, Any]) -> None:
        raw = json.dumps(plain).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, type[_Served]]]:
    kind = type("Served", (_Served,), {"sent": [], "broken": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", kind
    server.shutdown()
    server.server_close()


def settings(**fields: Any) -> GeneratorSettings:
    return GeneratorSettings(**{"n_ctx": N_CTX, "max_tokens": 16, "threads": 1, **fields})


Opener = Callable[[str], GroundedChatModel]
KINDS = ("llamacpp", "transformers", "transformers-gguf", "transformers-8-bit", "openai", "scripted")


@pytest.fixture(scope="module")
def opener(tiny: Path, tiny_gguf: Path, served: tuple[str, type[_Served]]) -> Opener:
    def opened(kind: str) -> GroundedChatModel:
        if kind == "scripted":
            return ScriptedChatModel(replies=("the quick brown fox jumps over the lazy dog",), n_ctx=N_CTX)
        fields: dict[str, dict[str, Any]] = {
            "llamacpp": {"backend": "llamacpp", "model": str(tiny_gguf)},
            "transformers": {"backend": "transformers", "model": str(tiny)},
            "transformers-gguf": {"backend": "transformers", "model": str(tiny_gguf)},
            "transformers-8-bit": {"backend": "transformers", "model": str(tiny), "load_bits": "8"},
            "openai": {"backend": "openai", "model": "served", "base_url": served[0]},
        }
        return open_chat_model(settings(**fields[kind]), tiny.parent)

    return opened


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, opener: Opener) -> Iterator[GroundedChatModel]:
    found = opener(request.param)
    yield found
    found.close()


def test_every_backend_of_the_table_is_under_the_contract() -> None:
    assert {kind.split("-")[0] for kind in KINDS} >= set(BACKENDS)


def test_a_stream_comes_in_pieces_that_add_up_to_the_whole_answer(model: GroundedChatModel) -> None:
    pieces = [str(chunk.content) for chunk in model.stream("Which key?")]
    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(pieces) == model.invoke("Which key?").content


def test_closing_a_stream_frees_the_model_for_the_next_question(model: GroundedChatModel) -> None:
    whole = model.invoke("Which key?", max_tokens=5).content
    for _ in range(3):
        stream = model.stream("Tell me all of it.", max_tokens=400)
        assert any(chunk.content for chunk in stream)
        stream.close()  # type: ignore[attr-defined]
    assert model.invoke("Which key?", max_tokens=5).content == whole


def test_max_tokens_bounds_the_answer(model: GroundedChatModel) -> None:
    assert model.count_tokens(str(model.invoke("Which key?", max_tokens=4).content)) <= 8


def test_a_stop_text_ends_the_answer_before_it(model: GroundedChatModel) -> None:
    whole = str(model.invoke("Which key?").content)
    stop = whole[3:5]
    assert model.invoke("Which key?", stop=[stop]).content == whole[: whole.index(stop)]


def test_tokens_are_counted(model: GroundedChatModel) -> None:
    assert model.count_tokens("") == 0
    assert 0 < model.count_tokens("a key") < model.count_tokens("a key in a drawer of the desk")
    assert model.count_tokens("<|im_end|>") > 0


def test_questions_asked_at_once_get_the_answers_they_get_alone(model: GroundedChatModel) -> None:
    if isinstance(model, ScriptedChatModel):
        model.replies = (lambda turns: f"{turns[-1].content} is all that I have to say",)
    questions = [f"Question {n}?" for n in range(6)]
    alone = [model.invoke(question).content for question in questions]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda question: model.invoke(question).content, questions)) == alone


def test_it_is_a_part_of_langchains_chains(model: GroundedChatModel) -> None:
    assert (model | StrOutputParser()).invoke("Which key?")
    assert "".join((model | StrOutputParser()).stream([("system", "Be brief."), ("user", "Which key?")]))


def test_a_message_of_a_role_that_no_template_has_is_refused(model: GroundedChatModel) -> None:
    with pytest.raises(MalformedInput, match="role"):
        model.invoke([HumanMessage("a"), ToolMessage("b", tool_call_id="1")])


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_model_says_so_and_may_be_closed_again(kind: str, opener: Opener) -> None:
    model = opener(kind)
    stream = model.stream("Which key?", max_tokens=200)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    model.close()
    model.close()
    with pytest.raises(BackendFailed, match="closed"):
        model.invoke("Which key?")


@pytest.mark.parametrize("kind", ["llamacpp", "transformers"])
def test_a_prompt_longer_than_the_window_is_a_named_error(kind: str, opener: Opener) -> None:
    model = opener(kind)
    with pytest.raises(QuestionTooLong, match=str(N_CTX)):
        model.invoke("word " * N_CTX)
    model.close()


def test_llama_cpp_can_be_stopped_between_the_steps_in_which_it_reads_a_prompt(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm.backends.llamacpp._BATCH_TOKENS", 64)
    model = opener("llamacpp")
    prompt = "all that I have to say " * 15
    n_steps = model.count_tokens(prompt) // 64
    pieces = [str(chunk.content) for chunk in model.stream(prompt)]
    first_text = next(at for at, piece in enumerate(pieces) if piece)
    assert first_text >= n_steps > 3
    other = model.stream(prompt[::-1])
    assert [next(other).content for _ in range(2)] == ["", ""]
    other.close()  # type: ignore[attr-defined]
    assert model.invoke("Which key?").content
    model.close()


def test_closing_llama_cpp_while_it_writes_ends_the_writing(opener: Opener) -> None:
    model = opener("llamacpp")
    first, ends, written = threading.Event(), list[str](), list[str]()

    def write() -> None:
        try:
            for chunk in model.stream("Go on for long.", max_tokens=480):
                written.append(str(chunk.content))
                first.set()
        except BackendFailed as error:
            ends.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    assert first.wait(20)
    model.close()
    thread.join(20)
    assert not thread.is_alive()
    assert len(written) < 480
    assert "closed" in ends[0]


def test_closing_llama_cpp_does_not_wait_for_a_reader_that_went_away(opener: Opener) -> None:
    model = opener("llamacpp")
    stream = model.stream("Go on for long.", max_tokens=480)
    next(stream)
    closing = threading.Thread(target=model.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    with pytest.raises(BackendFailed, match="closed"):
        list(stream)


def test_a_stopped_stream_stops_the_remote_server(served: tuple[str, type[_Served]], opener: Opener) -> None:
    address, kind = served
    kind.broken.clear()
    model = opener("openai")
    stream = model.stream("Go on.", max_tokens=2_000_000)
    list(islice(stream, 2))
    stream.close()  # type: ignore[attr-defined]
    assert kind.broken.wait(20), address
    model.close()


def test_both_engines_say_the_same_from_the_same_weights(
    tiny: Path, tiny_gguf: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm.embedders.torch_engine.computes_bfloat16", lambda: False)
    said: dict[str, list[str]] = {}
    for kind in ("llamacpp", "transformers", "transformers-gguf"):
        model = opener(kind)
        said[kind] = [str(model.invoke(f"Which key opens drawer {n}?").content) for n in range(4)]
        model.close()
    assert said["transformers"] == said["transformers-gguf"]
    # llama.cpp keeps what it has read in float16, so the two part after a while; by chance, three letters would agree
    # once in 17,000 times.
    assert [text[:3] for text in said["llamacpp"]] == [text[:3] for text in said["transformers"]]


def test_a_forged_turn_reaches_llama_cpp_as_plain_text(tiny_gguf: Path, opener: Opener) -> None:
    model: Any = opener("llamacpp")
    tokens = model._engine.tokenize("<|im_end|>", control=True)
    assert tokens == [CONTROL.index("<|im_end|>")]
    assert len(model._engine.tokenize("<|im_end|>", control=False)) > 1
    model.close()


def test_llama_cpp_listens_on_no_port_and_leaves_the_signals_alone(opener: Opener) -> None:
    get = ctypes.pythonapi.PyOS_getsig
    get.restype = ctypes.c_void_p
    before = [get(number) for number in (signal.SIGINT, signal.SIGTERM)]
    listening = {each.laddr for each in psutil.Process().net_connections("inet") if each.status == "LISTEN"}
    model = opener("llamacpp")
    model.invoke("Which key?")
    now = {each.laddr for each in psutil.Process().net_connections("inet") if each.status == "LISTEN"}
    assert now <= listening
    assert [get(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    model.close()


def _bad_files(good: Path, folder: Path) -> dict[str, tuple[Path, type[CitadelError]]]:
    raw = good.read_bytes()
    header = read_gguf(good).tensors_start
    made = {
        "empty": (b"", ModelUnfit),
        "text": (b"This is no model.\n" * 20, ModelUnfit),
        "old": (b"GGUF" + struct.pack("<I", 1) + raw[8:], ModelUnfit),
        "four-bytes": (b"GGUF", ModelDamaged),
        "cut-header": (raw[: header // 2], ModelDamaged),
        "cut-weights": (raw[:-100], ModelDamaged),
        "absurd-counts": (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60), ModelDamaged),
        "garbage": (b"GGUF" + struct.pack("<IQQ", 3, 5, 5) + bytes(range(256)) * 8, ModelDamaged),
    }
    found: dict[str, tuple[Path, type[CitadelError]]] = {}
    for name, (content, error) in made.items():
        path = folder / f"{name}.gguf"
        path.write_bytes(content)
        found[name] = path, error
    found["missing"] = folder / "missing.gguf", ModelMissing
    found["folder"] = folder, ModelUnfit
    return found


BAD = [
    "empty",
    "text",
    "old",
    "four-bytes",
    "cut-header",
    "cut-weights",
    "absurd-counts",
    "garbage",
    "missing",
    "folder",
]


@pytest.mark.parametrize("backend", ["llamacpp", "transformers"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_file_is_a_named_error_and_no_crash(
    backend: str, name: str, tiny_gguf: Path, tmp_path: Path
) -> None:
    path, error = _bad_files(tiny_gguf, tmp_path)[name]
    expected = ModelMissing if backend == "transformers" and name == "folder" else error
    with pytest.raises(expected) as raised:
        open_chat_model(settings(backend=backend, model=str(path)), tmp_path)
    assert raised.value.remedy


def test_a_model_of_another_architecture_is_refused(tiny: Path, tmp_path: Path) -> None:
    other = write_gguf(tiny, tmp_path / "other.gguf", architecture="bert")
    with pytest.raises(ModelUnfit, match="bert"):
        open_chat_model(settings(model=str(other)), tmp_path)
    wordless = write_gguf(tiny, tmp_path / "wordless.gguf", with_words=False)
    with pytest.raises(ModelUnfit, match="vocabulary"):
        open_chat_model(settings(model=str(wordless)), tmp_path)


def test_what_llama_cpp_itself_refuses_is_a_named_error(tiny: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    raw = tiny_gguf.read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(raw.replace(b"blk.1.ffn_down.weight", b"blk.1.ffn_DOWN.weight"))
    with pytest.raises(ModelUnfit, match=r"llama\.cpp cannot load it"):
        open_chat_model(settings(model=str(broken)), tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("config.json", b"{}", ModelUnfit),
        ("config.json", b"{", ModelDamaged),
        ("config.json", None, ModelMissing),
        ("model.safetensors", None, ModelMissing),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", ModelDamaged),
    ],
)
def test_a_damaged_folder_is_a_named_error(
    tiny: Path, tmp_path: Path, name: str, content: bytes | None, error: type[CitadelError]
) -> None:
    import shutil

    folder = Path(shutil.copytree(tiny, tmp_path / "copy"))
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(error):
        open_chat_model(settings(backend="transformers", model=str(folder)), tmp_path)


def test_four_bits_without_the_library_for_them_name_it(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match="bitsandbytes"):
        open_chat_model(settings(backend="transformers", model=str(tiny), load_bits="4"), tiny.parent)


@pytest.mark.parametrize(
    ("served_name", "error"),
    [
        ("status-401", BackendUnavailable),
        ("status-404", ModelMissing),
        ("status-400", QuestionTooLong),
        ("status-429", BackendFailed),
        ("status-500", BackendFailed),
        ("garbage", BackendFailed),
        ("failing", BackendFailed),
        ("cut", BackendFailed),
    ],
)
def test_a_servers_failure_is_a_named_error(
    served_name: str, error: type[CitadelError], served: tuple[str, type[_Served]], tmp_path: Path
) -> None:
    model = open_chat_model(settings(backend="openai", model=served_name, base_url=served[0]), tmp_path)
    with pytest.raises(error):
        model.invoke("Which key?")
    model.close()


def test_a_server_that_is_not_there_is_a_named_error(tmp_path: Path) -> None:
    model = open_chat_model(settings(backend="openai", model="m", base_url="http://127.0.0.1:9/v1"), tmp_path)
    with pytest.raises(BackendUnavailable, match="no server answers"):
        model.invoke("Which key?")
    model.close()


def test_the_openai_backend_without_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="base_url"):
        open_chat_model(settings(backend="openai", model="m"), tmp_path)


def test_no_model_is_opened_for_the_backend_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="none"):
        open_chat_model(settings(backend="none"), tmp_path)


def test_an_unknown_model_names_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="smollm2-135m-instruct"):
        find_gguf("smollm2-135m-instrukt", tmp_path)


@pytest.mark.parametrize(("number_format", "closeness"), [("Q8_0", 0.01), ("Q4_0", 0.1), ("Q4_1", 0.1), ("F16", 1e-3)])
def test_a_file_written_in_another_number_format_keeps_its_fields_and_its_values(
    number_format: NumberFormat, closeness: float, tiny: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    from gguf import GGUFReader, quants

    to = tmp_path / "again.gguf"
    steps: list[tuple[int, int]] = []
    requantize(tiny_gguf, to, number_format=number_format, progress=lambda done, total: steps.append((done, total)))
    before, after = read_gguf(tiny_gguf), read_gguf(to)
    assert steps[-1] == (len(before.tensors), len(before.tensors))
    assert {**before.fields, "general.file_type": 0} == {**after.fields, "general.file_type": 0}
    theirs = {tensor.name: tensor for tensor in GGUFReader(to).tensors}
    for tensor in GGUFReader(tiny_gguf).tensors:
        found = quants.dequantize(theirs[tensor.name].data, theirs[tensor.name].tensor_type)
        scale = max(float(np.abs(tensor.data).max()), 1e-6)
        assert np.abs(found - tensor.data).max() / scale < closeness
    model = open_chat_model(settings(model=str(to)), tmp_path)
    assert model.invoke("Which key?").content
    model.close()


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["a", "b", "c"], ["x"], ["a", "b", "c"]),
        (["ab", "cd"], ["bc"], ["a"]),
        (["a<", "|im", "_end|>b"], ["<|im_end|>"], ["a"]),
        (["a<", "b"], ["<|"], ["a", "<b"]),
        (["end", "EN"], ["END"], ["end", "EN"]),
    ],
)
def test_a_stop_text_is_found_across_pieces(pieces: list[str], stops: list[str], expected: list[str]) -> None:
    assert list(until_stop(iter(pieces), stops)) == expected


def test_a_window_larger_than_the_model_was_trained_for_is_cut(
    tiny_gguf: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = open_chat_model(settings(model=str(tiny_gguf), n_ctx=4096), tmp_path)
    assert model.n_ctx == N_CTX
    assert "trained for 512" in caplog.text
    model.close()
