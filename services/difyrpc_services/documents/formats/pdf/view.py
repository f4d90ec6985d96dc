"""Turns PDF coordinates into ours: points from the top left of the page as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Place = tuple[float, float, float, float]
"""Left, top, right, bottom."""
TURNS: Final = (0, 90, 180, 270)


@dataclass(frozen=True, slots=True)
class View:
    """How the unrotated page, with its origin at the bottom left, is looked at."""

    rotation: int
    """Degrees clockwise."""
    left: float
    bottom: float
    width: float
    """Of the page as shown."""
    height: float

    @classmethod
    def of(cls, page: Any) -> View:
        """Reads rotation and visible area of a pypdfium2 page."""
        left, bottom, _, _ = page.get_bbox()
        width, height = page.get_size()
        return cls(page.get_rotation(), left, bottom, width, height)

    def turned(self, degrees: int) -> View:
        """Answers the view of somebody who turns the page clockwise to read what stands on its side."""
        sides = (self.width, self.height) if degrees % 180 == 0 else (self.height, self.width)
        return View((self.rotation + degrees) % 360, self.left, self.bottom, *sides)

    def place(self, left: float, bottom: float, right: float, top: float) -> Place:
        """Answers a rectangle of the page as shown."""
        left, right = left - self.left, right - self.left
        bottom, top = bottom - self.bottom, top - self.bottom
        if self.rotation == 0:
            return left, self.height - top, right, self.height - bottom
        if self.rotation == 90:
            return bottom, left, top, right
        if self.rotation == 180:
            return self.width - right, bottom, self.width - left, top
        return self.width - top, self.height - right, self.width - bottom, self.height - left

    def back(self, place: Place) -> Place:
        """Answers the left, bottom, right and top of the page for a rectangle as shown; the reverse of `place`."""
        x1, y1, x2, y2 = place
        if self.rotation == 0:
            left, bottom, right, top = x1, self.height - y2, x2, self.height - y1
        elif self.rotation == 90:
            left, bottom, right, top = y1, x1, y2, x2
        elif self.rotation == 180:
            left, bottom, right, top = self.width - x2, y1, self.width - x1, y2
        else:
            left, bottom, right, top = self.height - y2, self.width - x2, self.height - y1, self.width - x1
        return left + self.left, bottom + self.bottom, right + self.left, top + self.bottom
