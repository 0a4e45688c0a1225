"""The commands of solves, as the options of the parset and the directions file shape them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor.directions.model import Direction
from factor.execution.context import Context
from factor.execution.step import Step
from factor.observation.model import Chunk, ChunkFile
from factor.operations.calibration import solving
from factor.operations.calibration.solve_plan import SolvePlan, make_solve_plan
from factor.parset.settings import CalibrationSettings
from factor.products.solutions.imageweights import Weighting
from factor.tuning.averaging import Averaging
from tests.parset.test_loader import DEFAULTS

DIRECTION = Direction("d", 217.5, 52.0)
BANDS = tuple(
    SimpleNamespace(freqs_hz=tuple(120e6 + 2e6 * band + 0.25e6 * (i + 0.5) for i in range(8)),
                    chan_width_hz=0.25e6)
    for band in range(12)
)  # fmt: skip
CHUNK = Chunk(
    0, 0.0, 1200.0, 150, 8.0, 0,
    tuple(
        ChunkFile(Path(f"{k}.ms"), f"b{k}", band.freqs_hz, 0.25e6, Path("m")) for k, band in enumerate(BANDS)
    ),
)  # fmt: skip


STATIONS = ("CS001HBA0", "CS002HBA0", *(f"RS{number}HBA" for number in (106, 205, 305, 306, 503)))


def calibration(**changes: Any) -> CalibrationSettings:
    return CalibrationSettings(**{**DEFAULTS["calibration"], **changes})


def plan(
    flux_jy: float, direction: Direction = DIRECTION, peeled: tuple[str, ...] = (), **changes: Any
) -> SolvePlan:
    """The plan of a direction in a field of twelve bands of 2 MHz from 120 MHz, averaged twice."""
    observation = SimpleNamespace(bands=BANDS, interval_s=8.0, stations=STATIONS)
    field: Any = SimpleNamespace(
        observation=observation,
        settings=SimpleNamespace(calibration=calibration(**changes)),
        peel_models=dict.fromkeys(peeled),
    )
    return make_solve_plan(field, direction, flux_jy, Averaging(2, 1))


def steps_of(
    tmp_path: Path, made: SolvePlan, *, with_gains: bool = False, left_out: tuple[str, ...] = (),
    **changes: Any,
) -> list[Step]:
    """All steps of one solve."""
    done: list[Step] = []
    context: Any = SimpleNamespace(
        scratch=tmp_path,
        products=tmp_path,
        tools=SimpleNamespace(dp3=Path("DP3"), environment={}),
        run=lambda *steps: done.extend(steps),
        call=lambda *step: Context.call(context, *step),
    )
    weighting = Weighting(512, 1.5, -0.5, 80.0)
    target = solving.Target(
        context, "d", (217.5, 52.0), (CHUNK,), made, weighting, calibration(**changes), left_out
    )
    data = {"chunk0": (tmp_path / "d.ms",)}
    solving.solve(target, data, tmp_path / "model.skymodel", "cycle01", with_gains=with_gains)
    return done


def options(steps: list[Step], title: str) -> list[dict[str, str]]:
    """The options of the DP3 steps whose name begins so."""
    return [
        dict(word.split("=", 1) for word in step.action.argv[1:])
        for step in steps
        if step.name.startswith(title)
    ]


def test_smooth_phases_iterate_as_they_must(tmp_path: Path) -> None:
    """The parset's step of 0.02 is for TEC: a smooth phase would not converge with it."""
    (solve,) = options(steps_of(tmp_path, plan(2.0)), "solve fast phases")
    assert (solve["s0.mode"], solve["s0.nchan"]) == ("scalarphase", "4")
    assert (solve["s0.stepsize"], solve["s0.maxiter"], solve["s0.tolerance"]) == ("0.2", "30", "0.001")
    assert "s0.approximatetec" not in solve


