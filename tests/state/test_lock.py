"""One run at a time in a working directory."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from factor.errors import FactorError
from factor.state import lock
from factor.state.lock import holder, run_lock
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


def test_ended_but_not_collected(workspace: Workspace) -> None:
    """In a container without an init a killed run stays in the list of processes for ever."""
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        start = lock._process_start(child)
        workspace.lock.write_text(json.dumps(_holder(child, start)))
        found = holder(workspace)
        assert found is not None
        assert found.alive
        os.kill(child, signal.SIGKILL)
        while lock._process_start(child) != "ended":
            time.sleep(0.01)
        with run_lock(workspace):
            assert json.loads(workspace.lock.read_text())["pid"] == os.getpid()
    finally:
        os.waitpid(child, 0)


def _holder(pid: int, start: str = "") -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": pid, "process_start": start, "since": "2026"}


def _refused(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_without_hard_links(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems know none: one run at a time all the same."""
    monkeypatch.setattr(os, "link", _refused)
    workspace.lock.write_text(json.dumps(_holder(_dead_pid())))
    with run_lock(workspace), pytest.raises(FactorError, match="is in use"), run_lock(workspace):
        pass
    assert not list(workspace.root.iterdir())


def test_an_answer_that_got_lost(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS may repeat a request that was carried out, and is then told that the link exists."""
    link = os.link

    def twice(source: object, target: object) -> None:
        link(source, target)  # type: ignore[arg-type]
        link(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", twice)
    with run_lock(workspace):
        assert json.loads(workspace.lock.read_text())["pid"] == os.getpid()


def test_many_find_a_dead_lock(workspace: Workspace) -> None:
    """Of all that start at once where a run died, at most one runs at a time; none removes another's lock."""
    inside = workspace.root / "inside"
    for _ in range(15):
        workspace.lock.write_text(json.dumps(_holder(_dead_pid())))
        children = [_contender(workspace, inside) for _ in range(6)]
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(statuses) <= {0, 1}
        assert 0 in statuses
        assert not list(workspace.root.iterdir())


def _contender(workspace: Workspace, inside: Path) -> int:
    """A process that takes the lock: ends with 0 when it had it alone, with 1 when it was refused."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            with run_lock(workspace):
                inside.mkdir()
                time.sleep(0.002)
                inside.rmdir()
                status = 0
        except FactorError:
            status = 1
        finally:
            os._exit(status)
    return child


def test_killed_while_clearing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run that died in the act left does not hold up the next one."""
    workspace.lock.write_text(json.dumps(_holder(_dead_pid())))
    child = os.fork()
    if child == 0:
        read = lock._read
        reads = iter(range(2))

        def deadly(path: Path) -> str:
            if next(reads) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return read(path)

        monkeypatch.setattr(lock, "_read", deadly)
        with run_lock(workspace):
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(list(workspace.root.iterdir())) == 2
    with run_lock(workspace):
        pass
    assert not list(workspace.root.iterdir())
