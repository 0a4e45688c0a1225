"""The run's signs of life: what it takes, and how it ended, noted for whoever watches."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from factor.errors import FactorError
from factor.state.pulse import Pulse, load_pulse, save_pulse
from factor.state.records import now
from factor.workspace import Workspace

log = logging.getLogger("factor.heart")

#: Time between two signs of life, seconds.
BEAT_S = 10.0

#: Measuring the disk takes at most this part of the time.
_DISK_SHARE = 0.02


@contextmanager
def heartbeat(workspace: Workspace) -> Iterator[None]:
    """Within: signs of life are noted; at the end, how it went. It never fails itself."""
    heart = _Heart(workspace)
    heart.start()
    outcome, message = "failed", ""
    try:
        yield
        outcome = "done"
    except KeyboardInterrupt as error:
        outcome, message = "stopped", str(error)
        raise
    except Exception as error:
        message = str(error) or type(error).__name__
        raise
    finally:
        heart.stop(outcome, message)


class _Heart(threading.Thread):
    """Beats until it is stopped."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(name="heart", daemon=True)
        self._workspace = workspace
        self._ended = threading.Event()
        self._next_look = 0.0
        self._pulse = Pulse(started=now(), updated=now())
        with suppress(FactorError):
            before = load_pulse(workspace)
            if before is not None:
                self._pulse = replace(
                    self._pulse, peak_memory_mb=before.peak_memory_mb, peak_disk_bytes=before.peak_disk_bytes
                )
        self._save()

    def run(self) -> None:
        """Beat."""
        while not self._ended.is_set():
            try:
                self._measure()
            except Exception:
                log.debug("measuring memory and disk failed", exc_info=True)
            if not self._ended.is_set():
                self._save()
            self._ended.wait(BEAT_S)

    def stop(self, outcome: str, message: str) -> None:
        """Note how the run ended."""
        self._ended.set()
        self.join(BEAT_S)
        self._pulse = replace(self._pulse, outcome=outcome, message=message)
        self._save()

    def _measure(self) -> None:
        memory_mb = tree_memory_mb(os.getpid())
        peak_mb = max(memory_mb, self._pulse.peak_memory_mb)
        self._pulse = replace(self._pulse, memory_mb=memory_mb, peak_memory_mb=peak_mb)
        begin = time.monotonic()
        if begin >= self._next_look:
            size = folder_bytes(self._workspace.root, self._ended)
            taken = time.monotonic() - begin
            self._next_look = begin + max(BEAT_S, taken / _DISK_SHARE)
            if size is not None:
                peak = max(size, self._pulse.peak_disk_bytes)
                self._pulse = replace(self._pulse, disk_bytes=size, peak_disk_bytes=peak)

    def _save(self) -> None:
        self._pulse = replace(self._pulse, updated=now())
        with suppress(FactorError, OSError):
            save_pulse(self._workspace, self._pulse)


def tree_memory_mb(pid: int) -> float:
    """Memory of a process and its children, MB; what they share counts more than once."""
    pages, waiting = 0, [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        try:
            pages += int((folder / "statm").read_text().split()[1])
            for task in (folder / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, ValueError, IndexError):  # it has ended, or the system has no /proc
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def folder_bytes(folder: Path, ended: threading.Event) -> int | None:
    """Size on disk of all that is in a folder; None when it was told to end before."""
    total, waiting = 0, [str(folder)]
    while waiting:
        if ended.is_set():
            return None
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with suppress(OSError):  # it was deleted just now
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
        except OSError:
            continue
    return total
