"""The picture of the check of a mosaic's fluxes and positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factor.products.fieldcheck.table import Row, Summary
from factor.products.images.plot import new_figure, save_figure

#: Colours that everyone can tell apart (Okabe & Ito 2008), and a mark for each reference.
_STYLES = (("#0072B2", "o"), ("#D55E00", "^"))


def plot_check(rows: Sequence[Row], summaries: Sequence[Summary], path: Path) -> None:
    """Flux ratio against flux and distance from the centre; offsets in RA and Dec.

    Parameters
    ----------
    rows : sequence of Row
        Those that could not be measured are left out.
    summaries : sequence of Summary
        Of each reference, in order.
    path : Path
        The PNG.
    """
    figure = new_figure(13.0, 4.6)
    flux, distance, offsets = figure.subplots(1, 3)
    for summary, (colour, mark) in zip(summaries, _STYLES, strict=False):
        own = [r for r in rows if r.reference == summary.reference and math.isfinite(r.flux_ratio)]
        style = {"color": colour, "marker": mark, "linestyle": "none", "markersize": 5, "alpha": 0.8}
        errors = [r.error_apparent_jy / r.expected_apparent_jy for r in own]
        ratios = [r.flux_ratio for r in own]
        label = f"{summary.reference}: {summary.found} of {summary.expected}"
        fluxes = [1e3 * r.expected_apparent_jy for r in own]
        flux.errorbar(fluxes, ratios, errors, elinewidth=0.6, label=label, **style)
        distance.errorbar([r.distance_deg for r in own], ratios, errors, elinewidth=0.6, **style)
        offsets.plot([r.ra_offset_arcsec for r in own], [r.dec_offset_arcsec for r in own], **style)
        if own:
            _medians(flux, distance, offsets, summary, colour)
    _decorate(flux, distance, offsets, summaries)
    figure.tight_layout()
    save_figure(figure, path)


def _medians(flux: Any, distance: Any, offsets: Any, summary: Summary, colour: str) -> None:
    for axes in (flux, distance):
        axes.axhline(summary.flux_ratio, color=colour, linewidth=1.0, linestyle="--")
    east, north = summary.ra_offset_arcsec, summary.dec_offset_arcsec
    label = f'medians {east:+.2f}", {north:+.2f}"'
    offsets.plot([east], [north], "+", color=colour, markersize=20, mew=2.0, zorder=5, label=label)


def _decorate(flux: Any, distance: Any, offsets: Any, summaries: Sequence[Summary]) -> None:
    flux.set_xscale("log")
    flux.set_xlabel("expected apparent flux (mJy)")
    distance.set_xlabel("distance from the field's centre (deg)")
    flux.set_title("Fluxes (dashed: medians)", fontsize=10)
    distance.set_title("Fluxes over the field", fontsize=10)
    for axes in (flux, distance):
        axes.set_ylabel("measured / expected flux")
        axes.axhline(1.0, color="black", linewidth=0.7)
    offsets.set_title("Positions, measured - expected (dotted: half the beam)", fontsize=9)
    offsets.set_xlabel("RA offset (arcsec)")
    offsets.set_ylabel("Dec offset (arcsec)")
    offsets.axhline(0.0, color="black", linewidth=0.7)
    offsets.axvline(0.0, color="black", linewidth=0.7)
    if summaries:
        from matplotlib.patches import Circle

        circle = Circle((0, 0), summaries[0].beam_arcsec / 2.0, fill=False, color="grey", linestyle=":")
        offsets.add_patch(circle)
        reach = max(0.6 * summaries[0].beam_arcsec, *(abs(v) for v in offsets.dataLim.get_points().ravel()
                                                      if math.isfinite(v)))  # fmt: skip
        # East is left, as in the images.
        offsets.set(xlim=(1.05 * reach, -1.05 * reach), ylim=(-1.05 * reach, 1.05 * reach))
    offsets.set_aspect("equal")
    for axes in (flux, offsets):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
