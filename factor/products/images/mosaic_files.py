"""A mosaic as files: images, primary beam, where each pixel comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factor.products.images.image import write_image
from factor.products.images.mosaic import FacetImage, Mosaic
from factor.tools.versions import factor_version

if TYPE_CHECKING:
    from astropy.io.fits import Header

    from factor.products.images.beam import PrimaryBeam

#: Below this response the flat-noise image is blanked.
PB_CUT = 0.4
#: Below this response a corrected flux means nothing.
PB_FLOOR = 0.05


@dataclass(frozen=True)
class MosaicFiles:
    """The files of a mosaic."""

    pbcor: Path
    pbcut: Path
    pb: Path
    facets: Path


def write_mosaic(mosaic: Mosaic, beam: PrimaryBeam, prefix: Path, history: Sequence[str] = ()) -> MosaicFiles:
    """Write the products of fieldmosaic.

    ``<prefix>correct_mosaic.pbcor.fits`` (true flux), ``.pbcut.fits`` (flat noise, blanked
    beyond the 40 % power point), ``.pb.fits`` (primary beam) and ``.facets.fits`` (which
    facet, whose solutions; the numbers are explained in its table, and in the header of each file).

    Parameters
    ----------
    mosaic : Mosaic
    beam : PrimaryBeam
        On the mosaic's grid; its frequency goes into the headers.
    prefix : Path
        Folder and beginning of the file names.
    history : sequence of str
        HISTORY lines: versions, parset.
    """
    if beam.grid != mosaic.grid:
        raise ValueError("the primary beam is on another grid than the mosaic")
    names = (
        prefix.with_name(f"{prefix.name}correct_mosaic.{kind}.fits")
        for kind in ("pbcor", "pbcut", "pb", "facets")
    )
    files = MosaicFiles(*names)
    response, data = beam.data, mosaic.data
    header = _header(mosaic, mosaic.grid.header(beam.freq_hz, mosaic.bandwidth_hz), history)
    usable = np.where(response > PB_FLOOR, response, np.nan).astype(np.float32)
    write_image(files.pbcor, data / usable, header)
    header["PBCUT"] = (PB_CUT, "blanked where the primary beam is lower")
    write_image(files.pbcut, np.where(response >= PB_CUT, data, np.float32(np.nan)), header)
    for key in ("BMAJ", "BMIN", "BPA", "PBCUT"):
        del header[key]
    header["BUNIT"], header["BTYPE"] = "", "Primary beam"
    write_image(files.pb, response, header)
    legend = _header(mosaic, mosaic.grid.header(), history)
    legend["BTYPE"] = ("Facet", "number of the facet; 0 outside all")
    write_image(files.facets, mosaic.facet_map, legend, _facet_table(mosaic.facets))
    return files


def _legend(facets: Sequence[FacetImage]) -> list[str]:
    """What the numbers of the map of facets mean, in words."""
    words = {
        "own": "solutions of its own",
        "borrowed": "not calibrated itself, solutions of {0}",
        "failed": "its own calibration failed, solutions of {0}",
        "none": "no direction-dependent solutions",
    }
    return [f"{n} = {f.name}: {words[f.kind].format(f.solutions)}" for n, f in enumerate(facets, 1)]


def write_provenance(facets: Sequence[FacetImage], path: Path) -> None:
    """Write which facet has whose solutions as a text table: the numbers are those of the map."""
    rows = [("number", "facet", "kind", "solutions_of")]
    for number, facet in enumerate(facets, 1):
        rows.append((str(number), facet.name, facet.kind, solutions_of(facet) or "-"))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    path.write_text("".join(f"{line.rstrip()}\n" for line in lines))


def solutions_of(facet: FacetImage) -> str:
    """The direction whose solutions a facet has; empty for none."""
    return facet.solutions or ("" if facet.kind == "none" else facet.name)


def _header(mosaic: Mosaic, header: Header, history: Sequence[str]) -> Header:
    if "CTYPE4" in header:
        header["BUNIT"] = "JY/BEAM"
        header["BTYPE"] = "Intensity"
        header["BMAJ"] = (mosaic.beam.bmaj_deg, "deg")
        header["BMIN"] = (mosaic.beam.bmin_deg, "deg")
        header["BPA"] = (mosaic.beam.bpa_deg, "deg, at the field's centre")
    for key, value in mosaic.cards.items():
        header[key] = value
    header["ORIGIN"] = (f"Factor {factor_version()}", "facet calibration of LOFAR data")
    for line in history:
        # FITS headers are ASCII; a path need not be.
        header.add_history(line.encode("ascii", "backslashreplace").decode())
    for line in _legend(mosaic.facets):
        header.add_comment(line)
    return header


def _facet_table(facets: Sequence[FacetImage]) -> Any:
    from astropy.io.fits import table_to_hdu
    from astropy.table import Table

    hdu = table_to_hdu(
        Table(
            {
                "NUMBER": np.arange(1, len(facets) + 1, dtype=np.int16),
                "NAME": [f.name for f in facets],
                "SOLUTIONS": [solutions_of(f) for f in facets],
                "KIND": [f.kind for f in facets],
            }
        )
    )
    hdu.name = "FACETS"
    return hdu
