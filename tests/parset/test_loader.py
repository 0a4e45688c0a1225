"""Parsets are read wholly and checked wholly before anything runs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from factor.errors import InputError
from factor.parset import load, load_text
from factor.parset.schema import SECTIONS
from factor.parset.settings import Settings

GLOBAL = "[global]\ndir_working = work\ndir_ms = .\n"
DIRECTIONS = "[directions]\nflux_min_Jy = 0.3\nsize_max_arcmin = 2\nseparation_max_arcmin = 9\n"
MINIMAL = GLOBAL + DIRECTIONS
PATH = Path("my.parset")

#: The defaults of the contract with users (required ones and those that depend on others apart).
DEFAULTS: dict[str, dict[str, Any]] = {
    "globals": {
        "min_fraction_per_band": 0.5, "exit_on_bad_band": False, "exit_on_wrong_skymodel": True,
        "skymodel_extension": ".merge",
        "chunk_size_sec": 2400, "use_compression": False, "interactive": False,
        "keep_avg_facet_data": True, "keep_unavg_facet_data": False, "flag_abstime": None,
        "flag_baseline": None, "flag_freqrange": None, "flag_expr": None, "strict": False,
    },
    "calibration": {
        "exit_on_selfcal_failure": True, "skip_selfcal_check": False, "max_selfcal_loops": 10,
        "target_max_selfcal_loops": 10, "preapply_first_cal_phases": True, "preaverage_flux_jy": 1.0,
        "multires_selfcal": False, "tec_block_mhz": 10.0, "peel_flux_jy": 25.0,
        "solve_min_uv_lambda": 80.0, "spline_smooth2d": True, "solve_all_correlations_flux_jy": 1000.0,
        "approximatetec": True, "maxapproxiter": 50, "maxiter": 75, "propagatesolutions": True,
        "stepsize": 0.02, "tolerance": 1e-8, "phase_solver": "scalarphase", "astrometry_catalogue": None,
    },
    "imaging": {
        "make_mosaic": True, "image_target_only": False, "wsclean_image_padding": 1.6,
        "max_peak_smearing": 0.15, "wsclean_nchannels_factor": 4,
        "fractional_bandwidth_selfcal_facet_image": 0.25, "wsclean_bl_averaging": True,
        "wsclean_use_idg": False, "idg_mode": "cpu", "selfcal_multiscale_scales_pixel": None,
        "facet_multiscale_scales_pixel": None, "selfcal_cellsize_arcsec": 1.5, "selfcal_robust": -0.5,
        "selfcal_min_uv_lambda": 80, "automask_facet_image": True, "facet_cellsize_arcsec": (1.5,),
        "facet_robust": (-0.5,), "facet_taper_arcsec": (0.0,), "facet_min_uv_lambda": (80.0,),
    },
    "directions": {
        "directions_file": None, "faceting_skymodel": None, "max_radius_deg": None,
        "flux_min_for_merging_jy": 0.1, "minimize_nonuniformity": False, "ndir_max": None,
        "ndir_process": None, "ndir_selfcal": None, "ndir_second_round": 0,
        "faceting_radius_deg": None, "check_edges": True,
        "groupings": ((1, 0),), "allow_reordering": True, "target_ra": None, "target_dec": None,
        "target_radius_arcmin": None, "target_has_own_facet": False, "outliers_file": None,
    },
    "cluster": {
        "clusterdesc_file": None, "dir_local": None, "dir_local_selfcal": None, "ncpu": None,
        "nthread_io": None, "wsclean_fmem": 0.9, "ndir_per_node": 1,
    },
    "checkfactor": {
        "facet_viewer": "casa", "ds9_load_regions": False, "ds9_limits": None,
        "ds9_frames": "current", "image_display": None,
    },
}
REQUIRED = {"globals": {"dir_working", "dir_ms"},
            "directions": {"size_max_arcmin", "separation_max_arcmin", "flux_min_jy"}}


def read(text: str = MINIMAL) -> Settings:
    return load_text(text, PATH)


def problems(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    assert caught.value.exit_status == 2
    return str(caught.value)


@pytest.mark.parametrize("section", DEFAULTS)
def test_defaults(section: str) -> None:
    """The defaults are those promised to users, and no option is forgotten or invented."""
    found = getattr(read(), section)
    values = {f.name: getattr(found, f.name) for f in fields(found)}
    for name in REQUIRED.get(section, ()):
        values.pop(name)
    assert values == DEFAULTS[section]


def test_schema_and_settings_agree() -> None:
    """The schema and the dataclasses are written by hand, so they could drift apart."""
    settings = read()
    for section in SECTIONS:
        names = [f.name for f in fields(getattr(settings, section.attribute))]
        assert names == [option.attribute for option in section.options]


def test_names_ignore_case_and_paths_are_absolute() -> None:
    """Users write flux_min_jy and FLUX_MIN_JY; relative paths start in the current folder."""
    settings = read(GLOBAL + DIRECTIONS.upper().replace("[DIRECTIONS]", "[directions]"))
    assert settings.directions.flux_min_jy == 0.3
    assert settings.globals.dir_working == Path.cwd() / "work"
    assert settings.path == PATH


def test_comments_empty_values_and_indentation() -> None:
    """Comments behind values, empty values, None and indented lines all occur in users' parsets."""
    settings = read("  # a comment\n" + GLOBAL + "  chunk_size_sec = 3600  # an hour\n" + DIRECTIONS
                    + "max_radius_deg = None\nfaceting_radius_deg =\n")
    assert settings.globals.chunk_size_sec == 3600
    assert settings.directions.max_radius_deg is None
    assert settings.directions.faceting_radius_deg is None


