"""Charts of a run as SVG: what was done when, what it took, and noise against expectation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from factor.progress.estimate import moment
from factor.progress.model import Operation
from factor.progress.report.markup import Markup, element, joined
from factor.progress.report.states import anchor
from factor.progress.words import cut, duration, size
from factor.state.records import Record, StepRecord
from factor.workspace import FIELD, base_operation

_WIDTH, _LEFT, _LANE = 900.0, 150.0, 15.0
_TIMES_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800)
#: Number of points of the curves.
_BINS = 240
#: Longest name of a direction in a chart.
_NAME_WIDTH = 20


@dataclass(frozen=True)
class _Clock:
    """From time to place in a chart."""

    begin: float
    end: float

    def x(self, when: float) -> float:
        return _LEFT + (when - self.begin) / max(1.0, self.end - self.begin) * (_WIDTH - _LEFT - 12)

    @property
    def ticks(self) -> list[float]:
        length = self.end - self.begin
        step = next((s for s in _TIMES_S if length / s <= 8), _TIMES_S[-1])
        return [self.begin + step * k for k in range(int(length / step) + 1)]

    def axis(self, height: float) -> Markup:
        lines = [
            joined(
                element("path", d=f"M{self.x(tick):.1f} 4V{height:.1f}"),
                element("text", duration(tick - self.begin), x=self.x(tick), y=height + 14, class_="tick"),
            )
            for tick in self.ticks
        ]
        return element("g", *lines, class_="grid")


def timeline(operations: Sequence[Operation], records: Iterable[Record]) -> Markup | None:
    """What was done to which direction and when, above it the processors and the memory that steps took.

    Parameters
    ----------
    operations : sequence of Operation
        All that were begun.
    records : iterable of Record
        Their steps are what the curves are made of.
    """
    spans = [(operation, *_span(operation)) for operation in operations if operation.started]
    if not spans:
        return None
    clock = _Clock(min(begin for _, begin, _ in spans), max(end for _, _, end in spans))
    lanes: dict[str, list[Markup]] = {}
    for operation, begin, end in sorted(spans, key=lambda span: span[1]):
        lanes.setdefault(operation.direction, []).append(_bar(operation, clock, begin, end))
    rows = []
    for number, (name, bars) in enumerate(lanes.items()):
        label = element("text", cut(name, _NAME_WIDTH), x=_LEFT - 6, y=11, class_="name")
        link = label if name == FIELD else element("a", label, href=f"#{anchor(name)}")
        rows.append(element("g", link, *bars, transform=f"translate(0 {number * _LANE + 4:.1f})"))
    height = len(lanes) * _LANE + 8
    drawing = element(
        "svg", element("title", "Timeline of the operations"), clock.axis(height), *rows,
        viewBox=f"0 0 {_WIDTH:.0f} {height + 20:.0f}", class_="chart", role="group",
        aria_label="Timeline of the operations",
    )  # fmt: skip
    return joined(_load(list(records), clock), element("div", drawing, class_="wide"))


def _span(operation: Operation) -> tuple[float, float]:
    begin = moment(operation.started) or 0.0
    return begin, begin + operation.elapsed_s


def _bar(operation: Operation, clock: _Clock, begin: float, end: float) -> Markup:
    told = (
        f"{operation.operation} {operation.direction}: {operation.state}, {duration(operation.elapsed_s)}, "
        f"CPU {duration(operation.cpu_s)}, {size(operation.peak_memory_mb * 1e6)} at most, "
        f"{operation.steps_done} steps"
    )
    base = base_operation(operation.operation)
    width = max(1.5, clock.x(end) - clock.x(begin))
    return element(
        "rect", element("title", told), x=clock.x(begin), y=1, width=width, height=_LANE - 4,
        class_=f"o-{base}{' open' if operation.state != 'done' else ''}",
    )  # fmt: skip


def _load(records: Sequence[Record], clock: _Clock) -> Markup | None:
    """Processors in use, by the CPU time of the steps, and the memory of the largest of these."""
    steps = [step for record in records for step in record.steps.values()]
    edges = np.linspace(clock.begin, clock.end, _BINS + 1)
    cores, memory = _curves(steps, edges)
    if not cores.any() and not memory.any():
        return None
    height, most = 70.0, size(memory.max() * 1e6)
    drawing = element(
        "svg", element("title", "Processors and memory of the largest step"),
        clock.axis(height),
        _curve(edges, cores, clock, height, "cpu"), _curve(edges, memory, clock, height, "memory"),
        element("text", f"CPUs, to {cores.max():.1f}", x=_LEFT - 6, y=24, class_="name cpu"),
        element("text", f"a step, to {most}", x=_LEFT - 6, y=44, class_="name memory"),
        viewBox=f"0 0 {_WIDTH:.0f} {height + 20:.0f}", class_="chart", role="img",
        aria_label=f"Processors, {cores.max():.1f} at most; memory of a step, {most} at most",
    )  # fmt: skip
    return element("div", drawing, class_="wide")


def _curves(
    steps: Iterable[StepRecord], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cores, memory = np.zeros(_BINS), np.zeros(_BINS)
    width = max(1e-9, float(edges[1] - edges[0]))
    for step in steps:
        begin, end = moment(step.started), moment(step.finished)
        if begin is None or end is None or end < edges[0]:
            continue
        # Times are noted in whole seconds: what took less is taken for one.
        end = max(end, begin + 1.0)
        part = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0.0, None) / width
        cores += part * step.cpu_s / (end - begin)
        memory = np.maximum(memory, np.where(part > 0.0, step.peak_memory_mb, 0.0))
    return cores, memory


def _curve(
    edges: NDArray[np.float64], values: NDArray[np.float64], clock: _Clock, height: float, kind: str
) -> Markup:
    top = float(values.max()) or 1.0
    y = height - values / top * (height - 8)
    corners = "".join(
        f"L{clock.x(a):.1f} {v:.1f}L{clock.x(b):.1f} {v:.1f}"
        for (a, b), v in zip(pairwise(edges), y, strict=True)
    )
    first, last = clock.x(edges[0]), clock.x(edges[-1])
    return element("path", d=f"M{first:.1f} {height:.1f}{corners}L{last:.1f} {height:.1f}Z", class_=kind)


@dataclass(frozen=True)
class NoiseRow:
    """Noise of a direction's images.

    Attributes
    ----------
    thermal_jy : float
        What is expected at full bandwidth, 0 when not known.
    first_jy, last_jy, facet_jy : float
        Of the calibrator's first and last image, and of the facet's; 0 when there is none.
    calibrator_ratio, facet_ratio : float
        Over the expected one, as in the verdict; 0 when not judged.
    """

    name: str
    thermal_jy: float
    first_jy: float
    last_jy: float
    facet_jy: float
    calibrator_ratio: float
    facet_ratio: float


def noise_chart(rows: Sequence[NoiseRow], limit: float) -> Markup | None:
    """Noise over the expected one: a line for each direction, dots for its images.

    Parameters
    ----------
    rows : sequence of NoiseRow
    limit : float
        Largest ratio that passes; 0 when not known.
    """
    rows = [row for row in rows if row.calibrator_ratio or row.facet_ratio]
    if not rows:
        return None
    top = max(2.0, *(max(row.calibrator_ratio, row.facet_ratio) for row in rows)) * 1.05
    height = len(rows) * _LANE + 8

    def x(ratio: float) -> float:
        return _LEFT + ratio / top * (_WIDTH - _LEFT - 12)

    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 1e3, 1e9) if top / s <= 10)
    grid = [
        joined(element("path", d=f"M{x(step * k):.1f} 4V{height:.1f}"),
               element("text", f"{step * k:g}", x=x(step * k), y=height + 14, class_="tick"))
        for k in range(int(top / step) + 1)
    ]  # fmt: skip
    lines = [element("path", d=f"M{x(1.0):.1f} 4V{height:.1f}", class_="one")]
    if 0 < limit < top:
        lines.append(element("path", d=f"M{x(limit):.1f} 4V{height:.1f}", class_="limit"))
    drawing = element(
        "svg", element("title", "Noise over the expected one"), element("g", *grid, class_="grid"), *lines,
        *(_noise_lane(row, k, x(row.calibrator_ratio), x(row.facet_ratio)) for k, row in enumerate(rows)),
        viewBox=f"0 0 {_WIDTH:.0f} {height + 20:.0f}", class_="chart", role="group",
        aria_label="Noise over the expected one",
    )  # fmt: skip
    return element("div", drawing, class_="wide")


def _noise_lane(row: NoiseRow, number: int, calibrator: float, facet: float) -> Markup:
    y = number * _LANE + 11.0
    dots = []
    if row.calibrator_ratio:
        told = f"{row.name}: calibrator's image {row.calibrator_ratio:.2f} of the expected noise"
        shape = {"cx": calibrator, "cy": y, "r": 4.5}
        dots.append(element("circle", element("title", told), class_="calibrator", **shape))
    if row.facet_ratio:
        told = f"{row.name}: facet's image {row.facet_ratio:.2f} of the expected noise"
        d = f"M{facet - 5:.1f} {y + 4:.1f}h10l-5 -9z"
        dots.append(element("path", element("title", told), d=d, class_="facet-dot"))
    label = element("text", cut(row.name, _NAME_WIDTH), x=_LEFT - 6, y=y + 4, class_="name")
    return element("g", element("a", label, href=f"#{anchor(row.name)}"), *dots)
