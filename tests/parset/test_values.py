"""From text to values, kind by kind, also for options that no parset can use yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from factor.parset.checks import problems
from factor.parset.option import Kind, Option
from factor.parset.values import parse


def option(kind: Kind, **limits: float) -> Option:
    return Option("x", kind, None, "", **limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.RA, "14h41m01.884s", 220.25785), (Kind.RA, "14:41:01.884", 220.25785),
        (Kind.RA, "220.25785", 220.25785), (Kind.DEC, "+35d30m31.52s", 35.50875556),
        (Kind.DEC, "-0:30:00", -0.5), (Kind.BOOL, "yes", True), (Kind.COUNT, "auto", None),
        (Kind.LIMITS, "-0.001 0.01", (-0.001, 0.01)), (Kind.FLOATS, "[1, 2]", (1, 2)),
    ],
)
def test_values(kind: Kind, text: str, value: object) -> None:
    """Each kind understands the ways in which users write it."""
    found = parse(option(kind), text)
    assert found == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Kind.RA, "24:00:00"), (Kind.RA, "14:61:00"), (Kind.DEC, "+91d00m00s"), (Kind.DEC, "north"),
     (Kind.LIMITS, "1"), (Kind.LIMITS, "2 1"), (Kind.FLOATS, "[]"), (Kind.FLOAT, "inf"), (Kind.INT, "1e3")],
)
def test_refused_values(kind: Kind, text: str) -> None:
    """What cannot be meant is refused with what should have been given."""
    with pytest.raises(ValueError, match=r"^must be"):
        parse(option(kind), text)


SOUND = {
    "global": {"dir_working": None, "dir_ms": None,
               "flag_expr": None, "flag_abstime": None, "flag_baseline": None, "flag_freqrange": None},
    "calibration": {"spline_smooth2d": True},
    "imaging": {"image_target_only": False, "facet_cellsize_arcsec": None, "facet_robust": None,
                "facet_taper_arcsec": None, "facet_min_uv_lambda": None,
                "selfcal_cellsize_arcsec": 1.5, "selfcal_robust": -0.5, "selfcal_min_uv_lambda": 80.0},
    "directions": {"target_has_own_facet": False, "minimize_nonuniformity": False},
}
SELECTION = {"flux_min_jy", "size_max_arcmin", "separation_max_arcmin"}


@pytest.mark.parametrize(
    ("section", "values", "expected"),
    [
        ("global", {"dir_working": Path("/d"), "dir_ms": Path("/d")}, "/d: must be another folder"),
        ("imaging", {"facet_cellsize_arcsec": (1.5, 5.0), "facet_robust": (-0.5,)}, "of equal length"),
        ("imaging", {"facet_cellsize_arcsec": (2.0, 2.0)}, "two sets of facet images are the same"),
        ("imaging", {"image_target_only": True}, "needs [directions] target_ra"),
        ("directions", {"target_ra": 1.0}, "target_radius_arcmin: is required as well"),
        ("directions", {"target_has_own_facet": True}, "needs target_ra"),
        ("directions", {"minimize_nonuniformity": True}, "needs ndir_max"),
        ("global", {"flag_expr": "flag_abstime", "flag_abstime": "a", "flag_baseline": "b"},
         "must name flag_baseline"),
        ("global", {"flag_expr": "flag_abstime and flag_baselin", "flag_abstime": "a"},
         "names flag_baselin, which is not given"),
        ("calibration", {"spline_smooth2d": False, "solve_all_correlations_flux_jy": 5.0},
         "needs spline_smooth2D"),
    ],
)
def test_conditions_between_options(section: str, values: dict[str, object], expected: str) -> None:
    """Options that contradict each other are refused before anything runs."""
    all_values = {**SOUND, section: {**SOUND[section], **values}}
    given = {name: set(values) if name == section else set() for name in SOUND}
    given["directions"] |= SELECTION
    found = problems(all_values, given)
    assert any(expected in problem for problem in found), found
