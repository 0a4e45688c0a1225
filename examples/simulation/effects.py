"""What corrupts the field: a drifting ionospheric screen and slow gains, as an H5parm.

The screen is frozen, has a Kolmogorov spectrum and drifts at a constant speed; every
station sees it where its line of sight in a direction pierces it. The mean over the
directions, weighted by apparent flux, is what direction-independent calibration took out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulation.options import FieldOptions

Array = NDArray[np.float64]

SCREEN_HEIGHT_M = 250e3
#: Phase in rad of 1 TECU at 1 Hz (van Weeren et al. 2016, ApJS 223, 2, eq. 1).
TEC_PHASE_HZ = -8.44797245e9
_PIXEL_M = 500.0
_MIN_SCREEN_M = 200e3
_NORM_DISTANCE_M = 20e3


@dataclass(frozen=True)
class Effects:
    """The true effects in each direction."""

    times_s: Array
    freqs_hz: Array
    phase: Array
    """Scalar phase, rad, shape (times, freqs, stations, directions)."""
    amplitude: Array
    """Shape (times, 1, stations, directions, 2): XX and YY dipoles."""


def kolmogorov_screen(shape: tuple[int, int], tec_rms: float, rng: np.random.Generator) -> Array:
    """A screen whose rms difference over 20 km is `tec_rms` TECU, pixels of 500 m."""
    kx = np.fft.fftfreq(shape[0], _PIXEL_M)[:, None]
    ky = np.fft.rfftfreq(shape[1], _PIXEL_M)[None, :]
    k = np.hypot(kx, ky)
    k[0, 0] = np.inf
    noise = np.fft.rfft2(rng.standard_normal(shape))
    # Structure function ~ r^(5/3) means power ~ k^(-11/3) in two dimensions.
    screen = np.fft.irfft2(noise * k ** (-11.0 / 6), s=shape)
    step = round(_NORM_DISTANCE_M / _PIXEL_M)
    squares = [np.mean((np.roll(screen, step, axis) - screen) ** 2) for axis in (0, 1)]
    return np.asarray(screen * tec_rms / np.sqrt(np.mean(squares)))


def _screen_tec(options: FieldOptions, times_s: Array, stations_enu: Array, towards_enu: Array
                ) -> Array:
    """TEC along each line of sight, shape (times, stations, directions)."""
    from scipy.ndimage import map_coordinates

    rng = options.random("screen")
    heading = rng.uniform(0, 2 * np.pi)
    slant = 1 / towards_enu[..., 2]
    pierce = SCREEN_HEIGHT_M * towards_enu[..., :2] * slant[..., None]
    ground = stations_enu[None, :, None, :2] + pierce[:, None, :, :]
    along = ground @ np.array([np.sin(heading), np.cos(heading)])
    across = ground @ np.array([np.cos(heading), -np.sin(heading)])
    along = along - options.wind_m_s * (times_s - times_s[0])[:, None, None]
    pixels = []
    shape = []
    for coordinate in (along, across):
        pixel = (coordinate - coordinate.min()) / _PIXEL_M + 2
        pixels.append(pixel)
        # Half as large again as what is looked at: the FFT makes the screen periodic.
        shape.append(int(max(1.5 * pixel.max(), _MIN_SCREEN_M / _PIXEL_M)) + 4)
    screen = kolmogorov_screen((shape[0], shape[1]), options.tec_rms, rng)
    tec = map_coordinates(screen, np.stack(pixels), order=3, mode="wrap")
    return np.asarray(tec * slant[:, None, :])


def _slow(shape: tuple[int, ...], minutes: Array, options: FieldOptions,
          rng: np.random.Generator) -> Array:
    """Slow random curves of rms `slow_gain`: a constant and two waves each; (times, *shape)."""
    at = minutes.reshape(-1, *[1] * len(shape))
    curves = 0.6 * rng.standard_normal((1, *shape)) * np.ones_like(at)
    for share in (0.6, 0.529):
        period = options.slow_minutes * rng.uniform(0.8, 2.0, shape)
        turn = rng.uniform(0, 2 * np.pi, shape)
        curves = curves + share * np.sqrt(2) * np.sin(2 * np.pi * at / period + turn)
    return np.asarray(options.slow_gain * curves)


def make_effects(
    options: FieldOptions,
    times_s: Array,
    freqs_hz: Array,
    stations_enu: Array,
    towards_enu: Array,
    fluxes_jy: Array,
) -> Effects:
    """The effects of one field.

    Parameters
    ----------
    options : FieldOptions
        Strengths and seed.
    times_s : Array
        Middles of the slots, MJD in seconds.
    freqs_hz : Array
        All channels.
    stations_enu : Array
        Positions east, north, up of the array's middle, m, shape (stations, 3).
    towards_enu : Array
        Unit vectors to the sources, shape (times, directions, 3).
    fluxes_jy : Array
        Apparent fluxes, the weights of the mean that is taken out.
    """
    weights = fluxes_jy / fluxes_jy.sum()
    shape = (len(stations_enu), len(fluxes_jy))
    tec = np.zeros((len(times_s), *shape))
    if options.tec_rms > 0:
        tec = _screen_tec(options, times_s, stations_enu, towards_enu)
        tec = tec - (tec @ weights)[..., None]
    minutes = (times_s - times_s[0]) / 60
    rng = options.random("gains")
    slow_phase = _slow(shape, minutes, options, rng)
    slow_phase = slow_phase - (slow_phase @ weights)[..., None]
    log_gain = _slow((*shape, 2), minutes, options, rng)
    log_gain = log_gain - np.einsum("tadp,d->tap", log_gain, weights)[:, :, None, :]
    # A gain common to all stations would be a wrong flux that nothing in the data shows.
    log_gain = log_gain - log_gain.mean(axis=(0, 1, 3), keepdims=True)
    phase = TEC_PHASE_HZ * tec[:, None] / freqs_hz[None, :, None, None] + slow_phase[:, None]
    return Effects(times_s, freqs_hz, phase, np.exp(log_gain)[:, None])


def write_h5parm(
    path: Path,
    effects: Effects,
    stations: list[tuple[str, Array]],
    directions: list[tuple[str, float, float]],
) -> None:
    """Write the effects as sol000/phase000 and sol000/amplitude000.

    Parameters
    ----------
    path : Path
        The H5parm; an old one is replaced.
    effects : Effects
        What to write.
    stations : list of (name, ITRF position)
        Axis ant.
    directions : list of (patch name, RA in rad, Dec in rad)
        Axis dir; the names are written ``[patch]``, as DP3 wants them.
    """
    from losoto.h5parm import h5parm

    path.unlink(missing_ok=True)
    names = [f"[{name}]" for name, _, _ in directions]
    antennas = [name for name, _ in stations]
    h5 = h5parm(str(path), readonly=False)
    solset = h5.makeSolset("sol000")
    solset.obj._f_get_child("antenna").append([(n, p.astype(np.float32)) for n, p in stations])
    solset.obj._f_get_child("source").append(
        [(name, [ra, dec]) for name, (_, ra, dec) in zip(names, directions, strict=True)]
    )
    axes = ["time", "freq", "ant", "dir"]
    values = [effects.times_s, effects.freqs_hz, antennas, names]
    solset.makeSoltab(
        "phase", "phase000", axesNames=axes, axesVals=values,
        vals=effects.phase, weights=np.ones(effects.phase.shape, np.float16),
    )
    values = [effects.times_s, [effects.freqs_hz.mean()], antennas, names, ["XX", "YY"]]
    solset.makeSoltab(
        "amplitude", "amplitude000", axesNames=[*axes, "pol"], axesVals=values,
        vals=effects.amplitude, weights=np.ones(effects.amplitude.shape, np.float16),
    )
    h5.close()
