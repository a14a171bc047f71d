"""Find out how a text is encoded, and decode it.

A byte order mark decides; then UTF-8, which other encodings do not look like; then UTF-16, GB18030 and Big5 are tried
and scored by how common the characters are that they give; what none of these explains is read as Windows-1252.
"""

from __future__ import annotations

import codecs
import re
from typing import Literal

Encoding = Literal["UTF-8", "UTF-16LE", "UTF-16BE", "UTF-32", "GB18030", "Big5", "Windows-1252"]

_CODECS: dict[Encoding, str] = {
    "UTF-8": "utf-8",
    "UTF-16LE": "utf-16-le",
    "UTF-16BE": "utf-16-be",
    "UTF-32": "utf-32",
    "GB18030": "gb18030",
    "Big5": "big5hkscs",
    "Windows-1252": "cp1252",
}
_MARKS: tuple[tuple[bytes, Encoding, str], ...] = (
    (codecs.BOM_UTF8, "UTF-8", "utf-8"),
    (codecs.BOM_UTF32_LE, "UTF-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "UTF-32", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "UTF-16LE", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "UTF-16BE", "utf-16-be"),
)
_SAMPLE_BYTES = 64 * 2**10
_MAX_DAMAGE = 1 / 500  # of the characters of a UTF-8 file with some bad bytes

# The characters that make up most running text, simplified then traditional.
_COMMON = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去"
    "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点"
    "正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿"
    "原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德"
    "资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交"
    "规万取拉格望觉术领共确传师观清今切院让识候带导争运笔早票请您谢员工司部门公假按照须知申购价格产品型号合同甲乙方服务客户联系电话地址"
    "時間們來為國說會這個對過發後裡種經麼學現當沒動還進樣從實軍無與長機開關點業將兩問並應戰頭體見產話給內門兒東聲論處義認條係氣題爾"
    "別變總電數報結場件計務資許統區隊決馬書則聽卻達強難權設記類據張該規萬覺術領確傳師觀讓識帶導爭運筆請謝員價買賣網頁檔案資料訊號碼"
    "臺灣華語說訂單營銷費稅銀貨廠廣親愛樂飛機歷縣鄉鎮標準號線紅綠黃藍億環節約級紀錄聯繫戶電話郵寄優質團隊總統選舉議員歲齡圖館專"
    "零一二三四五六七八九十百千年月日元角分第章节条款項项目附录表图图圖附錄錄"
)
_PUNCTUATION = frozenset("，。、；：？！“”‘’（）《》〈〉【】「」『』—…·　％～＋－／０１２３４５６７８９")
_CJK = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_HIGH_PAIR = re.compile(rb"[\x80-\xff]{2}")


def decode(data: bytes, *, declared: str = "") -> tuple[str, str]:
    """Return the text and the name of the encoding it was read with, its line ends made "\\n".

    Args:
        data: The whole file.
        declared: What the file itself says, such as an HTML charset; believed where it fits and UTF-8 does not.
    """
    text, encoding = _decoded(data, declared)
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def encoding_note(encoding: str) -> tuple[str, ...]:
    """Return the remark for the report: none for UTF-8."""
    return () if encoding == "UTF-8" else (f"read as {encoding}",)


def is_text(sample: bytes) -> bool:
    """Tell text from binary by the first bytes of a file, of which the last may be cut within a character."""
    if any(sample.startswith(mark) for mark, _, _ in _MARKS) or _utf16(sample):
        return True
    return b"\0" not in sample and _n_controls(sample) * 200 <= len(sample)


def _n_controls(sample: bytes) -> int:
    return sum(sample.count(control) for control in (*range(1, 9), *range(14, 27), *range(28, 32)))


