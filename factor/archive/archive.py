"""archivefactor: the results of a run, and on request all that it can be resumed from, in one folder."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from factor.archive import calibrated
from factor.archive.contents import FOLDERS, contents, image_names
from factor.archive.copying import (
    Item,
    check_space,
    copy_item,
    entry_of,
    in_words,
    remove,
    same,
    side_by_side,
    size_of,
)
from factor.archive.flags import flags_file, load_notes, save_flags
from factor.archive.inputs import UserFiles, user_files
from factor.archive.manifest import Entry, Manifest, read_earlier, set_aside, write_manifest
from factor.archive.names import field_name
from factor.archive.readme import NAME as README
from factor.archive.readme import readme
from factor.archive.scripts import write_scripts
from factor.errors import FactorError, InputError
from factor.execution.signals import stop_on_signals
from factor.observation.chunks import load_observation
from factor.parset import Settings
from factor.progress.model import Progress
from factor.progress.reading import Reader
from factor.progress.report.page import write_report
from factor.state.lock import holder, run_lock
from factor.state.records import now
from factor.tools import environment
from factor.tools.versions import installed_versions
from factor.workspace import Workspace

log = logging.getLogger("factor.archive")

#: What tells of a run; all else that a resumed run takes up must be of one state of it.
_CHRONICLES = ("log/", "pipeline_state/", "misc/factor.log")

#: What calibrated data are restored from: of one state in any archive.
_CALIBRATION = ("instrument_tables/", "sky_models/", "state/")

_TOLD = 5

#: Lines with which a run begins, and the versions in them.
_BEGIN = re.compile(r" (Factor \S+ with .*| tools: .*)")
_VERSION = re.compile(r"\b(Factor|DP3|WSClean) (\S+) (?:with|\()")


@dataclass(frozen=True)
class ArchiveOptions:
    """The options of the command line.

    Attributes
    ----------
    directions : tuple of str
        Whose calibrated data are archived; ``all`` for those of all that are imaged.
    resumable : bool
        With all that a resumed run needs.
    clobber : bool
        Replace what is there.
    """

    directions: tuple[str, ...] = ()
    resumable: bool = False
    clobber: bool = False


@dataclass(frozen=True)
class _Work:
    """What is to be done: what is copied, and what is there already."""

    folder: Path
    copied: list[Item] = field(default_factory=list)
    kept: list[Item] = field(default_factory=list)
    differing: list[Item] = field(default_factory=list)


def archive(settings: Settings, folder: Path, options: ArchiveOptions) -> None:
    """Make an archive of a run, or add to one.

    Parameters
    ----------
    settings : Settings
        The parset of the run.
    folder : Path
        The archive.
    options : ArchiveOptions
        Of the command line.

    Raises
    ------
    FactorError
        When the run goes on, there is nothing to archive, or it doesn't fit; what is copied
        is kept for the next try.
    """
    environment.prepare()
    workspace = Workspace(settings.globals.dir_working)
    _check_folders(workspace, folder)
    reader = Reader(workspace)
    progress = _progress(reader)
    with _held(workspace), stop_on_signals():
        earlier = read_earlier(folder)
        resumable = _resumable(workspace, folder, earlier, options)
        given = user_files(settings, workspace)
        items = [*given.items, *contents(settings, workspace, resumable=resumable)]
        work = _compare(items, folder, options, resumable=resumable)
        export = None
        if options.directions:
            observation = load_observation(workspace)
            export = calibrated.plan_export(settings, workspace, observation, options.directions)
        needed = sum(size_of(item.source) for item in work.copied)
        check_space(folder, needed + (0 if export is None else calibrated.bytes_of(export)))
        folder.mkdir(parents=True, exist_ok=True)
        set_aside(folder)
        entries = _copy(work, needed)
        if export is not None:
            for facet in export.facets:
                calibrated.export_direction(export, facet, folder, clobber=options.clobber)
        calibrated.clear(folder)
        _save_flags(workspace, folder, clobber=options.clobber)
        _report(reader, progress, folder)
        write_scripts(folder / "script")
        manifest = _manifest(workspace, folder, entries, given, earlier)
        manifest = replace(manifest, resumable=resumable, images=_images(items, earlier))
        (folder / README).write_text(readme(field_name(workspace), manifest, _inputs(folder, workspace)))
        write_manifest(folder, manifest)
    _tell(folder, manifest)


def _check_folders(workspace: Workspace, folder: Path) -> None:
    root, target = workspace.root.resolve(), folder.resolve()
    if not workspace.results.is_dir():
        raise InputError(
            f"{workspace.root}: there is nothing to archive: it has no results/",
            "dir_working of the parset must be that of the run",
        )
    own = [root / name for name in ("chunks", "logs", "regions", "results", "state")]
    if target == root or any(path == target or path in target.parents for path in own):
        raise InputError(f"{folder} belongs to the run itself", "archive to a folder outside dir_working")
    if target.exists() and not target.is_dir():
        raise InputError(f"{folder} is not a folder")


@contextmanager
def _held(workspace: Workspace) -> Iterator[None]:
    """Hold the working directory, so that nothing in it changes; where it can't be written to, look."""
    if os.access(workspace.root, os.W_OK):
        with run_lock(workspace):
            yield
        return
    found = holder(workspace)
    if found is not None and found.alive:
        raise FactorError(f"{workspace.root} is in use by a run (host {found.host}, process {found.pid})")
    yield


