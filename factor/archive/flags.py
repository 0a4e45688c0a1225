"""Flags of the input data, a bit for each: what restoring calibrated data from the input needs of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from factor.state.table import open_table

if TYPE_CHECKING:
    import numpy as np

_BLOCK_VALUES = 50_000_000


def save_flags(ms: Path, target: Path) -> Path:
    """Write the flags of a chunk as ``flags`` (packed bits) and ``shape`` (rows, channels, correlations).

    Rows are those of the chunk: by time slot, each with all baselines.
    """
    import numpy as np

    packed = []
    with open_table(ms) as main:
        shape = (main.nrows(), *main.getcell("FLAG", 0).shape)
        # Rows in multiples of eight end at the end of a byte.
        step = max(8, _BLOCK_VALUES // (shape[1] * shape[2]) // 8 * 8)
        for start in range(0, shape[0], step):
            packed.append(np.packbits(main.getcol("FLAG", start, min(step, shape[0] - start))))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with part.open("wb") as stream:
        np.savez_compressed(stream, flags=np.concatenate(packed), shape=np.array(shape))
    part.replace(target)
    return target


def load_flags(path: Path) -> np.ndarray[Any, Any]:
    """Read what `save_flags` wrote: booleans of shape (rows, channels, correlations)."""
    import numpy as np

    with np.load(path) as content:
        shape = tuple(int(n) for n in content["shape"])
        flags: np.ndarray[Any, Any] = np.unpackbits(content["flags"], count=int(np.prod(shape)))
    return flags.astype(np.bool_).reshape(shape)
