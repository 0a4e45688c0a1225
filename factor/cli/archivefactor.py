"""The command archivefactor."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from factor import log, parset
from factor.cli.common import add_output, add_parset, guarded, make_parser, names

_NAME = "archivefactor"


def main(argv: Sequence[str] | None = None) -> int:
    """Archive a run; see ``archivefactor -h``."""
    return guarded(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        _NAME,
        "Archive the results of a run. Run again with the same arguments, it goes on where it stopped.",
    )
    add_parset(parser)
    add_output(parser, "archive")
    parser.add_argument(
        "-d",
        "--directions",
        metavar="DIRS",
        help="comma-separated directions whose calibrated data are archived, or all",
    )
    parser.add_argument("-r", "--resumable", action="store_true", help="archive all that a resumed run needs")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    directions = () if arguments.directions is None else names(arguments.directions, "-d")
    # The input may be gone.
    settings = parset.load(arguments.parset, check_paths=False)
    log.setup(None)
    from factor.archive.archive import ArchiveOptions, archive

    options = ArchiveOptions(directions, arguments.resumable, arguments.clobber)
    archive(settings, arguments.dir_output, options)
