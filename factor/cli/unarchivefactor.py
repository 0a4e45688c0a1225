"""The command unarchivefactor."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from factor.cli.common import guarded, make_parser, not_yet

_NAME = "unarchivefactor"


def main(argv: Sequence[str] | None = None) -> int:
    """Restore a resumable archive; see ``unarchivefactor -h``."""
    return guarded(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(_NAME, "Restore a run from a resumable archive.")
    parser.add_argument("dir_archive", type=Path, metavar="DIR_ARCHIVE", help="folder of the archive")
    parser.add_argument("dir_output", type=Path, metavar="DIR_OUTPUT", help="folder of the run")
    parser.add_argument("-s", "--symlink", action="store_true",
                        help="link the visibilities instead of copying them")
    parser.add_argument("-c", "--clobber", action="store_true", help="replace existing files")
    return parser


def _run(_arguments: argparse.Namespace) -> None:
    raise not_yet(_NAME)
