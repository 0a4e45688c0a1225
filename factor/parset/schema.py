"""Every option of the parset: the only place that knows names, units, defaults and limits.

The reader of parsets, the documentation and the example parset are made from it.
An option whose effect is still to come has ``implemented=False``.
"""

from __future__ import annotations

from factor.parset.option import Kind, Option, Section

_GLOBAL = Section("global", "globals", "Where the data are, and what happens to them.", (
    Option("dir_working", Kind.NEW_FOLDER, None,
           "Folder in which Factor works: everything that it makes goes there.",
           required=True, example="/data/field/factor"),
    Option("dir_ms", Kind.FOLDER, None,
           "Folder with the measurement sets (``*.MS``, ``*.ms``, ``*.dpppaverage``, "
           "``*.ndppp_prep_target``; folders ``Band_*`` in it are searched too). They are "
           "read and never written to.",
           required=True, example="/data/field/bands"),
    Option("min_fraction_per_band", Kind.FLOAT, 0.5,
           "Smallest fraction of unflagged data with which a band is used. Data that are no "
           "numbers (NaN) count as flagged.",
           minimum=0, maximum=1),
    Option("exit_on_bad_band", Kind.BOOL, False,
           "Stop when a band has less unflagged data than ``min_fraction_per_band``, rather "
           "than leave it out with a warning."),
    Option("exit_on_wrong_skymodel", Kind.BOOL, True,
           "Stop when a band's sky model is not what was subtracted from its data, where these "
           "still have ``DATA`` to tell, rather than go on with a warning. False is for data whose "
           "``DATA`` is not what was subtracted from."),
    Option("skymodel_extension", Kind.TEXT, ".merge",
           "What follows the path of a measurement set, without its own extension, in the "
           "name of the sky model of its band."),
    Option("chunk_size_sec", Kind.FLOAT, 2400.0,
           "Length of the pieces of time into which longer measurement sets are cut.",
           unit="s", minimum=1200),
    Option("use_compression", Kind.BOOL, False,
           "Compress the data with Dysco where nothing is subtracted from them any more."),
    Option("interactive", Kind.BOOL, False,
           "Stop once the directions and facets are chosen, so that they can be looked at "
           "and edited. Needs a terminal."),
    Option("keep_avg_facet_data", Kind.BOOL, True,
           "Keep the averaged, calibrated visibilities of each facet, for imaging by hand."),
    Option("keep_unavg_facet_data", Kind.BOOL, False,
           "Keep the calibrated visibilities of each facet at full resolution."),
    Option("flag_abstime", Kind.TEXT, None,
           "Times to flag, in the syntax of DP3's preflagger.", default_text="none",
           example="[12-Mar-2010/11:31:00.0..12-Mar-2010/11:50:00.0]"),
    Option("flag_baseline", Kind.TEXT, None,
           "Baselines to flag, in the syntax of DP3's preflagger.", default_text="none",
           example="[CS013HBA*]"),
    Option("flag_freqrange", Kind.TEXT, None,
           "Frequencies to flag, in the syntax of DP3's preflagger.", default_text="none",
           example="[125.2..126.4MHz]"),
    Option("flag_expr", Kind.TEXT, None,
           "How the ranges to be flagged are combined. It must name each one that is given.",
           default_text="all that are given, joined by and",
           example="flag_abstime or (flag_baseline and flag_freqrange)"),
    Option("strict", Kind.BOOL, False,
           "Treat unknown sections and options as errors instead of warnings."),
))

