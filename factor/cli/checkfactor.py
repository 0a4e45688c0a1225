"""The command checkfactor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from factor.cli.common import add_parset, guarded, make_parser

if TYPE_CHECKING:
    from factor.progress.reading import Reader

_NAME = "checkfactor"


def main(argv: Sequence[str] | None = None) -> int:
    """Show how a run is getting on; see ``checkfactor -h``."""
    return guarded(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(_NAME, "Show how a run is getting on, in a window where there is a display, "
                         "else as text. Nothing is changed, and no lock is taken.")
    add_parset(parser)
    parser.add_argument("-f", dest="full_names", action="store_true", help="show full facet names")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--text", action="store_true", help="show the state as text")
    form.add_argument("--json", action="store_true", help="show the state as JSON")
    form.add_argument("--html", type=Path, metavar="DIR",
                      help="write a report with pictures to DIR: open DIR/index.html")
    parser.add_argument("--watch", action="store_true",
                        help="show the state every few seconds until the run ends")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from factor.parset import working_directory
    from factor.progress import watch
    from factor.progress.reading import Reader
    from factor.workspace import Workspace

    reader = Reader(Workspace(working_directory(arguments.parset)), arguments.parset)
    asked = arguments.text or arguments.json or arguments.html or arguments.watch
    if not asked and _in_window(reader, arguments):
        return
    form: watch.Form = partial(watch.as_text, full_names=arguments.full_names)
    if arguments.json:
        form = partial(watch.as_json, indent=None if arguments.watch else 1)
    if arguments.html is not None:
        form = partial(watch.as_page, reader, arguments.html)
    if arguments.watch:
        watch.watch(reader, form, in_place=not (arguments.json or arguments.html))
    else:
        watch.show(reader, form)


def _in_window(reader: Reader, arguments: argparse.Namespace) -> bool:
    """Show the window where there is a display for it; whether it was shown."""
    from factor.progress import gui

    if not gui.has_display():
        return False
    from factor.parset import checkfactor_section
    from factor.progress.window import open_window

    settings = checkfactor_section(arguments.parset)
    shown = open_window(reader, settings, full_names=arguments.full_names)
    if not shown:
        sys.stderr.write(f"{_NAME}: the display cannot be opened: the state as text\n")
    return shown
