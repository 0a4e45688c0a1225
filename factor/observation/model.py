"""The observation as Factor sees it: bands in frequency, chunks in time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from scipy.constants import speed_of_light


@dataclass(frozen=True)
class ChunkFile:
    """One measurement set of the chunks folder: one band, one piece of time.

    Columns: DATA holds the subtracted data as they came and is never written again;
    CORRECTED_DATA is the residual from which the directions' models are subtracted.
    """

    path: Path
    band: str
    """Name of its band, e.g. ``Band_140MHz``."""
    freqs_hz: tuple[float, ...]
    """Channel centres."""
    chan_width_hz: float
    skymodel: Path
    """The band's initial sky model (apparent fluxes): what was subtracted from DATA."""


@dataclass(frozen=True)
class Chunk:
    """A piece of the observation in time, with every band's file of it, sorted by frequency."""

    index: int
    start_mjd_s: float
    """Start of the first time slot, MJD in seconds (the MS's TIME convention)."""
    end_mjd_s: float
    n_slots: int
    interval_s: float
    night: int
    """Number of the night (observation) that it is part of."""
    files: tuple[ChunkFile, ...]

    @property
    def name(self) -> str:
        return f"chunk{self.index}"


@dataclass(frozen=True)
class Band:
    """A spectral window, over all nights and chunks."""

    name: str
    freq_hz: float
    """Middle of the band."""
    freqs_hz: tuple[float, ...]
    chan_width_hz: float
    skymodel: Path


@dataclass(frozen=True)
class Observation:
    """All bands and chunks, and what they have in common."""

    bands: tuple[Band, ...]
    chunks: tuple[Chunk, ...]
    ra_deg: float
    dec_deg: float
    """Phase centre of the field."""
    mean_elevation_rad: float
    station_diameter_m: float
    stations: tuple[str, ...]

    @property
    def interval_s(self) -> float:
        return self.chunks[0].interval_s

    @property
    def mid_freq_hz(self) -> float:
        """Middle between the lowest and the highest channel."""
        return 0.5 * (self.bands[0].freqs_hz[0] + self.bands[-1].freqs_hz[-1])

    def fwhm_deg(self, freq_hz: float) -> float:
        """Full width at half maximum of the primary beam, east-west, in degrees.

        1.1 c / (freq x station diameter), van Haarlem et al. 2013, A&A 556, A2.
        """
        return math.degrees(1.1 * speed_of_light / (freq_hz * self.station_diameter_m))
