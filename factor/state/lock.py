"""One run at a time in a working directory, also on a network file system.

The lock is a file that says which process of which host holds it. It appears whole, or not
at all, by a hard link, which network file systems make for one of several at once; nothing
here needs their own locks.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factor.errors import FactorError
from factor.state.records import now
from factor.workspace import Workspace

#: What file systems without hard links say.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_ENDED = "ended"


@contextmanager
def run_lock(workspace: Workspace) -> Iterator[None]:
    """Hold the working directory for this process.

    A lock that a dead process on this machine left is taken over.

    Parameters
    ----------
    workspace : Workspace
        The working directory; it is made when it is not there.

    Raises
    ------
    FactorError
        When another run holds it: which host, process, since when, and what to do.
    """
    workspace.root.mkdir(parents=True, exist_ok=True)
    path = workspace.lock
    content = _acquire(path)
    try:
        yield
    finally:
        if _read(path) == content:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Holder:
    """Who holds a working directory.

    Attributes
    ----------
    host, since : str
        The machine, and when the run began (ISO 8601 in UTC); empty when the lock does not say.
    pid : int
        Its process; 0 when the lock does not say.
    alive : bool
        Whether it may still run: true as well on another machine, of which nothing is known.
    is_here : bool
        Whether it runs on this machine.
    """

    host: str
    since: str
    pid: int
    alive: bool
    is_here: bool


def holder(workspace: Workspace) -> Holder | None:
    """Look who holds a working directory, without touching anything; None when nobody does."""
    if not workspace.lock.exists():
        return None
    content = _parse(_read(workspace.lock))
    pid = content.get("pid")
    return Holder(
        host=str(content.get("host", "")),
        since=str(content.get("since", "")),
        pid=pid if isinstance(pid, int) else 0,
        alive=_is_alive(content),
        is_here=content.get("host") == socket.gethostname(),
    )


def _acquire(path: Path) -> str:
    """Make the lock; give what is in it, which no other lock ever had."""
    content = json.dumps(
        {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process_start": _process_start(os.getpid()),
            "since": now(),
            "token": secrets.token_hex(8),
        }
    )
    for _ in range(3):
        try:
            if _appear(path, content):
                return content
        except OSError as error:
            raise FactorError(
                f"{path} can't be made: {error.strerror or error}",
                "dir_working must be a directory in which files can be written",
            ) from error
        _clear_if_stale(path)
    raise FactorError(f"{path}: several runs are starting here at once", "start one of them again")


def _appear(path: Path, content: str) -> bool:
    """Make a file with its content at once; False when it is there already."""
    own = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        _write_new(own, content)
        try:
            os.link(own, path)
        except FileExistsError:
            # Over a network the answer to a link that was made can get lost, and the link be asked for again.
            return own.stat().st_nlink == 2
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            try:
                _write_new(path, content)
            except FileExistsError:
                return False
        return True
    finally:
        own.unlink(missing_ok=True)


def _write_new(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        os.write(descriptor, content.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear_if_stale(path: Path) -> None:
    """Remove a dead process' lock; raise when its run may be alive.

    Of several runs that find it, the one that holds a lock named after its content may remove
    it, after another look: so none removes the new lock of another.
    """
    stale = _read(path)
    if not stale and not path.exists():
        return
    content = _parse(stale)
    if _is_alive(content):
        raise _busy(path, content)
    right = path.with_name(f"{path.name}.{hashlib.sha256(stale.encode()).hexdigest()[:12]}")
    _acquire(right)
    try:
        if _read(path) == stale:
            path.unlink()
    finally:
        right.unlink(missing_ok=True)


def _is_alive(holder: dict[str, Any]) -> bool:
    """Tell whether a lock's process may still run; unknown counts as alive."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _process_start(pid)
    # A process that has ended, but whose parent does not care, does not work any more.
    return now != _ENDED and (not holder.get("process_start") or now in ("", holder["process_start"]))


def _process_start(pid: int) -> str:
    """Give the start of a process in clock ticks since boot, to tell a reused pid; '' if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return _ENDED if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def _busy(path: Path, holder: dict[str, Any]) -> FactorError:
    host, pid = holder.get("host", "an unknown host"), holder.get("pid", "unknown")
    since = holder.get("since", "an unknown time")
    here = host == socket.gethostname()
    return FactorError(
        f"{path.parent} is in use: another run holds {path} (host {host}, process {pid}, since {since})",
        f"wait for it, or stop it with 'kill {pid}'"
        if here
        else f"wait for it; if it is certain that no run works here any more, delete {path}",
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