_CALIBRATION = Section("calibration", "calibration", "How each direction is calibrated.", (
    Option("exit_on_selfcal_failure", Kind.BOOL, True,
           "Stop when the self-calibration of a direction fails. Otherwise the run goes on, "
           "and the direction is tried once more at the end with safer settings; should that "
           "fail too, its facet takes the nearest good solutions."),
    Option("skip_selfcal_check", Kind.BOOL, False,
           "Take every self-calibration for a success, whatever its verdict; the numbers are "
           "noted all the same."),
    Option("max_selfcal_loops", Kind.INT, 10,
           "Largest number of times that the last step of self-calibration (solve, smooth, "
           "image) is repeated. It ends earlier when neither the dynamic range nor the "
           "ratio of the deepest negative to the peak improves by 1.25 %.", minimum=1),
    Option("target_max_selfcal_loops", Kind.INT, 10,
           "The same for the facet that holds the target.", minimum=1),
    Option("preapply_first_cal_phases", Kind.BOOL, True,
           "Apply the phases of the first good direction before the later ones are solved, "
           "where that makes their first image better."),
    Option("preaverage_flux_Jy", Kind.FLOAT, 1.0,
           "Apparent flux density of the calibrator below which the fast phases are solved "
           "in every time slot, on a copy of the data averaged in time, the more the shorter "
           "the baseline, and smoothed over the core, the more the noisier they are. 0 for never.",
           unit="Jy", minimum=0),
    Option("multires_selfcal", Kind.BOOL, False,
           "Begin self-calibration at a resolution of 20 arcsec and sharpen it in stages: for "
           "large or complex calibrators.",
           old_names=("multiscale_selfcal",)),
    Option("TEC_block_MHz", Kind.FLOAT, 10.0,
           "Largest width of the blocks in frequency that get one TEC and phase each, with "
           "``phase_solver = tecandphase``. After another direction's phases one TEC and "
           "phase is solved over the whole band.",
           unit="MHz", minimum=2),
    Option("peel_flux_Jy", Kind.FLOAT, 25.0,
           "Apparent flux density above which a calibrator is peeled with a given model "
           "instead of being self-calibrated.", unit="Jy", above=0),
    Option("solve_min_uv_lambda", Kind.FLOAT, 80.0,
           "Shortest baseline used in solves; for slow gains of calibrators of at most 4 arcmin at least "
           "1700 wavelengths, where there are five remote stations.", unit="wavelengths", minimum=0),
    Option("spline_smooth2D", Kind.BOOL, True,
           "Smooth the slow amplitudes with a spline and a median in time and frequency; "
           "otherwise with a median in time alone."),
    Option("solve_all_correlations_flux_Jy", Kind.FLOAT, 1000.0,
           "Apparent flux density above which the slow gains are solved for all four "
           "correlations. Needs ``spline_smooth2D``.", unit="Jy", above=0),
    Option("approximatetec", Kind.BOOL, True,
           "Begin solves with tecandphase by an approximation: phases that are smooth in "
           "frequency."),
    Option("maxapproxiter", Kind.INT, 50,
           "Largest number of iterations of that approximation.", minimum=1),
    Option("maxiter", Kind.INT, 75,
           "Largest number of iterations of a solve with tecandphase. Solves for phases that "
           "are smooth in frequency (scalarphase) and for slow gains have iterations of their "
           "own: at most 30, with a step of 0.2, to a change of 0.001.", minimum=1),
    Option("propagatesolutions", Kind.BOOL, True,
           "Start each solution interval from the solutions of the one before."),
    Option("stepsize", Kind.FLOAT, 0.02, "Step of the iterations of a solve with tecandphase.",
           above=0, maximum=1),
    Option("tolerance", Kind.FLOAT, 1e-8,
           "Relative change at which a solve with tecandphase counts as converged. The "
           "default is hardly ever reached, and every solve takes ``maxiter`` iterations: "
           "0.001 is several times as fast.",
           above=0, maximum=0.1),
    Option("phase_solver", Kind.CHOICE, "scalarphase",
           "What the fast phases are solved for: ``scalarphase``, a phase per band that "
           "is smooth in frequency, or ``tecandphase``, a TEC and a phase per block "
           "(``TEC_block_MHz``).",
           choices=("scalarphase", "tecandphase")),
    Option("astrometry_catalogue", Kind.FILE, None,
           "Table (FITS, VOTable, CSV, text) with columns RA, Dec and flux (degrees and Jy "
           "unless it has units; true fluxes). Starting models of calibrators get their "
           "positions from it, and the final mosaic is compared with it.",
           default_text="none"),
))

