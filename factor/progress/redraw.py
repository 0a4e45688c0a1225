"""A display that leaves nothing behind on a terminal that is made narrower."""

from __future__ import annotations

from rich.console import ConsoleRenderable
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment


class Redrawn(Live):
    """As `Live`, which goes back as many lines as it drew; terminals wrap these when they become narrower."""

    _lengths: tuple[int, ...] = ()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Take off what the terminal made of the last picture, draw messages, draw the picture."""
        wrapped = sum(max(0, length - 1) // self.console.width for length in self._lengths)
        lines = self.console.render_lines(self.renderable, pad=False)
        self._lengths = tuple(Segment.get_line_length(line) for line in lines)
        back = Control(*((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)) * wrapped)
        return [back, *super().process_renderables(renderables)]
