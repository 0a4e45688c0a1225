"""Bundled peeling models, found by position.

Flux densities are true ones: spectra of Scaife & Heald 2012 (MNRAS 423, L30, Table 2).
"""

from __future__ import annotations

from pathlib import Path

from factor.directions.geometry import separation_deg
from factor.products.models.apparent import model_centre
from factor.products.models.skymodel import read

FOLDER = Path(__file__).parent

#: A direction within this distance of a model's centre is meant to be that source.
MATCH_DEG = 1.0 / 60.0


def bundled_models() -> dict[str, Path]:
    """All bundled models: name of the source and file."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.skymodel"))}


def find_bundled(ra_deg: float, dec_deg: float) -> Path | None:
    """The bundled model of the source at a position.

    Parameters
    ----------
    ra_deg, dec_deg : float
        J2000.

    Returns
    -------
    Path or None
        None when no model's centre lies within `MATCH_DEG`.
    """
    for path in bundled_models().values():
        if float(separation_deg(*model_centre(read(path)), ra_deg, dec_deg)) <= MATCH_DEG:
            return path
    return None
