"""The command checkfactor."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from factor.cli.common import guarded, make_parser, not_yet

_NAME = "checkfactor"


def main(argv: Sequence[str] | None = None) -> int:
    """Show how a run is getting on; see ``checkfactor -h``."""
    return guarded(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(_NAME, "Show how a run is getting on.")
    parser.add_argument("parset", type=Path, metavar="PARSET", help="the parset of the run")
    parser.add_argument("-f", dest="full_names", action="store_true", help="show full facet names")
    parser.add_argument("--text", action="store_true", help="show the state as text")
    parser.add_argument("--json", action="store_true", help="show the state as JSON")
    parser.add_argument("--html", type=Path, metavar="DIR", help="write a report of web pages to DIR")
    parser.add_argument("--watch", action="store_true", help="show the state until the run ends")
    return parser


def _run(_arguments: argparse.Namespace) -> None:
    raise not_yet(_NAME)
