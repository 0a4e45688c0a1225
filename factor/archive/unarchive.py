"""unarchivefactor: a run restored from a resumable archive, ready to go on where it is now."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from factor.archive.copying import (
    Advance,
    check_space,
    checksum,
    copy_file,
    damage,
    files_of,
    remove,
    side_by_side,
    within,
)
from factor.archive.flags import FLAGS
from factor.archive.inputs import restored_parset, with_root, with_words
from factor.archive.manifest import Entry, Manifest, read_manifest
from factor.errors import InputError
from factor.execution.signals import stop_on_signals
from factor.state.lock import run_lock
from factor.state.table import open_table
from factor.tools import environment
from factor.workspace import Workspace

log = logging.getLogger("factor.archive")

Rewrite = Callable[[bytes], bytes]

_TOLD = 5

#: Files of a table's columns.
_COLUMN_FILE = re.compile(r"table\.f(?P<manager>\d+)(_TSM\d+)?")

#: The column of a chunk that a run writes to.
_EDITED = "CORRECTED_DATA"


@dataclass(frozen=True)
class _Restored:
    """A file or a measurement set of a restored run.

    Attributes
    ----------
    entry : Entry
        What it comes from.
    path : str
        In the working directory.
    rewrite : callable or None
        What changes its content.
    linked : tuple of str
        Files of it that are linked instead of being copied.
    """

    entry: Entry
    path: str
    rewrite: Rewrite | None = None
    linked: tuple[str, ...] = ()


def unarchive(folder: Path, output: Path, *, symlink: bool, clobber: bool) -> None:
    """Restore a run.

    Parameters
    ----------
    folder : Path
        A resumable archive.
    output : Path
        The working directory to be.
    symlink : bool
        Link what never changes of the chunks instead of copying it.
    clobber : bool
        Replace files that are there.

    Raises
    ------
    FactorError
        When the archive is not complete, not resumable, damaged, foreign or newer; nothing
        is written then.
    """
    environment.prepare()
    folder, output = folder.resolve(), output.resolve()
    if output == folder or folder in output.parents or output in folder.parents:
        raise InputError(
            f"{output} and the archive {folder} lie within each other", "restore to another folder"
        )
    manifest = read_manifest(folder)
    if not manifest.resumable:
        raise InputError(
            f"{folder} is not resumable: it was made without -r",
            "run archivefactor -r, or give its chunks as dir_ms of a new run if it has them",
        )
    workspace = Workspace(output)
    with stop_on_signals():
        restored = _verified(folder, manifest, workspace)
        if symlink:
            restored = [_with_links(folder, item) for item in restored]
        waiting = _waiting(folder, restored, output, clobber=clobber)
        _refuse_foreign(restored, output)
        check_space(output, sum(_bytes(item) for item in waiting))
        with run_lock(workspace):
            _restore_all(folder, waiting, output)
            for names in workspace.records():
                # Some operations leave nothing but their record.
                workspace.products(*names).mkdir(parents=True, exist_ok=True)
    log.info("restored: go on with  runfactor %s", workspace.parset)


def restore_part(
    folder: Path, manifest: Manifest, workspace: Workspace, wanted: Callable[[str], bool]
) -> None:
    """Restore some of a run's files, and verify parset and flags; what is there already is left alone.

    Parameters
    ----------
    folder, manifest
        The archive.
    workspace : Workspace
        Where to.
    wanted : callable
        Tells by its place there whether a file is.

    Raises
    ------
    InputError
        When one of them is damaged, or another file is in its place.
    """
    entries = [
        replace(e, restores=tuple(path for path in e.restores if wanted(path))) for e in manifest.entries
    ]
    # These are read where they are.
    read = (manifest.parset, f"{FLAGS}/")
    part = replace(manifest, entries=tuple(e for e in entries if e.restores or e.path.startswith(read)))
    restored = _verified(folder, part, workspace)
    _restore_all(folder, _waiting(folder, restored, workspace.root, clobber=False), workspace.root)


def _restore_all(folder: Path, items: Sequence[_Restored], output: Path) -> None:
    jobs = [partial(_restore, folder, item, output) for item in items]
    side_by_side("restoring", sum(_bytes(item) for item in items), jobs)


def _plan(manifest: Manifest, workspace: Workspace) -> Iterator[_Restored]:
    """What goes where, and what is rewritten on the way."""
    root = workspace.root
    for entry in manifest.entries:
        for path in entry.restores:
            rewrite: Rewrite | None = None
            if path == workspace.relative(workspace.parset):
                rewrite = _in_text(partial(restored_parset, options=manifest.options, workspace=workspace))
            elif path in manifest.words:
                rewrite = _in_text(partial(with_words, words=manifest.words[path], root=root))
            elif path.startswith(f"{workspace.state.name}/"):
                rewrite = _in_text(partial(with_root, old=manifest.dir_working, new=root))
            yield _Restored(entry, path, rewrite)


def _in_text(change: Callable[[str], str]) -> Rewrite:
    # Whatever else is in it stays as it is.
    return lambda content: change(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _verified(folder: Path, manifest: Manifest, workspace: Workspace) -> list[_Restored]:
    """What goes where, from an archive that is what its manifest says and leads nowhere else.

    Raises
    ------
    InputError
        With all that is wrong.
    """
    restored = list(_plan(manifest, workspace))
    problems = _odd_places([item.path for item in restored], workspace)
    problems = problems or damage(folder, manifest.entries)
    if problems:
        raise InputError(problems, "the archive is damaged: copy it again, or make it again")
    return restored


def _odd_places(paths: Sequence[str], workspace: Workspace) -> list[str]:
    """Places that are not those of a run's files, or that two files claim."""
    folders = [
        *(workspace.chunks, workspace.results, workspace.state),
        *(workspace.inputs, workspace.logs, workspace.regions),
    ]
    files = [workspace.parset, workspace.log, workspace.commands_log, workspace.directions_file]
    starts = tuple(f"{workspace.relative(path)}/" for path in folders)
    names = {workspace.relative(path) for path in files}
    problems = [
        f"the manifest restores a file to {path}, which is not a place of a run's files"
        for path in paths
        if path not in names and not path.startswith(starts)
    ]
    claimed = set(paths)
    if len(claimed) < len(paths) or any(str(p) in claimed for path in paths for p in Path(path).parents):
        problems.append("the manifest restores several files to one place")
    return problems


