"""The rules of recognition: who asks for it, in which languages, and how a parse goes on that meets a scan."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from difyrpc_services.documents.formats.reading import Notice
from difyrpc_services.documents.ocr.values import OcrPlan
from difyrpc_services.documents.values import Info, ParseOptions, ParseTask, Part, PassedOnPart
from difyrpc_services.runtime.errors import FailedPrecondition

if TYPE_CHECKING:
    from difyrpc_services.documents.core import Backend, Run
    from difyrpc_services.documents.ocr.installed import InstalledEngine
    from difyrpc_services.runtime.workers import Blob

MOST_SECONDS: Final = 600.0


class Recognition:
    """What is installed to read scans with, and what a call may have of it."""

    def __init__(
        self,
        engine: InstalledEngine | None = None,
        *,
        languages: Sequence[str] = (),
        dpi: float = 300.0,
        seconds: float = MOST_SECONDS,
    ) -> None:
        """Takes the engine, if there is one, the server's own languages and dpi, and the longest work on a document."""
        self.engine = engine
        self.seconds = seconds
        self._dpi = dpi
        self._languages = tuple(languages)

    def plan(self, options: ParseOptions) -> tuple[OcrPlan | None, tuple[Notice, ...]]:
        """Answers how scans are to be read, and what is to be said where one is; OCR_NOT_INSTALLED."""
        always = options.ocr == "always"
        if options.ocr == "never":
            return None, ()
        if self.engine is None:
            if always:
                raise FailedPrecondition("OCR_NOT_INSTALLED", "no optical character recognition is installed here")
            return None, ()
        models, missing = self.engine.models(options.ocr_languages or self._languages)
        if not options.ocr_languages and not models:
            models, _ = self.engine.models(self.engine.languages)
        if not models and always:
            raise _no_language(missing, self.engine)
        notices = tuple(_missing(tag, self.engine) for tag in missing) if options.ocr_languages else ()
        if not models:
            return None, notices
        return OcrPlan(engine=self.engine.name, languages=models, dpi=self._dpi, every_page=always), notices


def _missing(tag: str, engine: InstalledEngine) -> Notice:
    message = f"the language {tag} is not installed for {engine.name}; {', '.join(engine.languages)} are"
    return Notice(reason="LANGUAGE_NOT_INSTALLED", message=message)


def _no_language(missing: Sequence[str], engine: InstalledEngine) -> FailedPrecondition:
    return FailedPrecondition(
        "OCR_NOT_INSTALLED",
        "optical character recognition of {languages} is not installed here; that of {installed} is",
        field="options.ocr.languages",
        languages=", ".join(missing),
        installed=", ".join(engine.languages),
    )


class ParseRun:
    """A parse on its way, which begins again among the workers that read scans when it meets one.

    The same bytes give the same parts up to there, so those that went out already are left out.
    """

    def __init__(
        self,
        backend: Backend,
        tenant: str,
        task: ParseTask,
        content: Blob,
        *,
        seconds: float,
        ocr_seconds: float,
        notices: Sequence[Notice] = (),
    ) -> None:
        """Takes the longest work without and with recognition, and what is to be said where that takes place."""
        self._backend = backend
        self._start = (tenant, task, content)
        self._seconds = (seconds, ocr_seconds)
        self._notices = notices
        self._runs: list[Run] = []

    @property
    def waiting_seconds(self) -> float:
        """Time that it waited for a worker."""
        return sum(run.waiting_seconds for run in self._runs)

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it took."""
        return sum(run.cpu_seconds for run in self._runs)

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Answers the parts as they are ready."""
        _, task, _ = self._start
        plan, sent = task.ocr, 0
        if plan is None:
            # What cannot be recognised is said at once: nothing will be passed on.
            async with aclosing(self._rest(task, 0, self._seconds[0])) as parts:
                async for part in parts:
                    yield part
            return
        if not plan.every_page:
            async with aclosing(self._begin(task, self._seconds[0])) as parts:
                async for part in parts:
                    if isinstance(part, PassedOnPart):
                        break
                    sent += 1
                    yield part
                else:
                    return
        task = replace(task, ocr=replace(plan, here=True))
        async with aclosing(self._rest(task, sent, self._seconds[1])) as parts:
            async for part in parts:
                yield part

    async def _rest(self, task: ParseTask, sent: int, seconds: float) -> AsyncGenerator[Part, None]:
        """Answers the parts from the one after `sent` on, and the notices before the first that is no Info."""
        notices = list(self._notices)
        async with aclosing(self._begin(task, seconds)) as parts:
            place = 0
            async for part in parts:
                place += 1
                if place <= sent:
                    continue
                if not isinstance(part, Info):
                    while notices:
                        yield notices.pop(0)
                yield part

    def _begin(self, task: ParseTask, seconds: float) -> AsyncGenerator[Part, None]:
        tenant, _, content = self._start
        run = self._backend.run(tenant, task, content, seconds=seconds)
        self._runs.append(run)
        return run.parts()
