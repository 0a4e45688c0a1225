"""True flux densities made apparent: sky models attenuated by the primary beam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.directions.geometry import Floats, weighted_centres
from factor.errors import InputError
from factor.products.images.beam import BeamWeights, primary_beam
from factor.products.images.image import SkyGrid
from factor.products.models.skymodel import Components, concatenate, flux_at, read, select, write

#: Smallest response that a model is attenuated to: a null of the beam has no logarithm.
SMALLEST_RESPONSE = 1e-4
#: Highest order of the polynomial that describes the beam's change with frequency.
BEAM_ORDER = 2


def write_apparent_model(
    model: Path, bands: Sequence[Sequence[Path]], minuv_lambda: float, patch: str, path: Path
) -> None:
    """Write a model of true flux densities as it appears in the data.

    Parameters
    ----------
    model : Path
        Sky model of one source, true flux densities.
    bands : sequence of (sequence of Path)
        The chunks of each band, beam-corrected at the phase centre.
    minuv_lambda : float
        Shortest baseline that counts, wavelengths.
    patch : str
        Name of the one patch that is written.
    path : Path
        Model to write.
    """
    components = read(model)
    freqs, response = beam_towards(model_centre(components), bands, minuv_lambda)
    write(attenuated(components, freqs, response), path, patch)


def model_centre(components: Components) -> tuple[float, float]:
    """RA and Dec, in degrees, of the centre of a source's light."""
    one = np.zeros(len(components), dtype=np.int64)
    ra, dec = weighted_centres(components.ra_deg, components.dec_deg, components.flux_jy, one)
    return float(ra[0]), float(dec[0])


def beam_towards(
    position: tuple[float, float], bands: Sequence[Sequence[Path]], minuv_lambda: float
) -> tuple[Floats, Floats]:
    """The primary beam of each band in one direction.

    Returns
    -------
    freqs_hz, response : numpy.ndarray
        One value a band; 1 where the data were corrected for the beam.
    """
    grid = SkyGrid(*position, 1, 1, 1.0)
    weights = BeamWeights(minuv_lambda=minuv_lambda)
    beams = [primary_beam(mss, grid, weights=weights) for mss in bands]
    return np.array([b.freq_hz for b in beams]), np.array([float(b.data[0, 0]) for b in beams])


def attenuated(components: Components, freqs_hz: Floats, response: Floats) -> Components:
    """Components with a beam's response multiplied into flux densities and spectra.

    Spectra become logarithmic ones, with which the beam's own multiplies by adding terms.

    Parameters
    ----------
    components : Components
        True flux densities.
    freqs_hz, response : numpy.ndarray, (n,)
        Frequencies, and the beam's power response there.
    """
    order = min(BEAM_ORDER, len(freqs_hz) - 1)
    logs = np.log10(np.clip(response, SMALLEST_RESPONSE, None))
    parts = []
    for k in range(len(components)):
        one = _logarithmic(select(components, np.array([k])), freqs_hz)
        x = np.log10(freqs_hz / one.reference_freq_hz[0])
        beam = np.polynomial.polynomial.polyfit(x, logs, order)
        terms = np.zeros((1, max(one.spectral_index.shape[1], order)))
        terms[:, : one.spectral_index.shape[1]] = one.spectral_index
        terms[0, :order] += beam[1:]
        parts.append(replace(one, flux_jy=one.flux_jy * 10.0 ** beam[0], spectral_index=terms))
    return concatenate(parts)


def _logarithmic(one: Components, freqs_hz: Floats) -> Components:
    """One component with a logarithmic spectrum around the frequencies of the data."""
    middle = float(np.mean(freqs_hz))
    if one.logarithmic_si[0] and one.reference_freq_hz[0] > 0.0:
        return one
    around = middle * np.array([0.9, 1.0, 1.1])
    flux = np.array([flux_at(one, freq)[0] for freq in around])
    if not (np.all(flux > 0.0) or np.all(flux < 0.0)):
        raise InputError(f"the spectrum of component '{one.name[0]}' changes its sign within the band")
    terms = np.polynomial.polynomial.polyfit(np.log10(around / middle), np.log10(np.abs(flux)), 2)
    return replace(
        one,
        flux_jy=np.sign(flux[:1]) * 10.0 ** terms[:1],
        spectral_index=terms[None, 1:],
        logarithmic_si=np.array([True]),
        reference_freq_hz=np.array([middle]),
    )
