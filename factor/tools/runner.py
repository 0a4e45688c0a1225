"""Running a command: the only module that starts processes."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from factor.errors import FactorError
from factor.tools.command import Command
from factor.tools.watchers import fatal_line, last_error

_TAIL_LINES = 400
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
_running: set[int] = set()
_viewers: list[subprocess.Popen[bytes]] = []
_lock = threading.Lock()
_stopping = threading.Event()


@dataclass(frozen=True)
class Result:
    """The record of a finished process."""

    command: Command
    returncode: int
    started: float
    """Start, seconds since 1970."""
    wall_s: float
    cpu_s: float
    peak_memory_mb: float
    error: str
    """Why it failed; empty when it did not."""

    @property
    def crashed(self) -> bool:
        """Whether the program broke down by itself."""
        return -self.returncode in _CRASHES


def _die_with_parent(argv: tuple[str, ...]) -> list[str]:
    """Have the kernel end the tool when Factor is killed, where util-linux's setpriv can do so."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *argv] if setpriv else list(argv)


def run(command: Command, out_log: Path, err_log: Path, title: str = "") -> Result:
    """Run a command to its end, its output appended to the logs.

    Parameters
    ----------
    command : Command
        What to run.
    out_log, err_log : Path
        Files that take its standard output and error.
    title : str
        What it does, for whoever reads the log.

    Returns
    -------
    Result
        With ``error`` set when the tool failed: by its exit status, by what it said,
        or by an output that is not there.
    """
    # Steps that run side by side share their logs: what this one says is kept apart until its end.
    own = [log.with_name(f"{log.name}.{os.getpid()}.{threading.get_ident()}") for log in (out_log, err_log)]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    started = time.time()
    try:
        with own[0].open("a+", errors="replace") as out, own[1].open("a+", errors="replace") as err:
            out.write(f"\n# {time.strftime('%Y-%m-%d %H:%M:%S')}  {title or command.tool}\n")
            out.write(f"$ {command.paste()}\n")
            out.flush()
            mark = out.tell()
            returncode, cpu_s, memory_mb = _wait(command, out, err)
            tail = _tail(err, 0) + _tail(out, mark)
            error = _judge(command, returncode, tail)
            out.write(f"# {f'FAILED ({error})' if error else 'done'} after {time.time() - started:.1f} s\n")
    finally:
        for path, log in zip(own, (out_log, err_log), strict=True):
            _move_into(path, log)
    return Result(command, returncode, started, time.time() - started, cpu_s, memory_mb, error)


def note(result: Result, title: str, commands: Path) -> None:
    """Note a command that came to its end, ready to paste.

    Parameters
    ----------
    result : Result
        What became of it.
    title : str
        What it was for: ``<operation> <direction>: <step>``, or ``input <name>: <check>``.
    commands : Path
        The file of all commands (`Workspace.commands_log`); nothing is noted where its folder is not there
        (a dry run before the first).
    """
    if not commands.parent.is_dir():
        return
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(result.started))
    ended = time.strftime("%H:%M:%S", time.localtime(result.started + result.wall_s))
    text = (
        f"# {began} to {ended} ({result.wall_s:.1f} s, CPU {result.cpu_s:.1f} s, "
        f"{result.peak_memory_mb:.0f} MB), exit status {result.returncode}: "
        f"{title}\n{result.command.paste()}\n"
    )
    with commands.open("a") as handle:
        handle.write(text)


def _move_into(part: Path, log: Path) -> None:
    """Append a file to a log, and delete it."""
    if part.exists():
        with _lock, part.open("rb") as source, log.open("ab") as target:
            shutil.copyfileobj(source, target)
        part.unlink()


def _wait(command: Command, out: object, err: object) -> tuple[int, float, float]:
    # A tool that dies with all its memory in use must not fill the disk with it; children inherit this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    environment = {**os.environ, **dict(command.environment)}
    if _stopping.is_set():
        return -signal.SIGTERM, 0.0, 0.0
    process = subprocess.Popen(  # noqa: S603 - argv is a list that Factor built
        _die_with_parent(command.full_argv),
        stdin=subprocess.DEVNULL,
        stdout=out,  # type: ignore[call-overload]
        stderr=err,
        env=environment,
        start_new_session=True,
    )
    with _lock:
        _running.add(process.pid)
    if _stopping.is_set():
        # `stop_all` came while the process began, and did not see it.
        os.killpg(process.pid, signal.SIGKILL)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        with _lock:
            _running.discard(process.pid)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _tail(log: object, start: int) -> list[str]:
    log.seek(start)  # type: ignore[attr-defined]
    return list(deque(log, maxlen=_TAIL_LINES))  # type: ignore[call-overload]


def _judge(command: Command, returncode: int, tail: list[str]) -> str:
    if returncode != 0:
        if returncode < 0:
            name = signal.Signals(-returncode).name
            return f"{command.tool} was ended by {name}: {last_error(command.tool, tail)}"
        return f"{command.tool}: {last_error(command.tool, tail)}"
    fatal = fatal_line(command.tool, tail)
    if fatal:
        return f"{command.tool} exited with 0 but said: {last_error(command.tool, tail)}"
    missing = [str(path) for path in command.outputs if not path.exists()]
    if missing:
        return f"{command.tool} exited with 0 but left no {', '.join(missing)}"
    return ""


def start_viewer(argv: tuple[str, ...], environment: tuple[tuple[str, str], ...] = ()) -> None:
    """Start a program that shows something to the user: it outlives Factor and is not waited for.

    Raises
    ------
    FactorError
        When it cannot be started.
    """
    _viewers[:] = [viewer for viewer in _viewers if viewer.poll() is None]
    try:
        viewer = subprocess.Popen(  # noqa: S603 - argv is a list that Factor built
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **dict(environment)},
            start_new_session=True,
        )
    except OSError as error:
        raise FactorError(f"cannot start {argv[0]}: {error.strerror}") from error
    _viewers.append(viewer)


def answers(
    argv: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    within_s: float,
    *,
    patient: bool = False,
) -> bool:
    """Whether a short command, that talks to a viewer, ends well.

    Parameters
    ----------
    argv, environment
        The command.
    within_s : float
        The longest time that it may take.
    patient : bool
        Ask again until then: the viewer is coming up.
    """
    end = time.monotonic() + within_s
    while True:
        try:
            left_s = max(0.1, end - time.monotonic())
            done = subprocess.run(  # noqa: S603 - argv is a list that Factor built
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=left_s, check=False,
                env={**os.environ, **dict(environment)},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        # xpaset and xpaget say what is wrong, and sometimes exit with 0 all the same.
        if done.returncode == 0 and b"XPA$ERROR" not in done.stdout + done.stderr:
            return True
        if not patient or time.monotonic() > end:
            return False
        time.sleep(0.3)


def stop_all(grace_s: float = 5.0) -> None:
    """End all running tools (SIGTERM, then SIGKILL after the grace), and start no others."""
    _stopping.set()
    for sign, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 0.0)):
        with _lock:
            pids = tuple(_running)
        for pid in pids:
            try:
                os.killpg(pid, sign)
            except ProcessLookupError:
                continue
        end = time.monotonic() + wait_s
        while _running and time.monotonic() < end:
            time.sleep(0.05)


def stopping() -> bool:
    """Whether `stop_all` was called."""
    return _stopping.is_set()


def reset() -> None:
    """Forget an earlier `stop_all` (a new run in the same process)."""
    _stopping.clear()
