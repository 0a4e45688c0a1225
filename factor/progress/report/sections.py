"""The parts of a report that concern the run as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from factor.progress.looks import STALE_SIGN, counted
from factor.progress.model import Direction, Failure, Operation, Progress
from factor.progress.report.fieldmap import field_map
from factor.progress.report.gather import Share
from factor.progress.report.markup import Content, Markup, element, joined
from factor.progress.report.states import RUN_STATES, anchor, class_of, mark, state_class
from factor.progress.text import stale_lines
from factor.progress.words import (
    cell,
    clock,
    duration,
    field_state,
    size,
    stale_part,
    standing,
    step_words,
    time_left,
)
from factor.workspace import run_order

#: Failures that are shown open; the others are one click away.
_OPEN = 3


def table(head: Sequence[Content], rows: Sequence[Sequence[Content]]) -> Markup:
    """A table, in a box that scrolls sideways where it is too wide."""
    inner = element(
        "table",
        element("thead", element("tr", *(element("th", cell, scope="col") for cell in head))),
        element("tbody", *(element("tr", *(_cell(cell) for cell in row)) for row in rows)),
    )
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=f"Table: {head[0]}")


def _cell(cell: Content) -> Markup:
    numeric = isinstance(cell, str) and cell[:1].isdigit() and not isinstance(cell, Markup)
    return element("td", cell, class_="n" if numeric else None)


def badge(text: str, class_: str) -> Markup:
    """A word on the colour of its state."""
    return element("span", text, class_=f"badge {class_}")


def state_badge(direction: Direction) -> Markup:
    """How a direction stands, on its colour; sign and first word stay together."""
    return badge(f"{mark(direction)}\u00a0{standing(direction)}", state_class(direction))


def command(text: str) -> Markup:
    """A command to paste."""
    return element("pre", text, class_="command", tabindex=0, aria_label="command")


def head(progress: Progress, now: float) -> Markup:
    """How the run stands."""
    told, class_ = RUN_STATES[progress.state]
    facts = [f"since {clock(progress.started, now)}", duration(progress.elapsed_s)]
    if progress.state not in ("preparing", "running"):
        facts = [f"ended {clock(progress.updated, now)}", f"after {duration(progress.elapsed_s)}"]
    if progress.groups and progress.state != "done":
        facts.append(f"group {progress.group} of {len(progress.groups)}")
    left = time_left(progress.estimate)
    if left and progress.state == "running":
        facts.append(left)
    reason = None
    if progress.message and progress.state in ("stopped", "killed"):
        reason = element("p", progress.message.partition("\n")[0])
    again = None
    if progress.state in ("failed", "stopped", "killed"):
        go_on = element("code", f"runfactor {progress.parset or 'PARSET'}")
        again = element("p", "To go on: ", go_on, f" ({left})" if left else None)
    return element(
        "header",
        element("h1", "Factor: ", element("span", progress.root, class_="path")),
        element("p", badge(told, class_), " ", ", ".join(facts), class_="lead"),
        reason, again,
        element("p", f"As of {clock_of(now)}. Parset: {progress.parset or 'not known'}.", class_="note"),
        _navigation(),
    )  # fmt: skip


def clock_of(now: float) -> str:
    """Date and time, with the zone."""
    from datetime import datetime

    return f"{datetime.fromtimestamp(now).astimezone():%Y-%m-%d %H:%M %Z}"


def _navigation() -> Markup:
    places = {"field": "Field", "mosaic": "Mosaic", "noise": "Noise", "directions": "Directions",
              "timeline": "Timeline", "run": "Log and parset"}  # fmt: skip
    links = (element("a", label, href=f"#{place}") for place, label in places.items())
    return element("nav", *links, aria_label="Sections")


def failures(progress: Progress, tails: Mapping[str, str]) -> Markup | None:
    """What went wrong, the latest first, each with what to do.

    Parameters
    ----------
    progress : Progress
    tails : mapping of str to str
        The ends of the logs that failures name.
    """
    found = list(reversed(progress.failures))
    if not found:
        return None
    count = len({(f.direction, f.operation) for f in found})
    first = [_failure(failure, tails) for failure in found[:_OPEN]]
    more = [_failure(failure, tails) for failure in found[_OPEN:]]
    rest = None
    if more:
        rest = element("details", element("summary", f"{len(more)} earlier ones"), *more)
    title = f"{count} thing{'s' if count > 1 else ''} went wrong"
    return element("section", element("h2", title), *first, rest, id="failures", class_="failures")


def _failure(failure: Failure, tails: Mapping[str, str]) -> Markup:
    where: list[Content] = [failure.operation or "the run"]
    if failure.direction:
        name = failure.direction
        where = [element("a", name, href=f"#{anchor(name)}"), f": {failure.operation}"]
    if failure.step:
        where.append(f", step “{failure.step}”")
    tail = tails.get(failure.log, "")
    return element(
        "article",
        element("h3", "✖ ", *where),
        element("pre", failure.message, class_="error", tabindex=0, aria_label="error"),
        element("p", element("strong", "What to do: "), failure.remedy),
        element("p", "To try this step by hand:") if failure.command else None,
        command(failure.command) if failure.command else None,
        element("p", "Log: ", element("code", failure.log)) if failure.log else None,
        element("details", element("summary", "the end of its log"), element("pre", tail)) if tail else None,
        class_="failure",
    )


def stale_section(progress: Progress) -> Markup | None:
    """What is done and would come out differently now, and why."""
    lines = stale_lines(progress)
    if not lines:
        return None
    told = (
        "Done, but would come out differently now. The next run does it again, or says that it keeps it; "
        "then runfactor -r DIRECTION has it done again."
    )
    return element(
        "section",
        element("h2", "Stale"),
        element("p", told),
        element("ul", *(element("li", line) for line in lines)),
        id="stale",
    )


def field_section(progress: Progress, now: float) -> Markup:
    """The map, how far it is, and what runs."""
    drawing = field_map(progress)
    left = [drawing or element("p", "The facets are not known.", class_="note")]
    if drawing is not None:
        left.append(_legend(progress))
    right = [_tallies(progress), _resources(progress)]
    if progress.running:
        right.insert(0, _running(progress.running, now))
    return element(
        "section",
        element("h2", "Field"),
        element("div", element("div", *left), element("div", *right), class_="columns"),
        id="field",
    )


def _legend(progress: Progress) -> Markup:
    items = [
        element("li", element("span", class_=f"swatch {class_of(state)}"), f"{state}: {count}")
        for state, count in counted(progress.directions).items()
        if count
    ]
    hatched = [name for name in map(state_class, progress.directions) if "hatched" in name]
    if hatched:
        swatch = element("span", class_=f"swatch {hatched[0]}")
        items.append(element("li", swatch, f"imaged without good solutions of its own: {len(hatched)}"))
    stale = {found.direction for found in progress.stale}
    if stale:
        items.append(element("li", f"{STALE_SIGN} stale: {len(stale)}"))
    return element("ul", *items, class_="legend")


def _running(operations: Sequence[Operation], now: float) -> Markup:
    rows: list[list[Content]] = [
        [o.direction, ", ".join(filter(None, (o.operation, step_words(o)))),
         f"{clock(o.started, now)} ({duration(o.elapsed_s)})"]
        for o in operations
    ]  # fmt: skip
    return joined(element("h3", "Now"), table(("direction", "what", "since"), rows))


def _tallies(progress: Progress) -> Markup | None:
    rows: list[list[Content]] = []
    for tally in progress.tallies:
        if tally.total:
            bar = element("progress", value=tally.done, max=tally.total, aria_label=tally.operation)
            failed = element("strong", f", {tally.failed} failed") if tally.failed else None
            through = f"{tally.done} of {tally.total}{stale_part(progress, tally.operation)}"
            rows.append([tally.operation, bar, joined(through, failed)])
    told = {tally.operation for tally in progress.tallies}
    rows += [[o.operation, None, field_state(progress, o)] for o in progress.field if o.operation not in told]
    return joined(element("h3", "Done"), table(("operation", "", "directions"), rows)) if rows else None


def _resources(progress: Progress) -> Markup:
    usage = progress.usage
    rows: list[list[Content]] = [["CPU time", duration(usage.cpu_s)]]
    if usage.memory_mb:
        rows.append(["memory, now", size(usage.memory_mb * 1e6)])
    if usage.peak_memory_mb:
        rows.append(["memory, at most", size(usage.peak_memory_mb * 1e6)])
    if usage.peak_disk_bytes:
        rows.append(["disk, now", size(usage.disk_bytes)])
        rows.append(["disk, at most", size(usage.peak_disk_bytes)])
    rows.append(["disk, free now", size(usage.disk_free_bytes)])
    if progress.bands:
        rows.append(["input", f"{progress.bands} bands, {progress.chunks} time chunks"])
    return joined(element("h3", "Resources"), table(("resource", ""), rows))


def directions_table(progress: Progress) -> Markup | None:
    """All directions, with links to their sections."""
    if not progress.directions:
        return None
    columns = [tally.operation for tally in progress.tallies]
    rows: list[list[Content]] = []
    for direction in progress.directions:
        stale = progress.stale_in(direction.name)
        states = [cell(direction, column, stale) for column in columns]
        rows.append([
            element("a", direction.name, href=f"#{anchor(direction.name)}"),
            state_badge(direction),
            str(direction.group or "–"),
            f"{direction.planned.flux_jy:.3g}" if direction.planned.flux_jy else "",
            *(element("span", state, class_="bad") if state in ("FAILED", "stale") else state
              for state in states),
        ])  # fmt: skip
    return table(("direction", "status", "group", "flux (Jy)", *columns), rows)


def operations_table(operations: Sequence[Operation]) -> Markup | None:
    """What each operation took."""
    rows: list[list[Content]] = []
    for name in sorted({o.operation for o in operations}, key=run_order):
        own = [o for o in operations if o.operation == name]
        cpu_s, memory_mb = sum(o.cpu_s for o in own), max(o.peak_memory_mb for o in own)
        rows.append([
            name,
            str(len(own)),
            duration(sum(o.elapsed_s for o in own) / len(own)),
            duration(max(o.elapsed_s for o in own)),
            duration(cpu_s) if cpu_s else "–",
            size(memory_mb * 1e6) if memory_mb else "–",
        ])  # fmt: skip
    titles = ("operation", "directions", "mean time", "longest", "CPU in all", "memory of a step, at most")
    return table(titles, rows) if rows else None


def mosaic_section(shares: Sequence[Share], numbers: Sequence[str], rows: Sequence[Markup]) -> Markup:
    """The mosaics with the checks of their sources."""
    content: list[Content] = []
    if not any(share.rows for share in shares):
        content.append(element("p", "There is no mosaic.", class_="note"))
    for line in numbers:
        content.append(element("p", line))
    return element("section", element("h2", "Mosaic"), *content, *rows, id="mosaic")
