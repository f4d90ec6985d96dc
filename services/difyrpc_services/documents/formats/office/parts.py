"""Parts of an Office Open XML file, how they refer to each other, and what the file says of itself."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.reading import Notice, corrupt
from difyrpc_services.documents.formats.zipped import Container
from difyrpc_services.runtime.errors import InvalidArgument

R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_RELATION: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
LONGEST_VALUE: Final = 1_000  # characters of a piece of metadata
_CORE: Final = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "description": "description",
    "created": "created",
    "modified": "modified",
    "lastModifiedBy": "last_modified_by",
    "category": "category",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """One part that another one refers to."""

    kind: str
    """Last word of its type: `slideLayout`."""
    part: str


class Package:
    """The parts of one file."""

    def __init__(self, container: Container, *, format_name: str) -> None:
        self.container = container
        self._format = format_name
        self._relations: dict[str, dict[str, Relation]] = {}
        self._broken: dict[str, str] = {}

    def main(self, usual: str) -> str:
        """Answers the name of the part that everything hangs on; CORRUPT."""
        for relation in self.relations("").values():
            if relation.kind == "officeDocument" and relation.part in self.container:
                return relation.part
        if usual in self.container:
            return usual
        raise corrupt(self._format, "it has no main part")

    def relations(self, part: str) -> dict[str, Relation]:
        """Answers by id what a part refers to inside the file; parts that are missing are left out."""
        if part not in self._relations:
            self._relations[part] = self._read_relations(part)
        return self._relations[part]

    def related(self, part: str, kind: str) -> list[str]:
        """Answers the parts of a kind that a part refers to."""
        return [relation.part for relation in self.relations(part).values() if relation.kind == kind]

    def xml(self, part: str) -> etree._Element:
        """Answers one part as XML; the errors of Container.xml."""
        return self.container.xml(part)

    def beside(self, part: str) -> etree._Element:
        """Answers a part without which the rest can be read; an empty element, and a notice, for a broken one."""
        try:
            return self.xml(part)
        except InvalidArgument as error:
            self._broken[part] = error.message
            return etree.Element("broken")

    def notices(self, *, page: int) -> tuple[Notice, ...]:
        """Answers what could not be read since this was last asked."""
        broken, self._broken = self._broken, {}
        return tuple(
            Notice(reason="PART_NOT_READ", message=f"{part}: {message}", page=page) for part, message in broken.items()
        )

    def metadata(self) -> dict[str, str]:
        """Answers what the file says of itself."""
        found: dict[str, str] = {}
        if "docProps/core.xml" in self.container:
            for child in self.beside("docProps/core.xml"):
                name = _CORE.get(etree.QName(child).localname)
                if name and child.text and child.text.strip():
                    found[name] = child.text.strip()[:LONGEST_VALUE]
        return found

    def _read_relations(self, part: str) -> dict[str, Relation]:
        folder, file = posixpath.split(part)
        name = posixpath.join(folder, "_rels", f"{file}.rels")
        if name not in self.container:
            return {}
        found: dict[str, Relation] = {}
        for relation in self.xml(name).iterfind(_RELATION):
            target = _target(relation.get("Target", ""), folder)
            if relation.get("TargetMode") != "External" and target in self.container:
                kind = relation.get("Type", "").rpartition("/")[2]
                found[relation.get("Id", "")] = Relation(kind, target)
        return found


def _target(target: str, folder: str) -> str:
    """Answers a part's name; one that leads out of the file names nothing that is there."""
    target = target.partition("#")[0]
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))


def whole(text: str | None, default: int = 0) -> int:
    """Answers an attribute as a number; `default` for what is none."""
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default


def is_on(text: str | None, *, default: bool = False) -> bool:
    """Answers an on-off attribute."""
    return default if text is None else text.strip().lower() in ("1", "true", "on")