_VERDICT = Section("verdict", "verdict",
                   "Limits of the verdict on each self-calibration: the largest values that "
                   "pass. A direction is good when all of them hold.", (
    Option("max_noise_rise", Kind.FLOAT, 1.1,
           "Noise of the calibrator's last image over that of its first one, before any "
           "solution: self-calibration must not make it worse.", above=0),
    Option("max_peak_fall", Kind.FLOAT, 1.25,
           "Peak of the first image over that of the last one: good solutions focus a "
           "source.", above=0),
    Option("max_dynamic_range_fall", Kind.FLOAT, 1.05,
           "Dynamic range (peak over noise) of the first image over that of the last one.",
           above=0),
    Option("max_divergence", Kind.FLOAT, 1.5,
           "Dynamic range of the best cycle over that of the last one; more means that the "
           "cycles run away.", above=0),
    Option("max_flux_change", Kind.FLOAT, 2.0,
           "Factor by which the flux density of the calibrator's model may rise or fall from "
           "the first image to the last.", minimum=1),
    Option("max_position_shift_beams", Kind.FLOAT, 0.1,
           "Distance between the calibrator in the first image and in the last one. Phases "
           "can move a source, and do so for a faint one beside a bright one.",
           unit="beams", above=0),
    Option("max_source_shift_arcsec", Kind.FLOAT, 4.0,
           "Median distance of the facet's sources in its new model from where they were: the "
           "calibrator where its image before any solution has it, others where the initial model "
           "has them, whose positions are good to about an arcsecond.", unit="arcsec", above=0),
    Option("max_noise_over_expected", Kind.FLOAT, 10.0,
           "Noise of the images of calibrator and facet over what is expected: the thermal "
           "noise, which is measured in Stokes V, and a thousandth of the peak.", above=0),
    Option("max_flagged_fraction", Kind.FLOAT, 0.5, "Fraction of flagged solutions.",
           minimum=0, maximum=1),
    Option("max_phase_scatter_rad", Kind.FLOAT, 0.4,
           "Scatter of the fast phases from one interval to the next, median of the stations; "
           "random phases have more than 1.5.", unit="rad", above=0),
    Option("max_gain_scatter", Kind.FLOAT, 0.3,
           "Relative scatter of the slow amplitudes, median of the stations.", above=0),
    Option("max_bad_stations", Kind.FLOAT, 0.3,
           "Fraction of stations that have no solutions left, whose phases scatter by more than "
           "1.2 rad, or whose amplitudes scatter by more than half of them or differ from those "
           "of the other stations by more than a factor of two.", minimum=0, maximum=1),
    Option("max_facet_residual_rise", Kind.FLOAT, 1.02,
           "Noise within the facet in the residual image of the middle band after the new "
           "model is subtracted, over that before.", above=0),
    Option("max_moved_residual_rise", Kind.FLOAT, 0.98,
           "The same where the facet's sources have moved by more than 2 arcsec, or the "
           "calibrator's flux has changed by a factor above 1.5: that must make the residual "
           "better.", above=0),
    Option("max_field_noise_rise", Kind.FLOAT, 1.01,
           "Noise of the whole field in these images, likewise.", above=0),
    Option("max_field_peak_rise", Kind.FLOAT, 2.0,
           "Brightest pixel of the whole field in these images, likewise.", above=0),
))

_IMAGING = Section("imaging", "imaging", "Images of calibrators, facets and field.", (
    Option("make_mosaic", Kind.BOOL, True, "Join the facet images into images of the field."),
    Option("image_target_only", Kind.BOOL, False,
           "Image only the facet that holds the target."),
    Option("wsclean_image_padding", Kind.FLOAT, 1.6,
           "Factor by which WSClean pads images while it grids.", minimum=1, maximum=10),
    Option("max_peak_smearing", Kind.FLOAT, 0.15,
           "Largest fraction of a source's peak that averaging in frequency, in time and of "
           "short baselines may cost together, at the corner of the facet that is farthest "
           "from its middle.", above=0, maximum=0.9),
    Option("wsclean_nchannels_factor", Kind.INT, 4,
           "Number of bands that share an output channel of WSClean; the divisor of the "
           "number of bands nearest to it is taken.", minimum=1),
    Option("fractional_bandwidth_selfcal_facet_image", Kind.FLOAT, 0.25,
           "Fraction of the bandwidth that goes into the facet's image after "
           "self-calibration, from which its sources are subtracted.", above=0, maximum=1),
    Option("wsclean_bl_averaging", Kind.BOOL, True,
           "Let WSClean average short baselines."),
    Option("wsclean_use_idg", Kind.BOOL, False,
           "Grid with IDG instead of the w-gridder; refused where WSClean was built without it. "
           "Images are square then, and short baselines are not averaged."),
    Option("idg_mode", Kind.CHOICE, "cpu", "What IDG runs on.",
           choices=("cpu", "gpu", "hybrid")),
    Option("selfcal_multiscale_scales_pixel", Kind.SCALES, None,
           "Scales of multiscale cleaning in self-calibration.", unit="pixels",
           default_text="auto", minimum=0, example="[0, 3, 7, 25]"),
    Option("facet_multiscale_scales_pixel", Kind.SCALES, None,
           "Scales of multiscale cleaning in facet images.", unit="pixels",
           default_text="auto", minimum=0, example="[0, 3, 7, 25]"),
    Option("selfcal_cellsize_arcsec", Kind.FLOAT, 1.5,
           "Pixel size in self-calibration.", unit="arcsec", above=0, maximum=60),
    Option("selfcal_robust", Kind.FLOAT, -0.5,
           "Briggs robustness in self-calibration.", minimum=-2, maximum=2),
    Option("selfcal_min_uv_lambda", Kind.FLOAT, 80.0,
           "Shortest baseline in the images of self-calibration.",
           unit="wavelengths", minimum=0),
    Option("automask_facet_image", Kind.BOOL, True,
           "Let WSClean find the clean masks of facet images itself, while it cleans. Otherwise "
           "PyBDSF finds them in a quick image, which takes longer."),
    Option("facet_cellsize_arcsec", Kind.FLOATS, None,
           "Pixel size of facet images. This and the next three options may be lists of "
           "equal length: each place in them makes a set of images of all facets, and a "
           "mosaic. The beam must be at least two pixels wide, and should be three.",
           unit="arcsec", default_text="the value of selfcal_cellsize_arcsec",
           above=0, maximum=60, example="[1.5, 15.0]"),
    Option("facet_robust", Kind.FLOATS, None,
           "Briggs robustness of facet images.",
           default_text="the value of selfcal_robust",
           minimum=-2, maximum=2, example="[-0.5, -1.0]"),
    Option("facet_taper_arcsec", Kind.FLOATS, None,
           "Gaussian taper of facet images; 0 for none.", unit="arcsec",
           default_text="0.0", minimum=0, example="[0.0, 45.0]"),
    Option("facet_min_uv_lambda", Kind.FLOATS, None,
           "Shortest baseline in facet images.", unit="wavelengths",
           default_text="the value of selfcal_min_uv_lambda",
           minimum=0, example="[80.0, 160.0]"),
))

