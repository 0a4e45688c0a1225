"""facetsub: subtract what self-calibration learned of a direction from the chunks.

The difference between the new model, corrupted with the direction's solutions, and the
initial model, as it was subtracted, is taken out of CORRECTED_DATA of every chunk. Each
chunk's ledger makes that happen exactly once, whatever dies when.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

from factor.errors import FactorError
from factor.execution.context import Context
from factor.observation.model import Chunk, ChunkFile
from factor.operations.base import Field
from factor.operations.difference import Change, predict, slices
from factor.state.ledger import Ledger, Subtraction
from factor.state.store import copy_whole

log = logging.getLogger("factor.facetsub")


def run(context: Context, field: Field, change: Change, *, predicted: bool) -> dict[str, object]:
    """Subtract a direction's difference from all chunks.

    Parameters
    ----------
    context : Context
        Of facetsub on this direction.
    field : Field
        The field.
    change : Change
        What to subtract.
    predicted : bool
        Whether the prediction in the change's folder is known to be of this change.

    Copies of models and solutions are left among the products: they are what stands
    subtracted, whatever happens to self-calibration's own.

    Raises
    ------
    FactorError
        When the prediction fails or is not finite; that chunk is as it was then.
    """
    identity = change.identity()
    for source in (*change.files, change.new.solutions.h5parm):
        copy_whole(source, context.products / source.name)
    for chunk in field.observation.chunks:
        waiting = [f for f in chunk.files if not _standing(field, f, context.direction, identity)]
        if waiting:
            ready = change
            if not (predicted and all(ms.exists() for ms, _ in change.predictions(chunk))):
                # Apart from self-calibration's: only of those is it known that they are whole.
                ready = replace(change, folder=context.scratch / "again")
                context.run(*predict(context, chunk, ready))
            _apply(context, field, chunk, ready, -1)
    log.info("%s: its improved model is subtracted from the data", context.direction)
    return {"identity": identity}


def undo(context: Context, field: Field, change: Change) -> None:
    """Add a direction's difference back to all chunks from which it stands subtracted.

    Parameters
    ----------
    context : Context
        Of facetsub on this direction.
    field : Field
        The field.
    change : Change
        What stands subtracted: from the copies that `run` left.

    Raises
    ------
    FactorError
        When the copies are not what was subtracted, or the prediction fails.
    """
    identity = change.identity()
    ready = replace(change, folder=context.scratch / "undo")
    for chunk in field.observation.chunks:
        entries = [entry for file in chunk.files for entry in _entries(field, file)]
        found = {entry.identity for entry in entries if entry.direction == context.direction}
        if found - {identity}:
            raise FactorError(
                f"the models and solutions in {context.products} are not those that stand subtracted "
                f"for {context.direction}: its subtraction cannot be undone alone",
                "give them back, or begin again with the data as they came: runfactor -r all",
            )
        if found:
            ready.folder.mkdir(parents=True, exist_ok=True)
            context.run(*predict(context, chunk, ready))
            _apply(context, field, chunk, ready, 1)
            ready.discard()
    log.info("%s: its subtraction is undone", context.direction)


def _apply(context: Context, field: Field, chunk: Chunk, change: Change, sign: Literal[-1, 1]) -> None:
    """Subtract the prediction of a change from a chunk, or add it back."""
    identity = change.identity()
    for ms, files in change.predictions(chunk):
        for file, difference in zip(files, slices(ms, files), strict=True):
            Ledger(field.workspace, file.path).apply(context.direction, difference, sign, identity)


def _entries(field: Field, file: ChunkFile) -> tuple[Subtraction, ...]:
    return Ledger(field.workspace, file.path).subtracted()


def _standing(field: Field, file: ChunkFile, direction: str, identity: str) -> bool:
    return any(e.direction == direction and e.identity == identity for e in _entries(field, file))
