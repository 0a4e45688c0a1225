"""Before anything is calibrated: the input checked and chunked, the ledgers settled."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from factor.errors import FactorError, InputError
from factor.observation.bands import find_measurement_sets, read_all
from factor.observation.checks import check_input
from factor.observation.chunks import bytes_needed, known_flagged_fractions, make_chunks
from factor.observation.model import Observation
from factor.observation.plan import ChunkPlan, plan_chunks
from factor.observation.subtracted import wrong_models
from factor.parset import Settings
from factor.state.intent import Reset
from factor.state.ledger import Ledger
from factor.state.records import Record
from factor.state.store import StateStore
from factor.tools.environment import Tools
from factor.workspace import Workspace

log = logging.getLogger("factor")

_BEGIN_AGAIN = "begin again from the data as they came: runfactor -r all"


def mend_chunks(workspace: Workspace) -> None:
    """Make chunks readable again in whose edits a run died: before anything is read of them."""
    for path in workspace.chunks_there():
        # A damaged ledger is told of later, or mended by a reset of everything.
        with suppress(FactorError):
            Ledger(workspace, path).mend()


def plan_observation(settings: Settings, workspace: Workspace, jobs: int) -> tuple[ChunkPlan, ...]:
    """Check the input and plan its chunks; nothing is written.

    Raises
    ------
    InputError
        With all problems of the input at once.
    """
    found = find_measurement_sets(settings.globals.dir_ms)
    checked = check_input(read_all(found, jobs, known_flagged_fractions(workspace)), settings)
    for warning in checked.warnings:
        log.warning(warning)
    plan = plan_chunks(checked.bands, settings.globals.chunk_size_sec)
    bands = checked.bands
    span = f"{bands[0].freqs_hz[0] / 1e6:.1f}-{bands[-1].freqs_hz[-1] / 1e6:.1f} MHz"
    log.info(
        "input: %d bands (%s) in %s, %d time chunks", len(bands), span, settings.globals.dir_ms, len(plan)
    )
    return plan


def compare_models(
    plan: tuple[ChunkPlan, ...], workspace: Workspace, tools: Tools, settings: Settings, jobs: int
) -> None:
    """Refuse sky models that are not what was subtracted, before chunks are made of the data.

    Raises
    ------
    InputError
        With all of them, unless the settings say to go on: then they are warned of.
    """
    if not bytes_needed(plan, workspace):
        return
    bands = {file.band.name: file.band for chunk in plan for file in chunk.files}
    problems = wrong_models(bands.values(), tools, jobs, workspace.commands_log)
    if problems and settings.globals.exit_on_wrong_skymodel:
        raise InputError(
            problems,
            "name the right models (init_skymodel, skymodel_extension); or, if DATA is not what was "
            "subtracted from, set exit_on_wrong_skymodel = False",
        )
    for problem in problems:
        log.warning(problem)


def chunk_observation(plan: tuple[ChunkPlan, ...], workspace: Workspace, jobs: int) -> Observation:
    """Make the chunks that are not there yet."""
    needed = bytes_needed(plan, workspace)
    if needed:
        log.info("making chunks: %.2f GB in %s", needed / 1e9, workspace.chunks)
    else:
        log.info("all chunks are there: %s", workspace.chunks)
    return make_chunks(plan, workspace, jobs)


def finish_edits(workspace: Workspace, observation: Observation) -> None:
    """Finish or drop the edits of chunks that were interrupted."""
    for ledger in _ledgers(workspace, observation):
        ledger.recover()


def _ledgers(workspace: Workspace, observation: Observation) -> list[Ledger]:
    return [Ledger(workspace, file.path) for chunk in observation.chunks for file in chunk.files]


def settle_ledgers(workspace: Workspace, observation: Observation, reset: Reset) -> None:
    """Bring every chunk into a state that the records know.

    Where the user deleted state and results, all chunks go back to the data as they came.

    Parameters
    ----------
    workspace : Workspace
        The working directory.
    observation : Observation
        The chunks.
    reset : Reset
        What is about to be reset: that may be half undone, or damaged.

    Raises
    ------
    FactorError
        When what stands subtracted is not what the state knows.
    """
    undone = set(reset.undo)
    records = StateStore(workspace).all()
    _check_products(workspace, records, reset.delete)
    subtractions = [r for r in records if r.operation == "facetsub"]
    known = {r.direction for r in subtractions}
    done = {r.direction for r in subtractions if r.status == "done"}
    for ledger in _ledgers(workspace, observation):
        standing = {entry.direction for entry in ledger.subtracted()}
        if standing and not known:
            log.info("%s: back to the data as they came", ledger.chunk_ms.name)
            ledger.reset_all()
        elif standing - known:
            raise FactorError(
                f"{ledger.chunk_ms}: directions {', '.join(sorted(standing - known))} stand "
                f"subtracted, but {workspace.state} has no record of them",
                f"give back their records, or {_BEGIN_AGAIN}",
            )
        elif done - standing - undone:
            raise FactorError(
                f"{ledger.chunk_ms}: {workspace.state} says that directions "
                f"{', '.join(sorted(done - standing - undone))} are subtracted, but from this chunk they "
                "are not: it was made again, or comes from elsewhere",
                _BEGIN_AGAIN,
            )


def _check_products(
    workspace: Workspace, records: Iterable[Record], doomed: Collection[tuple[str, str]]
) -> None:
    """Refuse to go on where the products of something that is done are gone."""
    for record in records:
        products = workspace.products(record.operation, record.direction)
        wanted = record.status == "done" and (record.operation, record.direction) not in doomed
        if wanted and not products.is_dir():
            raise FactorError(
                f"{products} is gone, but {workspace.state} says that {record.operation} of "
                f"{record.direction} is done",
                f"give it back, reset it (runfactor -r {record.direction}), or {_BEGIN_AGAIN}",
            )


def make_folders(workspace: Workspace, *local: Path | None) -> None:
    """Make the working directory's folders, and those for intermediate data.

    Raises
    ------
    InputError
        When one cannot be written.
    """
    folders = [workspace.chunks, workspace.logs, workspace.regions, workspace.results, workspace.state]
    for folder in folders + [folder for folder in local if folder is not None]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror}") from error
        if not os.access(folder, os.W_OK):
            raise InputError(f"{folder} cannot be written to", "choose another folder")
