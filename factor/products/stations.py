"""What each station gets from a calibrator: its noise, and the phase error that is to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.products.skymodel import Components
from factor.products.solutions import Array

C_M_S = 299792458.0
#: Time slots, one after the other in the middle of a measurement set, and channels that are looked at.
SLOTS = 40
MOST_CHANNELS = 32
#: Baselines of all these slots stand for the whole: components move by less than a beam.
TRACKS = 4
#: Noise over the array's median that no station has by nature: below are international stations
#: (0.5), above those with half of their tiles (1.4).
QUIETEST, NOISIEST = 0.25, 1.6
#: Expected phase error above which what the data had before is better, rad: in simulated fields the
#: phases of two calibrators half a degree apart differ by 0.4 rad at remote stations.
BLIND_RAD = 0.6
#: Where all stations are like that, the calibrator is faint: a blind one is so many times worse.
BLIND_RATIO = 2.0


@dataclass(frozen=True)
class Sight:
    """A few visibilities of each baseline.

    Attributes
    ----------
    ants : tuple of str
        Names of the stations.
    pairs : ndarray of int, (row, 2)
        Stations of each row.
    uv_lambda : ndarray, (row, 2)
        In the middle of the band.
    noise_jy : ndarray, (row,)
        Rms (of complex numbers) of the baseline's visibilities that is not there in the next time
        slot; NaN without data.
    tracks : int
        Rows of each baseline.
    """

    ants: tuple[str, ...]
    pairs: NDArray[np.int_]
    uv_lambda: Array
    noise_jy: Array
    tracks: int

    def by_station(self, values: Array) -> list[Array]:
        """The finite values of each station's rows."""
        return [
            values[(self.pairs == number).any(axis=1) & np.isfinite(values)]
            for number in range(len(self.ants))
        ]


def write_sight(mss: Sequence[Path], path: Path) -> None:
    """Look at some visibilities of measurement sets of one direction, and keep what is found.

    Parameters
    ----------
    mss : sequence of Path
        Extracted data, shifted to the calibrator.
    path : Path
        File to write (``.npz``).
    """
    looks = [_look(ms) for ms in mss]
    ants = tuple(dict.fromkeys(ant for look in looks for ant in look.ants))
    pairs = [np.array([ants.index(ant) for ant in look.ants])[look.pairs] for look in looks]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft.npz")
    np.savez(
        draft, ants=np.array(ants), pairs=np.concatenate(pairs), tracks=len(looks) * TRACKS,
        uv_lambda=np.concatenate([look.uv_lambda for look in looks]),
        noise_jy=np.concatenate([look.noise_jy for look in looks]),
    )  # fmt: skip
    draft.replace(path)


def read_sight(path: Path) -> Sight:
    """Read what `write_sight` wrote."""
    with np.load(path) as kept:
        ants = tuple(str(ant) for ant in kept["ants"])
        return Sight(ants, kept["pairs"], kept["uv_lambda"], kept["noise_jy"], int(kept["tracks"]))


