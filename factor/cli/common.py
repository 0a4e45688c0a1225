"""What the commands share: the look of their help, and errors that become exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from factor import log
from factor.errors import FactorError, InputError
from factor.tools.watchers import advice

_UNEXPECTED = 1
_INTERRUPTED = 1


class _Version(argparse.Action):
    """Tells the version that logs and archives have; all of the code is read for it, so only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from factor.tools.versions import factor_version

        sys.stdout.write(f"{parser.prog} {factor_version()}\n")
        parser.exit()


def make_parser(name: str, description: str) -> argparse.ArgumentParser:
    """An argument parser with the options that all commands have."""
    parser = argparse.ArgumentParser(prog=name, description=description, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    return parser


def add_parset(parser: argparse.ArgumentParser) -> None:
    """The argument of the commands that work on a run."""
    parser.add_argument("parset", type=Path, metavar="PARSET", help="the parset of the run")


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """The arguments of the commands that fill a folder."""
    parser.add_argument("dir_output", type=Path, metavar="DIR_OUTPUT", help=f"folder of the {what}")
    parser.add_argument("-c", "--clobber", action="store_true", help="replace existing files")


def guarded(name: str, action: Callable[[], None]) -> int:
    """Run a command and turn what goes wrong into a message and an exit status.

    Parameters
    ----------
    name : str
        Name of the command, for messages.
    action : callable
        What the command does.

    Returns
    -------
    int
        0 when done, 1 when the run failed, 2 for wrong usage or input.
    """
    try:
        action()
    except FactorError as error:
        _tell(name, _listed(error))
        return error.exit_status
    except KeyboardInterrupt as stopped:
        _tell(name, str(stopped) or "interrupted; run the same command again to go on")
        return _INTERRUPTED
    except SystemExit as end:  # argparse ends so, after help and after wrong usage
        return end.code if isinstance(end.code, int) else _UNEXPECTED
    except Exception as error:  # noqa: BLE001 - the last resort: no user should see a traceback
        # A full disk can strike anywhere: also where its own failure is being noted.
        help_ = advice(str(error)) if isinstance(error, OSError) else ""
        if help_:
            _tell(name, f"{error}\n  -> {help_}; then run the same command again")
            return FactorError.exit_status
        path = log.save_traceback(error)
        sys.stderr.write(
            f"{name}: unexpected error: {type(error).__name__}: {error} (details at the end of {path})\n"
        )
        return _UNEXPECTED
    return 0


def _listed(error: FactorError) -> str:
    if not isinstance(error, InputError) or len(error.problems) == 1:
        return str(error)
    lines = [f"{len(error.problems)} problems", *(f"  - {problem}" for problem in error.problems)]
    return "\n".join(lines + ([f"  -> {error.hint}"] if error.hint else []))


def _tell(name: str, message: str) -> None:
    log.note_in_file(message)
    sys.stderr.write(f"{name}: {message}\n")


def names(text: str, option: str) -> tuple[str, ...]:
    """Names from a comma-separated list.

    Raises
    ------
    InputError
        When there is none.
    """
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise InputError(f"{option} names nothing", "give names separated by commas")
    return found
