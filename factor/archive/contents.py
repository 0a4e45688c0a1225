"""What goes where: from a working directory into an archive, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from factor.archive.copying import Item
from factor.archive.names import field_name, frequency_mhz, image_name, set_names
from factor.execution.step import file_digest
from factor.parset import Settings
from factor.workspace import OPERATIONS, Workspace

#: The folders of an archive, and what is in them.
FOLDERS = {
    "images": "images, by direction and operation; mosaics are in images/field/",
    "plots": "pictures of images and solutions, by direction and operation",
    "instrument_tables": "solutions (H5parm) of all directions, by direction and operation; "
    "instrument_tables/flags/ has the flags of the data",
    "sky_models": "sky models of all directions, apparent flux densities, by direction and operation",
    "calibrated_data": "calibrated visibilities, one measurement set for each chunk of time",
    "chunks": "the direction-independent sky models; with -r also the data, in pieces of time",
    "state": "what is done: one JSON file for each operation and direction, with the numbers of the verdicts",
    "pipeline_state": "the plan of the run, and how its last part ended",
    "misc": "parset, directions, the user's masks and models, factor.log, regions",
    "log": "commands.log: every command of DP3 and WSClean; what the tools said, by operation",
    "qa": "report of the run as web pages: open qa/index.html",
    "script": "programs that restore calibrated data and images, or run the whole again: see below",
}

#: Operations whose images every archive has.
_IMAGING = ("facetimage", "fieldmosaic")

#: Files of state that tell of the run and not of the reduction.
_PIPELINE_STATE = ("plan.json", "pulse.json")

_BY_KIND = {".h5": "instrument_tables", ".skymodel": "sky_models", ".fits": "images", ".png": "plots"}


def contents(settings: Settings, workspace: Workspace, *, resumable: bool) -> list[Item]:
    """Everything of a working directory that an archive has, but for the user's own files.

    Parameters
    ----------
    settings : Settings
        The parset.
    workspace : Workspace
        The working directory.
    resumable : bool
        With all that a resumed run needs.

    Returns
    -------
    list of Item
        Solutions and sky models of the same content once.
    """
    items = [*_misc(workspace), *_products(settings, workspace, resumable=resumable)]
    items += [*_state(workspace), *_chunks(workspace, resumable=resumable)]
    if resumable:
        items += _logs(workspace)
    return _once(items)


def image_names(items: Sequence[Item]) -> dict[str, str]:
    """Factor's own names of the images in an archive, by their names there."""
    return {item.target: item.restores[0] for item in items if item.target.endswith(".fits")}


def _item(workspace: Workspace, path: Path, target: str) -> Item:
    return Item(path, target, (workspace.relative(path),))


def _misc(workspace: Workspace) -> Iterator[Item]:
    for path, folder in (
        (workspace.log, "misc"),
        (workspace.directions_file, "misc"),
        (workspace.commands_log, "log"),
    ):
        if path.is_file():
            yield _item(workspace, path, f"{folder}/{path.name}")
    for path in sorted(workspace.regions.glob("*.reg")):
        yield _item(workspace, path, f"misc/regions/{path.name}")


def _products(settings: Settings, workspace: Workspace, *, resumable: bool) -> Iterator[Item]:
    field, sets = field_name(workspace), set_names(settings)
    for folder in sorted(workspace.results.glob("*/*"), key=_order):
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not _is_draft(path)]
        operation, direction = folder.parent.name, folder.name
        wanted = resumable or operation.partition("_")[0] in _IMAGING
        freq = None if not wanted else frequency_mhz([path for path in files if path.suffix == ".fits"])
        for path in files:
            kind = _BY_KIND.get(path.suffix, "images")
            if kind == "images" and not wanted:
                continue
            name = path.name
            if path.suffix == ".fits":
                name = image_name(field, path, frequency_mhz([path]) or freq, sets)
            yield _item(workspace, path, f"{kind}/{direction}/{operation}/{name}")


def _order(folder: Path) -> tuple[int, str, str]:
    """What is calibrated comes before the copies that a subtraction freezes."""
    operation = folder.parent.name.partition("_")[0]
    rank = OPERATIONS.index(operation) if operation in OPERATIONS else len(OPERATIONS)
    return rank, folder.parent.name, folder.name


def _is_draft(path: Path) -> bool:
    return path.name.startswith(".") or path.name.endswith((".tmp", ".part"))


def _state(workspace: Workspace) -> Iterator[Item]:
    for path in sorted(workspace.state.rglob("*.json")):
        if _is_draft(path):
            continue
        folder = "pipeline_state" if path.name in _PIPELINE_STATE else "state"
        yield _item(workspace, path, f"{folder}/{path.relative_to(workspace.state)}")


def _chunks(workspace: Workspace, *, resumable: bool) -> Iterator[Item]:
    """The initial sky models; to resume, also chunks with their ledgers, and edits on their way into them."""
    for path in sorted(workspace.chunks.glob("Band_*/*")):
        if (resumable or path.suffix == ".skymodel") and not _is_draft(path):
            yield _item(workspace, path, f"chunks/{path.relative_to(workspace.chunks)}")


def _logs(workspace: Workspace) -> Iterator[Item]:
    for path in sorted(workspace.logs.rglob("*.log")):
        yield _item(workspace, path, f"log/{path.relative_to(workspace.logs)}")


def _once(items: Sequence[Item]) -> list[Item]:
    """Items in which solutions and sky models of the same content come once, with all their places."""
    alike: dict[tuple[str, int], list[Item]] = defaultdict(list)
    kept = []
    for item in items:
        if item.source.suffix not in (".h5", ".skymodel") or item.target.startswith("chunks/"):
            kept.append(item)
        else:
            alike[item.source.suffix, item.source.stat().st_size].append(item)
    for candidates in alike.values():
        by_content: dict[str, list[Item]] = defaultdict(list)
        for item in candidates:
            by_content[file_digest(item.source) if len(candidates) > 1 else ""].append(item)
        for group in by_content.values():
            places = tuple(place for item in group for place in item.restores)
            kept.append(replace(group[0], restores=places))
    return kept
