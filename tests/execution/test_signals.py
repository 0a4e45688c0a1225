"""Ctrl-C and SIGTERM, in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from factor.errors import Interrupted
from factor.execution.local import side_by_side
from factor.execution.signals import stop_on_signals
from factor.products.models import skymodel
from factor.tools import runner

CODE = """
import sys
from pathlib import Path
from factor.cli.common import guarded
from factor.execution.context import Engine
from factor.execution.local import Processors, side_by_side
from factor.execution.signals import stop_on_signals
from factor.execution.step import Step
from factor.state.store import StateStore
from factor.tools.command import Command
from factor.tools.environment import Tools
from factor.workspace import Workspace

root = Path(sys.argv[1])
workspace = Workspace(root / "work")
engine = Engine(workspace, StateStore(workspace), Tools(Path("/bin/sh"), Path("/bin/sh")), Processors(2))

def job(name):
    context = engine.context("facetselfcal", name)
    context.start({})
    output = context.scratch / "out"
    script = f"trap '' {sys.argv[2]}; echo $$ > {root}/{name}.pid; touch {output}; sleep 60; exit 0"
    context.run(Step("sleep", Command("DP3", ("/bin/sh", "-c", script), (), (), (output,)), (), (output,)))

def run():
    with stop_on_signals():
        failures = side_by_side({n: lambda n=n: job(n) for n in ("a", "b")}, 2)
        for error in failures.values():
            raise error

sys.exit(guarded("runfactor", run))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_tools_and_tells_how_to_go_on(tmp_path: Path, name: str) -> None:
    """Status 1, one message, no child left, no half output, no traceback."""
    checkout = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(tmp_path), "HUP"],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    notes = [tmp_path / "a.pid", tmp_path / "b.pid"]
    deadline = time.monotonic() + 10
    while not all(note.exists() and note.read_text().strip() for note in notes):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"stopped by {name}" in err
    assert "run the same command again" in err
    assert "Traceback" not in out + err
    for note in notes:
        assert not Path(f"/proc/{note.read_text().strip()}").exists()
    assert not list((tmp_path / "work").rglob("scratch/out"))


def test_another_signal_does_not_disturb_the_end() -> None:
    """Ctrl-C and then SIGTERM: what is still being noted is waited for, and the lock held so long."""
    ended = []

    def interrupted() -> None:
        with stop_on_signals():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGTERM)
                ended.append("well")

    with pytest.raises(Interrupted, match="SIGINT"):
        interrupted()
    runner.reset()
    assert ended == ["well"]
    assert signal.getsignal(signal.SIGTERM) != signal.SIG_IGN


def test_what_is_being_read_is_not_called_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads what lets all kinds of errors out must not take Ctrl-C for one of them."""
    path = tmp_path / "sound.skymodel"
    path.touch()
    reader = SimpleNamespace(skyModelReader=lambda _: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(skymodel, "_lsmtool_tables", lambda: reader)
    with pytest.raises(Interrupted, match=r"^stopped by SIGINT"), stop_on_signals():
        skymodel.read(path)
    runner.reset()


def test_a_signal_that_another_thread_got() -> None:
    """The main thread sleeps on, unless it wakes up now and then to see what came."""
    stopped = []

    def job() -> None:
        time.sleep(0.3)  # until the main thread sleeps
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        end = time.monotonic() + 20
        while not runner.stopping() and time.monotonic() < end:
            time.sleep(0.01)
        stopped.append(runner.stopping())

    def interrupted() -> None:
        with stop_on_signals():
            side_by_side({"a": job}, 1)

    with pytest.raises(Interrupted, match="SIGTERM"):
        interrupted()
    runner.reset()
    assert stopped == [True]
