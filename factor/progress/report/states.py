"""Classes and addresses of directions, the same in the map, the table and the sections."""

from __future__ import annotations

import re

from factor.progress.looks import LOOKS, look_of, state_of
from factor.progress.model import Direction, RunState


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


def anchor(name: str) -> str:
    """The identifier of a direction's section; different names give different ones."""
    return "d-" + re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found.group()):x}.", name)


def state_class(direction: Direction) -> str:
    """The classes that colour a direction, and hatch it."""
    look, state = look_of(direction), state_of(direction)
    return class_of(state) + (" hatched" if look.hatch != LOOKS[state].hatch else "")


def mark(direction: Direction) -> str:
    """A sign for how a direction stands."""
    return look_of(direction).sign


def colours() -> str:
    """The style sheet that has the colours of the states."""
    rules = (f"background:{look.colour};fill:{look.colour}" for look in LOOKS.values())
    return "".join(f".{class_of(state)}{{{rule}}}\n" for state, rule in zip(LOOKS, rules, strict=True))