def test_tec_and_phase_get_their_options(tmp_path: Path) -> None:
    """approximatetec, maxapproxiter, maxiter, stepsize, tolerance, propagatesolutions act."""
    changes = {
        "phase_solver": "tecandphase", "approximatetec": False, "maxapproxiter": 7, "maxiter": 33,
        "stepsize": 0.05, "tolerance": 1e-5, "propagatesolutions": False,
    }  # fmt: skip
    solves = options(steps_of(tmp_path, plan(2.0, **changes), **changes), "solve fast phases")
    for solve in solves:
        assert solve["s1.mode"] == "tecandphase"
        assert "s1.smoothnessconstraint" not in solve
        chosen = [solve[f"s1.{name}"] for name in ("approximatetec", "maxapproxiter", "maxiter")]
        assert chosen == ["false", "7", "33"]
        chosen = [solve[f"s1.{name}"] for name in ("stepsize", "tolerance", "propagatesolutions")]
        assert chosen == ["0.05", "1e-05", "false"]


def test_tec_blocks_cover_the_band_once(tmp_path: Path) -> None:
    """24 MHz in blocks of at most 10 MHz: three of 8 MHz, each a solve of its own."""
    made = plan(2.0, phase_solver="tecandphase")
    steps = steps_of(tmp_path, made, phase_solver="tecandphase")
    ranges = [(s["s0.startchan"], s["s0.nchan"]) for s in options(steps, "solve fast phases")]
    assert ranges == [("0", "16"), ("16", "16"), ("32", "16")]
    (merge,) = [step for step in steps if step.name.startswith("merge")]
    pieces = merge.action.arguments["pieces"]  # type: ignore[union-attr]
    assert [piece.h5parm for piece in pieces] == list(merge.reads)
    freqs = [freq for piece in pieces for freq in piece.freqs_hz]
    assert freqs == sorted(freqs)
    assert len(freqs) == 48
    narrower = plan(2.0, phase_solver="tecandphase", tec_block_mhz=2.0)
    assert len(narrower.tec_blocks(CHUNK)) == 12


def test_one_tec_over_the_whole_band_after_other_phases() -> None:
    """What is left after another direction's phases is solved with one TEC and phase."""
    made = plan(2.0, phase_solver="tecandphase").over_the_whole_band()
    (block,) = made.tec_blocks(CHUNK)
    assert (block.start, block.count) == (0, 48)
    assert plan(2.0).over_the_whole_band() == plan(2.0)


def test_a_chunk_without_some_bands_has_its_own_blocks() -> None:
    """Blocks are those of the field; a night may lack bands, and no block may have one channel."""
    made = plan(2.0, phase_solver="tecandphase")
    night = replace(CHUNK, files=CHUNK.files[:2] + CHUNK.files[9:])
    assert [(b.start, b.count) for b in made.tec_blocks(night)] == [(0, 8), (8, 12)]


@pytest.mark.parametrize(("flux_jy", "averaged"), [(0.8, True), (1.2, False)])
def test_faint_calibrators_are_solved_on_averaged_copies(
    tmp_path: Path, flux_jy: float, averaged: bool
) -> None:
    """Below preaverage_flux_Jy the fast phases, and they alone, see the copy, every slot."""
    steps = steps_of(tmp_path, plan(flux_jy), with_gains=True)
    (fast,), (slow,) = options(steps, "solve fast phases"), options(steps, "solve slow gains")
    assert fast["msin"].endswith("d.preaveraged.ms") is averaged
    assert fast["s0.solint"] == "1"
    assert slow["msin"].endswith("d.ms")
    assert slow["s1.mode"] == "diagonal"


