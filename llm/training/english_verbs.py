"""The forms of the English verbs that questions are asked with."""

from __future__ import annotations

import re
from functools import lru_cache

# base, past and participle; the other forms are regular
_IRREGULAR = """
become became become; begin began begun; bite bit bitten; blow blew blown; break broke broken; bring brought brought;
build built built; burn burned burned; buy bought bought; catch caught caught; choose chose chosen; come came come;
cost cost cost; cut cut cut; die died died; draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten;
fall fell fallen; feed fed fed; fight fought fought; find found found; fly flew flown; forget forgot forgotten;
freeze froze frozen; get got got; give gave given; go went gone; grow grew grown; hang hung hung; hear heard heard;
hide hid hidden; hit hit hit; hold held held; hurt hurt hurt; keep kept kept; know knew known; lay laid laid;
lead led led; leave left left; lend lent lent; let let let; lie lay lain; lose lost lost; make made made;
mean meant meant; meet met met; pay paid paid; put put put; quit quit quit; read read read; ride rode ridden;
ring rang rung; rise rose risen; run ran run; say said said; see saw seen; seek sought sought; sell sold sold;
send sent sent; set set set; shake shook shaken; shoot shot shot; show showed shown; shut shut shut; sing sang sung;
sink sank sunk; sit sat sat; sleep slept slept; speak spoke spoken; spend spent spent; split split split;
spread spread spread; stand stood stood; steal stole stolen; stick stuck stuck; strike struck struck; swear swore sworn;
sweep swept swept; swim swam swum; take took taken; teach taught taught; tell told told; think thought thought;
throw threw thrown; understand understood understood; wake woke woken; wear wore worn; win won won; write wrote written
"""
_REGULAR = """
accept achieve act adopt affect age air allow announce appear apply appoint approve arrive ask assassinate attack
attend award ban belong call cancel cause celebrate change claim close collect compete compose conquer contain
continue control cover crash create cross cure decide declare defeat define depict describe design destroy develop
differ direct discover divide dominate earn elect emerge employ enact end enforce enter erupt establish evolve exist
expand expire explain explode express extend fail file film finish form found fund gain govern graduate happen head
help host identify import include increase inspire install introduce invade invent issue join judge kill land last
launch legalize like live locate love manage manufacture march marry merge migrate move name narrate need occur offer
open operate organize originate oversee own paint pass perform plan play premiere prepare present preside produce
propose protect prove provide publish pull pump purchase qualify raise ratify reach receive record refer reign release
remain rename replace represent require resign retain retire return rule sail score separate serve share sign sponsor
star start stay stop store supply support surrender survive symbolize talk train translate travel treat turn undergo
unite use vote wait want watch work worship
""".split()
_TO_BE = frozenset("is are was were".split())
_DOUBLED = frozenset("ban star plan stop".split())


class _Forms:
    """Each form -> its base."""

    def __init__(self) -> None:
        triples = [tuple(entry.split()) for entry in _IRREGULAR.split(";")]
        triples += [(base, _regular_past(base), _regular_past(base)) for base in _REGULAR]
        self.past = {base: past for base, past, _ in triples}
        self.bases = frozenset(self.past)
        self.pasts = frozenset(self.past.values())
        self.participles = frozenset(participle for _, _, participle in triples)
        self.thirds = frozenset(third_person(base) for base in self.bases)


@lru_cache(maxsize=1)
def _forms() -> _Forms:
    return _Forms()


def _regular_past(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ied"
    return base + (base[-1] if base in _DOUBLED else "") + "ed"


def third_person(base: str) -> str:
    """Return what "he" does: "go" -> "goes"."""
    if base.endswith(("s", "sh", "ch", "x", "z", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return "has" if base == "have" else base + "s"


def past_of(base: str) -> str:
    """Return the past of a verb that :func:`is_base` knows."""
    return "had" if base == "have" else _forms().past[base]


def is_base(word: str) -> bool:
    """Return whether ``word`` is the bare form of a known verb."""
    return word == "have" or word in _forms().bases


def is_finite(word: str) -> bool:
    """Return whether ``word`` is a known verb's past or third person, or a form of "be"."""
    return word in _TO_BE or word in _forms().pasts or word in _forms().thirds


def is_third_person(word: str) -> bool:
    """Return whether ``word`` agrees with one subject only."""
    return word in ("is", "was", "has") or word in _forms().thirds


def is_participle(word: str) -> bool:
    """Return whether ``word`` is a known verb's participle, or looks like a regular one."""
    return word in _forms().participles or bool(re.fullmatch(r"[a-z]{3,}ed|born|located|known|held", word))
