"""Running a command: every way in which it can fail is told, and nothing is lost of what it said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from factor.tools import runner
from factor.tools.command import Command

Shell = Callable[..., Command]


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "logs" / "a.out.log", tmp_path / "logs" / "a.err.log"


def test_success(shell: Shell, logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A good run has no error, its cost, and its output in the logs."""
    output = tmp_path / "out"
    command = shell(f"echo heard; echo $COLOUR; echo seen >&2; touch {output}", output)
    result = runner.run(command, *logs)
    assert (result.returncode, result.error) == (0, "")
    assert result.wall_s > 0
    assert result.peak_memory_mb > 0
    assert "heard\nblue green\n" in logs[0].read_text()
    assert logs[1].read_text() == "seen\n"


def test_logs_are_appended(shell: Shell, logs: tuple[Path, Path]) -> None:
    """A resumed run keeps what the earlier one said, with the commands between."""
    for word in ("first", "second"):
        runner.run(shell(f"echo the {word}"), *logs)
    text = logs[0].read_text()
    assert text.index("the first") < text.index("the second")
    assert text.count("\n$ env ") == 2


def test_log_tells_what_was_done(shell: Shell, logs: tuple[Path, Path]) -> None:
    """Whoever reads the log finds time, step and fate of each command."""
    runner.run(shell("echo fine"), *logs, "solve chunk 1")
    runner.run(shell("echo RuntimeError: broken >&2; exit 1"), *logs, "solve chunk 2")
    first, second = (part.splitlines() for part in logs[0].read_text().split("\n\n"))
    assert first[-1].startswith("# done after ")
    assert second[0].endswith("  solve chunk 2")
    assert second[0].startswith("# 20")
    assert second[-1].startswith("# FAILED (")
    assert "broken) after " in second[-1]


def test_a_failure_beside_it_is_not_its_own(shell: Shell, logs: tuple[Path, Path]) -> None:
    """The solve of one chunk is not thrown away because that of another, in the same log, fails."""
    results: list[runner.Result] = []
    thread = threading.Thread(target=lambda: results.append(runner.run(shell("sleep 0.3; echo fine"), *logs)))
    thread.start()
    time.sleep(0.1)
    assert runner.run(shell("echo RuntimeError: broken >&2; exit 1"), *logs).error
    thread.join()
    assert [result.error for result in results] == [""]
    assert "fine" in logs[0].read_text()
    assert "broken" in logs[1].read_text()
    assert sorted(logs[0].parent.iterdir()) == sorted(logs)


def test_exit_status(shell: Shell, logs: tuple[Path, Path]) -> None:
    """The message is the tool's own, not 'exit status 3'."""
    result = runner.run(shell("echo RuntimeError: no such column >&2; exit 3"), *logs)
    assert result.returncode == 3
    assert result.error == "DP3: no such column"


def test_earlier_errors_are_not_quoted(shell: Shell, logs: tuple[Path, Path]) -> None:
    """The log holds older failures: only what this process said counts."""
    runner.run(shell("echo RuntimeError: old trouble >&2; exit 1"), *logs)
    assert runner.run(shell("exit 1"), *logs).error.count("old trouble") == 0
    assert runner.run(shell("exit 0"), *logs).error == ""


def test_missing_output(shell: Shell, logs: tuple[Path, Path], tmp_path: Path) -> None:
    """Exit status 0 without the output is a failure."""
    result = runner.run(shell("exit 0", tmp_path / "out.ms"), *logs)
    assert "exited with 0 but left no" in result.error
    assert "out.ms" in result.error


def test_exception_with_status_0(shell: Shell, logs: tuple[Path, Path]) -> None:
    """WSClean has been seen to end well after an exception."""
    script = "echo '+ An exception occured:'; echo '+ >>> Error: bad mask'"
    result = runner.run(shell(script, tool="WSClean"), *logs)
    assert "exited with 0 but said" in result.error
    assert "bad mask" in result.error


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV"])
def test_killed_child(shell: Shell, logs: tuple[Path, Path], name: str) -> None:
    """The kernel's out-of-memory killer leaves no word: the signal is named."""
    result = runner.run(shell(f"kill -{name[3:]} $$"), *logs)
    assert f"was ended by {name}" in result.error


def test_input_is_closed(shell: Shell, logs: tuple[Path, Path]) -> None:
    """A tool that asks a question gets no answer instead of waiting for ever."""
    assert runner.run(shell("read answer && exit 0; exit 7"), *logs).returncode == 7


def test_program_that_cannot_start(logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A program that vanished during the run is a failure of the step, not of Factor."""
    result = runner.run(Command("DP3", (str(tmp_path / "gone"),)), *logs)
    assert result.returncode != 0
    assert result.error


def test_stop_all_ends_the_tool_and_its_children(
    shell: Shell, logs: tuple[Path, Path], tmp_path: Path
) -> None:
    """After Ctrl-C nothing goes on writing, and nothing new is started."""
    note = tmp_path / "pid"
    results: list[runner.Result] = []
    command = shell(f"sleep 60 & echo $! > {note}; wait")
    thread = threading.Thread(target=lambda: results.append(runner.run(command, *logs)))
    thread.start()
    deadline = time.monotonic() + 5
    while not (note.exists() and note.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.01)
    grandchild = int(note.read_text())
    runner.stop_all(grace_s=2)
    thread.join(5)
    assert results
    assert results[0].error
    assert not _lives(grandchild)
    assert runner.stopping()
    after = runner.run(shell(f"touch {tmp_path / 'started'}"), *logs)
    assert after.error
    assert not (tmp_path / "started").exists()


def test_tool_that_begins_during_the_stop(
    shell: Shell, logs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that was just being started when Ctrl-C came must not run on for hours."""
    begin = subprocess.Popen

    def begin_late(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        runner.stop_all()
        return begin(*arguments, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", begin_late)
    started = time.monotonic()
    assert "SIGKILL" in runner.run(shell("sleep 20"), *logs).error
    assert time.monotonic() - started < 10


def test_stubborn_tool_is_killed(shell: Shell, logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A tool that ignores SIGTERM does not outlive the run."""
    results: list[runner.Result] = []
    ready = tmp_path / "ready"
    command = shell(f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done")
    thread = threading.Thread(target=lambda: results.append(runner.run(command, *logs)))
    thread.start()
    while not ready.exists():
        time.sleep(0.01)
    runner.stop_all(grace_s=0.2)
    thread.join(5)
    assert results
    assert "SIGKILL" in results[0].error


def test_tool_dies_with_a_killed_factor(tmp_path: Path) -> None:
    """After kill -9 of Factor no old tool may write beside those of the next run."""
    note = tmp_path / "pid"
    code = (
        "from pathlib import Path\n"
        "from factor.tools import runner\n"
        "from factor.tools.command import Command\n"
        f"command = Command('DP3', ('/bin/sh', '-c', 'echo $$ > {note}; exec sleep 60'))\n"
        f"runner.run(command, Path('{tmp_path}/o'), Path('{tmp_path}/e'))\n"
    )
    checkout = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(checkout)}
    )
    deadline = time.monotonic() + 10
    while not (note.exists() and note.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(note.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 3
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    """Whether a process runs (one that waits to be collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
