"""A chunk as small as can be, and a difference for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from factor.tools.environment import prepare
from factor.workspace import Workspace

prepare()

ROWS, CHANNELS, CORRELATIONS = 12, 4, 4


def _write_table(path: Path, columns: dict[str, np.ndarray]) -> None:
    from casacore import tables

    description = tables.maketabdesc(
        [
            tables.makearrcoldesc(name, 0j if values.dtype.kind == "c" else values.dtype.type(0),
                                  ndim=values.ndim - 1, valuetype={"c": "complex", "b": "boolean",
                                                                   "f": "float"}[values.dtype.kind])
            for name, values in columns.items()
        ]
    )
    with tables.table(str(path), description, nrow=ROWS, ack=False) as main:
        for name, values in columns.items():
            main.putcol(name, values)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def read_column() -> Callable[[Path, str], np.ndarray]:
    from casacore import tables

    def read(ms: Path, column: str) -> np.ndarray:
        with tables.table(str(ms), ack=False) as main:
            return main.getcol(column)

    return read


@pytest.fixture
def chunk(tmp_path: Path) -> Path:
    """Rows 0.. of a chunk; its values are whole numbers, so that sums are exact."""
    path = tmp_path / "chunks" / "Band_140.0MHz" / "field_chunk0.ms"
    path.parent.mkdir(parents=True)
    shape = (ROWS, CHANNELS, CORRELATIONS)
    data = (np.arange(np.prod(shape)).reshape(shape) * (1 + 2j)).astype(np.complex64)
    flags = np.zeros(shape, dtype=bool)
    flags[3] = True
    weights = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    _write_table(path, {"DATA": data, "CORRECTED_DATA": data, "FLAG": flags, "WEIGHT_SPECTRUM": weights})
    return path


@pytest.fixture
def make_difference(tmp_path: Path) -> Callable[..., Path]:
    """Two bands of differences; the second band holds `value`."""

    def make(name: str, value: complex, rows: int = ROWS) -> Path:
        path = tmp_path / name
        data = np.full((rows, 2 * CHANNELS, CORRELATIONS), 1000, dtype=np.complex64)
        data[:, CHANNELS:] = value
        from casacore import tables

        description = tables.maketabdesc([tables.makearrcoldesc("DATA", 0j, ndim=2, valuetype="complex")])
        with tables.table(str(path), description, nrow=rows, ack=False) as main:
            main.putcol("DATA", data)
        return path

    return make
