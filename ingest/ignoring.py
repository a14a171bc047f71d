"""Which files a folder's ``.citadelignore`` files, the settings and the defaults leave out, as git does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pathspec
from pathspec.patterns.gitignore import GitIgnorePatternError

from core.errors import InvalidSetting

IGNORE_FILE = ".citadelignore"

# Hidden files cover .git, .venv and .DS_Store; "~$" are the lock files of open Office documents.
DEFAULT_IGNORES = (
    ".*",
    "node_modules/",
    "__pycache__/",
    "~$*",
    "Thumbs.db",
    "desktop.ini",
    "*.tmp",
    "*.part",
    "*.crdownload",
)


@dataclass(frozen=True, slots=True)
class _Level:
    """The patterns of one folder; ``base`` is its path under the root with a trailing slash, or ""."""

    base: str
    patterns: pathspec.GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The patterns that hold in a folder; the deepest folder that decides wins."""

    levels: tuple[_Level, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> IgnoreRules:
        """Return the rules of a root: the defaults and ``patterns``, which may also take defaults back with ``!``.

        Raises:
            InvalidSetting: A pattern is malformed.
        """
        try:
            return cls((_Level("", pathspec.GitIgnoreSpec.from_lines([*DEFAULT_IGNORES, *patterns])),))
        except GitIgnorePatternError as error:
            raise InvalidSetting(f"a pattern is malformed: {error}", where="ingest.ignore") from error

    def inside(self, folder: str, lines: Iterable[str]) -> IgnoreRules:
        """Return these rules with the ``lines`` of the ignore file of ``folder``, a path under the root.

        Raises:
            ValueError: A line is malformed.
        """
        base = f"{folder}/" if folder else ""
        return IgnoreRules((*self.levels, _Level(base, pathspec.GitIgnoreSpec.from_lines(lines))))

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Return whether ``path``, relative to the root and inside these rules' folder, is left out."""
        for level in reversed(self.levels):
            inner = path[len(level.base) :] + ("/" if is_folder else "")
            decision = level.patterns.check_file(inner).include
            if decision is not None:
                return bool(decision)
        return False
