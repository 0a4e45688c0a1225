"""One run at a time in a working directory."""

from __future__ import annotations

import json
import os
import socket

import pytest

from factor.errors import FactorError
from factor.state.lock import run_lock
from factor.workspace import Workspace


def test_second_run_is_refused(workspace: Workspace) -> None:
    """Two runs would subtract into each other's data."""
    with run_lock(workspace):
        with pytest.raises(FactorError, match=f"process {os.getpid()}") as caught, run_lock(workspace):
            pass
        assert socket.gethostname() in str(caught.value)
        assert "kill" in caught.value.hint
        assert workspace.lock.exists()
    assert not workspace.lock.exists()


def test_released_after_a_failure(workspace: Workspace) -> None:
    """A run that failed can be started again at once."""
    with pytest.raises(ValueError, match="no"), run_lock(workspace):
        raise ValueError("no")
    assert not workspace.lock.exists()


def _dead_pid() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_dead_process_on_this_host(workspace: Workspace) -> None:
    """After a kill -9 the next run starts without anything by hand."""
    workspace.lock.write_text(json.dumps({"host": socket.gethostname(), "pid": _dead_pid()}))
    with run_lock(workspace):
        assert json.loads(workspace.lock.read_text())["pid"] == os.getpid()


def test_reused_pid(workspace: Workspace) -> None:
    """After a reboot another program may have the pid of the run that died."""
    content = {"host": socket.gethostname(), "pid": os.getpid(), "process_start": "boot/1"}
    workspace.lock.write_text(json.dumps(content))
    with run_lock(workspace):
        assert json.loads(workspace.lock.read_text())["process_start"] != "boot/1"


@pytest.mark.parametrize("text", ['{"host": "elsewhere", "pid": 1, "since": "2026"}', "", "{"])
def test_unknown_holder_counts_as_alive(workspace: Workspace, text: str) -> None:
    """A process on another host of the cluster can't be seen from here."""
    workspace.lock.write_text(text)
    with pytest.raises(FactorError, match="is in use") as caught, run_lock(workspace):
        pass
    assert f"delete {workspace.lock}" in caught.value.hint
    assert workspace.lock.exists()
