"""Recognize text in pictures, offline, in English and Chinese.

PP-OCRv6 (small) detects and recognizes, run by OpenVINO. The models travel in RapidOCR's wheel and are named by path,
so that nothing is ever fetched. One engine a process, made on first use.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import BombSuspected, DamagedDocument

Turn = Literal[0, 90, 180, 270]
Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 100_000_000  # 10,000 x 10,000: 600 dpi of A3; decoded as RGB it takes 300 MB
MAX_SIDE = 3000  # pixels; larger pictures gain no recognized character and cost seconds
_MIN_SIDE = 12  # pixels; smaller ones are rules and bullets
_MIN_SCORE = 0.5
_DETECT_SIDE = 1344  # pixels; boxes found at this size are as good as at twice it, at a third of the time
_SURE = 0.9  # mean score of a character above which a turn is not doubted
_N_VOTES = 9  # longest lines that say which way up a page is
_THREADS = 2

_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrLine:
    """A recognized line: its box in fractions of the picture, origin at the top left; ``score`` in 0..1."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """The lines of a picture that was turned clockwise by ``turn`` degrees to stand upright.

    Lines are in fractions of the turned picture; ``width`` and ``height`` are its size in pixels.
    """

    lines: tuple[OcrLine, ...]
    turn: Turn
    width: int
    height: int


def recognize_image(data: bytes) -> list[OcrLine]:
    """Return the lines in an encoded picture (PNG, JPEG, ...) in reading order; none when it holds no text.

    Boxes are fractions of the picture as it is shown, EXIF orientation applied.

    Raises:
        DamagedDocument: The bytes are no picture that can be decoded.
        BombSuspected: The picture has more than ``MAX_PIXELS``.
    """
    with open_image(io.BytesIO(data)) as image:
        found = recognize(upright_by_exif(image))
    return [turned_back(line, turn=found.turn) for line in found.lines]


def open_image(file: Path | io.BytesIO, *, name: str = "picture") -> Image.Image:
    """Open a picture without decoding it.

    Raises:
        DamagedDocument: The content is no picture that Pillow reads.
        BombSuspected: The picture has more than ``MAX_PIXELS``.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own guard warns at a limit of its own; ours below is the one that counts.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
    except Image.DecompressionBombError as error:
        raise _bomb(name) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DamagedDocument("is no picture that can be read", where=name, remedy="Save it again as PNG") from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise _bomb(name)
    return image


def _bomb(name: str) -> BombSuspected:
    said = f"has more than {MAX_PIXELS // 1_000_000} million pixels"
    return BombSuspected(said, where=name, remedy="Scale the picture down")


def upright_by_exif(image: Image.Image, *, name: str = "picture") -> Image.Image:
    """Decode a picture to RGB on white, turned as its EXIF orientation says.

    Raises:
        DamagedDocument: The picture is cut short or malformed.
    """
    try:
        image = ImageOps.exif_transpose(image)
        if "A" in image.getbands() or "transparency" in image.info:
            layer = image.convert("RGBA")
            ground = Image.new("RGBA", layer.size, "white")
            return Image.alpha_composite(ground, layer).convert("RGB")
        if image.mode.startswith("I;16"):
            image = image.point(lambda value: value / 256).convert("L")
        return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DamagedDocument("is cut short or malformed", where=name, remedy="Save it again as PNG") from error


def recognize_frame(image: Image.Image, index: int, *, name: str) -> Recognition:
    """Recognize the lines of a frame, counted from 0, of an opened picture.

    Raises:
        DamagedDocument: The frame is cut short or malformed.
        BombSuspected: The frame has more than ``MAX_PIXELS``.
    """
    return recognize(decoded_frame(image, index, name=name))


def decoded_frame(image: Image.Image, index: int, *, name: str) -> Image.Image:
    """Decode a frame, counted from 0, as :func:`upright_by_exif` does.

    Raises:
        DamagedDocument: The frame is cut short or malformed.
        BombSuspected: The frame has more than ``MAX_PIXELS``.
    """
    if index:
        try:
            image.seek(index)
        except (OSError, EOFError, SyntaxError, ValueError) as error:
            raise DamagedDocument(f"has no page {index + 1} that can be read", where=name) from error
    if image.width * image.height > MAX_PIXELS:
        raise _bomb(name)
    return upright_by_exif(image, name=name)


def recognize(image: Image.Image) -> Recognition:
    """Recognize the lines of an RGB picture, whichever way up, in reading order."""
    scale = min(1.0, MAX_SIDE / max(image.size))
    if scale < 1:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    if min(image.size) < _MIN_SIDE:
        return Recognition(lines=(), turn=0, width=image.width, height=image.height)
    pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # RGB -> BGR, as the models were trained
    with _lock:
        return _recognize(pixels)


def turned_back(line: OcrLine, *, turn: Turn) -> OcrLine:
    """Return a line with its box in the picture as it was before it was turned clockwise by ``turn``."""
    x0, y0, x1, y1 = turn_box_back((line.x0, line.y0, line.x1, line.y1), turn=turn)
    return OcrLine(text=line.text, x0=x0, y0=y0, x1=x1, y1=y1, score=line.score)


