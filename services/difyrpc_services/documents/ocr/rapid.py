"""Recognises with rapidocr, whose models ship with it, inside the worker."""

from __future__ import annotations

import functools
from typing import Any, Final

import cv2
import numpy as np
from rapidocr import RapidOCR

from difyrpc_services.documents.ocr.values import OcrLine, OcrWord, Raster

LETTERS: Final = 0.85  # of a line's box that its letters fill
_ENGINE: Final = {
    "Global.log_level": "error",
    "Global.text_score": 0.3,
    "Global.use_cls": False,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


class Rapid:
    """Reads Chinese and English; its words are whole lines."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        """Takes nothing of the languages: one model reads all that it knows."""

    def recognise(self, raster: Raster) -> list[OcrLine]:
        """Answers the printed lines of a picture."""
        grey = np.frombuffer(raster.pixels, np.uint8).reshape(raster.height, raster.width)
        found = loaded()(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        if found.txts is None:
            return []
        return [_line(*one) for one in zip(found.boxes, found.txts, found.scores, strict=True)]


@functools.cache
def loaded() -> Any:
    """Loads the models, once a process."""
    cv2.setNumThreads(1)
    return RapidOCR(params=_ENGINE)


def _line(corners: Any, text: str, score: float) -> OcrLine:
    left, top = (float(value) for value in corners.min(axis=0))
    right, bottom = (float(value) for value in corners.max(axis=0))
    upright = float(np.linalg.norm(corners[3] - corners[0]))
    word = OcrWord(text=text, left=left, top=top, right=right, bottom=bottom, confidence=float(score))
    return OcrLine(words=[word], size=LETTERS * upright)
