"""What is going on, as plain lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import chain

from factor.progress.model import Failure, Operation, Progress
from factor.progress.words import (
    cell,
    clock,
    cut,
    duration,
    field_state,
    place,
    size,
    stale_part,
    standing,
    step_words,
    time_left,
)
from factor.state.resume import tell_stale

#: Failures that are shown in full; the others are counted.
_FAILURES_SHOWN = 3

#: Names of directions are cut to this, unless they are asked for in full.
_NAME_WIDTH = 20


def lines_of(progress: Progress, now: float, *, full_names: bool = False, width: int = 0) -> list[str]:
    """A summary, what failed, what runs, and a table of all directions.

    Parameters
    ----------
    progress : Progress
        What is going on.
    now : float
        Seconds since 1970.
    full_names : bool
        Whether long names of directions are given in full.
    width : int
        Sentences are wrapped at so many letters, commands left away that are longer; 0: neither.

    Returns
    -------
    list of str
        Without line ends; what failed comes before the table.
    """
    lines = summary(progress, now)
    for failure in progress.failures[-_FAILURES_SHOWN:]:
        lines += ["", *_failure(failure, width)]
    more = len(progress.failures) - _FAILURES_SHOWN
    if more > 0:
        lines += ["", f"and {more} earlier failures (--json has all)"]
    if progress.running:
        lines += ["", *(running(operation, now) for operation in progress.running)]
    stale = stale_lines(progress)
    table, after = _table(progress, full_names), ["", *stale] if stale else []
    return [*_wrapped(lines, width), "", *table, *_wrapped(after, width)]


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    return list(chain.from_iterable(wrap_line(line, width) for line in lines)) if width else list(lines)


def wrap_line(line: str, width: int) -> list[str]:
    """Lines of so many letters at most, of which all but the first are set in further."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def stale_lines(progress: Progress) -> list[str]:
    """What is done and would come out differently now, and why."""
    return tell_stale({(found.operation, found.direction): found.reasons for found in progress.stale})


def summary(progress: Progress, now: float) -> list[str]:
    """State of the run, how far it is, and what it takes."""
    lines = f"{progress.root}: {_state(progress, now)}".splitlines()
    facts = []
    if progress.groups and progress.state != "done":
        facts.append(f"group {progress.group} of {len(progress.groups)}")
    facts += [
        f"{t.operation} {t.done}/{t.total}{stale_part(progress, t.operation)}"
        for t in progress.tallies if t.total
    ]  # fmt: skip
    facts += [
        f"{o.operation} {field_state(progress, o)}"
        for o in progress.field if o.operation.startswith("fieldmosaic")
    ]  # fmt: skip
    return [*lines, ", ".join(facts), _usage(progress)] if facts else [*lines, _usage(progress)]


def _state(progress: Progress, now: float) -> str:
    since = clock(progress.started, now)
    spent = duration(progress.elapsed_s)
    left = time_left(progress.estimate)
    if progress.state == "preparing":
        return f"checking the input and making chunks, since {since} ({spent})"
    if progress.state == "running":
        return f"running since {since} ({spent}), {left or 'no estimate yet'}"
    if progress.state == "done":
        return f"done, in {spent}"
    ended = {"failed": "FAILED", "stopped": "stopped", "killed": "NOT RUNNING"}[progress.state]
    reason = progress.message.partition("\n")[0].partition(";")[0]
    told = "" if progress.state == "failed" or not reason else f" ({reason})"
    again = f"to go on: runfactor {progress.parset or 'PARSET'}" + (f", {left}" if left else "")
    return f"{ended} after {spent}, at {clock(progress.updated, now)}{told}\n{again}"


def _usage(progress: Progress) -> str:
    usage = progress.usage
    facts = [f"CPU {duration(usage.cpu_s)}"]
    if usage.peak_memory_mb:
        current = f"{size(usage.memory_mb * 1e6)} now, " if usage.memory_mb else ""
        facts.append(f"memory {current}{size(usage.peak_memory_mb * 1e6)} at most")
    if usage.peak_disk_bytes:
        facts.append(f"disk {size(usage.disk_bytes)} now, {size(usage.peak_disk_bytes)} at most")
    if usage.disk_free_bytes:
        facts.append(f"{size(usage.disk_free_bytes)} free")
    return ", ".join(facts)


def _failure(failure: Failure, width: int) -> list[str]:
    step = f", step '{failure.step}'" if failure.step else ""
    lines = [f"FAILED {place(failure)}{step}:"]
    lines += [f"  {line}" for line in failure.message.splitlines()]
    if failure.log:
        lines.append(f"  log: {failure.log}")
    if failure.command and (not width or len(failure.command) <= width):
        lines += ["  to try it by hand:", failure.command]
    return [*lines, f"  next: {failure.remedy}"]


def running(operation: Operation, now: float) -> str:
    """What is being done, in a line: operation, direction, step n of m, since when."""
    step = step_words(operation)
    since = f"since {clock(operation.started, now)} ({duration(operation.elapsed_s)})"
    return f"{operation.operation} {operation.direction}: {step + ', ' if step else ''}{since}"


def _table(progress: Progress, full_names: bool) -> list[str]:
    if not progress.directions:
        return ["no directions yet"]
    columns = [t.operation for t in progress.tallies]
    grouped = bool(progress.groups)
    head = ["direction", *(["group"] if grouped else []), *columns, "status"]
    rows = [head]
    for direction in progress.directions:
        name = direction.name if full_names else cut(direction.name, _NAME_WIDTH)
        group = [str(direction.group or "-")] if grouped else []
        stale = progress.stale_in(direction.name)
        cells = (cell(direction, column, stale) for column in columns)
        rows.append([name, *group, *cells, standing(direction)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    return ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
