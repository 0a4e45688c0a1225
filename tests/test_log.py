"""What goes to the terminal and what to factor.log."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest

from factor import log


@pytest.mark.parametrize(
    ("verbosity", "terminal", "file"),
    [(log.QUIET, {"warning"}, {"info", "warning"}), (log.NORMAL, {"info", "warning"}, {"info", "warning"}),
     (log.VERBOSE, {"debug", "info", "warning"}, {"debug", "info", "warning"})],
)
def test_verbosity(verbosity: int, terminal: set[str], file: set[str], tmp_path: Path,
                   capsys: pytest.CaptureFixture[str]) -> None:
    """-q quiets the terminal only, -v adds the steps to both."""
    path = tmp_path / "factor.log"
    log.setup(path, verbosity)
    logger = logging.getLogger("factor.part")
    logger.debug("a debug message")
    logger.info("an info message")
    logger.warning("a warning message")
    shown = capsys.readouterr().out
    levels = ("debug", "info", "warning")
    assert {level for level in levels if f"{level} message" in shown} == terminal
    assert {level for level in levels if f"{level} message" in path.read_text()} == file


def test_log_file_is_appended_to(tmp_path: Path) -> None:
    """A resumed run keeps the log of the earlier one."""
    path = tmp_path / "factor.log"
    for text in ("first", "second"):
        log.setup(path)
        logging.getLogger("factor").info(text)
    lines = path.read_text().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["first", "second"]


def test_a_full_disk_is_not_told_by_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Python's logging would print two tracebacks for each message that cannot be written."""
    log.setup(Path("/dev/full"))
    logging.getLogger("factor").info("a message")
    shown = capsys.readouterr()
    log.close()
    assert "a message" in shown.out
    assert shown.err == ""


def test_no_blanks_at_the_end_of_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is made narrower would wrap them into an empty line under every message."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    log.setup(None)
    logging.getLogger("factor").info("short")
    log.close()
    assert terminal.getvalue().endswith(" short\n")