_DIRECTIONS = Section("directions", "directions",
                      "Which directions are calibrated, and the facets around them.", (
    Option("directions_file", Kind.FILE, None,
           "Table of the directions. Without one, Factor chooses them from the sky model of "
           "the highest band.", default_text="none",
           example="directions.txt"),
    Option("faceting_skymodel", Kind.FILE, None,
           "Sky model, grouped into patches by source, from which directions are chosen and "
           "around whose sources facet edges are bent. Its fluxes are apparent ones.",
           default_text="the sky model of the highest band",
           example="bright.skymodel"),
    Option("max_radius_deg", Kind.FLOAT, None,
           "Largest distance of a calibrator from the phase centre.", unit="deg",
           default_text="one FWHM of the primary beam of the highest band",
           above=0, maximum=20, example="3.5"),
    Option("flux_min_for_merging_Jy", Kind.FLOAT, 0.1,
           "Smallest apparent flux density of a source that may become part of a "
           "calibrator.", unit="Jy", minimum=0),
    Option("size_max_arcmin", Kind.FLOAT, None,
           "Largest size of a source that may become part of a calibrator.", unit="arcmin",
           default_text="required without a directions_file", above=0, example="2.0"),
    Option("separation_max_arcmin", Kind.FLOAT, None,
           "Largest distance between sources that are merged into one calibrator.",
           unit="arcmin", default_text="required without a directions_file",
           minimum=0, example="9.0"),
    Option("flux_min_Jy", Kind.FLOAT, None,
           "Smallest apparent flux density of a calibrator, all its sources together.",
           unit="Jy", default_text="required without a directions_file",
           above=0, example="0.3"),
    Option("minimize_nonuniformity", Kind.BOOL, False,
           "Choose the ``ndir_max`` calibrators that make the most uniform facets, not the "
           "brightest ones. Needs ``ndir_max``."),
    Option("ndir_max", Kind.INT, None,
           "Largest number of directions that Factor chooses.", default_text="all",
           old_names=("max_num",), minimum=1, example="40"),
    Option("ndir_process", Kind.INT, None,
           "Number of directions to process. Those beyond ``ndir_selfcal`` take the nearest "
           "good solutions.", default_text="all", old_names=("ndir_total",), minimum=1,
           example="20"),
    Option("ndir_selfcal", Kind.INT, None,
           "Number of directions to self-calibrate.", default_text="all", minimum=0),
    Option("ndir_second_round", Kind.INT, 0,
           "Number of directions, from the brightest, that are self-calibrated once more when all "
           "others are subtracted: the first time they were solved for with the errors of all that "
           "came after them in the data. One by one: with two at a time, half of the gain is lost.",
           minimum=0, example="5"),
    Option("faceting_radius_deg", Kind.FLOAT, None,
           "Radius (east-west; it is stretched north-south like the beam) within which "
           "calibrators get facets. Those outside get small patches, which are subtracted "
           "but not imaged.", unit="deg",
           default_text="1.25 times half the FWHM of the primary beam of the highest band",
           above=0, maximum=20, example="2.2"),
    Option("check_edges", Kind.BOOL, True,
           "Bend the facet edges so that they cut through no known source."),
    Option("groupings", Kind.GROUPINGS, ((1, 0),),
           "How many directions are self-calibrated side by side: pairs size:total, "
           "where a total of 0 means all the rest. ``1:5, 4:0`` takes five directions one "
           "by one, then the others four at a time.", default_text="1:0",
           example="1:5, 4:0"),
    Option("allow_reordering", Kind.BOOL, True,
           "Reorder the directions so that those of one group lie far apart."),
    Option("target_ra", Kind.RA, None,
           "RA of a circle around the target, through which no facet edge goes.",
           default_text="none", example="14h41m01.884s"),
    Option("target_dec", Kind.DEC, None, "Dec of that circle.",
           default_text="none", example="+35d30m31.52s"),
    Option("target_radius_arcmin", Kind.FLOAT, None, "Radius of that circle.",
           unit="arcmin", default_text="none", above=0, example="10"),
    Option("target_has_own_facet", Kind.BOOL, False,
           "Give the target a facet of its own, which takes the nearest good solutions. A "
           "direction within the target's circle makes its facet the target's."),
    Option("outliers_file", Kind.FILE, None,
           "Table, like the directions file, of bright sources to be peeled before anything "
           "else, in addition to the directions that are given or chosen.",
           default_text="none", example="outliers.txt"),
))

