"""The display below the messages of runfactor, on a terminal."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from factor.log import live_terminal
from factor.progress.model import Progress
from factor.progress.reading import Reader
from factor.progress.words import cut, duration, stale_part, step_count, step_name, time_left
from factor.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

log = logging.getLogger("factor.display")

#: Length of the line above the display.
_RULE_WIDTH = 60

#: Names of directions are cut to this.
_NAME_WIDTH = 20

#: Time between two looks at the state, seconds.
LOOK_S = 1.0


@contextmanager
def display(workspace: Workspace) -> Iterator[None]:
    """Within: how far the run is, below the messages; nothing where there is no terminal.

    The run does not depend on it: it reads the state as checkfactor does, and ends quietly
    when anything goes wrong with it.
    """
    console = live_terminal()
    shown = None if console is None else _start(workspace, console)
    try:
        yield
    finally:
        if shown is not None:
            shown.stop()


def _start(workspace: Workspace, console: Console) -> _Display | None:
    try:
        shown = _Display(workspace, console)
        shown.start()
    except Exception:
        log.debug("no display", exc_info=True)
        return None
    return shown


class _Display(threading.Thread):
    """Looks at the state and shows it, until it is stopped."""

    def __init__(self, workspace: Workspace, console: Console) -> None:
        from factor.progress.redraw import Redrawn

        super().__init__(name="display", daemon=True)
        self._reader = Reader(workspace)
        self._console = console
        self._ended = threading.Event()
        self._live = Redrawn(console=console, auto_refresh=False, transient=True)

    def run(self) -> None:
        """Show it."""
        try:
            self._live.start()
            # Whatever way the process ends, the cursor comes back.
            atexit.register(self._console.show_cursor, True)
            while not self._ended.wait(LOOK_S):
                self._live.update(self._picture(), refresh=True)
        except Exception:
            log.debug("the display has ended", exc_info=True)

    def _picture(self) -> Group:
        width, height = self._console.size
        return picture(self._reader.read(), width, height)

    def stop(self) -> None:
        """Take it off the terminal."""
        self._ended.set()
        self.join(2 * LOOK_S)
        try:
            self._live.stop()
            self._console.show_cursor(True)
        except Exception:
            log.debug("the display did not end well", exc_info=True)


def picture(progress: Progress, width: int, height: int) -> Group:
    """What is shown: a line for the run, bars for its operations, a line for what runs now.

    Parameters
    ----------
    progress : Progress
        What is going on.
    width, height : int
        Of the terminal; at most half of the height is used.
    """
    from rich.console import Group
    from rich.text import Text

    # Room for the ^C that a terminal writes: it would push the last line on.
    width -= 3

    def line(text: str, style: str = "") -> Text:
        shown = Text(text, style=style, no_wrap=True)
        shown.truncate(width, overflow="ellipsis")
        return shown

    head = [line("─" * min(width, _RULE_WIDTH), "dim"), line(_headline(progress), "bold")]
    if progress.state == "preparing":
        return Group(*head)
    room = max(3, height // 2 - 2)
    bars = [t for t in progress.tallies if t.total and t.operation != "facetsub"][: max(1, room // 3)]
    running = progress.running
    shown = running[: room - len(bars) - (1 if len(running) > room - len(bars) else 0)]
    rows = [line(text) for text in (_now(progress, len(shown)) if shown else ())]
    if len(running) > len(shown):
        rows.append(line(f"and {len(running) - len(shown)} more", "dim"))
    return Group(*head, _bars(progress, [tally.operation for tally in bars], width), *rows)


def _headline(progress: Progress) -> str:
    spent = duration(progress.elapsed_s)
    if progress.state == "preparing":
        return f"checking the input and making chunks, {spent}"
    group = f"group {progress.group} of {len(progress.groups)}, " if progress.groups else ""
    failed = f", {len(progress.failures)} FAILED" if progress.failures else ""
    left = time_left(progress.estimate)
    return f"{group}{spent}{', ' if left else ''}{left}{failed}"


def _bars(progress: Progress, names: list[str], width: int) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=width // 3)
    table.add_column(width=max(10, min(40, width // 3)))
    table.add_column(no_wrap=True, overflow="ellipsis")
    for tally in progress.tallies:
        if tally.operation not in names:
            continue
        partly = sum(o.fraction for o in progress.running if o.operation == tally.operation)
        bar = ProgressBar(total=tally.total, completed=tally.done + partly)
        unit = " directions" if width > _RULE_WIDTH else ""
        through = f"{tally.done} of {tally.total}{unit}{stale_part(progress, tally.operation)}"
        table.add_row(tally.operation, bar, through)
    return table


def _now(progress: Progress, count: int) -> list[str]:
    """A line for each running operation; where it is too long, the name of its step is cut."""
    rows = [
        (cut(o.direction, _NAME_WIDTH), o.operation, step_count(o), duration(o.elapsed_s), step_name(o))
        for o in progress.running[:count]
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    ]
