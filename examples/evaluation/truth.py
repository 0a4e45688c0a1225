"""The truth of a simulated field: its sources, and what its visibilities are like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factor.directions.geometry import FieldGeometry, separation_deg
from factor.errors import FactorError, InputError
from factor.products.images.image import Beam

#: Sources fainter than so many times the noise are not measured.
MIN_SIGMA = 30.0
#: Apertures: so many times BMAJ, arcsec, times the source's major axis; the largest counts.
APERTURE_BMAJ, APERTURE_ARCSEC, APERTURE_MAJOR = 3.0, 30.0, 1.3
#: A source with a neighbour within so many radii of its aperture is not measured.
ISOLATION_RADII = 2.5
#: How far a calibrator's true source may be from its direction, at least.
_CALIBRATOR_DEG = 2.0 / 60.0


@dataclass(frozen=True)
class TrueSource:
    """One source of the true sky.

    Attributes
    ----------
    flux_jy : float
        At ``reference_hz``, with ``spectral_index``.
    apparent_jy : float
        Mean over the bands, as attenuated by the primary beam.
    major_arcsec, minor_arcsec : float
        Full widths at half maximum; 0 for a point.
    """

    name: str
    ra_deg: float
    dec_deg: float
    flux_jy: float
    reference_hz: float
    spectral_index: float
    apparent_jy: float
    major_arcsec: float = 0.0
    minor_arcsec: float = 0.0

    @property
    def is_point(self) -> bool:
        return self.major_arcsec == 0.0

    def flux_at(self, freq_hz: float) -> float:
        """True flux density at a frequency."""
        return float(self.flux_jy * (freq_hz / self.reference_hz) ** self.spectral_index)

    def peak_jy(self, beam: Beam) -> float:
        """Apparent peak, Jy/beam, behind a restoring beam (axes taken as parallel)."""
        major, minor = beam.bmaj_deg * 3600.0, beam.bmin_deg * 3600.0
        wide = np.hypot(major, self.major_arcsec) * np.hypot(minor, self.minor_arcsec)
        return float(self.apparent_jy * major * minor / wide)

    def distance_deg(self, other: TrueSource) -> float:
        """How far another source is."""
        return _distance(self, other.ra_deg, other.dec_deg)

    def nearest(self, others: Sequence[TrueSource]) -> TrueSource:
        """The nearest of some sources, itself if it is one of them."""
        return min(others, key=self.distance_deg)

    def aperture_deg(self, beam: Beam) -> float:
        """Radius of the aperture in which its flux is measured."""
        from_beam, from_source = APERTURE_BMAJ * beam.bmaj_deg * 3600.0, APERTURE_MAJOR * self.major_arcsec
        arcsec = max(from_beam, APERTURE_ARCSEC, from_source)
        return arcsec / 3600.0


@dataclass(frozen=True)
class Truth:
    """A simulated field.

    Attributes
    ----------
    visibility_noise_jy : float
        Of the real part of one correlation of one channel and slot.
    n_channels : int
        Of all bands together.
    interval_s : float
        Length of a slot.
    effects : Path
        H5parm of the true effects, one direction per source.
    """

    sources: tuple[TrueSource, ...]
    visibility_noise_jy: float
    n_channels: int
    interval_s: float
    effects: Path

    @property
    def positions(self) -> list[tuple[float, float]]:
        """RA and Dec of all sources."""
        return [(source.ra_deg, source.dec_deg) for source in self.sources]

    def neighbour_deg(self, source: TrueSource) -> float:
        """Distance of a source's nearest neighbour."""
        return min((source.distance_deg(s) for s in self.sources if s.name != source.name), default=180.0)

    def isolated(self, source: TrueSource, beam: Beam) -> bool:
        """Whether nothing else lies in its aperture or the annulus around that."""
        return self.neighbour_deg(source) > ISOLATION_RADII * source.aperture_deg(beam)

    def sample(self, geometry: FieldGeometry, beam: Beam, noise_jy: float) -> list[TrueSource]:
        """The sources whose fluxes are measured: bright enough, in the ellipse, isolated.

        Brightness is that of the peak which the source should have.
        """
        return [
            source
            for source in self.sources
            if source.peak_jy(beam) > MIN_SIGMA * noise_jy
            and float(geometry.distance(source.ra_deg, source.dec_deg)) <= 1.0
            and self.isolated(source, beam)
        ]

    def calibrator(self, ra_deg: float, dec_deg: float, size_deg: float = 0.0) -> TrueSource:
        """The source of a direction: the brightest in its box, or the nearest to it."""
        near = [
            source
            for source in self.sources
            if _distance(source, ra_deg, dec_deg) <= max(size_deg / 2.0, _CALIBRATOR_DEG)
        ]
        if near:
            return max(near, key=lambda source: source.apparent_jy)
        return min(self.sources, key=lambda source: _distance(source, ra_deg, dec_deg))


def _distance(source: TrueSource, ra_deg: float, dec_deg: float) -> float:
    return float(separation_deg(source.ra_deg, source.dec_deg, ra_deg, dec_deg))


def read_truth(folder: Path) -> Truth:
    """Read what the simulation left in its folder ``truth``.

    Raises
    ------
    InputError
        When it is not there.
    """
    path = folder / "truth.json"
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", "make the field with examples/simulate.py"
        ) from error
    except ValueError as error:
        raise FactorError(
            f"{path}: no valid JSON: {error}", "make the field again with examples/simulate.py --clobber"
        ) from error
    return Truth(
        sources=tuple(
            TrueSource(
                name=entry["name"],
                ra_deg=entry["ra_deg"],
                dec_deg=entry["dec_deg"],
                flux_jy=entry["flux_jy"],
                reference_hz=entry["reference_freq_hz"],
                spectral_index=entry["spectral_index"],
                apparent_jy=_mean(entry["apparent_flux_jy"]),
                major_arcsec=entry["major_arcsec"],
                minor_arcsec=entry["minor_arcsec"],
            )
            for entry in content["sources"]
        ),
        visibility_noise_jy=content["visibility_noise_jy"],
        n_channels=sum(len(channels) for channels in content["channel_freqs_hz"]),
        interval_s=content["options"]["interval_s"],
        effects=folder / "effects.h5",
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
