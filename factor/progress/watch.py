"""Showing a run's state once, or again and again until it ends."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from factor.errors import InputError
from factor.progress.model import Progress
from factor.progress.reading import Reader
from factor.progress.text import lines_of

#: Time between two looks, seconds.
WATCH_S = 5.0

Form = Callable[[Progress], str]


def as_text(progress: Progress, *, full_names: bool) -> str:
    """A summary and a table."""
    return "\n".join(lines_of(progress, time.time(), full_names=full_names)) + "\n"


def as_json(progress: Progress, *, indent: int | None) -> str:
    """One JSON document; without an indent on one line."""
    return json.dumps(progress.to_json(), indent=indent, default=str) + "\n"


def as_page(reader: Reader, folder: Path, progress: Progress) -> str:
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
    sys.stdout.write(form(reader.read()))
    sys.stdout.flush()


def watch(reader: Reader, form: Form, *, in_place: bool) -> None:
    """Show the state until the run ends.

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
    progress = reader.read()
    if in_place and sys.stdout.isatty():
        progress = _in_place(reader, form, progress)
    else:
        while progress.state in ("preparing", "running"):
            sys.stdout.write(form(progress))
            sys.stdout.flush()
            time.sleep(WATCH_S)
            progress = _again(reader, progress)
    sys.stdout.write(form(progress))
    sys.stdout.flush()


def _in_place(reader: Reader, form: Form, progress: Progress) -> Progress:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stdout)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while progress.state in ("preparing", "running"):
            lines = form(progress).splitlines()
            room = console.size.height
            if len(lines) > room:
                lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines"]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
            time.sleep(WATCH_S)
            progress = _again(reader, progress)
    return progress


def _again(reader: Reader, before: Progress) -> Progress:
    try:
        return reader.read()
    except InputError:
        return before
