"""The numbers of an evaluation as tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_ROWS = (
    ("noise (mJy/beam)", "noise_mjy", "{:.3f}"),
    ("noise / ideal", "noise_ratio", "{:.2f}"),
    ("noise, 15' from the brightest source", "noise_far_mjy", "{:.3f}"),
    ("artefacts / noise", "artefact_ratio", "{:.2f}"),
    ("flux / true, median", "flux_ratio_median", "{:.3f}"),
    ("the same, sources that are no calibrators", "flux_far_median", "{:.3f}"),
    ("flux / true, scatter", "flux_scatter", "{:.3f}"),
    ("excess scatter", "flux_excess_scatter", "{:.3f}"),
    ("the same within 0.4 deg of a calibrator", "flux_near_excess_scatter", "{:.3f}"),
    ("position error, median (arcsec)", "position_median_arcsec", "{:.2f}"),
    ("position error, maximum (arcsec)", "position_max_arcsec", "{:.2f}"),
    ("position error, median (BMIN)", "position_median_bmin", "{:.3f}"),
)
_COSTS = (
    ("wall time of runfactor (s)", "runfactor_wall_s", "{:.0f}"),
    ("wall time of the quickstart (s)", "wall_s", "{:.0f}"),
    ("CPU time of runfactor (s)", "cpu_s", "{:.0f}"),
    ("own share of it", "own_share", "{:.3f}"),
    ("parallel", "parallel", "{:.2f}"),
    ("peak memory (GB)", "peak_memory_gb", "{:.2f}"),
    ("disk / data columns", "disk_ratio", "{:.2f}"),
)


def show(report: Mapping[str, Any]) -> None:
    """Print the tables."""
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 118)
    for table in (_images(report), _calibrators(report), _rest(report)):
        console.print(table)


def _number(value: Any, form: str) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return form.format(value)


def _images(report: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title="The field")
    for name in ("", "ideal", "limit", "Factor", "DI"):
        table.add_column(name, justify="right" if name else "left")
    for label, key, form in _ROWS:
        values = (report["ideal"][key], report["limit"][key], report[key], report["di"][key])
        table.add_row(label, *(_number(value, form) for value in values))
    seams = report["seams"]
    steps = [_number(seams[kind]["median"], "{:.2f}") for kind in ("ideal", "limit", "factor", "di")]
    table.add_row("steps between facets / noise, median", *steps)
    return table


def _calibrators(report: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table(
        title="Calibrators, each for ideal, Factor, DI: flux / true, position error (arcsec), "
        "local noise (mJy/beam)"
    )
    for name in ("direction", "Jy", "flux", "position", "noise", "phase error (rad)"):
        table.add_column(name, justify="left" if name == "direction" else "right")
    for row in report["calibrators"]:
        trios = [
            " ".join(_number(row[f"{what}_{kind}"], form) for kind in ("ideal", "factor", "di"))
            for what, form in (
                ("flux_ratio", "{:.3f}"), ("position_arcsec", "{:.2f}"), ("local_noise_mjy", "{:.2f}"),
            )
        ]
        name = row["direction"] + ("" if row["verdict_good"] else " (failed)")
        phase = _number(row["phase_error_rad"], "{:.2f}")
        table.add_row(name, f"{row['apparent_jy']:.2f}", *trios, phase)
    return table


def _rest(report: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title="Cost and targets")
    table.add_column("")
    table.add_column("", justify="right")
    for label, key, form in _COSTS:
        table.add_row(label, _number(report[key], form))
    table.add_row("phase error, plane removed (rad)", _number(report["phase_error_rad"], "{:.3f}"))
    table.add_row("phase error, with plane (rad)", _number(report["phase_error_with_plane_rad"], "{:.3f}"))
    answers = {True: "reached", False: "MISSED", None: "not known"}
    for name, reached in report["targets"].items():
        table.add_row(f"target: {name.replace('_', ' ')}", answers[reached])
    return table
