"""Colours, marks and addresses of directions, the same in the map, the table and the sections."""

from __future__ import annotations

import re

from factor.progress.model import Direction, RunState, Status
from factor.progress.words import is_bad

#: Of each state of a direction: the class that colours it, and a mark for those who see no colours.
_STATES: dict[Status, tuple[str, str]] = {
    "unprocessed": ("s-none", "·"),
    "processing": ("s-busy", "▶"),
    "interrupted": ("s-half", "‖"),
    "error": ("s-error", "✖"),
    "selfcal failed": ("s-bad", "✖"),
    "selfcal OK": ("s-good", "✔"),
    "imaged": ("s-image", "✔"),
}

#: Of each state of a run: as a person says it, and the class that colours it.
RUN_STATES: dict[RunState, tuple[str, str]] = {
    "preparing": ("checking the input and making chunks", "s-busy"),
    "running": ("running", "s-busy"),
    "done": ("done", "s-image"),
    "failed": ("FAILED", "s-error"),
    "stopped": ("stopped", "s-half"),
    "killed": ("NOT RUNNING", "s-error"),
}

STATES: tuple[Status, ...] = tuple(_STATES)


def anchor(name: str) -> str:
    """The identifier of a direction's section; different names give different ones."""
    return "d-" + re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found.group()):x}.", name)


def _colour(direction: Direction) -> Status:
    return "selfcal failed" if direction.status == "imaged" and is_bad(direction) else direction.status


def state_class(direction: Direction) -> str:
    """The class that colours a direction."""
    return _STATES[_colour(direction)][0]


def class_of(status: Status) -> str:
    """The class that colours a status."""
    return _STATES[status][0]


def mark(direction: Direction) -> str:
    """A sign for how a direction stands."""
    return _STATES[_colour(direction)][1]
