"""What the window says beside its map, as lines."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from factor.progress.model import Direction, Progress
from factor.progress.text import running, stale_lines, summary, wrap_line
from factor.progress.words import clock, duration, place, standing, step_words

#: Letters in a line.
WIDTH = 54

_MOST_RUNNING, _MOST_STALE = 6, 3

HELP = (
    "left click: select a facet",
    "right click: deselect",
    "",
    "of the selected facet:",
    "   c   self-calibration images of the calibrator",
    "   i   facet image",
    "   v   residual images before and after, to verify",
    "   t   TEC or phase solutions",
    "   g   gains",
    "",
    "   u   update now (done every minute)",
    "   h   help, and back",
    "   q   close",
    "",
    "The lens and the arrows of the toolbar zoom and move; clicks select again when neither is pressed.",
)


def about_run(progress: Progress, now: float) -> list[str]:
    """How the run is getting on.

    Parameters
    ----------
    progress : Progress
    now : float
        Seconds since 1970.
    """
    first, *others = summary(progress, now)
    lines = [first.removeprefix(f"{progress.root}: "), *others]
    if progress.failures:
        last = progress.failures[-1]
        lines += ["", f"FAILED {place(last)}: {last.message.splitlines()[0] if last.message else ''}"]
        if last.remedy:
            lines.append(f"next: {last.remedy}")
        if len(progress.failures) > 1:
            lines.append(f"and {len(progress.failures) - 1} failed earlier (checkfactor --text)")
    if progress.running:
        lines += ["", *(running(operation, now) for operation in progress.running[:_MOST_RUNNING])]
        if len(progress.running) > _MOST_RUNNING:
            lines.append(f"and {len(progress.running) - _MOST_RUNNING} more")
    stale = stale_lines(progress)
    if stale:
        lines += ["", *stale[:_MOST_STALE]]
        if len(stale) > _MOST_STALE:
            lines.append(f"and {len(stale) - _MOST_STALE} more (checkfactor --text)")
    return [*lines, "", "left click selects a facet, h helps"]


def about_direction(direction: Direction, progress: Progress, now: float) -> list[str]:
    """Completed operations, the current one with its start and step, the verdict, what failed."""
    facts = [standing(direction)]
    if direction.group:
        facts.append(f"group {direction.group} of {len(progress.groups)}")
    if direction.planned.is_patch:
        facts.append("a patch outside the field")
    if direction.planned.is_target:
        facts.append("the target")
    if direction.planned.flux_jy:
        facts.append(f"calibrator {direction.planned.flux_jy:.3g} Jy")
    lines = [direction.name, ", ".join(facts), ""]
    stale = progress.stale_in(direction.name)
    completed = [f"   {name}{' (stale)' if name in stale else ''}" for name in direction.completed]
    lines += ["completed:", *(completed or ["   nothing yet"])]
    waiting = [name for name, state in direction.operations.items() if state == "waiting"]
    lines += _current(direction, now)
    if waiting:
        lines += ["to come:", *(f"   {name}" for name in waiting)]
    lines += _verdict(direction)
    for operation, reasons in stale.items():
        lines += ["", f"stale: {operation}, because", *(f"   {reason}" for reason in reasons)]
    for failure in progress.failures:
        if failure.direction == direction.name:
            lines += ["", f"FAILED {failure.operation} {failure.step}".rstrip() + ":",
                      *(f"   {line}" for line in failure.message.splitlines()[:3]), f"next: {failure.remedy}"]
    return lines


def _current(direction: Direction, now: float) -> list[str]:
    current = direction.current
    if current is None:
        return []
    word = {"running": "current", "interrupted": "interrupted", "failed": "failed"}.get(current.state, "")
    lines = [f"{word or current.state}:", f"   {current.operation}"]
    lines.append(f"   since {clock(current.started, now)} ({duration(current.elapsed_s)})")
    step = step_words(current)
    return [*lines, f"   {step}"] if step else lines


def _verdict(direction: Direction) -> list[str]:
    verdict = direction.verdict
    if verdict is None:
        return []
    if verdict.good:
        return ["", "verdict: good" + (" (not judged)" if verdict.skipped else "")]
    lines = ["", "verdict: failed"]
    for check in verdict.checks:
        if not check.passed:
            numbers = f"{check.value:.3g} (limit {check.limit:.3g}) {check.unit}".rstrip()
            lines.append(f"   {check.name}: {numbers}: {check.reason}")
    return lines


def wrapped(lines: Iterable[str]) -> str:
    """Lines of at most `WIDTH` letters; what goes on is set in."""
    return "\n".join(chain.from_iterable(wrap_line(line, WIDTH) for line in lines))
