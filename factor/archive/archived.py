"""A run as its archive knows it, without its data: what the programs in an archive begin with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factor.archive.calibrated import Export, clear, plan_export
from factor.archive.flags import load_notes
from factor.archive.inputs import restored_parset, with_skymodels
from factor.archive.manifest import Manifest, read_manifest
from factor.archive.unarchive import restore_part
from factor.execution.signals import stop_on_signals
from factor.files import whole
from factor.observation.chunks import observation_of
from factor.observation.model import Observation
from factor.observation.note import ChunkNote
from factor.parset import Settings, load_text
from factor.state.lock import run_lock
from factor.tools import environment
from factor.tools.versions import installed_versions
from factor.workspace import Workspace

log = logging.getLogger("factor.archive")


@dataclass(frozen=True)
class ArchivedRun:
    """A run whose state, solutions and models are restored.

    Attributes
    ----------
    folder : Path
        The archive.
    manifest : Manifest
        Its manifest.
    workspace : Workspace
        Where they are restored.
    settings : Settings
        The archived parset, with paths in the workspace.
    notes : mapping of Path to ChunkNote
        What the chunks said of themselves, by their places in the workspace.
    """

    folder: Path
    manifest: Manifest
    workspace: Workspace
    settings: Settings
    notes: Mapping[Path, ChunkNote]

    @property
    def observation(self) -> Observation:
        """What the chunks formed; they need not be there."""
        return observation_of(self.notes, self.workspace)


@contextmanager
def archived_run(
    folder: Path, output: Path, names: Sequence[str], dir_ms: Path | None = None
) -> Iterator[tuple[ArchivedRun, Export]]:
    """Within: an archived run, and the directions of it whose data or images are made again.

    Parameters
    ----------
    folder : Path
        The archive, which may be a basic one.
    output : Path
        Its ``work/`` gets state, solutions and models, but no data; what is there already is
        left alone. It is held, and signals end what runs.
    names : sequence of str
        The directions, or ``all`` that were imaged.
    dir_ms : Path, optional
        The input data, where they are needed.

    Raises
    ------
    InputError
        When the archive is damaged, a tool is missing, or a direction is not known.
    """
    environment.prepare()
    workspace = Workspace(output / "work")
    with run_lock(workspace), stop_on_signals():
        run = _open(folder.resolve(), workspace, dir_ms)
        yield run, plan_export(run.settings, workspace, run.observation, names)
        clear(output)


def _open(folder: Path, workspace: Workspace, dir_ms: Path | None) -> ArchivedRun:
    manifest = read_manifest(folder)
    _tell_versions(manifest)
    restore_part(folder, manifest, workspace, lambda path: _is_given(path) or _is_calibration(path))
    notes = load_notes(folder, workspace)
    text = _parset(folder, manifest, notes, workspace, dir_ms)
    settings = load_text(text, folder / manifest.parset, check_paths=dir_ms is not None)
    return ArchivedRun(folder, manifest, workspace, settings, notes)


def prepare_rerun(folder: Path, dir_ms: Path, output: Path) -> Path:
    """Make a working directory in which an archived run can be done again from its input.

    Parameters
    ----------
    folder : Path
        The archive.
    dir_ms : Path
        The input data.
    output : Path
        The working directory; one that was prepared before is left as it is.

    Returns
    -------
    Path
        The parset.
    """
    environment.prepare()
    workspace = Workspace(output.resolve())
    manifest = read_manifest(folder)
    _tell_versions(manifest)
    if not workspace.parset.exists():
        with run_lock(workspace):
            restore_part(folder, manifest, workspace, _is_given)
            text = _parset(folder, manifest, load_notes(folder, workspace), workspace, dir_ms)
            # Last, and whole: it says that all else is there.
            with whole(workspace.parset) as draft:
                draft.write_text(text)
    return workspace.parset


def _is_given(path: str) -> bool:
    """Whether a place in a working directory is that of something that a run begins with."""
    top = path.partition("/")[0]
    return top in ("inputs", "factor_directions.txt") or (top == "chunks" and path.endswith(".skymodel"))


def _is_calibration(path: str) -> bool:
    """Whether it is that of something that calibration left."""
    top = path.partition("/")[0]
    return top == "state" or (top == "results" and path.endswith((".h5", ".skymodel")))


def _parset(
    folder: Path,
    manifest: Manifest,
    notes: Mapping[Path, ChunkNote],
    workspace: Workspace,
    dir_ms: Path | None,
) -> str:
    """The archived parset for other places, with the initial sky models of the input."""
    text = (folder / manifest.parset).read_text(errors="surrogateescape")
    given = dir_ms.resolve() if dir_ms is not None else None
    models = {
        source["name"]: workspace.band(note.band) / note.skymodel
        for note in notes.values()
        for source in note.sources
    }
    return with_skymodels(restored_parset(text, manifest.options, workspace, given), models)


def _tell_versions(manifest: Manifest) -> None:
    """Warn of tools that are not those with which the archived run was made.

    Raises
    ------
    InputError
        When DP3 or WSClean is missing.
    """
    here = installed_versions(environment.find_tools())
    others = [
        f"{tool} {version} (here {here.get(tool, 'not known')})"
        for tool, version in manifest.versions.items()
        if here.get(tool) != version
    ]
    if others:
        log.warning("made with %s: what comes out may differ from what is archived", ", ".join(others))
    else:
        log.info("the versions of all tools are those of the archive")
