"""The command line, as a person and as a program use it: answers, JSON, exit codes, and errors on one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli import COMMANDS, main, parser
from core.errors import ModelHashMismatch
from core.settings import load_settings
from core.tables import load
from llm.embedders import Embedder, open_embedder
from llm.registry import resolve

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., tuple[int, str, str]]

LEASE = (
    "Office lease\n\nThe office in the Wijnhaven is leased until 31 March 2031. The yearly rent is 84,000 EUR.\n\n"
    "Keys\n\nThe keys of the archive are kept by Marit Stolk in room 204.\n"
)
LEAVE = "休假制度\n\n新员工每年享有十五天年假。工作满五年后，年假增加到二十天。病假须出具医院证明。\n"


@pytest.fixture(scope="module")
def embedder(models_dir: Path) -> Embedder:
    """The real embedder, loaded once for all the commands of this file."""
    return open_embedder(load_settings().settings.embedder, models_dir)


@pytest.fixture
def run(tmp_path: Path, embedder: Embedder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command over a data directory of the test's own, with answers made of quotes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("llm.embedders.open_embedder", lambda *_, **__: embedder)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(
            [
                "--data",
                str(tmp_path / "data"),
                "--set",
                "generator.backend=none",
                "--set",
                "reader.model=none",
                *arguments,
            ]
        )
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


@pytest.fixture(scope="module")
def filled_data(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Path:
    """A data directory with a collection of two documents."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "docs").mkdir()
    (folder / "docs" / "lease.txt").write_text(LEASE, "utf-8")
    (folder / "docs" / "休假.txt").write_text(LEAVE, "utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("llm.embedders.open_embedder", lambda *_, **__: embedder)
        command = ["--data", str(folder / "data"), "ingest", str(folder / "docs"), "--collection", "office"]
        assert main(command) == 0
    return folder / "data"


@pytest.fixture
def filled(run: Run, filled_data: Path, tmp_path: Path) -> Run:
    """Run a command over a copy of the two documents."""
    shutil.copytree(filled_data, tmp_path / "data")
    return run


def test_a_question_is_answered_with_its_source(filled: Run) -> None:
    code, out, _ = filled("ask", "Until when is the office in the Wijnhaven leased?")
    assert code == 0
    assert "31 March 2031" in out
    assert "lease.txt" in out


def test_a_chinese_question_is_answered_in_chinese(filled: Run) -> None:
    code, out, _ = filled("ask", "新员工每年有多少天年假？", "--json")
    answer = json.loads(out)
    assert code == 0
    assert "十五天" in answer["answer"]
    assert answer["citations"][0]["source"] == "休假.txt"


def test_an_answer_as_json_has_the_shape_of_the_interface(filled: Run) -> None:
    _, out, _ = filled("ask", "Who keeps the keys of the archive?", "--json")
    answer = json.loads(out)
    assert {"question", "answer", "abstained", "citations", "hits", "model", "timings"} <= set(answer)
    assert set(answer["timings"]) == {"retrieve_ms", "first_token_ms", "total_ms"}
    assert set(answer["hits"][0]) == {"chunk_id", "source", "page", "score", "text"}
    citation = answer["citations"][0]
    assert set(citation) == {"number", "source", "page", "quote", "start", "end"}
    assert LEASE.strip()[citation["start"] : citation["end"]] == citation["quote"]


def test_search_prints_passages_best_first(filled: Run) -> None:
    code, out, _ = filled("search", "archive keys", "-k", "1", "--json")
    hits = json.loads(out)
    assert code == 0
    assert [hit["source"] for hit in hits] == ["lease.txt"]


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        (["--source", "*.txt"], {"lease.txt", "休假.txt"}),
        (["--source", "lease.*"], {"lease.txt"}),
        (["--type", "application/pdf"], set()),
        (["--since", "2001-01-01"], {"lease.txt", "休假.txt"}),
        (["--until", "2001-01-01"], set()),
    ],
)
def test_a_search_is_narrowed_by_source_type_and_date(filled: Run, narrowed: list[str], found: set[str]) -> None:
    _, out, _ = filled("search", "keys 年假", "--json", *narrowed)
    assert {hit["source"] for hit in json.loads(out)} == found