def test_percent_signs_are_text() -> None:
    """Interpolation would break paths and expressions with a percent sign."""
    settings = read(GLOBAL + "skymodel_extension = .a%(x)s\n" + DIRECTIONS)
    assert settings.globals.skymodel_extension == ".a%(x)s"


def test_all_problems_at_once() -> None:
    """One run tells all that is wrong, each with file, section, option, value and limit."""
    message = problems(
        "[global]\ndir_ms = /no/such/folder\nchunk_size_sec = 600\nexit_on_bad_band = maybe\n"
        "[calibration]\nmaxiter = 7.5\ntolerance = nan\n"
        "[imaging]\nselfcal_robust = -3\n"
        "[directions]\nflux_min_Jy = 0.3 Jy\nsize_max_arcmin = 2\n"
        "[cluster]\nwsclean_fmem = 90\n"
    )
    for expected in (
        "my.parset: [global] dir_working: is required",
        "my.parset: [global] dir_ms = /no/such/folder: there is no such folder",
        "[global] chunk_size_sec = 600: must be a number at least 1200",
        "[global] exit_on_bad_band = maybe: must be True or False",
        "[calibration] maxiter = 7.5: must be a whole number at least 1",
        "[calibration] tolerance = nan: must be a number above 0 and at most 0.1",
        "[imaging] selfcal_robust = -3: must be a number between -2 and 2",
        "[directions] flux_min_Jy = 0.3 Jy: must be a number above 0 (in Jy, without the unit)",
        "[directions] separation_max_arcmin: is required when there is no directions_file",
        "[cluster] wsclean_fmem = 90: must be a number above 0 and at most 1",
    ):
        assert expected in message
    assert len(message.splitlines()) == 10


def test_directions_file_instead_of_selection(tmp_path: Path) -> None:
    """The selection's limits are required only when Factor selects."""
    table = tmp_path / "directions.txt"
    table.write_text("# empty\n")
    settings = read(GLOBAL + f"[directions]\ndirections_file = {table}\n")
    assert settings.directions.directions_file == table
    assert settings.directions.flux_min_jy is None


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [("cluster", "fmem = 0.5", "wsclean_fmem"), ("cluster", "nthreads_io = 3", "nthread_io"),
     ("calibration", "multiscale_selfcal = False", "multires_selfcal")],
)
def test_old_names(section: str, old: str, new: str) -> None:
    """Old names keep their effect and are noted."""
    name, text = old.split(" = ")
    settings = read(MINIMAL + f"[{section}]\n{old}\n")
    assert str(getattr(getattr(settings, section), new)) == text
    assert f"my.parset: [{section}]: {name} is the old name of {new}" in settings.notes


@pytest.mark.parametrize(("old", "new"), [("max_num", "ndir_max"), ("ndir_total", "ndir_process")])
def test_old_names_of_directions(old: str, new: str) -> None:
    """The manual's own example says max_num: it is taken for ndir_max, whatever that can do."""
    options = {option.name: option for section in SECTIONS for option in section.options}
    assert options[new].old_names == (old,)
    if options[new].implemented:
        assert getattr(read(MINIMAL + f"{old} = 4\n").directions, new) == 4
    else:
        assert f"{old} = 4: is not available yet" in problems(MINIMAL + f"{old} = 4\n")


def test_old_and_new_name_together() -> None:
    """Two values for one thing: neither is silently dropped."""
    message = problems(MINIMAL + "[cluster]\nfmem = 0.5\nwsclean_fmem = 0.6\n")
    assert "wsclean_fmem and fmem are the same option; keep wsclean_fmem alone" in message


def test_retired_options_are_noted() -> None:
    """Parsets of old clusters still run, and their users learn what to remove."""
    settings = read(MINIMAL + "[cluster]\nlofarroot = /opt/lofar\nclusterdesc_file = JUROPA_slurm\n")
    assert settings.cluster.clusterdesc_file is None
    assert sum("has no effect any more" in note for note in settings.notes) == 2


def test_unknown_names_are_warnings() -> None:
    """Misspelt and misplaced names are told with the nearest valid one."""
    settings = read(MINIMAL + "chek_edges = False\n[imagin]\nx = 1\n[cluster]\nmake_mosaic = False\n")
    assert settings.directions.check_edges is True
    notes = "\n".join(settings.notes)
    assert "[directions] chek_edges = False: unknown option, did you mean check_edges?" in notes
    assert "[imagin]: unknown section, did you mean imaging?" in notes
    assert "[cluster] make_mosaic = False: unknown option, it belongs in section [imaging]." in notes


