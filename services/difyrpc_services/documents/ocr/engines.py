"""The engines by name, and how a parse uses the one that its plan names."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from difyrpc_services.documents.ocr.values import Engine, NotRecognised, OcrLine, OcrPlan, PassedOn, Raster, Scans
from difyrpc_services.runtime.errors import Internal

ENGINES: Final = {
    "tesseract": "difyrpc_services.documents.ocr.tesseract:Tesseract",
    "rapidocr": "difyrpc_services.documents.ocr.rapid:Rapid",
    "http": "difyrpc_services.documents.ocr.remote:Remote",
}
"""Names to import paths of classes that take the plan's languages; imported on use."""


def scans_of(plan: OcrPlan | None) -> Scans | None:
    """Answers what a parse does with scans; None = it refuses them."""
    if plan is None:
        return None
    return Recognising(plan) if plan.here else PassingOn(plan)


class PassingOn:
    """Passes the whole document on at its first scan."""

    def __init__(self, plan: OcrPlan) -> None:
        self.every_page = plan.every_page
        self.dpi = plan.dpi

    def lines(self, rasterise: Callable[[], Raster]) -> list[OcrLine]:
        """Raises PassedOn."""
        raise PassedOn


class Recognising:
    """Has an engine read scans; one page that it cannot read is a gap, none that it can is an error."""

    def __init__(self, plan: OcrPlan) -> None:
        self.every_page = plan.every_page
        self.dpi = plan.dpi
        self._engine = engine_of(plan)
        self._readable = False

    def lines(self, rasterise: Callable[[], Raster]) -> list[OcrLine]:
        """Answers the printed lines of a picture; NotRecognised, PARSER_CRASHED if that is so from the beginning."""
        raster = rasterise()
        try:
            lines = self._engine.recognise(raster)
        except NotRecognised as error:
            if self._readable:
                raise
            raise Internal("PARSER_CRASHED", "the recognition of the first scan ended: {cause}", cause=error) from error
        self._readable = True
        return lines


def engine_of(plan: OcrPlan) -> Engine:
    """Imports the engine that a plan names."""
    module, _, name = ENGINES[plan.engine].partition(":")
    engine: Engine = getattr(import_module(module), name)(plan.languages)
    return engine
