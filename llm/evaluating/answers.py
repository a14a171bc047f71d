"""Scores of an answer against its accepted answers, in [0, 1]; of several accepted answers the best counts.

Texts are compared as tokens: a Chinese character is one, a run of other letters or digits is one. Width, case,
punctuation and English articles do not count. So one set of scores holds for both languages: F1 is that of SQuAD
(Rajpurkar et al. 2016) for English and that of characters for Chinese. Unlike SQuAD's script, punctuation parts words
instead of vanishing, so that "children 's" and "children's" are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import Stemmer

from core.records import Language

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_TOKEN = re.compile(f"[{_CJK}]|[^\\W_{_CJK}]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_ARTICLES = frozenset({"a", "an", "the"})

# Banerjee and Lavie 2005: recall weighs nine times precision; the penalty is half of the cube of the fragmentation.
_METEOR_RECALL_WEIGHT = 9
_METEOR_PENALTY = 0.5
_METEOR_POWER = 3
# Lin 2004 as used since: recall weighs slightly more than precision.
_ROUGE_BETA = 1.2

Scorer = Callable[[list[str], list[str]], float]


@lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[str, ...]:
    folded = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return tuple(token for token in _TOKEN.findall(folded) if token not in _ARTICLES)


def answer_tokens(text: str) -> list[str]:
    """Return the tokens by which answers are compared."""
    return list(_tokens(text))


def contained(text: str, answers: Sequence[str]) -> float:
    """Return 1 when any accepted answer stands in ``text``, token by token, else 0."""
    said = answer_tokens(text)
    return float(any(_stands_in(wanted, said) for wanted in map(answer_tokens, answers) if wanted))


def exact_match(text: str, answers: Sequence[str]) -> float:
    """Return 1 when ``text`` is an accepted answer and nothing else, else 0."""
    return _best(text, answers, lambda said, wanted: float(said == wanted))


def token_f1(text: str, answers: Sequence[str]) -> float:
    """Return the F1 of shared tokens, counted with repetition."""
    return _best(text, answers, _f1)


def lcs_f1(text: str, answers: Sequence[str]) -> float:
    """Return the F1 of the longest run of tokens that both hold, as CMRC 2018's script scores (Cui et al. 2019)."""
    return _best(text, answers, lambda said, wanted: _harmonic(_longest_run(said, wanted), len(said), len(wanted)))


def rouge_l(text: str, answers: Sequence[str]) -> float:
    """Return the F of the longest common subsequence (Lin 2004), beta 1.2."""
    return _best(text, answers, _rouge_l)


def meteor(text: str, answers: Sequence[str]) -> float:
    """Return METEOR (Banerjee and Lavie 2005) with its exact and stem stages; synonyms are not matched."""
    return _best(text, answers, _meteor)


def _best(text: str, answers: Sequence[str], score: Scorer) -> float:
    said = answer_tokens(text)
    return max((score(said, answer_tokens(answer)) for answer in answers), default=0.0)


def _stands_in(wanted: list[str], said: list[str]) -> bool:
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


def _f1(said: list[str], wanted: list[str]) -> float:
    if not said and not wanted:
        return 1.0
    return _harmonic(sum((Counter(said) & Counter(wanted)).values()), len(said), len(wanted))


def _harmonic(n_shared: int, n_said: int, n_wanted: int) -> float:
    return 2 * n_shared / (n_said + n_wanted) if n_shared else 0.0


def _longest_run(said: list[str], wanted: list[str]) -> int:
    longest, above = 0, [0] * (len(wanted) + 1)
    for token in said:
        row = [0]
        for j, other in enumerate(wanted):
            row.append(above[j] + 1 if token == other else 0)
        longest, above = max(longest, *row), row
    return longest


def _longest_subsequence(said: list[str], wanted: list[str]) -> int:
    above = [0] * (len(wanted) + 1)
    for token in said:
        row = [0]
        for j, other in enumerate(wanted):
            row.append(above[j] + 1 if token == other else max(above[j + 1], row[j]))
        above = row
    return above[-1]


def _rouge_l(said: list[str], wanted: list[str]) -> float:
    n_shared = _longest_subsequence(said, wanted)
    if not n_shared:
        return 0.0
    precision, recall = n_shared / len(said), n_shared / len(wanted)
    return (1 + _ROUGE_BETA**2) * precision * recall / (recall + _ROUGE_BETA**2 * precision)


def _meteor(said: list[str], wanted: list[str]) -> float:
    pairs = _aligned(said, wanted)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(said), len(pairs) / len(wanted)
    mean = (1 + _METEOR_RECALL_WEIGHT) * precision * recall / (recall + _METEOR_RECALL_WEIGHT * precision)
    n_runs = 1 + sum((i + 1, j + 1) != following for (i, j), following in pairwise(pairs))
    return mean * (1 - _METEOR_PENALTY * (n_runs / len(pairs)) ** _METEOR_POWER)


def _aligned(said: list[str], wanted: list[str]) -> list[tuple[int, int]]:
    """Return pairs of places with equal tokens, then equal stems, the longest runs first so that few are broken."""
    taken: dict[int, int] = {}
    for stage in (lambda token: token, _stem):
        left, right = [stage(token) for token in said], [stage(token) for token in wanted]
        while run := _longest_free_run(left, right, taken):
            taken.update(run)
    return sorted(taken.items())


def _longest_free_run(left: list[str], right: list[str], taken: dict[int, int]) -> list[tuple[int, int]]:
    used = set(taken.values())
    best = (0, 0, 0)
    above = [0] * (len(right) + 1)
    for i, token in enumerate(left):
        row = [0]
        for j, other in enumerate(right):
            free = token == other and i not in taken and j not in used
            row.append(above[j] + 1 if free else 0)
            if row[-1] > best[0]:
                best = (row[-1], i, j)
        above = row
    length, i, j = best
    return [(i - back, j - back) for back in range(length)]


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("english")


@lru_cache(maxsize=4096)
def _stem(token: str) -> str:
    return str(_stemmer().stemWord(token))


def bleu(text: str, answers: Sequence[str], *, language: Language) -> float:
    """Return sentence BLEU (Papineni et al. 2002) as sacrebleu computes it, orders without a match left out.

    Its own tokens are compared, "13a" or "zh", with case and punctuation.
    """
    if not text.strip() or not answers:
        return 0.0
    return float(_bleu(language).sentence_score(text, list(answers)).score) / 100


@lru_cache(maxsize=2)
def _bleu(language: Language) -> BLEU:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="zh" if language == "zh" else "13a", effective_order=True)
