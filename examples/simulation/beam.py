"""The mean primary beam towards sources, relative to the phase centre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean_beam_power(
    ms: Path, times_s: Array, freq_hz: float, centre_rad: tuple[float, float], positions_rad: Array
) -> Array:
    """Stokes I response to unpolarised sources, data corrected at the phase centre.

    The mean over baselines and times of half the trace of A_p A_q^H, with
    A = inv(J(centre)) J(source) of each station.

    Parameters
    ----------
    ms : Path
        Measurement set with LOFAR's subtables.
    times_s : Array
        Times at which the beam is taken, MJD in seconds.
    freq_hz : float
        Frequency.
    centre_rad : (ra, dec)
        Phase centre.
    positions_rad : Array
        Sources, shape (n, 2).

    Returns
    -------
    Array
        Shape (n,).
    """
    import everybeam

    telescope = everybeam.load_telescope(
        str(ms), beam_normalisation_mode=everybeam.BeamNormalisationMode.none
    )
    n_stations = telescope.nr_stations
    power = np.zeros(len(positions_rad))
    for time_s in times_s:
        total = np.zeros((len(positions_rad), 2, 2), complex)
        own = np.zeros(len(positions_rad))
        for station in range(n_stations):
            inverse = np.linalg.inv(
                telescope.station_response(time_s, station, freq_hz, *centre_rad)
            )
            jones = np.array([
                telescope.station_response(time_s, station, freq_hz, ra, dec)
                for ra, dec in positions_rad
            ])
            relative = inverse @ jones
            total += relative
            own += np.sum(np.abs(relative) ** 2, axis=(1, 2))
        both = np.sum(np.abs(total) ** 2, axis=(1, 2)) - own
        power += 0.5 * both / (n_stations * (n_stations - 1))
    return np.asarray(power / len(times_s))
