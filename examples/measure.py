"""Run a command and note its cost: ``python measure.py [--disk FOLDER] NOTES.json COMMAND...``.

Every call adds an entry to the notes, so that the parts of a run that was interrupted
and resumed add up: wall time, CPU time of the command and all its children, and the
largest memory that its tree of processes had together; with ``--disk`` also the largest
size that Factor's working directory FOLDER had, data that the user asked to keep left out.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

_SAMPLE_S = 0.5
_DISK_SAMPLE_S = 5.0
_BLOCK_BYTES = 512


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def _memory_bytes(pid: int) -> int:
    """Memory of a process, what it shares with others counted in parts."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def tree_memory_bytes(root: int) -> int:
    """Memory of a process and all its descendants."""
    children = _children()
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += _memory_bytes(pid)
        waiting += children.get(pid, [])
    return total


def folder_bytes(folder: Path) -> int:
    """Size of a working directory on disk, without the facets' calibrated data that it keeps."""
    total = 0
    kept = folder / "results"
    for place, folders, files in os.walk(folder):
        here = Path(place)
        # Products are results/<operation>/<direction>/*.ms; deeper ones are intermediate.
        if here.parent.parent == kept:
            folders[:] = [name for name in folders if not name.endswith(".ms")]
        for name in files:
            try:
                total += (here / name).lstat().st_blocks * _BLOCK_BYTES
            except OSError:
                continue
    return total


class _Sampler(threading.Thread):
    """Watches the memory of a tree of processes, and the size of a folder."""

    def __init__(self, root: int, folder: Path | None = None) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.folder = folder
        self.peak_bytes = 0
        self.peak_disk_bytes = 0
        self.ended = threading.Event()

    def run(self) -> None:
        looked = time.monotonic()
        while not self.ended.wait(_SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, tree_memory_bytes(self.root))
            if time.monotonic() - looked >= _DISK_SAMPLE_S:
                self.look_at_disk()
                looked = time.monotonic()

    def look_at_disk(self) -> None:
        """Note the folder's size when it is the largest so far."""
        if self.folder is not None:
            self.peak_disk_bytes = max(self.peak_disk_bytes, folder_bytes(self.folder))


def measure(command: list[str], notes: Path, folder: Path | None = None) -> int:
    """Run a command and add its cost to the notes.

    Parameters
    ----------
    command : list of str
    notes : Path
        JSON file of a list, to which an entry is added.
    folder : Path, optional
        Working directory whose size is watched.

    Returns
    -------
    int
        The exit status of the command.
    """
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command as well
    sampler = _Sampler(process.pid, folder)
    sampler.start()
    status = process.wait()
    sampler.ended.set()
    sampler.join()
    sampler.look_at_disk()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    entries = json.loads(notes.read_text()) if notes.exists() else []
    entry = {
        "wall_s": round(time.monotonic() - start, 2),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_memory_gb": round(sampler.peak_bytes / 1e9, 3),
        "cores": len(os.sched_getaffinity(0)),
        "exit_status": status,
    }
    if folder is not None:
        entry["peak_disk_gb"] = round(sampler.peak_disk_bytes / 1e9, 3)
    entries.append(entry)
    draft = notes.with_suffix(".draft")
    draft.write_text(json.dumps(entries, indent=2) + "\n")
    draft.replace(notes)
    return status if status >= 0 else 1


def main(argv: list[str]) -> int:
    """Measure the command of the arguments."""
    folder = None
    if len(argv) > 1 and argv[0] == "--disk":
        folder, argv = Path(argv[1]), argv[2:]
    if len(argv) < 2:
        print("usage: measure.py [--disk FOLDER] NOTES.json COMMAND...", file=sys.stderr)
        return 2
    return measure(argv[1:], Path(argv[0]), folder)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