_CLUSTER = Section("cluster", "cluster", "The machine or machines on which Factor runs.", (
    Option("clusterdesc_file", Kind.TEXT, None,
           "``SLURM`` or ``PBS`` to run on a cluster; without it, Factor runs on this "
           "machine.", default_text="this machine", implemented=False, example="SLURM"),
    Option("dir_local", Kind.NEW_FOLDER, None,
           "Folder on a fast local disk for intermediate data.",
           default_text="the working directory", example="/scratch"),
    Option("dir_local_selfcal", Kind.NEW_FOLDER, None,
           "The same for self-calibration alone; a RAM disk serves.",
           default_text="dir_local", example="/dev/shm"),
    Option("ncpu", Kind.INT, None, "Number of CPUs to use.", default_text="all", minimum=1,
           example="16"),
    Option("nthread_io", Kind.INT, None,
           "Number of processes that may read or write data side by side.",
           default_text="the square root of ncpu", old_names=("nthreads_io",), minimum=1,
           example="4"),
    Option("wsclean_fmem", Kind.FLOAT, 0.9,
           "Fraction of the machine's memory that WSClean may use.",
           old_names=("fmem",), above=0, maximum=1),
    Option("ndir_per_node", Kind.COUNT, 1,
           "Number of directions that one machine works on at a time; ``auto`` for as many "
           "as keep its CPUs busy.", minimum=1),
))

_CHECKFACTOR = Section("checkfactor", "checkfactor", "How ``checkfactor`` shows images.", (
    Option("facet_viewer", Kind.CHOICE, "casa",
           "Program that shows images (FITS) from the window: ``casaviewer`` or ``ds9``. Where it is not "
           "installed, Factor shows them itself.", choices=("casa", "ds9")),
    Option("ds9_load_regions", Kind.BOOL, False, "Load the facet regions into ds9."),
    Option("ds9_limits", Kind.LIMITS, None, "Lowest and highest value shown in ds9.",
           unit="Jy/beam", default_text="the full range", example="-0.001 0.01"),
    Option("ds9_frames", Kind.CHOICE, "current", "Frame of ds9 into which an image goes.",
           choices=("current", "new")),
    Option("image_display", Kind.TEXT, None,
           "Program that shows plots (PNG) from the window.",
           default_text="Factor's own window", example="display"),
))

#: All sections, in the order of the documentation.
SECTIONS = (_GLOBAL, _CALIBRATION, _VERDICT, _IMAGING, _DIRECTIONS, _CLUSTER, _CHECKFACTOR)

#: The option of the sections that are named after a measurement set.
INIT_SKYMODEL = Option(
    "init_skymodel", Kind.FILE, None,
    "Sky model that was subtracted from the band to which the measurement set belongs "
    "(one measurement set of the band is enough).",
    default_text="the path of the measurement set without its extension, followed by "
    "skymodel_extension",
)

#: Endings of the measurement sets, and so of the names of their sections.
MS_ENDINGS = (".ms", ".MS", ".dpppaverage", ".ndppp_prep_target")

#: Options of the first Factor that have no effect any more.
RETIRED_OPTIONS = ("lofarroot", "lofarpythonpath", "cluster_type", "node_list")

#: Values of clusterdesc_file of the first Factor that have no effect any more.
RETIRED_CLUSTERS = ("JUROPA_slurm",)