def test_many_questions_are_answered_in_bulk_and_a_wrong_line_harms_no_other(filled: Run, tmp_path: Path) -> None:
    asked, answered = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    history = [{"role": "user", "content": "Until when is the office in the Wijnhaven leased?"}]
    lines = [
        {"id": "a", "question": "Who keeps the keys of the archive?"},
        {"id": "b", "question": "  "},
        {"id": "c"},
        {"id": "d", "question": "And how high is its rent?", "history": history},
        {"id": "e", "question": "x", "history": "no list"},
    ]
    asked.write_text("\n".join(map(json.dumps, lines)) + "\nno json\n", "utf-8")
    code, _, _ = filled("ask", "--file", str(asked), "--out", str(answered))
    rows = [json.loads(line) for line in answered.read_text("utf-8").splitlines()]
    assert code == 3
    assert [row["id"] for row in rows] == ["a", "b", "c", "d", "e", None]
    assert "Marit Stolk" in rows[0]["answer"]
    assert [row.get("error", {}).get("code") for row in rows[1:3]] == ["empty_question", "malformed_input"]
    assert "84,000" in rows[3]["answer"]
    assert "in.jsonl:6" in rows[5]["error"]["message"]


def test_a_file_of_questions_that_is_no_text_is_named(filled: Run, tmp_path: Path) -> None:
    """It ended in a traceback."""
    asked = tmp_path / "in.jsonl"
    asked.write_bytes('{"question": "租金"}'.encode("gbk"))
    code, _, err = filled("ask", "--file", str(asked))
    assert code == 2
    assert "in.jsonl: is not text in UTF-8" in err
    assert "Traceback" not in err


def test_searches_in_bulk_keep_their_ids(filled: Run, tmp_path: Path) -> None:
    asked, found = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    asked.write_text('{"id": 7, "question": "rent"}\n', "utf-8")
    assert filled("search", "--file", str(asked), "--out", str(found), "-k", "2")[0] == 0
    row = json.loads(found.read_text("utf-8"))
    assert row["id"] == 7
    assert row["hits"][0]["source"] == "lease.txt"