def test_unknown_names_are_told_with_other_problems() -> None:
    """Who writes [Global] learns why dir_working is missing."""
    message = problems("[Global]\ndir_working = /w\n" + DIRECTIONS)
    assert "[global] dir_working: is required" in message
    assert "[Global]: unknown section, did you mean global?" in message


def test_strict_makes_unknown_names_errors() -> None:
    """With strict = True a misspelt option stops the run."""
    message = problems(GLOBAL + "strict = True\n" + DIRECTIONS + "chek_edges = False\n[imagin]\nx = 1\n")
    assert "did you mean check_edges?" in message
    assert "did you mean imaging?" in message


@pytest.mark.parametrize(
    ("section", "line", "remedy"),
    [
        ("cluster", "clusterdesc_file = SLURM", "remove it"),
    ],
)
def test_what_is_not_there_yet_is_refused_by_name(section: str, line: str, remedy: str) -> None:
    """An option without its effect is never ignored."""
    header = "" if section == "global" else f"[{section}]\n"
    message = problems(GLOBAL + header + line + "\n" + DIRECTIONS)
    assert f"[{section}] {line}: is not available yet in this version; {remedy}" in message
    assert len(message.splitlines()) == 1


def test_defaults_of_what_is_not_there_yet_are_accepted() -> None:
    """A parset that spells out the defaults asks for nothing that is missing."""
    lines = [MINIMAL]
    for section in SECTIONS:
        if section.name in ("global", "directions"):
            continue
        lines.append(f"[{section.name}]")
        lines += [f"{o.name} = {o.default}" for o in section.options if not o.implemented]
    assert read("\n".join(lines)).calibration.phase_solver == "scalarphase"


def test_lists_of_facet_images() -> None:
    """A list of one and a bare number are the same; what is absent is the selfcal value."""
    imaging = read(
        MINIMAL + "[imaging]\nselfcal_robust = -1\nfacet_cellsize_arcsec = [2.5]\nfacet_taper_arcsec = 20\n"
    ).imaging
    assert imaging.facet_cellsize_arcsec == (2.5,)
    assert imaging.facet_taper_arcsec == (20.0,)
    assert imaging.facet_robust == (-1.0,)


def test_lists_of_scales() -> None:
    """Scales are auto or numbers."""
    imaging = read(MINIMAL + "[imaging]\nselfcal_multiscale_scales_pixel = auto\n"
                   "facet_multiscale_scales_pixel = [0, 3, 7]\n").imaging
    assert imaging.selfcal_multiscale_scales_pixel is None
    assert imaging.facet_multiscale_scales_pixel == (0.0, 3.0, 7.0)


def test_groupings() -> None:
    """Pairs size:total, where only the last may take all the rest."""
    assert read(MINIMAL + "groupings = 1:5, 4:0\n").directions.groupings == ((1, 5), (4, 0))
    for wrong in ("4", "0:1", "1:0, 4:0", "1:x"):
        message = problems(MINIMAL + f"groupings = {wrong}\n")
        assert f"groupings = {wrong}: must be pairs size:total" in message


def test_sky_models_of_measurement_sets(tmp_path: Path) -> None:
    """A section named after a measurement set names its band's sky model, which must be there."""
    model = tmp_path / "sb0.skymodel"
    model.write_text("format = Name\n")
    settings = read(MINIMAL + f"[SB000.ms]\ninit_skymodel = {model}\n")
    assert dict(settings.init_skymodels) == {"SB000.ms": model}
    message = problems(MINIMAL + f"[SB000.ms]\ninit_skymodel = {tmp_path}/none.skymodel\n")
    assert "[SB000.ms] init_skymodel" in message
    assert "there is no such file" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dir_ms = x\n", "line 1: 'dir_ms = x' stands before the first section"),
        (MINIMAL + "flux_min_Jy = 1\n", "line 8: [directions] flux_min_jy is given twice"),
        (MINIMAL + "[global]\n", "line 8: section [global] occurs twice"),
        (MINIMAL + "what is this\n", "line 8: cannot read 'what is this'"),
    ],
)
def test_unreadable_text(text: str, expected: str) -> None:
    """Text that is no parset is told with its line."""
    assert expected in problems(text)


def test_missing_parset(tmp_path: Path) -> None:
    """The commonest mistake of all."""
    with pytest.raises(InputError, match="cannot read the parset: No such file"):
        load(tmp_path / "none.parset")


def test_paths_need_not_be_there_to_look_at_an_old_run() -> None:
    """The input may be gone when a finished run is inspected or archived."""
    text = MINIMAL.replace("dir_ms = .", "dir_ms = /no/such/folder")
    assert load_text(text, PATH, check_paths=False).globals.dir_ms == Path("/no/such/folder")
