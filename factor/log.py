"""Messages to the terminal and to factor.log.

Every module logs to a child of the logger ``factor``; what the tools say goes to the
operations' own logs instead.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleRenderable

_LOGGER = logging.getLogger("factor")
_FILE_ONLY = {"file_only": True}

#: Verbosity of -q, of neither, and of -v.
QUIET, NORMAL, VERBOSE = -1, 0, 1

_TERMINAL_LEVELS = {QUIET: logging.WARNING, NORMAL: logging.INFO, VERBOSE: logging.DEBUG}


class _PlainFormatter(logging.Formatter):
    """Time and message; the level only where it is worth a look."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        clock, _, message = text.partition(" ")
        return f"{clock} {record.levelname.lower()}: {message}"


class _LogFile(logging.FileHandler):
    """A log file that says nothing on the terminal when its disk is full: the run itself does."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def setup(log_file: Path | None, verbosity: int = NORMAL) -> None:
    """Send messages to the terminal and to a log file; replaces an earlier setup.

    Parameters
    ----------
    log_file : Path or None
        The file to append to; its folder must be there. None for no file.
    verbosity : int
        `QUIET` (warnings only), `NORMAL` or `VERBOSE` (each step as well). The file has
        all but the steps, which it has with `VERBOSE`.
    """
    close()
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.propagate = False
    terminal = _terminal_handler()
    terminal.setLevel(_TERMINAL_LEVELS[verbosity])
    terminal.addFilter(lambda record: not getattr(record, "file_only", False))
    _LOGGER.addHandler(terminal)
    if log_file is not None:
        file = _LogFile(log_file, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
        file.setLevel(logging.DEBUG if verbosity >= VERBOSE else logging.INFO)
        _LOGGER.addHandler(file)


def close() -> None:
    """Undo `setup`."""
    for handler in list(_LOGGER.handlers):
        _LOGGER.removeHandler(handler)
        handler.close()
    _LOGGER.propagate = True


def _terminal_handler() -> logging.Handler:
    if not sys.stdout.isatty():
        plain = logging.StreamHandler(sys.stdout)
        plain.setFormatter(_PlainFormatter())
        return plain
    from rich.console import Console
    from rich.logging import RichHandler
    from rich.table import Table

    class Unpadded(RichHandler):
        """Without blanks up to the edge, which terminals that are made narrower wrap into empty lines."""

        def render(self, **parts: Any) -> ConsoleRenderable:
            shown = super().render(**parts)
            if isinstance(shown, Table):
                shown.expand = False
            return shown

    return Unpadded(
        console=Console(file=sys.stdout),
        show_path=False,
        show_level=True,
        omit_repeated_times=False,
        log_time_format="%H:%M:%S",
    )


def live_terminal() -> Console | None:
    """The terminal to which messages go, if something more can be shown on it.

    Returns
    -------
    rich.console.Console or None
        None when output goes to a file or a pipe, or the user asked for quiet.
    """
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return None
    from rich.logging import RichHandler

    for handler in _LOGGER.handlers:
        if isinstance(handler, RichHandler) and handler.level < logging.WARNING:
            console: Console = handler.console
            return None if console.is_dumb_terminal else console
    return None


def note_in_file(message: str) -> None:
    """Write a message to the log file alone, if there is one (the user is told in another way)."""
    if _log_file() is not None:
        _LOGGER.error(message, extra=_FILE_ONLY)


def save_traceback(error: BaseException) -> Path:
    """Write the traceback of an unexpected exception to the log file.

    Returns
    -------
    Path
        The log file, or a new file where there is none.
    """
    if _log_file() is None:
        handle, name = tempfile.mkstemp(prefix="factor-", suffix=".log")
        os.close(handle)
        _LOGGER.addHandler(logging.FileHandler(name, encoding="utf-8"))
        _LOGGER.setLevel(logging.DEBUG)
        _LOGGER.propagate = False
    path = _log_file()
    _LOGGER.error("unexpected error", exc_info=error, extra=_FILE_ONLY)
    return path or Path()


def _log_file() -> Path | None:
    for handler in _LOGGER.handlers:
        if isinstance(handler, logging.FileHandler):
            return Path(handler.baseFilename)
    return None
