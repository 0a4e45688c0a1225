"""The command unarchivefactor."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from factor import log
from factor.cli.common import add_output, guarded, make_parser

_NAME = "unarchivefactor"


def main(argv: Sequence[str] | None = None) -> int:
    """Restore a resumable archive; see ``unarchivefactor -h``."""
    return guarded(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(_NAME, "Restore a run from a resumable archive, to any folder.")
    parser.add_argument("dir_archive", type=Path, metavar="DIR_ARCHIVE", help="folder of the archive")
    add_output(parser, "restored run")
    parser.add_argument(
        "-s",
        "--symlink",
        action="store_true",
        help="link the visibilities that never change instead of copying them",
    )
    return parser


def _run(arguments: argparse.Namespace) -> None:
    log.setup(None)
    from factor.archive.unarchive import unarchive

    unarchive(
        arguments.dir_archive, arguments.dir_output,
        symlink=arguments.symlink, clobber=arguments.clobber,
    )  # fmt: skip
