"""Showing a run's state once, or again and again until it ends."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from factor.errors import InputError
from factor.progress.model import Progress
from factor.progress.reading import Reader
from factor.progress.text import lines_of

#: Time between two looks, seconds.
WATCH_S = 5.0

#: Text of a state, for lines of so many letters (0: of any).
Form = Callable[[Progress, int], str]


def as_text(progress: Progress, width: int, *, full_names: bool) -> str:
    """A summary and a table."""
    return "\n".join(lines_of(progress, time.time(), full_names=full_names, width=width)) + "\n"


def as_json(progress: Progress, _width: int, *, indent: int | None) -> str:
    """One JSON document; without an indent on one line."""
    return json.dumps(progress.to_json(), indent=indent, allow_nan=False) + "\n"


def as_page(reader: Reader, folder: Path, progress: Progress, _width: int) -> str:
    """The page of a report, which is written."""
    from factor.progress.report.page import write_report

    return f"{write_report(reader.workspace, progress, reader.records, folder)}\n"


def show(reader: Reader, form: Form) -> None:
    """Show the state once.

    Raises
    ------
    InputError
        When there is none.
    """
    _write(form(reader.read(), 0))


def watch(reader: Reader, form: Form, *, in_place: bool) -> None:
    """Show the state until the run ends, or the user stops it with Ctrl-C.

    Parameters
    ----------
    reader : Reader
        Of the working directory.
    form : callable
        Makes what is shown.
    in_place : bool
        Whether each time replaces the one before, which only a terminal can do.

    Raises
    ------
    InputError
        When there is no state; later on, what cannot be read is passed over.
    """
    states = _states(reader)
    on_screen = in_place and sys.stdout.isatty()
    try:
        if on_screen:
            _in_place(states, form)
        else:
            for progress in states:
                _write(form(progress, 0))
    except KeyboardInterrupt:
        pass
    if on_screen:
        # The other screen, on which the terminal showed it, is gone.
        show(reader, form)


def _states(reader: Reader) -> Iterator[Progress]:
    """The state again and again; its last one is that of a run that has ended."""
    progress = reader.read()
    yield progress
    while progress.state in ("preparing", "running"):
        time.sleep(WATCH_S)
        with suppress(InputError):
            progress = reader.read()
        yield progress


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _in_place(states: Iterable[Progress], form: Form) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stdout)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for progress in states:
            width, room = console.size
            lines = form(progress, width).splitlines()
            if len(lines) > room:
                lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines"]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
