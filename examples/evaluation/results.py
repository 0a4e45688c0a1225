"""All numbers of one evaluation: put together, judged, and laid out as JSON and as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from evaluation.costs import Cost
from evaluation.mosaics import Measures, scatter
from evaluation.phases import PhaseError
from evaluation.truth import TrueSource
from factor.products.images.image import Beam

#: What a run must reach.
NOISE_RATIO, ARTEFACT_RATIO = 1.15, 1.3
CALIBRATOR_FLUX, MEDIAN_FLUX, EXCESS_SCATTER = 0.03, 0.02, 0.05
POSITION_RATIO = 2.0
PHASE_RAD = 0.3
RUNFACTOR_S, QUICKSTART_S = 8 * 60.0, 25 * 60.0
OWN_SHARE, PARALLEL, MEMORY_GB = 0.15, 0.7, 4.0

#: The scatter of fluxes is to be small so near to a calibrator.
NEAR_DEG = 0.4

KINDS = ("factor", "ideal", "limit", "di")


@dataclass(frozen=True)
class CalibratorOf:
    """The true source of a calibrated direction, and how well its phases came out."""

    direction: str
    source: TrueSource
    isolated: bool
    good: bool
    """The verdict of its self-calibration."""
    phase: PhaseError | None


@dataclass(frozen=True)
class Findings:
    """Everything that an evaluation found.

    Attributes
    ----------
    measures : mapping of kind to Measures
        For ``factor``, ``ideal``, ``limit`` and ``di``.
    seams : mapping of kind to sequence of float
        Steps along the edges between facets, in units of the noise.
    wall_s : float
        Of the whole quickstart; NaN where it is not known.
    calibrator_deg : mapping of source name to float
        How far from each source the nearest calibrator is.
    """

    measures: Mapping[str, Measures]
    seams: Mapping[str, Sequence[float]]
    calibrators: Sequence[CalibratorOf]
    beam: Beam
    cost: Cost
    wall_s: float
    calibrator_deg: Mapping[str, float] = field(default_factory=dict)


def excess_scatter(measured: float, ideal: float) -> float:
    """What a scatter has beyond the ideal's."""
    return math.sqrt(max(0.0, measured**2 - ideal**2)) if math.isfinite(measured + ideal) else math.nan


def image_numbers(findings: Findings, kind: str) -> dict[str, float]:
    """The numbers of one mosaic."""
    measures, ideal = findings.measures[kind], findings.measures["ideal"]
    bmin_arcsec = 3600.0 * findings.beam.bmin_deg
    ratios, offsets = measures.flux_ratios(), measures.offsets_arcsec()
    near = near_calibrators(findings, kind)
    ideal_offsets = ideal.offsets_arcsec()
    position = _median(offsets)
    return {
        "noise_mjy": 1e3 * measures.noise_jy,
        "noise_ratio": measures.noise_jy / ideal.noise_jy,
        "noise_far_mjy": 1e3 * measures.noise_far_jy,
        "flux_ratio_median": _median(ratios),
        "flux_scatter": scatter(ratios),
        "flux_excess_scatter": excess_scatter(scatter(ratios), scatter(ideal.flux_ratios())),
        "flux_far_median": _median(far_from_calibrators(findings, kind)),
        "flux_near_scatter": scatter(near),
        "flux_near_excess_scatter": excess_scatter(
            scatter(near), scatter(near_calibrators(findings, "ideal"))
        ),
        "position_median_arcsec": position,
        "position_max_arcsec": float(offsets.max()) if offsets.size else math.nan,
        "position_median_bmin": position / bmin_arcsec,
        "position_max_bmin": float(offsets.max()) / bmin_arcsec if offsets.size else math.nan,
        "position_ratio": position / _median(ideal_offsets) if ideal_offsets.size else math.nan,
        "artefact_ratio": measures.artefact_ratio,
    }


def _median(values: np.ndarray[Any, Any]) -> float:
    return float(np.median(values)) if values.size else math.nan


def _median_of_known(values: Iterable[float]) -> float:
    """The median of those that are known: a faint calibrator has no station that counts."""
    return _median(np.array([value for value in values if math.isfinite(value)]))


