"""Copies that appear under their names when they are whole: side by side, with checksums."""

from __future__ import annotations

import filecmp
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from factor.archive.manifest import Entry, FileSum, parts, problems_of_files
from factor.errors import FactorError, InputError, Interrupted
from factor.execution.local import available_cpus
from factor.files import place_of
from factor.log import live_terminal
from factor.tools import runner

log = logging.getLogger("factor.archive")

_BLOCK = 1 << 22

#: Without a terminal the progress is told so often, seconds.
_TELL_S = 60.0

#: casacore's lock: every reader changes it, and whoever opens the table makes it anew.
_LOCK_FILE = "table.lock"

#: Free space that is left, as a part of what is written.
_MARGIN = 1.02

Result = TypeVar("Result")
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Item:
    """A file or a measurement set that goes into an archive.

    Attributes
    ----------
    source : Path
        Where it is.
    target : str
        Where it goes in the archive.
    restores : tuple of str
        Where it goes in a restored working directory.
    """

    source: Path
    target: str
    restores: tuple[str, ...] = ()


def files_of(path: Path) -> list[str]:
    """Files of a measurement set, relative to it, without casacore's locks; ``['']`` for a file."""
    if not path.is_dir():
        return [""]
    return sorted(
        str(file.relative_to(path)) for file in path.rglob("*") if file.is_file() and file.name != _LOCK_FILE
    )


def within(path: Path, file: str) -> Path:
    """A file of a measurement set; the path itself for an empty name."""
    return path / file if file else path


def size_of(path: Path) -> int:
    """Bytes of a file or a measurement set."""
    return sum(within(path, file).stat().st_size for file in files_of(path))


def same(source: Path, target: Path) -> bool:
    """Whether a copy that is there is of this very source: by sizes and times, else by content."""
    files = files_of(source)
    return files == files_of(target) and all(
        _same_file(within(source, file), within(target, file)) for file in files
    )


def _same_file(source: Path, target: Path) -> bool:
    one, other = source.stat(), target.stat()
    if one.st_size != other.st_size:
        return False
    # A run that goes on writes some files anew, as they were.
    return one.st_mtime_ns == other.st_mtime_ns or filecmp.cmp(source, target, shallow=False)


def copy_item(item: Item, folder: Path, advance: Advance) -> Entry:
    """Copy one item, in place of what is there, and give its entry."""
    target = folder / item.target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    remove(part)
    files = []
    for name in files_of(item.source):
        source, copy = within(item.source, name), within(part, name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        digest = copy_file(source, copy, advance)
        files.append(FileSum(name, copy.stat().st_size, digest))
    remove(target)
    part.rename(target)
    return Entry(item.target, tuple(files), item.restores)


def copy_file(source: Path, target: Path, advance: Advance) -> str:
    """Copy a file with its time, and give its checksum."""
    content = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        for block in _blocks(reader, advance):
            content.update(block)
            writer.write(block)
    status = source.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return content.hexdigest()


def checksum(path: Path, advance: Advance) -> str:
    """SHA-256 of a file."""
    content = hashlib.sha256()
    with path.open("rb") as reader:
        for block in _blocks(reader, advance):
            content.update(block)
    return content.hexdigest()


def entry_of(path: Path, name: str, restores: tuple[str, ...], advance: Advance) -> Entry:
    """The entry of what is in an archive already."""
    files = []
    for file in files_of(path):
        member = within(path, file)
        files.append(FileSum(file, member.stat().st_size, checksum(member, advance)))
    return Entry(name, tuple(files), restores)


def damage(folder: Path, entries: Sequence[Entry]) -> list[str]:
    """What is wrong with files of an archive: missing, links, other sizes, other checksums."""
    problems = problems_of_files(folder, entries)
    if problems:
        return problems
    total = sum(entry.size for entry in entries)
    log.info("verifying %d files and measurement sets, %s", len(entries), in_words(total))
    jobs = [partial(_damaged, folder, entry) for entry in entries]
    return [path for found in side_by_side("verifying", total, jobs) for path in found]


def _damaged(folder: Path, entry: Entry, advance: Advance) -> list[str]:
    return [
        f"{folder / path}: its checksum is not that of the manifest"
        for path, file in parts(entry)
        if checksum(folder / path, advance) != file.sha256
    ]


def _blocks(reader: object, advance: Advance) -> Iterator[bytes]:
    while block := reader.read(_BLOCK):  # type: ignore[attr-defined]
        if runner.stopping():
            raise Interrupted("stopped; what is copied is kept", "run the same command again to go on")
        advance(len(block))
        yield block


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_space(folder: Path, needed: int) -> None:
    """Refuse to begin what would not fit.

    Raises
    ------
    InputError
        With what is needed and what is free.
    """
    there = place_of(folder)
    free = shutil.disk_usage(there).free
    log.info("%s to be written, %s free in %s", in_words(needed), in_words(free), folder)
    if needed * _MARGIN > free:
        raise InputError(
            f"{folder}: {in_words(needed)} are needed, {in_words(free)} are free",
            "make room, or take another disk",
        )


def in_words(n_bytes: float) -> str:
    """A size for a person."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes / 1e3:.3g} kB"


def side_by_side(title: str, total: int, jobs: Sequence[Callable[[Advance], Result]]) -> list[Result]:
    """Do jobs in threads, with a bar of the bytes that they have gone through.

    Parameters
    ----------
    title : str
        What is done.
    total : int
        Bytes in all.
    jobs : sequence of callable
        Each is given a function to be told of its bytes.

    Returns
    -------
    list
        What they returned, in order.

    Raises
    ------
    FactorError
        When a file can't be read or written.
    """
    with _progress(title, total) as advance, ThreadPoolExecutor(_threads()) as pool:
        futures = [pool.submit(job, advance) for job in jobs]
        try:
            done, pending = wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for future in pending:
            future.cancel()
        try:
            for future in done:
                future.result()
            return [future.result() for future in futures]
        except OSError as error:
            name = error.filename or title
            raise FactorError(
                f"{name}: {error.strerror or error}", "correct that, then run the same again"
            ) from error


def _threads() -> int:
    return max(2, min(8, available_cpus()))


@contextmanager
def _progress(title: str, total: int) -> Iterator[Advance]:
    console = live_terminal()
    lock = threading.Lock()
    if console is None:
        done, told = 0, time.monotonic()

        def tell(count: int) -> None:
            nonlocal done, told
            with lock:
                done += count
                if time.monotonic() - told > _TELL_S:
                    told = time.monotonic()
                    log.info("%s: %s of %s", title, in_words(done), in_words(total))

        yield tell
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)
