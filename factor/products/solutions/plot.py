"""Pictures of solutions: small multiples, one panel for each station."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factor.products.images.plot import new_figure, save_figure
from factor.products.solutions.referencing import choose_reference, rereference
from factor.products.solutions.soltabs import (
    AMPLITUDE,
    LEAKAGE,
    LINEAR,
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
    (LEAKAGE, True): ("leakage", "leakage"),
}
COLUMNS = 8
COLOURS = ("#1f5fa8", "#d1701c", "#2f8f5b", "#8c4ba8")
FLAGGED = "#e8b4b4"
#: Points drawn per station and polarisation: more can't be told apart.
MOST_POINTS = 600
#: Layout in inches: size of a panel, from one to the next, margins, length of ticks.
_SIZE = (1.815, 1.18)
_PITCH = (1.925, 1.5)
_LEFT, _BOTTOM = 0.64, 0.45
_TICK = 0.028


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
    soltab = _at_middle_frequency(soltab)
    heading = f"{title} at {soltab.freqs[0] / 1e6:.1f} MHz"
    if soltab.kind in (PHASE, TEC):
        reference = choose_reference(soltab)
        soltab = rereference(soltab, reference) if soltab.kind == PHASE else _less_tec_of(soltab, reference)
        heading += f", relative to {reference}"
    hours = elapsed_hours(soltab)
    width = max(float(hours[-1]), 0.1)
    panels = _Panels(len(soltab.ants), (-0.03 * width, 1.03 * width), _limits(soltab))
    figure = new_figure(panels.width, panels.height)
    good = soltab.good[:, 0].reshape(*soltab.good.shape[:1], len(soltab.ants), -1)
    _draw_flagged(figure, panels, soltab, hours, good)
    _draw_points(figure, panels, soltab, hours, good)
    _draw_frames(figure, panels, soltab, hours)
    _label_panels(figure, panels, soltab.ants, np.asarray(good.any(axis=(0, 2))))
    _decorate(figure, heading, soltab)
    save_figure(figure, path, dpi=80)


def _less_tec_of(soltab: Soltab, station: str) -> Soltab:
    """TEC minus that of one station, which is interpolated where it is flagged: its zero is unknown."""
    index = soltab.ants.index(station)
    good = soltab.good[:, 0, index]
    if not good.any():
        return soltab
    own = np.interp(soltab.times, soltab.times[good], soltab.values[good, 0, index])
    return replace(soltab, values=soltab.values - own[:, None, None])


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
    width, height = figure.get_size_inches()
    _write(figure, 0.5 * width, height - 0.16, heading, fontsize=13, ha="center", va="top")
    start = soltab.times[0] - 0.5 * soltab.step_s
    when = f"hours since MJD {start / 86400.0:.4f}"
    if len(soltab.parts) > 1:
        when = f"hours of data since MJD {start / 86400.0:.4f}, gaps left out (dotted lines)"
    _write(figure, 0.5 * width, 0.12, when, fontsize=10, ha="center")
    unit = {PHASE: "phase (degrees)", TEC: "TEC (TECU)"}.get(soltab.kind, soltab.kind)
    _write(figure, 0.1, 0.5 * height, unit, fontsize=10, rotation=90, va="center")
    for i, pol in enumerate(soltab.pols or ()):
        x = 15.84 - (len(soltab.pols or ()) - i) * (0.24 + 0.12 * len(pol))
        _write(figure, x, height - 0.3, pol, fontsize=12, color=COLOURS[i % len(COLOURS)])
    _write(figure, _LEFT, height - 0.3, "shaded: flagged", fontsize=10, color="#b06060")


def _limits(soltab: Soltab) -> tuple[float, float]:
    values = soltab.values[soltab.good]
    if soltab.kind == PHASE:
        largest = float(np.degrees(np.abs(values).max(initial=0.0)))
        # Small ones are seen as well; few scales keep plots comparable.
        limit = next((limit for limit in (20.0, 60.0) if largest < limit), 180.0)
        return -limit, limit
    if soltab.kind in LINEAR:
        reach = 1.1 * float(np.percentile(np.abs(values), 99.5)) if len(values) else 1.0
        return -reach - 1e-3, reach + 1e-3
    if not len(values):
        return 0.0, 2.0
    low, high = np.percentile(values, (0.5, 99.5))
    margin = 0.15 * (high - low) + 0.05
    return max(0.0, float(low - margin)), float(high + margin)


@dataclass(frozen=True)
class _Panels:
    """Where the stations' panels lie, in inches from the lower left corner of the figure.

    They are no axes of matplotlib: with 60 of these, a figure takes seconds.
    """

    number: int
    hours: tuple[float, float]
    limits: tuple[float, float]

    @property
    def rows(self) -> int:
        return math.ceil(self.number / COLUMNS)

    @property
    def width(self) -> float:
        return 2.0 * COLUMNS

    @property
    def height(self) -> float:
        return _BOTTOM + self.rows * _PITCH[1] + 0.17

    @property
    def corners(self) -> Array:
        """Lower left corners, (panel, 2)."""
        row, column = np.divmod(np.arange(self.number), COLUMNS)
        return np.column_stack([_LEFT + column * _PITCH[0], _BOTTOM + (self.rows - 1 - row) * _PITCH[1]])

    def across(self, hours: Array) -> Array:
        """Inches from the left edge of a panel."""
        first, last = self.hours
        return np.asarray(_SIZE[0] * (hours - first) / (last - first))

    def up(self, values: Array) -> Array:
        """Inches from the lower edge of a panel; nan outside of it."""
        low, high = self.limits
        with np.errstate(invalid="ignore"):
            inside = (values >= low) & (values <= high)
        return np.where(inside, _SIZE[1] * (values - low) / (high - low), np.nan)


def _draw_points(figure: Any, panels: _Panels, soltab: Soltab, hours: Array, good: NDArray[np.bool_]) -> None:
    from matplotlib.lines import Line2D

    every = max(1, math.ceil(len(hours) / MOST_POINTS))
    values = np.where(good, soltab.values[:, 0].reshape(good.shape), np.nan)[::every]
    if soltab.kind == PHASE:
        values = np.degrees(values)
    x = panels.corners[:, 0] + panels.across(hours)[::every, None]
    y = panels.corners[:, 1, None] + panels.up(values)
    size = 1.6 if len(hours) > 60 else 4.0
    for pol in range(values.shape[2]):
        points = Line2D(
            x.ravel(), y[:, :, pol].ravel(), ls="none", marker=".", ms=size,
            color=COLOURS[pol % len(COLOURS)], transform=figure.dpi_scale_trans,
        )  # fmt: skip
        figure.add_artist(points)


def _draw_flagged(
    figure: Any, panels: _Panels, soltab: Soltab, hours: Array, good: NDArray[np.bool_]
) -> None:
    from matplotlib.collections import PolyCollection

    half = 0.5 * (soltab.step_s / 3600.0 or 0.1)
    boxes: list[Array] = []
    for part in soltab.parts:
        bad = np.pad(~good[part].all(axis=2), ((1, 1), (0, 0))).astype(int)
        # Of each station in turn, so that a start and an end belong together.
        ants, starts = np.nonzero(np.diff(bad, axis=0).T == 1)
        ends = np.nonzero(np.diff(bad, axis=0).T == -1)[1]
        left = panels.corners[ants, 0] + panels.across(hours[part][starts] - half)
        right = panels.corners[ants, 0] + panels.across(hours[part][ends - 1] + half)
        low = panels.corners[ants, 1]
        high = low + _SIZE[1]
        corners = np.array([[left, low], [left, high], [right, high], [right, low]])
        boxes += list(corners.transpose(2, 0, 1))
    inches = figure.dpi_scale_trans
    figure.add_artist(PolyCollection(boxes, facecolor=FLAGGED, lw=0, zorder=0.5, transform=inches))


def _draw_frames(figure: Any, panels: _Panels, soltab: Soltab, hours: Array) -> None:
    from matplotlib.collections import LineCollection

    width, height = _SIZE
    frame = [(0, 0), (width, 0), (width, height), (0, height), (0, 0)]
    ticks = [[(x, 0), (x, -_TICK)] for x in panels.across(_ticks(panels.hours))]
    ticks += [[(0, y), (-_TICK, y)] for y in panels.up(_ticks(panels.limits))]
    firsts = [hours[part.start] - 0.5 * soltab.step_s / 3600.0 for part in soltab.parts[1:]]
    seams = [[(x, 0), (x, height)] for x in panels.across(np.asarray(firsts))]
    for lines, colour, thick, dashes in (([frame, *ticks], "black", 0.8, "-"), (seams, "0.4", 0.6, ":")):
        placed = [np.asarray(line) + corner for corner in panels.corners for line in lines]
        inches = figure.dpi_scale_trans
        figure.add_artist(LineCollection(placed, colors=colour, lw=thick, ls=dashes, transform=inches))


def _label_panels(figure: Any, panels: _Panels, names: tuple[str, ...], solved: NDArray[np.bool_]) -> None:
    width, height = _SIZE
    for number, (x, y) in enumerate(panels.corners):
        _write(figure, x, y + height + 0.03, names[number], fontsize=8)
        if not solved[number]:
            middle = (x + 0.5 * width, y + 0.5 * height)
            _write(figure, *middle, "no solutions", fontsize=8, ha="center", va="center")
        if number % COLUMNS == 0:
            ticks = _ticks(panels.limits)
            for up, text in zip(panels.up(ticks), _numbers(ticks), strict=True):
                _write(figure, x - 0.06, y + up, text, fontsize=7, ha="right", va="center_baseline")
        if number + COLUMNS >= panels.number:
            ticks = _ticks(panels.hours)
            for across, text in zip(panels.across(ticks), _numbers(ticks), strict=True):
                _write(figure, x + across, y - 0.07, text, fontsize=7, ha="center", va="top")


def _write(figure: Any, x: float, y: float, text: str, **style: Any) -> None:
    """Text at a place in inches."""
    # Without a search for formulae, which takes as long as the drawing.
    figure.text(x, y, text, transform=figure.dpi_scale_trans, parse_math=False, **style)


def _ticks(limits: tuple[float, float]) -> Array:
    """Round numbers between two limits."""
    from matplotlib.ticker import MaxNLocator

    if limits == (-180.0, 180.0):
        return np.array([-180.0, -90.0, 0.0, 90.0, 180.0])
    ticks = np.asarray(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(*limits))
    return ticks[(ticks >= limits[0]) & (ticks <= limits[1])]


def _numbers(ticks: Array) -> list[str]:
    """Ticks as text, all with as many decimals as the distance of two of them needs."""
    step = float(np.min(np.diff(ticks), initial=1.0))
    decimals = next((n for n in range(9) if abs(round(step, n) - step) < 1e-3 * step), 9)
    return [f"{tick:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