def _look(ms: Path) -> Sight:
    from casacore.tables import table

    with table(f"{ms}::ANTENNA", ack=False) as antenna:
        ants = tuple(str(name) for name in antenna.getcol("NAME"))
    with table(f"{ms}::SPECTRAL_WINDOW", ack=False) as window:
        freqs = np.asarray(window.getcell("CHAN_FREQ", 0), dtype=float)
    with table(str(ms), ack=False) as main:
        # Rows of one time lie together, in the same order of baselines at all times.
        n = int(np.sum(main.getcol("TIME") == main.getcell("TIME", 0)))
        n_times = main.nrows() // n
        used = min(SLOTS, n_times)
        rows = (n * ((n_times - used) // 2), n * used)
        pairs = np.stack([main.getcol(name, 0, n) for name in ("ANTENNA1", "ANTENNA2")], axis=1)
        uv = main.getcol("UVW", *rows).reshape(used, n, 3)[:: -(-used // TRACKS), :, :2]
        every = -(-len(freqs) // MOST_CHANNELS)
        last = [len(freqs) - 1, main.getcell("DATA", 0).shape[1] - 1]
        step = [every, max(1, last[1])]
        data, flags = (
            main.getcolslice(name, [0, 0], last, step, *rows).reshape(used, n, -1)
            for name in ("DATA", "FLAG")
        )
    noise = _noise(np.where(flags, np.nan, data))
    noise[pairs[:, 0] == pairs[:, 1]] = np.nan
    uv_lambda = uv.reshape(-1, 2) * float(np.mean(freqs)) / C_M_S
    return Sight(ants, np.tile(pairs, (len(uv), 1)), uv_lambda, np.tile(noise, len(uv)), len(uv))


def _noise(data: NDArray[np.complex128]) -> Array:
    """Rms of each baseline of (time, baseline, value) from one time to the next; NaN without any."""
    power = np.abs(np.diff(data, axis=0)) ** 2
    known = np.isfinite(power)
    total = np.where(known, power, 0.0).sum(axis=(0, 2))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(0.5 * total / known.sum(axis=(0, 2))))


def mad_stations(sight: Sight) -> tuple[str, ...]:
    """Stations whose visibilities change from one slot to the next far more, or less, than the others'."""
    noise = np.array([np.median(own) if len(own) else np.nan for own in sight.by_station(sight.noise_jy)])
    known = noise[np.isfinite(noise)]
    if not len(known):
        return ()
    middle = float(np.median(known))
    return _named(sight, (noise > NOISIEST * middle) | (noise < QUIETEST * middle))


def blind_stations(sight: Sight, model: Components, samples: float) -> tuple[str, ...]:
    """Stations that see too little of a model for phases of their own.

    Parameters
    ----------
    sight : Sight
        Baselines and their noise.
    model : Components
        What is solved with.
    samples : float
        Visibilities of a baseline that one solution is made from.
    """
    errors = expected_errors_rad(sight, model, samples)
    known = errors[np.isfinite(errors)]
    return _named(sight, errors > max(BLIND_RAD, BLIND_RATIO * float(np.median(known)))) if len(known) else ()


def expected_errors_rad(sight: Sight, model: Components, samples: float) -> Array:
    """Error of each station's phase with those of all others known; NaN without data.

    The inverse square of it is twice the number of visibilities times the sum of the squared ratios
    of signal to noise.
    """
    ratios = (np.abs(_visibilities(model, sight.uv_lambda)) / sight.noise_jy) ** 2
    totals = np.array([own.sum() if len(own) else np.nan for own in sight.by_station(ratios)])
    return np.asarray((2.0 * samples * totals / sight.tracks + 1e-12) ** -0.5)


def _visibilities(model: Components, uv_lambda: Array) -> NDArray[np.complex128]:
    """Of points and Gaussians, at their reference frequencies, around the middle of their light."""
    ra_deg, dec_deg = np.average([model.ra_deg, model.dec_deg], axis=1, weights=np.abs(model.flux_jy))
    east = np.radians((model.ra_deg - ra_deg + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec_deg))
    north = np.radians(model.dec_deg - dec_deg)
    u, v = uv_lambda.T[:, :, None]
    angle = np.radians(model.orientation_deg)
    major, minor = np.radians(model.major_arcsec / 3600.0), np.radians(model.minor_arcsec / 3600.0)
    along = major * (u * np.sin(angle) + v * np.cos(angle))
    across = minor * (u * np.cos(angle) - v * np.sin(angle))
    taper = np.exp(-(np.pi**2) * (along**2 + across**2) / (4.0 * np.log(2.0)))
    terms = model.flux_jy * taper * np.exp(2j * np.pi * (u * east + v * north))
    return np.asarray(terms.sum(axis=1))


def _named(sight: Sight, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(ant for ant, yes in zip(sight.ants, chosen, strict=True) if yes)