def _with_links(folder: Path, item: _Restored) -> _Restored:
    """A chunk whose columns that never change are linked."""
    if not (item.path.startswith("chunks/") and item.path.endswith(".ms")):
        return item
    with open_table(folder / item.entry.path) as main:
        managers = main.getdminfo().values()
    edited = {str(m["SEQNR"]) for m in managers if _EDITED in m["COLUMNS"]}
    matches = [_COLUMN_FILE.fullmatch(file.path) for file in item.entry.files]
    linked = tuple(m.string for m in matches if m is not None and m["manager"] not in edited)
    return _Restored(item.entry, item.path, item.rewrite, linked)


def _bytes(item: _Restored) -> int:
    return sum(file.size for file in item.entry.files if file.path not in item.linked)


def _waiting(folder: Path, restored: Sequence[_Restored], output: Path, *, clobber: bool) -> list[_Restored]:
    """What is not there yet.

    Raises
    ------
    InputError
        When other files are there, of another state of a run or of another run.
    """
    there = [item for item in restored if (output / item.path).exists()]
    total = sum(_bytes(item) for item in there)
    jobs = [partial(_is_restored, folder, item, output) for item in there]
    whole = side_by_side("looking at what is there", total, jobs)
    other = [item for item, good in zip(there, whole, strict=True) if not good]
    if other and not clobber:
        names = ", ".join(str(output / item.path) for item in other[:_TOLD])
        raise InputError(
            f"{len(other)} files are there and are not those of the archive, e.g. {names}",
            "use -c to replace them, or restore to another folder",
        )
    done = {item.path for item, good in zip(there, whole, strict=True) if good}
    if done:
        log.info("%d files and measurement sets are there already", len(done))
    return [item for item in restored if item.path not in done]


def _refuse_foreign(items: Sequence[_Restored], output: Path) -> None:
    """Refuse files among chunks, results and state that would be mixed with those of the archive."""
    restored = {item.path for item in items}
    found: list[str] = []
    for name in ("chunks", "results", "state"):
        for base, folders, files in os.walk(output / name):
            relative = Path(base).relative_to(output)
            members = [*files, *(f for f in folders if f.endswith(".ms"))]
            found += [
                str(relative / m) for m in members if not _is_part(m) and str(relative / m) not in restored
            ]
            folders[:] = [f for f in folders if not f.endswith(".ms") and not _is_part(f)]
    if found:
        raise InputError(
            f"{output} has {len(found)} files of a run that the archive lacks, e.g. "
            f"{', '.join(sorted(found)[:_TOLD])}",
            "restore to another folder, or delete chunks/, results/ and state/ there",
        )


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def _is_restored(folder: Path, item: _Restored, output: Path, advance: Advance) -> bool:
    """Whether what is there is what would be restored."""
    target = output / item.path
    if files_of(target) != sorted(file.path for file in item.entry.files):
        return False
    if item.rewrite is not None:
        new = item.rewrite((folder / item.entry.path).read_bytes())
        return target.read_bytes() == new
    for file in item.entry.files:
        member = within(target, file.path)
        if member.is_symlink() and member.resolve() == within(folder / item.entry.path, file.path):
            continue
        if member.stat().st_size != file.size or checksum(member, advance) != file.sha256:
            return False
    return True


def _restore(folder: Path, item: _Restored, output: Path, advance: Advance) -> None:
    """Make one file or measurement set; it appears when it is whole."""
    source, target = folder / item.entry.path, output / item.path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    remove(part)
    for file in item.entry.files:
        member, copy = within(source, file.path), within(part, file.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if item.rewrite is not None:
            copy.write_bytes(item.rewrite(member.read_bytes()))
        elif file.path in item.linked:
            copy.symlink_to(member)
        elif copy_file(member, copy, advance) != file.sha256:
            remove(part)
            raise InputError(f"{member} has changed since it was verified")
    remove(target)
    part.rename(target)
