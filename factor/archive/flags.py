"""Flags of the chunks, a bit for each, and what a chunk says of itself: so much of it has every archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factor.errors import FactorError
from factor.files import whole
from factor.observation.note import ChunkNote, read_note
from factor.state.table import open_table
from factor.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

_BLOCK_VALUES = 50_000_000

#: Their folder in an archive.
FLAGS = "instrument_tables/flags"

_ENDING = ".flags.npz"


def flags_file(archive: Path, ms: Path) -> Path:
    """The file of a chunk's flags in an archive."""
    return archive / FLAGS / ms.parent.name / f"{ms.stem}{_ENDING}"


def save_flags(ms: Path, target: Path) -> Path:
    """Write the flags of a chunk as ``flags`` (packed bits) and ``shape`` (rows, channels, correlations).

    Rows are those of the chunk: by time slot, each with all baselines. ``note`` is what the chunk
    says of itself, as JSON.
    """
    import numpy as np

    packed = []
    with open_table(ms) as main:
        shape = (main.nrows(), *main.getcell("FLAG", 0).shape)
        for start, count in _blocks(shape):
            packed.append(np.packbits(main.getcol("FLAG", start, count)))
    with whole(target) as draft, draft.open("wb") as stream:
        note = np.array(json.dumps(asdict(read_note(ms))))
        np.savez_compressed(stream, flags=np.concatenate(packed), shape=np.array(shape), note=note)
    return target


def load_flags(path: Path) -> np.ndarray[Any, Any]:
    """Read what `save_flags` wrote: booleans of shape (rows, channels, correlations)."""
    import numpy as np

    with np.load(path) as content:
        shape = tuple(int(n) for n in content["shape"])
        flags: np.ndarray[Any, Any] = np.unpackbits(content["flags"], count=int(np.prod(shape)))
    return flags.astype(np.bool_).reshape(shape)


def restore_flags(path: Path, ms: Path) -> None:
    """Give a chunk the flags that were saved.

    Raises
    ------
    FactorError
        When it has another shape.
    """
    flags = load_flags(path)
    with open_table(ms, readonly=False) as main:
        found = (main.nrows(), *main.getcell("FLAG", 0).shape)
        if found != flags.shape:
            raise FactorError(
                f"{ms} has {found} rows, channels and correlations, its flags in {path} {flags.shape}",
                "give the input data of the run that was archived",
            )
        for start, count in _blocks(flags.shape):
            main.putcol("FLAG", flags[start : start + count], start, count)


def load_notes(archive: Path, workspace: Workspace) -> dict[Path, ChunkNote]:
    """What the chunks of an archived run said of themselves, by their places in a working directory."""
    import numpy as np

    notes = {}
    for path in sorted((archive / FLAGS).glob(f"Band_*/*{_ENDING}")):
        with np.load(path) as content:
            note = ChunkNote(**json.loads(str(content["note"])))
        notes[workspace.band(note.band) / f"{path.name.removesuffix(_ENDING)}.ms"] = note
    return notes


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each block; in multiples of eight, blocks end at the end of a byte."""
    step = max(8, _BLOCK_VALUES // (shape[1] * shape[2]) // 8 * 8)
    for start in range(0, shape[0], step):
        yield start, min(step, shape[0] - start)
