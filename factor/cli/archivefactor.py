"""The command archivefactor."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from factor.cli.common import guarded, make_parser, names, not_yet

_NAME = "archivefactor"


def main(argv: Sequence[str] | None = None) -> int:
    """Archive a run; see ``archivefactor -h``."""
    return guarded(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(_NAME, "Archive the results of a run.")
    parser.add_argument("parset", type=Path, metavar="PARSET", help="the parset of the run")
    parser.add_argument("dir_output", type=Path, metavar="DIR_OUTPUT", help="folder of the archive")
    parser.add_argument("-d", "--directions", metavar="DIRS",
                        help="comma-separated directions whose calibrated data are archived, or all")
    parser.add_argument("-r", "--resumable", action="store_true",
                        help="archive all that a resumed run needs")
    parser.add_argument("-c", "--clobber", action="store_true", help="replace existing files")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    if arguments.directions is not None:
        names(arguments.directions, "-d")
    raise not_yet(_NAME)
