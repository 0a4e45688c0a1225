"""Names of images that say by themselves what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from factor.operations.imaging.facets import imaging_sets, operation_name, selfcal_set
from factor.parset import Settings
from factor.workspace import FIELD, Workspace

_MOSAIC = re.compile(r"correct_mosaic\.(\w+)$")

#: Names that LOFAR gives to fields whose target it does not say.
_NO_NAME = re.compile(r"BEAM_\d+|")


def field_name(workspace: Workspace) -> str:
    """Name of the observed field: what the data say, else the working directory's."""
    for ms in sorted(workspace.chunks.glob("Band_*/*.ms"))[:1]:
        for table, column in (("OBSERVATION", "LOFAR_TARGET"), ("FIELD", "NAME")):
            name = _cell(ms, table, column)
            if not _NO_NAME.fullmatch(name):
                return re.sub(r"[^A-Za-z0-9+-]+", "-", name).strip("-")
    return re.sub(r"[^A-Za-z0-9+-]+", "-", workspace.root.name).strip("-") or "field"


def _cell(ms: Path, table: str, column: str) -> str:
    from casacore import tables

    try:
        with tables.table(f"{ms}::{table}", ack=False) as part:
            value = part.getcell(column, 0)
    except RuntimeError:
        return ""
    value = value["array"] if isinstance(value, dict) else value
    return str(value if isinstance(value, str) else next(iter(value), "")).strip()


def frequency_mhz(images: Sequence[Path]) -> float | None:
    """The frequency in the header of the first image that has one."""
    from astropy.io import fits

    for image in images:
        try:
            header = fits.getheader(image)
        except OSError:
            continue
        for axis in range(1, header.get("NAXIS", 0) + 1):
            if str(header.get(f"CTYPE{axis}", "")).startswith("FREQ") and header.get(f"CRVAL{axis}"):
                return float(header[f"CRVAL{axis}"]) / 1e6
    return None


def set_names(settings: Settings) -> dict[str, str]:
    """The imaging set of each operation that makes facet images or mosaics, in words."""
    chosen = selfcal_set(settings)
    names = {}
    for imaging in (*imaging_sets(settings), chosen):
        text = f"c{imaging.cellsize_arcsec}r{imaging.robust}t{imaging.taper_arcsec}u{imaging.min_uv_lambda}"
        for operation in ("facetimage", "fieldmosaic"):
            names[operation_name(operation, imaging, settings)] = text
    return names


def image_name(field: str, image: Path, freq_mhz: float | None, sets: dict[str, str]) -> str:
    """Name of an image in an archive: field, direction, frequency, imaging set, type.

    Parameters
    ----------
    field : str
        Name of the field.
    image : Path
        ``results/<operation>/<direction>/<name>.fits``.
    freq_mhz : float or None
        Its frequency, when that is known.
    sets : dict of str to str
        Of `set_names`.
    """
    operation, direction = image.parent.parent.name, image.parent.name
    base, _, suffix = operation.partition("_")
    mosaic = _MOSAIC.search(image.stem)
    if base in ("facetimage", "fieldmosaic"):
        imaging = sets.get(operation, suffix or "selfcal-set")
        own = image.stem.removeprefix(f"{direction}.")
        kind = mosaic[1] if mosaic else "apparent" if own == "image_full" else own
    else:
        imaging, kind = operation, image.stem.removeprefix(f"{direction}.").removeprefix("wsclean_")
    place = "mosaic" if direction == FIELD else direction
    words = [field, place, f"{freq_mhz:.1f}MHz" if freq_mhz else "", imaging, kind]
    return "_".join(word for word in words if word) + ".fits"