@pytest.mark.parametrize(
    ("flux_jy", "changes", "mode"),
    [
        (2.0, {}, "diagonal"),
        (1200.0, {}, "fulljones"),
        (1200.0, {"spline_smooth2d": False}, "diagonal"),
        (2.0, {"solve_all_correlations_flux_jy": 1.5}, "fulljones"),
    ],
)
def test_the_brightest_are_solved_for_all_correlations(
    tmp_path: Path, flux_jy: float, changes: dict[str, Any], mode: str
) -> None:
    """Twice the parameters: only where the signal is plenty, and where they are smoothed."""
    steps = steps_of(tmp_path, plan(flux_jy, **changes), with_gains=True, **changes)
    (solve,) = options(steps, "solve slow gains")
    assert solve["s0.type"] == "applycal"
    assert solve["s0.steps"] == "[phase000]"
    assert solve["s1.mode"] == mode
    # Bands that are solved on their own tell the noise of the gains.
    smoothing = "10000000.0" if mode == "fulljones" else None
    assert (solve.get("s1.smoothnessconstraint"), solve["s1.solveralgorithm"]) == (
        smoothing,
        "directioniterative",
    )
    assert {s["s0.mode"] for s in options(steps, "solve fast phases")} == {"scalarphase"}


@pytest.mark.parametrize(("min_uv", "slow"), [(80.0, 1700.0), (2500.0, 2500.0)])
def test_slow_gains_are_solved_on_long_baselines(tmp_path: Path, min_uv: float, slow: float) -> None:
    """Without those of the core, unless the parset asks for still longer ones; phases have all."""
    changes = {"solve_min_uv_lambda": min_uv}
    steps = steps_of(tmp_path, plan(2.0, **changes), with_gains=True, **changes)
    limits = [float(s["s0.uvlambdamin"]) for s in options(steps, "solve fast phases")]
    limits += [float(s["s1.uvlambdamin"]) for s in options(steps, "solve slow gains")]
    assert limits == [min_uv, slow]


def test_peels_and_large_sources_are_solved_on_all_baselines() -> None:
    """They have little flux on long ones, or a model that may be wrong there."""
    assert plan(2.0).slow_min_uv_lambda == 1700.0
    assert plan(2.0, peeled=(DIRECTION.name,)).slow_min_uv_lambda == 0.0
    assert plan(2.0, replace(DIRECTION, cal_size_deg=0.07)).slow_min_uv_lambda == 0.0


def test_intervals_of_the_directions_file() -> None:
    """solint_ph and solint_amp hold whatever the flux, also for a calibrator that is preaveraged."""
    given = replace(DIRECTION, solint_fast=3, solint_slow=40)
    for flux_jy in (0.2, 5.0):
        made = plan(flux_jy, given)
        assert (made.solint_fast, made.solint_slow(150)) == (3, 40)
    assert plan(0.2).solint_slow(150) == 150
    assert plan(50.0).solint_slow(150) == 30


def test_high_dynamic_range_is_per_channel(tmp_path: Path) -> None:
    """HD: amplitudes per channel, hardly smoothed; LD: each band on its own."""
    low = options(steps_of(tmp_path, plan(2.0), with_gains=True), "solve slow")[0]
    made = plan(2.0, replace(DIRECTION, dynamic_range="HD"))
    high = options(steps_of(tmp_path, made, with_gains=True), "solve slow")[0]
    assert (low["s1.nchan"], high["s1.nchan"]) == ("4", "1")
    assert float(high["s1.smoothnessconstraint"]) < 2e6
    assert "s1.smoothnessconstraint" not in low


def test_stations_are_left_out_of_all_solves(tmp_path: Path) -> None:
    """The data of a station gone mad spoil the solutions of the others."""
    made = plan(2.0, phase_solver="tecandphase")
    changes = {"phase_solver": "tecandphase"}
    steps = steps_of(tmp_path, made, with_gains=True, left_out=("CS001HBA0", "RS205HBA"), **changes)
    for title in ("solve fast phases", "solve slow gains"):
        for solve in options(steps, title):
            assert (solve["s0.type"], solve["s0.expr"]) == ("preflagger", "left_out")
            assert solve["s0.left_out.baseline"] == "[CS001HBA0,RS205HBA]"