def calibrator_rows(findings: Findings) -> list[dict[str, Any]]:
    """One row per calibrated direction."""
    rows = []
    for member in findings.calibrators:
        name = member.source.name
        row: dict[str, Any] = {
            "direction": member.direction,
            "source": name,
            "apparent_jy": member.source.apparent_jy,
            "point": member.source.is_point,
            "isolated": member.isolated,
            "verdict_good": member.good,
            "flux_error_thermal": flux_error(member.source, findings.measures["ideal"], findings.beam),
            "position_error_thermal_arcsec": position_error(
                member.source, findings.measures["ideal"], findings.beam
            ),
        }
        for kind in KINDS:
            measures = findings.measures[kind]
            row[f"flux_ratio_{kind}"] = measures.calibrators[name].flux_ratio
            row[f"position_arcsec_{kind}"] = measures.calibrators[name].offset_arcsec
            row[f"local_noise_mjy_{kind}"] = 1e3 * measures.local_noise_jy[name]
        row["phase_error_rad"] = member.phase.without_plane if member.phase else math.nan
        row["phase_error_with_plane_rad"] = member.phase.with_plane if member.phase else math.nan
        row["phase_stations"] = member.phase.n_stations if member.phase else 0
        rows.append(row)
    return rows


def flux_error(source: TrueSource, ideal: Measures, beam: Beam) -> float:
    """Relative thermal error of an aperture flux."""
    beams = math.pi * source.aperture_deg(beam) ** 2 / beam.solid_angle_deg2
    return ideal.noise_jy * math.sqrt(beams) / source.apparent_jy


def position_error(source: TrueSource, ideal: Measures, beam: Beam) -> float:
    """Thermal error of a position, arcsec (Condon 1997, PASP 109, 166, eq. 21)."""
    return 0.6 * 3600.0 * beam.bmaj_deg * ideal.noise_jy / source.apparent_jy


def targets(report: Mapping[str, Any]) -> dict[str, bool | None]:
    """Which of the numbers that a run must reach it reached; None where one is not known.

    *No worse than DI* allows for one thermal error of the ideal image.
    """
    rows, di = report["calibrators"], report["di"]
    return {
        "noise": _at_most(report["noise_ratio"], NOISE_RATIO),
        "artefacts": _at_most(report["artefact_ratio"], ARTEFACT_RATIO),
        "flux_each_calibrator": _all(
            _at_most(abs(row["flux_ratio_factor"] - 1.0), CALIBRATOR_FLUX) for row in rows if row["isolated"]
        ),
        "flux_median": _at_most(abs(report["flux_ratio_median"] - 1.0), MEDIAN_FLUX),
        "flux_excess_scatter_near_calibrators": _at_most(
            report["flux_near_excess_scatter"], EXCESS_SCATTER
        ),
        "position": _at_most(report["position_ratio"], POSITION_RATIO),
        "no_worse_than_di_noise": _at_most(report["noise_mjy"], di["noise_mjy"]),
        "no_worse_than_di_flux_median": _at_most(
            abs(report["flux_ratio_median"] - 1.0),
            abs(di["flux_ratio_median"] - 1.0) + report["flux_median_error"],
        ),
        "no_worse_than_di_flux_scatter": _at_most(report["flux_scatter"], di["flux_scatter"]),
        "no_worse_than_di_position": _at_most(
            report["position_median_arcsec"], di["position_median_arcsec"]
        ),
        "no_worse_than_di_noise_each_calibrator": _all(
            _at_most(row["local_noise_mjy_factor"], row["local_noise_mjy_di"]) for row in rows
        ),
        "no_worse_than_di_flux_each_calibrator": _all(
            _at_most(
                abs(row["flux_ratio_factor"] - 1.0),
                abs(row["flux_ratio_di"] - 1.0) + row["flux_error_thermal"],
            )
            for row in rows
            if row["isolated"]
        ),
        "no_worse_than_di_position_each_calibrator": _all(
            _at_most(
                row["position_arcsec_factor"],
                row["position_arcsec_di"] + row["position_error_thermal_arcsec"],
            )
            for row in rows
            if row["point"]
        ),
        "phase_error": _at_most(report["phase_error_rad"], PHASE_RAD),
        "phase_error_each_direction": _all(
            _at_most(row["phase_error_rad"], PHASE_RAD)
            for row in rows
            if math.isfinite(row["phase_error_rad"])
        ),
        "runfactor_wall": _at_most(report["runfactor_wall_s"], RUNFACTOR_S),
        "quickstart_wall": _at_most(report["wall_s"], QUICKSTART_S),
        "own_share": _at_most(report["own_share"], OWN_SHARE),
        "parallel": _at_most(PARALLEL, report["parallel"]),
        "memory": _at_most(report["peak_memory_gb"], MEMORY_GB),
    }


