"""Who works on an upload in this process: one at a time, the latest call wins."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from difyrpc_services.files.core.session import Session
from difyrpc_services.files.core.values import Upload
from difyrpc_services.runtime.errors import ServiceError

REMEMBERED = 1024  # checkpoints; each is a hash state of some hundred bytes


@dataclass(eq=False)
class Desk:
    """The place where one upload is worked on; lives as long as somebody holds it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the upload changes hands and while it is finished."""
    session: Session | None = None
    """The call that writes now."""

    async def clear(self, reason: ServiceError) -> None:
        """Ends the call that writes now, if there is one."""
        session, self.session = self.session, None
        if session:
            await session.stop(reason)


class Desks:
    """All desks, and the checkpoints of sessions that ended."""

    def __init__(self) -> None:
        self._desks: WeakValueDictionary[tuple[str, str], Desk] = WeakValueDictionary()
        self._checkpoints: OrderedDict[str, object] = OrderedDict()

    def at(self, tenant: str, upload_id: str) -> Desk:
        """Answers the desk of one upload."""
        return self._desks.setdefault((tenant, upload_id), Desk())

    def remember(self, upload: Upload, session: Session) -> None:
        """Keeps the checkpoint of a session that ended."""
        if session.checkpoint is not None:
            self._checkpoints[upload.id] = session.checkpoint
            self._checkpoints.move_to_end(upload.id)
        while len(self._checkpoints) > REMEMBERED:
            self._checkpoints.popitem(last=False)

    def recall(self, upload: Upload) -> object | None:
        """Answers the checkpoint of the session before, once. The store sees by its count whether it still holds."""
        return self._checkpoints.pop(upload.id, None)
