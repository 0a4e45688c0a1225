"""What options mean together: conditions between them, and defaults taken from others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_Values = Mapping[str, Mapping[str, Any]]
_Given = Mapping[str, set[str]]

#: The options of [imaging] that make sets of facet images, and where their defaults come from.
IMAGING_SETS = {
    "facet_cellsize_arcsec": "selfcal_cellsize_arcsec",
    "facet_robust": "selfcal_robust",
    "facet_taper_arcsec": None,
    "facet_min_uv_lambda": "selfcal_min_uv_lambda",
}

_SELECTION = ("size_max_arcmin", "separation_max_arcmin", "flux_min_Jy")
_TARGET = ("target_ra", "target_dec", "target_radius_arcmin")
_OPERATORS = ("and", "or", "not")
_FLAGS = ("flag_abstime", "flag_baseline", "flag_freqrange")


def problems(values: _Values, given: _Given) -> list[str]:
    """Conditions between options that do not hold.

    Parameters
    ----------
    values : mapping
        Values by section and attribute, defaults included.
    given : mapping
        Attributes that the parset gives, by section; their values may have been refused.
    """
    return [
        *_folders(values["global"]),
        *_selection(given["directions"]),
        *_target(values, given["directions"]),
        *_imaging_sets(values["imaging"], given["imaging"]),
        *_flag_expression(values["global"]),
        *_calibration(values["calibration"], given["calibration"]),
    ]


def _folders(section: Mapping[str, Any]) -> list[str]:
    work, data = section["dir_working"], section["dir_ms"]
    if work is None or work != data:
        return []
    return [f"[global] dir_working = {work}: must be another folder than dir_ms, where nothing is written"]


def _selection(given: set[str]) -> list[str]:
    if "directions_file" in given:
        return []
    return [
        f"[directions] {name}: is required when there is no directions_file"
        for name in _SELECTION
        if name.lower() not in given
    ]


def _target(values: _Values, given: set[str]) -> list[str]:
    found = []
    missing = [name for name in _TARGET if name not in given]
    if 0 < len(missing) < len(_TARGET):
        found += [f"[directions] {name}: is required as well to name a target" for name in missing]
    if missing and values["directions"]["target_has_own_facet"]:
        found.append("[directions] target_has_own_facet = True: needs " + ", ".join(_TARGET))
    if missing and values["imaging"]["image_target_only"]:
        found.append("[imaging] image_target_only = True: needs [directions] " + ", ".join(_TARGET))
    if values["directions"]["minimize_nonuniformity"] and "ndir_max" not in given:
        found.append("[directions] minimize_nonuniformity = True: needs ndir_max")
    return found


def _imaging_sets(imaging: Mapping[str, Any], given: set[str]) -> list[str]:
    lengths = {name: len(imaging[name]) for name in IMAGING_SETS if name in given and imaging[name]}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        return [f"[imaging] the lists of facet images must be of equal length, but {listed}"]
    filled = _filled_sets(imaging)
    sets = list(zip(*filled.values(), strict=True))
    repeated = {s for s in sets if sets.count(s) > 1}
    return [
        "[imaging] two sets of facet images are the same: "
        + ", ".join(f"{name} {value:g}" for name, value in zip(filled, s, strict=True))
        for s in sorted(repeated)
    ]


def _filled_sets(imaging: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """The lists of [imaging], absent ones made of the value that is their default."""
    length = max([len(imaging[name]) for name in IMAGING_SETS if imaging[name]], default=1)
    return {
        name: imaging[name] or (imaging[source] if source else 0.0,) * length
        for name, source in IMAGING_SETS.items()
    }


def _flag_expression(section: Mapping[str, Any]) -> list[str]:
    expression = section["flag_expr"]
    if expression is None:
        return []
    names = set(re.findall(r"\w+", expression))
    given = {name for name in _FLAGS if section[name] is not None}
    where = f"[global] flag_expr = {expression}"
    # DP3 takes a name that it does not know for a selection of nothing.
    return [
        *(f"{where}: must name {name}, which is given" for name in sorted(given - names)),
        *(
            f"{where}: names {name}, which is not given"
            for name in sorted(names - given)
            if name.lower() not in _OPERATORS
        ),
    ]


def _calibration(section: Mapping[str, Any], given: set[str]) -> list[str]:
    if "solve_all_correlations_flux_jy" in given and not section["spline_smooth2d"]:
        return ["[calibration] solve_all_correlations_flux_Jy: needs spline_smooth2D = True"]
    return []


def fill_defaults(values: Mapping[str, dict[str, Any]]) -> None:
    """Put in place the defaults that are other options' values."""
    values["imaging"].update(_filled_sets(values["imaging"]))
    cluster = values["cluster"]
    if cluster["dir_local_selfcal"] is None:
        cluster["dir_local_selfcal"] = cluster["dir_local"]
