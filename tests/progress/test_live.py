"""The display of runfactor, on a terminal and without one."""

from __future__ import annotations

import logging
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from factor import log
from factor.progress.heart import folder_bytes, heartbeat, tree_memory_mb
from factor.progress.live import display, picture
from factor.progress.reading import Reader
from factor.progress.redraw import Redrawn
from factor.state.pulse import load_pulse
from factor.workspace import Workspace
from tests.progress.conftest import Site

CHECKOUT = Path(__file__).parents[2]
SHOW_CURSOR = "\x1b[?25h"

#: A run that only waits to be stopped.
RUN = """
import logging, sys, time
from pathlib import Path
from factor import log
from factor.cli.common import guarded
from factor.execution.signals import stop_on_signals
from factor.progress.heart import heartbeat
from factor.progress.live import display
from factor.state.lock import run_lock
from factor.workspace import Workspace

def action():
    workspace = Workspace(Path(sys.argv[1]))
    log.setup(None, int(sys.argv[2]))
    with run_lock(workspace), stop_on_signals(), display(workspace):
        logging.getLogger("factor").info("a message")
        time.sleep(30)

sys.exit(guarded("runfactor", action))
"""


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.pid, self._end = pty.fork()
        self.shown = ""
        if self.pid == 0:
            os.environ.update(PYTHONPATH=str(CHECKOUT), TERM="xterm", COLUMNS="100", LINES="30")
            os.execv(sys.executable, [sys.executable, "-c", code, *arguments])

    def read_until(self, text: str, limit_s: float = 20.0) -> None:
        end = time.monotonic() + limit_s
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            self._read()

    def _read(self) -> bool:
        if select.select([self._end], [], [], 0.1)[0]:
            try:
                self.shown += os.read(self._end, 65536).decode()
            except OSError:
                return False
        return True

    def wait(self) -> int:
        while self._read():
            pass
        os.close(self._end)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_terminal_is_given_back_after_a_signal(site: Site) -> None:
    """After kill -TERM the cursor is back, the display gone, and the message says how to go on."""
    site.middle()
    site.workspace.lock.unlink()
    terminal = Terminal(RUN, str(site.workspace.root), "0")
    terminal.read_until("1 of 3 directions")
    assert "a message" in terminal.shown
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait() == 1
    after = terminal.shown.rpartition("1 of 3 directions")[2]
    assert SHOW_CURSOR in after
    assert "run the same command again to go on" in after


def test_quiet_terminal(site: Site) -> None:
    """With -q nothing is drawn."""
    site.middle()
    site.workspace.lock.unlink()
    terminal = Terminal(RUN.replace("sleep(30)", "sleep(1.5)"), str(site.workspace.root), "-1")
    assert terminal.wait() == 0
    assert terminal.shown == ""


def test_no_terminal(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """In a file or a pipe there are the messages alone."""
    site.middle()
    log.setup(None)
    with display(site.workspace):
        logging.getLogger("factor").info("a message")
        time.sleep(0.1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(" a message")


def test_a_display_that_breaks_ends_no_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with it, the run goes on."""
    monkeypatch.setattr("factor.progress.live.LOOK_S", 0.01)
    console = Console(file=(site.workspace.root / "screen").open("w"), force_terminal=True)
    monkeypatch.setattr("factor.progress.live.live_terminal", lambda: console)
    with display(Workspace(site.workspace.root / "nowhere")):
        time.sleep(0.1)
    monkeypatch.setattr("rich.live.Live.start", lambda _: 1 / 0)
    with display(site.workspace):
        time.sleep(0.1)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 8)])
def test_it_fits(width: int, height: int, site: Site) -> None:
    """Never wider than the terminal, and never more than half of its height."""
    names = tuple(f"facet_patch_{k}" for k in range(30))
    site.plan(names, groups=(names,))
    site.pulse(started=60)
    site.lock()
    for name in names:
        site.record("facetselfcal", name, (20, None), n=5)
    console = Console(width=width, height=height, record=True, file=(site.workspace.root / "x").open("w"))
    console.print(picture(Reader(site.workspace).read(), width, height))
    lines = console.export_text().splitlines()
    assert len(lines) <= max(6, height // 2 + 1)
    assert max(len(line) for line in lines) < width
    assert "group 1 of 1" in lines[1]
    assert any(line.startswith("facet_patch_0 ") for line in lines)
    assert any(line.startswith("and ") for line in lines)


def test_a_narrower_terminal(tmp_path: Path) -> None:
    """It has wrapped the picture: all its rows are taken off before the next one, and none above them."""
    console = Console(file=(tmp_path / "screen").open("w+"), force_terminal=True, width=100, height=30)
    live = Redrawn(console=console, auto_refresh=False, transient=True)
    live.start()
    live.update(Text(f"{'x' * 40}\n{'y' * 81}"), refresh=True)
    console.width = 40
    console.file.seek(0, os.SEEK_END)
    begin = console.file.tell()
    live.update(Text("short"), refresh=True)
    console.file.seek(begin)
    assert console.file.read().partition("short")[0].count("\x1b[1A") == 1 + 3 - 1
    begin = console.file.tell()
    live.update(Text("short"), refresh=True)
    console.file.seek(begin)
    assert "\x1b[1A" not in console.file.read()


def test_heart_notes_the_end(site: Site) -> None:
    """How a run ended, and what it took, is there for whoever looks later."""
    with heartbeat(site.workspace):
        time.sleep(0.1)
    pulse = load_pulse(site.workspace)
    assert pulse is not None
    assert pulse.outcome == "done"
    assert pulse.peak_memory_mb > 10
    with pytest.raises(ValueError, match="broken"), heartbeat(site.workspace):
        raise ValueError("broken")
    again = load_pulse(site.workspace)
    assert again is not None
    assert (again.outcome, again.message) == ("failed", "broken")
    assert again.peak_memory_mb >= pulse.peak_memory_mb


def test_heart_harms_no_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is found by what matters, not by the signs of life."""
    monkeypatch.setattr("factor.progress.heart.save_pulse", lambda *_: (_ for _ in ()).throw(OSError("full")))
    monkeypatch.setattr("factor.progress.heart.tree_memory_mb", lambda _: 1 / 0)
    with heartbeat(site.workspace):
        time.sleep(0.05)


def test_sizes(site: Site) -> None:
    """Memory of this process, and the size of a folder, are of the right order."""
    import threading

    assert 10 < tree_memory_mb(os.getpid()) < 1e5
    (site.workspace.root / "big").write_bytes(os.urandom(10**6))
    size = folder_bytes(site.workspace.root, threading.Event())
    assert size is not None
    assert 1e6 <= size < 2e6
