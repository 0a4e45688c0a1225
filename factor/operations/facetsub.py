"""facetsub: subtract what self-calibration learned of a direction from the chunks.

The difference between the new model, corrupted with the direction's solutions, and the
initial model, as it was subtracted, is taken out of CORRECTED_DATA of every chunk. Each
chunk's ledger makes that happen exactly once, whatever dies when.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from factor.execution.context import Context, side_by_side
from factor.observation.model import Chunk, ChunkFile
from factor.operations.base import Field
from factor.operations.difference import Change, predict, slices
from factor.state.ledger import Difference, Ledger
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

    Copies of model and solutions are left among the products: they are what stands
    subtracted, whatever happens to self-calibration's own.

    Raises
    ------
    FactorError
        When the prediction fails or is not finite; that chunk is as it was then.
    """
    identity = change.identity()
    for source in (change.new.skymodel, change.new.solutions.h5parm, change.new.solutions.filled):
        copy_whole(source, context.products / source.name)
    for chunk in field.observation.chunks:
        waiting = [f for f in chunk.files if not _standing(field, f, context.direction, identity)]
        if waiting:
            ready = change
            if not (predicted and all(ms.exists() for ms, _ in change.predictions(chunk))):
                # Apart from self-calibration's: only of those is it known that they are whole.
                ready = replace(change, folder=context.scratch / "again")
                context.run(*predict(context, chunk, ready))
            _subtract(context, field, chunk, ready, identity)
    log.info("%s: its improved model is subtracted from the data", context.direction)
    return {"identity": identity}


def _subtract(context: Context, field: Field, chunk: Chunk, change: Change, identity: str) -> None:
    edits: dict[str, Callable[[], None]] = {}
    for ms, files in change.predictions(chunk):
        for file, difference in zip(files, slices(ms, files), strict=True):
            edits[str(file.path)] = _edit(field, file, context.direction, difference, identity)
    failures = side_by_side(edits, 1)
    if failures:
        raise next(iter(failures.values()))


def _standing(field: Field, file: ChunkFile, direction: str, identity: str) -> bool:
    entries = Ledger(field.workspace, file.path).subtracted()
    return any(e.direction == direction and e.identity == identity for e in entries)


def _edit(
    field: Field, file: ChunkFile, direction: str, difference: Difference, identity: str
) -> Callable[[], None]:
    ledger = Ledger(field.workspace, file.path)

    def edit() -> None:
        ledger.apply(direction, difference, -1, identity)

    return edit
