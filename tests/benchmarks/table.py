"""The tables of docs/measurements.rst: ``python table.py FIELD/report.json...``, one a field."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

Row = tuple[str, ...]


def _text(value: Any, digits: int = 3) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "\\"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _worst(report: dict[str, Any], kind: str) -> float | None:
    ratios = [row.get(f"flux_ratio_{kind}") for row in report["calibrators"]]
    known = [ratio for ratio in ratios if ratio is not None and not math.isnan(ratio)]
    return max(known, key=lambda ratio: abs(ratio - 1.0)) if known else None


def _off(report: dict[str, Any], kind: str) -> str:
    """How many calibrators are off by more than 3 % and by more than two thermal errors, of how many."""
    off = [
        abs(row.get(f"flux_ratio_{kind}", math.nan) - 1.0) > max(0.03, 2.0 * row["flux_error_thermal"])
        for row in report["calibrators"]
    ]
    return f"{sum(off)} of {len(off)}"


def science(report: dict[str, Any]) -> list[Row]:
    """Rows of one field: name, target, ideal, limit, Factor, DI."""
    images = {"ideal": report["ideal"], "limit": report["limit"], "factor": report, "di": report["di"]}

    def row(name: str, target: str, key: str, digits: int = 3) -> Row:
        return (name, target, *(_text(image.get(key), digits) for image in images.values()))

    def phase(name: str, target: str, key: str) -> Row:
        return (name, target, "\\", "\\", _text(report[key]), "\\")

    off = [_off(report, kind) for kind in images]
    worst = [_text(_worst(report, kind)) for kind in images]
    seams = [_text(report["seams"][kind]["median"]) for kind in images]
    return [
        row("noise (mJy/beam)", "1.15 × ideal", "noise_mjy"),
        row("noise, 15' from the brightest", "\\", "noise_far_mjy"),
        row("artefacts / noise", "1.3", "artefact_ratio", 2),
        row("flux, median", "within 2 %", "flux_ratio_median"),
        row("flux without own calibrator, median", "\\", "flux_far_median"),
        row("flux, scatter", "\\", "flux_scatter"),
        row("flux, excess scatter", "\\", "flux_excess_scatter"),
        row("flux, excess scatter within 0.4°", "5 %", "flux_near_excess_scatter"),
        ("flux of calibrators, worst", "within 3 %", *worst),
        ("the same, off by two thermal errors", "\\", *off),
        row("position, median (arcsec)", "2 × ideal", "position_median_arcsec", 2),
        row("position, largest (arcsec)", "\\", "position_max_arcsec", 2),
        phase("phase error, plane removed (rad)", "0.3", "phase_error_rad"),
        phase("phase error, with plane (rad)", "\\", "phase_error_with_plane_rad"),
        ("seams / noise, median", "\\", *seams),
    ]


def cost(reports: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of what the runs cost: name, target, one cell a field."""
    rows = [
        ("``runfactor``, wall time (s)", "480", "runfactor_wall_s", 0),
        ("the whole quickstart, wall time (s)", "1500", "wall_s", 0),
        ("CPU time (s)", "\\", "cpu_s", 0),
        ("own share", "below 0.15", "own_share", 3),
        ("parallel", "at least 0.7", "parallel", 2),
        ("peak memory (GB)", "below 4", "peak_memory_gb", 2),
        ("disk / data columns", "\\", "disk_ratio", 2),
    ]
    return [(name, target, *(_text(r.get(key), n) for r in reports)) for name, target, key, n in rows]


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A simple table of reStructuredText."""
    widths = [max(len(row[k]) for row in [header, *rows] if len(row) > k) for k in range(len(header))]
    line = "  ".join("=" * width for width in widths)

    def text(row: tuple[str, ...]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()

    return "\n".join([line, text(header), line, *(text(row) for row in rows), line])


def main(paths: list[str]) -> int:
    """Print both tables, and which targets were missed."""
    reports = [json.loads(Path(path).read_text()) for path in paths]
    rows: list[tuple[str, ...]] = []
    names = [Path(path).absolute().parent.name for path in paths]
    for name, report in zip(names, reports, strict=True):
        rows += [(f"**{name}**", *(5 * ["\\"])), *science(report)]
    sys.stdout.write(table(("\\", "target", "ideal", "limit", "Factor", "DI"), rows) + "\n\n")
    sys.stdout.write(table(("\\", "target", *names), cost(reports)) + "\n\n")
    for name, report in zip(names, reports, strict=True):
        missed = [target for target, reached in report["targets"].items() if reached is False]
        sys.stdout.write(f"{name}: not reached: {', '.join(missed) or 'nothing'}" + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