def _decoded(data: bytes, declared: str) -> tuple[str, str]:
    for mark, encoding, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace"), encoding
    wide = _utf16(data[:_SAMPLE_BYTES])
    if wide:
        return data.decode(_CODECS[wide], "replace"), wide
    text = _utf8(data)
    if text is not None:
        return text, "UTF-8"
    if declared:
        found = _as_declared(data, declared)
        if found is not None:
            return found
    best = _best(data[:_SAMPLE_BYTES])
    return data.decode(_CODECS[best], "replace"), best


def _utf8(data: bytes) -> str | None:
    """Return the text where ``data`` is UTF-8, or UTF-8 with a few bad bytes."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    n_bad = text.count("\ufffd")
    n_multibyte = sum(c > "\x7f" for c in text[:_SAMPLE_BYTES]) - text[:_SAMPLE_BYTES].count("\ufffd")
    return text if n_bad <= max(1, len(text) * _MAX_DAMAGE) and n_multibyte > 4 * n_bad else None


def _utf16(sample: bytes) -> Encoding | None:
    """Recognize UTF-16 without a mark, in what has the zeros or control bytes that no other text has."""
    if len(sample) < 4 or (b"\0" not in sample and _n_controls(sample) * 200 <= len(sample)):
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    likely: tuple[Encoding, Encoding] = ("UTF-16LE", "UTF-16BE") if odd > even else ("UTF-16BE", "UTF-16LE")
    for encoding in likely:
        text = sample[: len(sample) // 2 * 2].decode(_CODECS[encoding], "replace")
        n_odd = sum(not (c.isprintable() or c.isspace()) or c == "\ufffd" for c in text)
        ascii_or_common = sum(c < "\x7f" or _weight(c) > 0 for c in text)
        if n_odd * 20 <= len(text) and ascii_or_common * 4 >= len(text) * 3:
            return encoding
    return None


def _as_declared(data: bytes, declared: str) -> tuple[str, str] | None:
    name = declared.strip().strip("\"'").lower()
    name = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "iso-8859-1": "cp1252"}.get(name, name)
    try:
        codec = codecs.lookup(name)
        text = data.decode(codec.name)
    except (LookupError, UnicodeDecodeError, ValueError):
        return None
    spoken: dict[str, str] = {codec: encoding for encoding, codec in _CODECS.items()}
    return text, spoken.get(codec.name, declared.upper())


def _best(sample: bytes) -> Encoding:
    """Return the encoding whose characters are the most common ones in ``sample``."""
    scores: dict[Encoding, float] = {}
    for encoding in ("GB18030", "Big5", "UTF-16LE", "UTF-16BE"):
        text = _whole_characters(sample, _CODECS[encoding])
        if text is not None:
            scores[encoding] = _commonness(text)
    best = max(scores, key=lambda encoding: scores[encoding], default=None)
    # Accents stand alone between ASCII letters; Chinese characters stand together.
    threshold = 0.3 if _HIGH_PAIR.search(sample) else 0.8
    return best if best is not None and scores[best] >= threshold else "Windows-1252"


def _whole_characters(sample: bytes, codec: str) -> str | None:
    decoder = codecs.getincrementaldecoder(codec)()
    try:  # a longer text may be cut within its last character
        return decoder.decode(sample, final=len(sample) < 64)
    except UnicodeDecodeError:
        return None


def _commonness(text: str) -> float:
    """Score text by its characters beyond ASCII: common ones 1, other Chinese ones of the first level less, rest 0."""
    beyond = [c for c in text if c > "\x7f"]
    if not beyond:
        return 0.0
    return sum(_weight(c) for c in beyond) / len(beyond)


def _weight(character: str) -> float:
    if character in _COMMON or character in _PUNCTUATION:
        return 1.0
    if not _CJK.match(character):
        return -0.5
    return 0.4 if _first_level(character) else -0.5


def _first_level(character: str) -> bool:
    """Whether a national standard counts the character among its frequent ones."""
    try:
        if character.encode("gb2312")[0] <= 0xD7:
            return True
    except UnicodeEncodeError:
        pass
    try:
        return character.encode("big5")[0] <= 0xC6
    except UnicodeEncodeError:
        return False
