"""Numbers as a person says them."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime

from factor.progress.estimate import moment
from factor.progress.model import Direction, Estimate, Failure, Operation, OperationState, Progress

_CELLS: dict[OperationState, str] = {
    "waiting": "-",
    "running": "running",
    "interrupted": "half done",
    "done": "done",
    "failed": "FAILED",
}


def duration(seconds: float) -> str:
    """A time span, e.g. ``3 min 20 s``: two units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return _two(whole, 60, ("min", "s"))
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return _two(minutes, 60, ("h", "min"))
    return _two(round(whole / 3600), 24, ("d", "h"))


def _two(count: int, ratio: int, units: tuple[str, str]) -> str:
    more, rest = divmod(count, ratio)
    return f"{more} {units[0]} {rest} {units[1]}" if rest else f"{more} {units[0]}"


def size(n_bytes: float) -> str:
    """A size, e.g. ``1.4 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n_bytes) < 999.5:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000.0
    return f"{n_bytes:.3g} TB"


def clock(text: str, now: float) -> str:
    """A time as records hold it, here and now: the hour, with the day when it is not today."""
    when = moment(text)
    if when is None:
        return ""
    local, today = datetime.fromtimestamp(when), datetime.fromtimestamp(now)
    return f"{local:%H:%M}" if local.date() == today.date() else f"{local:%d %b %H:%M}"


def time_left(estimate: Estimate | None) -> str:
    """An estimate; empty when there is none."""
    if estimate is None:
        return ""
    return f"{'roughly' if estimate.rough else 'about'} {duration(estimate.left_s)} left"


def step_count(operation: Operation) -> str:
    """Which step of about how many; empty when the operation has none."""
    at = operation.steps_done + (1 if operation.steps else 0)
    if operation.operation == "facetsub" and operation.steps_expected:
        return f"file {operation.steps_done} of {operation.steps_expected}"
    if not operation.steps_expected:
        return f"step {at}" if at else ""
    return f"step {at} of about {max(at, operation.steps_expected)}"


def step_name(operation: Operation) -> str:
    """The oldest of the running steps, without the direction's name, and how many run beside it."""
    if not operation.steps:
        return ""
    first = max(operation.steps, key=lambda step: step.elapsed_s)
    name = first.name.replace(f"{operation.direction}.", "")
    more = len(operation.steps) - 1
    return f"{name} (+{more})" if more else name


def step_words(operation: Operation) -> str:
    """Which step of about how many, and its name; empty when nothing is known."""
    return ", ".join(part for part in (step_count(operation), step_name(operation)) if part)


def place(failure: Failure) -> str:
    """Where something failed: operation and direction."""
    return " ".join(part for part in (failure.operation, failure.direction) if part) or "the run"


def cut(name: str, width: int) -> str:
    """A name of so many letters at most."""
    return name if len(name) <= width else f"{name[: width - 1]}…"


def is_bad(direction: Direction) -> bool:
    """Whether its self-calibration failed, even if its facet was imaged all the same."""
    if direction.verdict is not None:
        return not direction.verdict.good
    return direction.operations.get("facetselfcal") == "failed"


def standing(direction: Direction) -> str:
    """How a direction stands."""
    borrowed = f", solutions of {direction.solutions_of}" if direction.solutions == "borrowed" else ""
    if direction.status == "imaged" and is_bad(direction):
        return f"imaged, selfcal failed{borrowed}"
    return f"{direction.status}{borrowed}"


def cell(direction: Direction, operation: str, stale: Container[str]) -> str:
    """What a table says of an operation on a direction, some of whose operations are stale."""
    state = direction.operations.get(operation)
    if state == "done" and operation in stale:
        return "stale"
    current = direction.current
    if state == "running" and current is not None and current.operation == operation and current.fraction:
        return f"{round(100 * current.fraction)} %"
    return _CELLS[state] if state else ""


def stale_part(progress: Progress, operation: str) -> str:
    """What is added to how far an operation is, when some of it is stale."""
    count = sum(found.operation == operation for found in progress.stale)
    return f" ({count} stale)" if count else ""


def field_state(progress: Progress, operation: Operation) -> str:
    """How an operation on the whole field stands, in the words of the tables."""
    return "stale" if operation.operation in progress.stale_in(operation.direction) else operation.state