def turn_box_back(box: tuple[float, float, float, float], *, turn: int) -> tuple[float, float, float, float]:
    """Return a box, in fractions, as it was before the page was turned clockwise by ``turn`` degrees."""
    x0, y0, x1, y1 = box
    if turn == 90:
        return y0, 1 - x1, y1, 1 - x0
    if turn == 180:
        return 1 - x1, 1 - y1, 1 - x0, 1 - y0
    if turn == 270:
        return 1 - y1, x0, 1 - y0, x1
    return box


@lru_cache(maxsize=1)
def _engine() -> Any:
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    engine = rapidocr.EngineType.OPENVINO
    ocr: Any = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Det.engine_type": engine,
            "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
            "Det.limit_type": "max",
            "Det.limit_side_len": _DETECT_SIDE,
            "Cls.engine_type": engine,
            "Cls.model_path": str(models / "ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
            "Rec.engine_type": engine,
            "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
            "Rec.rec_img_shape": [3, 48, 48],  # short cells of tables are not padded to 320 pixels
        }
    )
    for part in (ocr._load_det_model(), ocr._load_cls_model(), ocr._load_rec_model()):
        _compile(part.session)
    return ocr


def _compile(session: Any) -> None:
    """Compile a model anew in float32, which RapidOCR has no setting for.

    OpenVINO chooses bfloat16 where the processor has it; for these small convolutions that is slower by half, and
    the text would differ from one machine to the next.
    """
    import openvino

    wanted = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": min(_THREADS, os.cpu_count() or 1),
        "PERFORMANCE_HINT": "LATENCY",
    }
    session.session = openvino.Core().compile_model(session.model, "CPU", wanted).create_infer_request()


@dataclass(frozen=True, slots=True)
class _Found:
    """Detected quadrilaterals, float32 (n, 4, 2) in pixels, and the picture cut out by each, text running right."""

    quads: npt.NDArray[np.float32]
    crops: list[Pixels]


def _recognize(pixels: Pixels) -> Recognition:
    found = _detect(pixels)
    turn = _turn_needed(found)
    if not turn:
        return _read(pixels, found, turn=0)
    # Vertical Chinese stands in tall boxes too: turned to the left, its columns read from the top as they should.
    turned = np.ascontiguousarray(np.rot90(pixels, k=-turn // 90))
    best = _read(turned, _detect(turned), turn=turn)
    if best.lines and _confidence(best) >= _SURE * sum(len(line.text) for line in best.lines):
        return best
    return max(best, _read(pixels, found, turn=0), key=_confidence)


def _confidence(found: Recognition) -> float:
    """Return the sum of the lines' scores, each counted by its characters."""
    return sum(line.score * len(line.text) for line in found.lines)


def _detect(pixels: Pixels) -> _Found:
    from rapidocr.main import RapidOCRError
    from rapidocr.utils.process_img import map_boxes_to_original

    height, width = pixels.shape[:2]
    steps: dict[str, Any] = {}
    try:
        crops, detected = _engine().detect_and_crop(pixels, steps)
    except RapidOCRError:  # its way to say that it found no line
        return _Found(np.zeros((0, 4, 2), dtype=np.float32), [])
    return _Found(map_boxes_to_original(detected.boxes, steps, height, width), list(crops))


def _turn_needed(found: _Found) -> Turn:
    """Return by how many degrees clockwise the picture has to be turned for its lines to stand upright."""
    if not found.crops:
        return 0
    width = np.linalg.norm(found.quads[:, 0] - found.quads[:, 1], axis=1)
    height = np.linalg.norm(found.quads[:, 0] - found.quads[:, 3], axis=1)
    lying = bool(np.maximum(height - width, 0).sum() > np.maximum(width - height, 0).sum())
    longest = np.argsort(-np.maximum(width, height), kind="stable")[:_N_VOTES]
    _, voted = _engine().cls_and_rotate([found.crops[i] for i in longest])
    upside_down = sum(label == "180" for label, _ in voted.cls_res) * 2 > len(longest)
    if lying:  # the crops of tall boxes come turned to the left, as if the page had to be turned by 270
        return 90 if upside_down else 270
    return 180 if upside_down else 0


def _read(pixels: Pixels, found: _Found, *, turn: Turn) -> Recognition:
    height, width = pixels.shape[:2]
    lines: list[OcrLine] = []
    if found.crops:
        texts = _engine().recognize_txt(found.crops)
        for quad, text, score in zip(found.quads, texts.txts, texts.scores, strict=True):
            if score >= _MIN_SCORE and text.strip():
                (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
                lines.append(
                    OcrLine(
                        text=" ".join(text.split()),
                        x0=float(x0) / width,
                        y0=float(y0) / height,
                        x1=float(x1) / width,
                        y1=float(y1) / height,
                        score=float(score),
                    )
                )
    return Recognition(lines=tuple(_in_rows(lines)), turn=turn, width=width, height=height)


def _in_rows(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Return lines from top to bottom, those that share a baseline from left to right."""
    rows: list[list[OcrLine]] = []
    for line in sorted(lines, key=lambda line: (line.y0 + line.y1, line.x0)):
        middle = (line.y0 + line.y1) / 2
        if rows and rows[-1][0].y0 < middle < rows[-1][0].y1:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: (line.x0, line.y0, line.text))]
