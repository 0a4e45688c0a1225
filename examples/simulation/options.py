"""The options of a simulated field."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factor.errors import InputError

#: LOFAR HBA (110-190 MHz): edge of the first subband and width of a subband, Hz.
_FIRST_SUBBAND_HZ = 100e6
_SUBBAND_HZ = 195312.5
#: LINC and prefactor average ten subbands into one band.
BAND_WIDTH_HZ = 10 * _SUBBAND_HZ

#: Seeds of the independent parts, so that changing one part leaves the others as they were.
_STREAMS = ("sky", "screen", "gains", "flags", "noise", "calibration", "outlier")


@dataclass(frozen=True)
class FieldOptions:
    """What a simulated field is like.

    Attributes
    ----------
    seed : int
        Everything random follows from it.
    name : str
        First part of the names of the measurement sets.
    ra_deg, dec_deg : float
        Phase centre (J2000), which is also where the beams point.
    hour_angle_h : float
        Hour angle in the middle of the observation; 0 is transit.
    stations : int
        Number of HBA fields; 60 % in the core.
    max_baseline_km : float
        Longest baseline between two of the stations.
    bands : int
        Number of bands of 1.953 MHz (ten subbands).
    band_layout_mhz : tuple of float
        Middles of the bands; without them they lie side by side around 144 MHz.
    channels : int
        Channels per band.
    minutes, interval_s : float
        Length of the observation and of a time slot.
    sources : int
        Number of sources.
    radius_deg : float
        They lie within this distance of the centre.
    flux_min_jy, flux_max_jy : float
        Range of the sources' flux densities at 144 MHz, drawn from counts S^-1.6.
    gaussians : float
        Fraction of sources that are extended (Gaussians of 10" to 45").
    tec_rms : float
        Rms difference of the ionospheric screen over 20 km, TECU; 0 for no ionosphere.
    wind_m_s : float
        Speed of the drifting screen.
    slow_gain : float
        Rms of the slow gains per station, direction and polarisation (and of their
        phases, in rad); 0 for none.
    slow_minutes : float
        Time scale of the slow gains.
    sefd_jy : float
        System equivalent flux density of one station.
    flagged : float
        Fraction of visibilities flagged at random.
    outlier_jy : float
        Apparent flux density of a source 2.4 degrees from the centre, which is in no sky model
        and not in the ideal field; 0 for none.
    bright_jy : float
        Apparent flux density that the brightest source is given; 0 to leave it.
    """

    seed: int = 1
    name: str = "field"
    ra_deg: float = 217.5
    dec_deg: float = 52.0
    hour_angle_h: float = 0.0
    stations: int = 22
    max_baseline_km: float = 34.0
    bands: int = 4
    band_layout_mhz: tuple[float, ...] = ()
    channels: int = 8
    minutes: float = 41.0
    interval_s: float = 8.0
    sources: int = 32
    radius_deg: float = 1.5
    flux_min_jy: float = 0.09
    flux_max_jy: float = 3.2
    gaussians: float = 0.2
    tec_rms: float = 0.03
    wind_m_s: float = 125.0
    slow_gain: float = 0.05
    slow_minutes: float = 25.0
    sefd_jy: float = 3000.0
    flagged: float = 0.02
    outlier_jy: float = 0.0
    bright_jy: float = 0.0

    def __post_init__(self) -> None:
        problems = []
        if not -30.0 <= self.dec_deg <= 90.0:
            problems.append(f"dec {self.dec_deg} deg does not rise high enough for LOFAR: use -30 to 90")
        if self.stations < 3:
            problems.append(f"{self.stations} stations: use 3 or more")
        if self.sources < 1:
            problems.append("at least one source is needed")
        if self.n_times < 2:
            problems.append(f"{self.minutes} minutes hold fewer than two slots of {self.interval_s} s")
        if not 0 < self.flux_min_jy <= self.flux_max_jy:
            problems.append(f"fluxes from {self.flux_min_jy} to {self.flux_max_jy} Jy: not a range")
        if self.outlier_jy < 0 or self.bright_jy < 0:
            problems.append(f"outlier of {self.outlier_jy} Jy, brightest of {self.bright_jy} Jy: below 0")
        if any(not 110 <= f <= 190 for f in self.band_layout_mhz):
            problems.append(f"band layout {self.band_layout_mhz}: the HBA goes from 110 to 190 MHz")
        if problems:
            raise InputError(problems)

    @property
    def n_times(self) -> int:
        """Number of time slots."""
        return math.ceil(self.minutes * 60 / self.interval_s - 1e-6)

    @property
    def band_middles_hz(self) -> tuple[float, ...]:
        """Middles of the bands, on the grid of LOFAR's subbands."""
        if self.band_layout_mhz:
            middles = [f * 1e6 for f in sorted(self.band_layout_mhz)]
        else:
            middles = [
                144e6 + (i - (self.bands - 1) / 2) * BAND_WIDTH_HZ for i in range(self.bands)
            ]
        # The middle of ten subbands lies on the edge of a subband.
        return tuple(
            _FIRST_SUBBAND_HZ + round((f - _FIRST_SUBBAND_HZ) / _SUBBAND_HZ) * _SUBBAND_HZ
            for f in middles
        )

    @property
    def channel_width_hz(self) -> float:
        return BAND_WIDTH_HZ / self.channels

    def channel_freqs_hz(self, middle_hz: float) -> NDArray[np.float64]:
        """Channel centres of the band around a frequency."""
        offsets = np.arange(self.channels) - (self.channels - 1) / 2
        return np.asarray(middle_hz + offsets * self.channel_width_hz, np.float64)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Stems of the measurement sets' names."""
        middles = [f / 1e6 for f in self.band_middles_hz]
        labels = [f"{f:.0f}" for f in middles]
        if len(set(labels)) < len(labels):
            labels = [f"{f:.1f}" for f in middles]
        return tuple(f"{self.name}_{label}MHz" for label in labels)

    def random(self, stream: str, index: int = 0) -> np.random.Generator:
        """Random numbers of one part of the field."""
        return np.random.default_rng([self.seed, _STREAMS.index(stream), index])

    def as_json(self) -> dict[str, object]:
        """The options as the truth and the marker file keep them."""
        loaded: dict[str, object] = json.loads(json.dumps(dataclasses.asdict(self)))
        return loaded
