"""A bright source far outside the field: in the data, in no sky model, not in the ideal field."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.directions.file import format_position
from simulation import beam, effects, tools
from simulation import measurementset as msets
from simulation.geometry import Sky, local_axes, unit_vectors
from simulation.options import FieldOptions
from simulation.sky import REFERENCE_HZ, Source, offset_position, write_skymodel

#: Its distance from the phase centre, beyond what initial images and facets cover.
DISTANCE_DEG = 2.4
_SPECTRAL_INDEX = -0.8
_BEAM_TIMES = 7
#: It is seen through another sky than the field: what is random in it has a seed of its own.
_SEED_STEP = 1000

_ROW = "{name} {position} False False 0 0 0 LD empty empty {model} True 0.02 {flux:.0f}\n"


def place_outlier(options: FieldOptions, ms: Path, observed: msets.Observed) -> Source:
    """The outlier: a point whose apparent flux density at 144 MHz is the one asked for."""
    angle = options.random("outlier").uniform(0, 2 * np.pi)
    offsets = DISTANCE_DEG * np.sin(angle), DISTANCE_DEG * np.cos(angle)
    ra, dec = offset_position(options.ra_deg, options.dec_deg, *offsets)
    picks = np.linspace(0, len(observed.times_s) - 1, _BEAM_TIMES).round().astype(int)
    position, centre = np.radians([(ra, dec)]), (observed.ra_rad, observed.dec_rad)
    power = beam.mean_beam_power(ms, observed.times_s[picks], REFERENCE_HZ, centre, position)
    return Source("outlier", ra, dec, float(options.outlier_jy / power[0]), _SPECTRAL_INDEX)


def write_outlier_effects(
    options: FieldOptions, observed: msets.Observed, sky: Sky, outlier: Source, path: Path
) -> None:
    """Write what corrupts the outlier: a screen and gains, relative to the field's centre."""
    own = replace(options, seed=options.seed + _SEED_STEP)
    positions = np.radians([(options.ra_deg, options.dec_deg), (outlier.ra_deg, outlier.dec_deg)])
    to_local = local_axes(sky.position)
    towards = unit_vectors(positions[:, 0], positions[:, 1])
    rotations = to_local @ sky.rotations(observed.times_s)
    made = effects.make_effects(
        own, observed.times_s,
        np.concatenate([options.channel_freqs_hz(f) for f in options.band_middles_hz]),
        np.array([to_local @ (s.position - sky.position) for s in observed.stations]),
        np.einsum("tij,dj->tdi", rotations, towards), np.array([1.0, 0.0]),
    )
    only = replace(made, phase=made.phase[..., 1:], amplitude=made.amplitude[..., 1:, :])
    stations = [(s.name, s.position) for s in observed.stations]
    effects.write_h5parm(path, only, stations, [(outlier.name, *positions[1].tolist())])


def add_outlier(
    sets: list[Path], column: str, files: tuple[Path, Path], logs: Path, workers: int
) -> None:
    """Add the outlier to the data and to what is left of them after the initial subtraction.

    Parameters
    ----------
    sets : list of Path
        Measurement sets.
    column : str
        The column of the subtracted data.
    files : (Path, Path)
        The outlier's sky model and effects.
    logs : Path
        Folder of the logs.
    workers : int
        Measurement sets at a time.
    """
    skymodel, h5parm = files

    def add(ms: Path) -> None:
        before = msets.read_column(ms, "DATA")
        tools.predict_sky(ms, skymodel, h5parm, logs / f"{ms.stem}.outlier.log")
        seen = msets.read_column(ms, "DATA")
        msets.write_column(ms, "DATA", before + seen)
        msets.write_column(ms, column, msets.read_column(ms, column) + seen)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(add, sets))


def write_outlier_row(options: FieldOptions, outlier: Source, model: Path, path: Path) -> None:
    """Write the model (true flux densities) and the row with which Factor peels it."""
    write_skymodel(model, [outlier])
    row = _ROW.format(
        name=outlier.name, position=format_position(outlier.ra_deg, outlier.dec_deg),
        model=model.relative_to(path.parent), flux=1e3 * options.outlier_jy,
    )
    path.write_text(row)
