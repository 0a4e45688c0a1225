"""facetsub: subtract what self-calibration learned of a direction from the chunks.

The difference between the new model, corrupted with the direction's solutions, and the
initial model, as it was subtracted, is taken out of CORRECTED_DATA of every chunk. Each
chunk's ledger makes that happen exactly once, whatever dies when.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Sequence
from typing import Literal

from factor.errors import FactorError
from factor.execution.context import Context
from factor.files import copy_whole
from factor.observation.model import Chunk, ChunkFile
from factor.operations.base import Field
from factor.operations.needs import subtraction_needs
from factor.operations.visibilities.difference import Change, predict, predictions, slices
from factor.state.ledger import Ledger, RefusedError, Subtraction

log = logging.getLogger("factor.facetsub")


def run(context: Context, field: Field, change: Change) -> dict[str, object]:
    """Subtract a direction's difference from all chunks.

    Parameters
    ----------
    context : Context
        Of facetsub on this direction.
    field : Field
        The field.
    change : Change
        What to subtract.

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
    waiting = [
        chunk
        for chunk in field.observation.chunks
        if not all(_standing(field, file, context.direction, identity) for file in chunk.files)
    ]
    _edit(context, field, waiting, change, -1)
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
    standing = []
    for chunk in field.observation.chunks:
        entries = [entry for file in chunk.files for entry in _entries(field, file)]
        found = {entry.identity for entry in entries if entry.direction == context.direction}
        if found - {identity}:
            raise FactorError(
                f"the models and solutions in {context.products} are not those that stand subtracted "
                f"for {context.direction}: its subtraction cannot be undone alone",
                "give them back, or begin again with the data as they came: runfactor -r all",
            )
        standing += [chunk] if found else []
    _edit(context, field, standing, change, 1)
    log.info("%s: its subtraction is undone", context.direction)


def _edit(
    context: Context, field: Field, chunks: Sequence[Chunk], change: Change, sign: Literal[-1, 1]
) -> None:
    """Subtract a change from chunks, or add it back.

    Of as many chunks at a time as keep the processors busy the change is predicted: it takes
    as much of the disk as they do.
    """
    if not chunks:
        return
    identity = change.identity()
    folder = context.scratch / ("subtract" if sign == -1 else "undo")
    at_once = math.ceil(context.cpus / len(predictions(folder, chunks[0])))
    context.require(subtraction_needs(field, chunks[:at_once]))
    for start in range(0, len(chunks), at_once):
        some = chunks[start : start + at_once]
        folder.mkdir(parents=True, exist_ok=True)
        context.run(*(step for chunk in some for step in predict(context, chunk, change, folder)))
        for ms, files in (prediction for chunk in some for prediction in predictions(folder, chunk)):
            try:
                for file, difference in zip(files, slices(ms, files), strict=True):
                    Ledger(field.workspace, file.path).apply(context.direction, difference, sign, identity)
            except RefusedError:
                # The next run is to predict it anew, not to be refused again.
                shutil.rmtree(ms, ignore_errors=True)
                raise
            shutil.rmtree(ms)
    context.leave()


def _entries(field: Field, file: ChunkFile) -> tuple[Subtraction, ...]:
    return Ledger(field.workspace, file.path).subtracted()


def _standing(field: Field, file: ChunkFile, direction: str, identity: str) -> bool:
    return any(e.direction == direction and e.identity == identity for e in _entries(field, file))
