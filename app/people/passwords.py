"""Passwords: what is strong enough, and argon2id over it."""

from __future__ import annotations

import threading
import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import WeakPassword

MIN_CHARS = 10
MAX_CHARS = 1000  # argon2 reads any length; a megabyte sent as a password would only cost time
_FEWEST_DISTINCT = 5
# One hash takes 64 MiB: a crowd that signs in at once waits in line instead of filling the memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def check_password(password: str, *, name: str) -> None:
    """See that a new password is fit to be one.

    Raises:
        WeakPassword: It is short, long, of few different characters, or made of the person's name.
    """
    normal = _normal(password)
    if not MIN_CHARS <= len(normal) <= MAX_CHARS:
        raise WeakPassword(
            f"the password has {len(normal):,} characters; {MIN_CHARS} to {MAX_CHARS:,} are needed",
            remedy="A few words that do not belong together are easy to keep in mind",
        )
    rest = normal.casefold().replace(_normal(name).casefold(), "")
    if len(set(rest)) < _FEWEST_DISTINCT or rest in "01234567890123456789 98765432109876543210":
        raise WeakPassword(
            "the password is too easily guessed",
            remedy="Leave the name out of it and use more different characters",
        )


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with its salt and parameters."""
    with _AT_ONCE:
        return hasher().hash(_normal(password).encode("utf-8", "surrogatepass"))


def verify_password(password: str, hashed: str) -> bool:
    """Return whether a password is the one of a hash; "" for ``hashed`` costs as much as a real one, and is False."""
    with _AT_ONCE:
        try:
            hasher().verify(hashed or _nobodys(), _normal(password[:MAX_CHARS]).encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return bool(hashed)


def is_outdated(hashed: str) -> bool:
    """Return whether a hash was made with weaker parameters than are used now."""
    return hasher().check_needs_rehash(hashed)


@lru_cache(maxsize=1)
def hasher() -> PasswordHasher:
    """Return what hashes: argon2id with the library's parameters, RFC 9106's second choice (64 MiB, three passes)."""
    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return hasher().hash(b"nobody's")


def _normal(password: str) -> str:
    """Return a password as it is hashed: however a keyboard composes its characters, it is the same."""
    return unicodedata.normalize("NFKC", password)