def _resumable(workspace: Workspace, folder: Path, earlier: Manifest | None, options: ArchiveOptions) -> bool:
    """Whether the archive is to be resumable: one that was stays so."""
    if earlier is None:
        return options.resumable
    if earlier.dir_working != str(workspace.root):
        raise InputError(
            f"{folder} is an archive of another run, that in {earlier.dir_working}",
            "archive to another folder",
        )
    if earlier.resumable and not options.resumable:
        log.info("%s is resumable, and stays so", folder)
    return earlier.resumable or options.resumable


def _compare(items: Sequence[Item], folder: Path, options: ArchiveOptions, *, resumable: bool) -> _Work:
    """Tell what is to be copied from what is there.

    Raises
    ------
    InputError
        When the archive would mix two states of a run.
    """
    work = _Work(folder)
    for item in items:
        target = folder / item.target
        if not target.exists():
            work.copied.append(item)
        elif same(item.source, target):
            work.kept.append(item)
        else:
            (work.copied if options.clobber else work.differing).append(item)
    others = [item.target for item in work.differing if not item.target.startswith(_CHRONICLES)]
    mixed = others if resumable else [path for path in others if path.startswith(_CALIBRATION)]
    if mixed:
        raise InputError(
            f"{folder} has another state of this run, and can't be added to: {len(mixed)} "
            f"files differ, e.g. {', '.join(mixed[:_TOLD])}",
            "use -c to replace them, or archive to another folder",
        )
    if work.kept:
        log.info("%d files are there already", len(work.kept))
    for item in work.differing:
        log.warning("%s is kept, though the run's is another (use -c to replace it)", folder / item.target)
    return work


def _copy(work: _Work, needed: int) -> list[Entry]:
    if needed:
        log.info("copying %d files and measurement sets, %s", len(work.copied), in_words(needed))
    jobs = [partial(copy_item, item, work.folder) for item in work.copied]
    entries = side_by_side("copying", needed, jobs)
    there = [*work.kept, *work.differing]
    checks = [partial(entry_of, work.folder / item.target, item.target, item.restores) for item in there]
    total = sum(size_of(work.folder / item.target) for item in there)
    return entries + side_by_side("checksums", total, checks)


def _save_flags(workspace: Workspace, folder: Path, *, clobber: bool) -> None:
    for ms in sorted(workspace.chunks.glob("Band_*/*.ms")):
        target = flags_file(folder, ms)
        if clobber or not target.exists():
            save_flags(ms, target)


def _report(reader: Reader, progress: Progress | None, folder: Path) -> None:
    """Write the report of checkfactor --html; without one the archive is as good as with it."""
    if progress is None:
        return
    try:
        write_report(reader.workspace, progress, reader.records, folder / "qa")
    except FactorError as error:
        log.warning("the archive has no report: %s", error)


def _progress(reader: Reader) -> Progress | None:
    """How the run ended: looked at before this command itself holds the working directory."""
    try:
        return reader.read()
    except FactorError as error:
        log.warning("the archive has no report: %s", error)
        return None


def _manifest(
    workspace: Workspace, folder: Path, entries: Sequence[Entry], given: UserFiles, earlier: Manifest | None
) -> Manifest:
    """The manifest of all that the archive's folders hold, also from earlier calls."""
    known = {entry.path for entry in entries}
    places = {} if earlier is None else {entry.path: entry.restores for entry in earlier.entries}
    others = [path for path in _members(folder) if path not in known]
    jobs = [partial(entry_of, folder / path, path, places.get(path, ())) for path in others]
    more = side_by_side("checksums", sum(size_of(folder / path) for path in others), jobs)
    return Manifest(
        created=now(),
        resumable=False,
        dir_working=str(workspace.root),
        entries=tuple(sorted([*entries, *more], key=lambda entry: entry.path)),
        versions=_versions(workspace),
        parset=given.items[0].target,
        options=given.options,
        words=given.words,
    )


def _members(folder: Path) -> Iterator[str]:
    """Files and measurement sets in an archive's folders; what an interrupted call left half is deleted."""
    for name in FOLDERS:
        for base, folders, files in os.walk(folder / name):
            for member in [*folders, *files]:
                path = Path(base) / member
                if member.startswith(".") and member.endswith((".part", ".tmp")):
                    remove(path)
                elif member in files or member.endswith(".ms"):
                    yield str(path.relative_to(folder))
            folders[:] = [f for f in folders if not f.endswith((".ms", ".part"))]


def _images(items: Sequence[Item], earlier: Manifest | None) -> dict[str, str]:
    return {**({} if earlier is None else earlier.images), **image_names(items)}


def _inputs(folder: Path, workspace: Workspace) -> tuple[str, ...]:
    """The measurement sets from which the run began."""
    notes = load_notes(folder, workspace).values()
    return tuple(sorted({source["name"] for note in notes for source in note.sources}))


def _versions(workspace: Workspace) -> dict[str, str]:
    """What the run worked with when it was begun last, as its log says, else what is here."""
    try:
        tools = environment.find_tools()
    except InputError:
        tools = None
    log_text = workspace.log.read_text(errors="replace") if workspace.log.is_file() else ""
    return installed_versions(tools) | dict(_VERSION.findall("\n".join(_BEGIN.findall(log_text))))


def _tell(folder: Path, manifest: Manifest) -> None:
    size = sum(entry.size for entry in manifest.entries)
    kind = "resumable: see unarchivefactor" if manifest.resumable else "not resumable: that takes -r"
    log.info("archive of %s in %s (%s)", in_words(size), folder, kind)
