"""Builds what reads scans: the engine that the settings name, its workers, its line of `difyrpc doctor`."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

from difyrpc_services.documents.backends.ocr_endpoint import OcrEndpoint
from difyrpc_services.documents.backends.ocr_workers import OcrWorkers
from difyrpc_services.documents.ocr.engines import ENGINES
from difyrpc_services.documents.ocr.installed import InstalledEngine, find_engine
from difyrpc_services.documents.ocr.tesseract import ENVIRONMENT, PROGRAM
from difyrpc_services.documents.recognition import Recognition
from difyrpc_services.documents.values import ParseOptions, Source
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.service import Check
from difyrpc_services.runtime.workers import Program

if TYPE_CHECKING:
    from difyrpc_services.documents.core import Documents
    from difyrpc_services.documents.settings import DocumentsSettings

SAMPLE: Final = "Recognition"
_NAME: Final = "documents: recognition"


def recognition_of(settings: DocumentsSettings, env: Mapping[str, str] = os.environ) -> Recognition:
    """Answers what may be recognised; SettingsError if the engine that the settings name is not there."""
    confined = settings.backend != "memory"
    engine = find_engine(
        settings.ocr if confined else "off", env, languages=settings.ocr_languages, url=settings.ocr_url
    )
    return Recognition(engine, languages=settings.ocr_languages, dpi=settings.ocr_dpi, seconds=settings.ocr_max_seconds)


def workers_of(settings: DocumentsSettings, engine: InstalledEngine | None) -> OcrWorkers | None:
    """Answers the workers that read scans, not started; None without an engine."""
    if engine is None:
        return None
    endpoint = None
    if engine.name == "http":
        endpoint = OcrEndpoint(settings.ocr_url, token=settings.ocr_token, seconds=settings.ocr_url_seconds)
    module, _, _ = ENGINES[engine.name].partition(":")
    return OcrWorkers(
        settings.ocr_limits,
        workers=settings.ocr_worker_count,
        waiting=settings.ocr_queue,
        waiting_per_tenant=settings.ocr_queue,
        preload=(module,),
        programs=[_program(settings, engine)] if engine.path else (),
        answer=endpoint.answer if endpoint else None,
    )


def _program(settings: DocumentsSettings, engine: InstalledEngine) -> Program:
    return Program(
        name=PROGRAM,
        path=engine.path,
        environment={**ENVIRONMENT, **engine.environment},
        memory_bytes=settings.ocr_limits.memory_bytes,
        cpu_seconds=max(1, round(settings.ocr_max_seconds)),
    )


async def check(documents: Documents) -> Check:
    """Recognises a word."""
    engine = documents.recognition.engine
    if engine is None:
        found = "nothing reads scans and pictures: they answer NEEDS_OCR"
        advice = "install tesseract-ocr with its languages or the extra difyrpc[ocr] if scans are to be read"
        return Check(name=_NAME, level="ok", found=found, advice=advice)
    what = f"{engine.name} ({', '.join(engine.languages)})"
    try:
        parsed = await documents.parse("doctor", Source(content=_sample()), ParseOptions(outputs=("text",)))
    except ServiceError as error:
        advice = "look at the settings DIFYRPC_DOCUMENTS_OCR…"
        return Check(name=_NAME, level="error", found=f"{what}: {error.reason}: {error.message}", advice=advice)
    if SAMPLE.lower() not in parsed.text.lower():
        return Check(name=_NAME, level="warning", found=f"{what} read {parsed.text!r} for {SAMPLE!r}")
    return Check(name=_NAME, level="ok", found=f"{what} read a picture of a word")


def _sample() -> bytes:
    """Answers a picture of a word."""
    picture = Image.new("L", (700, 200), 255)
    ImageDraw.Draw(picture).text((80, 60), SAMPLE, fill=0, font=ImageFont.load_default(64))
    file = io.BytesIO()
    picture.save(file, "PNG", dpi=(300, 300))
    return file.getvalue()
