"""Colours, marks and addresses of directions, the same in the map, the table and the sections."""

from __future__ import annotations

import re

from factor.progress.fieldmap import LOOKS, state_of
from factor.progress.model import Direction, RunState
from factor.progress.words import is_bad

#: Marks for those who see no colours, by the beginning of a state's name.
_MARKS = {
    "unprocessed": "·",
    "processing": "▶",
    "interrupted": "‖",
    "error": "✖",
    "selfcal failed": "✖",
    "selfcal OK": "✔",
    "image": "✔",
}


def class_of(state: str) -> str:
    """The class that colours a state."""
    return f"s-{state.replace(' ', '-')}"


#: Of each state of a run: as a person says it, and the class that colours it.
RUN_STATES: dict[RunState, tuple[str, str]] = {
    "preparing": ("checking the input and making chunks", class_of("processing")),
    "running": ("running", class_of("processing")),
    "done": ("done", class_of("image 1")),
    "failed": ("FAILED", class_of("error")),
    "stopped": ("stopped", class_of("interrupted")),
    "killed": ("NOT RUNNING", class_of("error")),
}

#: All states of a direction that have a colour, in their order.
STATES: tuple[str, ...] = tuple(LOOKS)


def anchor(name: str) -> str:
    """The identifier of a direction's section; different names give different ones."""
    return "d-" + re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found.group()):x}.", name)


def shown_state(direction: Direction) -> str:
    """The state that colours a direction: as in the window, but a failed calibration is never hidden."""
    if direction.status == "imaged" and is_bad(direction):
        return "selfcal failed"
    state = state_of(direction)
    return state if state in LOOKS else STATES[-1]


def state_class(direction: Direction) -> str:
    """The class that colours a direction."""
    return class_of(shown_state(direction))


def mark(direction: Direction) -> str:
    """A sign for how a direction stands."""
    state = shown_state(direction)
    return next(sign for begin, sign in _MARKS.items() if state.startswith(begin))


def colours() -> str:
    """The style sheet that has the colours of the states."""
    rules = (f"background:{look.colour};fill:{look.colour}" for look in LOOKS.values())
    return "".join(f".{class_of(state)}{{{rule}}}\n" for state, rule in zip(LOOKS, rules, strict=True))
