"""The programs in the folder script/ of an archive: each knows the archive that it lies in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from factor import log
from factor.archive.scripts import SCRIPTS
from factor.cli import runfactor
from factor.cli.common import guarded, make_parser, names

_INPUT = "folder of the input data: the measurement sets that README.txt names, or the chunks of an archive"


def restore_calibrated(archive: Path, argv: Sequence[str] | None = None) -> int:
    """Restore calibrated data from the input data."""

    def run(arguments: argparse.Namespace) -> None:
        from factor.archive.restore import restore_calibrated

        log.setup(None)
        directions = names(arguments.directions, "-d")
        restore_calibrated(archive, arguments.dir_ms, arguments.dir_output, directions)

    parser = _parser("restore_calibrated", _INPUT)
    _add_directions(parser, "whose data are restored")
    return guarded("restore_calibrated", lambda: run(parser.parse_args(argv)))


def reimage(archive: Path, argv: Sequence[str] | None = None) -> int:
    """Make images again from calibrated data."""

    def run(arguments: argparse.Namespace) -> None:
        from factor.archive.reimage import reimage

        log.setup(None)
        directions = names(arguments.directions, "-d")
        reimage(archive, arguments.input or archive, arguments.dir_output, directions)

    parser = _parser("reimage")
    parser.add_argument("-i", "--input", type=Path, metavar="DIR",
                        help="folder that has calibrated_data/: what restore_calibrated left (default: "
                        "this archive)")  # fmt: skip
    _add_directions(parser, "that are imaged; all makes the mosaics too")
    return guarded("reimage", lambda: run(parser.parse_args(argv)))


def rerun(archive: Path, argv: Sequence[str] | None = None) -> int:
    """Run Factor again from the input data."""

    def run(arguments: argparse.Namespace) -> None:
        from factor.archive.archived import prepare_rerun

        log.setup(None)
        parset = prepare_rerun(archive, arguments.dir_ms, arguments.dir_output)
        raise SystemExit(runfactor.main([str(parset)]))

    parser = _parser("rerun", _INPUT)
    return guarded("rerun", lambda: run(parser.parse_args(argv)))


def _parser(name: str, dir_ms: str = "") -> argparse.ArgumentParser:
    parser = make_parser(
        name, f"{SCRIPTS[name]} Run again after an interruption, it goes on where it stopped."
    )
    if dir_ms:
        parser.add_argument("dir_ms", type=Path, metavar="DIR_MS", help=dir_ms)
    parser.add_argument("dir_output", type=Path, metavar="DIR_OUTPUT", help="folder for what is made")
    return parser


def _add_directions(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("-d", "--directions", metavar="DIRS", required=True,
                        help=f"comma-separated directions {what}, or all")  # fmt: skip