def _at_most(value: float, limit: float) -> bool | None:
    return bool(value <= limit) if math.isfinite(value) and math.isfinite(limit) else None


def _all(answers: Any) -> bool | None:
    """False where any is, None where any is not known or there is none."""
    listed = list(answers)
    if False in listed:
        return False
    return True if listed and None not in listed else None


def make_report(findings: Findings) -> dict[str, Any]:
    """All numbers, flat where they are Factor's, and in parts for what it is held against."""
    bmin = 3600.0 * findings.beam.bmin_deg
    numbers = {kind: image_numbers(findings, kind) for kind in KINDS}
    phases = [member.phase for member in findings.calibrators if member.phase and member.good]
    count = max(1, findings.measures["factor"].flux_ratios().size)
    cost = asdict(findings.cost)
    report: dict[str, Any] = {
        **numbers["factor"],
        "noise_ideal_mjy": numbers["ideal"]["noise_mjy"],
        "noise_di_mjy": numbers["di"]["noise_mjy"],
        "flux_scatter_ideal": numbers["ideal"]["flux_scatter"],
        "flux_median_error": numbers["ideal"]["flux_scatter"] / math.sqrt(count),
        "position_ideal_arcsec": numbers["ideal"]["position_median_arcsec"],
        "bmaj_arcsec": 3600.0 * findings.beam.bmaj_deg,
        "bmin_arcsec": bmin,
        "n_flux_sources": int(findings.measures["factor"].flux_ratios().size),
        "n_position_sources": int(findings.measures["factor"].offsets_arcsec().size),
        "n_artefact_sources": findings.measures["factor"].n_artefact_sources,
        "phase_error_rad": _median_of_known(phase.without_plane for phase in phases),
        "phase_error_with_plane_rad": _median_of_known(phase.with_plane for phase in phases),
        "phase_error_max_rad": max((phase.without_plane for phase in phases), default=math.nan),
        "wall_s": findings.wall_s,
        "runfactor_wall_s": cost.pop("wall_s"),
        **cost,
        "ideal": numbers["ideal"],
        "limit": numbers["limit"],
        "di": numbers["di"],
        "seams": {kind: _seams(values) for kind, values in findings.seams.items()},
        "calibrators": calibrator_rows(findings),
        "sources": _source_rows(findings),
    }
    report["targets"] = targets(report)
    return report


def _seams(values: Sequence[float]) -> dict[str, Any]:
    sizes = np.abs(np.array(values, dtype=np.float64))
    return {
        "count": len(values),
        "median": _median(sizes),
        "max": float(sizes.max()) if sizes.size else math.nan,
    }


def _source_rows(findings: Findings) -> list[dict[str, Any]]:
    rows = []
    for name in findings.measures["factor"].sources:
        row: dict[str, Any] = {"source": name}
        for kind in KINDS:
            measure = findings.measures[kind].sources[name]
            row[f"flux_ratio_{kind}"] = measure.flux_ratio
            row[f"position_arcsec_{kind}"] = measure.offset_arcsec
        rows.append(row)
    return rows


def near_calibrators(findings: Findings, kind: str) -> np.ndarray[Any, Any]:
    """Flux ratios of the sources within 0.4 degrees of a calibrator."""
    return _ratios(findings, kind, lambda distance_deg: distance_deg <= NEAR_DEG)


def far_from_calibrators(findings: Findings, kind: str) -> np.ndarray[Any, Any]:
    """Flux ratios of the sources that are no calibrators, where the ionosphere takes its share."""
    return _ratios(findings, kind, lambda distance_deg: distance_deg > 0.0)


def _ratios(findings: Findings, kind: str, wanted: Callable[[float], bool]) -> np.ndarray[Any, Any]:
    ratios = [
        measure.flux_ratio
        for name, measure in findings.measures[kind].sources.items()
        if wanted(findings.calibrator_deg.get(name, math.inf))
    ]
    return np.array([ratio for ratio in ratios if math.isfinite(ratio)])
