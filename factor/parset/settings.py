"""What a parset says, read and checked: frozen values, one class per section.

Names, units, limits and defaults of the options are described in `factor.parset.schema`;
a test holds the two against each other. Numbers that are None are Factor's to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

#: Of a test: loops with gains, and directions (with two, the phases of the first are tried for the second).
TEST_LOOPS = 2
TEST_DIRECTIONS = 2


@dataclass(frozen=True)
class GlobalSettings:
    """Section ``[global]``."""

    dir_working: Path
    dir_ms: Path
    min_fraction_per_band: float
    exit_on_bad_band: bool
    exit_on_wrong_skymodel: bool
    skymodel_extension: str
    chunk_size_sec: float
    use_compression: bool
    interactive: bool
    keep_avg_facet_data: bool
    keep_unavg_facet_data: bool
    flag_abstime: str | None
    flag_baseline: str | None
    flag_freqrange: str | None
    flag_expr: str | None
    strict: bool


@dataclass(frozen=True)
class CalibrationSettings:
    """Section ``[calibration]``."""

    exit_on_selfcal_failure: bool
    skip_selfcal_check: bool
    max_selfcal_loops: int
    target_max_selfcal_loops: int
    preapply_first_cal_phases: bool
    preaverage_flux_jy: float
    multires_selfcal: bool
    tec_block_mhz: float
    peel_flux_jy: float
    solve_min_uv_lambda: float
    spline_smooth2d: bool
    solve_all_correlations_flux_jy: float
    approximatetec: bool
    maxapproxiter: int
    maxiter: int
    propagatesolutions: bool
    stepsize: float
    tolerance: float
    phase_solver: str
    """``scalarphase`` or ``tecandphase``."""
    astrometry_catalogue: Path | None


@dataclass(frozen=True)
class VerdictSettings:
    """Section ``[verdict]``: the largest values that pass."""

    max_noise_rise: float
    max_peak_fall: float
    max_dynamic_range_fall: float
    max_divergence: float
    max_flux_change: float
    max_position_shift_beams: float
    max_source_shift_arcsec: float
    max_noise_over_expected: float
    max_flagged_fraction: float
    max_phase_scatter_rad: float
    max_gain_scatter: float
    max_bad_stations: float
    max_facet_residual_rise: float
    max_moved_residual_rise: float
    max_field_noise_rise: float
    max_field_peak_rise: float


@dataclass(frozen=True)
class ImagingSettings:
    """Section ``[imaging]``."""

    make_mosaic: bool
    image_target_only: bool
    wsclean_image_padding: float
    max_peak_smearing: float
    wsclean_nchannels_factor: int
    fractional_bandwidth_selfcal_facet_image: float
    wsclean_bl_averaging: bool
    wsclean_use_idg: bool
    idg_mode: str
    selfcal_multiscale_scales_pixel: tuple[float, ...] | None
    """None for ``auto``."""
    facet_multiscale_scales_pixel: tuple[float, ...] | None
    """None for ``auto``."""
    selfcal_cellsize_arcsec: float
    selfcal_robust: float
    selfcal_min_uv_lambda: float
    automask_facet_image: bool
    facet_cellsize_arcsec: tuple[float, ...]
    """One value per set of facet images, like the three that follow: all of one length."""
    facet_robust: tuple[float, ...]
    facet_taper_arcsec: tuple[float, ...]
    facet_min_uv_lambda: tuple[float, ...]

    @property
    def idg(self) -> str:
        """The mode of IDG; empty when images are gridded without it."""
        return self.idg_mode if self.wsclean_use_idg else ""

    @property
    def averages_baselines(self) -> bool:
        """Whether WSClean averages short baselines; IDG cannot."""
        return self.wsclean_bl_averaging and not self.wsclean_use_idg


@dataclass(frozen=True)
class DirectionsSettings:
    """Section ``[directions]``."""

    directions_file: Path | None
    faceting_skymodel: Path | None
    max_radius_deg: float | None
    flux_min_for_merging_jy: float
    size_max_arcmin: float | None
    """Not None without a directions file, like the two that follow."""
    separation_max_arcmin: float | None
    flux_min_jy: float | None
    minimize_nonuniformity: bool
    ndir_max: int | None
    ndir_process: int | None
    ndir_selfcal: int | None
    ndir_second_round: int
    faceting_radius_deg: float | None
    check_edges: bool
    groupings: tuple[tuple[int, int], ...]
    """Pairs (size of a group, number of directions in such groups; 0 for all the rest)."""
    allow_reordering: bool
    target_ra: float | None
    """Degrees."""
    target_dec: float | None
    """Degrees."""
    target_radius_arcmin: float | None
    target_has_own_facet: bool
    outliers_file: Path | None


@dataclass(frozen=True)
class ClusterSettings:
    """Section ``[cluster]``."""

    clusterdesc_file: str | None
    dir_local: Path | None
    dir_local_selfcal: Path | None
    """Like ``dir_local`` unless it is given."""
    ncpu: int | None
    nthread_io: int | None
    wsclean_fmem: float
    ndir_per_node: int | None
    """None for ``auto``."""


@dataclass(frozen=True)
class CheckfactorSettings:
    """Section ``[checkfactor]``."""

    facet_viewer: str
    ds9_load_regions: bool
    ds9_limits: tuple[float, float] | None
    """Jy/beam."""
    ds9_frames: str
    image_display: str | None


@dataclass(frozen=True)
class Settings:
    """A whole parset.

    Attributes
    ----------
    path : Path
        The parset.
    globals, calibration, verdict, imaging, directions, cluster, checkfactor
        Its sections.
    init_skymodels : mapping of str to Path
        Sky models by name of the measurement set.
    notes : tuple of str
        What the user should know about the parset, though the run can go on.
    """

    path: Path
    globals: GlobalSettings
    calibration: CalibrationSettings
    verdict: VerdictSettings
    imaging: ImagingSettings
    directions: DirectionsSettings
    cluster: ClusterSettings
    checkfactor: CheckfactorSettings
    init_skymodels: Mapping[str, Path]
    notes: tuple[str, ...] = ()

    def for_test(self) -> Settings:
        """The same with little to do: a test of whether a run comes to its end (``runfactor -t``)."""
        calibration, directions = self.calibration, self.directions
        note = (
            f"-t: a test, with at most {TEST_DIRECTIONS} directions and {TEST_LOOPS} loops of gains; "
            "begin the real run in another dir_working, or with -r all"
        )
        return replace(
            self,
            calibration=replace(
                calibration,
                exit_on_selfcal_failure=False,
                max_selfcal_loops=min(TEST_LOOPS, calibration.max_selfcal_loops),
                target_max_selfcal_loops=min(TEST_LOOPS, calibration.target_max_selfcal_loops),
            ),
            directions=replace(
                directions, ndir_process=min(TEST_DIRECTIONS, directions.ndir_process or TEST_DIRECTIONS)
            ),
            notes=(*self.notes, note),
        )
