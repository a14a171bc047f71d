"""Files of cases that administrators uploaded, DATA/evaluations/cases/NAME.jsonl, and that of the sample."""

from __future__ import annotations

from pathlib import Path

from app.cases import FORM, Case, case_of
from app.uploads import safe_name
from core.errors import MalformedInput, UsageError
from core.json_lines import json_value, numbered
from llm.registry import write_durably

MAX_CASES = 5_000
SAMPLE_CASES = Path(__file__).parents[1] / "examples" / "questions.jsonl"


class CaseFiles:
    """The files of cases of a data directory, by name; "" is that of the sample."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "evaluations" / "cases"

    def names(self) -> list[str]:
        """Return the names of the files of cases, that of the sample first where it is there."""
        return [*([""] if SAMPLE_CASES.is_file() else []), *self.uploaded()]

    def uploaded(self) -> list[str]:
        """Return the names of the files that were uploaded."""
        return sorted(path.stem for path in self._folder.glob("*.jsonl"))

    def read(self, name: str) -> list[Case]:
        """Return the cases of a file by its name, "" for the sample's.

        Raises:
            UsageError: There is no such file.
            MalformedInput: A line is no case.
        """
        if name not in self.names():
            raise _unknown(name)
        path = self._folder / f"{name}.jsonl" if name else SAMPLE_CASES
        return parse_cases(path.read_text("utf-8-sig"), name=name or path.name)

    def keep(self, name: str, content: bytes) -> str:
        """Keep an uploaded file of cases, in place of one of the same name, and return its name.

        Raises:
            MalformedInput: It holds no cases, or too many, or a line is none.
        """
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MalformedInput(f"is not text in UTF-8 ({error.reason})", where=name) from error
        parse_cases(text, name=name)
        stem = safe_name(Path(name).stem)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._folder / f"{stem}.jsonl", text.encode())
        return stem

    def delete(self, name: str) -> None:
        """Delete a file of cases that was uploaded; results of evaluations that asked them stay.

        Raises:
            UsageError: None was uploaded under this name; that of the sample comes with Citadel and stays.
        """
        if name not in self.uploaded():
            raise _unknown(name)
        (self._folder / f"{name}.jsonl").unlink(missing_ok=True)


def _unknown(name: str) -> UsageError:
    return UsageError("there is no such file of cases", where=name, remedy="Choose another, or upload it again")


def parse_cases(text: str, *, name: str) -> list[Case]:
    """Return the cases of the text of a file.

    Raises:
        MalformedInput: A line is no case, or there are none or too many; file and line are named.
    """
    lines = numbered(text)
    if not 0 < len(lines) <= MAX_CASES:
        what = f"holds {len(lines):,} cases and the most is {MAX_CASES:,}" if lines else "holds no cases"
        raise MalformedInput(what, where=name, remedy=f"A case has the form {FORM}")
    places = [(number, line, f"{name}:{number}") for number, line in lines]
    return [case_of(json_value(line, where=where), number, where=where) for number, line, where in places]
