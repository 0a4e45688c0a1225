"""Pictures of solutions: small multiples, one panel for each station."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from factor.products.referencing import choose_reference, rereference
from factor.products.solutions import (
    AMPLITUDE,
    PHASE,
    TEC,
    Array,
    Soltab,
    read_soltabs,
)

#: What a user should read instead of a soltab's name.
TITLES = {
    (PHASE, False): ("fast_phase", "fast phase"),
    (PHASE, True): ("slow_phase", "slow phase"),
    (AMPLITUDE, False): ("amplitude", "amplitude"),
    (AMPLITUDE, True): ("slow_amplitude", "slow amplitude"),
    (TEC, False): ("tec", "TEC"),
}
COLUMNS = 8
COLOURS = ("#1f5fa8", "#d1701c", "#2f8f5b", "#8c4ba8")
FLAGGED = "#e8b4b4"
#: Points drawn per station and polarisation: more can't be told apart.
MOST_POINTS = 600


def plot_solutions(h5parm: Path, prefix: Path) -> list[Path]:
    """Plot every soltab of an H5parm at the middle frequency against time.

    Parameters
    ----------
    h5parm : Path
        Solutions.
    prefix : Path
        Folder and beginning of the names; the pictures are called
        ``<prefix>make_selfcal_plots_<kind>.png``.

    Returns
    -------
    list of Path
        The pictures.
    """
    paths = []
    for soltab in read_soltabs(h5parm).values():
        name, title = TITLES[soltab.kind, soltab.pols is not None]
        path = prefix.with_name(f"{prefix.name}make_selfcal_plots_{name}.png")
        while path in paths:
            path = path.with_stem(f"{path.stem}_")
        _plot(soltab, title, path)
        paths.append(path)
    return paths


def _plot(soltab: Soltab, title: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    soltab = _at_middle_frequency(soltab)
    heading = f"{title} at {soltab.freqs[0] / 1e6:.1f} MHz"
    if soltab.kind == PHASE:
        reference = choose_reference(soltab)
        soltab = rereference(soltab, reference)
        heading += f", relative to {reference}"
    rows = math.ceil(len(soltab.ants) / COLUMNS)
    figure = Figure(figsize=(2.0 * COLUMNS, 1.35 * rows + 1.1), dpi=80)
    FigureCanvasAgg(figure)
    hours = elapsed_hours(soltab)
    limits = _limits(soltab)
    for number, ant in enumerate(soltab.ants):
        _Panel(figure, len(soltab.ants), number, hours, limits).draw(soltab, ant)
    _decorate(figure, heading, soltab)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        figure.savefig(draft, format="png")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def elapsed_hours(soltab: Soltab) -> Array:
    """Hours of data before each time: what lies between nights, and other gaps, is left out."""
    step = soltab.step_s
    hours, seconds = np.zeros(len(soltab.times)), 0.0
    for part in soltab.parts:
        own = soltab.times[part] - soltab.times[part.start]
        hours[part] = (own + seconds + 0.5 * step) / 3600.0
        seconds += own[-1] + step
    return hours


def _at_middle_frequency(soltab: Soltab) -> Soltab:
    middle = slice(len(soltab.freqs) // 2, len(soltab.freqs) // 2 + 1)
    return replace(
        soltab,
        freqs=soltab.freqs[middle],
        values=soltab.values[:, middle],
        weights=soltab.weights[:, middle],
    )


def _decorate(figure: Any, heading: str, soltab: Soltab) -> None:
    height = figure.get_figheight()
    figure.suptitle(heading, x=0.5, y=1.0 - 0.16 / height, fontsize=13, va="top")
    start = soltab.times[0] - 0.5 * soltab.step_s
    when = f"hours since MJD {start / 86400.0:.4f}"
    if len(soltab.parts) > 1:
        when = f"hours of data since MJD {start / 86400.0:.4f}, gaps left out (dotted lines)"
    figure.text(0.5, 0.12 / height, when, ha="center")
    unit = {PHASE: "phase (degrees)", TEC: "TEC (TECU)"}.get(soltab.kind, "amplitude")
    figure.text(0.006, 0.5, unit, rotation=90, va="center")
    for i, pol in enumerate(soltab.pols or ()):
        figure.text(0.90 + 0.03 * i, 1.0 - 0.3 / height, pol, color=COLOURS[i % len(COLOURS)], fontsize=12)
    figure.text(0.04, 1.0 - 0.3 / height, "shaded: flagged", color="#b06060", fontsize=10)
    bottom, top = 0.45 / height, 1.0 - 0.5 / height
    figure.subplots_adjust(left=0.04, right=0.995, bottom=bottom, top=top, wspace=0.06, hspace=0.28)


def _limits(soltab: Soltab) -> tuple[float, float]:
    if soltab.kind == PHASE:
        return -180.0, 180.0
    values = soltab.values[soltab.good]
    if soltab.kind == TEC:
        reach = 1.1 * float(np.percentile(np.abs(values), 99.5)) if len(values) else 1.0
        return -reach - 1e-3, reach + 1e-3
    if not len(values):
        return 0.0, 2.0
    low, high = np.percentile(values, (0.5, 99.5))
    margin = 0.15 * (high - low) + 0.05
    return max(0.0, float(low - margin)), float(high + margin)


class _Panel:
    """The panel of one station."""

    def __init__(
        self, figure: Any, n_panels: int, number: int, hours: Array, limits: tuple[float, float]
    ) -> None:
        self.hours = hours
        self.limits = limits
        self.axes = figure.add_subplot(math.ceil(n_panels / COLUMNS), COLUMNS, number + 1)
        self.left = number % COLUMNS == 0
        self.lowest = number + COLUMNS >= n_panels

    def draw(self, soltab: Soltab, ant: str) -> None:
        index = soltab.ants.index(ant)
        every = max(1, math.ceil(len(self.hours) / MOST_POINTS))
        values = soltab.values[:, 0, index].reshape(len(self.hours), -1)
        good = soltab.good[:, 0, index].reshape(len(self.hours), -1)
        if soltab.kind == PHASE:
            values = np.degrees(values)
        size = 1.6 if len(self.hours) > 60 else 4.0
        for pol in range(values.shape[1]):
            shown = np.where(good[:, pol], values[:, pol], np.nan)[::every]
            self.axes.plot(
                self.hours[::every], shown, ".", ms=size, color=COLOURS[pol % len(COLOURS)], rasterized=True
            )
        self._shade(soltab, good.all(axis=1))
        for part in soltab.parts[1:]:
            seam = self.hours[part.start] - 0.5 * soltab.step_s / 3600.0
            self.axes.axvline(seam, color="0.4", lw=0.6, ls=":")
        self._frame(ant, "no solutions" if not good.any() else "")

    def _shade(self, soltab: Soltab, good: Any) -> None:
        step = soltab.step_s / 3600.0 or 0.1
        for part in soltab.parts:
            bad = np.concatenate(([False], ~good[part], [False])).astype(int)
            starts, ends = np.flatnonzero(np.diff(bad) == 1), np.flatnonzero(np.diff(bad) == -1)
            hours = self.hours[part]
            spans = [
                (hours[a] - 0.5 * step, hours[b - 1] - hours[a] + step)
                for a, b in zip(starts, ends, strict=True)
            ]
            if spans:
                low, high = self.limits
                self.axes.broken_barh(spans, (low, high - low), color=FLAGGED, lw=0)

    def _frame(self, ant: str, remark: str) -> None:
        self.axes.set_title(ant, fontsize=8, pad=2, loc="left")
        self.axes.set_ylim(*self.limits)
        width = max(float(self.hours[-1]), 0.1)
        self.axes.set_xlim(-0.03 * width, 1.03 * width)
        self.axes.tick_params(labelsize=7, length=2, labelleft=self.left, labelbottom=self.lowest)
        if self.limits == (-180.0, 180.0):
            self.axes.set_yticks((-180, -90, 0, 90, 180))
        if remark:
            where = self.axes.transAxes
            self.axes.text(0.5, 0.5, remark, transform=where, ha="center", va="center", fontsize=8)
