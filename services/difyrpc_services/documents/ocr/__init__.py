"""Optical character recognition: engines behind one seam, and what makes their words a page.

A worker that meets a picture of text recognises nothing itself: it passes the document on (`PassedOn`), and the server
parses it again in the pool of workers that may. There an engine answers the printed lines of a picture: the program
tesseract beside the worker, rapidocr inside it, or an operator's endpoint that the server asks.
"""

from __future__ import annotations

from difyrpc_services.documents.ocr.values import (
    Engine,
    NotRecognised,
    OcrLine,
    OcrPlan,
    OcrWord,
    PassedOn,
    Raster,
    Scans,
)

__all__ = ["Engine", "NotRecognised", "OcrLine", "OcrPlan", "OcrWord", "PassedOn", "Raster", "Scans"]