def test_passages_are_ingested_each_as_its_own_source(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "passages.jsonl"
    lines = [{"id": f"p{i}", "title": "", "text": f"Passage number {i} speaks of item {i}."} for i in range(3)]
    file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    code, out, _ = run("ingest", str(file), "--format", "passages", "--json")
    assert code == 0
    assert [json.loads(line)["path"] for line in out.splitlines()[:-1]] == ["p0", "p1", "p2"]
    _, out, _ = run("search", "item 2", "--json")
    assert json.loads(out)[0]["source"] == "p2"


def test_a_failed_file_is_named_and_the_rest_go_on(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "good.txt").write_text(LEASE, "utf-8")
    (tmp_path / "mixed" / "empty.txt").touch()
    (tmp_path / "mixed" / "cut.pdf").write_bytes(b"%PDF-1.7\n1 0 obj")
    code, out, _ = run("ingest", str(tmp_path / "mixed"), "--json")
    files = {row["path"]: row for row in map(json.loads, out.splitlines()) if "path" in row}
    assert code == 3
    assert files["good.txt"]["status"] == "added"
    assert files["empty.txt"]["error_code"] == "empty_file"
    assert files["cut.pdf"]["error_code"] == "damaged"


def test_a_deleted_document_is_found_no_more(filled: Run) -> None:
    assert filled("delete", "lease.txt")[0] == 0
    _, out, _ = filled("search", "archive keys", "--json")
    assert "lease.txt" not in out
    _, out, _ = filled("documents", "--json")
    assert [row["path"] for row in json.loads(out)] == ["休假.txt"]
    code, out, _ = filled("verify")
    assert (code, out.strip()) == (0, "the store is sound")
    assert filled("rebuild")[0] == 0
    assert filled("purge")[0] == 0


def test_cases_are_scored(filled: Run, tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    case = {"question": "Who keeps the keys of the archive?", "answers": ["Marit Stolk"], "sources": ["lease.txt"]}
    cases.write_text(json.dumps(case), "utf-8")
    code, out, _ = filled("eval", str(cases), "--json")
    figures = json.loads(out)["figures"]["all"]
    assert code == 0
    assert figures["right answer"]["value"] == 1
    assert figures["every quote verbatim"]["n"] == 1
    assert "right answer" in filled("eval", str(cases), "--failures")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ask", "  "], 2, "no words"),
        (["ask", "？！"], 2, "no words"),
        (["ask", "why " * 12_500], 2, "50,000-character"),
        (["ask"], 2, "a question is needed"),
        (["ask", "Why?", "--since", "31.3.2025"], 2, "--since 31.3.2025"),
        (["ask", "Why?", "--collection", "ofice"], 2, "The nearest is office"),
        (["search", "x", "--collection", "ofice"], 2, "no such collection"),
        (["delete", "leese.txt"], 2, "The nearest is lease.txt"),
        (["documents", "--collection", "ofice"], 2, "no such collection"),
        (["eval", "missing.jsonl"], 2, "missing.jsonl"),
        (["ask", "--file", "missing.jsonl"], 2, "missing.jsonl"),
        (["ingest", "x.jsonl", "--format", "passages", "--watch"], 2, "--watch"),
    ],
)
def test_a_wrong_request_is_one_line_that_says_what_to_do(
    filled: Run, arguments: list[str], code: int, said: str
) -> None:
    found, out, err = filled(*arguments)
    said = said.replace("50,000-character", "49,999 characters")
    assert found == code
    assert said in err
    assert err.startswith("error [")
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert not out


def test_a_missing_folder_is_reported_and_harms_nothing(filled: Run) -> None:
    code, out, _ = filled("ingest", "nowhere", "--collection", "office")
    assert code == 3
    assert "nowhere" in out
    assert len(json.loads(filled("documents", "--json")[1])) == 2


def test_an_empty_knowledge_base_answers_that_it_is_empty(run: Run) -> None:
    code, out, _ = run("ask", "What is the rent?")
    assert code == 0
    assert "no documents" in out


def test_config_tells_each_value_and_its_origin(run: Run) -> None:
    _, out, _ = run("--set", "retrieval.k=9", "config", "--json")
    shown = json.loads(out)
    assert shown["retrieval.k"] == {"value": "9", "origin": "command line"}
    assert shown["retrieval.candidates"]["origin"] == "default"
    assert "generator.backend" in run("config")[1]


def test_an_unknown_setting_stops_before_anything_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--data", str(tmp_path / "new"), "--set", "retrieval.kk=3", "documents"])
    assert code == 2
    assert "retrieval.k" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_every_command_has_its_function_and_its_help() -> None:
    subparsers: Any = next(action for action in parser()._actions if action.dest == "command")
    assert set(subparsers.choices) == set(COMMANDS)
    for target in COMMANDS.values():
        assert callable(load(target))


def test_a_closed_pipe_ends_the_program_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "config"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""


def test_set_up_reads_pinned_models_again_when_it_is_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"weights")
    name = f"file:{model}@sha256={hashlib.sha256(b'weights').hexdigest()}"
    resolve(name, tmp_path / "data" / "models")
    stamp = model.stat()
    model.write_bytes(b"WEIGHTS")
    os.utime(model, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # it looks as it did
    resolve(name, tmp_path / "data" / "models")
    options = [
        "--data",
        str(tmp_path / "data"),
        "--set",
        f"generator.model={name}",
        "--set",
        f"embedder.model={tmp_path}",
    ]
    assert main([*options, "setup", "--verify"]) == ModelHashMismatch.exit_code
    assert "the file is not the one that was pinned" in capsys.readouterr().err
