"""The command runfactor."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from factor import log, parset
from factor.cli.common import add_parset, guarded, make_parser, names
from factor.errors import FactorError, InputError
from factor.workspace import OPERATIONS, Workspace

if TYPE_CHECKING:
    from factor.process import RunOptions

_NAME = "runfactor"


def main(argv: Sequence[str] | None = None) -> int:
    """Run Factor; see ``runfactor -h``."""
    return guarded(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        _NAME,
        "Calibrate and image a LOFAR field direction by direction. Run again with the same "
        "parset, it goes on where it stopped.",
    )
    add_parset(parser)
    parser.add_argument("-d", dest="dry_run", action="store_true",
                        help="dry run: check everything and show the plan, without running it")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", dest="quiet", action="store_true",
                          help="quiet: show warnings and errors only")
    loudness.add_argument("-v", dest="verbose", action="store_true",
                          help="verbose: show every step")
    parser.add_argument("-r", "--reset", metavar="DIRS",
                        help="comma-separated directions to reset before the run goes on, e.g. "
                        "-r facet1,facet3; field for the mosaics, all for everything")
    parser.add_argument("-o", "--ops", metavar="OPS",
                        help="comma-separated operations to reset for the directions of -r "
                        f"(default: all). Operations: {', '.join(OPERATIONS)}")
    parser.add_argument("-s", "--stop_after", metavar="N", type=int,
                        help="stop after N groups of directions have been self-calibrated")
    parser.add_argument("-t", dest="test", action="store_true",
                        help="test settings: two directions with two loops each, to see a run to its end")
    parser.add_argument("--check", action="store_true",
                        help="check tools, data and parset, show the plan, and stop")
    parser.add_argument("--undo", action="store_true",
                        help="with -r: undo the subtraction of these directions and stop")
    return parser


def _checked(arguments: argparse.Namespace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Directions and operations to reset."""
    if arguments.stop_after is not None and arguments.stop_after < 1:
        raise InputError(f"-s {arguments.stop_after}: the number of groups must be at least 1")
    if arguments.reset is None:
        if arguments.ops is not None:
            raise InputError(
                f"-o {arguments.ops}: needs -r; -o limits a reset to these operations",
                f"name the directions to reset too: -r DIRECTIONS -o {arguments.ops}",
            )
        if arguments.undo:
            raise InputError("--undo: needs -r", "name the directions to undo: -r DIRECTIONS --undo")
        return (), ()
    directions = names(arguments.reset, "-r")
    operations = () if arguments.ops is None else names(arguments.ops, "-o")
    unknown = [name for name in operations if name not in OPERATIONS]
    if unknown:
        raise InputError(
            f"-o {arguments.ops}: there is no operation {', '.join(unknown)}",
            f"operations are {', '.join(OPERATIONS)}",
        )
    if arguments.undo and operations:
        raise InputError("--undo always undoes the subtraction alone", "leave out -o")
    return directions, operations


def _run(arguments: argparse.Namespace) -> None:
    reset, reset_ops = _checked(arguments)
    settings = parset.load(arguments.parset)
    if arguments.test:
        settings = settings.for_test()
    root = settings.globals.dir_working
    only_looks = arguments.dry_run or arguments.check
    if not only_looks:
        _make(root)
    verbosity = log.QUIET if arguments.quiet else log.VERBOSE if arguments.verbose else log.NORMAL
    log.setup(Workspace(root).log if root.is_dir() else None, verbosity)
    for note in settings.notes:
        logging.getLogger("factor").warning(note)
    from factor import process

    try:
        process.run(settings, _options(arguments, reset, reset_ops))
    except InputError:
        raise
    except FactorError:
        logging.getLogger("factor").info("all that failed, with pictures: checkfactor %s", arguments.parset)
        raise


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        Workspace(root).log.open("a").close()
    except OSError as error:
        raise InputError(
            f"cannot write to the working directory {root}: {error.strerror}",
            "give another dir_working in section [global] of the parset",
        ) from error


def _options(arguments: argparse.Namespace, reset: tuple[str, ...], reset_ops: tuple[str, ...]) -> RunOptions:
    from factor.process import RunOptions

    return RunOptions(
        dry_run=arguments.dry_run,
        reset=reset,
        reset_ops=reset_ops,
        stop_after=arguments.stop_after,
        check=arguments.check,
        undo=arguments.undo,
    )
